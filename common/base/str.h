/* common/base/str.h -- slices, growable strings with a maximum, and number parsing.
 *
 * struct cw_slice borrows bytes that somebody else owns; it is not NUL-terminated.
 * struct cw_str owns its bytes, always keeps a NUL behind them, and remembers failure: append many
 * times, check once. Thread: any (no shared state). */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

struct cw_err;

struct cw_slice {
    const char *p;
    size_t n;
};

#define CW_SLICE(literal) ((struct cw_slice){"" literal, sizeof(literal) - 1})

static inline struct cw_slice cw_slice(const char *p, size_t n)
{
    return (struct cw_slice){p, n};
}
/* NULL gives the empty slice. */
static inline struct cw_slice cw_slice_of(const char *text)
{
    return (struct cw_slice){text, text ? strlen(text) : 0};
}
static inline bool cw_slice_eq(struct cw_slice a, struct cw_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool cw_slice_is(struct cw_slice a, const char *text)
{
    return cw_slice_eq(a, cw_slice_of(text));
}
/* Without ASCII white space at both ends. */
struct cw_slice cw_slice_trim(struct cw_slice s);
/* NUL-terminated copy; free() it. */
char *cw_slice_dup(struct cw_slice s);

struct cw_str {
    char *p; /* never NULL after cw_str_init */
    size_t n;
    size_t cap;
    size_t max;  /* bytes that n may reach */
    bool failed; /* an append went over max: contents are incomplete */
};

/* max: bytes; appends beyond it are dropped whole and set `failed`. Nothing is allocated yet. */
void cw_str_init(struct cw_str *s, size_t max);
void cw_str_done(struct cw_str *s);
/* Empties and clears `failed`, keeps the memory. */
void cw_str_reset(struct cw_str *s);
void cw_str_add(struct cw_str *s, const void *p, size_t n);
void cw_str_addz(struct cw_str *s, const char *text);
void cw_str_addc(struct cw_str *s, char c);
void cw_str_adds(struct cw_str *s, struct cw_slice v);
void cw_str_addf(struct cw_str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cw_str_addv(struct cw_str *s, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* Decimal text, much faster than addf. */
void cw_str_addi(struct cw_str *s, int64_t v);
/* Makes room for n more bytes and returns where they go, or NULL (and `failed`) over max. The
 * caller then sets s->n; the NUL is the caller's duty too (cw_str_commit does both). */
char *cw_str_reserve(struct cw_str *s, size_t n);
void cw_str_commit(struct cw_str *s, size_t n);
/* Drops the first n bytes. */
void cw_str_consume(struct cw_str *s, size_t n);
/* Hands the buffer out (free() it); s is empty afterwards and can be used again. */
char *cw_str_steal(struct cw_str *s);
static inline struct cw_slice cw_str_slice(const struct cw_str *s)
{
    return (struct cw_slice){s->p, s->n};
}

#define cw_auto_str CW_CLEANUP(cw_str_done)

/* Decimal integer with optional '-', nothing else around it, within min..max. On failure names
 * `what` and the accepted range. */
int cw_parse_i64(struct cw_slice text, const char *what, int64_t min, int64_t max, int64_t *ret,
                 struct cw_err *err) CW_MUST_CHECK;
