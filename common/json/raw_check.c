/* The grammar as a loop: a value is opened or read, then as many arrays and objects are closed as
 * end there. What is open is one bit per level, so depth costs neither stack nor memory. */
#include "common/base/err.h"
#include "common/base/utf8.h"
#include "common/json/raw.h"
#include "common/json/scan_priv.h"

struct checker {
    const char *start, *end;
    unsigned depth, max_depth;
    struct cw_err *err;
    uint64_t objects[(CW_RAW_MAX_DEPTH + 63) / 64]; /* bit per open level: object, not array */
};

/* Scanners return the place behind what they read, or this. */
static const char *fail(struct checker *c, const char *at, const char *why)
{
    if (at == c->end)
        (void)cw_fail(c->err, CW_INVALID, "JSON: %s, but the text ends at byte %zu", why,
                      (size_t)(at - c->start));
    else
        (void)cw_fail(c->err, CW_INVALID, "JSON: %s at byte %zu", why, (size_t)(at - c->start));
    return NULL;
}

static bool in_object(const struct checker *c)
{
    unsigned level = c->depth - 1;

    return c->objects[level / 64] >> (level % 64) & 1;
}

static void push(struct checker *c, bool object)
{
    unsigned level = c->depth++;
    uint64_t bit = UINT64_C(1) << (level % 64);

    if (object)
        c->objects[level / 64] |= bit;
    else
        c->objects[level / 64] &= ~bit;
}

/* First byte that is not plain ASCII of a string. */
static const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= CW_SCAN_LANES) {
        uint64_t v = cw_scan_load(p);
        uint64_t flags = cw_scan_equal(v, '"') | cw_scan_equal(v, '\\') | cw_scan_below(v, ' ') |
                         cw_scan_high(v);

        if (flags)
            return p + cw_scan_first(flags);
        p += CW_SCAN_LANES;
    }
    while (p < end && cw_scan_is(*p, CW_CH_PLAIN))
        p++;
    return p;
}

/* p: at the backslash. */
static const char *check_escape(struct checker *c, const char *p)
{
    const char *at = p++;

    if (p == c->end)
        return fail(c, p, "expected an escape sequence");
    switch (*p++) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p;
    case 'u':
        for (int i = 0; i < 4; i++, p++)
            if (p == c->end || !cw_scan_is(*p, CW_CH_HEX))
                return fail(c, p, "expected four hexadecimal digits after \\u");
        return p;
    default:
        return fail(c, at, "unknown escape sequence");
    }
}

/* p: behind the opening quote. */
static const char *check_string(struct checker *c, const char *p)
{
    while ((p = skip_plain(p, c->end)) < c->end) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            if (!(p = check_escape(c, p)))
                return NULL;
            continue;
        }
        if ((unsigned char)*p < ' ')
            return fail(c, p, "control character in a string");
        do { /* such characters come in runs */
            size_t n = cw_utf8_seq(p, (size_t)(c->end - p));

            if (n == 0)
                return fail(c, p, "invalid UTF-8");
            p += n;
        } while (p < c->end && (unsigned char)*p >= 0x80);
    }
    return fail(c, p, "expected the end of a string");
}

static const char *check_digits(struct checker *c, const char *p)
{
    const char *first = p;

    while (p < c->end && cw_scan_is(*p, CW_CH_DIGIT))
        p++;
    return p > first ? p : fail(c, p, "expected a digit");
}

static const char *check_number(struct checker *c, const char *p)
{
    if (*p == '-')
        p++;
    if (p < c->end && *p == '0')
        p++; /* a digit behind it is refused as something after the value */
    else if (!(p = check_digits(c, p)))
        return NULL;
    if (p < c->end && *p == '.' && !(p = check_digits(c, p + 1)))
        return NULL;
    if (p < c->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < c->end && (*p == '+' || *p == '-'))
            p++;
        p = check_digits(c, p);
    }
    return p;
}

static const char *check_literal(struct checker *c, const char *p, struct cw_slice word)
{
    if ((size_t)(c->end - p) < word.n || memcmp(p, word.p, word.n) != 0)
        return fail(c, p, "expected a value");
    return p + word.n;
}

static const char *check_scalar(struct checker *c, const char *p)
{
    switch (*p) {
    case '"':
        return check_string(c, p + 1);
    case 't':
        return check_literal(c, p, CW_SLICE("true"));
    case 'f':
        return check_literal(c, p, CW_SLICE("false"));
    case 'n':
        return check_literal(c, p, CW_SLICE("null"));
    default:
        if (*p != '-' && !cw_scan_is(*p, CW_CH_DIGIT))
            return fail(c, p, "expected a value");
        return check_number(c, p);
    }
}

/* A key and its colon. */
static const char *check_key(struct checker *c, const char *p)
{
    p = cw_scan_space(p, c->end);
    if (p == c->end || *p != '"')
        return fail(c, p, "expected a quoted key");
    if (!(p = check_string(c, p + 1)))
        return NULL;
    p = cw_scan_space(p, c->end);
    if (p == c->end || *p != ':')
        return fail(c, p, "expected ':'");
    return p + 1;
}

/* Behind a value: to where the next one begins, or, with nothing left open, to the end of all. */
static const char *check_after(struct checker *c, const char *p)
{
    while (c->depth) {
        bool object = in_object(c);

        p = cw_scan_space(p, c->end);
        if (p < c->end && *p == ',')
            return object ? check_key(c, p + 1) : p + 1;
        if (p == c->end || *p != (object ? '}' : ']'))
            return fail(c, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        p++;
        c->depth--;
    }
    return p;
}

/* p: at the bracket. */
static const char *check_open(struct checker *c, const char *p)
{
    bool object = *p == '{';

    if (c->depth == c->max_depth) {
        (void)cw_fail(c->err, CW_INVALID, "JSON: nested deeper than %u levels at byte %zu",
                      c->max_depth, (size_t)(p - c->start));
        return NULL;
    }
    push(c, object);
    p = cw_scan_space(p + 1, c->end);
    if (p < c->end && *p == (object ? '}' : ']'))
        return check_after(c, p);
    return object ? check_key(c, p) : p;
}

static const char *check_value(struct checker *c, const char *p)
{
    do {
        p = cw_scan_space(p, c->end);
        if (p == c->end)
            return fail(c, p, "expected a value");
        if (*p == '{' || *p == '[')
            p = check_open(c, p);
        else if ((p = check_scalar(c, p)))
            p = check_after(c, p);
    } while (p && c->depth);
    return p;
}

int cw_raw_check(struct cw_slice text, unsigned max_depth, struct cw_slice *ret_value,
                 struct cw_err *err)
{
    struct checker c = {.start = text.n ? text.p : "", .err = err};
    const char *first, *last, *p;

    c.end = c.start + text.n;
    c.max_depth = max_depth < CW_RAW_MAX_DEPTH ? max_depth : CW_RAW_MAX_DEPTH;
    first = cw_scan_space(c.start, c.end);
    last = check_value(&c, first);
    if (!last)
        return -1;
    p = cw_scan_space(last, c.end);
    if (p < c.end) {
        (void)fail(&c, p, "unexpected text after the value");
        return -1;
    }
    if (ret_value)
        *ret_value = cw_slice(first, (size_t)(last - first));
    return 0;
}
