/* What an engine streams becomes what Docker would have written to its file. */
#include "tests/support/cmocka_all.h"

#include "invoker/logs/log_frames.h"

#define T9 "2026-01-02T03:04:05.120000000Z"
#define T2 "2026-01-02T03:04:05.12Z"

static void on_message(void *arg, const struct inv_log_message *m)
{
    inv_log_message_encode(m, arg);
}

static void convert(const char *in, size_t n, size_t step, struct cw_str *out)
{
    struct inv_log_frames f;

    inv_log_frames_init(&f);
    for (size_t at = 0; at < n; at += step)
        inv_log_frames_add(&f, cw_slice(in + at, n - at < step ? n - at : step), on_message, out);
    inv_log_frames_done(&f);
}

static void expect(const char *in, size_t n, const char *json)
{
    static const size_t STEPS[] = {1, 3, 7, 8, 9, 1000};

    for (size_t i = 0; i < CW_ARRAY_LEN(STEPS); i++) {
        cw_auto_str struct cw_str out;

        cw_str_init(&out, 1 << 20);
        convert(in, n, STEPS[i], &out);
        assert_string_equal(out.p, json);
    }
}

static void frames_of_both_streams_in_pieces_of_any_size(void **state)
{
    static const char IN[] = "\1\0\0\0\0\0\0\x21" T9 " a\n"
                             "\2\0\0\0\0\0\0\x21" T9 " b\n"
                             "\1\0\0\0\0\0\0\x20" T9 " c";

    (void)state;
    expect(IN, sizeof(IN) - 1,
           "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"" T2 "\"}\n"
           "{\"log\":\"b\\n\",\"stream\":\"stderr\",\"time\":\"" T2 "\"}\n"
           "{\"log\":\"c\",\"stream\":\"stdout\",\"time\":\"" T2 "\"}\n");
}

static void a_terminal_has_no_frames(void **state)
{
    static const char IN[] = T9 " a\r\n" T9 " \r\n" T9 " left open";

    (void)state;
    expect(IN, sizeof(IN) - 1,
           "{\"log\":\"a\\r\\n\",\"stream\":\"stdout\",\"time\":\"" T2 "\"}\n"
           "{\"log\":\"\\r\\n\",\"stream\":\"stdout\",\"time\":\"" T2 "\"}\n");
}

/* As Podman 4.3 sends them: full seconds, and pieces of a long line without an end of line. */
static void podmans_frames_are_understood(void **state)
{
    static const char IN[] = "\1\0\0\0\0\0\0\x1b"
                             "2026-11-21T13:12:00Z hello\n"
                             "\2\0\0\0\0\0\0\x19"
                             "2026-11-21T13:12:00Z err\n"
                             "\1\0\0\0\0\0\0\x18"
                             "2026-11-21T13:12:00Z yyy";

    (void)state;
    expect(IN, sizeof(IN) - 1,
           "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-21T13:12:00Z\"}\n"
           "{\"log\":\"err\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-21T13:12:00Z\"}\n"
           "{\"log\":\"yyy\",\"stream\":\"stdout\",\"time\":\"2026-11-21T13:12:00Z\"}\n");
}

static void times_lose_zeros_at_the_end_as_in_the_file(void **state)
{
    static const struct {
        const char *in, *out;
    } CASES[] = {
        {"2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"},
        {"2026-01-02T03:04:05.123456780Z", "2026-01-02T03:04:05.12345678Z"},
        {"2026-01-02T03:04:05.000000000Z", "2026-01-02T03:04:05Z"},
        {"2026-01-02T03:04:50Z", "2026-01-02T03:04:50Z"},
        {"2026-01-02T03:04:05.100+02:00", "2026-01-02T03:04:05.1+02:00"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        char in[80], out[120];

        (void)snprintf(in, sizeof(in), "%s x\n", CASES[i].in);
        (void)snprintf(out, sizeof(out),
                       "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"%s\"}\n", CASES[i].out);
        expect(in, strlen(in), out);
    }
}

static void a_message_without_a_time_has_none_in_the_line(void **state)
{
    static const char IN[] = "2026 is no time\n";

    (void)state;
    expect(IN, sizeof(IN) - 1, "{\"log\":\"2026 is no time\\n\",\"stream\":\"stdout\"}\n");
}

static void escapes_are_those_of_docker(void **state)
{
    static const char IN[] = T9 " \"\\\t\b\x1b<>&\x7f\xff\xc3\xa4\xf0\x9f\x98\x80\xe2\x80\xa8"
                                "\xe2\x80\xa9\xe2\x80\n";

    (void)state;
    expect(IN, sizeof(IN) - 1,
           "{\"log\":\"\\\"\\\\\\u0009\\u0008\\u001b\\u003c\\u003e\\u0026\x7f\\ufffd\xc3\xa4"
           "\xf0\x9f\x98\x80\\u2028\\u2029\\ufffd\\ufffd\\n\",\"stream\":\"stdout\",\"time\":\"" T2
           "\"}\n");
}

static void an_overlong_message_is_cut_and_the_next_one_found(void **state)
{
    enum { LONG = 2 << 20 };
    char *in = cw_alloc(LONG + 100);
    cw_auto_str struct cw_str out;
    const char *next;

    (void)state;
    cw_str_init(&out, 4 << 20);
    memset(in, 'x', LONG);
    memcpy(in, T9 " ", sizeof(T9));
    memcpy(in + LONG, "\n" T9 " next\n", sizeof("\n" T9 " next\n"));
    convert(in, LONG + sizeof("\n" T9 " next\n") - 1, 5000, &out);
    next = strstr(out.p, "{\"log\":\"next\\n\"");
    assert_non_null(next);
    assert_true((size_t)(next - out.p) < INV_FRAME_MAX_TEXT + 200);
    free(in);
}

static void an_empty_frame_is_nothing(void **state)
{
    static const char IN[] = "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\x21" T9 " a\n";

    (void)state;
    expect(IN, sizeof(IN) - 1, "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"" T2 "\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_both_streams_in_pieces_of_any_size),
        cmocka_unit_test(a_terminal_has_no_frames),
        cmocka_unit_test(podmans_frames_are_understood),
        cmocka_unit_test(times_lose_zeros_at_the_end_as_in_the_file),
        cmocka_unit_test(a_message_without_a_time_has_none_in_the_line),
        cmocka_unit_test(escapes_are_those_of_docker),
        cmocka_unit_test(an_overlong_message_is_cut_and_the_next_one_found),
        cmocka_unit_test(an_empty_frame_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
