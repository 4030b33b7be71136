#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/model/probe_wire.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define LEAST "cwhisk-probe/1 cpu_ns=1 memory_bytes=2 pids=3"

static void an_answer_reads_as_it_was_written(void **state)
{
    const struct cw_probe_figures f = {.source = CW_PROBE_CGROUP2,
                                       .time_ns = 5,
                                       .cpu_ns = 123456789012345,
                                       .memory_bytes = 77,
                                       .peak_bytes = -1,
                                       .pids = 9,
                                       .throttled_ns = 0,
                                       .oom_kills = 2,
                                       .memory_estimated = true,
                                       .pids_estimated = true};
    struct cw_probe_figures back;
    char text[CW_PROBE_ANSWER_MAX];
    size_t n = cw_probe_put_answer(text, &f);

    (void)state;
    assert_string_equal(text, "cwhisk-probe/1 source=cgroup2 time_ns=5 cpu_ns=123456789012345 "
                              "memory_bytes=77 peak_bytes=- pids=9 throttled_ns=0 oom_kills=2 "
                              "estimated=memory,pids\n");
    assert_int_equal(cw_probe_parse_answer(cw_slice(text, n - 1), &back, NULL), 0);
    assert_int_equal(back.source, f.source);
    assert_int_equal(back.cpu_ns, f.cpu_ns);
    assert_int_equal(back.peak_bytes, -1);
    assert_int_equal(back.oom_kills, 2);
    assert_true(back.memory_estimated && back.pids_estimated);
    assert_false(back.cpu_estimated || back.peak_estimated);
}

static void pairs_of_a_later_version_are_skipped(void **state)
{
    struct cw_probe_figures f;

    (void)state;
    assert_int_equal(
        cw_probe_parse_answer(CW_SLICE(LEAST " io_bytes=1 estimated=io,cpu"), &f, NULL), 0);
    assert_int_equal(f.memory_bytes, 2);
    assert_int_equal(f.throttled_ns, -1);
    assert_true(f.cpu_estimated);
}

static void assert_refused(struct cw_slice line, const char *why)
{
    struct cw_probe_figures f = {.cpu_ns = 42};
    struct cw_err err = {0};

    assert_int_equal(cw_probe_parse_answer(line, &f, &err), -1);
    assert_int_equal(err.code, CW_INVALID);
    assert_non_null(strstr(err.msg, why));
    assert_int_equal(f.cpu_ns, 42);
}

static void what_is_wrong_is_refused_and_named(void **state)
{
    char lengthy[CW_PROBE_ANSWER_MAX + 1] = LEAST " ";

    (void)state;
    memset(lengthy + sizeof(LEAST), 'a', sizeof(lengthy) - sizeof(LEAST));
    assert_refused(CW_SLICE(""), "is no answer");
    assert_refused(CW_SLICE("HTTP/1.1 400 Bad Request"), "is no answer");
    assert_refused(CW_SLICE("cwhisk-probe/2 cpu_ns=1 memory_bytes=2 pids=3"), "is no answer");
    assert_refused(cw_slice(lengthy, sizeof(lengthy)), "is no answer");
    assert_refused(CW_SLICE("cwhisk-probe/1 cpu_ns=1 pids=3"), "memory_bytes is missing");
    assert_refused(CW_SLICE("cwhisk-probe/1 cpu_ns=- memory_bytes=2 pids=3"), "cpu_ns is missing");
    assert_refused(CW_SLICE(LEAST " peak_bytes=-5"), "peak_bytes: \"-5\": expected 0..2^62, or -");
    assert_refused(CW_SLICE(LEAST " peak_bytes=9223372036854775807"), "expected 0..2^62");
    assert_refused(CW_SLICE(LEAST " source=magic"), "source: \"magic\"");
    assert_refused(CW_SLICE(LEAST " word"), "expected key=value");
}

static void only_the_whole_question_with_the_token_counts(void **state)
{
    cw_auto_str struct cw_str question;

    (void)state;
    cw_str_init(&question, CW_PROBE_REQUEST_MAX);
    cw_probe_put_request(&question, TOKEN);
    assert_string_equal(question.p, "cwhisk-probe/1 " TOKEN "\n");
    assert_true(cw_probe_is_request(cw_slice(question.p, question.n - 1), TOKEN));
    assert_false(cw_probe_is_request(cw_str_slice(&question), TOKEN));
    assert_false(cw_probe_is_request(CW_SLICE(""), TOKEN));
    for (size_t i = 0; i + 1 < question.n; i++) {
        question.p[i] ^= 1;
        assert_false(cw_probe_is_request(cw_slice(question.p, question.n - 1), TOKEN));
        question.p[i] ^= 1;
    }
}

static void tokens_are_32_lower_case_hexadecimal_digits(void **state)
{
    (void)state;
    assert_true(cw_probe_is_token(CW_SLICE(TOKEN)));
    assert_false(cw_probe_is_token(CW_SLICE("0123456789ABCDEF0123456789abcdef")));
    assert_false(cw_probe_is_token(CW_SLICE(TOKEN "0")));
    assert_false(cw_probe_is_token(CW_SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_reads_as_it_was_written),
        cmocka_unit_test(pairs_of_a_later_version_are_skipped),
        cmocka_unit_test(what_is_wrong_is_refused_and_named),
        cmocka_unit_test(only_the_whole_question_with_the_token_counts),
        cmocka_unit_test(tokens_are_32_lower_case_hexadecimal_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
