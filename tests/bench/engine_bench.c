/* What the container engine costs, and what goes on around it: resuming a container by the kernel's
 * files and by the engine, one after the other in each round; and creating one, of which the
 * engine's own two commands (create, start) are taken off.
 *
 * usage: engine_bench SOCKET IMAGE [ROUNDS]     the image must be there and must listen on 8080 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/cgroup/freezer.h"
#include "common/driver/docker_driver.h"
#include "common/http/action_client.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"

enum { WAIT_MS = 60000, DEFAULT_ROUNDS = 100, MAX_ROUNDS = 10000, CREATES = 20, EVENTS_MS = 50 };

struct bench {
    struct cw_loop *loop;
    struct cw_http *http;
    struct cw_metrics *metrics;
    struct cw_freezer *freezer;
    const char *socket, *image;
    bool done;
    struct cw_container made;
};

static void give_up(const char *what)
{
    (void)fprintf(stderr, "engine_bench: %s\n", what);
    exit(1);
}

static int freeze(void *arg, const char *id)
{
    return cw_freezer_freeze(arg, id);
}

static int thaw(void *arg, const char *id, struct cw_err *err)
{
    return cw_freezer_thaw(arg, id, err);
}

static void release(void *arg, const char *id)
{
    cw_freezer_release(arg, id);
}

static struct cw_driver *make_driver(struct bench *b, bool by_file)
{
    struct cw_docker_conf conf = {.engine = b->socket, .metrics = b->metrics};
    struct cw_err err = {0};
    struct cw_driver *d;

    if (by_file)
        conf.freezer = (struct cw_docker_freezer){freeze, thaw, release, b->freezer};
    d = cw_docker_driver_new(b->loop, b->http, &conf, &err);
    if (!d)
        give_up(err.msg);
    return d;
}

/* ---- waiting ---- */

static void on_done(void *arg, const struct cw_err *err)
{
    struct bench *b = arg;

    if (err)
        give_up(err->msg);
    b->done = true;
}

static void on_created(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    struct bench *b = arg;

    (void)failure;
    on_done(b, err);
    b->made = *c;
}

static void on_probed(void *arg, const struct cw_action_reply *reply)
{
    struct bench *b = arg;

    if (reply->outcome != CW_ACTION_ANSWERED)
        give_up(reply->why);
    b->done = true;
}

static bool is_done(void *arg)
{
    return ((struct bench *)arg)->done;
}

/* Microseconds since begun_us, when the operation under way has ended. */
static int64_t await(struct bench *b, int64_t begun_us)
{
    if (!cw_loop_run_until(b->loop, is_done, b, WAIT_MS))
        give_up("no answer");
    return cw_loop_mono_us(b->loop) - begun_us;
}

typedef struct cw_driver_call *verb_fn(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                       void *arg);

static int64_t run_verb(struct bench *b, struct cw_driver *d, verb_fn *verb)
{
    int64_t begun_us = cw_loop_mono_us(b->loop);

    b->done = false;
    (void)verb(d, b->made.id, on_done, b);
    return await(b, begun_us);
}

static int64_t create(struct bench *b, struct cw_driver *d, int n)
{
    char name[64];
    const struct cw_container_spec spec = {
        .name = name, .image = b->image, .memory_mb = 128, .cpu_shares = 64};
    int64_t begun_us = cw_loop_mono_us(b->loop);

    (void)snprintf(name, sizeof(name), "cwbench%d_%d", (int)getpid(), n);
    b->done = false;
    (void)d->ops->create(d, &spec, on_created, b);
    return await(b, begun_us);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Docker learns of a pause a second time, by containerd's event, and takes that for a new one when
 * the container has been resumed in between. */
static void let_events_pass(struct bench *b)
{
    (void)cw_loop_run_until(b->loop, never, NULL, EVENTS_MS);
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double ms_at(int64_t *sorted, int count, int percent)
{
    return (double)sorted[(count - 1) * percent / 100] / 1000;
}

static double show(const char *what, int64_t *times_us, int count)
{
    qsort(times_us, (size_t)count, sizeof(*times_us), compare);
    (void)printf("%-44s p50 %8.3f ms  p99 %8.3f ms  (%d)\n", what, ms_at(times_us, count, 50),
                 ms_at(times_us, count, 99), count);
    return ms_at(times_us, count, 50);
}

/* Seconds that a command of the engine has taken so far, all together. */
static double seconds_of(struct bench *b, const char *cmd)
{
    cw_auto_str struct cw_str text;
    char name[96];
    const char *at;

    cw_str_init(&text, 1 << 20);
    cw_metrics_render(b->metrics, &text);
    (void)snprintf(name, sizeof(name), "\nhistogram_invoker_docker_%s_finish_seconds_sum ", cmd);
    at = strstr(text.p, name);
    return at ? strtod(at + strlen(name), NULL) : 0;
}

static void bench_resume(struct bench *b, int rounds)
{
    struct cw_driver *by_file = make_driver(b, true), *by_engine = make_driver(b, false);
    int64_t *file_us = cw_calloc((size_t)rounds, sizeof(*file_us));
    int64_t *engine_us = cw_calloc((size_t)rounds, sizeof(*engine_us));
    double file, engine;

    (void)create(b, by_engine, 0);
    for (int i = 0; i < rounds; i++) {
        (void)run_verb(b, by_file, by_file->ops->pause);
        file_us[i] = run_verb(b, by_file, by_file->ops->resume);
        (void)run_verb(b, by_engine, by_engine->ops->pause);
        let_events_pass(b);
        engine_us[i] = run_verb(b, by_engine, by_engine->ops->resume);
        let_events_pass(b);
    }
    (void)run_verb(b, by_engine, by_engine->ops->remove);
    file = show("resume by the freezer file", file_us, rounds);
    engine = show("resume by the engine", engine_us, rounds);
    (void)printf("%-44s %.0f times\n", "the file is faster (medians)", engine / file);
    free(file_us);
    free(engine_us);
    cw_driver_free(by_file);
    cw_driver_free(by_engine);
}

static int64_t until_it_listens(struct bench *b)
{
    struct cw_err err = {0};
    struct cw_action_client *client =
        cw_action_client_new(b->loop, b->made.address, b->made.port, 0, &err);
    const struct cw_action_request req = {.path = "/none",
                                          .timeout_ms = WAIT_MS,
                                          .retry_connect_ms = 2,
                                          .connect_within_ms = 1000,
                                          .max_response = 1 << 16,
                                          .truncate_to = 1 << 16};
    int64_t begun_us = cw_loop_mono_us(b->loop), took;

    if (!client)
        give_up(err.msg);
    b->done = false;
    (void)cw_action_post(client, &req, on_probed, b);
    took = await(b, begun_us);
    cw_action_client_free(client);
    return took;
}

static void bench_create(struct bench *b)
{
    struct cw_driver *d = make_driver(b, true);
    int64_t engine_us[CREATES], inspect_us[CREATES], beyond_us[CREATES], boot_us[CREATES];

    for (int i = 0; i < CREATES; i++) {
        double run = seconds_of(b, "run"), inspect = seconds_of(b, "inspect");
        int64_t all = create(b, d, i + 1);

        engine_us[i] = (int64_t)((seconds_of(b, "run") - run) * 1e6);
        inspect_us[i] = (int64_t)((seconds_of(b, "inspect") - inspect) * 1e6);
        beyond_us[i] = all - engine_us[i];
        boot_us[i] = until_it_listens(b);
        (void)run_verb(b, d, d->ops->remove);
    }
    (void)show("the engine's create and start", engine_us, CREATES);
    (void)show("beyond it, until the address is known", beyond_us, CREATES);
    (void)show("  of which asking the engine for it", inspect_us, CREATES);
    (void)show("from there until the program answers", boot_us, CREATES);
    cw_driver_free(d);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    int64_t rounds = DEFAULT_ROUNDS;
    struct cw_err err = {0};

    if (argc < 3 || argc > 4 ||
        (argc == 4 && cw_parse_i64(cw_slice_of(argv[3]), "ROUNDS", 1, MAX_ROUNDS, &rounds, &err)))
        give_up(err.code ? err.msg : "usage: engine_bench SOCKET IMAGE [ROUNDS]");
    b.socket = argv[1];
    b.image = argv[2];
    b.loop = cw_loop_new(NULL, &err);
    b.http = b.loop ? cw_http_new(b.loop, &(struct cw_http_conf){0}, &err) : NULL;
    if (!b.http)
        give_up(err.msg);
    b.metrics = cw_metrics_new();
    b.freezer = cw_freezer_new("/sys/fs/cgroup", NULL);
    bench_resume(&b, (int)rounds);
    bench_create(&b);
    cw_freezer_free(b.freezer);
    cw_http_free(b.http);
    cw_metrics_free(b.metrics);
    cw_loop_free(b.loop);
    return 0;
}
