#include "invoker/logs/log_frames.h"

#include "common/base/utf8.h"

void inv_log_frames_init(struct inv_log_frames *f)
{
    memset(f, 0, sizeof(*f));
    cw_str_init(&f->text, INV_FRAME_MAX_TIME + INV_FRAME_MAX_TEXT);
}

void inv_log_frames_done(struct inv_log_frames *f)
{
    cw_str_done(&f->text);
}

/* ---- one message ---- */

static bool is_time_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == ':' || c == '.' || c == 'T' ||
           c == 'Z';
}

static size_t time_length(struct cw_slice message)
{
    size_t n = 0;

    while (n < message.n && n < INV_FRAME_MAX_TIME && is_time_char(message.p[n]))
        n++;
    return n >= 20 && n < message.n && message.p[n] == ' ' ? n : 0;
}

/* Streams have nine digits after the point, files none that are zeros at the end. */
static size_t trim_time(char *time, size_t n)
{
    char *point = memchr(time, '.', n), *end, *last;

    if (!point)
        return n;
    for (end = point + 1; end < time + n && *end >= '0' && *end <= '9';)
        end++;
    for (last = end; last > point + 1 && last[-1] == '0';)
        last--;
    if (last == point + 1)
        last = point;
    memmove(last, end, (size_t)(time + n - end));
    return n - (size_t)(end - last);
}

static void deliver(struct inv_log_frames *f, unsigned stream, inv_log_message_fn *fn, void *arg)
{
    struct inv_log_message m = {.stream = stream, .text = cw_str_slice(&f->text)};
    size_t n = time_length(m.text);
    char time[INV_FRAME_MAX_TIME];

    if (n > 0) {
        memcpy(time, m.text.p, n);
        m.text = cw_slice(m.text.p + n + 1, m.text.n - n - 1);
        m.time = cw_slice(time, trim_time(time, n));
    }
    fn(arg, &m);
    cw_str_reset(&f->text);
}

/* What goes over the maximum is dropped; the message stays one. */
static void add_text(struct inv_log_frames *f, const char *p, size_t n)
{
    size_t room = f->text.max - f->text.n;

    cw_str_add(&f->text, p, n < room ? n : room);
}

/* ---- pieces ---- */

static uint32_t frame_length(const unsigned char *head)
{
    return (uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 | (uint32_t)head[6] << 8 | head[7];
}

/* Times begin with a digit, heads do not. */
static void find_form(struct inv_log_frames *f, char first)
{
    f->form = (unsigned char)first <= 3 ? INV_FRAMES_FRAMED : INV_FRAMES_RAW;
}

static size_t add_head(struct inv_log_frames *f, struct cw_slice piece)
{
    size_t n = INV_FRAME_HEAD - f->head_n;

    if (n > piece.n)
        n = piece.n;
    memcpy(f->head + f->head_n, piece.p, n);
    f->head_n += n;
    if (f->head_n == INV_FRAME_HEAD)
        f->left = frame_length(f->head);
    return n;
}

static size_t add_framed(struct inv_log_frames *f, struct cw_slice piece, inv_log_message_fn *fn,
                         void *arg)
{
    size_t n;

    if (f->head_n < INV_FRAME_HEAD)
        n = add_head(f, piece);
    else {
        n = f->left < piece.n ? f->left : piece.n;
        add_text(f, piece.p, n);
        f->left -= (uint32_t)n;
    }
    if (f->head_n == INV_FRAME_HEAD && f->left == 0) {
        f->head_n = 0;
        if (f->text.n)
            deliver(f, f->head[0] == 2, fn, arg);
    }
    return n;
}

static size_t add_raw(struct inv_log_frames *f, struct cw_slice piece, inv_log_message_fn *fn,
                      void *arg)
{
    const char *nl = memchr(piece.p, '\n', piece.n);
    size_t n = nl ? (size_t)(nl + 1 - piece.p) : piece.n;

    add_text(f, piece.p, n);
    if (nl)
        deliver(f, 0, fn, arg);
    return n;
}

void inv_log_frames_add(struct inv_log_frames *f, struct cw_slice piece, inv_log_message_fn *fn,
                        void *arg)
{
    while (piece.n > 0) {
        size_t n;

        if (f->form == INV_FRAMES_UNKNOWN)
            find_form(f, piece.p[0]);
        n = f->form == INV_FRAMES_FRAMED ? add_framed(f, piece, fn, arg)
                                         : add_raw(f, piece, fn, arg);
        piece = cw_slice(piece.p + n, piece.n - n);
    }
}

/* ---- as in the file ---- */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static void put_byte(struct cw_str *out, unsigned char c)
{
    static const char HEX[] = "0123456789abcdef";

    if (c == '\n')
        cw_str_addz(out, "\\n");
    else if (c == '\r')
        cw_str_addz(out, "\\r");
    else if (c == '"' || c == '\\')
        cw_str_add(out, (char[]){'\\', (char)c}, 2);
    else
        cw_str_add(out, (char[]){'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]}, 6);
}

/* One character that is not plain; returns its length. */
static size_t put_odd(struct cw_str *out, const char *p, size_t left)
{
    size_t n = cw_utf8_seq(p, left);

    if (n == 0) {
        cw_str_addz(out, "\\ufffd");
        return 1;
    }
    if (n == 1)
        put_byte(out, (unsigned char)*p);
    else if (n == 3 && memcmp(p, "\xe2\x80\xa8", 3) == 0)
        cw_str_addz(out, "\\u2028");
    else if (n == 3 && memcmp(p, "\xe2\x80\xa9", 3) == 0)
        cw_str_addz(out, "\\u2029");
    else
        cw_str_add(out, p, n);
    return n;
}

static void put_text(struct cw_str *out, struct cw_slice text)
{
    const char *p = text.p, *end = text.p + text.n;

    while (p < end) {
        const char *from = p;

        while (p < end && is_plain((unsigned char)*p))
            p++;
        cw_str_add(out, from, (size_t)(p - from));
        if (p < end)
            p += put_odd(out, p, (size_t)(end - p));
    }
}

void inv_log_message_encode(const struct inv_log_message *m, struct cw_str *out)
{
    cw_str_addz(out, "{\"log\":\"");
    put_text(out, m->text);
    cw_str_addz(out, m->stream ? "\",\"stream\":\"stderr\"" : "\",\"stream\":\"stdout\"");
    if (m->time.n) {
        cw_str_addz(out, ",\"time\":\"");
        cw_str_adds(out, m->time);
        cw_str_addz(out, "\"");
    }
    cw_str_addz(out, "}\n");
}
