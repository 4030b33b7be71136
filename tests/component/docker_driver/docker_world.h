/* A Docker driver against a scripted engine on a Unix socket. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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

#define NO_IMAGE "{\"message\":\"No such image: img:latest\"}"
#define PROGRESS "{\"status\":\"Pulling from img\"}\r\n{\"status\":\"Done\"}\r\n"
#define CONFLICT "{\"message\":\"Conflict. The container name is already in use\"}"

enum { WAIT_MS = 20000 };

struct fixture {
    struct cw_loop *loop;
    struct scripted_http *peer;
    struct cw_http *http;
    struct cw_metrics *metrics;
    struct cw_driver *driver;
    struct cw_timer timer; /* the test's own */
    bool inside;           /* a driver function is on the stack: no callback may come */
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

void answer(struct fixture *f, const char *method, const char *path, int status, const char *body);
void act(struct fixture *f, const char *method, const char *path, enum scripted_action action);
void done_fn(void *arg, const struct cw_err *err);
void created_fn(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                const struct cw_err *err);
void oom_fn(void *arg, bool oom);
void listed_fn(void *arg, const struct cw_owned_container *list, size_t count,
               const struct cw_err *err);
void wait_for(struct result *r);
bool idle(void *arg);
/* Background work has ended and every expected request has come. */
void wait_for_idle(struct fixture *f);
void wait_for_requests(struct fixture *f, size_t count);
bool no_connection(void *arg);
/* Turns of the loop in which nothing should happen. */
void spin(struct fixture *f);
struct result start_check(struct fixture *f);
void use_driver(struct fixture *f, const struct cw_docker_conf *limits);
/* A driver with the handshake behind it; its request is number 0. */
void ready_driver(struct fixture *f, const struct cw_docker_conf *limits);
struct cw_container_spec spec_of(const char *name, enum cw_pull_policy pull);
void start_create(struct result *r, const char *name, enum cw_pull_policy pull);
void cancel(struct result *r);
struct result create(struct fixture *f, enum cw_pull_policy pull);
void assert_failed(const struct result *r, enum cw_create_failure failure, enum cw_code code,
                   const char *message_part);
uint64_t counter(struct fixture *f, const char *name);
uint64_t observed(struct fixture *f, const char *name);
const char *path_of(struct fixture *f, size_t i);
/* The engine makes, starts and shows ID; ID2. */
void answer_create(struct fixture *f);
void answer_second(struct fixture *f);
int docker_setup(void **state);
int docker_teardown(void **state);

#define DOCKER_CASE(name) cmocka_unit_test_setup_teardown(name, docker_setup, docker_teardown)
