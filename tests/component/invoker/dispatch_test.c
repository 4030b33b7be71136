/* Containers and dispatch against an engine and action containers that the test plays. */
#include "tests/support/cmocka_all.h"

#include <stdatomic.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/dispatch.h"
#include "invoker/job.h"
#include "invoker/logs/log_collector.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "tests/support/fake_driver.h"
#include "tests/support/jobs.h"
#include "tests/support/scripted_action.h"

enum { WAIT_MS = 20000, MAX_ENDS = 64 };

struct end_seen {
    char id[CW_ACTIVATION_ID_LEN + 1];
    enum inv_end how;
    enum cw_status status;
    int64_t init_ms, placed_us;
    bool timeout;
    char result[256];
};

struct world {
    struct cw_clock clock;
    int64_t skipped_us; /* monotonic time is the machine's and this */
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_settings settings;
    struct cw_manifest *manifest;
    struct fake_driver driver;
    struct inv_log_hub *hub;
    struct inv_dispatch *dispatch;
    struct inv_stale *stale; /* NULL until a test wants it */
    struct scripted_action *peer;
    unsigned results;
    struct end_seen ends[MAX_ENDS];
    char *logs; /* of the last one */
    unsigned end_count, wanted;
    atomic_bool go; /* for scripts that wait for the test */
};

static void on_result(void *arg, struct inv_job *job)
{
    (void)job;
    ((struct world *)arg)->results++;
}

static void on_end(void *arg, struct inv_job *job, enum inv_end how)
{
    struct world *w = arg;
    struct end_seen *e = &w->ends[w->end_count++];

    assert_true(w->end_count <= MAX_ENDS);
    memcpy(e->id, job->msg->activation_id, sizeof(e->id));
    e->how = how;
    e->status = job->outcome.status;
    e->init_ms = job->init_ms;
    e->placed_us = job->at[INV_AT_PLACED];
    e->timeout = job->timeout;
    (void)snprintf(e->result, sizeof(e->result), "%s", job->outcome.result.p);
    free(w->logs);
    w->logs = cw_slice_dup(cw_str_slice(&job->logs));
    inv_job_free(job);
}

static void make_dispatch(struct world *w)
{
    w->dispatch = inv_dispatch_new(&(struct inv_dispatch_conf){
        .loop = w->loop,
        .driver = &w->driver.base,
        .logs = w->hub,
        .stale = w->stale,
        .settings = &w->settings,
        .manifest = w->manifest,
        .metrics = w->metrics,
        .on_result = on_result,
        .on_end = on_end,
        .arg = w,
    });
}

static int64_t wall_us(const struct cw_clock *c)
{
    (void)c;
    return cw_clock_system()->wall_us(cw_clock_system());
}

static int64_t mono_us(const struct cw_clock *c)
{
    return cw_clock_system()->mono_us(cw_clock_system()) + ((const struct world *)c)->skipped_us;
}

static struct world *begin(scripted_fn *script)
{
    struct world *w = cw_alloc(sizeof(*w));
    struct cw_err err = {0};

    test_settings(NULL, &w->settings);
    w->clock = (struct cw_clock){wall_us, mono_us};
    w->loop = cw_loop_new(&w->clock, NULL);
    w->metrics = cw_metrics_new();
    w->manifest = test_manifest();
    w->hub = inv_log_hub_new(w->loop, &err);
    assert_non_null(w->hub);
    fake_driver_init(&w->driver, w->loop);
    w->peer = scripted_action_new(script, w);
    w->driver.port = scripted_action_port(w->peer);
    make_dispatch(w);
    return w;
}

static bool containers_gone(void *arg)
{
    return inv_dispatch_containers(((struct world *)arg)->dispatch) == 0;
}

static void end_world(struct world *w)
{
    inv_dispatch_drain(w->dispatch);
    if (!cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS)) {
        inv_dispatch_kill(w->dispatch, "end of test");
        assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    }
    inv_dispatch_free(w->dispatch);
    inv_stale_free(w->stale);
    scripted_action_free(w->peer);
    inv_log_hub_free(w->hub);
    cw_driver_free(&w->driver.base);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
    cw_conf_free(inv_settings_table(), &w->settings);
    cw_loop_free(w->loop);
    free(w->logs);
    free(w);
}

static struct cw_action *make_action(struct world *w, const char *name, unsigned timeout_ms,
                                     unsigned memory_mb, unsigned concurrency)
{
    return test_action(w->manifest, name, timeout_ms, memory_mb, 0, concurrency);
}

/* action: a reference that the job takes. id: one hex digit, repeated. */
static void submit(struct world *w, struct cw_action *action, char id)
{
    inv_dispatch_submit(w->dispatch,
                        test_job(&(struct test_message){.id = id, .action = action->name}, action));
}

static bool enough_ends(void *arg)
{
    struct world *w = arg;

    return w->end_count >= w->wanted;
}

static void wait_ends(struct world *w, unsigned count)
{
    w->wanted = count;
    if (!cw_loop_run_until(w->loop, enough_ends, w, WAIT_MS))
        fail_msg("%u of %u activations ended", w->end_count, count);
}

/* ---- what containers do ---- */

static void well_behaved(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    while (scripted_read_request(conn))
        scripted_answer(conn, 200, "{\"ok\":true}");
}

static void refuses_to_init(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    while (scripted_read_request(conn))
        scripted_answer(conn, 502, "{\"error\":\"no such module\"}");
}

/* First request on every connection is answered, the second is read and the connection closed. */
static void one_answer_each(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (scripted_read_request(conn))
        scripted_answer(conn, 200, "{}");
    (void)scripted_read_request(conn);
}

static void shutting_down_once(struct scripted_conn *conn, void *arg)
{
    unsigned index = scripted_index(conn);

    (void)arg;
    while (scripted_read_request(conn))
        scripted_answer(conn, index == 0 ? 503 : 200, "{}");
}

static void never_answers(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    scripted_hang(conn);
}

static void fails_to_run(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (scripted_read_request(conn))
        scripted_answer(conn, 200, "{}");
    while (scripted_read_request(conn))
        scripted_answer(conn, 502, "{\"error\":\"boom\"}");
}

/* ---- logs ---- */

#define SENTINEL_LINE(stream)                                                                      \
    "{\"log\":\"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\\n\",\"stream\":\"" stream                   \
    "\",\"time\":\"2026-01-02T03:04:05Z\"}\n"
#define BOTH_SENTINELS SENTINEL_LINE("stdout") SENTINEL_LINE("stderr")

static char *new_log(struct world *w)
{
    char *path = cw_strdup("/tmp/cw-dispatch-XXXXXX-json.log");
    int fd = mkstemps(path, (int)strlen("-json.log"));

    assert_true(fd >= 0);
    close(fd);
    w->driver.log_path = path;
    return path;
}

static void add_log(const char *path, const char *text)
{
    FILE *f = fopen(path, "a");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A megabyte and some. */
static void add_too_much(const char *path)
{
    char line[1024];

    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    for (int i = 0; i < 1100; i++) {
        add_log(path, "{\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\",\"log\":\"");
        add_log(path, line);
        add_log(path, "\\n\"}\n");
    }
}

static void end_log(char *path)
{
    (void)unlink(path);
    free(path);
}

static struct cw_action *logging_action(struct world *w)
{
    return test_action(w->manifest, "hello", 5000, 256, 1, 1);
}

/* The first connection's run waits for the test; on all others everything fails. */
static void fails_beside_a_long_run(struct scripted_conn *conn, void *arg)
{
    struct world *w = arg;

    if (scripted_index(conn) > 0) {
        while (scripted_read_request(conn))
            scripted_answer(conn, 502, "{\"error\":\"boom\"}");
        return;
    }
    (void)scripted_read_request(conn);
    scripted_answer(conn, 200, "{}");
    (void)scripted_read_request(conn);
    while (!atomic_load(&w->go))
        (void)usleep(1000);
    scripted_answer(conn, 200, "{\"ok\":true}");
}

/* ---- tests ---- */

/* What the log says while one activation runs cold. free() it. */
static char *told(bool markers)
{
    struct world *w = begin(well_behaved);
    char *path = new_log(w), *text = cw_alloc(1 << 16);
    FILE *log = tmpfile();

    assert_non_null(log);
    inv_dispatch_free(w->dispatch);
    w->settings.log_markers = markers;
    make_dispatch(w);
    add_log(path, BOTH_SENTINELS);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = fileno(log)});
    submit(w, logging_action(w), 'a');
    wait_ends(w, 1);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    rewind(log);
    text[fread(text, 1, (1 << 16) - 1, log)] = '\0';
    (void)fclose(log);
    end_world(w);
    end_log(path);
    return text;
}

/* The lines hold these, one behind the other. */
static void expect_in_order(const char *text, const char *const *parts)
{
    for (; *parts; parts++) {
        const char *at = strstr(text, *parts);

        if (!at)
            fail_msg("no \"%s\" in:\n%s", *parts, text);
        text = at + strlen(*parts);
    }
}

static void each_step_is_marked_as_stock_marks_it(void **state)
{
    static const char *const PARTS[] = {
        "[ContainerPool] containerStart ",
        ("[#tid_t] [DockerClient] running docker run for container wsk0_1_guest_hello "
         "[marker:invoker_docker.run_start:"),
        "[#tid_t] [DockerClient]  [marker:invoker_docker.run_finish:",
        "[#tid_t] [DockerContainer] sending initialization to ContainerId(000",
        "1) ContainerAddress(127.0.0.1,",
        ") [marker:invoker_activationInit_start:",
        "[DockerContainer] initialization result: ok [marker:invoker_activationInit_finish:",
        "[DockerContainer] sending arguments to /guest/hello at ContainerId(000",
        ") [marker:invoker_activationRun_start:",
        "[DockerContainer] running result: ok [marker:invoker_activationRun_finish:",
        "[#tid_t] [ContainerProxy]  [marker:invoker_collectLogs_start:",
        "[#tid_t] [ContainerProxy]  [marker:invoker_collectLogs_finish:",
        NULL};
    char *text = told(true);

    (void)state;
    expect_in_order(text, PARTS);
    free(text);
}

static void without_markers_only_the_words_are_left(void **state)
{
    static const char *const PARTS[] = {"sending initialization to ", "initialization result: ok\n",
                                        "sending arguments to /guest/hello at ",
                                        "running result: ok\n", NULL};
    char *text = told(false);

    (void)state;
    expect_in_order(text, PARTS);
    assert_null(strstr(text, "[marker:"));
    assert_null(strstr(text, "]  "));
    free(text);
}

static void a_cut_log_does_not_cost_the_container(void **state)
{
    struct world *w = begin(well_behaved);
    char *path = new_log(w);

    (void)state;
    add_too_much(path);
    add_log(path, BOTH_SENTINELS);
    submit(w, logging_action(w), 'a');
    wait_ends(w, 1);
    assert_non_null(strstr(w->logs, "Logs were truncated because the total bytes size exceeds"));
    add_log(path, BOTH_SENTINELS);
    submit(w, logging_action(w), 'b');
    wait_ends(w, 2);
    assert_string_equal(w->logs, "[]");
    assert_int_equal(w->driver.created, 1);
    end_world(w);
    end_log(path);
}

static void the_switch_gives_stocks_removal_after_a_cut_log(void **state)
{
    struct world *w = begin(well_behaved);
    char *path = new_log(w);

    (void)state;
    inv_dispatch_free(w->dispatch);
    w->settings.remove_on_incomplete_logs = true;
    make_dispatch(w);
    add_too_much(path);
    add_log(path, BOTH_SENTINELS);
    submit(w, logging_action(w), 'a');
    wait_ends(w, 1);
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    assert_int_equal(w->driver.removed, 1);
    end_world(w);
    end_log(path);
}

/* The next job waits for the rest of the log, and goes elsewhere when that does not come. */
static void a_log_whose_end_does_not_come_sends_the_next_job_elsewhere(void **state)
{
    struct world *w = begin(well_behaved);
    char *path = new_log(w), *other;

    (void)state;
    add_too_much(path);
    submit(w, logging_action(w), 'a');
    wait_ends(w, 1);
    other = new_log(w);
    add_log(other, BOTH_SENTINELS);
    submit(w, logging_action(w), 'b');
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].status, CW_STATUS_SUCCESS);
    assert_true(w->ends[1].init_ms >= 0);
    assert_string_equal(w->logs, "[]");
    assert_int_equal(w->driver.created, 2);
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 2);
    end_world(w);
    end_log(path);
    end_log(other);
}

static bool sent_twice(void *arg)
{
    return scripted_action_posts(((struct world *)arg)->peer, "/run") == 2;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void a_job_waits_for_the_end_of_the_log_before_it(void **state)
{
    struct world *w = begin(well_behaved);
    char *path = new_log(w);

    (void)state;
    add_too_much(path);
    submit(w, logging_action(w), 'a');
    wait_ends(w, 1);
    submit(w, logging_action(w), 'b');
    (void)cw_loop_run_until(w->loop, never, NULL, 50);
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 1);
    add_log(path, BOTH_SENTINELS);
    assert_true(cw_loop_run_until(w->loop, sent_twice, w, WAIT_MS));
    add_log(path, BOTH_SENTINELS);
    wait_ends(w, 2);
    assert_string_equal(w->logs, "[]");
    assert_int_equal(w->driver.created, 1);
    end_world(w);
    end_log(path);
}

static void warm_container_is_used_again_without_init(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    submit(w, make_action(w, "hello", 5000, 256, 1), 'b');
    wait_ends(w, 2);
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(scripted_action_posts(w->peer, "/init"), 1);
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 2);
    assert_true(w->ends[0].init_ms >= 0);
    assert_int_equal(w->ends[1].init_ms, -1);
    assert_string_equal(w->ends[1].result, "{\"ok\":true}");
    assert_int_equal(w->results, 2);
    assert_string_equal(w->driver.last_image, "whisk/action-nodejs-v20:local");
    assert_string_equal(w->driver.last_name, "wsk0_1_guest_hello");
    assert_int_equal(w->driver.last_shares, 256);
    end_world(w);
}

static void init_failure_answers_and_destroys(void **state)
{
    struct world *w = begin(refuses_to_init);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    assert_int_equal(w->ends[0].how, INV_END_RAN);
    assert_string_equal(w->ends[0].result, "{\"error\":\"no such module\"}");
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 0);
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    assert_int_equal(w->driver.removed, 1);
    end_world(w);
}

static void developer_error_on_run_destroys_the_container(void **state)
{
    struct world *w = begin(fails_to_run);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    assert_int_equal(w->driver.removed, 1);
    end_world(w);
}

static void run_is_sent_once_when_the_connection_dies(void **state)
{
    struct world *w = begin(one_answer_each);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    assert_non_null(
        strstr(w->ends[0].result, "did not produce a valid response and exited unexpectedly"));
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 1);
    assert_int_equal(w->driver.oom_checks, 1);
    end_world(w);
}

static void out_of_memory_is_told(void **state)
{
    struct world *w = begin(one_answer_each);

    (void)state;
    w->driver.oom = true;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_string_equal(w->ends[0].result,
                        "{\"error\":\"The action exhausted its memory and was aborted.\"}");
    end_world(w);
}

static void dead_warm_container_gives_the_job_to_a_new_one(void **state)
{
    struct world *w = begin(well_behaved);
    struct scripted_action *first;

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    first = w->peer;
    w->peer = scripted_action_new(well_behaved, w);
    w->driver.port = scripted_action_port(w->peer);
    scripted_action_free(first); /* its port refuses from now on */
    submit(w, make_action(w, "hello", 5000, 256, 1), 'b');
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].status, CW_STATUS_SUCCESS);
    assert_true(w->ends[1].init_ms >= 0);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static void fresh_container_that_shuts_down_is_replaced(void **state)
{
    struct world *w = begin(shutting_down_once);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static void time_out_is_told_with_its_text(void **state)
{
    struct world *w = begin(never_answers);

    (void)state;
    submit(w, make_action(w, "hello", 150, 256, 1), 'a');
    wait_ends(w, 1);
    assert_true(w->ends[0].timeout);
    assert_string_equal(w->ends[0].result,
                        "{\"error\":\"The action exceeded its time limits of 150 milliseconds "
                        "during initialization.\"}");
    end_world(w);
}

static void creation_failure_is_told_by_kind(void **state)
{
    static const struct {
        enum cw_create_failure failure;
        enum cw_status status;
        const char *text;
    } CASES[] = {
        {CW_CREATE_PLATFORM, CW_STATUS_WHISK_ERROR,
         "Failed to provision resources to run the action."},
        {CW_CREATE_PULL, CW_STATUS_DEVELOPER_ERROR, "Failed to pull container image 'nodejs:20'."},
        {CW_CREATE_EXECUTABLE, CW_STATUS_DEVELOPER_ERROR,
         "executable file not found in image nodejs:20"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct world *w = begin(well_behaved);

        w->driver.fail_create = true;
        w->driver.failure = CASES[i].failure;
        submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
        wait_ends(w, 1);
        assert_int_equal(w->ends[0].how, INV_END_FAILED_START);
        assert_int_equal(w->ends[0].status, CASES[i].status);
        assert_non_null(strstr(w->ends[0].result, CASES[i].text));
        assert_int_equal(w->driver.removed, 0);
        end_world(w);
    }
}

static void those_that_wait_for_a_failed_start_share_its_outcome(void **state)
{
    struct world *w = begin(refuses_to_init);

    (void)state;
    w->driver.hold_creates = true;
    for (char id = 'a'; id <= 'c'; id++)
        submit(w, make_action(w, "hello", 5000, 256, 3), id);
    fake_driver_release(&w->driver);
    wait_ends(w, 3);
    assert_int_equal(w->driver.created, 1);
    for (int i = 0; i < 3; i++)
        assert_string_equal(w->ends[i].result, "{\"error\":\"no such module\"}");
    assert_int_equal((w->ends[0].how == INV_END_ABORTED) + (w->ends[1].how == INV_END_ABORTED) +
                         (w->ends[2].how == INV_END_ABORTED),
                     2);
    end_world(w);
}

static void concurrent_jobs_share_one_container(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    for (char id = 'a'; id <= 'd'; id++)
        submit(w, make_action(w, "hello", 5000, 256, 4), id);
    wait_ends(w, 4);
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(scripted_action_posts(w->peer, "/init"), 1);
    end_world(w);
}

static void full_pool_runs_in_order_of_arrival(void **state)
{
    struct world *w = begin(well_behaved);
    struct inv_pool_stats stats;
    uint64_t waiting_mb;
    size_t waiting;

    (void)state;
    w->driver.hold_creates = true;
    for (char id = 'a'; id <= 'f'; id++)
        submit(w, make_action(w, "hello", 5000, 512, 1), id); /* two fit into 1024 MB */
    inv_dispatch_stats(w->dispatch, &stats, &waiting, &waiting_mb);
    assert_int_equal(stats.used_mb, 1024);
    assert_int_equal(waiting, 4);
    assert_int_equal(waiting_mb, 2048);
    fake_driver_release(&w->driver);
    wait_ends(w, 6);
    assert_int_equal(w->driver.created, 2);
    for (int i = 0; i < 6;
         i++) /* whatever the order of their ends: who came later was placed later */
        for (int j = 0; j < 6; j++)
            if (w->ends[i].id[0] < w->ends[j].id[0])
                assert_true(w->ends[i].placed_us <= w->ends[j].placed_us);
    end_world(w);
}

static void what_became_stale_while_it_waited_is_answered_when_its_turn_comes(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    inv_dispatch_free(w->dispatch);
    w->settings.stale_work = INV_STALE_ANSWER;
    w->stale = inv_stale_new(w->loop, &w->settings, w->metrics);
    make_dispatch(w);
    for (char id = 'a'; id <= 'c'; id++) /* they fill the memory; of 1970, as all of this file */
        submit(w, make_action(w, "hello", 5000, 1024, 1), id);
    wait_ends(w, 3);
    assert_int_equal(w->driver.created, 1);
    for (unsigned i = 0; i < 3; i++) {
        bool first = w->ends[i].id[0] == 'a';

        assert_int_equal(w->ends[i].how, first ? INV_END_RAN : INV_END_FAILED_START);
        assert_int_equal(w->ends[i].status, first ? CW_STATUS_SUCCESS : CW_STATUS_WHISK_ERROR);
    }
    assert_int_equal(cw_counter_value(cw_metrics_counter(
                         w->metrics, "cwhisk_activation_stale_total", NULL, NULL)),
                     2);
    end_world(w);
}

static void idle_container_is_evicted_for_another_action(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 1024, 1), 'a');
    wait_ends(w, 1);
    submit(w, make_action(w, "other", 5000, 1024, 1), 'b');
    wait_ends(w, 2);
    assert_int_equal(w->driver.created, 2);
    assert_int_equal(w->driver.removed, 1);
    end_world(w);
}

static void what_never_fits_is_answered(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 2048, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    assert_int_equal(w->driver.created, 0);
    end_world(w);
}

static bool was_paused(void *arg)
{
    return ((struct world *)arg)->driver.paused == 1;
}

static void idle_container_is_paused_and_resumed_for_the_next_job(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    inv_dispatch_free(w->dispatch);
    w->settings.pause_grace_ms = 10;
    make_dispatch(w);
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_paused, w, WAIT_MS));
    submit(w, make_action(w, "hello", 5000, 256, 1), 'b');
    wait_ends(w, 2);
    assert_int_equal(w->driver.resumed, 1);
    assert_int_equal(w->driver.created, 1);
    end_world(w);
}

static void failed_resume_gives_the_job_to_a_new_container(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    inv_dispatch_free(w->dispatch);
    w->settings.pause_grace_ms = 10;
    make_dispatch(w);
    w->driver.fail_resume = true;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_paused, w, WAIT_MS));
    submit(w, make_action(w, "hello", 5000, 256, 1), 'b');
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].status, CW_STATUS_SUCCESS);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static bool was_removed(void *arg)
{
    return ((struct world *)arg)->driver.removed == 1;
}

static void idle_limit_thaws_and_removes(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    inv_dispatch_free(w->dispatch);
    w->settings.pause_grace_ms = 5;
    w->settings.idle_container_ms = 5;
    make_dispatch(w);
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_removed, w, WAIT_MS));
    assert_int_equal(w->driver.resumed, 1);
    end_world(w);
}

static void remake_with_grace(struct world *w, int64_t pause_grace_ms)
{
    inv_dispatch_free(w->dispatch);
    w->settings.pause_grace_ms = pause_grace_ms;
    make_dispatch(w);
}

static void failed_run_destroys_only_after_the_others_have_ended(void **state)
{
    struct world *w = begin(fails_beside_a_long_run);
    char removal[80];

    (void)state;
    submit(w, make_action(w, "hello", 20000, 256, 2), 'a');
    submit(w, make_action(w, "hello", 20000, 256, 2), 'b');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].id[0], 'b');
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    submit(w, make_action(w, "hello", 20000, 256, 2), 'c'); /* not in there any more */
    wait_ends(w, 2);
    assert_int_equal(w->driver.created, 2);
    (void)snprintf(removal, sizeof(removal), "remove %064u", 1u);
    assert_null(strstr(w->driver.journal, removal));
    atomic_store(&w->go, true);
    wait_ends(w, 3);
    assert_int_equal(w->ends[2].id[0], 'a');
    assert_int_equal(w->ends[2].status, CW_STATUS_SUCCESS);
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    assert_non_null(strstr(w->driver.journal, removal));
    end_world(w);
}

static void those_that_wait_for_a_container_that_cannot_be_created_share_its_outcome(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    w->driver.fail_create = true;
    w->driver.failure = CW_CREATE_PULL;
    for (char id = 'a'; id <= 'c'; id++)
        submit(w, make_action(w, "hello", 5000, 256, 3), id);
    wait_ends(w, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w->ends[i].status, CW_STATUS_DEVELOPER_ERROR);
        assert_string_equal(w->ends[i].result,
                            "{\"error\":\"Failed to pull container image 'nodejs:20'.\"}");
    }
    assert_int_equal(w->driver.created, 1);
    end_world(w);
}

static void small_job_waits_behind_a_large_one(void **state)
{
    struct world *w = begin(well_behaved);
    struct inv_pool_stats stats;
    uint64_t waiting_mb;
    size_t waiting;

    (void)state;
    w->driver.hold_creates = true;
    submit(w, make_action(w, "first", 5000, 768, 1), 'a');
    submit(w, make_action(w, "large", 5000, 512, 1), 'b');
    submit(w, make_action(w, "small", 5000, 128, 1), 'c'); /* would fit */
    inv_dispatch_stats(w->dispatch, &stats, &waiting, &waiting_mb);
    assert_int_equal(waiting, 2);
    assert_int_equal(w->driver.created, 1);
    w->driver.hold_creates = false;
    fake_driver_release(&w->driver);
    wait_ends(w, 3);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            if (w->ends[i].id[0] < w->ends[j].id[0])
                assert_true(w->ends[i].placed_us <= w->ends[j].placed_us);
    end_world(w);
}

static void job_for_a_container_that_cannot_be_paused_goes_elsewhere(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    remake_with_grace(w, 10);
    w->driver.fail_pause = true;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_paused, w, WAIT_MS)); /* asked, not answered */
    submit(w, make_action(w, "hello", 5000, 256, 1), 'b');
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].status, CW_STATUS_SUCCESS);
    assert_true(w->ends[1].init_ms >= 0);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static void jobs_of_a_container_that_cannot_be_resumed_go_elsewhere_together(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    remake_with_grace(w, 10);
    w->driver.fail_resume = true;
    submit(w, make_action(w, "hello", 5000, 256, 3), 'a');
    wait_ends(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_paused, w, WAIT_MS));
    for (char id = 'b'; id <= 'd'; id++)
        submit(w, make_action(w, "hello", 5000, 256, 3), id);
    wait_ends(w, 4);
    for (int i = 1; i < 4; i++)
        assert_int_equal(w->ends[i].status, CW_STATUS_SUCCESS);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static void paused_container_is_resumed_before_it_is_removed_for_another(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    remake_with_grace(w, 10);
    submit(w, make_action(w, "hello", 5000, 1024, 1), 'a');
    wait_ends(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_paused, w, WAIT_MS));
    submit(w, make_action(w, "other", 5000, 1024, 1), 'b');
    wait_ends(w, 2);
    assert_true(cw_loop_run_until(w->loop, was_removed, w, WAIT_MS));
    assert_memory_equal(w->driver.journal, "resume ", strlen("resume "));
    assert_non_null(strstr(w->driver.journal, ", remove "));
    end_world(w);
}

static void kill_answers_everything(void **state)
{
    struct world *w = begin(never_answers);

    (void)state;
    for (char id = 'a'; id <= 'd'; id++)
        submit(w, make_action(w, "hello", 50000, 512, 1), id);
    inv_dispatch_kill(w->dispatch, "test");
    assert_int_equal(w->end_count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(w->ends[i].status, CW_STATUS_WHISK_ERROR);
    end_world(w);
}

/* ---- prewarmed containers ---- */

/* `count` stem cells of nodejs:20 and 256 MB. */
static void add_stem_cells(struct world *w, unsigned count)
{
    struct cw_err err = {0};
    char text[512];

    (void)snprintf(
        text, sizeof(text),
        "{\"runtimes\":{\"nodejs\":[{\"kind\":\"nodejs:20\",\"default\":true,\"image\":{"
        "\"name\":\"node\"},\"stemCells\":[{\"initialCount\":%u,\"memory\":\"256 MB\"}]}]"
        "},\"blackboxes\":[]}",
        count);
    inv_dispatch_free(w->dispatch);
    cw_manifest_free(w->manifest);
    w->manifest = cw_manifest_parse(cw_slice_of(text), &err);
    assert_non_null(w->manifest);
    make_dispatch(w);
    inv_dispatch_start_prewarming(w->dispatch);
}

static struct world *begin_prewarmed(scripted_fn *script, unsigned count)
{
    struct world *w = begin(script);

    add_stem_cells(w, count);
    return w;
}

static size_t prewarmed(struct world *w)
{
    struct inv_pool_stats stats;
    uint64_t waiting_mb;
    size_t waiting;

    inv_dispatch_stats(w->dispatch, &stats, &waiting, &waiting_mb);
    return stats.prewarmed;
}

static bool all_created(void *arg)
{
    struct world *w = arg;

    return w->driver.created == w->wanted && cw_list_empty(&w->driver.calls);
}

static void wait_created(struct world *w, unsigned count)
{
    w->wanted = count;
    assert_true(cw_loop_run_until(w->loop, all_created, w, WAIT_MS));
}

static uint64_t starts(struct world *w, const char *state)
{
    char name[96];

    (void)snprintf(name, sizeof(name), "counter_invoker_containerStart_%s_counter_total", state);
    return cw_counter_value(cw_metrics_counter(w->metrics, name, NULL, NULL));
}

static uint64_t dead_prewarmed(struct world *w)
{
    return cw_counter_value(cw_metrics_counter(
        w->metrics, "counter_invoker_containerHealthFailed_prewarm_counter_total", NULL, NULL));
}

static void prewarmed_container_runs_its_first_job_and_is_replaced(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 1);

    (void)state;
    wait_created(w, 1);
    assert_string_equal(w->driver.last_name, "wsk0_1_prewarm_nodejs20");
    assert_string_equal(w->driver.last_image, "node");
    assert_int_equal(w->driver.last_shares, 256);
    assert_int_equal(scripted_action_connections(w->peer), 0);
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    wait_created(w, 2);
    assert_string_equal(w->driver.last_name, "wsk0_2_prewarm_nodejs20");
    assert_int_equal(prewarmed(w), 1);
    assert_true(w->ends[0].init_ms >= 0);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    submit(w, make_action(w, "hello", 5000, 256, 1), 'b'); /* belongs to the action now */
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].init_ms, -1);
    assert_int_equal(starts(w, "prewarmed"), 1);
    assert_int_equal(starts(w, "warmed"), 1);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static void jobs_queue_at_a_prewarmed_container_that_is_being_initialized(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 1);

    (void)state;
    wait_created(w, 1);
    inv_dispatch_stop_prewarming(w->dispatch);
    for (char id = 'a'; id <= 'c'; id++)
        submit(w, make_action(w, "hello", 5000, 256, 3), id);
    wait_ends(w, 3);
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(starts(w, "prewarmed"), 1);
    assert_int_equal(starts(w, "warming"), 2);
    assert_int_equal(scripted_action_posts(w->peer, "/init"), 1);
    end_world(w);
}

static void prewarmed_container_that_fails_to_initialize_aborts_its_queue(void **state)
{
    struct world *w = begin_prewarmed(refuses_to_init, 1);

    (void)state;
    wait_created(w, 1);
    inv_dispatch_stop_prewarming(w->dispatch);
    for (char id = 'a'; id <= 'c'; id++)
        submit(w, make_action(w, "hello", 5000, 256, 3), id);
    wait_ends(w, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(w->ends[i].result, "{\"error\":\"no such module\"}");
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    end_world(w);
}

static void dead_prewarmed_container_gives_its_job_to_another(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 1);
    struct scripted_action *first;

    (void)state;
    wait_created(w, 1);
    inv_dispatch_stop_prewarming(w->dispatch);
    first = w->peer;
    w->peer = scripted_action_new(well_behaved, w);
    w->driver.port = scripted_action_port(w->peer);
    scripted_action_free(first);  /* its port refuses from now on */
    w->skipped_us = 10 * 1000000; /* long enough for every runtime to have begun to listen */
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    assert_int_equal(starts(w, "prewarmed"), 1);
    assert_int_equal(starts(w, "cold"), 1);
    assert_int_equal(dead_prewarmed(w), 1);
    end_world(w);
}

static void fresh_prewarmed_container_may_take_its_time_to_listen(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 1);
    struct scripted_action *slow = scripted_action_new_closed(well_behaved, w);

    (void)state;
    w->driver.port = scripted_action_port(slow);
    wait_created(w, 1);
    inv_dispatch_stop_prewarming(w->dispatch);
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    (void)cw_loop_run_until(w->loop, enough_ends, &(struct world){.wanted = 1}, 20);
    assert_int_equal(w->end_count, 0);
    scripted_action_listen(slow);
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    assert_int_equal(w->driver.created, 1);
    end_world(w);
    scripted_action_free(slow);
}

static void prewarmed_container_that_cannot_be_created_is_nobodys_failure(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 2);

    (void)state;
    w->driver.fail_create = true;
    wait_created(w, 2);
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    assert_int_equal(prewarmed(w), 0);
    assert_int_equal(w->end_count, 0);
    w->driver.fail_create = false;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    assert_int_equal(w->driver.created, 3); /* the next try comes after a second */
    end_world(w);
}

static void watch_health(struct world *w)
{
    w->settings.health_check = true;
    w->settings.health_check_ms = 1;
    w->settings.health_check_max_fails = 3;
}

static bool was_connected(void *arg)
{
    return scripted_action_connections(((struct world *)arg)->peer) >= 2;
}

static void dead_prewarmed_container_is_replaced_when_it_is_looked_at(void **state)
{
    struct world *w = begin(well_behaved);
    struct scripted_action *first;

    (void)state;
    watch_health(w);
    add_stem_cells(w, 1);
    wait_created(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_connected, w, WAIT_MS)); /* it lives */
    assert_int_equal(w->driver.created, 1);
    first = w->peer;
    w->peer = scripted_action_new(well_behaved, w);
    w->driver.port = scripted_action_port(w->peer);
    scripted_action_free(first); /* its port refuses from now on */
    wait_created(w, 2);
    assert_int_equal(dead_prewarmed(w), 1);
    assert_int_equal(prewarmed(w), 1);
    end_world(w);
}

static void prewarmed_container_that_was_looked_at_runs_its_job(void **state)
{
    struct world *w = begin(well_behaved);

    (void)state;
    watch_health(w);
    add_stem_cells(w, 1);
    wait_created(w, 1);
    assert_true(cw_loop_run_until(w->loop, was_connected, w, WAIT_MS));
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    assert_int_equal(starts(w, "prewarmed"), 1);
    end_world(w);
}

static void memory_goes_to_waiting_jobs_before_replacements(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 1);

    (void)state;
    wait_created(w, 1);
    w->driver.hold_creates = true;
    submit(w, make_action(w, "big", 5000, 768, 1), 'a'); /* full */
    submit(w, make_action(w, "other", 5000, 768, 1), 'b');
    submit(w, make_action(w, "hello", 5000, 256, 1), 'c'); /* behind it, whatever would fit */
    assert_int_equal(prewarmed(w), 1);
    fake_driver_release(&w->driver);
    w->driver.hold_creates = false;
    wait_ends(w, 3);
    assert_int_equal(starts(w, "recreated"), 1);
    assert_int_equal(starts(w, "prewarmed"), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(w->ends[i].status, CW_STATUS_SUCCESS);
    end_world(w);
}

static void drain_removes_prewarmed_containers_and_cancels_those_being_created(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 1);

    (void)state;
    wait_created(w, 1);
    w->driver.hold_creates = true;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->driver.created, 2); /* the replacement, held */
    inv_dispatch_drain(w->dispatch);
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    assert_int_equal(w->driver.cancelled, 1);
    assert_int_equal(w->driver.removed, 1);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_marked_as_stock_marks_it),
        cmocka_unit_test(without_markers_only_the_words_are_left),
        cmocka_unit_test(a_cut_log_does_not_cost_the_container),
        cmocka_unit_test(the_switch_gives_stocks_removal_after_a_cut_log),
        cmocka_unit_test(a_log_whose_end_does_not_come_sends_the_next_job_elsewhere),
        cmocka_unit_test(a_job_waits_for_the_end_of_the_log_before_it),
        cmocka_unit_test(warm_container_is_used_again_without_init),
        cmocka_unit_test(init_failure_answers_and_destroys),
        cmocka_unit_test(developer_error_on_run_destroys_the_container),
        cmocka_unit_test(run_is_sent_once_when_the_connection_dies),
        cmocka_unit_test(out_of_memory_is_told),
        cmocka_unit_test(dead_warm_container_gives_the_job_to_a_new_one),
        cmocka_unit_test(fresh_container_that_shuts_down_is_replaced),
        cmocka_unit_test(time_out_is_told_with_its_text),
        cmocka_unit_test(creation_failure_is_told_by_kind),
        cmocka_unit_test(those_that_wait_for_a_failed_start_share_its_outcome),
        cmocka_unit_test(concurrent_jobs_share_one_container),
        cmocka_unit_test(full_pool_runs_in_order_of_arrival),
        cmocka_unit_test(what_became_stale_while_it_waited_is_answered_when_its_turn_comes),
        cmocka_unit_test(idle_container_is_evicted_for_another_action),
        cmocka_unit_test(what_never_fits_is_answered),
        cmocka_unit_test(idle_container_is_paused_and_resumed_for_the_next_job),
        cmocka_unit_test(failed_resume_gives_the_job_to_a_new_container),
        cmocka_unit_test(idle_limit_thaws_and_removes),
        cmocka_unit_test(failed_run_destroys_only_after_the_others_have_ended),
        cmocka_unit_test(those_that_wait_for_a_container_that_cannot_be_created_share_its_outcome),
        cmocka_unit_test(small_job_waits_behind_a_large_one),
        cmocka_unit_test(job_for_a_container_that_cannot_be_paused_goes_elsewhere),
        cmocka_unit_test(jobs_of_a_container_that_cannot_be_resumed_go_elsewhere_together),
        cmocka_unit_test(paused_container_is_resumed_before_it_is_removed_for_another),
        cmocka_unit_test(kill_answers_everything),
        cmocka_unit_test(prewarmed_container_runs_its_first_job_and_is_replaced),
        cmocka_unit_test(jobs_queue_at_a_prewarmed_container_that_is_being_initialized),
        cmocka_unit_test(prewarmed_container_that_fails_to_initialize_aborts_its_queue),
        cmocka_unit_test(dead_prewarmed_container_gives_its_job_to_another),
        cmocka_unit_test(fresh_prewarmed_container_may_take_its_time_to_listen),
        cmocka_unit_test(prewarmed_container_that_cannot_be_created_is_nobodys_failure),
        cmocka_unit_test(dead_prewarmed_container_is_replaced_when_it_is_looked_at),
        cmocka_unit_test(prewarmed_container_that_was_looked_at_runs_its_job),
        cmocka_unit_test(memory_goes_to_waiting_jobs_before_replacements),
        cmocka_unit_test(drain_removes_prewarmed_containers_and_cancels_those_being_created),
    };

    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
