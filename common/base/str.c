#include "common/base/str.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"

enum { FIRST_BYTES = 64, DOUBLES_BELOW = 64 << 10 };

static char EMPTY[1]; /* what an unallocated cw_str points to; never written */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct cw_slice cw_slice_trim(struct cw_slice s)
{
    while (s.n && is_space(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

char *cw_slice_dup(struct cw_slice s)
{
    return cw_memdup(s.p, s.n);
}

/* Room for n more bytes and the NUL? Most pieces are short and find it. */
static inline bool fits(const struct cw_str *s, size_t n)
{
    return n < s->cap - s->n && !s->failed; /* without memory both are 0; cap is at most max + 1 */
}

void cw_str_init(struct cw_str *s, size_t max)
{
    *s = (struct cw_str){.p = EMPTY, .max = max};
}

void cw_str_done(struct cw_str *s)
{
    if (s->cap)
        free(s->p);
    cw_str_init(s, s->max);
}

void cw_str_reset(struct cw_str *s)
{
    s->n = 0;
    s->failed = false;
    if (s->cap)
        s->p[0] = '\0';
}

char *cw_str_reserve(struct cw_str *s, size_t n)
{
    size_t need, cap;

    if (s->failed || n > s->max || s->n > s->max - n) {
        s->failed = true;
        return NULL;
    }
    need = s->n + n + 1;
    if (need > s->cap) {
        cap = s->cap ? s->cap : FIRST_BYTES;
        while (cap < need)
            cap += cap < DOUBLES_BELOW ? cap : cap / 2;
        if (cap > s->max + 1)
            cap = s->max + 1;
        s->p = cw_realloc(s->cap ? s->p : NULL, cap);
        s->cap = cap;
        s->p[s->n] = '\0';
    }
    return s->p + s->n;
}

void cw_str_commit(struct cw_str *s, size_t n)
{
    s->n += n;
    s->p[s->n] = '\0';
}

void cw_str_add(struct cw_str *s, const void *p, size_t n)
{
    char *to;

    if (n == 0)
        return;
    to = fits(s, n) ? s->p + s->n : cw_str_reserve(s, n);
    if (!to)
        return;
    memcpy(to, p, n);
    s->n += n;
    s->p[s->n] = '\0';
}

void cw_str_addz(struct cw_str *s, const char *text)
{
    cw_str_add(s, text, strlen(text));
}

void cw_str_addc(struct cw_str *s, char c)
{
    if (!fits(s, 1)) {
        cw_str_add(s, &c, 1);
        return;
    }
    s->p[s->n++] = c;
    s->p[s->n] = '\0';
}

void cw_str_adds(struct cw_str *s, struct cw_slice v)
{
    cw_str_add(s, v.p, v.n);
}

void cw_str_addv(struct cw_str *s, const char *fmt, va_list ap)
{
    va_list again;
    char small[256];
    char *to;
    int n;

    va_copy(again, ap);
    n = vsnprintf(small, sizeof(small), fmt, ap);
    if (n < 0) {
        s->failed = true;
    } else if ((size_t)n < sizeof(small)) {
        cw_str_add(s, small, (size_t)n);
    } else if ((to = cw_str_reserve(s, (size_t)n))) {
        (void)vsnprintf(to, (size_t)n + 1, fmt, again);
        cw_str_commit(s, (size_t)n);
    }
    va_end(again);
}

void cw_str_addf(struct cw_str *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cw_str_addv(s, fmt, ap);
    va_end(ap);
}

void cw_str_addi(struct cw_str *s, int64_t v)
{
    char buf[24];
    char *p = buf + sizeof(buf);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do
        *--p = (char)('0' + u % 10);
    while ((u /= 10));
    if (v < 0)
        *--p = '-';
    cw_str_add(s, p, (size_t)(buf + sizeof(buf) - p));
}

void cw_str_consume(struct cw_str *s, size_t n)
{
    if (n >= s->n) {
        s->n = 0;
    } else {
        memmove(s->p, s->p + n, s->n - n);
        s->n -= n;
    }
    if (s->cap)
        s->p[s->n] = '\0';
}

char *cw_str_steal(struct cw_str *s)
{
    char *p = s->cap ? s->p : cw_memdup("", 0);

    cw_str_init(s, s->max);
    return p;
}

int cw_parse_i64(struct cw_slice text, const char *what, int64_t min, int64_t max, int64_t *ret,
                 struct cw_err *err)
{
    bool negative = text.n && text.p[0] == '-';
    size_t i = negative;
    int64_t v = 0;

    if (i == text.n)
        goto bad;
    for (; i < text.n; i++) {
        int digit = text.p[i] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, digit,
                                   &v)) /* kept negative: INT64_MIN has no positive twin */
            goto bad;
    }
    if (!negative && __builtin_sub_overflow(0, v, &v))
        goto bad;
    if (v < min || v > max)
        goto bad;
    *ret = v;
    return 0;
bad:
    return cw_fail(err, CW_INVALID, "%s: \"%.*s\" is not an integer in %" PRId64 "..%" PRId64, what,
                   (int)(text.n > 64 ? 64 : text.n), text.n ? text.p : "", min, max);
}
