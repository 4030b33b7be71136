#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/kv/redis_sieve_priv.h"

enum { OUT_MAX = 65536 };

/* What comes through, however the text is cut. */
static void comes_out(struct redis_limits limits, const char *text, const char *expected)
{
    size_t n = strlen(text);

    for (size_t piece = 1; piece <= n; piece++) {
        struct redis_sieve s = {.limits = limits};
        cw_auto_str struct cw_str out;
        struct cw_err err = {0};

        cw_str_init(&out, OUT_MAX);
        for (size_t at = 0; at < n; at += piece)
            assert_int_equal(
                redis_sieve(&s, text + at, n - at < piece ? n - at : piece, &out, &err), 0);
        assert_string_equal(out.n ? out.p : "", expected);
    }
}

static void stays(struct redis_limits limits, const char *text)
{
    comes_out(limits, text, text);
}

static const struct redis_limits FEW = {.bytes = 8, .items = 4};

static void what_is_within_the_limits_is_untouched(void **state)
{
    (void)state;
    stays(FEW, "+OK\r\n-ERR no\r\n:12\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n$8\r\n12345678\r\n");
    stays(FEW, "*2\r\n$4\r\n12\r\n\r\n*2\r\n:1\r\n$4\r\n$9*1\r\n");
}

static void the_limits_are_of_each_answer(void **state)
{
    (void)state;
    stays(FEW, "$8\r\n12345678\r\n$8\r\n12345678\r\n*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n*1\r\n:1\r\n");
}

static void a_string_over_the_limit_becomes_nil(void **state)
{
    (void)state;
    comes_out(FEW, "$9\r\n123456789\r\n+OK\r\n", "$-1\r\n+OK\r\n");
    comes_out(FEW, "*2\r\n$1\r\na\r\n$9\r\n*3\r\n$1\r\n+\r\n:5\r\n",
              "*2\r\n$1\r\na\r\n$-1\r\n:5\r\n");
}

static void strings_count_together(void **state)
{
    (void)state;
    comes_out(FEW, "*3\r\n$6\r\n123456\r\n$3\r\nabc\r\n$2\r\nde\r\n$8\r\n12345678\r\n",
              "*3\r\n$6\r\n123456\r\n$-1\r\n$2\r\nde\r\n$8\r\n12345678\r\n");
}

static void an_answer_of_too_many_items_is_an_error(void **state)
{
    (void)state;
    comes_out(FEW, "*5\r\n:1\r\n*2\r\n+a\r\n*0\r\n$3\r\nabc\r\n$-1\r\n-x\r\n+OK\r\n",
              "-TOOLARGE an answer of over 4 items\r\n+OK\r\n");
}

static void an_array_of_too_many_items_in_an_answer_is_nil(void **state)
{
    (void)state;
    comes_out(FEW, "*2\r\n*3\r\n:1\r\n:2\r\n*1\r\n:3\r\n:4\r\n+OK\r\n",
              "*2\r\n*-1\r\n:4\r\n+OK\r\n");
}

static void a_text_ends_with_both_bytes_of_its_lines_end(void **state)
{
    (void)state;
    stays(FEW, "+a\n$9\r\r\n*1\r\n+\n*9\r\n-\r\r\n");
    comes_out(FEW, "+a\n$9\r\n*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n+OK\r\n",
              "+a\n$9\r\n-TOOLARGE an answer of over 4 items\r\n+OK\r\n");
}

static void refuses(const char *text, enum cw_code code, const char *why)
{
    struct redis_sieve s = {.limits = FEW};
    cw_auto_str struct cw_str out;
    struct cw_err err = {0};

    cw_str_init(&out, OUT_MAX);
    assert_int_equal(redis_sieve(&s, text, strlen(text), &out, &err), -1);
    assert_int_equal(err.code, code);
    assert_string_equal(err.msg, why);
}

static void what_is_not_the_protocol_is_refused(void **state)
{
    static const char *const texts[] = {"HTTP/1.1 400\r\n",
                                        "$x\r\n",
                                        "*-2\r\n",
                                        "$12345678901234567890123456789\r\n",
                                        "*1\n:1\r\n",
                                        "$1\r2\r\n",
                                        "$\r\n",
                                        "+OK\r\n%1\r\n",
                                        "+a\n*1\r\n$9477*1\r\n*1000000000\r\n"};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(texts); i++)
        refuses(texts[i], CW_INVALID, "what it answers is not Redis' protocol (RESP2)");
}

static void what_would_take_too_long_to_skip_is_refused(void **state)
{
    (void)state;
    refuses("$536870913\r\n", CW_TOO_LARGE, "an answer has over 8 bytes");
    refuses("*16777217\r\n", CW_TOO_LARGE, "an answer has over 4 items");
    refuses("*16777216\r\n*16777216\r\n*1\r\n", CW_TOO_LARGE, "an answer has over 4 items");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_within_the_limits_is_untouched),
        cmocka_unit_test(the_limits_are_of_each_answer),
        cmocka_unit_test(a_string_over_the_limit_becomes_nil),
        cmocka_unit_test(strings_count_together),
        cmocka_unit_test(an_answer_of_too_many_items_is_an_error),
        cmocka_unit_test(an_array_of_too_many_items_in_an_answer_is_nil),
        cmocka_unit_test(a_text_ends_with_both_bytes_of_its_lines_end),
        cmocka_unit_test(what_is_not_the_protocol_is_refused),
        cmocka_unit_test(what_would_take_too_long_to_skip_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
