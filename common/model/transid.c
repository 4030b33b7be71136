#include "common/model/transid.h"

#include "common/base/arena.h"
#include "common/json/raw.h"

enum { MAX_PARENTS = 16 };

/* One level of the array. `parent` is left empty when there is none. */
struct level {
    struct cw_slice id, start, parent;
    bool extra_logging;
};

static bool read_tail(struct cw_raw_iter *it, struct level *ret)
{
    struct cw_slice v;

    if (!cw_raw_next_element(it, &v))
        return true;
    if (cw_raw_type(v) == CW_RAW_BOOL) {
        ret->extra_logging = cw_raw_is_true(v);
        if (!cw_raw_next_element(it, &v))
            return true;
    }
    if (cw_raw_type(v) != CW_RAW_ARRAY)
        return false;
    ret->parent = v;
    return !cw_raw_next_element(it, &v);
}

static bool read_level(struct cw_slice value, struct level *ret, int64_t *ret_start)
{
    struct cw_raw_iter it;

    *ret = (struct level){0};
    if (cw_raw_type(value) != CW_RAW_ARRAY)
        return false;
    it = cw_raw_iter(value);
    return cw_raw_next_element(&it, &ret->id) && cw_raw_type(ret->id) == CW_RAW_STRING &&
           cw_raw_next_element(&it, &ret->start) && cw_raw_type(ret->start) == CW_RAW_NUMBER &&
           cw_parse_i64(ret->start, "start", 0, (int64_t)1 << 53, ret_start, NULL) == 0 &&
           read_tail(&it, ret);
}

/* NULL when the text has a NUL inside: it could not be told from a shorter id. */
static const char *text_of(struct cw_slice quoted, struct cw_arena *arena)
{
    size_t n;
    const char *text = cw_raw_string(quoted, arena, &n);

    return strlen(text) == n ? text : NULL;
}

static bool decode(struct cw_slice value, struct cw_arena *arena, struct cw_tx *ret)
{
    struct level first, level;
    int64_t start_ms, ignored;

    if (!read_level(value, &first, &start_ms))
        return false;
    level = first;
    for (int depth = 0; level.parent.n && depth < MAX_PARENTS; depth++)
        if (!read_level(level.parent, &level, &ignored))
            return false;
    *ret = (struct cw_tx){
        .id = text_of(first.id, arena),
        .start_ms = start_ms,
        .has_parent = first.parent.n > 0,
        .extra_logging = first.extra_logging,
        .raw = value,
    };
    ret->root_id = ret->has_parent ? text_of(level.id, arena) : ret->id;
    return ret->id && ret->root_id;
}

void cw_transid_decode(struct cw_slice value, int64_t fallback_start_ms, struct cw_arena *arena,
                       struct cw_tx *ret)
{
    if (!decode(value, arena, ret)) {
        *ret = cw_tx_named("sid_unknown", fallback_start_ms);
        ret->raw = value;
    }
}
