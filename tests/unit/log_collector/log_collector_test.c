/* Real files and the real inotify in a folder of its own; every wait is on the collection. */
#include "tests/support/cmocka_all.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "invoker/logs/log_collector.h"
#include "tests/support/scratch.h"
#include "tests/unit/log_collector/collected.h"

#define SENTINEL "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
#define TIME "2026-01-02T03:04:05.123456789Z"
#define OUT(text) "{\"log\":\"" text "\\n\",\"stream\":\"stdout\",\"time\":\"" TIME "\"}\n"
#define ERR(text) "{\"log\":\"" text "\\n\",\"stream\":\"stderr\",\"time\":\"" TIME "\"}\n"
#define END OUT(SENTINEL) ERR(SENTINEL)
#define ISSUE "There was an issue while collecting your logs. Data might be missing."

enum { LIMIT = 10 << 20, WAIT_MS = 5000, BRIEF_MS = 40 };

struct fixture {
    struct cw_loop *loop;
    struct inv_log_hub *hub;
    char folder[SCRATCH_MAX];
    char path[96];
    struct inv_log_source *source;
    struct collected r, r2;
};

static void write_file(const char *path, int flags, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void append(const struct fixture *f, const char *text)
{
    write_file(f->path, O_APPEND, text);
}

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->loop = cw_loop_new(NULL, NULL);
    f->hub = inv_log_hub_new(f->loop, NULL);
    scratch_make(f->folder);
    (void)snprintf(f->path, sizeof(f->path), "%s/c-json.log", f->folder);
    f->source = inv_log_source_new(f->hub, f->path, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    inv_log_source_free(f->source);
    inv_log_hub_free(f->hub);
    cw_loop_free(f->loop);
    scratch_remove(f->folder);
    free(f->r.logs);
    free(f->r2.logs);
    free(f);
    return 0;
}

static struct inv_log_request waiting(void)
{
    return (struct inv_log_request){.wait_for_sentinels = true, .limit_bytes = LIMIT};
}

static struct inv_log_request brief(void)
{
    struct inv_log_request req = waiting();

    req.idle_timeout_ms = BRIEF_MS;
    return req;
}

static struct inv_log_call *collect(struct fixture *f, struct inv_log_request req)
{
    f->r.calls = 0;
    return inv_log_collect(f->source, &req, on_collected, &f->r);
}

static void await(struct fixture *f)
{
    assert_true(cw_loop_run_until(f->loop, is_collected, &f->r, WAIT_MS));
    assert_int_equal(f->r.calls, 1);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Long enough for a notice that comes at once. */
static void pass(struct fixture *f)
{
    (void)cw_loop_run_until(f->loop, never, NULL, 10);
}

static void expect(const struct fixture *f, const char *logs, bool complete)
{
    assert_string_equal(f->r.logs, logs);
    assert_int_equal(f->r.complete, complete);
}

static void what_is_there_is_taken_at_once_but_not_inside_the_call(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("a") ERR("b") END);
    (void)collect(f, waiting());
    assert_int_equal(f->r.calls, 0);
    await(f);
    expect(f, "[\"" TIME " stdout: a\",\"" TIME " stderr: b\"]", true);
    assert_false(f->r.truncated);
}

static void lines_that_come_later_in_pieces_are_waited_for(void **state)
{
    struct fixture *f = *state;
    const char *text = OUT("late") END;

    append(f, OUT("early"));
    (void)collect(f, waiting());
    for (size_t at = 0, n; at < strlen(text); at += n) {
        char piece[32];

        n = strlen(text + at) < 23 ? strlen(text + at) : 23;
        memcpy(piece, text + at, n);
        piece[n] = '\0';
        pass(f);
        assert_int_equal(f->r.calls, 0);
        append(f, piece);
    }
    await(f);
    expect(f, "[\"" TIME " stdout: early\",\"" TIME " stdout: late\"]", true);
}

static void a_file_that_does_not_exist_yet_is_waited_for(void **state)
{
    struct fixture *f = *state;

    (void)collect(f, waiting());
    pass(f);
    assert_int_equal(f->r.calls, 0);
    append(f, OUT("first"));
    pass(f);
    append(f, END);
    await(f);
    expect(f, "[\"" TIME " stdout: first\"]", true);
}

/* Where nothing can be watched the collector looks now and then. */
static void a_folder_that_does_not_exist_yet_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = waiting();
    char folder[96], path[128];

    (void)snprintf(folder, sizeof(folder), "%s/later", f->folder);
    (void)snprintf(path, sizeof(path), "%s/c.log", folder);
    inv_log_source_free(f->source);
    f->source = inv_log_source_new(f->hub, path, NULL);
    (void)collect(f, req);
    pass(f);
    assert_int_equal(mkdir(folder, 0700), 0);
    write_file(path, O_APPEND, OUT("a") END);
    await(f);
    expect(f, "[\"" TIME " stdout: a\"]", true);
}

static void each_activation_goes_on_where_the_last_one_ended(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("one") END OUT("two") END);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: one\"]", true);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: two\"]", true);
    append(f, OUT("three") END);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: three\"]", true);
}

static void collections_of_one_container_queue_in_order(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = waiting();

    (void)collect(f, req);
    (void)inv_log_collect(f->source, &req, on_collected, &f->r2);
    append(f, OUT("one") END);
    await(f);
    pass(f);
    assert_int_equal(f->r2.calls, 0);
    append(f, OUT("two") END);
    assert_true(cw_loop_run_until(f->loop, is_collected, &f->r2, WAIT_MS));
    expect(f, "[\"" TIME " stdout: one\"]", true);
    assert_string_equal(f->r2.logs, "[\"" TIME " stdout: two\"]");
}

static void over_the_limit_the_rest_is_cut_and_said(void **state)
{
    static const char KEPT[] = "[\"" TIME " stdout: 12345\",\"" TIME " stdout: 12345\",";
    struct fixture *f = *state;
    struct inv_log_request req = waiting();
    char notice[128];

    req.limit_bytes = 2 * (int64_t)strlen(OUT("12345"));
    (void)snprintf(notice, sizeof(notice),
                   " stderr: Logs were truncated because the total bytes size exceeds the limit of "
                   "%d bytes.\"]",
                   (int)req.limit_bytes);
    append(f, OUT("12345") OUT("12345") OUT("12345") END);
    (void)collect(f, req);
    await(f);
    assert_false(f->r.complete);
    assert_true(f->r.truncated);
    assert_non_null(strstr(f->r.logs, notice));
    assert_int_equal(strncmp(f->r.logs, KEPT, sizeof(KEPT) - 1), 0);
}

static void silence_ends_the_wait(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("a") OUT(SENTINEL));
    (void)collect(f, brief());
    await(f);
    assert_false(f->r.complete);
    assert_false(f->r.truncated);
    assert_non_null(strstr(f->r.logs, "[\"" TIME " stdout: a\",\""));
    assert_non_null(strstr(f->r.logs, " stderr: " ISSUE "\"]"));
    append(f, ERR(SENTINEL)); /* nothing is left that would fire */
    pass(f);
    assert_int_equal(f->r.calls, 1);
}

struct dripping {
    struct fixture *f;
    struct cw_timer timer;
};

static void drip(void *arg)
{
    struct dripping *d = arg;

    append(d->f, OUT("drip"));
    cw_timer_set_ms(&d->timer, 5);
}

static void lines_push_the_silence_back_but_not_the_total(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = brief();
    struct dripping d = {.f = f};
    int64_t begin_us = cw_loop_mono_us(f->loop);

    req.total_timeout_ms = 5 * BRIEF_MS;
    cw_timer_init(&d.timer, f->loop, drip, &d);
    drip(&d);
    (void)collect(f, req);
    await(f);
    cw_timer_done(&d.timer);
    assert_false(f->r.complete);
    assert_non_null(strstr(f->r.logs, ISSUE));
    assert_in_range(cw_loop_mono_us(f->loop) - begin_us, 5 * BRIEF_MS * 1000, WAIT_MS * 1000);
}

static void without_wait_the_end_of_the_file_is_the_end(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = {.limit_bytes = LIMIT};

    append(f, OUT("a") ERR("b"));
    (void)collect(f, req);
    await(f);
    expect(f, "[\"" TIME " stdout: a\",\"" TIME " stderr: b\"]", true);
    append(f, "{\"log\":\"ha");
    (void)collect(f, req);
    await(f);
    assert_false(f->r.complete);
    append(f, "lf\\n\",\"stream\":\"stdout\",\"time\":\"" TIME "\"}\n");
    (void)collect(f, req);
    await(f);
    expect(f, "[\"" TIME " stdout: half\"]", true);
}

static void without_wait_lines_on_their_way_are_lingered_for(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = {.limit_bytes = LIMIT, .linger_ms = WAIT_MS};

    append(f, OUT("early"));
    (void)collect(f, req);
    pass(f);
    assert_int_equal(f->r.calls, 0);
    append(f, OUT("late") END); /* the sentinels end it long before its time */
    await(f);
    expect(f, "[\"" TIME " stdout: early\",\"" TIME " stdout: late\"]", true);
    req.linger_ms = 5;
    append(f, OUT("only"));
    (void)collect(f, req);
    await(f);
    expect(f, "[\"" TIME " stdout: only\"]", true);
    assert_true(inv_log_in_step(f->source));
}

static void a_developer_error_is_said_last_and_is_no_failure(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = {.limit_bytes = LIMIT, .developer_error = true};

    append(f, OUT("a"));
    (void)collect(f, req);
    await(f);
    assert_true(f->r.complete);
    assert_non_null(strstr(f->r.logs, " stdout: a\",\""));
    assert_non_null(strstr(f->r.logs, "Z       stderr: The action did not initialize or run as "
                                      "expected. Log data might be missing.\"]"));
}

static void a_file_that_cannot_be_read_gives_one_bare_text(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = {.limit_bytes = LIMIT};

    (void)collect(f, req); /* no such file, and no wait for it */
    await(f);
    expect(f, "[\"" ISSUE "\"]", false);
    assert_int_equal(mkdir(f->path, 0700), 0);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" ISSUE "\"]", false);
}

static void garbage_is_skipped_and_said(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("a") "garbage\n" OUT("b") END);
    (void)collect(f, waiting());
    await(f);
    assert_false(f->r.complete);
    assert_non_null(strstr(f->r.logs, " stdout: a\",\"" TIME " stdout: b\",\""));
    assert_non_null(strstr(f->r.logs, ISSUE));
}

static void a_line_without_end_is_given_up_and_the_next_one_found(void **state)
{
    struct fixture *f = *state;
    char *big = cw_alloc((2 << 20) + 1);

    memset(big, 'x', 2 << 20);
    append(f, big);
    free(big);
    (void)collect(f, waiting());
    await(f);
    assert_false(f->r.complete);
    assert_non_null(strstr(f->r.logs, ISSUE));
    append(f, "x\n" OUT("a") END OUT("b") END);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

/* ---- out of step: no line of one activation in the log of another ---- */

static void on_settled(void *arg, bool in_step)
{
    int *settled = arg;

    assert_int_equal(*settled, -1);
    *settled = in_step;
}

static bool is_settled(void *arg)
{
    return *(int *)arg != -1;
}

static bool settles_in_step(struct fixture *f)
{
    int settled = -1;

    inv_log_settle(f->source, on_settled, &settled);
    assert_int_equal(settled, -1);
    assert_true(cw_loop_run_until(f->loop, is_settled, &settled, WAIT_MS));
    assert_int_equal(settled, inv_log_in_step(f->source));
    return settled;
}

static struct inv_log_request one_line(void)
{
    struct inv_log_request req = brief();

    req.limit_bytes = (int64_t)strlen(OUT("12345"));
    return req;
}

static void a_complete_collection_is_in_step(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("a") END);
    (void)collect(f, waiting());
    await(f);
    assert_true(inv_log_in_step(f->source));
    assert_true(settles_in_step(f));
}

static void the_rest_of_a_cut_log_is_never_the_next_activations(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("12345") OUT("12345") OUT("left") END OUT("b") END);
    (void)collect(f, one_line());
    await(f);
    assert_true(f->r.truncated);
    assert_false(inv_log_in_step(f->source));
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
    assert_true(inv_log_in_step(f->source));
}

static void the_rest_of_a_cut_log_is_read_in_the_background(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("12345") OUT("12345") OUT("left"));
    (void)collect(f, one_line());
    await(f);
    pass(f);
    assert_false(inv_log_in_step(f->source));
    append(f, END OUT("b"));
    assert_true(settles_in_step(f));
    append(f, END);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

static void the_rest_is_followed_over_a_rotation(void **state)
{
    struct fixture *f = *state;
    char old[128];

    append(f, OUT("12345") OUT("12345") OUT("left"));
    (void)collect(f, one_line());
    await(f);
    (void)snprintf(old, sizeof(old), "%s.1", f->path);
    assert_int_equal(rename(f->path, old), 0);
    write_file(f->path, 0, OUT("left, too") END OUT("b") END);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

static void a_sentinel_on_the_line_that_goes_over_the_limit_counts(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = brief();

    req.limit_bytes = (int64_t)strlen(OUT("a") ERR(SENTINEL));
    append(f, OUT("a") ERR(SENTINEL) OUT(SENTINEL) OUT("b") END);
    (void)collect(f, req);
    await(f);
    assert_true(f->r.truncated);
    assert_true(inv_log_in_step(f->source));
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

static void a_sentinel_that_comes_late_is_eaten_first(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("a") OUT(SENTINEL));
    (void)collect(f, brief());
    await(f);
    assert_false(f->r.complete);
    assert_false(inv_log_in_step(f->source));
    append(f, ERR("late") ERR(SENTINEL));
    assert_true(settles_in_step(f));
    append(f, OUT("b") END);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

static void a_late_sentinel_that_docker_cut_in_two_is_eaten(void **state)
{
    struct fixture *f = *state;

    append(f, OUT(SENTINEL) "{\"log\":\"aXXX_THE_END_OF\",\"stream\":\"stderr\",\"time\":\"" TIME
                            "\"}\n");
    (void)collect(f, brief());
    await(f);
    assert_false(f->r.complete);
    append(f, ERR("_A_WHISK_ACTIVATION_XXX") OUT("b") END);
    (void)collect(f, waiting());
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

static void a_source_whose_sentinels_do_not_come_is_given_up(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("a") OUT(SENTINEL));
    (void)collect(f, brief());
    await(f);
    assert_false(settles_in_step(f)); /* that was waited for already */
    append(f, OUT("12345") OUT("12345"));
    (void)collect(f, one_line());
    await(f);
    assert_false(settles_in_step(f)); /* within the idle time-out */
}

static void who_waits_behind_a_cut_collection_gets_his_own_lines(void **state)
{
    struct inv_log_request req = waiting();
    struct fixture *f = *state;

    append(f, OUT("12345") OUT("12345") OUT("left"));
    (void)collect(f, one_line());
    (void)inv_log_collect(f->source, &req, on_collected, &f->r2);
    await(f);
    append(f, END OUT("b") END);
    assert_true(cw_loop_run_until(f->loop, is_collected, &f->r2, WAIT_MS));
    assert_string_equal(f->r2.logs, "[\"" TIME " stdout: b\"]");
    assert_true(f->r2.complete);
}

static void without_wait_a_cut_log_is_skipped_to_its_end(void **state)
{
    struct inv_log_request req = {.limit_bytes = (int64_t)strlen(OUT("12345"))};
    struct fixture *f = *state;

    append(f, OUT("12345") OUT("12345") OUT("left"));
    (void)collect(f, req);
    await(f);
    assert_true(f->r.truncated);
    assert_true(settles_in_step(f));
    append(f, OUT("b"));
    req.limit_bytes = LIMIT;
    (void)collect(f, req);
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

static void freeing_a_source_out_of_step_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    int settled = -1;

    append(f, OUT("a"));
    (void)collect(f, brief());
    await(f);
    pass(f); /* it is watched now */
    inv_log_settle(f->source, on_settled, &settled);
    inv_log_source_free(CW_STEAL(f->source));
    pass(f);
    assert_int_equal(settled, -1);
}

static void a_file_removed_under_us_is_read_on(void **state)
{
    struct fixture *f = *state;
    int fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    assert_true(fd >= 0);
    append(f, OUT("a") END);
    (void)collect(f, waiting());
    await(f);
    assert_int_equal(unlink(f->path), 0);
    (void)collect(f, waiting());
    pass(f);
    assert_int_equal(write(fd, OUT("b") END, strlen(OUT("b") END)), strlen(OUT("b") END));
    close(fd);
    await(f);
    expect(f, "[\"" TIME " stdout: b\"]", true);
}

static void raw_lines_are_handed_out_with_more_members(void **state)
{
    static const char BEGIN[] =
        "{\"log\":\"a \\\"\\n\",\"stream\":\"stdout\",\"time\":\"" TIME
        "\",\"activationId\":\"1\"}\n"
        "{\"log\":\"b\\n\",\"stream\":\"stderr\",\"time\":\"" TIME "\",\"activationId\":\"1\"}\n"
        "{\"time\":\"20";
    struct fixture *f = *state;
    struct inv_log_request req = brief();
    struct cw_str raw;

    cw_str_init(&raw, LIMIT);
    req.raw = &raw;
    req.raw_tail = CW_SLICE(",\"activationId\":\"1\"");
    append(f, OUT("a \\\"") OUT(SENTINEL) ERR("b"));
    (void)collect(f, req);
    await(f);
    assert_int_equal(strncmp(raw.p, BEGIN, sizeof(BEGIN) - 1), 0);
    assert_non_null(
        strstr(raw.p, "\",\"stream\":\"stderr\",\"log\":\"" ISSUE "\",\"activationId\":\"1\"}\n"));
    assert_null(strstr(raw.p, SENTINEL));
    cw_str_done(&raw);
}

static void rotate(struct fixture *f, int keep)
{
    char from[128], to[128];

    for (int n = keep - 1; n >= 0; n--) {
        (void)snprintf(from, sizeof(from), n ? "%s.%d" : "%s", f->path, n);
        (void)snprintf(to, sizeof(to), "%s.%d", f->path, n + 1);
        (void)rename(from, to);
    }
}

static void rotations_while_waiting_are_followed(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("one"));
    (void)collect(f, waiting());
    pass(f);
    append(f, OUT("two"));
    rotate(f, 3);
    pass(f);
    append(f, OUT("three"));
    pass(f);
    append(f, OUT("four"));
    pass(f);
    rotate(f, 3);
    append(f, OUT("five"));
    append(f, END);
    await(f);
    expect(f,
           "[\"" TIME " stdout: one\",\"" TIME " stdout: two\",\"" TIME " stdout: three\",\"" TIME
           " stdout: four\",\"" TIME " stdout: five\"]",
           true);
}

static void rotations_between_collections_lose_nothing(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("zero") END);
    (void)collect(f, waiting());
    await(f);
    append(f, OUT("one"));
    rotate(f, 5);
    append(f, OUT("two"));
    rotate(f, 5);
    append(f, OUT("three"));
    rotate(f, 5);
    append(f, OUT("four") END);
    (void)collect(f, waiting());
    await(f);
    expect(f,
           "[\"" TIME " stdout: one\",\"" TIME " stdout: two\",\"" TIME " stdout: three\",\"" TIME
           " stdout: four\"]",
           true);
}

static void a_file_cut_in_place_is_read_from_its_beginning(void **state)
{
    struct fixture *f = *state;

    append(f, OUT("a long first line") OUT("and another one"));
    (void)collect(f, waiting());
    pass(f);
    write_file(f->path, O_TRUNC, OUT("b"));
    pass(f);
    append(f, END);
    await(f);
    expect(f,
           "[\"" TIME " stdout: a long first line\",\"" TIME " stdout: and another one\",\"" TIME
           " stdout: b\"]",
           true);
}

static void sources_in_one_folder_do_not_disturb_each_other(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = waiting();
    struct inv_log_source *other;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/other", f->folder);
    other = inv_log_source_new(f->hub, path, NULL);
    (void)collect(f, req);
    (void)inv_log_collect(other, &req, on_collected, &f->r2);
    pass(f);
    write_file(path, O_APPEND, OUT("other") END);
    assert_true(cw_loop_run_until(f->loop, is_collected, &f->r2, WAIT_MS));
    assert_int_equal(f->r.calls, 0);
    inv_log_source_free(other);
    append(f, OUT("mine") END); /* the folder is still watched for us */
    await(f);
    expect(f, "[\"" TIME " stdout: mine\"]", true);
    assert_string_equal(f->r2.logs, "[\"" TIME " stdout: other\"]");
}

static void a_cancelled_collection_is_silent_and_the_next_one_goes_on(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = waiting();
    struct inv_log_call *call = collect(f, req);

    (void)inv_log_collect(f->source, &req, on_collected, &f->r2);
    pass(f);
    inv_log_cancel(call);
    append(f, OUT("a") END);
    assert_true(cw_loop_run_until(f->loop, is_collected, &f->r2, WAIT_MS));
    assert_int_equal(f->r.calls, 0);
    assert_string_equal(f->r2.logs, "[\"" TIME " stdout: a\"]");
}

static void freeing_the_source_cancels_even_in_its_own_callback(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = waiting();

    append(f, OUT("a") END);
    f->r.free_me = f->source;
    (void)collect(f, req);
    (void)inv_log_collect(f->source, &req, on_collected, &f->r2);
    await(f);
    f->source = NULL;
    pass(f);
    assert_int_equal(f->r2.calls, 0);
    expect(f, "[\"" TIME " stdout: a\"]", true);
}

static void much_output_is_read_in_several_turns(void **state)
{
    enum { LINES = 40000 };
    struct fixture *f = *state;
    struct cw_str text;
    size_t quotes = 0;

    cw_str_init(&text, LIMIT);
    for (int i = 0; i < LINES; i++)
        cw_str_addf(&text, OUT("line %d"), i);
    cw_str_addz(&text, END);
    assert_false(text.failed);
    append(f, text.p);
    cw_str_done(&text);
    (void)collect(f, waiting());
    await(f);
    assert_true(f->r.complete);
    for (const char *p = f->r.logs; *p; p++)
        quotes += *p == '"';
    assert_int_equal(quotes, 2 * LINES);
    assert_non_null(strstr(f->r.logs, " stdout: line 39999\"]"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_there_is_taken_at_once_but_not_inside_the_call),
        T(lines_that_come_later_in_pieces_are_waited_for),
        T(a_file_that_does_not_exist_yet_is_waited_for),
        T(a_folder_that_does_not_exist_yet_is_waited_for),
        T(each_activation_goes_on_where_the_last_one_ended),
        T(collections_of_one_container_queue_in_order),
        T(over_the_limit_the_rest_is_cut_and_said),
        T(silence_ends_the_wait),
        T(lines_push_the_silence_back_but_not_the_total),
        T(without_wait_the_end_of_the_file_is_the_end),
        T(without_wait_lines_on_their_way_are_lingered_for),
        T(a_developer_error_is_said_last_and_is_no_failure),
        T(a_file_that_cannot_be_read_gives_one_bare_text),
        T(garbage_is_skipped_and_said),
        T(a_line_without_end_is_given_up_and_the_next_one_found),
        T(a_complete_collection_is_in_step),
        T(the_rest_of_a_cut_log_is_never_the_next_activations),
        T(the_rest_of_a_cut_log_is_read_in_the_background),
        T(the_rest_is_followed_over_a_rotation),
        T(a_sentinel_on_the_line_that_goes_over_the_limit_counts),
        T(a_sentinel_that_comes_late_is_eaten_first),
        T(a_late_sentinel_that_docker_cut_in_two_is_eaten),
        T(a_source_whose_sentinels_do_not_come_is_given_up),
        T(who_waits_behind_a_cut_collection_gets_his_own_lines),
        T(without_wait_a_cut_log_is_skipped_to_its_end),
        T(freeing_a_source_out_of_step_leaves_nothing_behind),
        T(a_file_removed_under_us_is_read_on),
        T(raw_lines_are_handed_out_with_more_members),
        T(rotations_while_waiting_are_followed),
        T(rotations_between_collections_lose_nothing),
        T(a_file_cut_in_place_is_read_from_its_beginning),
        T(sources_in_one_folder_do_not_disturb_each_other),
        T(a_cancelled_collection_is_silent_and_the_next_one_goes_on),
        T(freeing_the_source_cancels_even_in_its_own_callback),
        T(much_output_is_read_in_several_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
