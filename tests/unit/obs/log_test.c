#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/txid.h"
#include "common/obs/log.h"

enum { LONG_TEXT = 10000 };

static int64_t fixed_wall_us(const struct cw_clock *c)
{
    (void)c;
    return 1767323045123456;
}

static const struct cw_clock FIXED = {.wall_us = fixed_wall_us, .mono_us = fixed_wall_us};
static const struct cw_tx ROOT = {.id = "8f2c", .root_id = "8f2c", .start_ms = 1767323045000};
static const struct cw_tx CHILD = {
    .id = "kid", .root_id = "8f2c", .start_ms = 1767323045000, .has_parent = true};

/* A pipe in packet mode keeps the boundaries of writes: one read gives one write. */
struct sink {
    int fds[2];
    char text[2 * PIPE_BUF];
};

static int open_sink(void **state)
{
    struct sink *s = calloc(1, sizeof(*s));

    if (!s || pipe2(s->fds, O_CLOEXEC | O_DIRECT | O_NONBLOCK) != 0)
        return -1;
    *state = s;
    return 0;
}

static int close_sink(void **state)
{
    struct sink *s = *state;

    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    close(s->fds[0]);
    close(s->fds[1]);
    free(s);
    return 0;
}

static void setup(struct sink *s, enum cw_log_level level, enum cw_log_format format)
{
    cw_log_setup(
        &(struct cw_log_conf){.level = level, .format = format, .fd = s->fds[1], .clock = &FIXED});
}

/* What the next write brought; "" when there was none. */
static const char *next(struct sink *s)
{
    ssize_t n = read(s->fds[0], s->text, sizeof(s->text) - 1);

    s->text[n > 0 ? n : 0] = '\0';
    return s->text;
}

static void close_sink_fds(const int fds[2])
{
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    close(fds[0]);
    close(fds[1]);
}

static void line_has_stock_shape(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log(CW_LOG_INFO, &ROOT, "pool", "container %s: %s -> %s", "3fa9", "starting", "idle");
    assert_string_equal(next(s), "[2026-01-02T03:04:05.123Z] [INFO] [#tid_8f2c] [pool] container "
                                 "3fa9: starting -> idle\n");
}

static void child_transaction_is_named_behind_its_root(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log(CW_LOG_WARN, &CHILD, "pool", "x");
    assert_string_equal(next(s),
                        "[2026-01-02T03:04:05.123Z] [WARN] [#tid_8f2c] [#tid_kid] [pool] x\n");
}

static void no_transaction_is_stocks_unknown_one(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log(CW_LOG_ERROR, NULL, "main", "x");
    assert_string_equal(next(s),
                        "[2026-01-02T03:04:05.123Z] [ERROR] [#tid_sid_unknown] [main] x\n");
}

static void marker_counts_from_start_of_transaction(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log_marker(CW_LOG_INFO, &ROOT, "run", "invoker_activationRun_finish", 17, "ran %d", 1);
    assert_string_equal(next(s), "[2026-01-02T03:04:05.123Z] [INFO] [#tid_8f2c] [run] ran 1 "
                                 "[marker:invoker_activationRun_finish:123:17]\n");
    cw_log_marker(CW_LOG_INFO, &ROOT, "run", "invoker_activationRun_start", -1, "%s", "");
    assert_string_equal(next(s), "[2026-01-02T03:04:05.123Z] [INFO] [#tid_8f2c] [run]  "
                                 "[marker:invoker_activationRun_start:123]\n");
}

static void marker_of_a_start_in_the_future_is_zero(void **state)
{
    struct cw_tx ahead = cw_tx_named("a", 1767323999000);
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log_marker(CW_LOG_INFO, &ahead, "run", "m_a_start", -1, "x");
    assert_non_null(strstr(next(s), " x [marker:m_a_start:0]\n"));
}

static void json_has_the_same_facts(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_JSON);
    cw_log(CW_LOG_INFO, &CHILD, "pool", "say \"%s\"", "C:\\\n");
    assert_string_equal(next(s), "{\"time\":\"2026-01-02T03:04:05.123Z\",\"level\":\"INFO\","
                                 "\"tid\":\"8f2c\",\"child\":\"kid\",\"component\":\"pool\","
                                 "\"text\":\"say \\\"C:\\\\ \\\"\"}\n");
    cw_log_marker(CW_LOG_INFO, NULL, "run", "invoker_collectLogs_finish", 4, "done");
    assert_string_equal(next(s), "{\"time\":\"2026-01-02T03:04:05.123Z\",\"level\":\"INFO\","
                                 "\"tid\":\"sid_unknown\",\"component\":\"run\",\"text\":\"done\","
                                 "\"marker\":\"invoker_collectLogs_finish\",\"since_start_ms\":0,"
                                 "\"duration_ms\":4}\n");
}

static void control_characters_cannot_forge_a_line(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log(CW_LOG_INFO, &ROOT, "p\nq", "%s", "a\r\n[2026] \t\x1b[31m\x7f");
    assert_string_equal(next(s), "[2026-01-02T03:04:05.123Z] [INFO] [#tid_8f2c] [p q] a  [2026]  "
                                 "?[31m?\n");
}

static void characters_that_mislead_readers_and_terminals_are_replaced(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log(CW_LOG_INFO, &ROOT, "p",
           "a\xc2\x85"
           "b\xc2\x9b"
           "2Jc\xe2\x80\xa8"
           "d\xe2\x80\xa9"
           "e\xe2\x80\xae"
           "f\xe2\x81\xa6g "
           "\xc2\xa0\xe2\x82\xac");
    assert_string_equal(next(s), "[2026-01-02T03:04:05.123Z] [INFO] [#tid_8f2c] [p] "
                                 "a?b?2Jc?d?e?f?g \xc2\xa0\xe2\x82\xac\n");
}

static void ids_from_outside_are_cleaned_and_cut(void **state)
{
    struct sink *s = *state;
    char id[1000];
    struct cw_tx tx;

    memset(id, 'i', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    id[0] = '\n';
    tx = cw_tx_named(id, 0);
    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log(CW_LOG_INFO, &tx, "pool", "x");
    assert_non_null(strstr(next(s), "[#tid_ iii"));
    assert_non_null(strstr(s->text, "iii...] [pool] x\n"));
    assert_true(strlen(s->text) < 300);
}

static void bytes_that_are_not_utf8_become_question_marks(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_JSON);
    cw_log(CW_LOG_INFO, &ROOT, "p", "%s", "\xc3\xa4|\xff|\xc3|\xed\xa0\x80|\xf0\x9f\x98\x80");
    assert_non_null(strstr(next(s), "\"\xc3\xa4|?|?|???|\xf0\x9f\x98\x80\""));
}

static void long_text_is_one_write_and_keeps_its_end(void **state)
{
    struct sink *s = *state;
    char *text = malloc(LONG_TEXT + 1);

    assert_non_null(text);
    memset(text, '"', LONG_TEXT);
    text[LONG_TEXT] = '\0';
    for (int format = CW_LOG_WHISK; format <= CW_LOG_JSON; format++) {
        setup(s, CW_LOG_INFO, (enum cw_log_format)format);
        cw_log_marker(CW_LOG_INFO, &ROOT, "p", "m_a_finish", 9, "%s", text);
        assert_true(strlen(next(s)) <= PIPE_BUF);
        assert_non_null(strstr(s->text, format == CW_LOG_JSON
                                            ? "...\",\"marker\":\"m_a_finish\",\"since_start_ms\":"
                                              "123,\"duration_ms\":9}\n"
                                            : "... [marker:m_a_finish:123:9]\n"));
        assert_string_equal(next(s), "");
    }
    free(text);
}

static void longest_fields_leave_room_for_the_newline(void **state)
{
    struct sink *s = *state;
    char *text = malloc(LONG_TEXT + 1);
    struct cw_tx tx = {.id = text, .root_id = text, .has_parent = true};

    assert_non_null(text);
    memset(text, 'x', LONG_TEXT);
    text[LONG_TEXT] = '\0';
    setup(s, CW_LOG_INFO, CW_LOG_JSON);
    cw_log_marker(CW_LOG_INFO, &tx, text, text, INT64_MAX, "%s", text);
    assert_true(strlen(next(s)) <= PIPE_BUF);
    assert_non_null(strstr(s->text, ",\"duration_ms\":9223372036854775807}\n"));
    free(text);
}

static void levels_below_the_threshold_write_nothing(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_WARN, CW_LOG_WHISK);
    assert_true(cw_log_enabled(CW_LOG_ERROR));
    assert_true(cw_log_enabled(CW_LOG_WARN));
    assert_false(cw_log_enabled(CW_LOG_INFO));
    cw_log(CW_LOG_INFO, &ROOT, "p", "x");
    cw_log_marker(CW_LOG_DEBUG, &ROOT, "p", "m_a_start", -1, "x");
    assert_string_equal(next(s), "");
    cw_log(CW_LOG_WARN, &ROOT, "p", "x");
    assert_string_not_equal(next(s), "");
}

static void extra_logging_raises_debug_lines_to_info(void **state)
{
    struct cw_tx tx = ROOT;
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log(CW_LOG_DEBUG, &tx, "p", "x");
    assert_string_equal(next(s), "");
    tx.extra_logging = true;
    cw_log(CW_LOG_DEBUG, &tx, "p", "x");
    assert_non_null(strstr(next(s), "[INFO]"));
}

static void full_sink_drops_the_line_and_keeps_errno(void **state)
{
    struct sink *s = *state;

    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    for (int i = 0; i < 100; i++) {
        errno = EXDEV;
        cw_log(CW_LOG_INFO, &ROOT, "p", "%d", i);
        assert_int_equal(errno, EXDEV);
    }
    assert_non_null(strstr(next(s), "[p] 0\n"));
}

static void level_names_are_parsed_in_any_case(void **state)
{
    enum cw_log_level level = CW_LOG_ERROR;

    (void)state;
    assert_true(cw_log_level_parse("Debug", &level));
    assert_int_equal(level, CW_LOG_DEBUG);
    assert_true(cw_log_level_parse("WARN", &level));
    assert_int_equal(level, CW_LOG_WARN);
    assert_false(cw_log_level_parse("loud", &level));
    assert_false(cw_log_level_parse("", &level));
    assert_int_equal(level, CW_LOG_WARN);
}

enum { WRITERS = 4, LINES_EACH = 200 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES_EACH; i++)
        cw_log(CW_LOG_INFO, &ROOT, arg, "%0200d", i);
    return NULL;
}

/* An ordinary file: every line whole, none lost. */
static void threads_do_not_mix_lines(void **state)
{
    char names[WRITERS][2] = {"a", "b", "c", "d"};
    struct sink *s = *state;
    pthread_t threads[WRITERS];
    char line[512];
    int seen[WRITERS] = {0};
    FILE *f = tmpfile();

    assert_non_null(f);
    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = fileno(f)});
    assert_int_equal(fcntl(fileno(f), F_SETFL, O_APPEND), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    rewind(f);
    while (fgets(line, sizeof(line), f)) {
        const char *component = strstr(line, "[#tid_8f2c] [");
        int who;

        assert_non_null(component);
        who = component[13] - 'a';
        assert_in_range(who, 0, WRITERS - 1);
        assert_int_equal(strlen(component), 13 + 3 + 200 + 1);
        assert_int_equal(atoi(component + 16), seen[who]);
        seen[who]++;
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(seen[i], LINES_EACH);
    fclose(f);
}

/* ---- gathered lines ---- */

static void gather(int fd)
{
    cw_log_setup(
        &(struct cw_log_conf){.level = CW_LOG_INFO, .fd = fd, .clock = &FIXED, .gather = true});
}

static void gathered_lines_are_one_write(void **state)
{
    struct sink *s = *state;

    gather(s->fds[1]);
    cw_log(CW_LOG_INFO, &ROOT, "p", "one");
    cw_log(CW_LOG_WARN, &ROOT, "p", "two");
    assert_string_equal(next(s), "");
    (void)cw_log_flush();
    assert_string_equal(next(s), "[2026-01-02T03:04:05.123Z] [INFO] [#tid_8f2c] [p] one\n"
                                 "[2026-01-02T03:04:05.123Z] [WARN] [#tid_8f2c] [p] two\n");
    (void)cw_log_flush();
    assert_string_equal(next(s), "");
}

static void an_error_takes_what_is_gathered_with_it(void **state)
{
    struct sink *s = *state;

    gather(s->fds[1]);
    cw_log(CW_LOG_INFO, &ROOT, "p", "one");
    cw_log(CW_LOG_ERROR, &ROOT, "p", "two");
    assert_non_null(
        strstr(next(s), "[p] one\n[2026-01-02T03:04:05.123Z] [ERROR] [#tid_8f2c] [p] two\n"));
}

static void a_change_of_the_sink_writes_what_is_gathered_to_the_old_one(void **state)
{
    struct sink *s = *state;

    gather(s->fds[1]);
    cw_log(CW_LOG_INFO, &ROOT, "p", "one");
    setup(s, CW_LOG_INFO, CW_LOG_WHISK);
    assert_non_null(strstr(next(s), "[p] one\n"));
}

/* Whole lines, at most PIPE_BUF bytes, so that other writers' lines do not get in between. */
static void many_gathered_lines_are_written_in_pieces_of_whole_lines(void **state)
{
    struct sink *s = *state;
    unsigned lines = 0, writes = 0;
    const char *got;

    gather(s->fds[1]);
    for (int i = 0; i < 100; i++)
        cw_log(CW_LOG_INFO, &ROOT, "p", "%0200d", i);
    (void)cw_log_flush();
    while (*(got = next(s))) {
        writes++;
        assert_true(strlen(got) <= PIPE_BUF && got[strlen(got) - 1] == '\n');
        for (const char *p = got; *p; p++)
            lines += *p == '\n';
    }
    assert_int_equal(lines, 100);
    assert_in_range(writes, 7, 10);
}

static void *write_one(void *arg)
{
    cw_log(CW_LOG_INFO, &ROOT, arg, "from another thread");
    return NULL;
}

static void lines_of_another_thread_do_not_wait(void **state)
{
    struct sink *s = *state;
    char who[] = "t";
    pthread_t thread;

    gather(s->fds[1]);
    assert_int_equal(pthread_create(&thread, NULL, write_one, who), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(strstr(next(s), "[t] from another thread\n"));
}

/* The pipe blocks, and nobody reads: cw_log must come back all the same. */
static void a_pipe_that_nobody_reads_blocks_nothing_and_losses_are_said(void **state)
{
    enum { LINES = 4000 };
    char buf[1 << 16], *at;
    unsigned long lost = 0, seen = 0;
    int fds[2];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
    gather(fds[1]);
    for (int i = 0; i < LINES; i++) {
        cw_log(CW_LOG_INFO, &ROOT, "p", "%0200d", i);
        if (i % 10 == 0)
            (void)cw_log_flush();
    }
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    while ((n = read(fds[0], buf, sizeof(buf) - 1)) > 0) {
        buf[n] = '\0';
        for (char *p = buf; *p; p++)
            seen += *p == '\n';
        if ((at = strstr(buf, "[Log] ")))
            lost = strtoul(at + 6, NULL, 10);
        (void)cw_log_flush();
    }
    assert_true(lost > 0);
    assert_int_equal(lost + seen, LINES + 1);
    close_sink_fds(fds);
}

static void a_sink_that_is_gone_stops_nothing(void **state)
{
    int fds[2];

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    gather(fds[1]);
    close(fds[0]);
    for (int i = 0; i < 5000; i++)
        cw_log(CW_LOG_INFO, &ROOT, "p", "%0200d", i);
    cw_log_end(10);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    close(fds[1]);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, open_sink, close_sink)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(line_has_stock_shape),
        T(child_transaction_is_named_behind_its_root),
        T(no_transaction_is_stocks_unknown_one),
        T(marker_counts_from_start_of_transaction),
        T(marker_of_a_start_in_the_future_is_zero),
        T(json_has_the_same_facts),
        T(control_characters_cannot_forge_a_line),
        T(characters_that_mislead_readers_and_terminals_are_replaced),
        T(ids_from_outside_are_cleaned_and_cut),
        T(bytes_that_are_not_utf8_become_question_marks),
        T(long_text_is_one_write_and_keeps_its_end),
        T(longest_fields_leave_room_for_the_newline),
        T(levels_below_the_threshold_write_nothing),
        T(extra_logging_raises_debug_lines_to_info),
        T(full_sink_drops_the_line_and_keeps_errno),
        T(level_names_are_parsed_in_any_case),
        T(threads_do_not_mix_lines),
        T(gathered_lines_are_one_write),
        T(an_error_takes_what_is_gathered_with_it),
        T(a_change_of_the_sink_writes_what_is_gathered_to_the_old_one),
        T(many_gathered_lines_are_written_in_pieces_of_whole_lines),
        T(lines_of_another_thread_do_not_wait),
        T(a_pipe_that_nobody_reads_blocks_nothing_and_losses_are_said),
        T(a_sink_that_is_gone_stops_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
