/* hiredis' parser, behind a sieve: it would take the word of the peer for the length of an array,
 * and keep whatever comes. */
#include "common/kv/redis_reply.h"

#include "common/base/err.h"
#include "common/kv/redis_sieve_priv.h"

struct cw_redis_replies {
    redisReader *reader;
    struct redis_sieve sieve;
    bool ended; /* told when the answers before have been taken */
    struct cw_err why;
};

struct cw_redis_replies *cw_redis_replies_new(void)
{
    struct cw_redis_replies *r = cw_alloc(sizeof(*r));

    r->reader = redisReaderCreate();
    if (!r->reader)
        abort(); /* only when memory is short */
    r->sieve.limits =
        (struct redis_limits){.bytes = CW_REDIS_REPLY_MAX, .items = CW_REDIS_REPLY_MAX_ITEMS};
    return r;
}

void cw_redis_replies_free(struct cw_redis_replies *r)
{
    if (!r)
        return;
    redisReaderFree(r->reader);
    free(r);
}

static int broken(const struct cw_redis_replies *r, struct cw_err *err)
{
    if (r->reader->err == REDIS_ERR_OOM)
        abort();
    return cw_fail(err, CW_INVALID, "what it answers is not Redis' protocol: %.100s",
                   r->reader->errstr);
}

int cw_redis_replies_feed(struct cw_redis_replies *r, const void *p, size_t n, struct cw_err *err)
{
    cw_auto_str struct cw_str let_through;

    cw_str_init(&let_through, n + REDIS_SIEVE_MORE);
    if (r->ended)
        return 0;
    r->ended = redis_sieve(&r->sieve, p, n, &let_through, &r->why) != 0;
    /* what the sieve leaves: a line without an end */
    if (let_through.failed ||
        r->reader->len - r->reader->pos + let_through.n > 2 * (size_t)CW_REDIS_REPLY_MAX)
        return cw_fail(err, CW_TOO_LARGE, "an answer has over %d bytes", CW_REDIS_REPLY_MAX);
    if (let_through.n && redisReaderFeed(r->reader, let_through.p, let_through.n) != REDIS_OK)
        return broken(r, err);
    return 0;
}

int cw_redis_replies_next(struct cw_redis_replies *r, redisReply **ret, struct cw_err *err)
{
    void *reply = NULL;

    *ret = NULL;
    if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
        return broken(r, err);
    *ret = reply;
    if (reply || !r->ended)
        return 0;
    *err = r->why;
    return -1;
}
