/* Cutting values out of checked text. Nothing is checked again, but all steps are bounded by the
 * end of the slice, so even a misused iterator stays inside. */
#include "common/json/raw.h"

#include <assert.h>

#include "common/json/scan_priv.h"

/* p: behind the opening quote; gives the place behind the closing one. */
static const char *skip_string(const char *p, const char *end)
{
    while (p < end) {
        if (end - p >= CW_SCAN_LANES) {
            uint64_t v = cw_scan_load(p);
            uint64_t flags = cw_scan_equal(v, '"') | cw_scan_equal(v, '\\');

            if (!flags) {
                p += CW_SCAN_LANES;
                continue;
            }
            p += cw_scan_first(flags);
        }
        if (*p == '"')
            return p + 1;
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
    return end;
}

/* First quote or bracket of any kind. */
static const char *find_structure(const char *p, const char *end)
{
    while (end - p >= CW_SCAN_LANES) {
        uint64_t v = cw_scan_load(p);
        uint64_t folded = v | cw_scan_fill(0x20); /* '[' becomes '{', and ']' '}' */
        uint64_t flags =
            cw_scan_equal(v, '"') | cw_scan_equal(folded, '{') | cw_scan_equal(folded, '}');

        if (flags)
            return p + cw_scan_first(flags);
        p += CW_SCAN_LANES;
    }
    while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
        p++;
    return p;
}

/* p: at the opening bracket. The text is well-formed, so kinds of brackets need no look. */
static const char *skip_nested(const char *p, const char *end)
{
    size_t open = 0;

    while ((p = find_structure(p, end)) < end) {
        char c = *p++;

        if (c == '"')
            p = skip_string(p, end);
        else if ((c | 0x20) == '{')
            open++;
        else if (open-- <= 1)
            return p;
    }
    return end;
}

static const char *skip_value(const char *p, const char *end)
{
    if (*p == '"')
        return skip_string(p + 1, end);
    if (*p == '{' || *p == '[')
        return skip_nested(p, end);
    do
        p++;
    while (p < end && !cw_scan_is(*p, CW_CH_AFTER));
    return p;
}

/* To the next member or element; false at the end. */
static bool advance(struct cw_raw_iter *it)
{
    it->p = cw_scan_space(it->p, it->end);
    if (it->p < it->end && *it->p == ',')
        it->p = cw_scan_space(it->p + 1, it->end);
    return it->p < it->end;
}

static struct cw_slice take_value(struct cw_raw_iter *it)
{
    const char *from = it->p;

    it->p = skip_value(from, it->end);
    return cw_slice(from, (size_t)(it->p - from));
}

enum cw_raw_type cw_raw_type(struct cw_slice value)
{
    assert(value.n > 0);
    switch (value.p[0]) {
    case '{':
        return CW_RAW_OBJECT;
    case '[':
        return CW_RAW_ARRAY;
    case '"':
        return CW_RAW_STRING;
    case 't':
    case 'f':
        return CW_RAW_BOOL;
    case 'n':
        return CW_RAW_NULL;
    default:
        return CW_RAW_NUMBER;
    }
}

bool cw_raw_is_true(struct cw_slice value)
{
    return value.n && value.p[0] == 't';
}

struct cw_raw_iter cw_raw_iter(struct cw_slice object_or_array)
{
    const char *p = object_or_array.p;
    size_t n = object_or_array.n;

    if (n < 2 || (*p != '{' && *p != '['))
        return (struct cw_raw_iter){p, p};
    return (struct cw_raw_iter){p + 1, p + n - 1};
}

bool cw_raw_next_member(struct cw_raw_iter *it, struct cw_slice *key, struct cw_slice *value)
{
    if (!advance(it) || *it->p != '"')
        return false;
    *key = take_value(it);
    it->p = cw_scan_space(it->p, it->end);
    if (it->p == it->end || *it->p != ':')
        return false; /* an array */
    it->p = cw_scan_space(it->p + 1, it->end);
    if (it->p == it->end)
        return false;
    *value = take_value(it);
    return true;
}

bool cw_raw_next_element(struct cw_raw_iter *it, struct cw_slice *value)
{
    if (!advance(it))
        return false;
    *value = take_value(it);
    return true;
}

bool cw_raw_get(struct cw_slice object, const char *key, struct cw_slice *ret_value)
{
    struct cw_raw_iter it;
    struct cw_slice k, v;
    bool found = false;

    if (object.n == 0 || cw_raw_type(object) != CW_RAW_OBJECT)
        return false;
    it = cw_raw_iter(object);
    while (cw_raw_next_member(&it, &k, &v)) {
        if (!cw_raw_string_is(k, key))
            continue;
        *ret_value = v;
        found = true;
    }
    return found;
}
