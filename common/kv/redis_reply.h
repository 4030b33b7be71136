/* common/kv/redis_reply.h -- answers out of the bytes of a Redis (RESP2, by hiredis' reader),
 * bounded: whoever answers may be broken or hostile, and so may be who has written what it holds.
 * What an answer has over the bounds is nil in it; an answer with too many items is an error
 * "TOOLARGE …".
 *
 * Thread: owner only. */
#pragma once

#include <stddef.h>

#include <hiredis/hiredis.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_redis_replies;

enum {
    CW_REDIS_REPLY_MAX = 4 << 20,       /* bytes of the strings of one answer */
    CW_REDIS_REPLY_MAX_ITEMS = 1 << 17, /* of all arrays in it */
};

struct cw_redis_replies *cw_redis_replies_new(void);
/* Accepts NULL. */
void cw_redis_replies_free(struct cw_redis_replies *r);
/* n <= CW_REDIS_REPLY_MAX; all answers that are complete must have been taken before. CW_TOO_LARGE:
 * there is no end to one. */
int cw_redis_replies_feed(struct cw_redis_replies *r, const void *p, size_t n,
                          struct cw_err *err) CW_MUST_CHECK;
/* The next answer (freeReplyObject), or NULL when more bytes are needed. After an error nothing
 * more can be read. */
int cw_redis_replies_next(struct cw_redis_replies *r, redisReply **ret,
                          struct cw_err *err) CW_MUST_CHECK;
