#include "docker/runtimes/native/base64.h"

#include <stdint.h>

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

int ap_base64_decode(struct cw_slice text, struct cw_str *out)
{
    char *to = cw_str_reserve(out, text.n / 4 * 3 + 3);
    uint32_t bits = 0;
    unsigned count = 0;
    bool padded = false;
    size_t n = 0;

    if (!to)
        return -1;
    for (size_t i = 0; i < text.n; i++) {
        int d = digit(text.p[i]);

        if (is_space(text.p[i]))
            continue;
        if (text.p[i] == '=')
            padded = true;
        else if (d < 0 || padded)
            return -1;
        else {
            bits = bits << 6 | (uint32_t)d;
            count += 6;
            if (count >= 8) {
                count -= 8;
                to[n++] = (char)(bits >> count & 0xff);
            }
        }
    }
    cw_str_commit(out, n);
    return 0;
}
