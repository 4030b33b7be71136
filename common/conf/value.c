/* Numbers of all kinds share one path: a reader per type turns text into an int64_t or a double,
 * and the item's bounds are read by the same reader. */
#include "common/conf/conf_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/quantity.h"

enum verdict { VALUE_OK, VALUE_WRONG, VALUE_OUT_OF_RANGE };

enum { MESSAGE_MAX = 512, SHOWN_MAX = 48 };

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit SIZE_UNITS[] = {
    {"t", INT64_C(1) << 40}, {"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}};
static const struct unit DURATION_UNITS[] = {
    {" h", 3600000}, {" m", 60000}, {" s", 1000}, {" ms", 1}};

static const struct {
    const char *name;        /* in the docs */
    const char *noun;        /* in errors */
    const char *placeholder; /* in usage; NULL: made from the item */
    const char *accepted;    /* without bounds; NULL: made from the item */
} TYPES[] = {
    [CW_CONF_STRING] = {"string", "a text", "TEXT", "any text"},
    [CW_CONF_BOOL] = {"boolean", "a boolean", "true|false", "true, false, yes, no, on, off"},
    [CW_CONF_INT] = {"integer", "an integer", "N", "an integer"},
    [CW_CONF_SIZE] = {"size", "a size", "SIZE", "a size such as 256m or 2g"},
    [CW_CONF_DURATION] = {"duration", "a duration", "DURATION",
                          "a duration such as 100 ms or 10 minutes"},
    [CW_CONF_FRACTION] = {"fraction", "a fraction", "FRACTION", "0..1 or 0%..100%"},
    [CW_CONF_NUMBER] = {"number", "a number", "NUMBER", "a number"},
    [CW_CONF_LIST] = {"list", "a list", "A,B...", "values separated by commas"},
    [CW_CONF_MAP] = {"map", "a map", "K=V,...", "key=value pairs separated by commas"},
    [CW_CONF_CHOICE] = {"choice", "a choice", NULL, NULL},
};

const char *conf_type_name(enum cw_conf_type type)
{
    return TYPES[type].name;
}

bool conf_choice(const char *choices, int i, struct cw_slice *ret)
{
    const char *end;

    while (i-- > 0) {
        if (!(choices = strchr(choices, '|')))
            return false;
        choices++;
    }
    end = strchrnul(choices, '|');
    *ret = cw_slice(choices, (size_t)(end - choices));
    return true;
}

static bool same_word(struct cw_slice a, struct cw_slice b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static enum verdict read_bool(struct cw_slice text, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } WORDS[] = {{"true", true}, {"false", false}, {"yes", true},
                 {"no", false},  {"on", true},     {"off", false}};

    for (size_t i = 0; i < CW_ARRAY_LEN(WORDS); i++) {
        if (same_word(text, cw_slice_of(WORDS[i].word))) {
            *ret = WORDS[i].value;
            return VALUE_OK;
        }
    }
    return VALUE_WRONG;
}

static enum verdict read_choice(const char *choices, struct cw_slice text, int *ret)
{
    struct cw_slice have;

    for (int i = 0; conf_choice(choices, i, &have); i++) {
        if (same_word(text, have)) {
            *ret = i;
            return VALUE_OK;
        }
    }
    return VALUE_WRONG;
}

static enum verdict read_whole(enum cw_conf_type type, struct cw_slice text, int64_t *ret)
{
    int rc;

    switch (type) {
    case CW_CONF_SIZE:
        rc = cw_parse_size(text, CW_SIZE_HOCON, ret, NULL);
        break;
    case CW_CONF_DURATION:
        rc = cw_parse_duration(text, ret, NULL);
        break;
    default:
        rc = cw_parse_i64(text, "", INT64_MIN, INT64_MAX, ret, NULL);
        break;
    }
    return rc == 0 ? VALUE_OK : VALUE_WRONG;
}

/* Decimal only: what strtod takes beyond that (hex, nan, inf) is not meant by anybody. */
static enum verdict read_double(enum cw_conf_type type, struct cw_slice text, double *ret)
{
    bool percent = type == CW_CONF_FRACTION && text.n && text.p[text.n - 1] == '%';
    char buf[64], *end;

    text.n -= percent;
    if (percent)
        text = cw_slice_trim(text);
    if (text.n == 0 || text.n >= sizeof(buf))
        return VALUE_WRONG;
    memcpy(buf, text.p, text.n);
    buf[text.n] = '\0';
    if (strspn(buf, "0123456789.eE+-") != text.n)
        return VALUE_WRONG;
    *ret = strtod(buf, &end);
    if (end != buf + text.n || !isfinite(*ret))
        return VALUE_WRONG;
    if (percent)
        *ret /= 100;
    return VALUE_OK;
}

static enum verdict check_whole(const struct cw_conf_item *item, int64_t v)
{
    int64_t bound;

    if (item->min && read_whole(item->type, cw_slice_of(item->min), &bound) == VALUE_OK &&
        v < bound)
        return VALUE_OUT_OF_RANGE;
    if (item->max && read_whole(item->type, cw_slice_of(item->max), &bound) == VALUE_OK &&
        v > bound)
        return VALUE_OUT_OF_RANGE;
    return VALUE_OK;
}

static enum verdict check_double(const struct cw_conf_item *item, double v)
{
    double bound;

    if (item->type == CW_CONF_FRACTION && (v < 0 || v > 1))
        return VALUE_OUT_OF_RANGE;
    if (item->min && read_double(item->type, cw_slice_of(item->min), &bound) == VALUE_OK &&
        v < bound)
        return VALUE_OUT_OF_RANGE;
    if (item->max && read_double(item->type, cw_slice_of(item->max), &bound) == VALUE_OK &&
        v > bound)
        return VALUE_OUT_OF_RANGE;
    return VALUE_OK;
}

static enum verdict set_string(struct cw_slice text, char **field)
{
    free(*field);
    *field = cw_slice_dup(text);
    return VALUE_OK;
}

static enum verdict set(const struct cw_conf_item *item, struct cw_slice text, void *field)
{
    enum verdict verdict;
    int64_t whole;
    double real;

    switch (item->type) {
    case CW_CONF_STRING:
        return set_string(text, field);
    case CW_CONF_BOOL:
        return read_bool(text, field);
    case CW_CONF_CHOICE:
        return read_choice(item->choices, text, field);
    case CW_CONF_FRACTION:
    case CW_CONF_NUMBER:
        verdict = read_double(item->type, text, &real);
        if (verdict == VALUE_OK && (verdict = check_double(item, real)) == VALUE_OK)
            *(double *)field = real;
        return verdict;
    default:
        verdict = read_whole(item->type, text, &whole);
        if (verdict == VALUE_OK && (verdict = check_whole(item, whole)) == VALUE_OK)
            *(int64_t *)field = whole;
        return verdict;
    }
}

int conf_value_parse(const struct cw_conf_item *item, struct cw_slice text, const char *origin,
                     void *conf, struct cw_err *err)
{
    enum verdict verdict = set(item, text, conf_field(item, conf));
    bool secret = item->flags & CW_CONF_SECRET;
    cw_auto_str struct cw_str accepted;
    int shown = (int)(text.n > SHOWN_MAX ? SHOWN_MAX : text.n);

    cw_str_init(&accepted, MESSAGE_MAX);
    if (verdict == VALUE_OK)
        return 0;
    conf_value_accepted(item, &accepted);
    return cw_fail(err, CW_INVALID, "%s (%s): \"%.*s%s\" is %s%s; accepted: %s", item->key, origin,
                   secret ? 6 : shown, secret ? "******" : text.p,
                   !secret && (size_t)shown < text.n ? "..." : "",
                   verdict == VALUE_WRONG ? "not " : "out of range",
                   verdict == VALUE_WRONG ? TYPES[item->type].noun : "", accepted.p);
}

void conf_value_accepted(const struct cw_conf_item *item, struct cw_str *out)
{
    struct cw_slice choice;

    if (item->type == CW_CONF_CHOICE) {
        for (int i = 0; conf_choice(item->choices, i, &choice); i++) {
            cw_str_addz(out, i ? ", " : "");
            cw_str_adds(out, choice);
        }
    } else if (item->min && item->max) {
        cw_str_addf(out, "%s..%s", item->min, item->max);
    } else if (item->min) {
        cw_str_addf(out, "%s or more", item->min);
    } else if (item->max) {
        cw_str_addf(out, "up to %s", item->max);
    } else {
        cw_str_addz(out, TYPES[item->type].accepted);
    }
}

void conf_value_placeholder(const struct cw_conf_item *item, struct cw_str *out)
{
    cw_str_addz(out, item->type == CW_CONF_CHOICE ? item->choices : TYPES[item->type].placeholder);
}

/* In the largest unit that divides it. */
static void format_units(int64_t v, const struct unit *units, size_t count, struct cw_str *out)
{
    size_t i = 0;

    while (i + 1 < count && (v == 0 || v % units[i].factor != 0))
        i++;
    cw_str_addi(out, v / units[i].factor);
    cw_str_addz(out, units[i].name);
}

static void format_double(double v, struct cw_str *out)
{
    char text[40];

    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    cw_str_addz(out, text);
}

void conf_value_format(const struct cw_conf_item *item, const void *conf, struct cw_str *out)
{
    const void *field = conf_field_const(item, conf);
    int64_t whole = 0;
    struct cw_slice choice;

    if (item->flags & CW_CONF_OPTIONAL && !((const struct cw_conf_opt *)field)->set)
        return;
    if (item->type == CW_CONF_INT || item->type == CW_CONF_SIZE || item->type == CW_CONF_DURATION)
        whole = *(const int64_t *)field;
    switch (item->type) {
    case CW_CONF_STRING:
        cw_str_adds(out, cw_slice_of(*(char *const *)field));
        break;
    case CW_CONF_BOOL:
        cw_str_addz(out, *(const bool *)field ? "true" : "false");
        break;
    case CW_CONF_INT:
        cw_str_addi(out, whole);
        break;
    case CW_CONF_SIZE:
        format_units(whole, SIZE_UNITS, CW_ARRAY_LEN(SIZE_UNITS), out);
        break;
    case CW_CONF_DURATION:
        if (whole == INT64_MAX)
            cw_str_addz(out, "Inf");
        else
            format_units(whole, DURATION_UNITS, CW_ARRAY_LEN(DURATION_UNITS), out);
        break;
    case CW_CONF_FRACTION:
    case CW_CONF_NUMBER:
        format_double(*(const double *)field, out);
        break;
    case CW_CONF_CHOICE:
        if (conf_choice(item->choices, *(const int *)field, &choice))
            cw_str_adds(out, choice);
        break;
    case CW_CONF_LIST:
    case CW_CONF_MAP:
        break; /* see render.c: they may take several lines */
    }
}
