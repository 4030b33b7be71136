/* common/json/scan_priv.h -- eight bytes at a time, and what each byte may be. Private to json/.
 *
 * The flag words carry 0x80 in the lane of a byte that fits. Borrows can raise wrong flags, but
 * only in lanes above a right one, so the lowest flag (all that the scanners look at) is exact.
 * Thread: any. */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    CW_SCAN_LANES = 8,

    CW_CH_SPACE = 1,  /* insignificant white space */
    CW_CH_DIGIT = 2,  /* 0-9 */
    CW_CH_HEX = 4,    /* 0-9 a-f A-F */
    CW_CH_PLAIN = 8,  /* stands for itself in a string, ASCII only */
    CW_CH_AFTER = 16, /* what may follow a number or literal */
};

extern const uint8_t cw_scan_class[256];

static inline bool cw_scan_is(char c, unsigned char_class)
{
    return (cw_scan_class[(unsigned char)c] & char_class) != 0;
}

static inline const char *cw_scan_space(const char *p, const char *end)
{
    while (p < end && cw_scan_is(*p, CW_CH_SPACE))
        p++;
    return p;
}

/* The byte in all lanes. */
static inline uint64_t cw_scan_fill(unsigned char c)
{
    return UINT64_C(0x0101010101010101) * c;
}
/* The first byte becomes the lowest lane. */
static inline uint64_t cw_scan_load(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}
/* c <= 0x80. */
static inline uint64_t cw_scan_below(uint64_t v, unsigned char c)
{
    return (v - cw_scan_fill(c)) & ~v & cw_scan_fill(0x80);
}
static inline uint64_t cw_scan_equal(uint64_t v, unsigned char c)
{
    return cw_scan_below(v ^ cw_scan_fill(c), 1);
}
static inline uint64_t cw_scan_high(uint64_t v)
{
    return v & cw_scan_fill(0x80);
}
/* Lane of the lowest flag; flags must not be 0. */
static inline size_t cw_scan_first(uint64_t flags)
{
    return (size_t)__builtin_ctzll(flags) / 8;
}

/* p: at a value of checked text; gives the place behind it, at most end. */
const char *cw_scan_value(const char *p, const char *end);
