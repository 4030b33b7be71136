/* common/model/activation_message.h -- one request to run an action (openwhisk kafka.md 5). Thread:
 * any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/txid.h"
#include "common/model/identity.h"

struct cw_err;

enum { CW_ACTIVATION_ID_LEN = 32 };

struct cw_action_name {
    const char *path; /* namespace, or namespace/package, of the real action */
    const char *name;
    const char *version; /* NULL when absent */
    const char *binding; /* path of the package binding used, NULL when absent */
    const char *full;    /* path + "/" + name: document id, and annotation `path` */
};

struct cw_activation_message {
    struct cw_arena arena; /* owns everything below, the text included */
    struct cw_slice text;  /* the message as received */
    struct cw_tx tx;
    struct cw_action_name action;
    const char *revision; /* NULL for JSON null: read the newest, past the cache */
    struct cw_identity user;
    char activation_id[CW_ACTIVATION_ID_LEN + 1];
    const char *controller; /* rootControllerIndex.asString: acks go to <prefix>completed<this> */
    bool blocking;
    struct cw_slice content; /* argument object or array, raw; n == 0 when absent */
    bool content_is_array;
    struct cw_slice init_args;     /* raw array of strings; n == 0 when absent or empty */
    struct cw_slice locked_args;   /* raw object name → scheme; n == 0 when absent or empty */
    const char *cause;             /* NULL when absent */
    struct cw_slice trace_context; /* raw; n == 0 when absent */
};

/* payload is copied. now_ms: stands in for an unreadable transid. Free with
 * cw_activation_message_free; NULL with *err naming the field on malformed input. A message of the
 * FPC path fails with code CW_CONFLICT and a text naming the two SPI settings that select sharding.
 */
struct cw_activation_message *cw_activation_message_decode(struct cw_slice payload, int64_t now_ms,
                                                           struct cw_err *err) CW_MUST_CHECK;
void cw_activation_message_free(struct cw_activation_message *m);

/* 4.3: names of actions may also be plain strings "guest/utils/hello". value: checked JSON. */
int cw_action_name_decode(struct cw_slice value, const char *path, struct cw_arena *arena,
                          struct cw_action_name *ret, struct cw_err *err) CW_MUST_CHECK;
