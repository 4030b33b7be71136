/* An engine, or what sits on its socket, that answers nonsense without end. */
#include "tests/component/docker_driver/docker_world.h"

#include "tests/support/cmocka_all.h"

#include <stdio.h>

#define HTML "<html><body><h1>502 Bad Gateway</h1></body></html>"

static void push_progress(void *arg)
{
    struct fixture *f = arg;
    static const char LINE[] = "{\"status\":\"Downloading\",\"progress\":\"[=>  ]\"}\r\n";

    (void)scripted_http_push(f->peer, LINE, sizeof(LINE) - 1);
    cw_timer_set_ms(&f->timer, 1);
}

static void pull_that_never_ends_runs_into_its_time_limit(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.pull_ms = 200});
    act(f, "POST", PULL_PATH, SCRIPTED_STREAM);
    cw_timer_init(&f->timer, f->loop, push_progress, f);
    cw_timer_set_ms(&f->timer, 0);
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PULL, CW_TIMEOUT, "pull img");
    cw_timer_done(&f->timer);
}

static void page_of_a_proxy_is_no_answer_to_any_step(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
    } STEPS[] = {{"POST", START_PATH, 204}, {"GET", INSPECT_PATH, 200}};
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    for (size_t bad = 0; bad < CW_ARRAY_LEN(STEPS); bad++) {
        answer(f, "POST", CREATE_PATH, 201, CREATED);
        for (size_t i = 0; i < bad; i++)
            answer(f, STEPS[i].method, STEPS[i].path, STEPS[i].status, NULL);
        answer(f, STEPS[bad].method, STEPS[bad].path, 200, HTML);
        answer(f, "DELETE", REMOVE_PATH, 204, NULL);
        r = create(f, CW_PULL_NEVER);
        assert_false(r.ok);
        assert_int_equal(r.failure, CW_CREATE_PLATFORM);
        assert_null(strchr(r.err.msg, '\n'));
        wait_for_idle(f);
    }
}

static void container_with_an_impossible_address_or_log_is_removed(void **state)
{
    static const char *const INSPECTED[] = {
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"bridge\":"
        "{\"IPAddress\":\"metadata.example\"}}}}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"bridge\":"
        "{\"IPAddress\":\"0.0.0.0\"}}}}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"bridge\":"
        "{\"IPAddress\":[10,1,2,3]}}}}",
        "{\"State\":{\"Running\":true},\"LogPath\":\"../../etc/shadow\",\"NetworkSettings\":"
        "{\"Networks\":{\"bridge\":{\"IPAddress\":\"10.1.2.3\"}}}}",
        "{\"State\":{\"Running\":true,\"Running\":false}}",
    };
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    for (size_t i = 0; i < CW_ARRAY_LEN(INSPECTED); i++) {
        answer(f, "POST", CREATE_PATH, 201, CREATED);
        answer(f, "POST", START_PATH, 204, NULL);
        answer(f, "GET", INSPECT_PATH, 200, INSPECTED[i]);
        answer(f, "DELETE", REMOVE_PATH, 204, NULL);
        r = create(f, CW_PULL_NEVER);
        assert_failed(&r, CW_CREATE_PLATFORM, CW_INVALID, "docker inspect");
        wait_for_idle(f);
    }
}

static void broken_chunks_and_lengths_end_the_operation(void **state)
{
    static const char *const RAW[] = {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n[",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n[]",
        "[]",
    };
    struct fixture *f = *state;

    ready_driver(f, NULL);
    for (size_t i = 0; i < CW_ARRAY_LEN(RAW); i++) {
        struct result r = {.f = f};

        scripted_http_expect(
            f->peer, &(struct scripted_step){
                         .method = "GET", .path = NULL, .raw = RAW[i], .action = SCRIPTED_CLOSE});
        r.call = f->driver->ops->list(f->driver, "wsk00_", listed_fn, &r);
        wait_for(&r);
        assert_false(r.ok);
        assert_null(strchr(r.err.msg, '\n'));
    }
}

static void headers_without_end_end_the_operation(void **state)
{
    enum { HEADERS = 20000 };
    struct fixture *f = *state;
    struct result r = {.f = f};
    struct cw_str raw;

    cw_str_init(&raw, 1 << 22);
    cw_str_addz(&raw, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < HEADERS; i++)
        cw_str_addf(&raw, "X-%d: 0123456789\r\n", i);
    ready_driver(f, NULL);
    scripted_http_expect(f->peer, &(struct scripted_step){.raw = raw.p, .raw_len = raw.n});
    r.call = f->driver->ops->list(f->driver, "wsk00_", listed_fn, &r);
    wait_for(&r);
    assert_int_equal(r.err.code, CW_TOO_LARGE);
    cw_str_done(&raw);
}

static void text_of_an_error_stays_one_line(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", V "/containers/" ID "/pause", 500,
           "{\"message\":\"a\\r\\n[2026-01-01T00:00:00.000Z] [ERROR] forged\\u001b[2J\"}");
    r.call = f->driver->ops->pause(f->driver, ID, done_fn, &r);
    wait_for(&r);
    assert_false(r.ok);
    assert_null(strpbrk(r.err.msg, "\r\n\x1b"));
    assert_non_null(strstr(r.err.msg, "forged"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(pull_that_never_ends_runs_into_its_time_limit),
        DOCKER_CASE(page_of_a_proxy_is_no_answer_to_any_step),
        DOCKER_CASE(container_with_an_impossible_address_or_log_is_removed),
        DOCKER_CASE(broken_chunks_and_lengths_end_the_operation),
        DOCKER_CASE(headers_without_end_end_the_operation),
        DOCKER_CASE(text_of_an_error_stays_one_line),
    };

    return cmocka_run_group_tests_name("docker_hostile", tests, NULL, NULL);
}
