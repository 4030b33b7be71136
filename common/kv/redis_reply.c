/* hiredis' reader builds its objects through a table of functions. Ours is its own but for arrays:
 * it would take the word of the peer for their length, and allocate that. */
#include "common/kv/redis_reply.h"

#include "common/base/err.h"

struct cw_redis_replies {
    redisReader *reader;
    redisReplyObjectFunctions *own; /* of the reader; static in hiredis */
    redisReplyObjectFunctions fns;
    size_t items; /* room for so many was made in this answer */
};

/* The reader asks for arrays through the table, whose neighbours tell what hiredis would do. */
static void *create_array(const redisReadTask *task, int elements)
{
    struct cw_redis_replies *r = task->privdata;

    r->items += (size_t)elements;
    return r->items > CW_REDIS_REPLY_MAX_ITEMS ? NULL : r->own->createArray(task, elements);
}

struct cw_redis_replies *cw_redis_replies_new(void)
{
    struct cw_redis_replies *r = cw_alloc(sizeof(*r));

    r->reader = redisReaderCreate();
    if (!r->reader)
        abort(); /* only when memory is short */
    r->own = r->reader->fn;
    r->fns = *r->own;
    r->fns.createArray = create_array;
    r->reader->fn = &r->fns;
    r->reader->privdata = r;
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
        return cw_fail(err, CW_TOO_LARGE, "an answer has over %d items", CW_REDIS_REPLY_MAX_ITEMS);
    return cw_fail(err, CW_INVALID, "what it answers is not Redis' protocol: %.100s",
                   r->reader->errstr);
}

int cw_redis_replies_feed(struct cw_redis_replies *r, const void *p, size_t n, struct cw_err *err)
{
    if (r->reader->len - r->reader->pos + n > CW_REDIS_REPLY_MAX)
        return cw_fail(err, CW_TOO_LARGE, "an answer has over %d bytes", CW_REDIS_REPLY_MAX);
    if (redisReaderFeed(r->reader, p, n) != REDIS_OK)
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
    if (reply)
        r->items = 0;
    return 0;
}
