#include "common/base/base64.h"

#include <stdint.h>

#include "common/base/err.h"

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0..63, or -1. */
static int value_of(char c, enum cw_base64_alphabet alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (alphabet == CW_BASE64_URL ? '-' : '+'))
        return 62;
    if (c == (alphabet == CW_BASE64_URL ? '_' : '/'))
        return 63;
    return -1;
}

void cw_base64_encode(struct cw_slice bytes, struct cw_str *out)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t n = bytes.n;
    char *start, *to;

    if (n == 0 || !(start = cw_str_reserve(out, (n + 2) / 3 * 4)))
        return;
    for (to = start; n >= 3; p += 3, n -= 3) {
        *to++ = STANDARD[p[0] >> 2];
        *to++ = STANDARD[(p[0] & 3) << 4 | p[1] >> 4];
        *to++ = STANDARD[(p[1] & 15) << 2 | p[2] >> 6];
        *to++ = STANDARD[p[2] & 63];
    }
    if (n) {
        unsigned second = n == 2 ? p[1] : 0;

        *to++ = STANDARD[p[0] >> 2];
        *to++ = STANDARD[(p[0] & 3) << 4 | second >> 4];
        *to++ = n == 2 ? STANDARD[(second & 15) << 2] : '=';
        *to++ = '=';
    }
    cw_str_commit(out, (size_t)(to - start));
}

static size_t without_padding(struct cw_slice text)
{
    size_t n = text.n;

    if (n && n % 4 == 0 && text.p[n - 1] == '=')
        n -= 1 + (text.p[n - 2] == '=');
    return n;
}

int cw_base64_decode(struct cw_slice text, enum cw_base64_alphabet alphabet, struct cw_str *out,
                     struct cw_err *err)
{
    size_t n = without_padding(text);
    uint32_t bits = 0;
    unsigned have = 0;
    char *start, *to;

    if (n % 4 == 1)
        return cw_fail(err, CW_INVALID, "base64: %zu characters cannot be complete", n);
    if (!(start = cw_str_reserve(out, n * 3 / 4 + 1)))
        return cw_fail(err, CW_TOO_LARGE, "base64: more than %zu bytes", out->max);
    to = start;
    for (size_t i = 0; i < n; i++) {
        int v = value_of(text.p[i], alphabet);

        if (v < 0)
            return cw_fail(err, CW_INVALID, "base64: bad character at offset %zu", i);
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *to++ = (char)(unsigned char)(bits >> have);
        }
    }
    cw_str_commit(out, (size_t)(to - start));
    return 0;
}
