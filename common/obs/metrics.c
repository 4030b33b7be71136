/* A family (one name, one HELP, one TYPE) owns its series (one per label set); both are found by
 * name in a map on creation only. Handles are the series, so an update is one addition. */
#include "common/obs/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/utf8.h"

enum { NAME_MAX_BYTES = 1024 };
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

static const char *const TYPE_NAMES[] = {"counter", "gauge", "histogram"};

static const double LATENCY_BOUNDS[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                        0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                        1,      2.5,     5,      10,    30,     60};

struct family {
    struct cw_map_node node; /* by name */
    struct cw_link link;
    struct cw_list series; /* of struct series, in order of creation */
    struct cw_map by_labels;
    char *name, *help; /* help may be NULL */
    enum metric_type type;
    double *bounds; /* histograms only */
    size_t bound_count;
};

struct series {
    struct cw_map_node node; /* by labels */
    struct cw_link link;
    char *labels; /* "" when there are none */
};

struct cw_counter {
    struct series series;
    uint64_t value;
    uint32_t per; /* 0: 1 */
};

struct cw_gauge {
    struct series series;
    double value;
};

struct cw_histogram {
    struct series series;
    const struct family *family;
    double sum;
    uint64_t count;
    uint64_t buckets[]; /* not cumulative; the last one is +Inf */
};

struct cw_metrics {
    struct cw_list families;
    struct cw_map by_name;
    bool tags;
    void (*add)(void *arg, struct cw_str *out); /* NULL: nothing more */
    void *add_arg;
};

struct cw_metrics *cw_metrics_new(void)
{
    struct cw_metrics *m = cw_alloc(sizeof(*m));

    cw_list_init(&m->families);
    cw_map_init(&m->by_name);
    return m;
}

void cw_metrics_use_tags(struct cw_metrics *m, bool tags)
{
    m->tags = tags;
}

bool cw_metrics_tagged(const struct cw_metrics *m)
{
    return m->tags;
}

void cw_metrics_extend(struct cw_metrics *m, void (*add)(void *arg, struct cw_str *out), void *arg)
{
    m->add = add;
    m->add_arg = arg;
}

static void family_free(struct family *f)
{
    struct cw_link *link;

    while ((link = cw_list_pop_front(&f->series))) {
        struct series *s = CW_LIST_ENTRY(link, struct series, link);

        free(s->labels);
        free(s); /* the first member of every kind of handle */
    }
    cw_map_done(&f->by_labels);
    free(f->bounds);
    free(f->help);
    free(f->name);
    free(f);
}

void cw_metrics_free(struct cw_metrics *m)
{
    struct cw_link *link;

    if (!m)
        return;
    while ((link = cw_list_pop_front(&m->families)))
        family_free(CW_LIST_ENTRY(link, struct family, link));
    cw_map_done(&m->by_name);
    free(m);
}

/* Names may be built from topics and commands; what the format does not allow becomes '_'. */
static void add_name(struct cw_str *out, const char *name)
{
    for (const char *p = name; *p; p++) {
        bool digit = *p >= '0' && *p <= '9';
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

        cw_str_addc(out, letter || (digit && p != name) ? *p : '_');
    }
}

static void family_set_bounds(struct family *f, const double *bounds, size_t count)
{
    if (!bounds) {
        bounds = LATENCY_BOUNDS;
        count = CW_ARRAY_LEN(LATENCY_BOUNDS);
    }
    f->bounds = cw_calloc(count, sizeof(*bounds));
    f->bound_count = count;
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || bounds[i - 1] < bounds[i]);
        f->bounds[i] = bounds[i];
    }
}

/* One name has one type for good; `bounds` count on the first call. */
static struct family *family_get(struct cw_metrics *m, const char *name, enum metric_type type,
                                 const char *help)
{
    cw_auto_str struct cw_str valid;
    struct cw_map_node *node;
    struct family *f;

    cw_str_init(&valid, NAME_MAX_BYTES);
    add_name(&valid, name);
    node = cw_map_get(&m->by_name, cw_str_slice(&valid));
    if (node) {
        f = CW_CONTAINER_OF(node, struct family, node);
        assert(f->type == type);
    } else {
        f = cw_alloc(sizeof(*f));
        f->name = cw_str_steal(&valid);
        f->type = type;
        cw_list_init(&f->series);
        cw_map_init(&f->by_labels);
        cw_map_put(&m->by_name, &f->node, cw_slice_of(f->name));
        cw_list_push_back(&m->families, &f->link);
    }
    if (!f->help)
        f->help = cw_strdup(help);
    return f;
}

/* The series with these labels, or a new one of `size` bytes. */
static struct series *series_get(struct family *f, const char *labels, size_t size)
{
    struct cw_map_node *node;
    struct series *s;

    labels = labels ? labels : "";
    node = cw_map_get(&f->by_labels, cw_slice_of(labels));
    if (node)
        return CW_CONTAINER_OF(node, struct series, node);
    s = cw_alloc(size);
    s->labels = cw_strdup(labels);
    cw_map_put(&f->by_labels, &s->node, cw_slice_of(s->labels));
    cw_list_push_back(&f->series, &s->link);
    return s;
}

struct cw_counter *cw_metrics_counter(struct cw_metrics *m, const char *name, const char *labels,
                                      const char *help)
{
    struct family *f = family_get(m, name, METRIC_COUNTER, help);
    struct series *s = series_get(f, labels, sizeof(struct cw_counter));

    return CW_CONTAINER_OF(s, struct cw_counter, series);
}

struct cw_gauge *cw_metrics_gauge(struct cw_metrics *m, const char *name, const char *labels,
                                  const char *help)
{
    struct family *f = family_get(m, name, METRIC_GAUGE, help);
    struct series *s = series_get(f, labels, sizeof(struct cw_gauge));

    return CW_CONTAINER_OF(s, struct cw_gauge, series);
}

struct cw_histogram *cw_metrics_histogram(struct cw_metrics *m, const char *name,
                                          const char *labels, const char *help,
                                          const double *bounds, size_t bound_count)
{
    struct family *f = family_get(m, name, METRIC_HISTOGRAM, help);
    struct cw_histogram *h;
    struct series *s;

    if (!f->bounds)
        family_set_bounds(f, bounds, bound_count);
    s = series_get(f, labels, sizeof(*h) + (f->bound_count + 1) * sizeof(h->buckets[0]));
    h = CW_CONTAINER_OF(s, struct cw_histogram, series);
    h->family = f;
    return h;
}

void cw_counter_add(struct cw_counter *c, uint64_t n)
{
    c->value += n;
}

void cw_counter_shown_per(struct cw_counter *c, uint32_t per)
{
    c->per = per;
}

uint64_t cw_counter_value(const struct cw_counter *c)
{
    return c->value;
}

void cw_gauge_set(struct cw_gauge *g, double v)
{
    g->value = v;
}

void cw_histogram_observe(struct cw_histogram *h, double v)
{
    size_t i = 0;

    if (isnan(v))
        return; /* would poison the sum for good */
    while (i < h->family->bound_count && v > h->family->bounds[i])
        i++;
    h->buckets[i]++;
    h->count++;
    h->sum += v;
}

uint64_t cw_histogram_count(const struct cw_histogram *h)
{
    return h->count;
}

/* `specials`: the characters that take a backslash; a newline becomes \n. */
static void add_escaped(struct cw_str *out, const char *text, const char *specials)
{
    size_t left = strlen(text);

    while (left) {
        size_t n = cw_utf8_seq(text, left);

        if (n == 0) {
            cw_str_addc(out, '?'); /* a scraper refuses the whole page otherwise */
        } else if (*text == '\n') {
            cw_str_addz(out, "\\n");
        } else {
            if (n == 1 && strchr(specials, *text))
                cw_str_addc(out, '\\');
            cw_str_add(out, text, n);
        }
        n += n == 0;
        text += n;
        left -= n;
    }
}

void cw_metrics_label(struct cw_str *out, const char *name, const char *value)
{
    if (out->n)
        cw_str_addc(out, ',');
    add_name(out, name);
    cw_str_addz(out, "=\"");
    add_escaped(out, value, "\\\"");
    cw_str_addc(out, '"');
}

/* The shortest decimal text that reads back as the same double. */
static void add_double(struct cw_str *out, double v)
{
    char text[40];

    if (isnan(v)) {
        cw_str_addz(out, "NaN");
        return;
    }
    if (isinf(v)) {
        cw_str_addz(out, v > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    cw_str_addz(out, text);
}

/* name + suffix + {labels,le="bound"} + blank; no braces when there is nothing in them. */
static void add_head(struct cw_str *out, const struct family *f, const char *suffix,
                     const struct series *s, const double *le)
{
    cw_str_addz(out, f->name);
    cw_str_addz(out, suffix);
    if (*s->labels || le) {
        cw_str_addc(out, '{');
        cw_str_addz(out, s->labels);
        if (le) {
            cw_str_addz(out, *s->labels ? ",le=\"" : "le=\"");
            add_double(out, *le);
            cw_str_addc(out, '"');
        }
        cw_str_addc(out, '}');
    }
    cw_str_addc(out, ' ');
}

static void add_count(struct cw_str *out, uint64_t n)
{
    cw_str_addf(out, "%" PRIu64 "\n", n);
}

static void add_counted(struct cw_str *out, const struct cw_counter *c)
{
    if (c->per <= 1) {
        add_count(out, c->value);
        return;
    }
    add_double(out, (double)c->value / c->per);
    cw_str_addc(out, '\n');
}

static void render_histogram(const struct cw_histogram *h, struct cw_str *out)
{
    const struct family *f = h->family;
    const double inf = INFINITY;
    uint64_t below = 0;

    for (size_t i = 0; i <= f->bound_count; i++) {
        below += h->buckets[i];
        add_head(out, f, "_bucket", &h->series, i < f->bound_count ? &f->bounds[i] : &inf);
        add_count(out, below);
    }
    add_head(out, f, "_sum", &h->series, NULL);
    add_double(out, h->sum);
    cw_str_addc(out, '\n');
    add_head(out, f, "_count", &h->series, NULL);
    add_count(out, h->count);
}

static void render_series(const struct family *f, const struct series *s, struct cw_str *out)
{
    switch (f->type) {
    case METRIC_COUNTER:
        add_head(out, f, "", s, NULL);
        add_counted(out, CW_CONTAINER_OF(s, struct cw_counter, series));
        break;
    case METRIC_GAUGE:
        add_head(out, f, "", s, NULL);
        add_double(out, CW_CONTAINER_OF(s, struct cw_gauge, series)->value);
        cw_str_addc(out, '\n');
        break;
    case METRIC_HISTOGRAM:
        render_histogram(CW_CONTAINER_OF(s, struct cw_histogram, series), out);
        break;
    }
}

void cw_metrics_render(const struct cw_metrics *m, struct cw_str *out)
{
    CW_LIST_EACH (&m->families, link) {
        const struct family *f = CW_LIST_ENTRY(link, struct family, link);

        if (f->help) {
            cw_str_addf(out, "# HELP %s ", f->name);
            add_escaped(out, f->help, "\\");
            cw_str_addc(out, '\n');
        }
        cw_str_addf(out, "# TYPE %s %s\n", f->name, TYPE_NAMES[f->type]);
        CW_LIST_EACH (&f->series, at) {
            render_series(f, CW_LIST_ENTRY(at, struct series, link), out);
        }
    }
    if (m->add)
        m->add(m->add_arg, out);
}
