#include "tests/bench/sim_trace.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/mem.h"

enum column { AT, FUNCTION, KIND, DECLARED, COLD, RUN, CPU, MEMORY, COLUMNS };

static const struct {
    const char *name;
    int64_t min, max;
} COLUMN[COLUMNS] = {
    [AT] = {"at_us", 0, 365 * INT64_C(86400000000)},
    [FUNCTION] = {"function", 0, SIM_FUNCTIONS_MAX - 1},
    [KIND] = {"kind", 0, SIM_KINDS - 1},
    [DECLARED] = {"declared_mib", 1, 1 << 20},
    [COLD] = {"cold_us", 0, INT64_C(86400000000)},
    [RUN] = {"run_us", 1, INT64_C(86400000000)},
    [CPU] = {"cpu_millis", 1, 64000},
    [MEMORY] = {"memory_mib", 1, 1 << 20},
};

/* The text up to the next separator, which is taken off too. */
static struct cw_slice cut(struct cw_slice *rest, char separator)
{
    const char *at = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
    struct cw_slice head = *rest;

    if (!at) {
        *rest = cw_slice(NULL, 0);
        return head;
    }
    head.n = (size_t)(at - rest->p);
    *rest = cw_slice(at + 1, rest->n - head.n - 1);
    return head;
}

static int read_columns(struct cw_slice line, int64_t out[COLUMNS], struct cw_err *err)
{
    for (int i = 0; i < COLUMNS; i++) {
        struct cw_slice field = cw_slice_trim(cut(&line, ','));

        if (cw_parse_i64(field, COLUMN[i].name, COLUMN[i].min, COLUMN[i].max, &out[i], err) != 0)
            return -1;
    }
    return line.n == 0 ? 0 : cw_fail(err, CW_INVALID, "more than %d columns", COLUMNS);
}

static uint32_t function_of(struct sim_trace *t, const int64_t v[COLUMNS])
{
    int32_t known = t->index_of[v[FUNCTION]];

    if (known >= 0)
        return (uint32_t)known;
    if (t->function_n == t->function_cap) {
        t->function_cap = t->function_cap ? 2 * t->function_cap : 64;
        t->functions = cw_realloc(t->functions, t->function_cap * sizeof(*t->functions));
    }
    t->functions[t->function_n] = (struct sim_function){.number = (uint32_t)v[FUNCTION],
                                                        .kind = (uint32_t)v[KIND],
                                                        .declared_mib = (uint32_t)v[DECLARED],
                                                        .cold_us = v[COLD]};
    t->index_of[v[FUNCTION]] = (int32_t)t->function_n;
    return (uint32_t)t->function_n++;
}

static int add_row(struct sim_trace *t, const int64_t v[COLUMNS], struct cw_err *err)
{
    struct sim_row row = {.at_us = v[AT], .run_us = v[RUN], .cpu_millis = (uint32_t)v[CPU]};

    if (t->n > 0 && v[AT] < t->rows[t->n - 1].at_us)
        return cw_fail(err, CW_INVALID, "at_us: earlier than in the line before");
    if (t->n >= SIM_ROWS_MAX)
        return cw_fail(err, CW_TOO_LARGE, "more than %d lines", SIM_ROWS_MAX);
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 1024;
        t->rows = cw_realloc(t->rows, t->cap * sizeof(*t->rows));
    }
    row.function = function_of(t, v);
    row.memory_mib = (uint32_t)v[MEMORY];
    if (row.memory_mib > t->functions[row.function].declared_mib)
        row.memory_mib = t->functions[row.function].declared_mib;
    t->rows[t->n++] = row;
    return 0;
}

int sim_trace_read(struct sim_trace *t, struct cw_slice text, struct cw_err *err)
{
    int64_t v[COLUMNS];
    size_t number = 1;

    *t = (struct sim_trace){.index_of = cw_calloc(SIM_FUNCTIONS_MAX, sizeof(*t->index_of))};
    for (size_t i = 0; i < SIM_FUNCTIONS_MAX; i++)
        t->index_of[i] = -1;
    if (!cw_slice_is(cw_slice_trim(cut(&text, '\n')), SIM_TRACE_HEADER))
        return cw_fail(err, CW_INVALID, "line 1: expected " SIM_TRACE_HEADER);
    while (text.n > 0) {
        struct cw_slice line = cw_slice_trim(cut(&text, '\n'));

        number++;
        if (line.n == 0)
            continue;
        if (read_columns(line, v, err) != 0 || add_row(t, v, err) != 0)
            return cw_err_wrap(err, "line %zu", number);
    }
    return t->n > 0 ? 0 : cw_fail(err, CW_INVALID, "no activations");
}

void sim_trace_done(struct sim_trace *t)
{
    free(t->rows);
    free(t->functions);
    free(t->index_of);
    *t = (struct sim_trace){0};
}
