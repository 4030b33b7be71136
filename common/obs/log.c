/* A line is built in a buffer of PIPE_BUF bytes on the caller's stack: up to that size the kernel
 * keeps lines of several writers apart even on a shared pipe. Text that does not fit is cut and
 * ends in "...". No lock here: the settings are atomic, and nothing else is shared. */
#include "common/obs/log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/txid.h"
#include "common/base/utf8.h"
#include "common/obs/log_sink.h"

static struct {
    _Atomic int level;
    _Atomic int format;
    _Atomic(const struct cw_clock *) clock;
} sink = {.level = CW_LOG_INFO, .format = CW_LOG_WHISK, .clock = NULL};

static const char *const LEVEL_NAMES[] = {
    [CW_LOG_ERROR] = "ERROR",
    [CW_LOG_WARN] = "WARN",
    [CW_LOG_INFO] = "INFO",
    [CW_LOG_DEBUG] = "DEBUG",
};

static const char CUT[] = "...";

enum {
    TEXT_MAX = 3072, /* of one message before cleaning */
    FIELD_MAX = 160, /* of an id or a component name: they come from outside, too */
    MARKER_MAX = 256,
    TAIL_RESERVE = 384, /* kept free behind the text for marker, quotes and newline */
};

struct line {
    char buf[PIPE_BUF];
    size_t n;
    bool json;
};

/* One event, before it has a shape. */
struct event {
    enum cw_log_level level;
    int64_t now_ms;
    const struct cw_tx *tx;
    const char *component;
    const char *marker; /* NULL: none */
    int64_t duration_ms;
};

void cw_log_setup(const struct cw_log_conf *conf)
{
    atomic_store(&sink.level, (int)conf->level);
    atomic_store(&sink.format, (int)conf->format);
    atomic_store(&sink.clock, conf->clock);
    cw_log_sink_set(conf->fd, conf->gather);
}

bool cw_log_enabled(enum cw_log_level level)
{
    return (int)level <= atomic_load_explicit(&sink.level, memory_order_relaxed);
}

bool cw_log_level_parse(const char *text, enum cw_log_level *ret)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(LEVEL_NAMES); i++) {
        if (strcasecmp(text, LEVEL_NAMES[i]) == 0) {
            *ret = (enum cw_log_level)i;
            return true;
        }
    }
    return false;
}

static void put_bytes(struct line *l, const char *p, size_t n)
{
    if (n > sizeof(l->buf) - l->n)
        n = sizeof(l->buf) - l->n;
    memcpy(l->buf + l->n, p, n);
    l->n += n;
}

static void put(struct line *l, const char *text)
{
    put_bytes(l, text, strlen(text));
}

static void put_int(struct line *l, int64_t v)
{
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
    char digits[24], *p = digits + sizeof(digits);

    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        *--p = '-';
    put_bytes(l, p, (size_t)(digits + sizeof(digits) - p));
}

/* What a reader of lines or a terminal takes for an end of line, a command, or another direction:
 * U+0080..U+009F (U+0085 is a line end), U+2028, U+2029, U+202A..U+202E, U+2066..U+2069. */
static bool is_treacherous(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    if (n == 2)
        return u[0] == 0xc2 && u[1] < 0xa0;
    return n == 3 && u[0] == 0xe2 &&
           ((u[1] == 0x80 && u[2] >= 0xa8 && u[2] <= 0xae) ||
            (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9));
}

/* The printable form of the character at p; *used tells how many bytes it stands for. */
static size_t clean_char(const struct line *l, const char *p, size_t left, char out[4],
                         size_t *used)
{
    size_t n = cw_utf8_seq(p, left);
    char c = n ? *p : '?';

    *used = n ? n : 1;
    if (n > 1 && !is_treacherous(p, n)) {
        memcpy(out, p, n);
        return n;
    }
    if (n > 1)
        c = '?';
    if (c == '\n' || c == '\r' || c == '\t')
        c = ' ';
    else if (iscntrl((unsigned char)c))
        c = '?';
    n = 0;
    if (l->json && (c == '"' || c == '\\'))
        out[n++] = '\\';
    out[n++] = c;
    return n;
}

/* Characters at the beginning that stay as they are: nearly always all. */
static size_t plain_run(const char *text, size_t n, bool json)
{
    size_t i = 0;

    while (i < n && text[i] >= ' ' && text[i] < 0x7f &&
           !(json && (text[i] == '"' || text[i] == '\\')))
        i++;
    return i;
}

/* Text from outside: one line, valid UTF-8, escaped for JSON, at most `max` bytes of output. */
static void put_clean(struct line *l, const char *text, size_t max)
{
    size_t left = strlen(text), room = sizeof(l->buf) - TAIL_RESERVE - l->n;
    size_t end;

    if (max > room)
        max = room;
    end = l->n + max - (sizeof(CUT) - 1);
    while (left) {
        size_t run = plain_run(text, left, l->json), fits = end - l->n;
        size_t used, n;
        char c[4];

        if (run > 0) {
            n = run < fits ? run : fits;
            put_bytes(l, text, n);
            if (n < run) {
                put(l, CUT);
                return;
            }
            text += n;
            left -= n;
            continue;
        }
        n = clean_char(l, text, left, c, &used);
        if (l->n + n > end) {
            put(l, CUT);
            return;
        }
        memcpy(l->buf + l->n, c, n);
        l->n += n;
        text += used;
        left -= used;
    }
}

static int64_t since_start(const struct event *e)
{
    int64_t ms = e->tx ? e->now_ms - e->tx->start_ms : 0;

    return ms > 0 ? ms : 0; /* the start is by another machine's clock */
}

static void put_tids(struct line *l, const struct cw_tx *tx, const char *before_root,
                     const char *before_child, const char *after)
{
    put(l, before_root);
    put_clean(l, tx ? tx->root_id : "sid_unknown", FIELD_MAX);
    put(l, after);
    if (tx && tx->has_parent) {
        put(l, before_child);
        put_clean(l, tx->id, FIELD_MAX);
        put(l, after);
    }
}

static void shape_whisk(struct line *l, const struct event *e, const char *text)
{
    char iso[CW_ISO_TIME_LEN + 1];

    cw_clock_iso(e->now_ms, iso);
    put(l, "[");
    put(l, iso);
    put(l, "] [");
    put(l, LEVEL_NAMES[e->level]);
    put_tids(l, e->tx, "] [#tid_", " [#tid_", "]");
    put(l, " [");
    put_clean(l, e->component, FIELD_MAX);
    put(l, "] ");
    put_clean(l, text, sizeof(l->buf));
    if (e->marker) {
        put(l, " [marker:"); /* also behind no text: as stock does */
        put_bytes(l, e->marker, strnlen(e->marker, MARKER_MAX));
        put(l, ":");
        put_int(l, since_start(e));
        if (e->duration_ms >= 0) {
            put(l, ":");
            put_int(l, e->duration_ms);
        }
        put(l, "]");
    }
}

static void shape_json(struct line *l, const struct event *e, const char *text)
{
    char iso[CW_ISO_TIME_LEN + 1];

    cw_clock_iso(e->now_ms, iso);
    put(l, "{\"time\":\"");
    put(l, iso);
    put(l, "\",\"level\":\"");
    put(l, LEVEL_NAMES[e->level]);
    put_tids(l, e->tx, "\",\"tid\":\"", ",\"child\":\"", "\"");
    put(l, ",\"component\":\"");
    put_clean(l, e->component, FIELD_MAX);
    put(l, "\",\"text\":\"");
    put_clean(l, text, sizeof(l->buf));
    put(l, "\"");
    if (e->marker) {
        put(l, ",\"marker\":\"");
        put_bytes(l, e->marker, strnlen(e->marker, MARKER_MAX));
        put(l, "\",\"since_start_ms\":");
        put_int(l, since_start(e));
        if (e->duration_ms >= 0) {
            put(l, ",\"duration_ms\":");
            put_int(l, e->duration_ms);
        }
    }
    put(l, "}");
}

__attribute__((format(printf, 2, 0))) static void emit(struct event *e, const char *fmt, va_list ap)
{
    const struct cw_clock *clock = atomic_load(&sink.clock);
    char text[TEXT_MAX + sizeof(CUT)];
    struct line l; /* its buffer is filled as far as it is used */
    int n = vsnprintf(text, TEXT_MAX, fmt, ap);

    if (n < 0)
        memcpy(text, "?", 2);
    else if (n >= TEXT_MAX)
        memcpy(text + TEXT_MAX - 1, CUT, sizeof(CUT));
    e->now_ms = cw_clock_wall_ms(clock ? clock : cw_clock_system());
    l.n = 0;
    l.json = atomic_load(&sink.format) == CW_LOG_JSON;
    if (l.json)
        shape_json(&l, e, text);
    else
        shape_whisk(&l, e, text);
    put(&l, "\n");
    cw_log_sink_put(l.buf, l.n, e->level == CW_LOG_ERROR);
}

bool cw_log_flush(void)
{
    uint64_t lost;
    bool all = cw_log_sink_flush(0, &lost);

    if (lost > 0)
        cw_log(CW_LOG_WARN, NULL, "Log",
               "%" PRIu64 " log lines were lost: they could not be written", lost);
    return all && lost == 0;
}

void cw_log_end(int wait_ms)
{
    uint64_t lost;

    (void)cw_log_flush();
    (void)!cw_log_sink_flush(wait_ms, &lost);
}

/* A transaction that asks for extra logging gets its debug lines as INFO, as stock does. */
static enum cw_log_level level_for(enum cw_log_level level, const struct cw_tx *tx)
{
    return level == CW_LOG_DEBUG && tx && tx->extra_logging ? CW_LOG_INFO : level;
}

void cw_log(enum cw_log_level level, const struct cw_tx *tx, const char *component, const char *fmt,
            ...)
{
    struct event e = {.level = level_for(level, tx), .tx = tx, .component = component};
    int saved = errno; /* callers log first and look at errno later */
    va_list ap;

    if (!cw_log_enabled(e.level))
        return;
    va_start(ap, fmt);
    emit(&e, fmt, ap);
    va_end(ap);
    errno = saved;
}

void cw_log_marker(enum cw_log_level level, const struct cw_tx *tx, const char *component,
                   const char *marker, int64_t duration_ms, const char *fmt, ...)
{
    struct event e = {.level = level_for(level, tx),
                      .tx = tx,
                      .component = component,
                      .marker = marker,
                      .duration_ms = duration_ms};
    int saved = errno;
    va_list ap;

    if (!cw_log_enabled(e.level))
        return;
    va_start(ap, fmt);
    emit(&e, fmt, ap);
    va_end(ap);
    errno = saved;
}
