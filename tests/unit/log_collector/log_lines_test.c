#include "tests/support/cmocka_all.h"

#include "common/json/raw.h"
#include "invoker/logs/log_lines.h"

#define SENTINEL "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
#define T "2026-01-02T03:04:05.123456789Z"

static int setup(void **state)
{
    struct inv_log_lines *l = cw_alloc(sizeof(*l));

    inv_log_lines_init(l, 1 << 20);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    inv_log_lines_done(*state);
    free(*state);
    return 0;
}

static enum inv_log_verdict add(struct inv_log_lines *l, const char *line)
{
    return inv_log_lines_add(l, cw_slice_of(line));
}

static enum inv_log_verdict put(struct inv_log_lines *l, const char *stream, const char *text)
{
    char line[8192];

    (void)snprintf(line, sizeof(line), "{\"log\":\"%s\",\"stream\":\"%s\",\"time\":\"" T "\"}",
                   text, stream);
    return add(l, line);
}

static void expect(struct inv_log_lines *l, const char *json)
{
    struct cw_slice got = inv_log_lines_finish(l), value;
    char *text = cw_slice_dup(got);

    assert_string_equal(text, json);
    assert_int_equal(cw_raw_check(got, 2, &value, NULL), 0);
    free(text);
}

static void a_line_is_time_stream_and_text(void **state)
{
    struct inv_log_lines *l = *state;

    assert_int_equal(put(l, "stdout", "hello\\n"), INV_LOG_MORE);
    assert_int_equal(put(l, "stderr", "  oh \\n"), INV_LOG_MORE);
    expect(l, "[\"" T " stdout: hello\",\"" T " stderr:   oh \"]");
}

static void short_times_are_padded_to_30_columns(void **state)
{
    struct inv_log_lines *l = *state;

    (void)add(l, "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.1Z\"}");
    (void)add(l, "{\"time\":\"\",\"attrs\":{\"a\":\"b\"},\"stream\":\"stdout\",\"log\":\"y\\n\"}");
    expect(l, "[\"2026-01-02T03:04:05.1Z         stdout: x\","
              "\"                               stdout: y\"]");
}

static void escapes_travel_unchanged(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stdout", "q\\\" b\\\\ u\\u003c tab\\t \\\\n\\n");
    expect(l, "[\"" T " stdout: q\\\" b\\\\ u\\u003c tab\\t \\\\n\"]");
}

static void one_end_of_line_is_removed(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stdout", "unix\\n");
    (void)put(l, "stdout", "dos\\r\\n");
    (void)put(l, "stdout", "\\n");
    (void)put(l, "stdout", "two\\n\\n");
    expect(l, "[\"" T " stdout: unix\",\"" T " stdout: dos\",\"" T " stdout: \",\"" T
              " stdout: two\\n\"]");
}

static void lines_with_a_sentinel_are_dropped_and_two_are_the_end(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stdout", "a\\n");
    assert_int_equal(put(l, "stdout", "no newline before" SENTINEL "\\n"), INV_LOG_MORE);
    (void)put(l, "stderr", "b\\n");
    assert_int_equal(put(l, "stderr", SENTINEL "\\n"), INV_LOG_DONE);
    expect(l, "[\"" T " stdout: a\",\"" T " stderr: b\"]");
}

static void pieces_of_a_long_line_are_put_together_per_stream(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stdout", "one ");
    (void)put(l, "stderr", "other\\n");
    (void)put(l, "stdout", "two ");
    (void)put(l, "stdout", "three\\n");
    (void)put(l, "stdout", "four\\n");
    expect(l, "[\"" T " stderr: other\",\"" T " stdout: one two three\",\"" T " stdout: four\"]");
}

static void an_escaped_backslash_before_n_is_no_newline(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stdout", "C:\\\\n");
    (void)put(l, "stdout", "ew\\n");
    expect(l, "[\"" T " stdout: C:\\\\new\"]");
}

static void a_sentinel_behind_a_piece_drops_only_its_own_piece(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stdout", "16 KiB of text");
    assert_int_equal(put(l, "stdout", "rest" SENTINEL "\\n"), INV_LOG_MORE);
    assert_int_equal(put(l, "stderr", SENTINEL "\\n"), INV_LOG_DONE);
    expect(l, "[\"" T " stdout: 16 KiB of text\"]");
}

static void a_sentinel_that_docker_cut_in_two_is_seen(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stdout", "textXXX_THE_END_OF");
    (void)put(l, "stderr", "_A_WHISK_ACTIVATION_XXX\\n"); /* the other stream's is none */
    assert_int_equal(l->sentinels, 0);
    assert_int_equal(put(l, "stdout", "_A_WHISK_ACTIVATION_XXX\\n"), INV_LOG_MORE);
    assert_int_equal(l->sentinels, 1);
    (void)put(l, "stderr", "X");
    assert_int_equal(put(l, "stderr", SENTINEL "\\n"), INV_LOG_DONE);
    expect(l, "[\"" T " stderr: _A_WHISK_ACTIVATION_XXX\",\"" T " stdout: text\",\"" T
              " stderr: X\"]");
}

static void what_streams_left_open_comes_last(void **state)
{
    struct inv_log_lines *l = *state;

    (void)put(l, "stderr", "err");
    (void)put(l, "stdout", "out");
    (void)put(l, "stdout", " and on");
    inv_log_lines_note(l, "the end", 1767323045123);
    expect(l, "[\"" T " stdout: out and on\",\"" T " stderr: err\","
              "\"2026-01-02T03:04:05.123Z       stderr: the end\"]");
}

static void the_limit_counts_raw_lines_with_their_newline(void **state)
{
    struct inv_log_lines small;
    const char *line = "{\"log\":\"12345\\n\",\"stream\":\"stdout\",\"time\":\"" T "\"}";
    int64_t size = (int64_t)strlen(line) + 1;

    (void)state;
    inv_log_lines_init(&small, 2 * size);
    assert_int_equal(add(&small, line), INV_LOG_MORE);
    assert_int_equal(add(&small, line), INV_LOG_MORE);
    assert_int_equal(add(&small, line), INV_LOG_TRUNCATED);
    expect(&small, "[\"" T " stdout: 12345\",\"" T " stdout: 12345\"]");
    inv_log_lines_done(&small);
    inv_log_lines_init(&small, 20);
    assert_int_equal(add(&small, line), INV_LOG_BROKEN);
    inv_log_lines_done(&small);
}

static void garbage_is_skipped_and_remembered(void **state)
{
    static const char *const BAD[] = {
        "",
        "null",
        "{}",
        "[]",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\"}",
        "{\"log\":7,\"stream\":\"stdout\",\"time\":\"t\"}",
        "{\"log\":\"x\\n\",\"stream\":\"stdin\",\"time\":\"t\"}",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"a\\\"b\"}",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"" T T T "\"}",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"t\"",
        "{\"log\":\"\xff\\n\",\"stream\":\"stdout\",\"time\":\"t\"}",
    };
    struct inv_log_lines *l = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        l->garbage = false;
        assert_int_equal(add(l, BAD[i]), INV_LOG_MORE);
        if (!l->garbage)
            fail_msg("accepted: %s", BAD[i]);
    }
    (void)put(l, "stdout", "fine\\n");
    assert_int_equal(add(l, "half " SENTINEL), INV_LOG_MORE);
    assert_int_equal(add(l, "half " SENTINEL), INV_LOG_DONE);
    expect(l, "[\"" T " stdout: fine\"]");
}

static void no_lines_are_an_empty_array(void **state)
{
    expect(*state, "[]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_time_stream_and_text),
        TEST(short_times_are_padded_to_30_columns),
        TEST(escapes_travel_unchanged),
        TEST(one_end_of_line_is_removed),
        TEST(lines_with_a_sentinel_are_dropped_and_two_are_the_end),
        TEST(pieces_of_a_long_line_are_put_together_per_stream),
        TEST(an_escaped_backslash_before_n_is_no_newline),
        TEST(a_sentinel_behind_a_piece_drops_only_its_own_piece),
        TEST(a_sentinel_that_docker_cut_in_two_is_seen),
        TEST(what_streams_left_open_comes_last),
        TEST(the_limit_counts_raw_lines_with_their_newline),
        TEST(garbage_is_skipped_and_remembered),
        TEST(no_lines_are_an_empty_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
