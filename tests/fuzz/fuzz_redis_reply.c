/* Bytes of a Redis, in pieces: the answers out of them are bounded, and the same however they are
 * cut. So is what the sieve lets through under small limits, and that is within the limits. */
#include <stdint.h>

#include "common/base/err.h"
#include "common/kv/redis_reply.h"
#include "common/kv/redis_sieve_priv.h"
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

static int sift(struct cw_slice text, size_t piece, struct cw_str *out)
{
    struct redis_sieve s = {.limits = {.bytes = 16, .items = 4}};
    struct cw_err err = {0};

    for (size_t at = 0; at < text.n; at += piece)
        if (redis_sieve(&s, text.p + at, text.n - at < piece ? text.n - at : piece, out, &err) != 0)
            return -1;
    return 0;
}

static void check_sieve(struct cw_slice text)
{
    cw_auto_str struct cw_str whole, bytes, again;
    int rc;

    cw_str_init(&whole, 65536);
    cw_str_init(&bytes, 65536);
    cw_str_init(&again, 65536);
    rc = sift(text, text.n, &whole);
    require(sift(text, 1, &bytes) == rc);
    require(cw_slice_eq(cw_str_slice(&whole), cw_str_slice(&bytes)) && !whole.failed);
    if (rc != 0 || whole.n == 0)
        return;
    require(sift(cw_str_slice(&whole), whole.n, &again) == 0);
    require(cw_slice_eq(cw_str_slice(&whole), cw_str_slice(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, bytes;

    if (size == 0 || size > 4096)
        return 0;
    check_sieve(cw_slice((const char *)data, size));
    whole = read_all(data, size, size);
    bytes = read_all(data, size, 1);
    require(whole.answers == bytes.answers && whole.items == bytes.items &&
            whole.failed == bytes.failed);
    return 0;
}
