/* Containers and dispatch against an engine and action containers that the test plays. */
#include "tests/support/cmocka_all.h"

#include <unistd.h>

#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/dispatch.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "tests/component/invoker/dispatch_world.h"
#include "tests/support/turns.h"

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

static void warm_container_is_used_again_without_init(void **state)
{
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(refuses_to_init);

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
    struct world *w = begin_world(fails_to_run);

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
    struct world *w = begin_world(one_answer_each);

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
    struct world *w = begin_world(one_answer_each);

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
    struct world *w = begin_world(well_behaved);
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
    struct world *w = begin_world(shutting_down_once);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 1), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static void time_out_is_told_with_its_text(void **state)
{
    struct world *w = begin_world(never_answers);

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
        struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(refuses_to_init);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);
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

static void idle_containers_go_with_the_memory_and_who_waits_starts_when_it_is_back(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    w->driver.hold_creates = true;
    submit(w, make_action(w, "one", 5000, 512, 1), 'a');
    submit(w, make_action(w, "two", 5000, 512, 1), 'b');
    w->driver.hold_creates = false;
    fake_driver_release(&w->driver);
    wait_ends(w, 2);
    assert_int_equal(inv_dispatch_containers(w->dispatch), 2);
    inv_dispatch_set_memory(w->dispatch, 768);
    run_turns(w->loop);
    assert_int_equal(w->driver.removed, 1);
    w->driver.hold_creates = true;
    submit(w, make_action(w, "three", 5000, 256, 1), 'c');
    submit(w, make_action(w, "four", 5000, 768, 1), 'd');
    assert_int_equal(waiting(w), 1);
    inv_dispatch_set_memory(w->dispatch, 1024);
    run_turns(w->loop);
    assert_int_equal(waiting(w), 0);
    w->driver.hold_creates = false;
    fake_driver_release(&w->driver);
    wait_ends(w, 4);
    end_world(w);
}

static void what_became_stale_while_it_waited_is_answered_when_its_turn_comes(void **state)
{
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(fails_beside_a_long_run);
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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);
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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(well_behaved);

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
    struct world *w = begin_world(never_answers);

    (void)state;
    for (char id = 'a'; id <= 'd'; id++)
        submit(w, make_action(w, "hello", 50000, 512, 1), id);
    inv_dispatch_kill(w->dispatch, "test");
    assert_int_equal(w->end_count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(w->ends[i].status, CW_STATUS_WHISK_ERROR);
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(idle_containers_go_with_the_memory_and_who_waits_starts_when_it_is_back),
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
    };

    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
