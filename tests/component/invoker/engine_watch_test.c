/* What becomes of jobs and containers when containers end by themselves or the engine goes away. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "invoker/dispatch.h"
#include "invoker/engine_watch.h"
#include "invoker/janitor/janitor.h"
#include "tests/component/invoker/dispatch_world.h"

#define PREFIX "wsk0_"

struct watched {
    struct world *w;
    struct inv_engine_watch *watch;
    struct inv_janitor *janitor;
    bool well;
    unsigned changes;
};

static void on_well(void *arg, bool well)
{
    struct watched *x = arg;

    x->well = well;
    x->changes++;
}

static struct watched begin(scripted_fn *script)
{
    struct watched x = {.w = begin_world(script), .well = true};

    return x;
}

static void start_watch(struct watched *x, int64_t patience_ms)
{
    x->janitor = inv_janitor_new(&(struct inv_janitor_conf){
        .loop = x->w->loop,
        .driver = &x->w->driver.base,
        .dispatch = x->w->dispatch,
        .metrics = x->w->metrics,
        .policy = {.prefix = PREFIX, .cluster = "", .memory_part = 1},
        .boot = "1",
        .interval_ms = 300000,
    });
    x->watch = inv_engine_watch_new(&(struct inv_engine_watch_conf){
        .loop = x->w->loop,
        .driver = &x->w->driver.base,
        .dispatch = x->w->dispatch,
        .metrics = x->w->metrics,
        .janitor = x->janitor,
        .prefix = PREFIX,
        .patience_ms = patience_ms,
        .on_well = on_well,
        .arg = x,
    });
    assert_non_null(x->watch);
    assert_string_equal(x->w->driver.last_prefix, PREFIX);
}

static void end(struct watched *x)
{
    inv_engine_watch_free(x->watch);
    inv_janitor_free(x->janitor);
    end_world(x->w);
}

static void run_one(struct watched *x, char id)
{
    submit(x->w, make_action(x->w, "hello", 60000, 256, 1), id);
    wait_ends(x->w, x->w->end_count + 1);
}

static void engine(struct watched *x, const struct cw_err *err)
{
    x->w->driver.events->on_engine(x->w->driver.events_arg, err);
}

static const struct cw_err AWAY = {.code = CW_TIMEOUT, .msg = "no answer"};

/* The run is read and never answered; the connection stays open. */
static void hangs_in_run(struct scripted_conn *conn, void *arg)
{
    struct world *w = arg;

    if (scripted_read_request(conn))
        scripted_answer(conn, 200, "{}");
    (void)scripted_read_request(conn);
    atomic_store(&w->go, true);
    scripted_hang(conn);
}

static bool has_run(void *arg)
{
    return atomic_load(&((struct world *)arg)->go);
}

static void idle_container_that_ends_is_removed_at_once(void **state)
{
    struct watched x = begin(well_behaved);

    (void)state;
    start_watch(&x, 5000);
    run_one(&x, 'a');
    assert_int_equal(inv_dispatch_containers(x.w->dispatch), 1);
    fake_driver_die(&x.w->driver, 1, 137);
    assert_true(cw_loop_run_until(x.w->loop, containers_gone, x.w, WAIT_MS));
    assert_int_equal(x.w->driver.removed, 1);
    run_one(&x, 'b');
    assert_int_equal(x.w->ends[1].status, CW_STATUS_SUCCESS);
    assert_int_equal(x.w->driver.created, 2);
    end(&x);
}

static void paused_container_that_ends_is_removed_without_a_thaw(void **state)
{
    struct watched x = begin(well_behaved);

    (void)state;
    inv_dispatch_free(x.w->dispatch);
    x.w->settings.pause_grace_ms = 1;
    make_dispatch(x.w);
    start_watch(&x, 5000);
    run_one(&x, 'a');
    while (x.w->driver.paused == 0 || !cw_list_first(&x.w->driver.calls) ||
           x.w->driver.calls.count > 1) /* the watch stays */
        (void)cw_loop_run_until(x.w->loop, containers_gone, x.w, 2);
    fake_driver_die(&x.w->driver, 1, 0);
    assert_true(cw_loop_run_until(x.w->loop, containers_gone, x.w, WAIT_MS));
    assert_int_equal(x.w->driver.resumed, 0);
    assert_int_equal(x.w->driver.removed, 1);
    end(&x);
}

static void run_in_a_container_that_ends_is_answered_though_its_connection_stays_open(void **state)
{
    struct watched x = begin(hangs_in_run);

    (void)state;
    start_watch(&x, 5000);
    submit(x.w, make_action(x.w, "hello", 300000, 256, 1), 'a');
    assert_true(cw_loop_run_until(x.w->loop, has_run, x.w, WAIT_MS));
    fake_driver_die(&x.w->driver, 1, 137);
    wait_ends(x.w, 1);
    assert_int_equal(x.w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    assert_false(x.w->ends[0].timeout);
    assert_non_null(strstr(x.w->ends[0].result, "exited unexpectedly"));
    assert_int_equal(x.w->driver.oom_checks, 1);
    assert_true(cw_loop_run_until(x.w->loop, containers_gone, x.w, WAIT_MS));
    end(&x);
}

static void container_that_ends_before_it_listens_is_not_waited_for(void **state)
{
    struct watched x = begin(well_behaved);
    struct scripted_action *peer = x.w->peer;

    (void)state;
    x.w->peer = scripted_action_new(well_behaved, x.w);
    scripted_action_free(peer); /* its port refuses, and the driver still tells it */
    start_watch(&x, 5000);
    submit(x.w, make_action(x.w, "hello", 300000, 256, 1), 'a');
    (void)cw_loop_run_until(x.w->loop, enough_ends, x.w, 0);
    x.w->wanted = 1;
    for (unsigned n = 1; n <= 2; n++) { /* another one is made, once */
        assert_false(cw_loop_run_until(x.w->loop, enough_ends, x.w, 500));
        fake_driver_die(&x.w->driver, n, 1);
    }
    wait_ends(x.w, 1);
    assert_int_equal(x.w->driver.created, 2);
    assert_int_equal(x.w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    assert_non_null(strstr(x.w->ends[0].result, "did not initialize"));
    end(&x);
}

static void unknown_containers_and_second_news_are_no_matter(void **state)
{
    struct watched x = begin(well_behaved);

    (void)state;
    start_watch(&x, 5000);
    fake_driver_die(&x.w->driver, 1, 137);
    run_one(&x, 'a');
    fake_driver_die(&x.w->driver, 2, 137);
    assert_int_equal(inv_dispatch_containers(x.w->dispatch), 1);
    fake_driver_die(&x.w->driver, 1, 137);
    fake_driver_die(&x.w->driver, 1, 137);
    assert_true(cw_loop_run_until(x.w->loop, containers_gone, x.w, WAIT_MS));
    assert_int_equal(x.w->driver.removed, 1);
    end(&x);
}

static bool was_removed(void *arg)
{
    return ((struct world *)arg)->driver.removed >= 1;
}

static void list_after_a_return_tells_who_ended_and_what_nobody_holds(void **state)
{
    static const struct cw_owned_container LEFT[] = {
        {.id = "f00", .name = PREFIX "77_guest_lost", .cluster = "", .running = true},
        {.id = "f01", .name = PREFIX "78_guest_other", .cluster = "blue", .running = true},
    };
    struct watched x = begin(well_behaved);

    (void)state;
    start_watch(&x, 5000);
    run_one(&x, 'a');
    x.w->driver.owned = LEFT;
    x.w->driver.owned_count = 2;
    engine(&x, NULL);
    assert_true(cw_loop_run_until(x.w->loop, containers_gone, x.w, WAIT_MS));
    assert_true(cw_loop_run_until(x.w->loop, was_removed, x.w, WAIT_MS));
    assert_non_null(strstr(x.w->driver.journal, "remove f00"));
    assert_null(strstr(x.w->driver.journal, "remove f01"));
    end(&x);
}

static bool list_is_over(void *arg)
{
    return ((struct world *)arg)->driver.calls.count == 1; /* the watch */
}

static void containers_that_run_are_left_alone_by_the_list(void **state)
{
    char id[65];
    struct cw_owned_container own = {.id = id, .cluster = "", .running = true};
    struct watched x = begin(well_behaved);

    (void)state;
    start_watch(&x, 5000);
    run_one(&x, 'a');
    (void)snprintf(id, sizeof(id), "%064u", 1U);
    own.name = x.w->driver.last_name;
    x.w->driver.owned = &own;
    x.w->driver.owned_count = 1;
    engine(&x, NULL);
    assert_true(cw_loop_run_until(x.w->loop, list_is_over, x.w, WAIT_MS));
    assert_int_equal(inv_dispatch_containers(x.w->dispatch), 1);
    assert_int_equal(x.w->driver.removed, 0);
    end(&x);
}

static bool has_changed(void *arg)
{
    return ((struct watched *)arg)->changes > 0;
}

static void engine_that_stays_away_makes_unwell_until_it_is_back(void **state)
{
    struct watched x = begin(well_behaved);

    (void)state;
    start_watch(&x, 20);
    engine(&x, NULL);
    engine(&x, &AWAY);
    assert_int_equal(x.changes, 0);
    assert_true(cw_loop_run_until(x.w->loop, has_changed, &x, WAIT_MS));
    assert_false(x.well);
    engine(&x, NULL);
    assert_true(x.well);
    assert_int_equal(x.changes, 2);
    end(&x);
}

static void short_absence_is_no_matter(void **state)
{
    struct watched x = begin(well_behaved);

    (void)state;
    start_watch(&x, 50);
    engine(&x, &AWAY);
    engine(&x, NULL);
    assert_false(cw_loop_run_until(x.w->loop, has_changed, &x, 100));
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_container_that_ends_is_removed_at_once),
        cmocka_unit_test(paused_container_that_ends_is_removed_without_a_thaw),
        cmocka_unit_test(run_in_a_container_that_ends_is_answered_though_its_connection_stays_open),
        cmocka_unit_test(container_that_ends_before_it_listens_is_not_waited_for),
        cmocka_unit_test(unknown_containers_and_second_news_are_no_matter),
        cmocka_unit_test(list_after_a_return_tells_who_ended_and_what_nobody_holds),
        cmocka_unit_test(containers_that_run_are_left_alone_by_the_list),
        cmocka_unit_test(engine_that_stays_away_makes_unwell_until_it_is_back),
        cmocka_unit_test(short_absence_is_no_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
