/* Containers that run: frozen, removed, asked about, listed, listened to. */
#include "tests/component/docker_driver/docker_world.h"

#include "tests/support/cmocka_all.h"

/* ---- pause, resume, remove ---- */
typedef struct cw_driver_call *verb_fn(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                       void *arg);

static struct result run_verb(struct fixture *f, verb_fn *verb, const char *id)
{
    struct result r = {.f = f};

    f->inside = true;
    verb(f->driver, id, done_fn, &r);
    f->inside = false;
    wait_for(&r);
    return r;
}

/* ---- output ---- */
struct output {
    struct result r;
    struct cw_str text;
};

static void on_output(void *arg, struct cw_slice piece)
{
    cw_str_adds(&((struct output *)arg)->text, piece);
}

static void start_output(struct fixture *f, struct output *o, const char *id)
{
    const struct cw_output_query query = {.follow = true, .since_s = 5};

    memset(o, 0, sizeof(*o));
    o->r.f = f;
    cw_str_init(&o->text, 1 << 20);
    f->inside = true;
    o->r.call = f->driver->ops->output(f->driver, id, &query, on_output, done_fn, o);
    f->inside = false;
}

static bool output_came(void *arg)
{
    return ((struct output *)arg)->text.n >= 6;
}

static bool output_ended(void *arg)
{
    return ((struct output *)arg)->r.calls > 0;
}

#define LOGS_PATH V "/containers/" ID "/logs?follow=1&stdout=1&stderr=1&timestamps=1&since=5"

static void output_is_followed_until_the_engine_ends_it(void **state)
{
    struct fixture *f = *state;
    struct output o;

    ready_driver(f, NULL);
    act(f, "GET", LOGS_PATH, SCRIPTED_STREAM);
    start_output(f, &o, ID);
    while (scripted_http_push(f->peer, "abcdef", 6) == 0)
        (void)cw_loop_run_until(f->loop, output_came, &o, 5);
    assert_true(cw_loop_run_until(f->loop, output_came, &o, WAIT_MS));
    f->driver->ops->hold_output(f->driver, o.r.call, true);
    f->driver->ops->hold_output(f->driver, o.r.call, false);
    assert_int_equal(o.r.calls, 0);
    scripted_http_finish(f->peer);
    assert_true(cw_loop_run_until(f->loop, output_ended, &o, WAIT_MS));
    assert_true(o.r.ok);
    assert_string_equal(o.text.p, "abcdef");
    cw_str_done(&o.text);
}

static void output_of_a_container_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct output o;

    ready_driver(f, NULL);
    answer(f, "GET", LOGS_PATH, 404, "{\"message\":\"No such container\"}");
    start_output(f, &o, ID);
    assert_true(cw_loop_run_until(f->loop, output_ended, &o, WAIT_MS));
    assert_true(!o.r.ok && o.r.err.code == CW_NOT_FOUND);
    assert_int_equal(o.text.n, 0);
    start_output(f, &o, "../etc");
    assert_true(cw_loop_run_until(f->loop, output_ended, &o, WAIT_MS));
    assert_true(!o.r.ok && o.r.err.code == CW_INVALID);
}

static void cancelled_output_is_silent(void **state)
{
    struct fixture *f = *state;
    struct output o;

    ready_driver(f, NULL);
    act(f, "GET", LOGS_PATH, SCRIPTED_STREAM);
    start_output(f, &o, ID);
    f->driver->ops->cancel(f->driver, o.r.call);
    (void)cw_loop_run_until(f->loop, output_ended, &o, 10);
    assert_int_equal(o.r.calls, 0);
}

static void pause_and_resume_report_what_the_engine_says(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", V "/containers/" ID "/pause", 204, NULL);
    assert_true(run_verb(f, f->driver->ops->pause, ID).ok);
    answer(f, "POST", V "/containers/" ID "/pause", 409, "{\"message\":\"is not running\"}");
    r = run_verb(f, f->driver->ops->pause, ID);
    assert_true(!r.ok && r.err.code == CW_CONFLICT && !r.err.retriable);
    assert_non_null(strstr(r.err.msg, "pause " ID ": 409: is not running"));
    answer(f, "POST", V "/containers/" ID "/unpause", 204, NULL);
    assert_true(run_verb(f, f->driver->ops->resume, ID).ok);
    answer(f, "POST", V "/containers/" ID "/unpause", 404, "{\"message\":\"No such container\"}");
    r = run_verb(f, f->driver->ops->resume, ID);
    assert_true(!r.ok && r.err.code == CW_NOT_FOUND);
    assert_int_equal(counter(f, "counter_invoker_docker_unpause_start_total"), 2);
    assert_int_equal(counter(f, "counter_invoker_docker_unpause_error_total"), 1);
}

static struct result run_update(struct fixture *f, const struct cw_driver_limits *limits)
{
    struct result r = {.f = f};

    f->inside = true;
    f->driver->ops->update(f->driver, ID, limits, done_fn, &r);
    f->inside = false;
    wait_for(&r);
    return r;
}

static void update_sends_only_the_limits_that_change(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", V "/containers/" ID "/update", 200, "{\"Warnings\":null}");
    assert_true(run_update(f, &(struct cw_driver_limits){.cpu_shares = 512}).ok);
    assert_string_equal(scripted_http_request(f->peer, 1)->body, "{\"CpuShares\":512}");
    answer(f, "POST", V "/containers/" ID "/update", 500, "{\"message\":\"device busy\"}");
    r = run_update(
        f, &(struct cw_driver_limits){.memory_mb = 128, .cpu_millis = 1500, .blkio_weight = 500});
    assert_string_equal(scripted_http_request(f->peer, 2)->body,
                        "{\"NanoCpus\":1500000000,\"Memory\":134217728,\"MemorySwap\":134217728,"
                        "\"BlkioWeight\":500}");
    assert_true(!r.ok);
    assert_non_null(strstr(r.err.msg, "update " ID ": 500: device busy"));
}

static void pause_that_hangs_times_out(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.pause_ms = 30});
    act(f, "POST", V "/containers/" ID "/pause", SCRIPTED_HANG);
    r = run_verb(f, f->driver->ops->pause, ID);
    assert_true(!r.ok && r.err.code == CW_TIMEOUT);
}

static void removal_of_what_is_gone_or_going_is_success(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "DELETE", REMOVE_PATH, 204, NULL);
    assert_true(run_verb(f, f->driver->ops->remove, ID).ok);
    answer(f, "DELETE", REMOVE_PATH, 404, "{\"message\":\"No such container\"}");
    assert_true(run_verb(f, f->driver->ops->remove, ID).ok);
    answer(f, "DELETE", REMOVE_PATH, 409,
           "{\"message\":\"removal of container " ID " is already in progress\"}");
    assert_true(run_verb(f, f->driver->ops->remove, ID).ok);
    answer(f, "DELETE", REMOVE_PATH, 409, "{\"message\":\"container is paused\"}");
    r = run_verb(f, f->driver->ops->remove, ID);
    assert_true(!r.ok && r.err.code == CW_CONFLICT);
    answer(f, "DELETE", REMOVE_PATH, 503, "{\"message\":\"shutting down\"}");
    r = run_verb(f, f->driver->ops->remove, ID);
    assert_true(!r.ok && r.err.code == CW_UNAVAILABLE && r.err.retriable);
}

static void ids_that_could_change_the_url_are_refused(void **state)
{
    struct fixture *f = *state;
    struct result r;

    use_driver(f, NULL);
    r = run_verb(f, f->driver->ops->remove, "");
    assert_true(!r.ok && r.err.code == CW_INVALID);
    r = run_verb(f, f->driver->ops->pause, "../images/prune?");
    assert_true(!r.ok && r.err.code == CW_INVALID);
    assert_int_equal(scripted_http_count(f->peer), 0);
}

/* ---- out of memory ---- */
static bool was_oom_killed(struct fixture *f, const char *id)
{
    struct result r = {.f = f};

    f->inside = true;
    f->driver->ops->was_oom_killed(f->driver, id, oom_fn, &r);
    f->inside = false;
    wait_for(&r);
    return r.oom;
}

static void oom_flag_is_waited_for(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "GET", INSPECT_PATH, 200, RUNNING);
    answer(f, "GET", INSPECT_PATH, 200, RUNNING);
    answer(f, "GET", INSPECT_PATH, 200, ENDED("137", "false"));
    answer(f, "GET", INSPECT_PATH, 200, ENDED("137", "true"));
    assert_true(was_oom_killed(f, ID));
    assert_int_equal(scripted_http_unused(f->peer), 0);
}

static void exit_for_another_reason_ends_the_wait(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "GET", INSPECT_PATH, 200, RUNNING);
    answer(f, "GET", INSPECT_PATH, 200, ENDED("1", "false"));
    assert_false(was_oom_killed(f, ID));
    assert_int_equal(scripted_http_count(f->peer), 3);
}

static void killed_container_without_the_flag_is_no_oom_in_the_end(void **state)
{
    struct fixture *f = *state;
    int64_t begun_us;

    ready_driver(f, NULL);
    scripted_http_expect(f->peer, &(struct scripted_step){.path = INSPECT_PATH,
                                                          .body = ENDED("137", "false"),
                                                          .repeat = true});
    begun_us = cw_loop_mono_us(f->loop);
    assert_false(was_oom_killed(f, ID));
    assert_in_range(cw_loop_mono_us(f->loop) - begun_us, 100000, 1500000);
    assert_in_range(scripted_http_count(f->peer), 4, 20);
}

static void running_container_is_asked_for_two_seconds_at_most(void **state)
{
    struct fixture *f = *state;
    int64_t begun_us;

    ready_driver(f, NULL);
    scripted_http_expect(
        f->peer, &(struct scripted_step){.path = INSPECT_PATH, .body = RUNNING, .repeat = true});
    begun_us = cw_loop_mono_us(f->loop);
    assert_false(was_oom_killed(f, ID));
    assert_in_range(cw_loop_mono_us(f->loop) - begun_us, 1800000, 4000000);
    assert_in_range(scripted_http_count(f->peer), 10, 60);
}

static int64_t two_kills(void *arg, const char *id)
{
    assert_string_equal(id, ID);
    ++*(unsigned *)arg;
    return 2;
}

static int64_t unknown_kills(void *arg, const char *id)
{
    (void)id;
    return ++*(unsigned *)arg ? -1 : 0;
}

static void kernels_count_tells_of_processes_that_the_engine_does_not_know(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};
    unsigned asked = 0;

    ready_driver(f, &(struct cw_docker_conf){.oom_kills = two_kills, .oom_kills_arg = &asked});
    f->driver->ops->was_oom_killed(f->driver, ID, oom_fn, &r);
    wait_for(&r);
    assert_true(r.oom);
    assert_int_equal(asked, 1);
    assert_int_equal(scripted_http_count(f->peer), 1); /* the engine was not asked */
}

static void engine_is_asked_where_the_kernels_count_is_not_known(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};
    unsigned asked = 0;

    ready_driver(f, &(struct cw_docker_conf){.oom_kills = unknown_kills, .oom_kills_arg = &asked});
    answer(f, "GET", INSPECT_PATH, 200, ENDED("137", "true"));
    f->driver->ops->was_oom_killed(f->driver, ID, oom_fn, &r);
    wait_for(&r);
    assert_true(r.oom);
    assert_int_equal(asked, 1);
}

static void oom_question_about_nothing_is_answered_no(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "GET", INSPECT_PATH, 404, "{\"message\":\"No such container\"}");
    assert_false(was_oom_killed(f, ID));
    answer(f, "GET", INSPECT_PATH, 200, "<html>");
    assert_false(was_oom_killed(f, ID));
    assert_false(was_oom_killed(f, "not/an/id"));
    assert_int_equal(scripted_http_count(f->peer), 3);
}

/* ---- list ---- */
static struct result list(struct fixture *f, const char *prefix)
{
    struct result r = {.f = f};

    f->inside = true;
    f->driver->ops->list(f->driver, prefix, listed_fn, &r);
    f->inside = false;
    wait_for(&r);
    return r;
}

static void list_asks_with_an_anchored_filter_and_filters_again(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "GET",
           V "/containers/json?all=true&filters="
             "%7B%22name%22%3A%5B%22%5E%2F%3Fwsk%5C%5C.0_%22%5D%7D",
           200,
           "[{\"Id\":\"" ID "\",\"Names\":[\"/wsk.0_1_a\"],\"State\":\"paused\"},"
           "{\"Id\":\"" ID2 "\",\"Names\":[\"/my_wsk.0_1_a\"],\"State\":\"running\"},"
           "{\"Id\":\"" ID2 "\",\"Names\":[\"/wsk.0_2_b\"],\"State\":\"exited\"}]");
    r = list(f, "wsk.0_");
    assert_true(r.ok);
    assert_int_equal(r.count, 2);
    assert_string_equal(r.names[0], "wsk.0_1_a running paused");
    assert_string_equal(r.names[1], "wsk.0_2_b");
    assert_int_equal(observed(f, "histogram_invoker_docker_ps_finish_seconds"), 1);
}

static void list_of_everything_is_refused(void **state)
{
    struct fixture *f = *state;
    struct result r;

    use_driver(f, NULL);
    r = list(f, "");
    assert_true(!r.ok && r.err.code == CW_INVALID);
    assert_int_equal(scripted_http_count(f->peer), 0);
}

static void list_that_makes_no_sense_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "GET", V "/containers/json*", 200, "{\"not\":\"an array\"}");
    r = list(f, "wsk00_");
    assert_true(!r.ok && r.count == 0);
    answer(f, "GET", V "/containers/json*", 500, "{\"message\":\"broken\"}");
    r = list(f, "wsk00_");
    assert_non_null(strstr(r.err.msg, "list wsk00_: 500: broken"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(output_is_followed_until_the_engine_ends_it),
        DOCKER_CASE(output_of_a_container_that_is_not_there_is_an_error),
        DOCKER_CASE(cancelled_output_is_silent),
        DOCKER_CASE(pause_and_resume_report_what_the_engine_says),
        DOCKER_CASE(update_sends_only_the_limits_that_change),
        DOCKER_CASE(pause_that_hangs_times_out),
        DOCKER_CASE(removal_of_what_is_gone_or_going_is_success),
        DOCKER_CASE(ids_that_could_change_the_url_are_refused),
        DOCKER_CASE(oom_flag_is_waited_for),
        DOCKER_CASE(exit_for_another_reason_ends_the_wait),
        DOCKER_CASE(killed_container_without_the_flag_is_no_oom_in_the_end),
        DOCKER_CASE(running_container_is_asked_for_two_seconds_at_most),
        DOCKER_CASE(kernels_count_tells_of_processes_that_the_engine_does_not_know),
        DOCKER_CASE(engine_is_asked_where_the_kernels_count_is_not_known),
        DOCKER_CASE(oom_question_about_nothing_is_answered_no),
        DOCKER_CASE(list_asks_with_an_anchored_filter_and_filters_again),
        DOCKER_CASE(list_of_everything_is_refused),
        DOCKER_CASE(list_that_makes_no_sense_is_an_error),
    };

    return cmocka_run_group_tests_name("docker_life", tests, NULL, NULL);
}
