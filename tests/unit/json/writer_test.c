#include "tests/support/cmocka_all.h"

#include <jansson.h>

#include "common/json/raw.h"
#include "common/json/writer.h"

static struct cw_str out;
static struct cw_json_writer w;

static int setup(void **state)
{
    (void)state;
    cw_str_init(&out, 1 << 16);
    cw_json_begin(&w, &out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cw_str_done(&out);
    return 0;
}

static void commas_stand_between_and_nowhere_else(void **state)
{
    (void)state;
    cw_json_object(&w);
    cw_json_key(&w, "empty");
    cw_json_object(&w);
    cw_json_object_end(&w);
    cw_json_key(&w, "list");
    cw_json_array(&w);
    cw_json_int(&w, INT64_MIN);
    cw_json_bool(&w, true);
    cw_json_bool(&w, false);
    cw_json_null(&w);
    cw_json_array(&w);
    cw_json_array_end(&w);
    cw_json_string(&w, "x");
    cw_json_raw(&w, CW_SLICE("{ \"a\": 1e400 }"));
    cw_json_object(&w);
    cw_json_kv_int(&w, "k", 1);
    cw_json_object_end(&w);
    cw_json_array_end(&w);
    cw_json_kv_bool(&w, "end", true);
    cw_json_object_end(&w);
    assert_string_equal(out.p,
                        "{\"empty\":{},\"list\":[-9223372036854775808,true,false,null,[],\"x\","
                        "{ \"a\": 1e400 },{\"k\":1}],\"end\":true}");
    assert_int_equal(w.depth, 0);
    assert_false(out.failed);
}

static void absent_members_are_left_out(void **state)
{
    (void)state;
    cw_json_object(&w);
    cw_json_kv_string(&w, "a", NULL);
    cw_json_kv_raw(&w, "b", cw_slice(NULL, 0));
    cw_json_kv_string(&w, "c", "");
    cw_json_kv_raw(&w, "d", CW_SLICE("0.10"));
    cw_json_key(&w, "e");
    cw_json_string(&w, NULL);
    cw_json_object_end(&w);
    assert_string_equal(out.p, "{\"c\":\"\",\"d\":0.10,\"e\":null}");
}

static void a_lone_value_needs_no_bracket(void **state)
{
    (void)state;
    cw_json_string_slice(&w, cw_slice(NULL, 0));
    assert_string_equal(out.p, "\"\"");
}

static void strings_and_keys_are_escaped(void **state)
{
    (void)state;
    cw_json_object(&w);
    cw_json_kv_string(&w, "k\"\n", "\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa4\xf0\x9f\x98\x80");
    cw_json_object_end(&w);
    assert_string_equal(out.p, "{\"k\\\"\\n\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa4"
                               "\xf0\x9f\x98\x80\"}");
}

/* Each ASCII byte at each place of strings around the width of a machine word. */
static void every_byte_anywhere_reads_back(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 18; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 0x80; c++) {
                struct cw_slice text;
                struct cw_str back;
                char buf[18];

                memset(buf, 'x', sizeof(buf));
                buf[at] = (char)c;
                cw_str_reset(&out);
                cw_json_begin(&w, &out);
                cw_json_string_slice(&w, cw_slice(buf, len));
                assert_int_equal(cw_raw_check(cw_str_slice(&out), 0, &text, NULL), 0);
                cw_str_init(&back, 64);
                cw_raw_unescape(text, &back);
                assert_int_equal(back.n, len);
                assert_memory_equal(back.p, buf, len);
                cw_str_done(&back);
            }
        }
    }
}

static void an_independent_reader_agrees(void **state)
{
    static const char TEXT[] = "a\0\x02\"\\\xe2\x82\xac";
    json_t *doc;
    json_t *s;

    (void)state;
    cw_json_array(&w);
    cw_json_string_slice(&w, CW_SLICE("a\0\x02\"\\\xe2\x82\xac"));
    cw_json_int(&w, INT64_MAX);
    cw_json_array_end(&w);
    doc = json_loadb(out.p, out.n, JSON_ALLOW_NUL, NULL);
    assert_non_null(doc);
    s = json_array_get(doc, 0);
    assert_int_equal(json_string_length(s), sizeof(TEXT) - 1);
    assert_memory_equal(json_string_value(s), TEXT, sizeof(TEXT) - 1);
    assert_true(json_integer_value(json_array_get(doc, 1)) == INT64_MAX);
    json_decref(doc);
}

static void nests_as_deep_as_promised(void **state)
{
    (void)state;
    for (int i = 0; i < CW_JSON_MAX_NESTING; i++)
        cw_json_array(&w);
    for (int i = 0; i < CW_JSON_MAX_NESTING; i++)
        cw_json_array_end(&w);
    assert_int_equal(cw_raw_check(cw_str_slice(&out), CW_JSON_MAX_NESTING, NULL, NULL), 0);
    assert_int_equal(out.n, 2 * CW_JSON_MAX_NESTING);
}

static void overflow_is_remembered(void **state)
{
    struct cw_str small;

    (void)state;
    cw_str_init(&small, 8);
    cw_json_begin(&w, &small);
    cw_json_array(&w);
    cw_json_string(&w, "0123456789");
    cw_json_array_end(&w);
    assert_true(small.failed);
    assert_true(small.n <= 8);
    cw_str_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commas_stand_between_and_nowhere_else, setup, teardown),
        cmocka_unit_test_setup_teardown(absent_members_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lone_value_needs_no_bracket, setup, teardown),
        cmocka_unit_test_setup_teardown(strings_and_keys_are_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_anywhere_reads_back, setup, teardown),
        cmocka_unit_test_setup_teardown(an_independent_reader_agrees, setup, teardown),
        cmocka_unit_test_setup_teardown(nests_as_deep_as_promised, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_is_remembered, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
