/* An id is read as leniently as stock reads it, and what is then echoed is what stock writes: the
 * bytes as they came when they say just that, a text of our own otherwise. */
#include "common/model/transid.h"

#include <inttypes.h>

#include "common/base/arena.h"
#include "common/json/raw.h"

enum { MAX_PARENTS = 16, MAX_ELEMENTS = 4, UNKNOWN_MAX_BYTES = 64 };

/* Beyond this a time is no time; kept inside so that differences do not overflow. */
static const int64_t MAX_START_MS = (int64_t)1 << 53;

/* One level of the array. `parent` is left empty when there is none. */
struct level {
    struct cw_slice id, start, parent;
    int64_t start_value;
    bool extra_logging;
};

/* The elements behind id and start: extra logging, parent, or both. A parent that is none counts as
 * absent; anything else that does not fit makes the whole id unknown. */
static bool read_tail(const struct cw_slice *tail, size_t count, struct level *ret)
{
    size_t i = 0;

    if (i < count && cw_raw_type(tail[i]) == CW_RAW_BOOL)
        ret->extra_logging = cw_raw_is_true(tail[i++]);
    if (i < count)
        ret->parent = tail[i++];
    return i == count;
}

static bool read_level(struct cw_slice value, struct level *ret)
{
    struct cw_slice elements[MAX_ELEMENTS + 1];
    struct cw_raw_iter it;
    size_t count = 0;

    *ret = (struct level){0};
    if (cw_raw_type(value) != CW_RAW_ARRAY)
        return false;
    it = cw_raw_iter(value);
    while (count <= MAX_ELEMENTS && cw_raw_next_element(&it, &elements[count]))
        count++;
    if (count < 2 || count > MAX_ELEMENTS || cw_raw_type(elements[0]) != CW_RAW_STRING ||
        cw_raw_type(elements[1]) != CW_RAW_NUMBER)
        return false;
    ret->id = elements[0];
    ret->start = elements[1];
    ret->start_value = cw_raw_long(ret->start);
    return read_tail(elements + 2, count - 2, ret);
}

/* NULL when the text has a NUL inside: it could not be told from a shorter id. */
static const char *text_of(struct cw_slice quoted, struct cw_arena *arena)
{
    size_t n;
    const char *text = cw_raw_string(quoted, arena, &n);

    return strlen(text) == n ? text : NULL;
}

/* As stock writes it. */
static struct cw_slice encode(const struct level *levels, size_t count, size_t max,
                              struct cw_arena *arena)
{
    cw_auto_str struct cw_str out;
    char *text;

    cw_str_init(&out, max);
    for (size_t i = 0; i < count; i++) {
        cw_str_addc(&out, '[');
        cw_str_adds(&out, levels[i].id);
        cw_str_addf(&out, ",%" PRId64 "%s%s", levels[i].start_value,
                    levels[i].extra_logging ? ",true" : "", i + 1 < count ? "," : "");
    }
    for (size_t i = 0; i < count; i++)
        cw_str_addc(&out, ']');
    text = cw_arena_dup(arena, cw_str_slice(&out));
    return cw_slice(text, out.n);
}

static bool decode(struct cw_slice value, struct cw_arena *arena, struct cw_tx *ret)
{
    struct level levels[MAX_PARENTS + 1];
    size_t count = 1;
    int64_t start;

    if (!read_level(value, &levels[0]))
        return false;
    while (count <= MAX_PARENTS && levels[count - 1].parent.n &&
           read_level(levels[count - 1].parent, &levels[count]))
        count++;
    start = levels[0].start_value;
    *ret = (struct cw_tx){
        .id = text_of(levels[0].id, arena),
        .start_ms = start > MAX_START_MS    ? MAX_START_MS
                    : start < -MAX_START_MS ? -MAX_START_MS
                                            : start,
        .has_parent = count > 1,
        .extra_logging = levels[0].extra_logging,
    };
    ret->root_id = count > 1 ? text_of(levels[count - 1].id, arena) : ret->id;
    if (!ret->id || !ret->root_id)
        return false;
    ret->raw = encode(levels, count, value.n + UNKNOWN_MAX_BYTES * count, arena);
    if (cw_slice_eq(ret->raw, value))
        ret->raw = value;
    return true;
}

void cw_transid_decode(struct cw_slice value, int64_t fallback_start_ms, struct cw_arena *arena,
                       struct cw_tx *ret)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, UNKNOWN_MAX_BYTES);
    if (decode(value, arena, ret))
        return;
    *ret = cw_tx_named("sid_unknown", fallback_start_ms);
    cw_str_addf(&text, "[\"sid_unknown\",%" PRId64 "]", fallback_start_ms);
    ret->raw = cw_slice(cw_arena_dup(arena, cw_str_slice(&text)), text.n);
}
