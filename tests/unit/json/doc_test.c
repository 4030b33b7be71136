#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/json/doc.h"

static json_t *parse(const char *text)
{
    struct cw_err err = {0};
    json_t *doc = cw_json_parse(cw_slice_of(text), 4096, "doc", &err);

    if (!doc)
        fail_msg("%s: %s", text, err.msg);
    return doc;
}

static void assert_refused(struct cw_slice text, enum cw_code code, const char *msg)
{
    struct cw_err err = {0};

    assert_null(cw_json_parse(text, 40, "manifest", &err));
    assert_int_equal(err.code, code);
    assert_string_equal(err.msg, msg);
}

static void parse_reads_any_value(void **state)
{
    cw_auto_json json_t *object = parse(" {\"a\":[1,{\"b\":null}]}\n");
    cw_auto_json json_t *number = parse("-7");

    (void)state;
    assert_int_equal(json_array_size(json_object_get(object, "a")), 2);
    assert_int_equal(json_integer_value(number), -7);
}

static void parse_refuses_and_says_where(void **state)
{
    (void)state;
    assert_refused(CW_SLICE(""), CW_INVALID,
                   "manifest: JSON: expected a value, but the text ends at byte 0");
    assert_refused(CW_SLICE("{\"a\":tru}"), CW_INVALID,
                   "manifest: JSON: expected a value at byte 5");
    assert_refused(CW_SLICE("[] x"), CW_INVALID,
                   "manifest: JSON: unexpected text after the value at byte 3");
    assert_refused(CW_SLICE(" {\"a\":1,\"a\":2}"), CW_INVALID,
                   "manifest: JSON: a key is given twice before byte 11");
    assert_refused(CW_SLICE("[1e400]"), CW_INVALID,
                   "manifest: JSON: number out of range before byte 6");
    assert_refused(CW_SLICE("[9223372036854775808]"), CW_INVALID,
                   "manifest: JSON: number out of range before byte 20");
    assert_refused(CW_SLICE("[\"a\\u0000\"]"), CW_INVALID,
                   "manifest: JSON: \\u0000 in a string before byte 10");
    assert_refused(CW_SLICE("[\"\\ud800\"]"), CW_INVALID,
                   "manifest: JSON: invalid text before byte 9");
}

static void parse_caps_size_and_depth(void **state)
{
    static char deep[2002];
    struct cw_err err = {0};

    (void)state;
    assert_refused(CW_SLICE("\"234567890123456789012345678901234567890\""), CW_TOO_LARGE,
                   "manifest: 41 bytes, expected at most 40");
    memset(deep, '[', 1001);
    memset(deep + 1001, ']', 1001);
    assert_null(cw_json_parse(cw_slice(deep, 2002), 4096, "answer", &err));
    assert_string_equal(err.msg, "answer: JSON: nested deeper than 1000 levels at byte 1000");
    json_decref(cw_json_parse(cw_slice(deep + 1, 2000), 2000, "answer", &err));
}

static const char ALL[] = "{\"s\":\"text\",\"i\":5,\"b\":true,\"o\":{\"x\":1},\"a\":[2],\"n\":null,"
                          "\"r\":5.0}";

static void readers_give_the_member(void **state)
{
    cw_auto_json json_t *doc = parse(ALL);
    const json_t *o, *a;
    const char *s;
    int64_t i;
    bool b;

    (void)state;
    assert_int_equal(cw_json_get_string(doc, "", "s", true, &s, NULL), 0);
    assert_string_equal(s, "text");
    assert_int_equal(cw_json_get_int(doc, "", "i", true, 5, 5, &i, NULL), 0);
    assert_int_equal(i, 5);
    assert_int_equal(cw_json_get_bool(doc, "", "b", true, &b, NULL), 0);
    assert_true(b);
    assert_int_equal(cw_json_get_object(doc, "", "o", true, &o, NULL), 0);
    assert_int_equal(json_object_size(o), 1);
    assert_int_equal(cw_json_get_array(doc, "", "a", true, &a, NULL), 0);
    assert_int_equal(json_array_size(a), 1);
}

static void optional_members_may_be_missing_or_null(void **state)
{
    cw_auto_json json_t *doc = parse(ALL);

    (void)state;
    for (const char *const *key = (const char *const[]){"n", "absent", NULL}; *key; key++) {
        const json_t *o = doc, *a = doc;
        const char *s = "default";
        int64_t i = 42;
        bool b = true;

        assert_int_equal(cw_json_get_string(doc, "", *key, false, &s, NULL), 0);
        assert_int_equal(cw_json_get_int(doc, "", *key, false, 0, 1, &i, NULL), 0);
        assert_int_equal(cw_json_get_bool(doc, "", *key, false, &b, NULL), 0);
        assert_int_equal(cw_json_get_object(doc, "", *key, false, &o, NULL), 0);
        assert_int_equal(cw_json_get_array(doc, "", *key, false, &a, NULL), 0);
        assert_string_equal(s, "default");
        assert_int_equal(i, 42);
        assert_true(b);
        assert_ptr_equal(o, doc);
        assert_ptr_equal(a, doc);
    }
}

static void assert_failed(int r, struct cw_err *err, const char *msg)
{
    assert_int_equal(r, -1);
    assert_int_equal(err->code, CW_INVALID);
    assert_string_equal(err->msg, msg);
}

static void readers_refuse_other_types_and_name_the_path(void **state)
{
    cw_auto_json json_t *doc = parse(ALL);
    struct cw_err err = {0};
    const json_t *v;
    const char *s;
    int64_t i;
    bool b;

    (void)state;
    assert_failed(cw_json_get_string(doc, "", "i", false, &s, &err), &err, "i: expected string");
    assert_failed(cw_json_get_bool(doc, "x", "i", false, &b, &err), &err, "x.i: expected boolean");
    assert_failed(cw_json_get_object(doc, "x", "a", false, &v, &err), &err, "x.a: expected object");
    assert_failed(cw_json_get_array(doc, "x", "o", false, &v, &err), &err, "x.o: expected array");
    assert_failed(cw_json_get_int(doc, "x", "r", false, 0, 9, &i, &err), &err,
                  "x.r: expected integer in 0..9");
    assert_failed(cw_json_get_int(doc, "x", "i", false, 6, 9, &i, &err), &err,
                  "x.i: expected integer in 6..9");
    assert_failed(cw_json_get_int(doc, "x", "i", false, 0, 4, &i, &err), &err,
                  "x.i: expected integer in 0..4");
}

static void required_members_must_be_there(void **state)
{
    cw_auto_json json_t *doc = parse(ALL);
    cw_auto_json json_t *list = parse("[]");
    struct cw_err err = {0};
    const json_t *v;
    const char *s;
    int64_t i;
    bool b;

    (void)state;
    assert_failed(cw_json_get_string(doc, "a.b", "n", true, &s, &err), &err, "a.b.n: missing");
    assert_failed(cw_json_get_int(doc, "", "z", true, 0, 1, &i, &err), &err, "z: missing");
    assert_failed(cw_json_get_bool(doc, "", "z", true, &b, &err), &err, "z: missing");
    assert_failed(cw_json_get_object(doc, "", "z", true, &v, &err), &err, "z: missing");
    assert_failed(cw_json_get_array(doc, "", "z", true, &v, &err), &err, "z: missing");
    assert_failed(cw_json_get_array(list, "a", "z", false, &v, &err), &err, "a: expected object");
    assert_failed(cw_json_get_array(NULL, "", "z", false, &v, &err), &err, "expected object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_any_value),
        cmocka_unit_test(parse_refuses_and_says_where),
        cmocka_unit_test(parse_caps_size_and_depth),
        cmocka_unit_test(readers_give_the_member),
        cmocka_unit_test(optional_members_may_be_missing_or_null),
        cmocka_unit_test(readers_refuse_other_types_and_name_the_path),
        cmocka_unit_test(required_members_must_be_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
