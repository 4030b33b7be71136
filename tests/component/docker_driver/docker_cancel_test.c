/* The queue of creates, and operations that nobody waits for any more. */
#include "tests/component/docker_driver/docker_world.h"

#include <stdio.h>

#include "tests/support/cmocka_all.h"

/* ---- queue ---- */
static void creates_over_the_limit_wait_their_turn(void **state)
{
    struct fixture *f = *state;
    struct result r[3] = {{.f = f}, {.f = f}, {.f = f}};

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    answer(f, "POST", CREATE_PATH, 500, "{\"message\":\"first\"}");
    answer_second(f);
    answer(f, "POST", V "/containers/create?name=wsk00_3_c", 500, "{\"message\":\"third\"}");
    start_create(&r[0], NAME, CW_PULL_NEVER);
    start_create(&r[1], "wsk00_2_b", CW_PULL_NEVER);
    start_create(&r[2], "wsk00_3_c", CW_PULL_NEVER);
    wait_for(&r[0]);
    assert_int_equal(r[1].calls + r[2].calls, 0);
    wait_for(&r[1]);
    assert_true(r[1].ok);
    assert_int_equal(r[2].calls, 0);
    wait_for(&r[2]);
    assert_string_equal(path_of(f, 1), CREATE_PATH);
    assert_string_equal(path_of(f, 4), V "/containers/" ID2 "/json");
    assert_string_equal(path_of(f, 5), V "/containers/create?name=wsk00_3_c");
}

static void first_creates_of_a_burst_go_ahead(void **state)
{
    struct fixture *f = *state;
    struct result r[8];
    char name[32];

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 7});
    scripted_http_expect(f->peer,
                         &(struct scripted_step){.path = V "/containers/create?name=wsk00_0_b",
                                                 .status = 500,
                                                 .body = "{}",
                                                 .delay_ms = 30});
    scripted_http_expect(f->peer, &(struct scripted_step){.path = V "/containers/create*",
                                                          .action = SCRIPTED_HANG,
                                                          .repeat = true});
    for (unsigned i = 0; i < CW_ARRAY_LEN(r); i++) {
        r[i] = (struct result){.f = f};
        (void)snprintf(name, sizeof(name), "wsk00_%u_b", i);
        start_create(&r[i], name, CW_PULL_NEVER);
    }
    wait_for(&r[0]);
    assert_int_equal(scripted_http_count(f->peer), 1 + 4);
    wait_for_requests(f, 1 + 8); /* seven at once from now on */
    for (unsigned i = 1; i < CW_ARRAY_LEN(r); i++)
        assert_int_equal(r[i].calls, 0);
}

static void cancelled_creates_in_the_queue_are_never_sent(void **state)
{
    struct fixture *f = *state;
    struct result r[3] = {{.f = f}, {.f = f}, {.f = f}};

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    answer_create(f);
    answer_second(f);
    start_create(&r[0], NAME, CW_PULL_NEVER);
    start_create(&r[1], "wsk00_9_never", CW_PULL_NEVER);
    start_create(&r[2], "wsk00_2_b", CW_PULL_NEVER);
    cancel(&r[1]);
    wait_for(&r[0]);
    wait_for(&r[2]);
    assert_true(r[0].ok && r[2].ok);
    assert_int_equal(r[1].calls, 0);
}

static void creates_in_the_queue_end_with_one_that_does_not_reach_the_engine(void **state)
{
    struct fixture *f = *state;
    struct result r[3] = {{.f = f}, {.f = f}, {.f = f}};

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    act(f, "POST", CREATE_PATH, SCRIPTED_RESET);
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    start_create(&r[0], NAME, CW_PULL_NEVER);
    start_create(&r[1], "wsk00_9_never", CW_PULL_NEVER);
    start_create(&r[2], "wsk00_9_never", CW_PULL_NEVER);
    wait_for(&r[0]);
    cancel(&r[1]); /* in between */
    wait_for(&r[2]);
    assert_failed(&r[0], CW_CREATE_AWAY, CW_UNAVAILABLE, "create " NAME);
    assert_failed(&r[2], CW_CREATE_AWAY, CW_UNAVAILABLE, "create " NAME);
    assert_int_equal(r[1].calls, 0);
    wait_for_idle(f);
}

static void pulling_takes_no_place_in_the_queue(void **state)
{
    struct fixture *f = *state;
    struct result slow = {.f = f}, quick = {.f = f};

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    act(f, "POST", PULL_PATH, SCRIPTED_HANG);
    answer_second(f);
    start_create(&slow, NAME, CW_PULL_ALWAYS);
    start_create(&quick, "wsk00_2_b", CW_PULL_NEVER);
    wait_for(&quick);
    assert_true(quick.ok);
    assert_int_equal(slow.calls, 0);
}

/* ---- cancel ---- */
static void create_cancelled_in_flight_is_removed_by_the_id_that_comes(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f}, next = {.f = f};

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    scripted_http_expect(f->peer,
                         &(struct scripted_step){
                             .path = CREATE_PATH, .status = 201, .body = CREATED, .delay_ms = 20});
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    answer_second(f);
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 2);
    cancel(&r);
    assert_int_equal(f->driver->ops->busy(f->driver), 1);
    start_create(&next, "wsk00_2_b", CW_PULL_NEVER); /* the slot is freed when it is over */
    wait_for(&next);
    assert_true(next.ok);
    wait_for_idle(f);
    assert_int_equal(r.calls, 0);
}

static void create_cancelled_in_flight_that_fails_leaves_nothing_to_remove(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, NULL);
    scripted_http_expect(f->peer,
                         &(struct scripted_step){
                             .path = CREATE_PATH, .status = 409, .body = CONFLICT, .delay_ms = 20});
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 2);
    cancel(&r);
    wait_for_idle(f);
    assert_int_equal(r.calls, 0);
    assert_int_equal(scripted_http_count(f->peer), 2);
}

static void create_cancelled_before_its_request_left_is_still_removed(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    start_create(&r, NAME, CW_PULL_NEVER);
    cancel(&r);
    wait_for_idle(f);
    assert_int_equal(r.calls, 0);
}

static void create_cancelled_while_starting_or_inspecting_is_removed(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    scripted_http_expect(
        f->peer, &(struct scripted_step){.path = START_PATH, .status = 204, .delay_ms = 20});
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 3);
    cancel(&r);
    wait_for_idle(f);

    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    act(f, "GET", INSPECT_PATH, SCRIPTED_HANG);
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 7);
    cancel(&r);
    wait_for_idle(f);
    assert_int_equal(r.calls, 0);
}

static void create_cancelled_while_replacing_a_name_makes_nothing(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    scripted_http_expect(
        f->peer, &(struct scripted_step){.path = REMOVE_NAME_PATH, .status = 204, .delay_ms = 20});
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 3);
    cancel(&r);
    wait_for_idle(f);
    assert_int_equal(scripted_http_count(f->peer), 3);
    assert_int_equal(r.calls, 0);
}

static void cancelled_operations_never_call_back(void **state)
{
    struct fixture *f = *state;
    struct result r[5] = {{.f = f}, {.f = f}, {.f = f}, {.f = f}, {.f = f}};
    const struct cw_driver_ops *ops;

    ready_driver(f, NULL);
    scripted_http_expect(f->peer, &(struct scripted_step){.action = SCRIPTED_HANG, .repeat = true});
    ops = f->driver->ops;
    r[0].call = ops->pause(f->driver, ID, done_fn, &r[0]);
    r[1].call = ops->remove(f->driver, ID, done_fn, &r[1]);
    r[2].call = ops->list(f->driver, "wsk00_", listed_fn, &r[2]);
    r[3].call = ops->was_oom_killed(f->driver, ID, oom_fn, &r[3]);
    r[4].call = ops->resume(f->driver, "not/an/id", done_fn, &r[4]);
    for (size_t i = 0; i < CW_ARRAY_LEN(r); i++)
        cancel(&r[i]);
    spin(f);
    for (size_t i = 0; i < CW_ARRAY_LEN(r); i++)
        assert_int_equal(r[i].calls, 0);
    assert_true(idle(f));
}

static void driver_can_be_freed_with_everything_in_flight(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};
    const struct cw_driver_ops *ops;

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 500, "{}");
    scripted_http_expect(f->peer, &(struct scripted_step){.action = SCRIPTED_HANG, .repeat = true});
    (void)create(f, CW_PULL_NEVER); /* its removal hangs */
    ops = f->driver->ops;
    ops->pause(f->driver, ID, done_fn, &r);
    ops->was_oom_killed(f->driver, ID, oom_fn, &r);
    start_create(&r, NAME, CW_PULL_NEVER);
    start_create(&r, "wsk00_2_b", CW_PULL_NEVER); /* in the queue */
    start_create(&r, "wsk00_3_c", CW_PULL_ALWAYS);
    start_create(&r, "not/a/name", CW_PULL_ALWAYS);
    wait_for_requests(f, 5);
    cw_driver_free(CW_STEAL(f->driver));
    spin(f);
}

static void callback_may_free_the_driver(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f, .free_driver = true}, queued = {.f = f};

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    answer_create(f);
    start_create(&r, NAME, CW_PULL_NEVER);
    start_create(&queued, "wsk00_2_b", CW_PULL_NEVER);
    wait_for(&r);
    assert_true(r.ok);
    spin(f);
    assert_int_equal(queued.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(creates_over_the_limit_wait_their_turn),
        DOCKER_CASE(first_creates_of_a_burst_go_ahead),
        DOCKER_CASE(cancelled_creates_in_the_queue_are_never_sent),
        DOCKER_CASE(creates_in_the_queue_end_with_one_that_does_not_reach_the_engine),
        DOCKER_CASE(pulling_takes_no_place_in_the_queue),
        DOCKER_CASE(create_cancelled_in_flight_is_removed_by_the_id_that_comes),
        DOCKER_CASE(create_cancelled_in_flight_that_fails_leaves_nothing_to_remove),
        DOCKER_CASE(create_cancelled_before_its_request_left_is_still_removed),
        DOCKER_CASE(create_cancelled_while_starting_or_inspecting_is_removed),
        DOCKER_CASE(create_cancelled_while_replacing_a_name_makes_nothing),
        DOCKER_CASE(cancelled_operations_never_call_back),
        DOCKER_CASE(driver_can_be_freed_with_everything_in_flight),
        DOCKER_CASE(callback_may_free_the_driver),
    };

    return cmocka_run_group_tests_name("docker_cancel", tests, NULL, NULL);
}
