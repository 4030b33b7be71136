/* The raw reader on any bytes, with jansson as the second opinion. A broken property aborts. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/json/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(property)                                                                             \
    do {                                                                                           \
        if (!(property)) {                                                                         \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #property);           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { TEXT_MAX = 1 << 20 };

static bool accepted(struct cw_slice text, unsigned max_depth, struct cw_slice *ret_value)
{
    struct cw_err err = {0};

    if (cw_raw_check(text, max_depth, ret_value, &err) == 0) {
        MUST(err.code == CW_OK);
        return true;
    }
    MUST(err.code == CW_INVALID && err.msg[0]);
    return false;
}

static void unescape(struct cw_slice quoted, struct cw_str *out)
{
    struct cw_arena arena;
    size_t n;
    char *text;

    cw_str_init(out, TEXT_MAX);
    cw_raw_unescape(quoted, out);
    MUST(!out->failed && out->n <= quoted.n - 2);
    MUST(cw_utf8_valid(cw_str_slice(out)));
    cw_arena_init(&arena);
    text = cw_raw_string(quoted, &arena, &n);
    MUST(cw_slice_eq(cw_slice(text, n), cw_str_slice(out)));
    MUST(text[n] == '\0');
    cw_arena_done(&arena);
    MUST(cw_raw_string_is(quoted, out->p) == (memchr(out->p, '\0', out->n) == NULL));
}

/* What we write of a string's meaning has that meaning again. */
static void check_string(struct cw_slice quoted)
{
    struct cw_json_writer w;
    struct cw_slice value;
    struct cw_str text, again, back;

    unescape(quoted, &text);
    cw_str_init(&again, TEXT_MAX);
    cw_json_begin(&w, &again);
    cw_json_string_slice(&w, cw_str_slice(&text));
    MUST(accepted(cw_str_slice(&again), 0, &value));
    MUST(cw_slice_eq(value, cw_str_slice(&again)));
    unescape(value, &back);
    MUST(cw_slice_eq(cw_str_slice(&text), cw_str_slice(&back)));
    cw_str_done(&text);
    cw_str_done(&again);
    cw_str_done(&back);
}

/* Between two pieces of a container lies nothing but white space and one separator. */
static const char *check_gap(const char *from, const char *to, char separator)
{
    struct cw_slice gap = cw_slice_trim(cw_slice(from, (size_t)(to - from)));

    MUST(from <= to);
    MUST(separator ? gap.n == 1 && *gap.p == separator : gap.n == 0);
    return to;
}

static unsigned check_value(struct cw_slice value);

static unsigned check_object(struct cw_slice object)
{
    struct cw_raw_iter it = cw_raw_iter(object);
    const char *p = object.p + 1;
    unsigned deepest = 0, depth;
    struct cw_slice key, value;
    char separator = '\0';

    while (cw_raw_next_member(&it, &key, &value)) {
        check_gap(p, key.p, separator);
        check_gap(key.p + key.n, value.p, ':');
        check_string(key);
        depth = check_value(value);
        deepest = depth > deepest ? depth : deepest;
        p = value.p + value.n;
        separator = ',';
    }
    check_gap(p, object.p + object.n - 1, '\0');
    return deepest + 1;
}

static unsigned check_array(struct cw_slice array)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    const char *p = array.p + 1;
    unsigned deepest = 0, depth;
    struct cw_slice value;
    char separator = '\0';

    while (cw_raw_next_element(&it, &value)) {
        check_gap(p, value.p, separator);
        depth = check_value(value);
        deepest = depth > deepest ? depth : deepest;
        p = value.p + value.n;
        separator = ',';
    }
    check_gap(p, array.p + array.n - 1, '\0');
    return deepest + 1;
}

/* The parts of checked text are texts themselves, and make up all of it. Returns the depth. */
static unsigned check_value(struct cw_slice value)
{
    struct cw_slice again;

    MUST(value.n > 0);
    switch (cw_raw_type(value)) {
    case CW_RAW_OBJECT:
        return check_object(value);
    case CW_RAW_ARRAY:
        return check_array(value);
    case CW_RAW_STRING:
        check_string(value);
        break;
    default:
        break;
    }
    MUST(accepted(value, 0, &again) && cw_slice_eq(value, again));
    return 0;
}

static void compare_objects(struct cw_slice object, const json_t *want);

static void compare(struct cw_slice value, const json_t *want)
{
    struct cw_raw_iter it = cw_raw_iter(value);
    struct cw_slice element;
    struct cw_str text;
    size_t count = 0;
    int64_t n;

    switch (cw_raw_type(value)) {
    case CW_RAW_OBJECT:
        MUST(json_is_object(want));
        compare_objects(value, want);
        break;
    case CW_RAW_ARRAY:
        MUST(json_is_array(want));
        while (cw_raw_next_element(&it, &element))
            compare(element, json_array_get(want, count++));
        MUST(count == json_array_size(want));
        break;
    case CW_RAW_STRING:
        MUST(json_is_string(want));
        unescape(value, &text);
        MUST(cw_slice_eq(cw_str_slice(&text),
                         cw_slice(json_string_value(want), json_string_length(want))));
        cw_str_done(&text);
        break;
    case CW_RAW_NUMBER:
        if (cw_parse_i64(value, "number", INT64_MIN, INT64_MAX, &n, NULL) == 0)
            MUST(json_is_integer(want) && json_integer_value(want) == n);
        else
            MUST(json_is_real(want));
        break;
    case CW_RAW_BOOL:
        MUST(json_is_boolean(want) && json_is_true(want) == cw_raw_is_true(value));
        break;
    case CW_RAW_NULL:
        MUST(json_is_null(want));
    }
}

/* Jansson, too, lets the last of equal keys win. */
static void compare_objects(struct cw_slice object, const json_t *want)
{
    struct cw_raw_iter it = cw_raw_iter(object);
    struct cw_slice key, value;
    struct cw_str text;

    while (cw_raw_next_member(&it, &key, &value)) {
        unescape(key, &text);
        MUST(json_object_get(want, text.p));
        MUST(cw_raw_get(object, text.p, &value));
        compare(value, json_object_get(want, text.p));
        cw_str_done(&text);
    }
}

/* Jansson refuses more (numbers out of range, \u0000 in keys, lone surrogates) and never less. */
static void compare_with_jansson(struct cw_slice text, bool ours, struct cw_slice value)
{
    json_error_t e;
    json_t *doc = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    bool escapes = memchr(text.p, '\\', text.n) != NULL;

    if (doc)
        MUST(ours);
    else if (ours && json_error_code(&e) == json_error_invalid_syntax)
        MUST(escapes);
    else if (ours)
        MUST(json_error_code(&e) == json_error_numeric_overflow ||
             json_error_code(&e) == json_error_null_byte_in_key);
    if (doc && value.n <= 4096) /* looking each key up is quadratic */
        compare(value, doc);
    json_decref(doc);
}

/* Jansson goes deeper than we do, and loses NUL bytes that it has put back behind a number. */
static bool comparable(struct cw_slice text)
{
    size_t brackets = 0;

    for (size_t i = 0; i < text.n; i++)
        brackets += text.p[i] == '[' || text.p[i] == '{';
    return brackets <= CW_RAW_MAX_DEPTH && !memchr(text.p, '\0', text.n);
}

struct target {
    struct cw_slice raw, object, array, quoted;
    const char *string;
    int64_t n;
    bool has_n, flag;
};

static void decode(struct cw_slice value)
{
    static const struct cw_field FIELDS[] = {
        {"raw", CW_FIELD_RAW, 0, offsetof(struct target, raw), 0, 0, 0},
        {"o", CW_FIELD_OBJECT, 0, offsetof(struct target, object), 0, 0, 0},
        {"a", CW_FIELD_ARRAY, CW_FIELD_NULLABLE, offsetof(struct target, array), 0, 0, 0},
        {"q", CW_FIELD_QUOTED, 0, offsetof(struct target, quoted), 0, 0, 0},
        {"s", CW_FIELD_STRING, 0, offsetof(struct target, string), 0, 1, 9},
        {"n", CW_FIELD_INT, CW_FIELD_REQUIRED, offsetof(struct target, n),
         offsetof(struct target, has_n), -9, 9},
        {"b", CW_FIELD_BOOL, 0, offsetof(struct target, flag), 0, 0, 0},
    };
    struct target t = {0};
    struct cw_arena arena;
    struct cw_err err = {0};

    cw_arena_init(&arena);
    if (cw_raw_decode(value, FIELDS, CW_ARRAY_LEN(FIELDS), &t, &arena, "x", &err) == 0) {
        MUST(t.has_n && t.n >= -9 && t.n <= 9);
        MUST(!t.string || (strlen(t.string) >= 1 && strlen(t.string) <= 9));
        MUST(!t.object.n || cw_raw_type(t.object) == CW_RAW_OBJECT);
        MUST(!t.array.n || cw_raw_type(t.array) == CW_RAW_ARRAY);
        MUST(!t.quoted.n || cw_raw_type(t.quoted) == CW_RAW_STRING);
    } else {
        MUST(err.msg[0] == 'x');
    }
    cw_arena_done(&arena);
}

static void check_utf8(struct cw_slice bytes)
{
    struct cw_slice valid = bytes;
    struct cw_str out;

    cw_str_init(&out, 3 * bytes.n + 1);
    if (cw_utf8_repair(bytes, &out)) {
        MUST(!cw_utf8_valid(bytes) && !out.failed);
        valid = cw_str_slice(&out);
    } else {
        MUST(out.n == 0);
    }
    MUST(cw_utf8_valid(valid));
    MUST(cw_utf16_units(valid) <= valid.n && cw_utf16_units(valid) >= (valid.n + 2) / 3);
    cw_str_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_slice text = cw_slice((const char *)data, size);
    struct cw_slice value = {0};
    unsigned depth;
    bool ours;

    if (size == 0 || size > TEXT_MAX)
        return 0;
    check_utf8(text);
    ours = accepted(text, CW_RAW_MAX_DEPTH, &value);
    if (ours) {
        MUST(cw_utf8_valid(text));
        depth = check_value(value);
        MUST(depth <= CW_RAW_MAX_DEPTH);
        MUST(accepted(text, depth, &value));
        MUST(depth == 0 || !accepted(text, depth - 1, NULL));
        decode(value);
    }
    if (comparable(text))
        compare_with_jansson(text, ours, value);
    return 0;
}
