#include "common/model/entity_name.h"

enum { MAX_NAME = 256, MAX_PATH = 1024, MAX_CONTROLLER = 128, MAX_VERSION_DIGITS = 9, ID_LEN = 32 };

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

bool cw_entity_path_ok(struct cw_slice path)
{
    const char *slash;

    if (path.n > MAX_PATH)
        return false;
    while (path.n && (slash = memchr(path.p, '/', path.n))) {
        size_t n = (size_t)(slash - path.p);

        if (!cw_entity_name_ok(cw_slice(path.p, n)))
            return false;
        path = cw_slice(slash + 1, path.n - n - 1);
    }
    return cw_entity_name_ok(path);
}

bool cw_version_ok(struct cw_slice version)
{
    size_t digits = 0, numbers = 1;

    for (size_t i = 0; i < version.n; i++) {
        if (is_digit(version.p[i])) {
            if (++digits > MAX_VERSION_DIGITS)
                return false;
        } else if (version.p[i] != '.' || digits == 0 || ++numbers > 3) {
            return false;
        } else {
            digits = 0;
        }
    }
    return digits > 0;
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
