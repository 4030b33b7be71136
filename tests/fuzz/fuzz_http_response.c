/* The answer parser must come to the same end however the bytes were split, and keep its limits.
 *
 * Input: limit of the body, bytes kept of a longer one, seed of the splits, then the stream. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/http_response.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIX = 3 };

struct outcome {
    struct cw_http_response r;
    size_t used;
};

/* Pieces of 1..16 bytes, by a linear congruential generator. */
static struct outcome feed_pieces(const uint8_t *limits, uint32_t seed, const char *p, size_t n)
{
    struct outcome o = {.used = 0};

    cw_http_response_init(&o.r);
    cw_http_response_begin(&o.r, limits[0], limits[1]);
    for (size_t i = 0, len; i < n; i += len) {
        seed = seed * 1664525 + 1013904223;
        len = 1 + (seed >> 28);
        if (len > n - i)
            len = n - i;
        o.used += cw_http_response_feed(&o.r, p + i, len);
    }
    return o;
}

static struct outcome feed_whole(const uint8_t *limits, const char *p, size_t n)
{
    struct outcome o = {.used = 0};

    cw_http_response_init(&o.r);
    cw_http_response_begin(&o.r, limits[0], limits[1]);
    o.used = cw_http_response_feed(&o.r, p, n);
    return o;
}

static void require_same(const struct outcome *a, const struct outcome *b)
{
    require(a->r.state == b->r.state);
    require(a->r.status == b->r.status);
    require(a->r.content_length == b->r.content_length);
    require(a->r.body_read == b->r.body_read);
    require(a->r.keep_alive == b->r.keep_alive);
    require(a->r.truncated == b->r.truncated);
    require(a->r.why == b->r.why);
    require(cw_slice_eq(cw_str_slice(&a->r.body), cw_str_slice(&b->r.body)));
    if (a->r.state == CW_HTTP_DONE)
        require(a->used == b->used);
}

static void require_limits(const struct outcome *o, const uint8_t *limits)
{
    const struct cw_http_response *r = &o->r;
    size_t limit = r->truncated ? limits[1] : limits[0];

    require(r->body.n <= limit && !r->body.failed);
    require((r->why != NULL) == (r->state == CW_HTTP_BAD));
    if (r->state != CW_HTTP_DONE)
        return;
    require(r->status >= 200 && r->status <= 999);
    require(r->content_length >= 0 && r->body_read == r->content_length);
    require(r->truncated == (r->content_length > limits[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;
    const char *stream = (const char *)data + PREFIX;

    if (size <= PREFIX)
        return 0;
    whole = feed_whole(data, stream, size - PREFIX);
    pieces = feed_pieces(data, data[2], stream, size - PREFIX);
    require_same(&whole, &pieces);
    require_limits(&whole, data);
    cw_http_response_done(&whole.r);
    cw_http_response_done(&pieces.r);
    return 0;
}
