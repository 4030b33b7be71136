/* Restarts of a service through the Docker driver: the container is removed and a new one created,
 * one after the other (replace); or the new one is created while the old one is removed (overlap);
 * or one that stands by takes the first connection, and its successor is created afterwards
 * (prewarmed).
 * One line of JSON for each round: what the whole took until the new one runs and has an address,
 * and each operation as the engine tells it, in microseconds.
 *
 * usage: restart_bench SOCKET IMAGE ROUNDS replace|overlap|prewarmed LOG_DRIVER */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/driver/docker_driver.h"
#include "common/http/action_client.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/lifecycle_times.h"

enum {
    WAIT_MS = 120000,
    PROBE_AGAIN_MS = 20,
    EVENTS_MS = 10000,
    MAX_ROUNDS = 10000,
    OPERATIONS = 6,
    MAX_NAME = 64
};

static const char *const NAMES[OPERATIONS] = {"create", "connect",    "start",
                                              "die",    "disconnect", "destroy"};

struct bench {
    struct cw_loop *loop;
    struct cw_driver *driver;
    const char *image, *log_driver;
    unsigned made;
    struct cw_container now;   /* the one that serves */
    struct cw_container spare; /* stands by */
    bool created, removed, overlap, prewarmed, watching, probed, listens;
    int64_t began_us, served_us;
    int64_t took_us[OPERATIONS]; /* -1: not told yet */
};

static void give_up(const char *what)
{
    (void)fprintf(stderr, "restart_bench: %s\n", what);
    exit(1);
}

static void on_operation(void *arg, const char *container, const char *operation, int64_t took_us)
{
    struct bench *b = arg;

    (void)container;
    for (size_t i = 0; i < OPERATIONS; i++)
        if (strcmp(operation, NAMES[i]) == 0)
            b->took_us[i] = took_us;
}

static void on_death(void *arg, const char *id, int64_t exit_code)
{
    (void)arg, (void)id, (void)exit_code;
}

static void on_engine(void *arg, const struct cw_err *err)
{
    if (err)
        give_up(err->msg);
    ((struct bench *)arg)->watching = true;
}

static void on_created(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    struct bench *b = arg;

    (void)failure;
    if (err)
        give_up(err->msg);
    b->now = *c;
    b->created = true;
    b->served_us = cw_loop_mono_us(b->loop);
}

static void create(struct bench *b)
{
    char name[MAX_NAME];
    const struct cw_container_spec spec = {.name = name,
                                           .image = b->image,
                                           .pull = CW_PULL_NEVER,
                                           .memory_mb = 256,
                                           .cpu_shares = 256,
                                           .log_driver = b->log_driver};

    (void)snprintf(name, sizeof(name), "restart_%d_%u", (int)getpid(), b->made++);
    (void)b->driver->ops->create(b->driver, &spec, on_created, b);
}

static void on_removed(void *arg, const struct cw_err *err)
{
    struct bench *b = arg;

    if (err)
        give_up(err->msg);
    b->removed = true;
    if (!b->overlap)
        create(b);
}

static bool is_watching(void *arg)
{
    return ((struct bench *)arg)->watching;
}

static bool is_created(void *arg)
{
    return ((struct bench *)arg)->created;
}

static bool is_over(void *arg)
{
    const struct bench *b = arg;

    return b->created && b->removed;
}

static bool is_told(void *arg)
{
    const struct bench *b = arg;

    for (size_t i = 0; i < OPERATIONS; i++)
        if (b->took_us[i] < 0)
            return false;
    return true;
}

static void wait_for(struct bench *b, bool (*done)(void *arg), const char *what)
{
    if (!cw_loop_run_until(b->loop, done, b, WAIT_MS))
        give_up(what);
}

static void forget_times(struct bench *b)
{
    for (size_t i = 0; i < OPERATIONS; i++)
        b->took_us[i] = -1;
}

static void restart(struct bench *b)
{
    struct cw_container old = b->now;

    b->created = b->removed = false;
    forget_times(b);
    b->began_us = cw_loop_mono_us(b->loop);
    if (b->overlap)
        create(b);
    (void)b->driver->ops->remove(b->driver, old.id, on_removed, b);
    wait_for(b, is_over, "a restart does not end");
    (void)cw_loop_run_until(b->loop, is_told, b, EVENTS_MS);
    (void)printf("{\"total\":%" PRId64, b->served_us - b->began_us);
    for (size_t i = 0; i < OPERATIONS; i++)
        if (b->took_us[i] >= 0)
            (void)printf(",\"%s\":%" PRId64, NAMES[i], b->took_us[i]);
    (void)printf("}\n");
    (void)fflush(stdout);
}

/* ---- prewarmed ---- */

static void on_probed(void *arg, const struct cw_action_reply *reply)
{
    struct bench *b = arg;

    b->probed = true;
    b->listens = reply->outcome == CW_ACTION_ANSWERED;
}

static bool is_probed(void *arg)
{
    return ((struct bench *)arg)->probed;
}

/* Does the spare take a connection? */
static bool probe(struct bench *b)
{
    struct cw_err err = {0};
    struct cw_action_client *client =
        cw_action_client_new(b->loop, b->spare.address, b->spare.port, 0, &err);

    if (!client)
        give_up(err.msg);
    b->probed = false;
    (void)cw_action_probe(client, WAIT_MS, on_probed, b);
    wait_for(b, is_probed, "a spare does not answer");
    cw_action_client_free(client);
    return b->listens;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void make_spare(struct bench *b)
{
    struct cw_container serving = b->now;

    b->created = false;
    create(b);
    wait_for(b, is_created, "a spare is not created");
    b->spare = b->now;
    b->now = serving;
    while (!probe(b)) /* it is still starting */
        (void)cw_loop_run_until(b->loop, never, NULL, PROBE_AGAIN_MS);
}

static void take_spare(struct bench *b)
{
    b->removed = false;
    b->began_us = cw_loop_mono_us(b->loop);
    if (!probe(b))
        give_up("a spare has gone");
    (void)printf("{\"total\":%" PRId64 "}\n", cw_loop_mono_us(b->loop) - b->began_us);
    (void)fflush(stdout);
    b->created = true;
    (void)b->driver->ops->remove(b->driver, b->now.id, on_removed, b);
    wait_for(b, is_over, "an old one is not removed");
    b->now = b->spare;
    make_spare(b);
}

static void drop_spare(struct bench *b)
{
    b->created = true;
    b->removed = false;
    (void)b->driver->ops->remove(b->driver, b->spare.id, on_removed, b);
    wait_for(b, is_over, "the last spare is not removed");
}

/* ---- all of it ---- */

static void run(struct bench *b, int64_t rounds)
{
    static const struct cw_driver_events EVENTS = {on_death, on_engine};
    struct cw_driver_call *watch = b->driver->ops->watch(b->driver, "restart_", &EVENTS, b);

    wait_for(b, is_watching, "the engine tells no events");
    create(b);
    wait_for(b, is_created, "the first container is not created");
    if (b->prewarmed)
        make_spare(b);
    for (int64_t i = 0; i < rounds; i++) {
        if (b->prewarmed)
            take_spare(b);
        else
            restart(b);
    }
    if (b->prewarmed)
        drop_spare(b);
    b->overlap = true; /* no successor */
    b->removed = false;
    (void)b->driver->ops->remove(b->driver, b->now.id, on_removed, b);
    wait_for(b, is_over, "the last container is not removed");
    b->driver->ops->cancel(b->driver, watch);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct cw_err err = {0};
    struct cw_metrics *metrics = cw_metrics_new();
    struct inv_lifecycle *times = inv_lifecycle_new(metrics, NULL);
    struct cw_docker_conf conf = {.on_moment = inv_lifecycle_moment, .on_moment_arg = times};
    struct cw_http *http;
    int64_t rounds = 0;

    if (argc != 6 ||
        cw_parse_i64(cw_slice_of(argv[3]), "ROUNDS", 1, MAX_ROUNDS, &rounds, &err) != 0)
        give_up("usage: restart_bench SOCKET IMAGE ROUNDS replace|overlap|prewarmed LOG_DRIVER");
    inv_lifecycle_listen(times, on_operation, &b);
    b.image = argv[2];
    b.prewarmed = strcmp(argv[4], "prewarmed") == 0;
    b.overlap = b.prewarmed || strcmp(argv[4], "overlap") == 0;
    b.log_driver = argv[5];
    b.loop = cw_loop_new(NULL, &err);
    http = b.loop ? cw_http_new(b.loop, &(struct cw_http_conf){0}, &err) : NULL;
    conf.engine = argv[1];
    b.driver = http ? cw_docker_driver_new(b.loop, http, &conf, &err) : NULL;
    if (!b.driver)
        give_up(err.msg);
    run(&b, rounds);
    cw_driver_free(b.driver);
    cw_http_free(http);
    cw_loop_free(b.loop);
    inv_lifecycle_free(times);
    cw_metrics_free(metrics);
    return 0;
}
