/* common/kv/redis_sieve_priv.h -- keeps what a Redis says within bounds, and in step.
 *
 * Stands before the parser: strings and arrays by which an answer would grow over its limits are
 * taken out of the stream, and nils (of the answer itself: an error, "TOOLARGE …") put in their
 * place. So a key that somebody has filled with too much costs its own answer, and neither memory
 * nor the connection. RESP2; what is not ends the stream here, since a parser that reads on in
 * another way would take the peer's word for a length. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

/* Of one answer: its strings together, and the items of all its arrays. */
struct redis_limits {
    uint64_t bytes, items;
};

enum redis_sieve_state {
    SIEVE_TYPE, /* zeroed: an answer begins, or an item of it */
    SIEVE_LENGTH,
    SIEVE_TEXT,   /* until the line's end */
    SIEVE_STRING, /* of known length */
};

/* Zero at first, but for the limits. */
struct redis_sieve {
    struct redis_limits limits;
    enum redis_sieve_state state;
    char header[24]; /* of a string or array: type and length */
    size_t header_len;
    bool return_seen;      /* of a text: the first half of the line's end */
    bool dropping;         /* the string that is read */
    uint64_t left;         /* bytes of it */
    uint64_t due;          /* items that are still to come of this answer; 0: between answers */
    uint64_t skip;         /* of them, those in an array that is taken out */
    uint64_t bytes, items; /* of this answer, let through */
};

/* Appends what the parser is to see of p to *out, whose maximum is at least n + REDIS_SIEVE_MORE.
 * CW_TOO_LARGE: the peer announces so much that it is not worth waiting for its end. CW_INVALID:
 * it does not speak RESP2. Nothing may follow either. */
enum { REDIS_SIEVE_MORE = 128 };
int redis_sieve(struct redis_sieve *s, const char *p, size_t n, struct cw_str *out,
                struct cw_err *err) CW_MUST_CHECK;
