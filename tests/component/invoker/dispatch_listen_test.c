/* New containers that take no connection: who is replaced, who is waited for, and for how long. */
#include <limits.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "tests/component/invoker/dispatch_world.h"
#include "tests/support/cgroup_tree.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/scratch.h"
#include "tests/support/turns.h"

#define FIRST_ID "0000000000000000000000000000000000000000000000000000000000000001"

enum { LIMIT_MS = 400, LONG_MS = 60000, BEAT_MS = 5, BEATS_BEYOND_LIMIT = 4 * LIMIT_MS / BEAT_MS };

/* A world in which the first containers refuse connections, for ever or until somebody listens. */
struct deaf {
    struct world *w;
    struct scripted_action *closed;
    struct cw_timer beat;
    unsigned deaf_ones; /* so many; then the world's peer */
    unsigned beats;
    bool works;         /* they use CPU */
    unsigned listen_at; /* beat; 0: never */
    char root[SCRATCH_MAX];
    struct inv_monitor *monitor;
};

static void use_cpu(struct deaf *d, unsigned container)
{
    char group[80], text[32];

    (void)snprintf(group, sizeof(group), "docker/%064u", container);
    (void)snprintf(text, sizeof(text), "%u000000\n", 10 * (d->works ? d->beats : 1));
    cgroup_tree_put(d->root, "cpuacct", group, "cpuacct.usage", text);
}

static void on_beat(void *arg)
{
    struct deaf *d = arg;

    d->beats++;
    if (d->monitor && d->works && d->w->driver.created)
        use_cpu(d, d->w->driver.created);
    if (d->w->driver.created >= d->deaf_ones)
        d->w->driver.port = scripted_action_port(d->w->peer); /* of the next one */
    if (d->beats == d->listen_at)
        scripted_action_listen(d->closed);
    cw_timer_set_ms(&d->beat, BEAT_MS);
}

static void begin(struct deaf *d, unsigned deaf_ones)
{
    *d = (struct deaf){.w = begin_world(well_behaved), .deaf_ones = deaf_ones};
    d->closed = scripted_action_new_closed(well_behaved, d->w);
    d->w->driver.port = scripted_action_port(d->closed);
    d->w->settings.listen_ms = 20;
    cw_timer_init(&d->beat, d->w->loop, on_beat, d);
    cw_timer_set_ms(&d->beat, 0);
}

/* What containers use is seen from now on. */
static void watch_usage(struct deaf *d)
{
    char group[80];

    scratch_make(d->root);
    for (unsigned i = 1; i <= 3; i++) {
        (void)snprintf(group, sizeof(group), "docker/%064u", i);
        cgroup_tree_v1(d->root, group);
        use_cpu(d, i);
    }
    d->monitor = inv_monitor_new(&(struct inv_monitor_conf){.loop = d->w->loop,
                                                            .metrics = d->w->metrics,
                                                            .cgroup_root = d->root,
                                                            .proc = "/proc",
                                                            .interval_ms = 3600000});
    inv_dispatch_free(d->w->dispatch);
    d->w->monitor = d->monitor;
    make_dispatch(d->w);
}

static void end(struct deaf *d)
{
    struct inv_monitor *monitor = d->monitor;

    cw_timer_done(&d->beat);
    if (monitor) { /* which containers and loop need to their end */
        inv_dispatch_drain(d->w->dispatch, true);
        assert_true(cw_loop_run_until(d->w->loop, containers_gone, d->w, WAIT_MS));
        inv_dispatch_free(d->w->dispatch);
        inv_monitor_free(monitor);
        d->w->monitor = NULL;
        make_dispatch(d->w);
        scratch_remove(d->root);
    }
    scripted_action_free(d->closed);
    end_world(d->w);
}

static uint64_t unheard(struct deaf *d, const char *reason)
{
    char label[40];

    (void)snprintf(label, sizeof(label), "reason=\"%s\"", reason);
    return cw_counter_value(
        cw_metrics_counter(d->w->metrics, "cwhisk_containers_unheard_total", label, NULL));
}

static struct cw_action *own_image(struct world *w, unsigned timeout_ms)
{
    struct cw_action *a = make_action(w, "own", timeout_ms, 256, 1);

    a->image = cw_arena_dup(&a->arena, CW_SLICE("somebody/image:1"));
    return a;
}

static void expect_init_timeout(const struct end_seen *e, unsigned ms)
{
    char text[160];

    (void)snprintf(text, sizeof(text),
                   "{\"error\":\"The action exceeded its time limits of %u milliseconds during "
                   "initialization.\"}",
                   ms);
    assert_string_equal(e->result, text);
    assert_true(e->timeout);
    assert_int_equal(e->status, CW_STATUS_DEVELOPER_ERROR);
}

static void container_that_never_listens_is_replaced(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, 1);
    submit(d.w, make_action(d.w, "hello", LONG_MS, 256, 1), 'a');
    wait_ends(d.w, 1);
    assert_string_equal(d.w->ends[0].result, "{\"ok\":true}");
    assert_int_equal(d.w->driver.created, 2);
    assert_int_equal(unheard(&d, "silent"), 1);
    end(&d);
}

static void those_that_wait_for_it_go_along(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, 1);
    for (char id = 'a'; id <= 'c'; id++)
        submit(d.w, make_action(d.w, "hello", LONG_MS, 256, 3), id);
    wait_ends(d.w, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(d.w->ends[i].result, "{\"ok\":true}");
    assert_int_equal(d.w->driver.created, 2);
    end(&d);
}

static void image_that_never_listens_ends_with_the_time_limit(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, UINT_MAX);
    submit(d.w, make_action(d.w, "hello", LIMIT_MS, 256, 1), 'a');
    wait_ends(d.w, 1);
    expect_init_timeout(&d.w->ends[0], LIMIT_MS);
    assert_int_equal(d.w->driver.created, 3);
    end(&d);
}

static void a_users_image_is_replaced_once(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, UINT_MAX);
    submit(d.w, own_image(d.w, LIMIT_MS), 'a');
    wait_ends(d.w, 1);
    expect_init_timeout(&d.w->ends[0], LIMIT_MS);
    assert_int_equal(d.w->driver.created, 2);
    end(&d);
}

static void nobody_is_replaced_without_a_listen_timeout(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, 1);
    d.w->settings.listen_ms = 0;
    submit(d.w, make_action(d.w, "hello", LIMIT_MS, 256, 1), 'a');
    wait_ends(d.w, 1);
    expect_init_timeout(&d.w->ends[0], LIMIT_MS);
    assert_int_equal(d.w->driver.created, 1);
    end(&d);
}

static bool is_created(void *arg)
{
    return ((struct world *)arg)->driver.created == 1;
}

static void kill_first(struct deaf *d, struct cw_action *action)
{
    d->w->settings.listen_ms = LONG_MS;
    submit(d->w, action, 'a');
    assert_true(cw_loop_run_until(d->w->loop, is_created, d->w, WAIT_MS));
    run_turns(d->w->loop); /* it is known by its id */
    inv_dispatch_died(d->w->dispatch, FIRST_ID, 137);
    wait_ends(d->w, 1);
}

static void container_that_ends_before_it_listens_is_replaced_at_once(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, 1);
    kill_first(&d, make_action(d.w, "hello", LONG_MS, 256, 1));
    assert_string_equal(d.w->ends[0].result, "{\"ok\":true}");
    assert_int_equal(d.w->driver.created, 2);
    assert_int_equal(unheard(&d, "ended"), 1);
    end(&d);
}

static void a_users_image_that_ends_before_it_listens_is_an_error(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, 1);
    kill_first(&d, own_image(d.w, LONG_MS));
    assert_int_equal(d.w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    assert_false(d.w->ends[0].timeout);
    assert_int_equal(d.w->driver.created, 1);
    end(&d);
}

static void container_that_works_is_waited_for_beyond_the_time_limit(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, UINT_MAX);
    watch_usage(&d);
    d.w->settings.listen_ms =
        LONG_MS; /* a quarter of the limit counts, which a beat is far below */
    d.works = true;
    d.listen_at = BEATS_BEYOND_LIMIT;
    submit(d.w, make_action(d.w, "hello", LIMIT_MS, 256, 1), 'a');
    wait_ends(d.w, 1);
    assert_string_equal(d.w->ends[0].result, "{\"ok\":true}");
    assert_int_equal(d.w->driver.created, 1);
    assert_int_equal(unheard(&d, "late"), 1);
    assert_true(d.w->ends[0].init_ms < LIMIT_MS); /* the rest was waiting */
    end(&d);
}

static void container_that_does_nothing_is_told_by_what_it_uses(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, 1);
    watch_usage(&d);
    d.w->settings.listen_patience_ms = LONG_MS;
    submit(d.w, make_action(d.w, "hello", LIMIT_MS, 256, 1), 'a');
    wait_ends(d.w, 1);
    assert_string_equal(d.w->ends[0].result, "{\"ok\":true}");
    assert_int_equal(d.w->driver.created, 2);
    end(&d);
}

static void there_is_no_patience_with_a_users_image(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, UINT_MAX);
    watch_usage(&d);
    d.works = true;
    d.listen_at = BEATS_BEYOND_LIMIT;
    submit(d.w, own_image(d.w, LIMIT_MS), 'a');
    wait_ends(d.w, 1);
    expect_init_timeout(&d.w->ends[0], LIMIT_MS);
    end(&d);
}

static void patience_ends_with_a_container_that_stops_working(void **state)
{
    struct deaf d;

    (void)state;
    begin(&d, UINT_MAX);
    watch_usage(&d);
    submit(d.w, make_action(d.w, "hello", LIMIT_MS, 256, 1), 'a'); /* patience: a minute */
    wait_ends(d.w, 1);
    expect_init_timeout(&d.w->ends[0], LIMIT_MS);
    assert_int_equal(d.w->driver.created, 3);
    end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(container_that_never_listens_is_replaced),
        cmocka_unit_test(those_that_wait_for_it_go_along),
        cmocka_unit_test(image_that_never_listens_ends_with_the_time_limit),
        cmocka_unit_test(a_users_image_is_replaced_once),
        cmocka_unit_test(nobody_is_replaced_without_a_listen_timeout),
        cmocka_unit_test(container_that_ends_before_it_listens_is_replaced_at_once),
        cmocka_unit_test(a_users_image_that_ends_before_it_listens_is_an_error),
        cmocka_unit_test(container_that_works_is_waited_for_beyond_the_time_limit),
        cmocka_unit_test(container_that_does_nothing_is_told_by_what_it_uses),
        cmocka_unit_test(there_is_no_patience_with_a_users_image),
        cmocka_unit_test(patience_ends_with_a_container_that_stops_working),
    };

    return cmocka_run_group_tests_name("dispatch_listen", tests, NULL, NULL);
}
