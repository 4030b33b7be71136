#include "common/json/doc.h"

#include <inttypes.h>

#include "common/base/err.h"
#include "common/json/path_priv.h"
#include "common/json/raw.h"

/* Not jansson's own text: it quotes the document, which may hold credentials. */
static const char *why_refused(const json_error_t *e)
{
    switch (json_error_code(e)) {
    case json_error_duplicate_key:
        return "a key is given twice";
    case json_error_numeric_overflow:
        return "number out of range";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "\\u0000 in a string";
    default:
        return "invalid text";
    }
}

json_t *cw_json_parse(struct cw_slice text, size_t max_bytes, const char *what, struct cw_err *err)
{
    struct cw_slice value;
    json_error_t e;
    json_t *doc;

    if (text.n > max_bytes) {
        (void)cw_fail(err, CW_TOO_LARGE, "%s: %zu bytes, expected at most %zu", what, text.n,
                      max_bytes);
        return NULL;
    }
    if (cw_raw_check(text, CW_RAW_MAX_DEPTH, &value, err) < 0) {
        (void)cw_err_wrap(err, "%s", what);
        return NULL;
    }
    doc = json_loadb(value.p, value.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!doc)
        (void)cw_fail(err, CW_INVALID, "%s: JSON: %s before byte %zu", what, why_refused(&e),
                      (size_t)(value.p - text.p) + (size_t)(e.position < 0 ? 0 : e.position));
    return doc;
}

/* *ret is NULL for an optional member that is missing. */
static int find(const json_t *obj, const char *path, const char *key, bool required,
                const json_t **ret, struct cw_err *err)
{
    *ret = NULL;
    if (!json_is_object(obj))
        return cw_json_fail_at(err, path, NULL, "expected object");
    *ret = json_object_get(obj, key);
    if (json_is_null(*ret))
        *ret = NULL;
    if (!*ret && required)
        return cw_json_fail_at(err, path, key, "missing");
    return 0;
}

static int find_typed(const json_t *obj, const char *path, const char *key, bool required,
                      json_type type, const char *type_name, const json_t **ret, struct cw_err *err)
{
    if (find(obj, path, key, required, ret, err) < 0)
        return -1;
    if (*ret && json_typeof(*ret) != type)
        return cw_json_fail_at(err, path, key, "expected %s", type_name);
    return 0;
}

int cw_json_get_string(const json_t *obj, const char *path, const char *key, bool required,
                       const char **ret, struct cw_err *err)
{
    const json_t *v;

    if (find_typed(obj, path, key, required, JSON_STRING, "string", &v, err) < 0)
        return -1;
    if (v)
        *ret = json_string_value(v);
    return 0;
}

int cw_json_get_int(const json_t *obj, const char *path, const char *key, bool required,
                    int64_t min, int64_t max, int64_t *ret, struct cw_err *err)
{
    const json_t *v;
    int64_t n;

    if (find(obj, path, key, required, &v, err) < 0)
        return -1;
    if (!v)
        return 0;
    n = json_integer_value(v);
    if (!json_is_integer(v) || n < min || n > max)
        return cw_json_fail_at(err, path, key, "expected integer in %" PRId64 "..%" PRId64, min,
                               max);
    *ret = n;
    return 0;
}

int cw_json_get_bool(const json_t *obj, const char *path, const char *key, bool required, bool *ret,
                     struct cw_err *err)
{
    const json_t *v;

    if (find(obj, path, key, required, &v, err) < 0)
        return -1;
    if (v && !json_is_boolean(v))
        return cw_json_fail_at(err, path, key, "expected boolean");
    if (v)
        *ret = json_is_true(v);
    return 0;
}

int cw_json_get_object(const json_t *obj, const char *path, const char *key, bool required,
                       const json_t **ret, struct cw_err *err)
{
    const json_t *v;

    if (find_typed(obj, path, key, required, JSON_OBJECT, "object", &v, err) < 0)
        return -1;
    if (v)
        *ret = v;
    return 0;
}

int cw_json_get_array(const json_t *obj, const char *path, const char *key, bool required,
                      const json_t **ret, struct cw_err *err)
{
    const json_t *v;

    if (find_typed(obj, path, key, required, JSON_ARRAY, "array", &v, err) < 0)
        return -1;
    if (v)
        *ret = v;
    return 0;
}
