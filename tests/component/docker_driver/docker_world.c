#include "tests/component/docker_driver/docker_world.h"

#include "tests/support/cmocka_all.h"

#include <signal.h>

void answer(struct fixture *f, const char *method, const char *path, int status, const char *body)
{
    scripted_http_expect(
        f->peer,
        &(struct scripted_step){.method = method, .path = path, .status = status, .body = body});
}

void act(struct fixture *f, const char *method, const char *path, enum scripted_action action)
{
    scripted_http_expect(
        f->peer,
        &(struct scripted_step){.method = method, .path = path, .status = 200, .action = action});
}

void done_fn(void *arg, const struct cw_err *err)
{
    struct result *r = arg;

    assert_false(r->f->inside);
    r->calls++;
    r->ok = !err;
    if (err)
        r->err = *err;
}

void created_fn(void *arg, const struct cw_container *c, enum cw_create_failure failure,
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

void oom_fn(void *arg, bool oom)
{
    struct result *r = arg;

    done_fn(arg, NULL);
    r->oom = oom;
}

void listed_fn(void *arg, const struct cw_owned_container *list, size_t count,
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

void wait_for(struct result *r)
{
    if (!cw_loop_run_until(r->f->loop, called, r, WAIT_MS))
        fail_msg("no callback");
    assert_int_equal(r->calls, 1);
}

bool idle(void *arg)
{
    struct fixture *f = arg;

    return f->driver->ops->busy(f->driver) == 0;
}

void wait_for_idle(struct fixture *f)
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

void wait_for_requests(struct fixture *f, size_t count)
{
    struct until_count u = {f, count};

    if (!cw_loop_run_until(f->loop, has_count, &u, WAIT_MS))
        fail_msg("%zu requests, expected %zu", scripted_http_count(f->peer), count);
}

bool no_connection(void *arg)
{
    return scripted_http_open(((struct fixture *)arg)->peer) == 0;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void spin(struct fixture *f)
{
    (void)cw_loop_run_until(f->loop, never, NULL, 30);
}

struct result start_check(struct fixture *f)
{
    struct result r = {.f = f};

    f->inside = true;
    f->driver->ops->check(f->driver, done_fn, &r);
    f->inside = false;
    wait_for(&r);
    return r;
}

void use_driver(struct fixture *f, const struct cw_docker_conf *limits)
{
    struct cw_docker_conf conf = limits ? *limits : (struct cw_docker_conf){0};
    struct cw_err err = {0};

    conf.engine = scripted_http_unix_path(f->peer);
    conf.metrics = f->metrics;
    f->driver = cw_docker_driver_new(f->loop, f->http, &conf, &err);
    if (!f->driver)
        fail_msg("%s", err.msg);
}

void ready_driver(struct fixture *f, const struct cw_docker_conf *limits)
{
    use_driver(f, limits);
    answer(f, "GET", "/version", 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
    assert_true(start_check(f).ok);
}

int docker_setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    (void)signal(SIGPIPE, SIG_IGN); /* the peer is hung up on in the middle of an answer */
    f->loop = cw_loop_new(NULL, NULL);
    f->peer = scripted_http_new(f->loop, SCRIPTED_UNIX);
    f->http = cw_http_new(f->loop, &(struct cw_http_conf){0}, NULL);
    f->metrics = cw_metrics_new();
    assert_non_null(f->http);
    *state = f;
    return 0;
}

int docker_teardown(void **state)
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

struct cw_container_spec spec_of(const char *name, enum cw_pull_policy pull)
{
    return (struct cw_container_spec){
        .name = name, .image = "img", .pull = pull, .memory_mb = 256, .cpu_shares = 256};
}

void start_create(struct result *r, const char *name, enum cw_pull_policy pull)
{
    struct cw_container_spec spec = spec_of(name, pull);

    r->f->inside = true;
    r->call = r->f->driver->ops->create(r->f->driver, &spec, created_fn, r);
    r->f->inside = false;
    assert_non_null(r->call);
}

void cancel(struct result *r)
{
    r->f->driver->ops->cancel(r->f->driver, r->call);
}

struct result create(struct fixture *f, enum cw_pull_policy pull)
{
    struct result r = {.f = f};

    start_create(&r, NAME, pull);
    wait_for(&r);
    return r;
}

void assert_failed(const struct result *r, enum cw_create_failure failure, enum cw_code code,
                   const char *message_part)
{
    assert_false(r->ok);
    assert_int_equal(r->failure, failure);
    if (!strstr(r->err.msg, message_part))
        fail_msg("\"%s\" is not in \"%s\"", message_part, r->err.msg);
    assert_int_equal(r->err.code, code);
}

uint64_t counter(struct fixture *f, const char *name)
{
    return cw_counter_value(cw_metrics_counter(f->metrics, name, NULL, NULL));
}

uint64_t observed(struct fixture *f, const char *name)
{
    return cw_histogram_count(cw_metrics_histogram(f->metrics, name, NULL, NULL, NULL, 0));
}

const char *path_of(struct fixture *f, size_t i)
{
    return scripted_http_request(f->peer, i)->path;
}

void answer_create(struct fixture *f)
{
    answer(f, "POST", CREATE_PATH, 201, CREATED);
    answer(f, "POST", START_PATH, 204, NULL);
    answer(f, "GET", INSPECT_PATH, 200, RUNNING);
}

void answer_second(struct fixture *f)
{
    answer(f, "POST", V "/containers/create?name=wsk00_2_b", 201, "{\"Id\":\"" ID2 "\"}");
    answer(f, "POST", V "/containers/" ID2 "/start", 204, NULL);
    answer(f, "GET", V "/containers/" ID2 "/json", 200, RUNNING);
}
