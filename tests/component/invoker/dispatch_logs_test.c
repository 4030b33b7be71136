/* Logs of activations in containers: marks, and what a cut or late log costs. */
#include "tests/support/cmocka_all.h"

#include <unistd.h>

#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/obs/log.h"
#include "invoker/dispatch.h"
#include "invoker/settings.h"
#include "tests/component/invoker/dispatch_world.h"

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

/* What the log says while one activation runs cold. free() it. */
static char *told(bool markers)
{
    struct world *w = begin_world(well_behaved);
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
    struct world *w = begin_world(well_behaved);
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
    struct world *w = begin_world(well_behaved);
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
    struct world *w = begin_world(well_behaved);
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
    struct world *w = begin_world(well_behaved);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_marked_as_stock_marks_it),
        cmocka_unit_test(without_markers_only_the_words_are_left),
        cmocka_unit_test(a_cut_log_does_not_cost_the_container),
        cmocka_unit_test(the_switch_gives_stocks_removal_after_a_cut_log),
        cmocka_unit_test(a_log_whose_end_does_not_come_sends_the_next_job_elsewhere),
        cmocka_unit_test(a_job_waits_for_the_end_of_the_log_before_it),
    };

    return cmocka_run_group_tests_name("dispatch logs", tests, NULL, NULL);
}
