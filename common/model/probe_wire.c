#include "common/model/probe_wire.h"

#include <stdio.h>

#include "common/base/err.h"

#define GREETING "cwhisk-probe/1 "

static const int64_t MAX_FIGURE = INT64_C(1)
                                  << 62; /* sums and differences of two cannot overflow */

static const char *const SOURCES[] = {
    [CW_PROBE_CGROUP1] = "cgroup1", [CW_PROBE_CGROUP2] = "cgroup2", [CW_PROBE_PROC] = "proc"};

static const struct number {
    const char *key;
    size_t at;
    bool must;
} NUMBERS[] = {
    {"time_ns", offsetof(struct cw_probe_figures, time_ns), false},
    {"cpu_ns", offsetof(struct cw_probe_figures, cpu_ns), true},
    {"memory_bytes", offsetof(struct cw_probe_figures, memory_bytes), true},
    {"peak_bytes", offsetof(struct cw_probe_figures, peak_bytes), false},
    {"pids", offsetof(struct cw_probe_figures, pids), true},
    {"throttled_ns", offsetof(struct cw_probe_figures, throttled_ns), false},
    {"oom_kills", offsetof(struct cw_probe_figures, oom_kills), false},
};

static const struct guess {
    const char *name;
    size_t at;
} GUESSES[] = {
    {"cpu", offsetof(struct cw_probe_figures, cpu_estimated)},
    {"memory", offsetof(struct cw_probe_figures, memory_estimated)},
    {"peak", offsetof(struct cw_probe_figures, peak_estimated)},
    {"pids", offsetof(struct cw_probe_figures, pids_estimated)},
};

static int64_t *number_of(struct cw_probe_figures *f, const struct number *n)
{
    return (int64_t *)(void *)((char *)f + n->at);
}

static bool *guess_of(struct cw_probe_figures *f, const struct guess *g)
{
    return (bool *)((char *)f + g->at);
}

/* ---- questions ---- */

bool cw_probe_is_token(struct cw_slice text)
{
    if (text.n != CW_PROBE_TOKEN_LEN)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!((text.p[i] >= '0' && text.p[i] <= '9') || (text.p[i] >= 'a' && text.p[i] <= 'f')))
            return false;
    return true;
}

void cw_probe_put_request(struct cw_str *out, const char *token)
{
    cw_str_addf(out, GREETING "%s\n", token);
}

static bool is_token_of(const char *text, const char *token)
{
    volatile unsigned char differ = 0; /* volatile: every byte is looked at */

    for (size_t i = 0; i < CW_PROBE_TOKEN_LEN; i++)
        differ |= (unsigned char)(text[i] ^ token[i]);
    return differ == 0;
}

bool cw_probe_is_request(struct cw_slice line, const char *token)
{
    const size_t greeting = sizeof(GREETING) - 1;

    return line.n == greeting + CW_PROBE_TOKEN_LEN && memcmp(line.p, GREETING, greeting) == 0 &&
           is_token_of(line.p + greeting, token);
}

/* ---- writing answers ---- */

struct writer {
    char *out;
    size_t n;
};

/* No more than fits: all that is written here is far below the maximum. */
static void put(struct writer *w, const char *text)
{
    while (*text && w->n < CW_PROBE_ANSWER_MAX - 2)
        w->out[w->n++] = *text++;
    w->out[w->n] = '\0';
}

static void put_number(struct writer *w, const char *key, int64_t value)
{
    char text[32] = "-";

    if (value >= 0)
        (void)snprintf(text, sizeof(text), "%lld",
                       (long long)(value < MAX_FIGURE ? value : MAX_FIGURE));
    put(w, " ");
    put(w, key);
    put(w, "=");
    put(w, text);
}

static void put_guesses(struct writer *w, struct cw_probe_figures *f)
{
    const char *between = "";

    put(w, " estimated=");
    for (size_t i = 0; i < CW_ARRAY_LEN(GUESSES); i++) {
        if (!*guess_of(f, &GUESSES[i]))
            continue;
        put(w, between);
        put(w, GUESSES[i].name);
        between = ",";
    }
    if (!*between)
        put(w, "-");
}

size_t cw_probe_put_answer(char out[CW_PROBE_ANSWER_MAX], const struct cw_probe_figures *f)
{
    struct cw_probe_figures figures = *f;
    struct writer w = {.out = out};

    put(&w, GREETING "source=");
    put(&w, SOURCES[f->source]);
    for (size_t i = 0; i < CW_ARRAY_LEN(NUMBERS); i++)
        put_number(&w, NUMBERS[i].key, *number_of(&figures, &NUMBERS[i]));
    put_guesses(&w, &figures);
    put(&w, "\n");
    return w.n;
}

/* ---- reading answers ---- */

static int bad_pair(struct cw_err *err, struct cw_slice key, struct cw_slice value,
                    const char *accepted)
{
    return cw_fail(err, CW_INVALID, "probe: %.*s: \"%.*s\": expected %s",
                   (int)(key.n < 32 ? key.n : 32), key.p, (int)(value.n < 48 ? value.n : 48),
                   value.p, accepted);
}

static int read_number(struct cw_slice key, struct cw_slice value, int64_t *ret, struct cw_err *err)
{
    *ret = -1;
    if (cw_slice_is(value, "-") || cw_parse_i64(value, "", 0, MAX_FIGURE, ret, NULL) == 0)
        return 0;
    return bad_pair(err, key, value, "0..2^62, or -");
}

static int read_source(struct cw_slice value, struct cw_probe_figures *f, struct cw_err *err)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(SOURCES); i++)
        if (cw_slice_is(value, SOURCES[i])) {
            f->source = (enum cw_probe_source_kind)i;
            return 0;
        }
    return bad_pair(err, CW_SLICE("source"), value, "cgroup1, cgroup2 or proc");
}

/* The text before the separator, which is taken off together with it. */
static struct cw_slice next_part(struct cw_slice *text, char separator)
{
    const char *end = text->n ? memchr(text->p, separator, text->n) : NULL;
    struct cw_slice part = cw_slice(text->p, end ? (size_t)(end - text->p) : text->n);
    size_t used = part.n + (end != NULL);

    *text = cw_slice(text->p + used, text->n - used);
    return part;
}

/* Words that are not known are skipped. */
static void read_guesses(struct cw_slice list, struct cw_probe_figures *f)
{
    while (list.n) {
        struct cw_slice name = next_part(&list, ',');

        for (size_t i = 0; i < CW_ARRAY_LEN(GUESSES); i++)
            if (cw_slice_is(name, GUESSES[i].name))
                *guess_of(f, &GUESSES[i]) = true;
    }
}

static int read_pair(struct cw_slice pair, struct cw_probe_figures *f, struct cw_err *err)
{
    struct cw_slice value = pair, key = next_part(&value, '=');

    if (key.n == pair.n)
        return bad_pair(err, key, value, "key=value");
    if (cw_slice_is(key, "source"))
        return read_source(value, f, err);
    if (cw_slice_is(key, "estimated"))
        read_guesses(value, f);
    for (size_t i = 0; i < CW_ARRAY_LEN(NUMBERS); i++)
        if (cw_slice_is(key, NUMBERS[i].key))
            return read_number(key, value, number_of(f, &NUMBERS[i]), err);
    return 0;
}

int cw_probe_parse_answer(struct cw_slice line, struct cw_probe_figures *ret, struct cw_err *err)
{
    const size_t greeting = sizeof(GREETING) - 1;
    struct cw_probe_figures f = {.source = CW_PROBE_PROC};

    if (line.n < greeting || line.n >= CW_PROBE_ANSWER_MAX ||
        memcmp(line.p, GREETING, greeting) != 0)
        return cw_fail(err, CW_INVALID,
                       "probe: \"%.*s\" is no answer: expected \"" GREETING
                       "...\", at most %d bytes",
                       (int)(line.n < 48 ? line.n : 48), line.p, CW_PROBE_ANSWER_MAX);
    for (size_t i = 0; i < CW_ARRAY_LEN(NUMBERS); i++)
        *number_of(&f, &NUMBERS[i]) = -1;
    line = cw_slice(line.p + greeting, line.n - greeting);
    while (line.n)
        if (read_pair(next_part(&line, ' '), &f, err) != 0)
            return -1;
    for (size_t i = 0; i < CW_ARRAY_LEN(NUMBERS); i++)
        if (NUMBERS[i].must && *number_of(&f, &NUMBERS[i]) < 0)
            return cw_fail(err, CW_INVALID, "probe: %s is missing", NUMBERS[i].key);
    *ret = f;
    return 0;
}
