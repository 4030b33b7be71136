#include "invoker/host_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/json/raw.h"

#define VERSION "1"
#define MILLION 1e6

enum { NUMBER_MAX = 24, PAIR_DIGITS = 16, INSTANCE_MAX_BYTES = 32768 };

/* As inv_host_usable has it. */
static const int64_t BEYOND_ANY_MACHINE = INT64_C(1) << 56;

/* ---- figures ---- */

enum width { I64, U64, U32 };

static const struct figure {
    const char *name;
    enum width width;
    int64_t min;
    size_t offset;
} FIGURES[] = {
#define FIGURE(name, width, min, field)                                                            \
    {                                                                                              \
        name, width, min, offsetof(struct inv_host_view, field)                                    \
    }
    FIGURE("cpuTotal", I64, 1, cpu_total_millis),
    FIGURE("cpuUsed", I64, 0, cpu_used_millis),
    FIGURE("cpuReserved", I64, 0, cpu_reserved_millis),
    FIGURE("memoryTotal", I64, 1, memory_total_bytes),
    FIGURE("memoryUsed", I64, 0, memory_used_bytes),
    FIGURE("memoryReserved", I64, 0, memory_reserved_bytes),
    FIGURE("memoryIdle", I64, 0, memory_idle_bytes),
    FIGURE("meanRunUs", I64, 0, mean_run_us),
    FIGURE("running", U32, 0, running),
    FIGURE("starting", U32, 0, starting),
    FIGURE("idle", U32, 0, idle),
    FIGURE("queued", U32, 0, queued),
    FIGURE("lag", U64, 0, lag),
#undef FIGURE
};

static int64_t get_figure(const struct inv_host_view *v, const struct figure *f)
{
    const char *at = (const char *)v + f->offset;
    uint32_t narrow;
    int64_t wide;

    if (f->width == U32) {
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, at, sizeof(wide));
    return wide;
}

static void set_figure(struct inv_host_view *v, const struct figure *f, int64_t value)
{
    char *at = (char *)v + f->offset;
    uint32_t narrow = (uint32_t)value;

    if (f->width == U32)
        memcpy(at, &narrow, sizeof(narrow));
    else
        memcpy(at, &value, sizeof(value));
}

static const char *const SETS[] = {
    [INV_SET_ANY] = "any", [INV_SET_MANAGED] = "managed", [INV_SET_BLACKBOX] = "blackbox"};

/* ---- writing ---- */

static void add_text(struct cw_kv_field *f, const char *name, const char *text)
{
    *f = (struct cw_kv_field){cw_slice_of(name), cw_slice_of(text)};
}

static void add_number(struct cw_kv_field *f, const char *name, int64_t v, struct cw_arena *arena)
{
    char text[NUMBER_MAX];
    int n = snprintf(text, sizeof(text), "%" PRId64, v);

    add_text(f, name, cw_arena_dup(arena, cw_slice(text, (size_t)n)));
}

size_t inv_host_state_encode(const struct inv_host_state *s, struct cw_arena *arena,
                             struct cw_kv_field fields[INV_HOST_FIELDS])
{
    size_t n = 0;

    add_text(&fields[n++], "v", VERSION);
    add_number(&fields[n++], "boot", (int64_t)s->boot, arena);
    add_number(&fields[n++], "seq", (int64_t)s->seq, arena);
    add_text(&fields[n++], "topic", s->topic);
    add_text(&fields[n++], "instance", s->instance);
    add_text(&fields[n++], "set", SETS[s->view.set]);
    add_number(&fields[n++], "draining", s->view.draining || s->view.alone, arena);
    add_number(&fields[n++], "alone", s->view.alone && !s->view.draining, arena);
    add_number(&fields[n++], "promised", (int64_t)(s->view.cpu_guaranteed * MILLION), arena);
    for (size_t i = 0; i < CW_ARRAY_LEN(FIGURES); i++)
        add_number(&fields[n++], FIGURES[i].name, get_figure(&s->view, &FIGURES[i]), arena);
    return n;
}

/* ---- reading ---- */

static struct cw_slice find(const struct cw_kv_hash *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (cw_slice_is(h->fields[i].name, name))
            return h->fields[i].value;
    return cw_slice(NULL, 0);
}

static int read_number(const struct cw_kv_hash *h, const char *name, int64_t min, int64_t max,
                       int64_t *ret, struct cw_err *err)
{
    return cw_parse_i64(find(h, name), name, min, max, ret, err);
}

static int read_figures(const struct cw_kv_hash *h, struct inv_host_view *v, struct cw_err *err)
{
    int64_t value;

    for (size_t i = 0; i < CW_ARRAY_LEN(FIGURES); i++) {
        if (read_number(h, FIGURES[i].name, FIGURES[i].min,
                        FIGURES[i].width == U32 ? UINT32_MAX : BEYOND_ANY_MACHINE, &value,
                        err) != 0)
            return -1;
        set_figure(v, &FIGURES[i], value);
    }
    if (v->memory_idle_bytes > v->memory_reserved_bytes)
        return cw_fail(err, CW_INVALID, "memoryIdle: %" PRId64 ", more than memoryReserved",
                       v->memory_idle_bytes);
    if (read_number(h, "promised", 0, (int64_t)MILLION, &value, err) != 0)
        return -1;
    v->cpu_guaranteed = (double)value / MILLION;
    if (read_number(h, "draining", 0, 1, &value, err) != 0)
        return -1;
    v->draining = value == 1;
    value = 0; /* came later; who does not know it takes such a host for a draining one */
    if (find(h, "alone").p && read_number(h, "alone", 0, 1, &value, err) != 0)
        return -1;
    v->alone = value == 1;
    v->draining &= !v->alone;
    return 0;
}

static int read_set(const struct cw_kv_hash *h, struct inv_host_view *v, struct cw_err *err)
{
    struct cw_slice text = find(h, "set");

    for (size_t i = 0; i < CW_ARRAY_LEN(SETS); i++) {
        if (!cw_slice_is(text, SETS[i]))
            continue;
        v->set = (enum inv_host_set)i;
        return 0;
    }
    return cw_fail(err, CW_INVALID, "set: \"%.*s\"; accepted: any, managed, blackbox",
                   (int)(text.n < 40 ? text.n : 40), text.n ? text.p : "");
}

/* As Kafka's names of topics. */
static bool is_topic(struct cw_slice text)
{
    static const char LETTERS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    for (size_t i = 0; i < text.n; i++)
        if (!text.p[i] || !strchr(LETTERS, text.p[i]))
            return false;
    return text.n > 0 && text.n <= INV_HOST_TOPIC_MAX;
}

static int read_texts(const struct cw_kv_hash *h, struct cw_arena *arena,
                      struct inv_host_state *ret, struct cw_err *err)
{
    struct cw_slice topic = find(h, "topic"), instance = find(h, "instance");

    if (!is_topic(topic))
        return cw_fail(err, CW_INVALID, "topic: not a topic's name");
    if (instance.n == 0 || instance.n > INSTANCE_MAX_BYTES || instance.p[0] != '{' ||
        cw_raw_check(instance, CW_RAW_MAX_DEPTH, NULL, NULL) != 0)
        return cw_fail(err, CW_INVALID, "instance: not a JSON object");
    ret->topic = cw_arena_dup(arena, topic);
    ret->instance = cw_arena_dup(arena, instance);
    return 0;
}

int inv_host_state_decode(uint64_t id, const struct cw_kv_hash *h, struct cw_arena *arena,
                          struct inv_host_state *ret, struct cw_err *err)
{
    struct cw_slice version = find(h, "v");
    int64_t boot, seq;

    memset(ret, 0, sizeof(*ret));
    ret->view.id = id;
    if (!cw_slice_is(version, VERSION))
        return cw_fail(err, CW_INVALID, "version \"%.*s\"; accepted: " VERSION,
                       (int)(version.n < 20 ? version.n : 20), version.n ? version.p : "");
    if (read_number(h, "boot", 0, INT64_MAX, &boot, err) != 0 ||
        read_number(h, "seq", 0, INT64_MAX, &seq, err) != 0 ||
        read_figures(h, &ret->view, err) != 0 || read_set(h, &ret->view, err) != 0)
        return -1;
    ret->boot = (uint64_t)boot;
    ret->seq = (uint64_t)seq;
    return read_texts(h, arena, ret, err);
}

int inv_host_state_check_topic(const struct inv_host_state *s, const char *own, struct cw_err *err)
{
    static const char DIGITS[] = "0123456789";
    size_t stem = strlen(own);
    char number[NUMBER_MAX];

    while (stem > 0 && strchr(DIGITS, own[stem - 1]))
        stem--;
    (void)snprintf(number, sizeof(number), "%" PRIu64, s->view.id);
    if (strncmp(s->topic, own, stem) == 0 && strcmp(s->topic + stem, number) == 0)
        return 0;
    return cw_fail(err, CW_INVALID, "topic: \"%.64s\"; accepted: %.*s%s", s->topic, (int)stem, own,
                   number);
}

/* ---- warm containers ---- */

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

size_t inv_warm_encode(uint64_t *pairs, size_t count, struct cw_arena *arena,
                       struct cw_kv_field *fields)
{
    size_t n = 0, same;
    char name[PAIR_DIGITS + 1];

    if (count)
        qsort(pairs, count, sizeof(*pairs), by_number);
    for (size_t i = 0; i < count && n < INV_WARM_PAIRS; i += same) {
        for (same = 1; i + same < count && pairs[i + same] == pairs[i];)
            same++;
        (void)snprintf(name, sizeof(name), "%016" PRIx64, pairs[i]);
        add_number(&fields[n++], cw_arena_dup(arena, cw_slice(name, PAIR_DIGITS)), (int64_t)same,
                   arena);
    }
    return n;
}

static bool read_pair(const struct cw_kv_field *f, struct inv_warm_pair *ret)
{
    char name[PAIR_DIGITS + 1] = "";
    int64_t count;

    if (f->name.n != PAIR_DIGITS)
        return false;
    memcpy(name, f->name.p, PAIR_DIGITS);
    if (strspn(name, "0123456789abcdef") != PAIR_DIGITS ||
        cw_parse_i64(f->value, "count", 1, UINT32_MAX, &count, NULL) != 0)
        return false;
    *ret = (struct inv_warm_pair){strtoull(name, NULL, 16), (uint32_t)count};
    return true;
}

static int by_pair(const void *a, const void *b)
{
    const struct inv_warm_pair *x = a, *y = b;

    return (x->pair > y->pair) - (x->pair < y->pair);
}

size_t inv_warm_decode(const struct cw_kv_hash *h, struct inv_warm_pair *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < h->count && n < INV_WARM_PAIRS; i++)
        n += read_pair(&h->fields[i], &ret[n]);
    if (n)
        qsort(ret, n, sizeof(*ret), by_pair);
    return n;
}

uint32_t inv_warm_find(const struct inv_warm_pair *pairs, size_t count, uint64_t pair)
{
    const struct inv_warm_pair key = {.pair = pair};
    const struct inv_warm_pair *found =
        count ? bsearch(&key, pairs, count, sizeof(*pairs), by_pair) : NULL;

    return found ? found->count : 0;
}
