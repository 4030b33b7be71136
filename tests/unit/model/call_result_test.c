#include "tests/support/cmocka_all.h"

#include "common/model/action_call.h"
#include "tests/unit/model/samples.h"

struct result_case {
    struct cw_call_answer answer;
    enum cw_status status;
    const char *result; /* raw; NULL: empty */
    int64_t size;
};

#define ANSWER(code, text)                                                                         \
    {                                                                                              \
        .end = CW_CALL_ANSWERED, .status = (code), .body = { text, sizeof(text) - 1 }              \
    }
#define INVALID "The action did not produce a valid JSON or JSON Array response"

typedef void interpret_fn(const struct cw_call_answer *a, struct cw_call_result *ret);

static void check(interpret_fn *interpret, const struct result_case *cases, size_t n)
{
    struct cw_call_result r;

    cw_str_init(&r.result, 100000);
    for (size_t i = 0; i < n; i++) {
        interpret(&cases[i].answer, &r);
        if (r.status != cases[i].status || r.size != cases[i].size ||
            strcmp(r.result.p, cases[i].result ? cases[i].result : "") != 0)
            fail_msg("case %zu: %d %s size %lld", i, r.status, r.result.p, (long long)r.size);
    }
    cw_str_done(&r.result);
}

static void answers_of_init_follow_the_table(void **state)
{
    static const struct result_case CASES[] = {
        {ANSWER(200, "{\"ok\":true}"), CW_STATUS_SUCCESS, NULL, 11},
        {ANSWER(200, "{\"error\":\"ignored\"}"), CW_STATUS_SUCCESS, NULL, 19},
        {ANSWER(200, ""), CW_STATUS_SUCCESS, NULL, 0},
        {ANSWER(502, "{\"error\":\"boom\",\"more\":1}"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"boom\"}", 25},
        {ANSWER(502, " {\"error\" : {\"a\": 1.0 } } "), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":{\"a\": 1.0 }}", 26},
        {ANSWER(201, "{\"ok\":true}"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action failed during initialization: {\\\"ok\\\":true}\"}", 11},
        {ANSWER(500, "[\"error\"]"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action failed during initialization: [\\\"error\\\"]\"}", 9},
        {ANSWER(500, "oops"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action failed during initialization: oops\"}", 4},
        {ANSWER(500, ""), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action failed during initialization.\"}", 0},
        {{.end = CW_CALL_TIMED_OUT, .timeout_ms = 60000},
         CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action exceeded its time limits of 60000 milliseconds during "
         "initialization.\"}",
         -1},
        {{.end = CW_CALL_OUT_OF_MEMORY},
         CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action exhausted its memory and was aborted.\"}",
         -1},
        {{.end = CW_CALL_NO_ANSWER},
         CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action did not initialize and exited unexpectedly.\"}",
         -1},
        {{.end = CW_CALL_PLATFORM_FAULT},
         CW_STATUS_WHISK_ERROR,
         "{\"error\":\"The action did not produce a valid response and exited unexpectedly.\"}",
         -1},
        {{.end = CW_CALL_ANSWERED,
          .status = 200,
          .body = {"abc", 3},
          .truncated = true,
          .content_length = 2000,
          .max_response = 1000},
         CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action produced a response that exceeded the allowed length: 2000 > "
         "1000 bytes. The truncated response was: abc\"}",
         2000},
    };

    (void)state;
    check(cw_init_interpret, CASES, CW_ARRAY_LEN(CASES));
}

static void answers_of_run_follow_the_table(void **state)
{
    static const struct result_case CASES[] = {
        {ANSWER(200, "{\"a\":0.10, \"b\":1e400}"), CW_STATUS_SUCCESS, "{\"a\":0.10, \"b\":1e400}",
         21},
        {ANSWER(200, " {} \n"), CW_STATUS_SUCCESS, "{}", 5},
        {ANSWER(200, "[1, 2]"), CW_STATUS_SUCCESS, "[1, 2]", 6},
        {ANSWER(200, "[{\"error\":1}]"), CW_STATUS_SUCCESS, "[{\"error\":1}]", 13},
        {ANSWER(200, "{\"error\":\"bad\",\"other\":1}"), CW_STATUS_APPLICATION_ERROR,
         "{\"error\":\"bad\"}", 25},
        {ANSWER(200, "{\"error\":null}"), CW_STATUS_APPLICATION_ERROR, "{\"error\":null}", 14},
        {ANSWER(502, "{\"error\":{\"code\":7},\"other\":1}"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":{\"code\":7}}", 30},
        {ANSWER(502, "{\"a\":1}"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"" INVALID ": {\\\"a\\\":1}\"}", 7},
        {ANSWER(204, "[1]"), CW_STATUS_DEVELOPER_ERROR, "{\"error\":\"" INVALID ": [1]\"}", 3},
        {ANSWER(200, "17"), CW_STATUS_DEVELOPER_ERROR, "{\"error\":\"" INVALID ": 17\"}", 2},
        {ANSWER(200, "{\"a\":}"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"" INVALID ": {\\\"a\\\":}\"}", 6},
        {ANSWER(200, ""), CW_STATUS_DEVELOPER_ERROR, "{\"error\":\"" INVALID ".\"}", 0},
        {{.end = CW_CALL_TIMED_OUT, .timeout_ms = 100},
         CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action exceeded its time limits of 100 milliseconds.\"}",
         -1},
        {{.end = CW_CALL_OUT_OF_MEMORY},
         CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action exhausted its memory and was aborted.\"}",
         -1},
        {{.end = CW_CALL_NO_ANSWER},
         CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"The action did not produce a valid response and exited unexpectedly.\"}",
         -1},
        {{.end = CW_CALL_PLATFORM_FAULT},
         CW_STATUS_WHISK_ERROR,
         "{\"error\":\"The action did not produce a valid response and exited unexpectedly.\"}",
         -1},
        {{.end = CW_CALL_ANSWERED,
          .status = 500,
          .body = {"{\"a\":1}", 7},
          .truncated = true,
          .content_length = 20,
          .max_response = 10},
         CW_STATUS_APPLICATION_ERROR,
         "{\"error\":\"The action produced a response that exceeded the allowed length: 20 > 10 "
         "bytes. The truncated response was: {\\\"a\\\":1}\"}",
         20},
    };

    (void)state;
    check(cw_run_interpret, CASES, CW_ARRAY_LEN(CASES));
}

static void size_counts_utf16_units_of_the_repaired_text(void **state)
{
    static const struct result_case CASES[] = {
        {ANSWER(200, "{\"a\":\"\xc3\xa9\"}"), CW_STATUS_SUCCESS, "{\"a\":\"\xc3\xa9\"}", 9},
        {ANSWER(200, "{\"a\":\"\xf0\x9f\x98\x80\"}"), CW_STATUS_SUCCESS,
         "{\"a\":\"\xf0\x9f\x98\x80\"}", 10},
        {ANSWER(200, "{\"a\":\"\xff\"}"), CW_STATUS_SUCCESS, "{\"a\":\"\xef\xbf\xbd\"}", 9},
        {ANSWER(200, "\xff"), CW_STATUS_DEVELOPER_ERROR,
         "{\"error\":\"" INVALID ": \xef\xbf\xbd\"}", 1},
    };

    (void)state;
    check(cw_run_interpret, CASES, CW_ARRAY_LEN(CASES));
}

static void character_cut_by_truncation_is_repaired(void **state)
{
    static const struct result_case CASES[] = {
        {{.end = CW_CALL_ANSWERED,
          .status = 200,
          .body = {"a\xc3", 2},
          .truncated = true,
          .content_length = 9,
          .max_response = 2},
         CW_STATUS_APPLICATION_ERROR,
         "{\"error\":\"The action produced a response that exceeded the allowed length: 9 > 2 "
         "bytes. The truncated response was: a\xef\xbf\xbd\"}",
         9},
    };

    (void)state;
    check(cw_run_interpret, CASES, CW_ARRAY_LEN(CASES));
}

static void body_that_grows_over_the_maximum_is_left_out(void **state)
{
    static const char QUOTES[] = "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"";
    const struct cw_call_answer a = ANSWER(200, "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
    const struct cw_call_answer b = {.end = CW_CALL_ANSWERED,
                                     .status = 200,
                                     .truncated = true,
                                     .body = {QUOTES, 20},
                                     .content_length = 21,
                                     .max_response = 20};
    struct cw_call_result r;

    (void)state;
    cw_str_init(&r.result, 100);
    cw_run_interpret(&a, &r);
    assert_false(r.result.failed);
    assert_string_equal(r.result.p, "{\"error\":\"" INVALID ".\"}");
    cw_str_done(&r.result);
    cw_str_init(&r.result, 150);
    cw_run_interpret(&b, &r);
    assert_false(r.result.failed);
    assert_int_equal(r.status, CW_STATUS_APPLICATION_ERROR);
    assert_non_null(strstr(r.result.p, "21 > 20 bytes"));
    cw_str_done(&r.result);
}

/* The controller would drop the whole ack. */
static void result_nested_too_deep_for_an_ack_is_invalid(void **state)
{
    enum { DEPTH = 998 };
    cw_auto_free char *text = cw_alloc(2 * DEPTH);
    struct cw_call_answer a = {.end = CW_CALL_ANSWERED, .status = 200, .body = {text, 2 * DEPTH}};
    struct cw_call_result r;

    (void)state;
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    cw_str_init(&r.result, 100000);
    cw_run_interpret(&a, &r);
    assert_int_equal(r.status, CW_STATUS_DEVELOPER_ERROR);
    a.body = cw_slice(text + 20, 2 * DEPTH - 40);
    cw_run_interpret(&a, &r);
    assert_int_equal(r.status, CW_STATUS_SUCCESS);
    cw_str_done(&r.result);
}

static void error_results_are_escaped_and_repaired(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 100);
    cw_error_result(&s, "a \"b\"\n\xff");
    assert_string_equal(s.p, "{\"error\":\"a \\\"b\\\"\\n\xef\xbf\xbd\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_init_follow_the_table),
        cmocka_unit_test(answers_of_run_follow_the_table),
        cmocka_unit_test(size_counts_utf16_units_of_the_repaired_text),
        cmocka_unit_test(character_cut_by_truncation_is_repaired),
        cmocka_unit_test(body_that_grows_over_the_maximum_is_left_out),
        cmocka_unit_test(result_nested_too_deep_for_an_ack_is_invalid),
        cmocka_unit_test(error_results_are_escaped_and_repaired),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
