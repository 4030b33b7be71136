/* Creating containers: what is asked, what can fail, and what is left then. */
#include "tests/component/docker_driver/docker_world.h"

#include "tests/support/cmocka_all.h"

static void create_makes_starts_and_finds_the_container(void **state)
{
    struct fixture *f = *state;
    const struct scripted_request *req;
    char type[64];
    struct result r;

    ready_driver(f, NULL);
    answer_create(f);
    r = create(f, CW_PULL_NEVER);
    assert_true(r.ok);
    assert_string_equal(r.made.id, ID);
    assert_string_equal(r.made.address, "10.1.2.3");
    assert_int_equal(r.made.port, 8080);
    assert_string_equal(r.made.log_path, "/var/lib/docker/c.log");
    req = scripted_http_request(f->peer, 1);
    assert_string_equal(scripted_http_header(req, "Content-Type", type, sizeof(type)),
                        "application/json");
    assert_non_null(strstr(req->body, "\"Image\":\"img\""));
    assert_non_null(strstr(req->body, "\"Memory\":268435456"));
    assert_string_equal(scripted_http_header(scripted_http_request(f->peer, 2), "Content-Length",
                                             type, sizeof(type)),
                        "0");
    assert_true(idle(f));
    assert_int_equal(counter(f, "counter_invoker_docker_run_start_total"), 1);
    assert_int_equal(counter(f, "counter_invoker_docker_run_error_total"), 0);
    assert_int_equal(observed(f, "histogram_invoker_docker_run_finish_seconds"), 1);
    assert_int_equal(observed(f, "histogram_invoker_docker_inspect_finish_seconds"), 1);
}

static void requests_that_change_something_use_fresh_connections(void **state)
{
    struct fixture *f = *state;
    unsigned post_create, post_start;

    ready_driver(f, NULL);
    answer_create(f);
    assert_true(create(f, CW_PULL_NEVER).ok);
    post_create = scripted_http_request(f->peer, 1)->connection;
    post_start = scripted_http_request(f->peer, 2)->connection;
    assert_int_not_equal(post_create, scripted_http_request(f->peer, 0)->connection);
    assert_int_not_equal(post_start, post_create);
    assert_int_not_equal(post_start, scripted_http_request(f->peer, 3)->connection);
}

static void create_with_a_spec_that_cannot_work_fails_without_a_request(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    use_driver(f, NULL);
    start_create(&r, "not/a/name", CW_PULL_ALWAYS);
    wait_for(&r);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INVALID, "not/a/name");
    assert_int_equal(scripted_http_count(f->peer), 0);
    r.calls = 0;
    start_create(&r, "not/a/name", CW_PULL_ALWAYS);
    cancel(&r);
    spin(f);
    assert_int_equal(r.calls, 0);
}

static void missing_managed_image_is_pulled_as_docker_run_does(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 404, NO_IMAGE);
    answer(f, "POST", PULL_PATH, 200, "{\"status\":\"Done\"}\r\n");
    answer_create(f);
    assert_true(create(f, CW_PULL_NEVER).ok);
    assert_true(idle(f));
    assert_int_equal(counter(f, "counter_invoker_docker_pull_start_total"), 1);
}

static void missing_managed_image_that_cannot_be_had_is_a_platform_failure(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 404, NO_IMAGE);
    answer(f, "POST", PULL_PATH, 404, "{\"message\":\"manifest unknown\"}");
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_NOT_FOUND, "pull img: 404: manifest unknown");
    assert_true(idle(f)); /* nothing was made, so nothing is removed */
    assert_int_equal(counter(f, "counter_invoker_docker_run_error_total"), 1);
    assert_int_equal(observed(f, "histogram_invoker_docker_run_error_seconds"), 1);
}

static void image_that_is_missing_after_its_pull_fails_the_create(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 404, NO_IMAGE);
    answer(f, "POST", PULL_PATH, 200, "{\"status\":\"Done\"}\r\n");
    answer(f, "POST", CREATE_PATH, 404, NO_IMAGE);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_NOT_FOUND, "404: No such image: img:latest");
}

static void missing_network_is_no_missing_image(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 404, "{\"message\":\"network actions not found\"}");
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_NOT_FOUND, "network actions not found");
    assert_int_equal(counter(f, "counter_invoker_docker_pull_start_total"), 0);
}

static void pull_of_a_missing_image_takes_no_place_in_the_queue(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f}, b = {.f = f};

    ready_driver(f, &(struct cw_docker_conf){.parallel_creates = 1});
    answer(f, "POST", CREATE_PATH, 404, NO_IMAGE);
    act(f, "POST", PULL_PATH, SCRIPTED_HANG);
    answer(f, "POST", V "/containers/create?name=b", 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    answer(f, "GET", INSPECT_PATH, 200, RUNNING);
    start_create(&a, NAME, CW_PULL_NEVER);
    start_create(&b, "b", CW_PULL_NEVER);
    wait_for(&b);
    assert_true(b.ok);
    assert_int_equal(a.calls, 0);
    cancel(&a);
    wait_for_idle(f);
}

static void missing_executable_is_a_developer_failure_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 400,
           "{\"message\":\"OCI runtime create failed: exec: \\\"x\\\": executable file not found "
           "in $PATH: unknown\"}");
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_EXECUTABLE, CW_INVALID, "executable file not found");
    wait_for_idle(f);
    assert_int_equal(observed(f, "histogram_invoker_docker_rm_finish_seconds"), 1);
}

static void container_that_ended_with_127_is_a_developer_failure(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    answer(f, "GET", INSPECT_PATH, 200, ENDED("127", "false"));
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_EXECUTABLE, CW_INTERNAL, "exited with status 127");
    wait_for_idle(f);
}

static void container_that_ended_otherwise_is_a_platform_failure(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    answer(f, "GET", INSPECT_PATH, 200, ENDED("1", "false"));
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INTERNAL, "exited with status 1");
    wait_for_idle(f);
}

static void container_without_address_is_removed(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    answer(f, "GET", INSPECT_PATH, 200, "{\"State\":{\"Running\":true}}");
    answer(f, "DELETE", REMOVE_PATH, 404, "{\"message\":\"No such container\"}");
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INTERNAL, "no address on network bridge");
    wait_for_idle(f);
}

static void removal_of_what_failed_half_way_is_tried_until_it_works(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 500, "{\"message\":\"no space left on device\"}");
    answer(f, "DELETE", REMOVE_PATH, 500, "{\"message\":\"device busy\"}");
    answer(f, "DELETE", REMOVE_PATH, 200, "<html>");
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INTERNAL, "500: no space left on device");
    assert_true(r.err.retriable);
    assert_false(idle(f));
    wait_for_idle(f);
    spin(f);
    assert_int_equal(counter(f, "counter_invoker_docker_rm_error_total"), 2);
}

static void removals_that_wait_are_tried_at_once_when_the_end_is_near(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    f->driver->ops->hurry(f->driver); /* nothing waits */
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 500, "{\"message\":\"no space left on device\"}");
    for (int i = 0; i < 3; i++) /* the next one would come 4 s later */
        answer(f, "DELETE", REMOVE_PATH, 500, "{\"message\":\"device busy\"}");
    r = create(f, CW_PULL_NEVER);
    assert_false(r.ok);
    wait_for_requests(f, 6);
    while (counter(f, "counter_invoker_docker_rm_error_total") < 3)
        spin(f);
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    f->driver->ops->hurry(f->driver);
    (void)cw_loop_run_until(f->loop, idle, f, 2000);
    assert_true(idle(f));
    assert_int_equal(scripted_http_unused(f->peer), 0);
}

static void create_without_answer_is_removed_by_name_even_if_it_appears_late(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    act(f, "POST", CREATE_PATH, SCRIPTED_RESET);
    answer(f, "DELETE", REMOVE_NAME_PATH, 404, "{\"message\":\"No such container\"}");
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_AWAY, CW_UNAVAILABLE, "create " NAME);
    wait_for_idle(f);
}

static void slow_engine_runs_into_the_time_limit(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.run_ms = 60});
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    act(f, "POST", START_PATH, SCRIPTED_HANG);
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_TIMEOUT, "start " NAME);
    wait_for_idle(f);
}

static void create_goes_on_when_the_engine_is_restarted(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, &(struct cw_docker_conf){.patience_ms = 10000, .cluster = ""});
    act(f, "POST", CREATE_PATH, SCRIPTED_RESET); /* it may have made it */
    answer(f, "POST", CREATE_PATH, 409, "{\"message\":\"name is already in use\"}");
    answer(f, "GET", V "/containers/" NAME "/json", 200, "{\"Config\":{}}");
    act(f, "DELETE", REMOVE_NAME_PATH, SCRIPTED_RESET);
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    act(f, "POST", START_PATH, SCRIPTED_RESET);
    answer(f, "POST", START_PATH, 304, NULL); /* it runs already */
    act(f, "GET", INSPECT_PATH, SCRIPTED_RESET);
    answer(f, "GET", INSPECT_PATH, 200, RUNNING);
    assert_true(create(f, CW_PULL_NEVER).ok);
    wait_for_idle(f);
}

static void patience_with_an_engine_out_of_reach_ends(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.patience_ms = 150});
    act(f, "POST", CREATE_PATH, SCRIPTED_RESET);
    act(f, "POST", CREATE_PATH, SCRIPTED_RESET);
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL); /* by a lost answer */
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_AWAY, CW_UNAVAILABLE, "create " NAME);
    wait_for_idle(f);
}

static void create_that_is_cancelled_between_tries_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, &(struct cw_docker_conf){.patience_ms = 10000});
    act(f, "POST", CREATE_PATH, SCRIPTED_RESET);
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 2);
    spin(f);
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    f->driver->ops->cancel(f->driver, r.call);
    wait_for_idle(f);
    assert_int_equal(r.calls, 0);
}

static void answers_that_make_no_sense_fail_the_create_and_leave_nothing(void **state)
{
    static const struct {
        int status;
        const char *body;
    } NONSENSE[] = {
        {201, "<html>created</html>"},
        {201, "{\"Id\":\"../../../etc/passwd\"}"},
        {201, ""},
        {200, CREATED},
        {302, ""},
    };
    struct fixture *f = *state;

    ready_driver(f, NULL);
    for (size_t i = 0; i < CW_ARRAY_LEN(NONSENSE); i++) {
        answer(f, "POST", CREATE_PATH, NONSENSE[i].status, NONSENSE[i].body);
        answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
        assert_false(create(f, CW_PULL_NEVER).ok);
        wait_for_idle(f);
    }
}

static void oversized_answers_are_cut_off(void **state)
{
    struct fixture *f = *state;
    size_t n = 5 << 20;
    cw_auto_free char *huge = cw_alloc(n + 1);
    struct result r;

    memset(huge, ' ', n);
    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    scripted_http_expect(
        f->peer, &(struct scripted_step){.path = INSPECT_PATH, .body = huge, .body_len = n});
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_TOO_LARGE, "inspect " NAME);
    wait_for_idle(f);
}

static void half_an_answer_fails_the_create_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    scripted_http_expect(
        f->peer, &(struct scripted_step){
                     .path = CREATE_PATH, .status = 201, .body = CREATED, .action = SCRIPTED_HALF});
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_AWAY, CW_UNAVAILABLE, "create");
    wait_for_idle(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(create_makes_starts_and_finds_the_container),
        DOCKER_CASE(requests_that_change_something_use_fresh_connections),
        DOCKER_CASE(create_with_a_spec_that_cannot_work_fails_without_a_request),
        DOCKER_CASE(missing_managed_image_is_pulled_as_docker_run_does),
        DOCKER_CASE(missing_managed_image_that_cannot_be_had_is_a_platform_failure),
        DOCKER_CASE(image_that_is_missing_after_its_pull_fails_the_create),
        DOCKER_CASE(missing_network_is_no_missing_image),
        DOCKER_CASE(pull_of_a_missing_image_takes_no_place_in_the_queue),
        DOCKER_CASE(missing_executable_is_a_developer_failure_and_leaves_nothing),
        DOCKER_CASE(container_that_ended_with_127_is_a_developer_failure),
        DOCKER_CASE(container_that_ended_otherwise_is_a_platform_failure),
        DOCKER_CASE(container_without_address_is_removed),
        DOCKER_CASE(removal_of_what_failed_half_way_is_tried_until_it_works),
        DOCKER_CASE(removals_that_wait_are_tried_at_once_when_the_end_is_near),
        DOCKER_CASE(create_without_answer_is_removed_by_name_even_if_it_appears_late),
        DOCKER_CASE(slow_engine_runs_into_the_time_limit),
        DOCKER_CASE(create_goes_on_when_the_engine_is_restarted),
        DOCKER_CASE(patience_with_an_engine_out_of_reach_ends),
        DOCKER_CASE(create_that_is_cancelled_between_tries_leaves_nothing),
        DOCKER_CASE(answers_that_make_no_sense_fail_the_create_and_leave_nothing),
        DOCKER_CASE(oversized_answers_are_cut_off),
        DOCKER_CASE(half_an_answer_fails_the_create_and_leaves_nothing),
    };

    return cmocka_run_group_tests_name("docker_create", tests, NULL, NULL);
}
