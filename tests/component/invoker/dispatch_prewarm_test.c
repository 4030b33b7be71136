/* Prewarmed containers: taken, replaced, dead, queued at. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "common/obs/metrics.h"
#include "invoker/dispatch.h"
#include "invoker/settings.h"
#include "tests/component/invoker/dispatch_world.h"

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
    struct world *w = begin_world(script);

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
    struct world *w = begin_world(well_behaved);
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
    struct world *w = begin_world(well_behaved);

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
    inv_dispatch_drain(w->dispatch, true);
    assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    assert_int_equal(w->driver.cancelled, 1);
    assert_int_equal(w->driver.removed, 1);
    assert_int_equal(w->driver.created, 2);
    end_world(w);
}

static void job_that_cannot_be_sent_ends_after_it_was_taken(void **state)
{
    struct world *w = begin_prewarmed(well_behaved, 1);
    struct cw_action *action = make_action(w, "hello", 5000, 256, 1);

    (void)state;
    wait_created(w, 1);
    action->code_place = CW_CODE_ATTACHED; /* and has not come */
    submit(w, action, 'a');
    assert_int_equal(w->end_count, 0);
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_WHISK_ERROR);
    assert_int_equal(scripted_action_connections(w->peer), 0);
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prewarmed_container_runs_its_first_job_and_is_replaced),
        cmocka_unit_test(jobs_queue_at_a_prewarmed_container_that_is_being_initialized),
        cmocka_unit_test(prewarmed_container_that_fails_to_initialize_aborts_its_queue),
        cmocka_unit_test(dead_prewarmed_container_gives_its_job_to_another),
        cmocka_unit_test(fresh_prewarmed_container_may_take_its_time_to_listen),
        cmocka_unit_test(prewarmed_container_that_cannot_be_created_is_nobodys_failure),
        cmocka_unit_test(dead_prewarmed_container_is_replaced_when_it_is_looked_at),
        cmocka_unit_test(prewarmed_container_that_was_looked_at_runs_its_job),
        cmocka_unit_test(memory_goes_to_waiting_jobs_before_replacements),
        cmocka_unit_test(job_that_cannot_be_sent_ends_after_it_was_taken),
        cmocka_unit_test(drain_removes_prewarmed_containers_and_cancels_those_being_created),
    };

    return cmocka_run_group_tests_name("dispatch prewarm", tests, NULL, NULL);
}
