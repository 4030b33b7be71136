/* Cutting values out of checked text. Nothing is checked again, but all steps are bounded by the
 * end of the slice, so even a misused iterator stays inside. */
#include "common/json/raw.h"

#include <assert.h>

#include "common/json/scan_priv.h"

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

    it->p = cw_scan_value(from, it->end);
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
