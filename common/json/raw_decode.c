/* One pass over the members; names are looked up by linear search, since tables are short and the
 * first byte settles most comparisons. */
#include <assert.h>
#include <inttypes.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/json/path_priv.h"
#include "common/json/raw.h"

enum { MAX_FIELDS = 64, STRING_MAX_DEFAULT = 65536 };

struct decoder {
    const struct cw_field *fields;
    size_t count;
    char *out;
    struct cw_arena *arena;
    const char *path;
    struct cw_err *err;
};

static bool key_is(struct cw_slice key, bool escaped, const char *name)
{
    size_t n = key.n - 2;

    if (escaped)
        return cw_raw_string_is(key, name);
    return n == 0 ? !*name : name[0] == key.p[1] && !strncmp(name, key.p + 1, n) && !name[n];
}

/* NULL when nobody asked for it. */
static const struct cw_field *find_field(const struct decoder *d, struct cw_slice key)
{
    bool escaped = memchr(key.p, '\\', key.n) != NULL;

    for (size_t i = 0; i < d->count; i++)
        if (key_is(key, escaped, d->fields[i].name))
            return &d->fields[i];
    return NULL;
}

static int wrong_type(const struct decoder *d, const struct cw_field *f)
{
    static const char *const NAMES[] = {
        [CW_FIELD_RAW] = "value",     [CW_FIELD_OBJECT] = "object", [CW_FIELD_ARRAY] = "array",
        [CW_FIELD_STRING] = "string", [CW_FIELD_QUOTED] = "string", [CW_FIELD_INT] = "integer",
        [CW_FIELD_WHOLE] = "integer", [CW_FIELD_NUMBER] = "number", [CW_FIELD_BOOL] = "boolean",
    };

    return cw_json_fail_at(d->err, d->path, f->name, "expected %s", NAMES[f->type]);
}

static int put_slice(const struct decoder *d, const struct cw_field *f, struct cw_slice value,
                     enum cw_raw_type wanted)
{
    if (cw_raw_type(value) != wanted)
        return wrong_type(d, f);
    memcpy(d->out + f->offset, &value, sizeof(value));
    return 0;
}

static int put_string(const struct decoder *d, const struct cw_field *f, struct cw_slice value)
{
    int64_t max = f->max ? f->max : STRING_MAX_DEFAULT;
    const char *text;
    size_t n;

    if (cw_raw_type(value) != CW_RAW_STRING)
        return wrong_type(d, f);
    text = cw_raw_string(value, d->arena, &n);
    if ((int64_t)n < f->min || (int64_t)n > max)
        return cw_json_fail_at(d->err, d->path, f->name,
                               "expected string of %" PRId64 "..%" PRId64 " bytes", f->min, max);
    if (memchr(text, '\0', n))
        return cw_json_fail_at(d->err, d->path, f->name, "expected string without \\u0000");
    memcpy(d->out + f->offset, &text, sizeof(text));
    return 0;
}

static bool read_integer(const struct cw_field *f, struct cw_slice value, int64_t *ret)
{
    if (f->type == CW_FIELD_INT)
        return cw_parse_i64(value, f->name, f->min, f->max, ret, NULL) == 0;
    if (cw_raw_type(value) != CW_RAW_NUMBER || !cw_raw_is_whole(value))
        return false;
    *ret = (int32_t)(uint32_t)(uint64_t)cw_raw_long(value);
    return *ret >= f->min && *ret <= f->max;
}

static int put_int(const struct decoder *d, const struct cw_field *f, struct cw_slice value)
{
    int64_t v;

    if (!read_integer(f, value, &v))
        return cw_json_fail_at(d->err, d->path, f->name,
                               "expected integer in %" PRId64 "..%" PRId64, f->min, f->max);
    memcpy(d->out + f->offset, &v, sizeof(v));
    return 0;
}

static int put_bool(const struct decoder *d, const struct cw_field *f, struct cw_slice value)
{
    bool v = cw_raw_is_true(value);

    if (cw_raw_type(value) != CW_RAW_BOOL)
        return wrong_type(d, f);
    memcpy(d->out + f->offset, &v, sizeof(v));
    return 0;
}

static int put(const struct decoder *d, const struct cw_field *f, struct cw_slice value)
{
    switch (f->type) {
    case CW_FIELD_OBJECT:
        return put_slice(d, f, value, CW_RAW_OBJECT);
    case CW_FIELD_ARRAY:
        return put_slice(d, f, value, CW_RAW_ARRAY);
    case CW_FIELD_QUOTED:
        return put_slice(d, f, value, CW_RAW_STRING);
    case CW_FIELD_STRING:
        return put_string(d, f, value);
    case CW_FIELD_NUMBER:
        return put_slice(d, f, value, CW_RAW_NUMBER);
    case CW_FIELD_INT:
    case CW_FIELD_WHOLE:
        return put_int(d, f, value);
    case CW_FIELD_BOOL:
        return put_bool(d, f, value);
    case CW_FIELD_RAW:
        break;
    }
    return put_slice(d, f, value, cw_raw_type(value));
}

static int decode_member(const struct decoder *d, const struct cw_field *f, struct cw_slice value)
{
    const bool present = true;

    if ((f->flags & CW_FIELD_NULLABLE) && cw_raw_type(value) == CW_RAW_NULL)
        return 0;
    if (put(d, f, value) < 0)
        return -1;
    if (f->has_offset)
        memcpy(d->out + f->has_offset, &present, sizeof(present));
    return 0;
}

int cw_raw_decode(struct cw_slice object, const struct cw_field *fields, size_t count, void *out,
                  struct cw_arena *arena, const char *path, struct cw_err *err)
{
    struct decoder d = {fields, count, out, arena, path, err};
    struct cw_slice last[MAX_FIELDS] = {0}; /* empty: not seen */
    struct cw_slice key, value;
    struct cw_raw_iter it;

    assert(count <= MAX_FIELDS);
    if (object.n == 0 || cw_raw_type(object) != CW_RAW_OBJECT)
        return cw_json_fail_at(err, path, NULL, "expected object");
    it = cw_raw_iter(object);
    while (cw_raw_next_member(&it, &key, &value)) {
        const struct cw_field *f = find_field(&d, key);

        if (f)
            last[f - fields] = value;
    }
    for (size_t i = 0; i < count; i++) {
        if (last[i].n == 0 && (fields[i].flags & CW_FIELD_REQUIRED))
            return cw_json_fail_at(err, path, fields[i].name, "missing");
        if (last[i].n > 0 && decode_member(&d, &fields[i], last[i]) < 0)
            return -1;
    }
    return 0;
}
