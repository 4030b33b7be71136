/* A quantity is <digits>[.<digits>] [unit]. The number is kept as an integer and a decimal fraction
 * of at most 9 digits, so that the product with the unit is exact in 128 bits. */
#include "common/base/quantity.h"

#include <strings.h>

#include "common/base/err.h"

enum { MAX_FRACTION_DIGITS = 9 };

struct number {
    uint64_t whole;
    uint64_t fraction, scale; /* fraction / scale is below 1 */
};

struct unit {
    const char *name;
    int64_t factor; /* ms for durations; negative: that many of it make 1 ms */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int quoted_length(struct cw_slice text)
{
    return (int)(text.n > 64 ? 64 : text.n);
}

static int bad(struct cw_slice text, const char *problem, struct cw_err *err)
{
    return cw_fail(err, CW_INVALID, "\"%.*s\" is %s", quoted_length(text), text.n ? text.p : "",
                   problem);
}

static bool take_whole(struct cw_slice *s, uint64_t *ret)
{
    bool any = false;

    for (*ret = 0; s->n && is_digit(s->p[0]); s->p++, s->n--, any = true)
        if (__builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(s->p[0] - '0'), ret))
            return false;
    return any;
}

static bool take_fraction(struct cw_slice *s, struct number *n)
{
    int digits = 0;

    if (!s->n || s->p[0] != '.')
        return true;
    for (s->p++, s->n--; s->n && is_digit(s->p[0]); s->p++, s->n--) {
        if (++digits > MAX_FRACTION_DIGITS)
            return false;
        n->fraction = n->fraction * 10 + (uint64_t)(s->p[0] - '0');
        n->scale *= 10;
    }
    return digits > 0;
}

/* *s becomes the unit, trimmed. */
static bool take_number(struct cw_slice *s, struct number *ret)
{
    *ret = (struct number){.scale = 1};
    if (!take_whole(s, &ret->whole) || !take_fraction(s, ret))
        return false;
    *s = cw_slice_trim(*s);
    return true;
}

static bool multiply(const struct number *n, int64_t factor, int64_t *ret)
{
    unsigned __int128 all = (unsigned __int128)n->whole * n->scale + n->fraction;
    unsigned __int128 v;

    if (factor < 0)
        v = all / n->scale / (uint64_t)-factor;
    else if (__builtin_mul_overflow(all, (unsigned __int128)factor, &v))
        return false;
    else
        v /= n->scale;
    if (v > INT64_MAX)
        return false;
    *ret = (int64_t)v;
    return true;
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct cw_slice name,
                                    bool any_case)
{
    for (size_t i = 0; i < count; i++) {
        const char *have = units[i].name;

        if (strlen(have) == name.n &&
            (name.n == 0 || !(any_case ? strncasecmp : strncmp)(have, name.p, name.n)))
            return &units[i];
    }
    return NULL;
}

/* clang-format off */
#define KI (1LL << 10)
#define MI (1LL << 20)
#define GI (1LL << 30)
#define TI (1LL << 40)
#define PI (1LL << 50)
#define EI (1LL << 60)

/* As the configuration library of stock spells them: case matters ("m" and "M" are both there). */
static const struct unit HOCON_SIZES[] = {
    {"", 1}, {"b", 1}, {"B", 1}, {"byte", 1}, {"bytes", 1},
    {"kB", 1000LL}, {"KB", 1000LL}, {"kilobyte", 1000LL}, {"kilobytes", 1000LL},
    {"MB", 1000000LL}, {"megabyte", 1000000LL}, {"megabytes", 1000000LL},
    {"GB", 1000000000LL}, {"gigabyte", 1000000000LL}, {"gigabytes", 1000000000LL},
    {"TB", 1000000000000LL}, {"terabyte", 1000000000000LL}, {"terabytes", 1000000000000LL},
    {"PB", 1000000000000000LL}, {"petabyte", 1000000000000000LL}, {"petabytes", 1000000000000000LL},
    {"EB", 1000000000000000000LL}, {"exabyte", 1000000000000000000LL}, {"exabytes", 1000000000000000000LL},
    {"k", KI}, {"K", KI}, {"Ki", KI}, {"KiB", KI}, {"kibibyte", KI}, {"kibibytes", KI},
    {"m", MI}, {"M", MI}, {"Mi", MI}, {"MiB", MI}, {"mebibyte", MI}, {"mebibytes", MI},
    {"g", GI}, {"G", GI}, {"Gi", GI}, {"GiB", GI}, {"gibibyte", GI}, {"gibibytes", GI},
    {"t", TI}, {"T", TI}, {"Ti", TI}, {"TiB", TI}, {"tebibyte", TI}, {"tebibytes", TI},
    {"p", PI}, {"P", PI}, {"Pi", PI}, {"PiB", PI}, {"pebibyte", PI}, {"pebibytes", PI},
    {"e", EI}, {"E", EI}, {"Ei", EI}, {"EiB", EI}, {"exbibyte", EI}, {"exbibytes", EI},
};

static const struct unit JSON_SIZES[] = {
    {"B", 1}, {"K", KI}, {"KB", KI}, {"M", MI}, {"MB", MI}, {"G", GI}, {"GB", GI},
};

static const struct unit DURATIONS[] = {
    {"", 1}, {"ms", 1}, {"milli", 1}, {"millis", 1}, {"millisecond", 1}, {"milliseconds", 1},
    {"us", -1000}, {"\u00b5s", -1000}, {"micro", -1000}, {"micros", -1000},
    {"microsecond", -1000}, {"microseconds", -1000},
    {"ns", -1000000}, {"nano", -1000000}, {"nanos", -1000000},
    {"nanosecond", -1000000}, {"nanoseconds", -1000000},
    {"s", 1000}, {"sec", 1000}, {"secs", 1000}, {"second", 1000}, {"seconds", 1000},
    {"m", 60000}, {"min", 60000}, {"mins", 60000}, {"minute", 60000}, {"minutes", 60000},
    {"h", 3600000}, {"hr", 3600000}, {"hrs", 3600000}, {"hour", 3600000}, {"hours", 3600000},
    {"d", 86400000}, {"day", 86400000}, {"days", 86400000},
};
/* clang-format on */

int cw_parse_size(struct cw_slice text, enum cw_size_dialect dialect, int64_t *ret_bytes,
                  struct cw_err *err)
{
    struct cw_slice rest = cw_slice_trim(text);
    const struct unit *unit;
    struct number number;

    if (!take_number(&rest, &number) || (dialect == CW_SIZE_JSON && memchr(text.p, '.', text.n)))
        return bad(text, "not a size", err);
    unit = dialect == CW_SIZE_JSON ? find_unit(JSON_SIZES, CW_ARRAY_LEN(JSON_SIZES), rest, true)
                                   : find_unit(HOCON_SIZES, CW_ARRAY_LEN(HOCON_SIZES), rest, false);
    if (!unit)
        return bad(text, "not a size", err);
    if (!multiply(&number, unit->factor, ret_bytes))
        return bad(text, "too large a size", err);
    return 0;
}

/* As Scala's durations spell it; case does not matter here. */
static bool is_infinite(struct cw_slice text)
{
    static const char *const WORDS[] = {"inf", "+inf", "plusinf", "duration.inf"};

    for (size_t i = 0; i < CW_ARRAY_LEN(WORDS); i++)
        if (strlen(WORDS[i]) == text.n && strncasecmp(text.p, WORDS[i], text.n) == 0)
            return true;
    return false;
}

int cw_parse_duration(struct cw_slice text, int64_t *ret_ms, struct cw_err *err)
{
    struct cw_slice rest = cw_slice_trim(text);
    const struct unit *unit;
    struct number number;

    if (is_infinite(rest)) {
        *ret_ms = INT64_MAX;
        return 0;
    }
    if (!take_number(&rest, &number) ||
        !(unit = find_unit(DURATIONS, CW_ARRAY_LEN(DURATIONS), rest, false)))
        return bad(text, "not a duration", err);
    if (!multiply(&number, unit->factor, ret_ms))
        return bad(text, "too long a duration", err);
    return 0;
}
