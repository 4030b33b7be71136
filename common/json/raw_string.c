/* Quoted strings of checked text, and what they mean. Unescaping never makes a text longer. */
#include <assert.h>

#include "common/base/arena.h"
#include "common/json/raw.h"
#include "common/json/scan_priv.h"

enum { UTF8_MAX = 4, REPLACEMENT = 0xfffd };

static struct cw_slice without_quotes(struct cw_slice quoted)
{
    assert(quoted.n >= 2 && quoted.p[0] == '"');
    return cw_slice(quoted.p + 1, quoted.n - 2);
}

static size_t encode(uint32_t code, char to[UTF8_MAX])
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)p[i];

        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* s: behind "\u". Reads the second half of a surrogate pair too. */
static uint32_t take_unicode(struct cw_slice *s)
{
    uint32_t high, low;

    assert(s->n >= 4);
    high = hex4(s->p);
    *s = cw_slice(s->p + 4, s->n - 4);
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || s->n < 6 || s->p[0] != '\\' || s->p[1] != 'u')
        return REPLACEMENT;
    low = hex4(s->p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return REPLACEMENT; /* what follows is a character of its own */
    *s = cw_slice(s->p + 6, s->n - 6);
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* s: at a backslash; moved behind the escape sequence. */
static size_t take_escape(struct cw_slice *s, char to[UTF8_MAX])
{
    char c;

    assert(s->n >= 2);
    c = s->p[1];
    *s = cw_slice(s->p + 2, s->n - 2);
    switch (c) {
    case 'u':
        return encode(take_unicode(s), to);
    case 'b':
        *to = '\b';
        break;
    case 'f':
        *to = '\f';
        break;
    case 'n':
        *to = '\n';
        break;
    case 'r':
        *to = '\r';
        break;
    case 't':
        *to = '\t';
        break;
    default: /* quote, backslash and slash stand for themselves */
        *to = c;
    }
    return 1;
}

/* The bytes in front of the first backslash. */
static size_t plain_length(struct cw_slice s)
{
    const char *backslash = s.n ? memchr(s.p, '\\', s.n) : NULL;

    return backslash ? (size_t)(backslash - s.p) : s.n;
}

static size_t unescaped_length(struct cw_slice s)
{
    char scratch[UTF8_MAX];
    size_t total = 0;

    for (;;) {
        size_t n = plain_length(s);

        total += n;
        s = cw_slice(s.p + n, s.n - n);
        if (s.n == 0)
            return total;
        total += take_escape(&s, scratch);
    }
}

/* `to` has room for the bytes of s; returns how many were written. */
static size_t unescape(struct cw_slice s, char *to)
{
    char *p = to;

    for (;;) {
        size_t n = plain_length(s);
        char one[UTF8_MAX];

        memcpy(p, s.p, n);
        p += n;
        s = cw_slice(s.p + n, s.n - n);
        if (s.n == 0)
            return (size_t)(p - to);
        n = take_escape(&s, one); /* not straight to p: the room ends with the text */
        memcpy(p, one, n);
        p += n;
    }
}

bool cw_raw_string_is(struct cw_slice quoted, const char *text)
{
    struct cw_slice s = without_quotes(quoted);
    struct cw_slice want = cw_slice_of(text);

    if (s.n < want.n)
        return false;
    while (s.n && want.n) {
        char one[UTF8_MAX];
        size_t n = 1;

        if (*s.p == '\\') {
            n = take_escape(&s, one);
        } else {
            one[0] = *s.p;
            s = cw_slice(s.p + 1, s.n - 1);
        }
        if (n > want.n || memcmp(one, want.p, n) != 0)
            return false;
        want = cw_slice(want.p + n, want.n - n);
    }
    return s.n == 0 && want.n == 0;
}

void cw_raw_unescape(struct cw_slice quoted, struct cw_str *out)
{
    struct cw_slice s = without_quotes(quoted);
    size_t need = s.n;
    char *to;

    if (s.n == 0)
        return;
    if (need > out->max - out->n) /* may still fit once unescaped */
        need = unescaped_length(s);
    to = cw_str_reserve(out, need);
    if (to)
        cw_str_commit(out, unescape(s, to));
}

/* Bytes of the escape sequence at p, both halves of a surrogate pair taken together; *ret_lone: it
 * is one half without the other. */
static size_t escape_length(const char *p, const char *end, bool *ret_lone)
{
    uint32_t unit;

    *ret_lone = false;
    if (end - p < 6 || p[1] != 'u')
        return end - p < 2 ? 1 : 2;
    unit = hex4(p + 2);
    if (unit < 0xd800 || unit > 0xdfff)
        return 6;
    if (unit < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' && hex4(p + 8) >= 0xdc00 &&
        hex4(p + 8) <= 0xdfff)
        return 12;
    *ret_lone = true;
    return 6;
}

bool cw_raw_mend_surrogates(struct cw_slice text, struct cw_str *out)
{
    const char *end = text.p + text.n, *from = text.p, *p = text.p;
    bool mended = false, lone;

    if (!memmem(text.p, text.n, "\\ud", 3) && !memmem(text.p, text.n, "\\uD", 3))
        return false;
    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        size_t n = escape_length(p, end, &lone);

        if (lone) {
            cw_str_add(out, from, (size_t)(p - from));
            cw_str_addc(out, '?');
            from = p + n;
            mended = true;
        }
        p += n;
    }
    if (mended)
        cw_str_add(out, from, (size_t)(end - from));
    return mended;
}

char *cw_raw_string(struct cw_slice quoted, struct cw_arena *arena, size_t *ret_len)
{
    struct cw_slice s = without_quotes(quoted);
    char *p = cw_arena_alloc(arena, s.n + 1);
    size_t n = unescape(s, p);

    p[n] = '\0';
    if (ret_len)
        *ret_len = n;
    return p;
}
