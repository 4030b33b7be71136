#include "invoker/logs/log_lines.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/json/raw.h"

#define SENTINEL "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

enum {
    SENTINEL_LEN = sizeof(SENTINEL) - 1,
    LINE_DEPTH = 8, /* "attrs" may nest once */
    TIME_COLUMNS = 30,
    NOTES_MAX = 4096, /* room for our own lines */
};

struct fields {
    struct cw_slice text; /* escaped, without quotes */
    struct cw_slice time;
    unsigned stream; /* index of pieces */
};

static const char *const STREAMS[] = {"stdout", "stderr"};

void inv_log_lines_init(struct inv_log_lines *l, int64_t limit_bytes)
{
    /* A stored line is longer than its json line only where that is next to nothing. */
    size_t max = (size_t)limit_bytes * 2 + NOTES_MAX;

    memset(l, 0, sizeof(*l));
    l->limit_bytes = limit_bytes;
    cw_str_init(&l->json, max);
    for (size_t i = 0; i < CW_ARRAY_LEN(l->pieces); i++)
        cw_str_init(&l->pieces[i].text, max);
}

void inv_log_lines_done(struct inv_log_lines *l)
{
    cw_str_done(&l->json);
    for (size_t i = 0; i < CW_ARRAY_LEN(l->pieces); i++)
        cw_str_done(&l->pieces[i].text);
}

size_t inv_log_lines_longest(const struct inv_log_lines *l)
{
    return l->limit_bytes < INV_LOG_MAX_LINE ? (size_t)l->limit_bytes : INV_LOG_MAX_LINE;
}

static struct cw_slice unquote(struct cw_slice quoted)
{
    return cw_slice(quoted.p + 1, quoted.n - 2);
}

static bool take_field(struct fields *f, unsigned *seen, struct cw_slice key, struct cw_slice value)
{
    bool string = cw_raw_type(value) == CW_RAW_STRING;

    if (cw_raw_string_is(key, "log") && string) {
        f->text = unquote(value);
        *seen |= 1;
    } else if (cw_raw_string_is(key, "time") && string) {
        f->time = unquote(value);
        *seen |= 2;
        return f->time.n <= INV_LOG_TIME_MAX && !memchr(f->time.p, '\\', f->time.n);
    } else if (cw_raw_string_is(key, "stream") && string) {
        f->stream = cw_raw_string_is(value, STREAMS[1]);
        *seen |= 4;
        return f->stream || cw_raw_string_is(value, STREAMS[0]);
    }
    return true; /* "attrs", and what future engines add */
}

static bool parse(struct cw_slice line, struct fields *f)
{
    struct cw_slice value, key;
    struct cw_raw_iter it;
    unsigned seen = 0;

    if (cw_raw_check(line, LINE_DEPTH, &value, NULL) != 0 || cw_raw_type(value) != CW_RAW_OBJECT)
        return false;
    it = cw_raw_iter(value);
    while (cw_raw_next_member(&it, &key, &value))
        if (!take_field(f, &seen, key, value))
            return false;
    return seen == 7;
}

/* Is the character behind text[0..n) escaped? */
static bool ends_in_backslash(const char *text, size_t n)
{
    size_t run = 0;

    while (run < n && text[n - 1 - run] == '\\')
        run++;
    return run % 2 == 1;
}

/* Removes an escaped character from the end. */
static bool strip_escape(struct cw_slice *text, char c)
{
    if (text->n < 2 || text->p[text->n - 1] != c || !ends_in_backslash(text->p, text->n - 1))
        return false;
    text->n -= 2;
    return true;
}

static void put_line(struct inv_log_lines *l, struct cw_slice time, unsigned stream,
                     struct cw_slice head, struct cw_slice tail)
{
    if (l->discard)
        return;
    cw_str_addz(&l->json, l->json.n ? ",\"" : "[\"");
    cw_str_adds(&l->json, time);
    for (size_t n = time.n; n < TIME_COLUMNS; n++)
        cw_str_addc(&l->json, ' ');
    cw_str_addc(&l->json, ' ');
    cw_str_addz(&l->json, STREAMS[stream]);
    cw_str_addz(&l->json, ": ");
    cw_str_adds(&l->json, head);
    cw_str_adds(&l->json, tail);
    cw_str_addc(&l->json, '"');
}

/* Stores what is open, cut to keep bytes, together with tail. */
static void close_piece(struct inv_log_lines *l, unsigned stream, size_t keep, struct cw_slice tail)
{
    struct inv_log_piece *p = &l->pieces[stream];

    if (!p->open)
        return;
    if (keep > 0 || tail.n > 0)
        put_line(l, cw_slice_of(p->time), stream, cw_slice(p->text.p, keep), tail);
    p->open = false;
    cw_str_reset(&p->text);
}

static void close_pieces(struct inv_log_lines *l)
{
    for (unsigned i = 0; i < CW_ARRAY_LEN(l->pieces); i++)
        close_piece(l, i, l->pieces[i].text.n, CW_SLICE(""));
}

/* As much as the beginning of a sentinel may need. */
static void keep_tail(struct cw_str *text)
{
    if (text->n > SENTINEL_LEN)
        cw_str_consume(text, text->n - SENTINEL_LEN);
}

static void open_piece(struct inv_log_lines *l, const struct fields *f)
{
    struct inv_log_piece *p = &l->pieces[f->stream];

    if (!p->open) {
        memcpy(p->time, f->time.p, f->time.n);
        p->time[f->time.n] = '\0';
        p->open = true;
    }
    if (l->discard)
        keep_tail(&p->text);
    cw_str_adds(&p->text, f->text);
}

/* Where a sentinel begins that Docker cut in two, or the length of the open text. */
static size_t split_sentinel(const struct inv_log_piece *p, struct cw_slice next)
{
    char seam[2 * SENTINEL_LEN];
    size_t head = p->text.n < SENTINEL_LEN ? p->text.n : SENTINEL_LEN;
    size_t tail = next.n < SENTINEL_LEN ? next.n : SENTINEL_LEN;
    const char *at;

    if (!p->open || head == 0 || tail == 0)
        return p->text.n;
    memcpy(seam, p->text.p + p->text.n - head, head);
    memcpy(seam + head, next.p, tail);
    at = memmem(seam, head + tail, SENTINEL, SENTINEL_LEN);
    return at ? p->text.n - head + (size_t)(at - seam) : p->text.n;
}

static enum inv_log_verdict end_of_activation(struct inv_log_lines *l)
{
    return ++l->sentinels >= 2 ? INV_LOG_DONE : INV_LOG_MORE;
}

static enum inv_log_verdict take(struct inv_log_lines *l, const struct fields *f, bool sentinel)
{
    struct inv_log_piece *p = &l->pieces[f->stream];
    struct cw_slice text = f->text;
    size_t keep = split_sentinel(p, text);

    if (sentinel || keep < p->text.n) {
        close_piece(l, f->stream, keep, CW_SLICE(""));
        return end_of_activation(l);
    }
    if (!strip_escape(&text, 'n')) {
        open_piece(l, f);
        return INV_LOG_MORE;
    }
    (void)strip_escape(&text, 'r');
    if (p->open)
        close_piece(l, f->stream, p->text.n, text);
    else
        put_line(l, f->time, f->stream, text, CW_SLICE(""));
    return INV_LOG_MORE;
}

/* The line as it is, with more members at its end. */
static void add_raw(struct inv_log_lines *l, struct cw_slice line)
{
    line = cw_slice_trim(line);
    if (!l->raw || l->discard || line.n == 0)
        return;
    cw_str_add(l->raw, line.p, line.n - 1);
    cw_str_adds(l->raw, l->raw_tail);
    cw_str_addz(l->raw, "}\n");
}

enum inv_log_verdict inv_log_lines_add(struct inv_log_lines *l, struct cw_slice line)
{
    bool sentinel = memmem(line.p, line.n, SENTINEL, SENTINEL_LEN) != NULL;
    struct fields f = {.stream = 0};

    if (!l->discard) {
        if (line.n > inv_log_lines_longest(l))
            return INV_LOG_BROKEN;
        l->used_bytes += (int64_t)line.n + 1;
        if (l->used_bytes > l->limit_bytes) {
            l->sentinels += sentinel;
            return INV_LOG_TRUNCATED;
        }
    }
    if (parse(line, &f)) {
        if (!sentinel)
            add_raw(l, line);
        return take(l, &f, sentinel);
    }
    if (sentinel) /* stock looks for it in the raw line, too */
        return end_of_activation(l);
    l->garbage = true;
    return INV_LOG_MORE;
}

void inv_log_lines_note(struct inv_log_lines *l, const char *text, int64_t wall_ms)
{
    char time[CW_ISO_TIME_LEN + 1];

    close_pieces(l);
    cw_clock_iso(wall_ms, time);
    put_line(l, cw_slice_of(time), 1, cw_slice_of(text), CW_SLICE(""));
    if (l->raw)
        cw_str_addf(l->raw, "{\"time\":\"%s\",\"stream\":\"stderr\",\"log\":\"%s\"%.*s}\n", time,
                    text, (int)l->raw_tail.n, l->raw_tail.p);
}

void inv_log_lines_rest(const struct inv_log_lines *l, struct inv_log_lines *ret)
{
    *ret = (struct inv_log_lines){.discard = true, .sentinels = l->sentinels};
    cw_str_init(&ret->json, 0);
    for (size_t i = 0; i < CW_ARRAY_LEN(l->pieces); i++) {
        const struct inv_log_piece *from = &l->pieces[i];
        size_t n = from->text.n < SENTINEL_LEN ? from->text.n : SENTINEL_LEN;
        struct inv_log_piece *to = &ret->pieces[i];

        cw_str_init(&to->text, INV_LOG_MAX_LINE + SENTINEL_LEN);
        cw_str_add(&to->text, from->text.p + from->text.n - n, n);
        to->open = from->open;
    }
}

struct cw_slice inv_log_lines_finish(struct inv_log_lines *l)
{
    close_pieces(l);
    cw_str_addz(&l->json, l->json.n ? "]" : "[]");
    return cw_str_slice(&l->json);
}
