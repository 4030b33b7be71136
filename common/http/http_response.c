/* Line by line: a line that lies whole in what was fed is parsed in place, one that came in pieces
 * is put together in `line` first. Lenient only where RFC 9112 allows it and runtimes make use of
 * it: bare LF, a missing reason phrase, folded lines of headers that do not matter here. */
#include "common/http/http_response.h"

#include <strings.h>

#include "common/base/err.h"

enum {
    LINE_KEPT = 1024,            /* memory of `line` that is worth keeping between answers */
    BODY_RESERVED = 1024 * 1024, /* reserved at once, before any byte of the body came */
};

void cw_http_response_init(struct cw_http_response *r)
{
    *r = (struct cw_http_response){.content_length = -1};
    cw_str_init(&r->line, CW_HTTP_MAX_HEAD);
    cw_str_init(&r->body, 0);
}

void cw_http_response_done(struct cw_http_response *r)
{
    cw_str_done(&r->line);
    cw_str_done(&r->body);
}

static void begin_head(struct cw_http_response *r)
{
    r->state = CW_HTTP_STATUS_LINE;
    r->status = 0;
    r->content_length = -1;
    r->keep_alive = false;
    r->head_bytes = 0;
    r->header_count = 0;
    r->transfer_encoding = false;
    r->used_header = false;
}

void cw_http_response_begin(struct cw_http_response *r, size_t max_body, size_t truncate_to)
{
    begin_head(r);
    r->body_read = 0;
    r->truncated = false;
    r->why = NULL;
    r->interim_count = 0;
    r->max_body = max_body;
    r->truncate_to = truncate_to;
    if (r->line.cap > LINE_KEPT) {
        cw_str_done(&r->line);
        cw_str_init(&r->line, CW_HTTP_MAX_HEAD);
    }
    cw_str_reset(&r->line);
    cw_str_done(&r->body);
    cw_str_init(&r->body, 0);
}

static void bad(struct cw_http_response *r, const char *why)
{
    r->state = CW_HTTP_BAD;
    r->why = why;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200" and then nothing, or a space and any reason */
static void on_status_line(struct cw_http_response *r, struct cw_slice s)
{
    static const char PREFIX[] = "HTTP/1.";
    enum { MINOR = sizeof(PREFIX) - 1, CODE = MINOR + 2, END = CODE + 3 };
    const char *c;

    if (s.n < END || memcmp(s.p, PREFIX, MINOR) != 0 || !is_digit(s.p[MINOR]) ||
        s.p[MINOR + 1] != ' ') {
        bad(r, "not an HTTP/1 status line");
        return;
    }
    c = s.p + CODE;
    if (c[0] < '1' || c[0] > '9' || !is_digit(c[1]) || !is_digit(c[2]) ||
        (s.n > END && s.p[END] != ' ')) {
        bad(r, "not an HTTP status code");
        return;
    }
    r->status = (c[0] - '0') * 100 + (c[1] - '0') * 10 + (c[2] - '0');
    r->keep_alive = s.p[MINOR] >= '1';
    r->state = CW_HTTP_HEADERS;
}

/* Cuts the next comma-separated element off *list; false at the end. */
static bool next_element(struct cw_slice *list, struct cw_slice *ret_element)
{
    const char *comma;

    if (!list->p)
        return false;
    comma = list->n ? memchr(list->p, ',', list->n) : NULL;
    if (comma) {
        *ret_element = cw_slice_trim(cw_slice(list->p, (size_t)(comma - list->p)));
        *list = cw_slice(comma + 1, (size_t)(list->p + list->n - comma - 1));
    } else {
        *ret_element = cw_slice_trim(*list);
        *list = cw_slice(NULL, 0);
    }
    return true;
}

/* Repeated lengths, in one line or in several, must agree: otherwise nobody knows where the answer
 * ends. */
static void on_content_length(struct cw_http_response *r, struct cw_slice value)
{
    struct cw_slice element;
    int64_t length;

    while (next_element(&value, &element)) {
        if (!element.n || !is_digit(element.p[0]) ||
            cw_parse_i64(element, "Content-Length", 0, INT64_MAX, &length, NULL) != 0) {
            bad(r, "Content-Length is not a number in range");
            return;
        }
        if (r->content_length >= 0 && r->content_length != length) {
            bad(r, "Content-Length given twice with different values");
            return;
        }
        r->content_length = length;
    }
}

static void on_connection(struct cw_http_response *r, struct cw_slice value)
{
    struct cw_slice element;

    while (next_element(&value, &element))
        if (element.n == 5 && strncasecmp(element.p, "close", 5) == 0)
            r->keep_alive = false;
}

static void on_transfer_encoding(struct cw_http_response *r, struct cw_slice value)
{
    (void)value;
    r->transfer_encoding = true;
}

static const struct {
    struct cw_slice name;
    void (*fn)(struct cw_http_response *r, struct cw_slice value);
} USED[] = {
    {CW_SLICE("Connection"), on_connection},
    {CW_SLICE("Content-Length"), on_content_length},
    {CW_SLICE("Transfer-Encoding"), on_transfer_encoding},
};

static bool is_token(struct cw_slice s)
{
    static const char OTHERS[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && !is_digit(c) && !memchr(OTHERS, c, sizeof(OTHERS) - 1))
            return false;
    }
    return s.n > 0;
}

static void on_header(struct cw_http_response *r, struct cw_slice s)
{
    const char *colon = memchr(s.p, ':', s.n);
    struct cw_slice name = cw_slice(s.p, colon ? (size_t)(colon - s.p) : 0), value;

    if (!is_token(name)) {
        bad(r, "not an HTTP header line");
        return;
    }
    if (++r->header_count > CW_HTTP_MAX_HEADERS) {
        bad(r, "more than 100 headers");
        return;
    }
    value = cw_slice_trim(cw_slice(colon + 1, s.n - name.n - 1));
    r->used_header = false;
    for (size_t i = 0; i < CW_ARRAY_LEN(USED); i++) {
        if (name.n != USED[i].name.n || strncasecmp(name.p, USED[i].name.p, name.n) != 0)
            continue;
        r->used_header = true;
        USED[i].fn(r, value);
    }
}

/* An obsolete continuation line. */
static void on_folded(struct cw_http_response *r)
{
    if (r->header_count == 0 || r->used_header)
        bad(r, "folded header line");
}

static void begin_body(struct cw_http_response *r)
{
    uint64_t length = (uint64_t)r->content_length, keep = length;

    r->truncated = length > r->max_body;
    if (r->truncated && keep > r->truncate_to)
        keep = r->truncate_to;
    r->body.max = (size_t)keep;
    /* One allocation for all but huge answers; a length that is a lie costs no more than this. */
    (void)cw_str_reserve(&r->body, keep < BODY_RESERVED ? (size_t)keep : BODY_RESERVED);
    r->state = length ? CW_HTTP_BODY : CW_HTTP_DONE;
}

static void on_head_end(struct cw_http_response *r)
{
    if (r->status == 101)
        bad(r, "protocol switched without being asked");
    else if (r->status < 200 && ++r->interim_count > CW_HTTP_MAX_INTERIM)
        bad(r, "more than 10 interim answers");
    else if (r->status < 200)
        begin_head(r);
    else if (r->status == 204 || r->status == 304)
        bad(r, "status without a body (204 or 304)");
    else if (r->transfer_encoding)
        bad(r, "Transfer-Encoding instead of Content-Length");
    else if (r->content_length < 0)
        bad(r, "no Content-Length");
    else
        begin_body(r);
}

static bool has_control(struct cw_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
            return true;
    return false;
}

/* s ends with LF */
static void on_line(struct cw_http_response *r, struct cw_slice s)
{
    s.n--;
    if (s.n && s.p[s.n - 1] == '\r')
        s.n--;
    if (has_control(s))
        bad(r, "control character in the header block");
    else if (r->state == CW_HTTP_STATUS_LINE)
        on_status_line(r, s);
    else if (s.n == 0)
        on_head_end(r);
    else if (s.p[0] == ' ' || s.p[0] == '\t')
        on_folded(r);
    else
        on_header(r, s);
}

static size_t take_line(struct cw_http_response *r, const char *p, size_t n)
{
    size_t room = CW_HTTP_MAX_HEAD - r->head_bytes, len = n < room ? n : room;
    const char *lf = memchr(p, '\n', len);

    if (!lf && n > room) {
        bad(r, "header block over 64 KiB");
        return n;
    }
    if (lf)
        len = (size_t)(lf - p) + 1;
    r->head_bytes += len;
    if (lf && r->line.n == 0) {
        on_line(r, cw_slice(p, len));
        return len;
    }
    cw_str_add(&r->line, p, len);
    if (lf) {
        on_line(r, cw_str_slice(&r->line));
        cw_str_reset(&r->line);
    }
    return len;
}

static size_t take_body(struct cw_http_response *r, const char *p, size_t n)
{
    uint64_t left = (uint64_t)(r->content_length - r->body_read);
    size_t len = n < left ? n : (size_t)left, room = r->body.max - r->body.n;

    cw_str_add(&r->body, p, len < room ? len : room);
    r->body_read += (int64_t)len;
    if (r->body_read == r->content_length)
        r->state = CW_HTTP_DONE;
    return len;
}

size_t cw_http_response_feed(struct cw_http_response *r, const char *p, size_t n)
{
    size_t used = 0;

    while (used < n && r->state < CW_HTTP_DONE)
        used += r->state == CW_HTTP_BODY ? take_body(r, p + used, n - used)
                                         : take_line(r, p + used, n - used);
    return used;
}
