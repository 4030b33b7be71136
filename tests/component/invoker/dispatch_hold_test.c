/* What waits while the engine is away, in what order, and for how long; and calls that cannot be
 * sent. */
#include "tests/support/cmocka_all.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/loop/loop.h"
#include "invoker/dispatch.h"
#include "tests/component/invoker/dispatch_world.h"

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void turn_for(struct world *w, int64_t ms)
{
    (void)cw_loop_run_until(w->loop, never, w, ms);
}

static void use_wait(struct world *w, int64_t engine_wait_ms)
{
    inv_dispatch_free(w->dispatch);
    w->settings.engine_wait_ms = engine_wait_ms;
    make_dispatch(w);
}

static struct cw_action *small(struct world *w, const char *name)
{
    return make_action(w, name, 5000, 256, 1);
}

static void assert_succeeded(const struct world *w, unsigned first, const char *ids)
{
    for (unsigned i = 0; ids[i]; i++) {
        assert_int_equal(w->ends[first + i].id[0], ids[i]);
        assert_int_equal(w->ends[first + i].status, CW_STATUS_SUCCESS);
    }
}

static void what_needs_a_container_waits_in_order_until_the_engine_is_back(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    inv_dispatch_engine(w->dispatch, true);
    submit(w, make_action(w, "one", 5000, 1024, 1), 'a'); /* each takes all the memory */
    submit(w, make_action(w, "two", 5000, 1024, 1), 'b');
    submit(w, make_action(w, "three", 5000, 1024, 1), 'c');
    turn_for(w, 30);
    assert_int_equal(w->driver.created, 0);
    assert_int_equal(waiting(w), 3);
    inv_dispatch_engine(w->dispatch, false);
    wait_ends(w, 3);
    assert_succeeded(w, 0, "abc");
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 3);
    end_world(w);
}

static void warm_containers_are_used_meanwhile_past_those_that_wait(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    submit(w, small(w, "warm"), 'a');
    wait_ends(w, 1);
    inv_dispatch_engine(w->dispatch, true);
    submit(w, small(w, "cold"), 'b');
    submit(w, small(w, "warm"), 'c');
    submit(w, small(w, "warm"), 'd'); /* after c: its container is one at a time */
    wait_ends(w, 3);
    assert_succeeded(w, 1, "cd");
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(waiting(w), 1);
    inv_dispatch_engine(w->dispatch, false);
    wait_ends(w, 4);
    assert_succeeded(w, 3, "b");
    end_world(w);
}

static void wait_for_the_engine_ends_with_one_error(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    use_wait(w, 50);
    inv_dispatch_engine(w->dispatch, true);
    submit(w, small(w, "one"), 'a');
    submit(w, small(w, "two"), 'b');
    wait_ends(w, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(w->ends[i].id[0], "ab"[i]);
        assert_int_equal(w->ends[i].how, INV_END_FAILED_START);
        assert_int_equal(w->ends[i].status, CW_STATUS_WHISK_ERROR);
        assert_string_equal(w->ends[i].result,
                            "{\"error\":\"Failed to provision resources to run the action: the "
                            "container engine was out of reach for 0 s.\"}");
    }
    assert_int_equal(w->driver.created, 0);
    assert_int_equal(waiting(w), 0);
    inv_dispatch_engine(w->dispatch, false);
    submit(w, small(w, "one"), 'c');
    wait_ends(w, 3);
    assert_succeeded(w, 2, "c");
    end_world(w);
}

static void creates_that_the_engine_did_not_get_are_repeated_in_order_when_it_is_back(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    w->driver.fail_create = w->driver.hold_creates = true;
    w->driver.failure = CW_CREATE_AWAY;
    submit(w, make_action(w, "one", 5000, 512, 1), 'a');
    submit(w, make_action(w, "two", 5000, 512, 1), 'b');
    inv_dispatch_engine(w->dispatch, true);
    fake_driver_release(&w->driver);
    turn_for(w, 30);
    assert_int_equal(w->driver.created, 2);
    assert_int_equal(waiting(w), 2);
    assert_int_equal(w->end_count, 0);
    w->driver.fail_create = w->driver.hold_creates = false;
    submit(w, make_action(w, "three", 5000, 1024, 1), 'c');
    inv_dispatch_engine(w->dispatch, false);
    wait_ends(w, 3);
    assert_int_equal(w->driver.created, 5);
    assert_succeeded(w, 2, "c"); /* it needed the room of both */
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 3);
    end_world(w);
}

static void nothing_is_created_before_there_is_room_however_long_that_takes(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    use_wait(w, 0); /* this is no wait for the engine */
    inv_dispatch_hold(w->dispatch, true);
    submit(w, small(w, "one"), 'a');
    submit(w, small(w, "two"), 'b');
    inv_dispatch_engine(w->dispatch, false); /* says nothing of that */
    turn_for(w, 30);
    assert_int_equal(w->driver.created, 0);
    assert_int_equal(waiting(w), 2);
    inv_dispatch_hold(w->dispatch, false);
    wait_ends(w, 2);
    assert_int_equal(w->ends[0].status + w->ends[1].status, CW_STATUS_SUCCESS);
    end_world(w);
}

static void as_many_are_created_as_a_predecessors_have_gone(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    inv_dispatch_hold(w->dispatch, true);
    for (char id = 'a'; id <= 'c'; id++)
        submit(w, small(w, (char[]){id, '\0'}), id);
    inv_dispatch_room_for_one(w->dispatch);
    wait_ends(w, 1);
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(waiting(w), 2);
    assert_succeeded(w, 0, "a");
    inv_dispatch_hold(w->dispatch, false);
    wait_ends(w, 3);
    end_world(w);
}

/* Nobody tells that the engine is away, nor that it is back. */
static void failed_create_holds_the_next_ones_back_for_a_moment(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    w->driver.fail_create = true;
    w->driver.failure = CW_CREATE_AWAY;
    submit(w, small(w, "one"), 'a');
    turn_for(w, 30);
    submit(w, small(w, "two"), 'b');
    turn_for(w, 30);
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(waiting(w), 2);
    w->driver.fail_create = false;
    wait_ends(w, 2);
    assert_int_equal(w->driver.created, 3);
    end_world(w);
}

static void nothing_waits_when_the_limit_is_none(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    use_wait(w, 0);
    w->driver.fail_create = true;
    w->driver.failure = CW_CREATE_AWAY;
    submit(w, small(w, "one"), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_WHISK_ERROR);
    assert_string_equal(w->ends[0].result,
                        "{\"error\":\"Failed to provision resources to run the action.\"}");
    end_world(w);
}

static void create_that_fails_for_a_reason_of_its_own_fails_at_once_meanwhile(void **state)
{
    struct world *w = begin_world(well_behaved);

    (void)state;
    w->driver.fail_create = w->driver.hold_creates = true;
    w->driver.failure = CW_CREATE_PULL;
    submit(w, small(w, "one"), 'a');
    inv_dispatch_engine(w->dispatch, true);
    fake_driver_release(&w->driver);
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    end_world(w);
}

/* Reads /init on the first connection and hangs up; the rest is as it should be. */
static void ends_in_its_first_init(struct scripted_conn *conn, void *arg)
{
    struct world *w = arg;

    if (scripted_index(conn) == 0) {
        (void)scripted_read_request(conn);
        atomic_store(&w->go, true);
        return;
    }
    well_behaved(conn, arg);
}

static bool has_begun(void *arg)
{
    return atomic_load(&((struct world *)arg)->go);
}

static void initialisation_that_ended_with_the_engine_is_repeated_elsewhere(void **state)
{
    struct world *w = begin_world(ends_in_its_first_init);

    (void)state;
    submit(w, make_action(w, "hello", 5000, 256, 2), 'a');
    submit(w, make_action(w, "hello", 5000, 256, 2), 'b'); /* waits for the same container */
    assert_true(cw_loop_run_until(w->loop, has_begun, w, WAIT_MS));
    inv_dispatch_engine(w->dispatch, true);
    turn_for(w, 50);
    assert_int_equal(w->end_count, 0);
    inv_dispatch_engine(w->dispatch, false);
    wait_ends(w, 2);
    assert_succeeded(w, 0, "ab");
    assert_int_equal(w->driver.created, 2);
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 2);
    end_world(w);
}

static void initialisation_that_ended_by_itself_fails(void **state)
{
    struct world *w = begin_world(ends_in_its_first_init);

    (void)state;
    inv_dispatch_engine(w->dispatch, true); /* and that is over */
    inv_dispatch_engine(w->dispatch, false);
    turn_for(w, 5);
    submit(w, small(w, "hello"), 'a');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    end_world(w);
}

static void call_that_finds_no_descriptor_is_sent_when_there_is_one(void **state)
{
    struct world *w = begin_world(well_behaved);
    struct rlimit before, none;
    int lowest;

    (void)state;
    turn_for(w, 5);
    lowest = open("/", O_PATH | O_CLOEXEC);
    assert_true(lowest >= 0);
    assert_int_equal(close(lowest), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){(rlim_t)lowest, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    submit(w, small(w, "hello"), 'a');
    turn_for(w, 250); /* several tries */
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(w->end_count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    wait_ends(w, 1);
    assert_succeeded(w, 0, "a");
    assert_int_equal(scripted_action_posts(w->peer, "/init"), 1);
    assert_int_equal(scripted_action_posts(w->peer, "/run"), 1);
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_a_container_waits_in_order_until_the_engine_is_back),
        cmocka_unit_test(warm_containers_are_used_meanwhile_past_those_that_wait),
        cmocka_unit_test(wait_for_the_engine_ends_with_one_error),
        cmocka_unit_test(creates_that_the_engine_did_not_get_are_repeated_in_order_when_it_is_back),
        cmocka_unit_test(nothing_is_created_before_there_is_room_however_long_that_takes),
        cmocka_unit_test(as_many_are_created_as_a_predecessors_have_gone),
        cmocka_unit_test(failed_create_holds_the_next_ones_back_for_a_moment),
        cmocka_unit_test(nothing_waits_when_the_limit_is_none),
        cmocka_unit_test(create_that_fails_for_a_reason_of_its_own_fails_at_once_meanwhile),
        cmocka_unit_test(initialisation_that_ended_with_the_engine_is_repeated_elsewhere),
        cmocka_unit_test(initialisation_that_ended_by_itself_fails),
        cmocka_unit_test(call_that_finds_no_descriptor_is_sent_when_there_is_one),
    };

    return cmocka_run_group_tests_name("dispatch_hold", tests, NULL, NULL);
}
