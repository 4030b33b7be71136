/* What other invokers wrote, or claim to have written: states of hosts, warm containers, counts of
 * profiles, and the file of profiles. Whatever it is, what is taken of it makes sense.
 *
 * Input: the first byte says which; then lines "name=value", or the file without its checksum. */
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/host_state.h"
#include "invoker/profiles_priv.h"
#include "tests/fuzz/require.h"

enum { FIELDS_MAX = 256, EPOCH_MS = 1000 };

static size_t split(struct cw_slice text, struct cw_kv_field fields[FIELDS_MAX])
{
    size_t n = 0;

    while (text.n && n < FIELDS_MAX) {
        const char *end = memchr(text.p, '\n', text.n);
        struct cw_slice line = cw_slice(text.p, end ? (size_t)(end - text.p) : text.n);
        const char *sign = memchr(line.p, '=', line.n);
        size_t name = sign ? (size_t)(sign - line.p) : line.n;

        fields[n++] = (struct cw_kv_field){
            cw_slice(line.p, name), sign ? cw_slice(sign + 1, line.n - name - 1) : cw_slice("", 0)};
        text = cw_slice(line.p + line.n, text.n - line.n);
        if (text.n)
            text = cw_slice(text.p + 1, text.n - 1);
    }
    return n;
}

static void check_state(const struct cw_kv_hash *h)
{
    struct cw_kv_field fields[INV_HOST_FIELDS];
    struct cw_kv_hash again = {.found = true, .fields = fields};
    struct inv_host_state s, back;
    struct cw_arena arena;
    struct cw_err err = {0};

    cw_arena_init(&arena);
    if (inv_host_state_decode(7, h, &arena, &s, &err) == 0) {
        require(s.view.cpu_total_millis >= 0 && s.view.memory_used_bytes >= 0 &&
                s.view.cpu_guaranteed >= 0 && s.view.cpu_guaranteed <= 1);
        again.count = inv_host_state_encode(&s, &arena, fields);
        require(inv_host_state_decode(7, &again, &arena, &back, &err) == 0);
        require(back.seq == s.seq && back.view.lag == s.view.lag);
    } else {
        require(err.msg[0] && !strpbrk(err.msg, "\r\n"));
    }
    cw_arena_done(&arena);
}

static void check_warm(const struct cw_kv_hash *h)
{
    struct inv_warm_pair pairs[INV_WARM_PAIRS];
    size_t n = inv_warm_decode(h, pairs);

    require(n <= h->count);
    for (size_t i = 0; i < n; i++)
        require(pairs[i].count > 0 && inv_warm_find(pairs, n, pairs[i].pair) > 0);
}

static void check_cells(const struct cw_kv_hash *h)
{
    struct inv_profile p = {0};
    struct inv_hist hist = {0};

    for (size_t i = 0; i < h->count; i++) {
        struct inv_profile_cell read, *c;

        if (!inv_profile_parse(h->fields[i].name, h->fields[i].value, &read))
            continue;
        c = inv_profile_cell(&p, read.epoch, (enum inv_profile_of)read.of, read.bucket);
        if (c)
            c->shared = read.shared;
    }
    for (size_t i = 1; i < p.count; i++)
        require(p.cells[i].epoch >= p.cells[i - 1].epoch);
    require(inv_profile_hist(&p, 100, INV_PROFILE_CPU, &hist) <= INV_PROFILE_EPOCHS + 1);
    require(isfinite(inv_hist_total(&hist)) && inv_hist_total(&hist) >= 0);
    inv_profile_done(&p);
}

static struct inv_profiles *make(struct cw_loop *loop, struct cw_metrics *metrics)
{
    return inv_profiles_new(
        &(struct inv_profiles_conf){.loop = loop, .metrics = metrics, .epoch_ms = EPOCH_MS});
}

static void check_file(struct cw_slice body)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_metrics *metrics = cw_metrics_new();
    struct inv_profiles *p = make(loop, metrics), *q = make(loop, metrics);
    struct cw_err err = {0};
    cw_auto_str struct cw_str text, again;

    cw_str_init(&text, 1 << 20);
    cw_str_init(&again, 1 << 20);
    cw_str_addf(&text, "cwhisk-profiles 1 %d %016" PRIx64 "\n", EPOCH_MS, cw_siphash(0, 0, body));
    cw_str_adds(&text, body);
    if (profiles_parse(p, cw_str_slice(&text), &err) == 0) {
        profiles_print(p, &again);
        require(!again.failed && profiles_parse(q, cw_str_slice(&again), &err) == 0);
    } else {
        require(err.msg[0]);
    }
    inv_profiles_free(p);
    inv_profiles_free(q);
    cw_metrics_free(metrics);
    cw_loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_kv_field fields[FIELDS_MAX];
    struct cw_kv_hash h = {.found = true, .fields = fields};
    struct cw_slice text;

    if (size < 1 || size > 65536)
        return 0;
    text = cw_slice((const char *)data + 1, size - 1);
    h.count = split(text, fields);
    switch (data[0] % 4) {
    case 0:
        check_state(&h);
        break;
    case 1:
        check_warm(&h);
        break;
    case 2:
        check_cells(&h);
        break;
    default:
        check_file(text);
        break;
    }
    return 0;
}
