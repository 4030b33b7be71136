/* The handshake, and engines that cannot be spoken to. */
#include "tests/component/docker_driver/docker_world.h"

#include "tests/support/cmocka_all.h"

static void handshake_decides_the_version_in_every_path(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    use_driver(f, NULL);
    answer(f, "GET", "/version", 200, "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}");
    answer(f, "POST", "/v1.51/containers/" ID "/pause", 204, NULL);
    assert_true(start_check(f).ok);
    r.call = f->driver->ops->pause(f->driver, ID, done_fn, &r);
    wait_for(&r);
    assert_true(r.ok);
    assert_int_equal(observed(f, "histogram_invoker_docker_version_finish_seconds"), 1);
    assert_int_equal(observed(f, "histogram_invoker_docker_pause_finish_seconds"), 1);
}

static void handshake_fails_when_no_engine_listens(void **state)
{
    struct fixture *f = *state;
    struct cw_docker_conf conf = {.engine = "/nonexistent/docker.sock"};
    struct result r;

    f->driver = cw_docker_driver_new(f->loop, f->http, &conf, NULL);
    r = start_check(f);
    assert_false(r.ok);
    assert_int_equal(r.err.code, CW_UNAVAILABLE);
    assert_non_null(strstr(r.err.msg, "/nonexistent/docker.sock"));
}

static void handshake_fails_when_something_else_listens(void **state)
{
    struct fixture *f = *state;
    struct result r;

    use_driver(f, NULL);
    answer(f, "GET", "/version", 200, "<html>It works!</html>");
    r = start_check(f);
    assert_false(r.ok);
    assert_int_equal(r.err.code, CW_INVALID);
    assert_int_equal(counter(f, "counter_invoker_docker_version_error_total"), 1);
    answer(f, "GET", "/version", 502, "<html>Bad gateway</html>");
    r = start_check(f);
    assert_false(r.ok);
    assert_true(r.err.retriable);
    assert_non_null(strstr(r.err.msg, "502: <html>Bad gateway"));
}

static void settings_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    char long_path[200];
    struct cw_err err = {0};

    memset(long_path, 'a', sizeof(long_path));
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = '\0';
    assert_null(cw_docker_driver_new(f->loop, f->http, &(struct cw_docker_conf){0}, &err));
    assert_int_equal(err.code, CW_INVALID);
    assert_null(cw_docker_driver_new(f->loop, f->http,
                                     &(struct cw_docker_conf){.engine = long_path}, &err));
    assert_non_null(strstr(err.msg, "1..107"));
    assert_null(cw_docker_driver_new(
        f->loop, f->http, &(struct cw_docker_conf){.engine = "/s", .pause_ms = -1}, &err));
    assert_non_null(strstr(err.msg, "pause timeout -1"));
}

static void engines_that_cannot_be_addressed_are_refused(void **state)
{
    static const char *const BAD[] = {
        "ssh://host",     "fd://",        "docker.sock",      "unix://relative",   "tcp://",
        "tcp://:2375",    "tcp://host:0", "tcp://host:65536", "tcp://host:1/path", "tcp://a b:2375",
        "tcp://u@h:2375",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct cw_err err = {0};

        assert_null(cw_docker_driver_new(f->loop, f->http,
                                         &(struct cw_docker_conf){.engine = BAD[i]}, &err));
        assert_int_equal(err.code, CW_INVALID);
        assert_non_null(strstr(err.msg, "tcp://host:port"));
    }
}

static void engine_is_reached_over_tcp(void **state)
{
    struct fixture *f = *state;
    struct scripted_http *peer = scripted_http_new(f->loop, SCRIPTED_TCP);
    struct result r = {.f = f};
    char engine[64], host[64];

    (void)snprintf(engine, sizeof(engine), "tcp://127.0.0.1:%u", scripted_http_port(peer));
    f->driver =
        cw_docker_driver_new(f->loop, f->http, &(struct cw_docker_conf){.engine = engine}, NULL);
    assert_non_null(f->driver);
    scripted_http_expect(peer, &(struct scripted_step){
                                   .path = "/version",
                                   .body = "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}"});
    scripted_http_expect(
        peer, &(struct scripted_step){.path = V "/containers/" ID "/pause", .status = 204});
    assert_true(start_check(f).ok);
    r.call = f->driver->ops->pause(f->driver, ID, done_fn, &r);
    wait_for(&r);
    assert_true(r.ok);
    assert_string_equal(
        scripted_http_header(scripted_http_request(peer, 0), "Host", host, sizeof(host)),
        engine + strlen("tcp://"));
    cw_driver_free(CW_STEAL(f->driver));
    scripted_http_free(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(handshake_decides_the_version_in_every_path),
        DOCKER_CASE(handshake_fails_when_no_engine_listens),
        DOCKER_CASE(handshake_fails_when_something_else_listens),
        DOCKER_CASE(settings_out_of_range_are_refused),
        DOCKER_CASE(engines_that_cannot_be_addressed_are_refused),
        DOCKER_CASE(engine_is_reached_over_tcp),
    };

    return cmocka_run_group_tests_name("docker_handshake", tests, NULL, NULL);
}
