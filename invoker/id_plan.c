#include "invoker/id_plan.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/utf8.h"

enum { NAME_MAX_BYTES = 255, DEFAULT_PORT = 2181 };

/* ---- bytes ---- */

size_t inv_id_encode(int64_t id, uint8_t out[INV_ID_BYTES])
{
    size_t n = 1;

    assert(id >= 0 && id <= INV_ID_MAX);
    while (id >> (8 * n - 1)) /* the highest bit is the sign */
        n++;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(id >> (8 * (n - 1 - i)));
    return n;
}

int64_t inv_id_decode(struct cw_slice bytes)
{
    int64_t id = 0;

    if (bytes.n == 0 || (uint8_t)bytes.p[0] & 0x80)
        return -1;
    for (size_t i = 0; i < bytes.n; i++) {
        id = id << 8 | (uint8_t)bytes.p[i];
        if (id > INV_ID_MAX)
            return -1;
    }
    return id;
}

void inv_id_counter_encode(int64_t count, uint8_t out[INV_ID_COUNTER_BYTES])
{
    for (size_t i = 0; i < INV_ID_COUNTER_BYTES; i++)
        out[i] = (uint8_t)(count >> (8 * (INV_ID_COUNTER_BYTES - 1 - i)));
}

int64_t inv_id_counter_decode(struct cw_slice bytes)
{
    int64_t count = 0;

    if (bytes.n == 0)
        return 0;
    if (bytes.n != INV_ID_COUNTER_BYTES || (uint8_t)bytes.p[0] & 0x80)
        return -1;
    for (size_t i = 0; i < bytes.n; i++)
        count = count << 8 | (uint8_t)bytes.p[i];
    return count;
}

/* ---- choice ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int64_t inv_id_next(int64_t *ids, size_t count)
{
    int64_t lowest_free = 0;
    bool count_taken = false;

    if (count > 0)
        qsort(ids, count, sizeof(*ids), by_value);
    for (size_t i = 0; i < count; i++) {
        count_taken |= ids[i] == (int64_t)count;
        if (ids[i] == lowest_free)
            lowest_free++;
    }
    return count_taken ? lowest_free : (int64_t)count;
}

/* ---- settings ---- */

static bool is_node_name(struct cw_slice name)
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES || cw_slice_is(name, ".") || cw_slice_is(name, ".."))
        return false;
    for (size_t i = 0, n; i < name.n; i += n) {
        uint8_t c = (uint8_t)name.p[i];

        n = cw_utf8_seq(name.p + i, name.n - i);
        if (n == 0 || c < 0x20 || c == 0x7f || c == '/')
            return false;
    }
    return true;
}

int inv_id_check_name(const char *name, struct cw_err *err)
{
    if (is_node_name(cw_slice_of(name)))
        return 0;
    return cw_fail(
        err, CW_INVALID,
        "--uniqueName: \"%.100s\" cannot be the name of a ZooKeeper node; accepted: up to "
        "%d bytes of UTF-8 without '/' and control characters, not \".\" or \"..\"",
        name, NAME_MAX_BYTES);
}

static int hosts_invalid(const char *text, struct cw_err *err)
{
    return cw_fail(
        err, CW_INVALID,
        "Must provide valid zookeeper host and port to use dynamicId assignment (%.80s); "
        "ZOOKEEPER_HOSTS takes host:port[,host:port...][/path]",
        text);
}

/* One "host", "host:port" or "[v6]:port" behind what is in out. */
static bool add_server(struct cw_slice server, struct cw_str *out)
{
    struct cw_slice host = server, port = {0};
    const char *colon = memrchr(server.p, ':', server.n);
    int64_t number = DEFAULT_PORT;

    if (colon && !(server.p[0] == '[' && server.p[server.n - 1] == ']')) {
        host.n = (size_t)(colon - server.p);
        port = cw_slice(colon + 1, server.n - host.n - 1);
        if (cw_parse_i64(port, "port", 1, 65535, &number, NULL) != 0)
            return false;
    }
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = cw_slice(host.p + 1, host.n - 2);
    if (host.n == 0 || memchr(host.p, ' ', host.n))
        return false;
    cw_str_addf(out, "%s%.*s:%lld", out->n ? "," : "", (int)host.n, host.p, (long long)number);
    return true;
}

int inv_id_hosts(const char *text, struct cw_str *out, struct cw_err *err)
{
    struct cw_slice all = cw_slice_trim(cw_slice_of(text ? text : ""));
    const char *slash = all.n ? memchr(all.p, '/', all.n) : NULL;
    struct cw_slice servers = slash ? cw_slice(all.p, (size_t)(slash - all.p)) : all;
    size_t done = 0;

    cw_str_reset(out);
    do {
        const char *comma =
            servers.n > done ? memchr(servers.p + done, ',', servers.n - done) : NULL;
        size_t end = comma ? (size_t)(comma - servers.p) : servers.n;
        struct cw_slice server = cw_slice_trim(cw_slice(servers.p + done, end - done));

        if (server.n == 0 || !add_server(server, out))
            return hosts_invalid(text ? text : "", err);
        done = end + 1;
    } while (done <= servers.n);
    if (slash && all.n - servers.n > 1) /* "/" alone is the root */
        cw_str_adds(out, cw_slice(slash, all.n - servers.n));
    return out->failed ? hosts_invalid(text, err) : 0;
}
