/* The Docker driver against a scripted engine on a Unix socket. */
#include "tests/support/cmocka_all.h"

#include <signal.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "tests/support/scripted_http.h"

#define HEX15 "0123456789abcde"
#define ID_OF(digit) HEX15 digit HEX15 digit HEX15 digit HEX15 digit
#define ID ID_OF("f")
#define ID2 ID_OF("a")
#define NAME "wsk00_1_a"
#define V "/v1.41"
#define CREATE_PATH V "/containers/create?name=" NAME
#define START_PATH V "/containers/" ID "/start"
#define INSPECT_PATH V "/containers/" ID "/json"
#define REMOVE_PATH V "/containers/" ID "?force=true&v=true"
#define REMOVE_NAME_PATH V "/containers/" NAME "?force=true&v=true"
#define PULL_PATH V "/images/create?fromImage=img&tag=latest"
#define CREATED "{\"Id\":\"" ID "\",\"Warnings\":[]}"
#define RUNNING                                                                                    \
    "{\"State\":{\"Running\":true,\"OOMKilled\":false,\"ExitCode\":0,"                             \
    "\"FinishedAt\":\"0001-01-01T00:00:00Z\"},\"LogPath\":\"/var/lib/docker/c.log\","              \
    "\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"10.1.2.3\"}}}}"
#define ENDED(code, oom)                                                                           \
    "{\"State\":{\"Running\":false,\"OOMKilled\":" oom ",\"ExitCode\":" code                       \
    ",\"FinishedAt\":\"2026-01-02T03:04:05.6Z\"}}"

enum { WAIT_MS = 20000 };

struct fixture {
    struct cw_loop *loop;
    struct scripted_http *peer;
    struct cw_http *http;
    struct cw_metrics *metrics;
    struct cw_driver *driver;
    bool inside; /* a driver function is on the stack: no callback may come */
};

struct result {
    struct fixture *f;
    unsigned calls;
    bool ok;
    struct cw_err err;
    enum cw_create_failure failure;
    struct cw_container made;
    bool oom;
    size_t count;
    char names[3][32];
    bool free_driver;      /* in the callback */
    struct result *cancel; /* in the callback */
    struct cw_driver_call *call;
};

/* ---- fixture ---- */

static void answer(struct fixture *f, const char *method, const char *path, int status,
                   const char *body)
{
    scripted_http_expect(
        f->peer,
        &(struct scripted_step){.method = method, .path = path, .status = status, .body = body});
}

static void act(struct fixture *f, const char *method, const char *path,
                enum scripted_action action)
{
    scripted_http_expect(
        f->peer,
        &(struct scripted_step){.method = method, .path = path, .status = 200, .action = action});
}

static void done_fn(void *arg, const struct cw_err *err)
{
    struct result *r = arg;

    assert_false(r->f->inside);
    r->calls++;
    r->ok = !err;
    if (err)
        r->err = *err;
}

static void created_fn(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    struct result *r = arg;

    assert_true((c == NULL) != (err == NULL));
    done_fn(arg, err);
    r->failure = failure;
    if (c)
        r->made = *c;
    if (r->cancel)
        r->f->driver->ops->cancel(r->f->driver, r->cancel->call);
    if (r->free_driver)
        cw_driver_free(CW_STEAL(r->f->driver));
}

static void oom_fn(void *arg, bool oom)
{
    struct result *r = arg;

    done_fn(arg, NULL);
    r->oom = oom;
}

static void listed_fn(void *arg, const struct cw_owned_container *list, size_t count,
                      const struct cw_err *err)
{
    struct result *r = arg;

    done_fn(arg, err);
    r->count = count;
    for (size_t i = 0; i < count && i < CW_ARRAY_LEN(r->names); i++)
        (void)snprintf(r->names[i], sizeof(r->names[i]), "%s%s%s", list[i].name,
                       list[i].running ? " running" : "", list[i].paused ? " paused" : "");
}

static bool called(void *arg)
{
    return ((struct result *)arg)->calls > 0;
}

static void wait_for(struct result *r)
{
    if (!cw_loop_run_until(r->f->loop, called, r, WAIT_MS))
        fail_msg("no callback");
    assert_int_equal(r->calls, 1);
}

static bool idle(void *arg)
{
    struct fixture *f = arg;

    return f->driver->ops->busy(f->driver) == 0;
}

/* Background work has ended and every expected request has come. */
static void wait_for_idle(struct fixture *f)
{
    if (!cw_loop_run_until(f->loop, idle, f, WAIT_MS))
        fail_msg("still busy");
    assert_int_equal(scripted_http_unused(f->peer), 0);
}

struct until_count {
    struct fixture *f;
    size_t count;
};

static bool has_count(void *arg)
{
    struct until_count *u = arg;

    return scripted_http_count(u->f->peer) >= u->count;
}

static void wait_for_requests(struct fixture *f, size_t count)
{
    struct until_count u = {f, count};

    if (!cw_loop_run_until(f->loop, has_count, &u, WAIT_MS))
        fail_msg("%zu requests, expected %zu", scripted_http_count(f->peer), count);
}

static bool no_connection(void *arg)
{
    return scripted_http_open(((struct fixture *)arg)->peer) == 0;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Turns of the loop in which nothing should happen. */
static void spin(struct fixture *f)
{
    (void)cw_loop_run_until(f->loop, never, NULL, 30);
}

static struct result start_check(struct fixture *f)
{
    struct result r = {.f = f};

    f->inside = true;
    f->driver->ops->check(f->driver, done_fn, &r);
    f->inside = false;
    wait_for(&r);
    return r;
}

static void use_driver(struct fixture *f, const struct cw_docker_conf *limits)
{
    struct cw_docker_conf conf = limits ? *limits : (struct cw_docker_conf){0};
    struct cw_err err = {0};

    conf.engine = scripted_http_unix_path(f->peer);
    conf.metrics = f->metrics;
    f->driver = cw_docker_driver_new(f->loop, f->http, &conf, &err);
    if (!f->driver)
        fail_msg("%s", err.msg);
}

/* A driver with the handshake behind it; its request is number 0. */
static void ready_driver(struct fixture *f, const struct cw_docker_conf *limits)
{
    use_driver(f, limits);
    answer(f, "GET", "/version", 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
    assert_true(start_check(f).ok);
}

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->loop = cw_loop_new(NULL, NULL);
    f->peer = scripted_http_new(f->loop, SCRIPTED_UNIX);
    f->http = cw_http_new(f->loop, &(struct cw_http_conf){0}, NULL);
    f->metrics = cw_metrics_new();
    assert_non_null(f->http);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cw_driver_free(f->driver);
    cw_http_free(f->http);
    assert_int_equal(scripted_http_unexpected(f->peer), 0);
    scripted_http_free(f->peer);
    cw_metrics_free(f->metrics);
    cw_loop_free(f->loop);
    free(f);
    return 0;
}

static struct cw_container_spec spec_of(const char *name, enum cw_pull_policy pull)
{
    return (struct cw_container_spec){
        .name = name, .image = "img", .pull = pull, .memory_mb = 256, .cpu_shares = 256};
}

static void start_create(struct result *r, const char *name, enum cw_pull_policy pull)
{
    struct cw_container_spec spec = spec_of(name, pull);

    r->f->inside = true;
    r->call = r->f->driver->ops->create(r->f->driver, &spec, created_fn, r);
    r->f->inside = false;
    assert_non_null(r->call);
}

static void cancel(struct result *r)
{
    r->f->driver->ops->cancel(r->f->driver, r->call);
}

static struct result create(struct fixture *f, enum cw_pull_policy pull)
{
    struct result r = {.f = f};

    start_create(&r, NAME, pull);
    wait_for(&r);
    return r;
}

static void assert_failed(const struct result *r, enum cw_create_failure failure, enum cw_code code,
                          const char *message_part)
{
    assert_false(r->ok);
    assert_int_equal(r->failure, failure);
    if (!strstr(r->err.msg, message_part))
        fail_msg("\"%s\" is not in \"%s\"", message_part, r->err.msg);
    assert_int_equal(r->err.code, code);
}

static uint64_t counter(struct fixture *f, const char *name)
{
    return cw_counter_value(cw_metrics_counter(f->metrics, name, NULL, NULL));
}

static uint64_t observed(struct fixture *f, const char *name)
{
    return cw_histogram_count(cw_metrics_histogram(f->metrics, name, NULL, NULL, NULL, 0));
}

static const char *path_of(struct fixture *f, size_t i)
{
    return scripted_http_request(f->peer, i)->path;
}

/* ---- handshake ---- */

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

/* ---- create ---- */

static void answer_create(struct fixture *f)
{
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    answer(f, "GET", INSPECT_PATH, 200, RUNNING);
}

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

#define NO_IMAGE "{\"message\":\"No such image: img:latest\"}"

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
    assert_failed(&r, CW_CREATE_PLATFORM, CW_UNAVAILABLE, "create " NAME);
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
    assert_failed(&r, CW_CREATE_PLATFORM, CW_UNAVAILABLE, "create " NAME);
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
    assert_failed(&r, CW_CREATE_PLATFORM, CW_UNAVAILABLE, "create");
    wait_for_idle(f);
}

/* ---- left-over names ---- */

#define CONFLICT "{\"message\":\"Conflict. The container name is already in use\"}"

static void container_left_under_the_name_is_replaced(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    answer_create(f);
    assert_true(create(f, CW_PULL_NEVER).ok);
    wait_for_idle(f);
}

static void name_that_is_taken_on_podman_is_replaced_too(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(
        f, "POST", CREATE_PATH, 500,
        "{\"cause\":\"that name is already in use\",\"message\":\"container create: the container "
        "name is already in use by 1: that name is already in use\",\"response\":500}");
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    answer_create(f);
    assert_true(create(f, CW_PULL_NEVER).ok);
    wait_for_idle(f);
}

static void name_that_stays_taken_fails_after_one_retry(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_CONFLICT, "already in use");
    wait_for_idle(f);
}

static void name_whose_holder_cannot_be_removed_fails(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "DELETE", REMOVE_NAME_PATH, 500, "{\"message\":\"stuck\"}");
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INTERNAL, "stuck");
    wait_for_idle(f);
}

#define OWNED_BY(cluster) "{\"Config\":{\"Labels\":{\"org.cwhisk.cluster\":\"" cluster "\"}}}"

static void name_that_another_cluster_holds_fails_and_its_container_stays(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.cluster = "blue"});
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "GET", V "/containers/" NAME "/json", 200, OWNED_BY("green"));
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_CONFLICT, "container of cluster \"green\" has it");
    assert_true(idle(f));
}

static void name_that_the_own_cluster_or_nobody_holds_is_replaced(void **state)
{
    static const struct {
        int status;
        const char *body;
    } HOLDERS[] = {
        {200, OWNED_BY("blue")},
        {200, "{\"Config\":{\"Labels\":{}}}"},
        {200, "{}"},
        {404, "{\"message\":\"No such container\"}"},
    };
    struct fixture *f = *state;

    ready_driver(f, &(struct cw_docker_conf){.cluster = "blue"});
    for (size_t i = 0; i < CW_ARRAY_LEN(HOLDERS); i++) {
        answer(f, "POST", CREATE_PATH, 409, CONFLICT);
        answer(f, "GET", V "/containers/" NAME "/json", HOLDERS[i].status, HOLDERS[i].body);
        answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
        answer_create(f);
        assert_true(create(f, CW_PULL_NEVER).ok);
        wait_for_idle(f);
    }
}

static void create_cancelled_while_looking_whose_a_name_is_removes_nothing(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, &(struct cw_docker_conf){.cluster = "blue"});
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "GET", V "/containers/" NAME "/json", 200, OWNED_BY("blue"));
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 3);
    cancel(&r);
    wait_for_idle(f);
    assert_int_equal(r.calls, 0);
}

/* ---- pulls ---- */

#define PROGRESS "{\"status\":\"Pulling from img\"}\r\n{\"status\":\"Done\"}\r\n"
#define DENIED PROGRESS "{\"errorDetail\":{\"message\":\"denied\"},\"error\":\"denied\"}\r\n"

static void image_is_pulled_before_the_create(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    scripted_http_expect(
        f->peer, &(struct scripted_step){.path = PULL_PATH, .body = PROGRESS, .chunked = true});
    answer_create(f);
    assert_true(create(f, CW_PULL_ALWAYS).ok);
    assert_string_equal(path_of(f, 1), PULL_PATH);
    assert_string_equal(path_of(f, 2), CREATE_PATH);
    assert_int_equal(observed(f, "histogram_invoker_docker_pull_finish_seconds"), 1);
}

/* ---- credentials ---- */

#define AUTH(user) "{\"auths\":{\"reg.example\":{\"username\":\"" user "\",\"password\":\"p\"}}}"

static void write_config(const char *folder, const char *text)
{
    char path[256];
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s/config.json", folder);
    out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void remove_config(const char *folder)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/config.json", folder);
    (void)remove(path);
    (void)remove(folder);
}

/* Pulls and creates from that image; the X-Registry-Auth that was sent, decoded, "" without. */
static void pull_auth(struct fixture *f, const char *image, char *out, size_t size)
{
    struct result r = {.f = f};
    struct cw_container_spec spec = spec_of(NAME, CW_PULL_ALWAYS);
    size_t before = scripted_http_count(f->peer);
    char header[1024];
    cw_auto_str struct cw_str json;

    cw_str_init(&json, 1024);
    spec.image = image;
    answer(f, "POST", V "/images/create*", 200, PROGRESS);
    answer_create(f);
    r.call = f->driver->ops->create(f->driver, &spec, created_fn, &r);
    wait_for(&r);
    assert_true(r.ok);
    out[0] = '\0';
    if (!scripted_http_header(scripted_http_request(f->peer, before), "X-Registry-Auth", header,
                              sizeof(header)))
        return;
    assert_int_equal(cw_base64_decode(cw_slice_of(header), CW_BASE64_URL, &json, NULL), 0);
    (void)snprintf(out, size, "%s", json.p);
}

static void note_warning(void *arg, const char *text)
{
    (void)snprintf(arg, 512, "%s", text);
}

static void pulls_carry_the_credentials_of_the_images_registry(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/cw-docker.XXXXXX", sent[256];

    assert_non_null(mkdtemp(folder));
    write_config(folder, AUTH("bob"));
    ready_driver(f, &(struct cw_docker_conf){.config_folder = folder});
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, "{\"username\":\"bob\",\"password\":\"p\","
                              "\"serveraddress\":\"reg.example\"}");
    pull_auth(f, "other.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, "");
    remove_config(folder);
}

static void credentials_that_change_count_at_the_next_pull(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/cw-docker.XXXXXX", sent[256], warning[512] = "";

    assert_non_null(mkdtemp(folder));
    ready_driver(f, &(struct cw_docker_conf){
                        .config_folder = folder, .warn = note_warning, .warn_arg = warning});
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, ""); /* no file yet */
    assert_string_equal(warning, "");
    write_config(folder, AUTH("ann"));
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_non_null(strstr(sent, "\"ann\""));
    write_config(folder, AUTH("robert"));
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_non_null(strstr(sent, "\"robert\""));
    write_config(folder, "{ not json");
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, "");
    assert_non_null(strstr(warning, folder));
    remove_config(folder);
}

static void error_in_the_progress_stream_fails_the_pull(void **state)
{
    static const char *const STREAMS[] = {
        DENIED,
        "{\"error\":\"denied\"}", /* no line end */
        "<html>denied</html>",
    };
    struct fixture *f = *state;

    ready_driver(f, NULL);
    for (size_t i = 0; i < CW_ARRAY_LEN(STREAMS); i++) {
        struct result r;

        answer(f, "POST", PULL_PATH, 200, STREAMS[i]);
        r = create(f, CW_PULL_ALWAYS);
        assert_false(r.ok);
        assert_int_equal(r.failure, CW_CREATE_PULL);
        assert_non_null(strstr(r.err.msg, "docker pull"));
    }
    assert_int_equal(counter(f, "counter_invoker_docker_pull_error_total"), 3);
    assert_int_equal(counter(f, "counter_invoker_docker_run_start_total"), 0);
    assert_true(idle(f));
}

static void pull_line_without_end_fails_the_pull(void **state)
{
    struct fixture *f = *state;
    size_t n = 100 << 10;
    cw_auto_free char *line = cw_alloc(n + 1);
    struct result r;

    memset(line, ' ', n);
    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 200, line);
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PULL, CW_TOO_LARGE, "line over 65536 bytes");
}

static void refused_pull_is_the_images_fault_but_a_lost_engine_is_not(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.pull_ms = 60});
    answer(f, "POST", PULL_PATH, 404, "{\"message\":\"manifest unknown\"}");
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PULL, CW_NOT_FOUND, "pull img: 404: manifest unknown");
    act(f, "POST", PULL_PATH, SCRIPTED_HANG);
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PULL, CW_TIMEOUT, "pull img");
    act(f, "POST", PULL_PATH, SCRIPTED_RESET);
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_UNAVAILABLE, "pull img");
}

static void tolerated_pull_failure_is_forgotten_when_the_image_is_there(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 500, "{\"message\":\"registry away\"}");
    answer_create(f);
    assert_true(create(f, CW_PULL_TRY).ok);
}

static void tolerated_pull_failure_is_the_verdict_when_the_image_is_missing(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 500, "{\"message\":\"registry away\"}");
    answer(f, "POST", CREATE_PATH, 404, "{\"message\":\"No such image: img\"}");
    r = create(f, CW_PULL_TRY);
    assert_failed(&r, CW_CREATE_PULL, CW_NOT_FOUND, "No such image");
    /* any other failure of the run is the platform's */
    answer(f, "POST", PULL_PATH, 500, "{\"message\":\"registry away\"}");
    answer(f, "POST", CREATE_PATH, 500, "{\"message\":\"no space\"}");
    r = create(f, CW_PULL_TRY);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INTERNAL, "no space");
}

static void answer_second(struct fixture *f)
{
    answer(f, "POST", V "/containers/create?name=wsk00_2_b", 201, "{\"Id\":\"" ID2 "\"}");
    answer(f, "POST", V "/containers/" ID2 "/start", 204, NULL);
    answer(f, "GET", V "/containers/" ID2 "/json", 200, RUNNING);
}

static void pulls_of_one_image_at_the_same_time_are_one_request(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f}, b = {.f = f};

    ready_driver(f, NULL);
    act(f, "POST", PULL_PATH, SCRIPTED_STREAM);
    start_create(&a, NAME, CW_PULL_ALWAYS);
    wait_for_requests(f, 2);
    start_create(&b, "wsk00_2_b", CW_PULL_TRY);
    answer_create(f);
    answer_second(f);
    spin(f);
    assert_int_equal(scripted_http_count(f->peer), 2);
    (void)scripted_http_push(f->peer, PROGRESS, strlen(PROGRESS));
    scripted_http_finish(f->peer);
    wait_for(&a);
    wait_for(&b);
    assert_true(a.ok && b.ok);
    assert_int_equal(counter(f, "counter_invoker_docker_pull_start_total"), 1);
    /* later ones pull again */
    answer(f, "POST", PULL_PATH, 200, PROGRESS);
    answer_create(f);
    assert_true(create(f, CW_PULL_ALWAYS).ok);
}

static void merged_pull_goes_on_until_the_last_waiter_is_gone(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f}, b = {.f = f};

    ready_driver(f, NULL);
    scripted_http_drop(f->peer);
    act(f, "POST", PULL_PATH, SCRIPTED_STREAM);
    start_create(&a, NAME, CW_PULL_ALWAYS);
    start_create(&b, "wsk00_2_b", CW_PULL_ALWAYS);
    wait_for_requests(f, 2);
    cancel(&a);
    spin(f);
    assert_int_equal(scripted_http_open(f->peer), 1);
    cancel(&b);
    assert_true(cw_loop_run_until(f->loop, no_connection, f, WAIT_MS));
    assert_true(idle(f));
    assert_int_equal(a.calls + b.calls, 0);
}

static void waiter_may_cancel_another_one_when_their_pull_fails(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f}, b = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 200, DENIED);
    a.cancel = &b;
    start_create(&a, NAME, CW_PULL_ALWAYS);
    start_create(&b, "wsk00_2_b", CW_PULL_ALWAYS);
    wait_for(&a);
    spin(f);
    assert_int_equal(b.calls, 0);
}

static void waiter_may_free_the_driver_when_its_pull_fails(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f, .free_driver = true}, b = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 200, DENIED);
    start_create(&a, NAME, CW_PULL_ALWAYS);
    start_create(&b, "wsk00_2_b", CW_PULL_ALWAYS);
    wait_for(&a);
    spin(f);
    assert_int_equal(b.calls, 0);
}

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(handshake_decides_the_version_in_every_path),
        CASE(handshake_fails_when_no_engine_listens),
        CASE(handshake_fails_when_something_else_listens),
        CASE(settings_out_of_range_are_refused),
        CASE(engines_that_cannot_be_addressed_are_refused),
        CASE(engine_is_reached_over_tcp),
        CASE(create_makes_starts_and_finds_the_container),
        CASE(requests_that_change_something_use_fresh_connections),
        CASE(create_with_a_spec_that_cannot_work_fails_without_a_request),
        CASE(missing_managed_image_is_pulled_as_docker_run_does),
        CASE(missing_managed_image_that_cannot_be_had_is_a_platform_failure),
        CASE(image_that_is_missing_after_its_pull_fails_the_create),
        CASE(missing_network_is_no_missing_image),
        CASE(pull_of_a_missing_image_takes_no_place_in_the_queue),
        CASE(missing_executable_is_a_developer_failure_and_leaves_nothing),
        CASE(container_that_ended_with_127_is_a_developer_failure),
        CASE(container_that_ended_otherwise_is_a_platform_failure),
        CASE(container_without_address_is_removed),
        CASE(removal_of_what_failed_half_way_is_tried_until_it_works),
        CASE(removals_that_wait_are_tried_at_once_when_the_end_is_near),
        CASE(create_without_answer_is_removed_by_name_even_if_it_appears_late),
        CASE(slow_engine_runs_into_the_time_limit),
        CASE(create_goes_on_when_the_engine_is_restarted),
        CASE(patience_with_an_engine_out_of_reach_ends),
        CASE(create_that_is_cancelled_between_tries_leaves_nothing),
        CASE(answers_that_make_no_sense_fail_the_create_and_leave_nothing),
        CASE(oversized_answers_are_cut_off),
        CASE(half_an_answer_fails_the_create_and_leaves_nothing),
        CASE(container_left_under_the_name_is_replaced),
        CASE(name_that_is_taken_on_podman_is_replaced_too),
        CASE(name_that_stays_taken_fails_after_one_retry),
        CASE(name_whose_holder_cannot_be_removed_fails),
        CASE(name_that_another_cluster_holds_fails_and_its_container_stays),
        CASE(name_that_the_own_cluster_or_nobody_holds_is_replaced),
        CASE(create_cancelled_while_looking_whose_a_name_is_removes_nothing),
        CASE(image_is_pulled_before_the_create),
        CASE(pulls_carry_the_credentials_of_the_images_registry),
        CASE(credentials_that_change_count_at_the_next_pull),
        CASE(error_in_the_progress_stream_fails_the_pull),
        CASE(pull_line_without_end_fails_the_pull),
        CASE(refused_pull_is_the_images_fault_but_a_lost_engine_is_not),
        CASE(tolerated_pull_failure_is_forgotten_when_the_image_is_there),
        CASE(tolerated_pull_failure_is_the_verdict_when_the_image_is_missing),
        CASE(pulls_of_one_image_at_the_same_time_are_one_request),
        CASE(merged_pull_goes_on_until_the_last_waiter_is_gone),
        CASE(waiter_may_cancel_another_one_when_their_pull_fails),
        CASE(waiter_may_free_the_driver_when_its_pull_fails),
        CASE(creates_over_the_limit_wait_their_turn),
        CASE(cancelled_creates_in_the_queue_are_never_sent),
        CASE(pulling_takes_no_place_in_the_queue),
        CASE(create_cancelled_in_flight_is_removed_by_the_id_that_comes),
        CASE(create_cancelled_in_flight_that_fails_leaves_nothing_to_remove),
        CASE(create_cancelled_before_its_request_left_is_still_removed),
        CASE(create_cancelled_while_starting_or_inspecting_is_removed),
        CASE(create_cancelled_while_replacing_a_name_makes_nothing),
        CASE(cancelled_operations_never_call_back),
        CASE(driver_can_be_freed_with_everything_in_flight),
        CASE(callback_may_free_the_driver),
        CASE(output_is_followed_until_the_engine_ends_it),
        CASE(output_of_a_container_that_is_not_there_is_an_error),
        CASE(cancelled_output_is_silent),
        CASE(pause_and_resume_report_what_the_engine_says),
        CASE(pause_that_hangs_times_out),
        CASE(removal_of_what_is_gone_or_going_is_success),
        CASE(ids_that_could_change_the_url_are_refused),
        CASE(oom_flag_is_waited_for),
        CASE(exit_for_another_reason_ends_the_wait),
        CASE(killed_container_without_the_flag_is_no_oom_in_the_end),
        CASE(running_container_is_asked_for_two_seconds_at_most),
        CASE(kernels_count_tells_of_processes_that_the_engine_does_not_know),
        CASE(engine_is_asked_where_the_kernels_count_is_not_known),
        CASE(oom_question_about_nothing_is_answered_no),
        CASE(list_asks_with_an_anchored_filter_and_filters_again),
        CASE(list_of_everything_is_refused),
        CASE(list_that_makes_no_sense_is_an_error),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* the peer is hung up on in the middle of an answer */
    return cmocka_run_group_tests_name("docker_driver", tests, NULL, NULL);
}
