/* Bytes of a Redis, in pieces: the answers out of them are bounded, and the same however they are
 * cut. */
#include <stdint.h>

#include "common/base/err.h"
#include "common/kv/redis_reply.h"
#include "tests/fuzz/require.h"

enum { DEPTH_MAX = 9 };

static size_t count_items(const redisReply *r, int depth)
{
    size_t n = 1;

    require(depth < DEPTH_MAX);
    if (r->type != REDIS_REPLY_ARRAY)
        return n;
    for (size_t i = 0; i < r->elements; i++)
        n += count_items(r->element[i], depth + 1);
    return n;
}

struct seen {
    size_t answers, items;
    bool failed;
};

static struct seen read_all(const uint8_t *data, size_t size, size_t piece)
{
    struct cw_redis_replies *r = cw_redis_replies_new();
    struct seen seen = {0};
    struct cw_err err = {0};

    for (size_t at = 0; at < size && !seen.failed; at += piece) {
        redisReply *reply = NULL;

        seen.failed =
            cw_redis_replies_feed(r, data + at, size - at < piece ? size - at : piece, &err) != 0;
        while (!seen.failed) {
            seen.failed = cw_redis_replies_next(r, &reply, &err) != 0;
            if (!reply)
                break;
            seen.answers++;
            seen.items += count_items(reply, 0);
            require(seen.items / seen.answers <= CW_REDIS_REPLY_MAX_ITEMS + 1);
            freeReplyObject(reply);
        }
    }
    require(!seen.failed || err.msg[0]);
    cw_redis_replies_free(r);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, bytes;

    if (size == 0 || size > 4096)
        return 0;
    whole = read_all(data, size, size);
    bytes = read_all(data, size, 1);
    require(whole.answers == bytes.answers && whole.items == bytes.items &&
            whole.failed == bytes.failed);
    return 0;
}
