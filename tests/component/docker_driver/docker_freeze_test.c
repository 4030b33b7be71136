/* Pause and resume without the engine: what the driver makes of what the freezer says. There is no
 * engine: its socket does not exist, so whatever goes there fails as unreachable. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16

enum { WAIT_MS = 5000 };

struct fixture {
    struct cw_loop *loop;
    struct cw_http *http;
    struct cw_driver *driver;
    /* the freezer */
    int freeze_answer, freeze_later; /* the later one from the third call on */
    int thaw_answer;
    unsigned freezes, thaws, releases;
    /* what a call came to */
    unsigned calls;
    bool ok;
    struct cw_err err;
};

static int freeze(void *arg, const char *id)
{
    struct fixture *f = arg;

    assert_string_equal(id, ID);
    return ++f->freezes < 3 ? f->freeze_answer : f->freeze_later;
}

static int thaw(void *arg, const char *id, struct cw_err *err)
{
    struct fixture *f = arg;

    assert_string_equal(id, ID);
    f->thaws++;
    return f->thaw_answer < 0 ? cw_fail(err, CW_NOT_FOUND, "no group") : f->thaw_answer;
}

static void release(void *arg, const char *id)
{
    struct fixture *f = arg;

    assert_string_equal(id, ID);
    f->releases++;
}

static int set_up(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));
    struct cw_err err = {0};

    f->loop = cw_loop_new(NULL, &err);
    f->http = cw_http_new(f->loop, &(struct cw_http_conf){0}, &err);
    f->driver =
        cw_docker_driver_new(f->loop, f->http,
                             &(struct cw_docker_conf){.engine = "/nonexistent/docker.sock",
                                                      .pause_ms = 100,
                                                      .freezer = {freeze, thaw, release, f}},
                             &err);
    assert_non_null(f->driver);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    cw_driver_free(f->driver);
    cw_http_free(f->http);
    cw_loop_free(f->loop);
    free(f);
    return 0;
}

static void done_fn(void *arg, const struct cw_err *err)
{
    struct fixture *f = arg;

    f->calls++;
    f->ok = !err;
    if (err)
        f->err = *err;
}

static bool called(void *arg)
{
    return ((struct fixture *)arg)->calls > 0;
}

typedef struct cw_driver_call *verb_fn(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                       void *arg);

static bool run(struct fixture *f, verb_fn *verb)
{
    f->calls = 0;
    (void)verb(f->driver, ID, done_fn, f);
    assert_int_equal(f->calls, 0); /* never inside the call */
    assert_true(cw_loop_run_until(f->loop, called, f, WAIT_MS));
    return f->ok;
}

static void files_freeze_and_thaw(void **state)
{
    struct fixture *f = *state;

    f->freeze_answer = f->thaw_answer = 1;
    assert_true(run(f, f->driver->ops->pause));
    assert_true(run(f, f->driver->ops->resume));
    assert_int_equal(f->freezes, 1);
    assert_int_equal(f->thaws, 1);
}

static void slow_freezing_is_waited_for(void **state)
{
    struct fixture *f = *state;

    f->freeze_later = 1;
    assert_true(run(f, f->driver->ops->pause));
    assert_int_equal(f->freezes, 3);
    assert_int_equal(f->thaws, 0);
}

static void what_does_not_stop_is_thawed_and_told(void **state)
{
    struct fixture *f = *state;

    f->thaw_answer = 1;
    assert_false(run(f, f->driver->ops->pause));
    assert_int_equal(f->err.code, CW_TIMEOUT);
    assert_int_equal(f->thaws, 1);
}

static void container_that_ends_while_it_freezes_is_told(void **state)
{
    struct fixture *f = *state;

    f->freeze_later = -1;
    assert_false(run(f, f->driver->ops->pause));
    assert_int_equal(f->err.code, CW_NOT_FOUND);
}

static void cancelled_freezing_is_silent(void **state)
{
    struct fixture *f = *state;

    f->freeze_later = 1;
    f->driver->ops->cancel(f->driver, f->driver->ops->pause(f->driver, ID, done_fn, f));
    assert_false(cw_loop_run_until(f->loop, called, f, 10));
}

static void engine_is_asked_where_files_are_out_of_reach(void **state)
{
    struct fixture *f = *state;

    f->freeze_answer = -1;
    assert_false(run(f, f->driver->ops->pause));
    assert_int_equal(f->err.code, CW_UNAVAILABLE);
    assert_false(run(f, f->driver->ops->resume)); /* so it was paused by the engine */
    assert_int_equal(f->err.code, CW_UNAVAILABLE);
}

static void container_that_cannot_be_thawed_is_told(void **state)
{
    struct fixture *f = *state;

    f->thaw_answer = -1;
    assert_false(run(f, f->driver->ops->resume));
    assert_string_equal(f->err.msg, "no group");
}

static void whatever_is_removed_is_released_before(void **state)
{
    struct fixture *f = *state;

    assert_false(run(f, f->driver->ops->remove));
    assert_int_equal(f->releases, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(files_freeze_and_thaw),
        CASE(slow_freezing_is_waited_for),
        CASE(what_does_not_stop_is_thawed_and_told),
        CASE(container_that_ends_while_it_freezes_is_told),
        CASE(cancelled_freezing_is_silent),
        CASE(engine_is_asked_where_files_are_out_of_reach),
        CASE(container_that_cannot_be_thawed_is_told),
        CASE(whatever_is_removed_is_released_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
