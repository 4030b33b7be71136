#include "common/model/entity_name.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 256, MAX_PATH = 1024, MAX_CONTROLLER = 128, VERSION_PARTS = 3, ID_LEN = 32 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

static bool is_inner(char c)
{
    return is_word(c) || c == '@' || c == ' ' || c == '.' || c == '&' || c == '-';
}

bool cw_entity_name_ok(struct cw_slice name)
{
    if (name.n == 0 || name.n > MAX_NAME || !is_word(name.p[0]) || name.p[name.n - 1] == ' ')
        return false;
    for (size_t i = 1; i < name.n; i++)
        if (!is_inner(name.p[i]))
            return false;
    return true;
}

bool cw_entity_path_normalize(char *path)
{
    char *from = path, *to = path;

    while (*from) {
        size_t n = strcspn(from, "/");

        if (n > 0) {
            if (!cw_entity_name_ok(cw_slice(from, n)))
                return false;
            if (to > path)
                *to++ = '/';
            memmove(to, from, n);
            to += n;
        }
        from += n + (from[n] == '/');
    }
    *to = '\0';
    return to > path && to - path <= MAX_PATH;
}

/* A number as Java reads an int: a sign is allowed, digits of ASCII only. */
static bool read_number(struct cw_slice text, long *ret)
{
    bool negative = text.n && text.p[0] == '-';
    long value = 0;

    if (text.n && (text.p[0] == '-' || text.p[0] == '+'))
        text = cw_slice(text.p + 1, text.n - 1);
    for (size_t i = 0; i < text.n; i++) {
        if (!is_digit(text.p[i]) || (value = value * 10 + (text.p[i] - '0')) > INT32_MAX)
            return false;
    }
    *ret = value;
    return text.n > 0 && (!negative || value == 0);
}

/* Trailing empty parts are dropped and a fourth one is not looked at, as in Java's split. */
bool cw_version_normalize(struct cw_slice text, char ret[CW_VERSION_MAX])
{
    long numbers[VERSION_PARTS] = {0};

    while (text.n && text.p[text.n - 1] == '.')
        text.n--;
    for (size_t i = 0; i < VERSION_PARTS && text.n; i++) {
        const char *dot = memchr(text.p, '.', text.n);
        size_t n = dot ? (size_t)(dot - text.p) : text.n;

        if (!read_number(cw_slice(text.p, n), &numbers[i]))
            return false;
        text = dot ? cw_slice(dot + 1, text.n - n - 1) : cw_slice(text.p + n, 0);
    }
    (void)snprintf(ret, CW_VERSION_MAX, "%ld.%ld.%ld", numbers[0], numbers[1], numbers[2]);
    return numbers[0] || numbers[1] || numbers[2];
}

bool cw_activation_id_ok(struct cw_slice id)
{
    if (id.n != ID_LEN)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (!is_digit(id.p[i]) && !(id.p[i] >= 'a' && id.p[i] <= 'f'))
            return false;
    return true;
}

bool cw_controller_id_ok(struct cw_slice id)
{
    if (id.n == 0 || id.n > MAX_CONTROLLER)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (!is_word(id.p[i]) && id.p[i] != '.' && id.p[i] != '-')
            return false;
    return true;
}
