/* tests/bench/load_wire.h -- activation messages as a controller writes them, and what the
 * benchmark needs to know of acks. Source: openwhisk kafka.md 5 and 6. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum { LOAD_ID_LEN = 32, LOAD_PREFIX_LEN = 24 };

struct cw_err;

/* One run of the driver. Activation ids are the prefix and the number in hexadecimal. */
struct load_series {
    char prefix[LOAD_PREFIX_LEN + 1]; /* random, hexadecimal */
    const char *space, *action;
    const char *transid;    /* NULL: one per activation */
    const char *revision;   /* NULL: null, which keeps the invoker from caching the action */
    const char *controller; /* id: acks go to completed<id> */
    bool blocking;
};

void load_series_init(struct load_series *s, const char *space, const char *action);
/* Replaces what out holds. */
void load_write_activation(const struct load_series *s, uint32_t number, int64_t now_ms,
                           struct cw_str *out);

enum load_ack_kind { LOAD_ACK_RESULT, LOAD_ACK_COMPLETION, LOAD_ACK_COMBINED };

struct load_ack {
    enum load_ack_kind kind;
    bool ours; /* of the series */
    uint32_t number;
    bool success; /* no system error; a result: statusCode 0 */
};

int load_read_ack(const struct load_series *s, struct cw_slice text, struct load_ack *ret,
                  struct cw_err *err) CW_MUST_CHECK;
/* Of a message on topic health. */
int load_read_ping(struct cw_slice text, bool *ret_enabled, struct cw_err *err) CW_MUST_CHECK;
