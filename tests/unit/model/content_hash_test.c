#include "tests/support/cmocka_all.h"

#include "common/json/raw.h"
#include "common/model/content_hash.h"
#include "tests/unit/model/samples.h"

struct digest {
    unsigned char bytes[CW_CONTENT_HASH_LEN];
};

static struct digest of(const char *text, bool parameters)
{
    struct cw_content_hash *h = cw_content_hash_new();
    struct cw_slice value;
    struct digest d;

    assert_int_equal(cw_raw_check(cw_slice_of(text), CW_RAW_MAX_DEPTH, &value, NULL), 0);
    if (parameters)
        cw_content_hash_parameters(h, value);
    else
        cw_content_hash_json(h, value);
    cw_content_hash_end(h, d.bytes);
    cw_content_hash_free(h);
    return d;
}

static bool same(const char *a, const char *b)
{
    struct digest x = of(a, false), y = of(b, false);

    return memcmp(&x, &y, sizeof(x)) == 0;
}

static bool same_parameters(const char *a, const char *b)
{
    struct digest x = of(a, true), y = of(b, true);

    return memcmp(&x, &y, sizeof(x)) == 0;
}

static void spelling_does_not_matter(void **state)
{
    static const char *const PAIRS[][2] = {
        {"{\"a\":1,\"b\":[true,null]}", " { \"b\" : [ true , null ] , \"a\" : 1 } "},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
        {"\"A\\n\\u00e9\\/\"", "\"\\u0041\\u000a\xc3\xa9/\""},
        {"\"\\ud83d\\ude00x\"", "\"\xf0\x9f\x98\x80x\""},
        {"{\"k\\u0065y\":1}", "{\"key\":1}"},
        {"1", "1.0"},
        {"1", "10e-1"},
        {"100", "1E+2"},
        {"0", "-0.00e7"},
        {"-12.50", "-125e-1"},
        {"12345678901234567890", "12345678901234567890.0"},
        {"1e400", "10e399"},
        {"0.001", "1e-3"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(PAIRS); i++)
        if (!same(PAIRS[i][0], PAIRS[i][1]))
            fail_msg("%s and %s differ", PAIRS[i][0], PAIRS[i][1]);
}

static void meaning_does_matter(void **state)
{
    static const char *const PAIRS[][2] = {
        {"[1,2]", "[2,1]"},
        {"[[1],2]", "[[1,2]]"},
        {"[]", "{}"},
        {"\"1\"", "1"},
        {"null", "false"},
        {"true", "false"},
        {"1", "-1"},
        {"1", "10"},
        {"12345678901234567890", "12345678901234567891"},
        {"1e400", "1e401"},
        {"\"\"", "\"\\u0000\""},
        {"{\"a\":\"b\"}", "{\"b\":\"a\"}"},
        {"{\"a\":null}", "{}"},
        {"\"ab\"", "\"a\\\\b\""},
        {"1e99999999999", "1e99999999998"},
        {"[\"a\",\"b\"]", "[\"ab\",\"\"]"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(PAIRS); i++)
        if (same(PAIRS[i][0], PAIRS[i][1]))
            fail_msg("%s and %s are equal", PAIRS[i][0], PAIRS[i][1]);
}

static void order_of_parameters_does_not_matter(void **state)
{
    (void)state;
    assert_true(same_parameters("[{\"key\":\"a\",\"value\":1},{\"key\":\"b\",\"value\":2}]",
                                "[{\"value\":2,\"key\":\"b\"},{\"key\":\"a\",\"value\":1.0}]"));
    assert_true(same_parameters("[{\"key\":\"a\",\"value\":1},{\"key\":\"a\",\"value\":2}]",
                                "[{\"key\":\"a\",\"value\":2}]"));
    assert_false(same_parameters("[{\"key\":\"a\",\"value\":1}]",
                                 "[{\"key\":\"a\",\"value\":1,\"init\":true}]"));
    assert_false(same_parameters("[]", "[{\"key\":\"a\",\"value\":1}]"));
}

/* Longer than what is unescaped at once, with pairs across every possible seam. */
static void long_runs_of_escapes_are_one_text(void **state)
{
    cw_auto_str struct cw_str escaped, plain;

    (void)state;
    for (int lead = 0; lead < 4; lead++) {
        cw_str_init(&escaped, 1 << 20);
        cw_str_init(&plain, 1 << 20);
        cw_str_addc(&escaped, '"');
        cw_str_addc(&plain, '"');
        for (int i = 0; i < lead; i++) {
            cw_str_addz(&escaped, "\\u0041");
            cw_str_addc(&plain, 'A');
        }
        for (int i = 0; i < 3000; i++) {
            cw_str_addz(&escaped, "\\uD83D\\uDE00");
            cw_str_addz(&plain, "\xf0\x9f\x98\x80");
        }
        cw_str_addc(&escaped, '"');
        cw_str_addc(&plain, '"');
        assert_true(same(escaped.p, plain.p));
        cw_str_done(&escaped);
        cw_str_done(&plain);
    }
}

static void lone_surrogates_do_not_overrun(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 1 << 20);
    cw_str_addc(&s, '"');
    for (int i = 0; i < 5000; i++)
        cw_str_addz(&s, "\\ud800");
    cw_str_addc(&s, '"');
    assert_true(same(s.p, s.p));
    assert_false(same(s.p, "\"\""));
}

static void depth_up_to_the_limit_is_hashed(void **state)
{
    char text[2 * CW_RAW_MAX_DEPTH + 1];

    (void)state;
    memset(text, '[', CW_RAW_MAX_DEPTH);
    memset(text + CW_RAW_MAX_DEPTH, ']', CW_RAW_MAX_DEPTH);
    text[sizeof(text) - 1] = '\0';
    assert_false(same(text, "[]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spelling_does_not_matter),
        cmocka_unit_test(meaning_does_matter),
        cmocka_unit_test(order_of_parameters_does_not_matter),
        cmocka_unit_test(long_runs_of_escapes_are_one_text),
        cmocka_unit_test(lone_surrogates_do_not_overrun),
        cmocka_unit_test(depth_up_to_the_limit_is_hashed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
