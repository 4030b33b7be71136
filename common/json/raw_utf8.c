/* UTF-8 of whole texts: valid or not, repaired as Java does it, measured as Java does it. */
#include "common/base/utf8.h"
#include "common/json/raw.h"
#include "common/json/scan_priv.h"

static const char *skip_ascii(const char *p, const char *end)
{
    while (end - p >= CW_SCAN_LANES) {
        uint64_t flags = cw_scan_high(cw_scan_load(p));

        if (flags)
            return p + cw_scan_first(flags);
        p += CW_SCAN_LANES;
    }
    while (p < end && (unsigned char)*p < 0x80)
        p++;
    return p;
}

/* Bytes in front of the first invalid sequence. */
static size_t valid_length(struct cw_slice s)
{
    const char *p = s.p;
    const char *end;

    if (s.n == 0)
        return 0;
    end = p + s.n;
    while ((p = skip_ascii(p, end)) < end) {
        do {
            size_t n = cw_utf8_seq(p, (size_t)(end - p));

            if (n == 0)
                return (size_t)(p - s.p);
            p += n;
        } while (p < end && (unsigned char)*p >= 0x80);
    }
    return s.n;
}

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* How many bytes of an invalid sequence one U+FFFD stands for: all that could have begun a
 * character, and at least one. Unlike Unicode's recommendation, Java takes an encoded surrogate
 * (ED A0..BF xx) for one sequence and not for three. */
static size_t invalid_length(struct cw_slice s)
{
    const unsigned char *u = (const unsigned char *)s.p;
    size_t len;

    if (u[0] < 0xe0 || u[0] > 0xf4 || s.n < 2 || !is_tail(u[1]))
        return 1;
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90) ||
        (u[0] == 0xf4 && u[1] > 0x8f))
        return 1;
    len = u[0] < 0xf0 ? 3 : 4;
    for (size_t i = 2; i < len; i++)
        if (i == s.n || !is_tail(u[i]))
            return i;
    return len;
}

bool cw_utf8_valid(struct cw_slice text)
{
    return valid_length(text) == text.n;
}

bool cw_utf8_repair(struct cw_slice text, struct cw_str *out)
{
    size_t n = valid_length(text);

    if (n == text.n)
        return false;
    for (;;) {
        cw_str_add(out, text.p, n);
        text = cw_slice(text.p + n, text.n - n);
        if (text.n == 0)
            return true;
        cw_str_adds(out, CW_SLICE("\xef\xbf\xbd"));
        n = invalid_length(text);
        text = cw_slice(text.p + n, text.n - n);
        n = valid_length(text);
    }
}

/* One unit per character, two for those of four bytes: all bytes but the tails count one, and a
 * lead byte of four counts one more. */
size_t cw_utf16_units(struct cw_slice utf8)
{
    const uint64_t ones = cw_scan_fill(1);
    size_t units = 0;
    size_t i = 0;

    for (; utf8.n - i >= CW_SCAN_LANES; i += CW_SCAN_LANES) {
        uint64_t v = cw_scan_load(utf8.p + i);
        uint64_t tails = v >> 7 & ~v >> 6 & ones;
        uint64_t fours = v >> 7 & v >> 6 & v >> 5 & v >> 4 & ones;

        /* the product's top byte is the sum of the lanes: 0..16, as no byte is both */
        units += (size_t)(((ones - tails + fours) * ones) >> 56);
    }
    for (; i < utf8.n; i++) {
        unsigned char c = (unsigned char)utf8.p[i];

        units += !is_tail(c) + (c >= 0xf0);
    }
    return units;
}
