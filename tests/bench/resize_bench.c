/* What it costs to change the CPU weight of a container that runs: by the kernel's file, by the
 * engine's update call, and by removing it and making a new one, in turn in each round. Then a
 * whole plan: solved, and written to a hundred groups with a process in each.
 *
 * usage: resize_bench SOCKET IMAGE [ROUNDS]     prints one line "NAME US US …" for each of: file,
 * update, recreate, plan. The image must be there. Control groups of version 1, or 2. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/resize/solver.h"
#include "invoker/resize/writer.h"

enum {
    WAIT_MS = 60000,
    DEFAULT_ROUNDS = 50,
    MAX_ROUNDS = 2000,
    RECREATE_EACH = 5,
    GROUPS = 100,
    PLANS = 200
};

static const char ROOT[] = "/sys/fs/cgroup";

struct bench {
    struct cw_loop *loop;
    struct cw_http *http;
    struct cw_metrics *metrics;
    struct cw_driver *driver;
    struct inv_writer *writer;
    const char *image;
    struct cw_container made;
    unsigned names;
    bool done;
};

static void give_up(const char *what)
{
    (void)fprintf(stderr, "resize_bench: %s\n", what);
    exit(1);
}

static void print(const char *name, const int64_t *us, size_t count)
{
    (void)printf("%s", name);
    for (size_t i = 0; i < count; i++)
        (void)printf(" %" PRId64, us[i]);
    (void)printf("\n");
}

static int64_t now_us(void)
{
    return cw_clock_mono_us(cw_clock_system());
}

/* ---- one container ---- */

static void on_done(void *arg, const struct cw_err *err)
{
    if (err)
        give_up(err->msg);
    ((struct bench *)arg)->done = true;
}

static void on_created(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    (void)failure;
    on_done(arg, err);
    ((struct bench *)arg)->made = *c;
}

static bool is_done(void *arg)
{
    return ((struct bench *)arg)->done;
}

static void await(struct bench *b)
{
    if (!cw_loop_run_until(b->loop, is_done, b, WAIT_MS))
        give_up("the engine does not answer");
    b->done = false;
}

static void create(struct bench *b, uint32_t shares)
{
    char name[64];
    const struct cw_container_spec spec = {
        .name = name, .image = b->image, .memory_mb = 128, .cpu_shares = shares};

    (void)snprintf(name, sizeof(name), "cwbench%d_%u", (int)getpid(), ++b->names);
    (void)b->driver->ops->create(b->driver, &spec, on_created, b);
    await(b);
}

static void drop(struct bench *b)
{
    (void)b->driver->ops->remove(b->driver, b->made.id, on_done, b);
    await(b);
}

static struct cw_control *open_group(struct bench *b, const char *id)
{
    struct cw_err err = {0};
    struct cw_control *c = inv_writer_open(b->writer, id, &err);

    if (!c)
        give_up(err.msg);
    return c;
}

static void write_weight(struct bench *b, struct cw_control *c, int64_t weight)
{
    if (!cw_control_is_set(
            inv_writer_write(b->writer, c, "bench", INV_LIMIT_CPU_WEIGHT, weight, NULL)))
        give_up("a weight cannot be written");
}

static void one_container(struct bench *b, size_t rounds)
{
    int64_t *file = cw_calloc(rounds, sizeof(*file)), *update = cw_calloc(rounds, sizeof(*update)),
            *again = cw_calloc(rounds / RECREATE_EACH + 1, sizeof(*again));
    size_t recreated = 0;
    struct cw_control *c;

    create(b, 256);
    c = open_group(b, b->made.id);
    for (size_t i = 0; i < rounds; i++) {
        const struct cw_driver_limits limits = {.cpu_shares = 300 + (uint32_t)(i % 100)};

        file[i] = now_us();
        write_weight(b, c, 100 + (int64_t)(i % 100));
        file[i] = now_us() - file[i];
        update[i] = now_us();
        (void)b->driver->ops->update(b->driver, b->made.id, &limits, on_done, b);
        await(b);
        update[i] = now_us() - update[i];
        if (i % RECREATE_EACH)
            continue;
        again[recreated] = now_us();
        drop(b);
        create(b, 256);
        again[recreated] = now_us() - again[recreated];
        recreated++;
        cw_control_free(c);
        c = open_group(b, b->made.id);
    }
    drop(b);
    cw_control_free(c);
    print("file", file, rounds);
    print("update", update, rounds);
    print("recreate", again, recreated);
    free(file);
    free(update);
    free(again);
}

/* ---- a plan for a hundred ---- */

struct group {
    char id[65], folder[256];
    struct cw_control *control;
    pid_t pid;
};

static pid_t sleeper(const char *folder)
{
    char path[300];
    pid_t pid = fork();
    FILE *f;

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(STDOUT_FILENO);
        (void)pause();
        _exit(0);
    }
    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
    f = pid > 0 ? fopen(path, "w") : NULL;
    if (!f || fprintf(f, "%d", (int)pid) < 0 || fclose(f) != 0)
        give_up("a process cannot be put into a group");
    return pid;
}

static void make_group(struct bench *b, struct group *g, const char *parent, int n)
{
    (void)snprintf(g->id, sizeof(g->id), "%064x", 0xbe0000 + n);
    (void)snprintf(g->folder, sizeof(g->folder), "%s/%s", parent, g->id);
    if (mkdir(g->folder, 0755) != 0)
        give_up("no control groups can be made");
    g->pid = sleeper(g->folder);
    g->control = open_group(b, g->id);
}

static void remove_group(struct group *g)
{
    cw_control_free(g->control);
    (void)kill(g->pid, SIGKILL);
    (void)waitpid(g->pid, NULL, 0);
    (void)rmdir(g->folder);
}

/* A guaranteed container comes (plans of even number), and goes: everybody else changes. */
static int64_t run_plan(struct bench *b, struct group *groups, int64_t *now, int number, bool is_v2)
{
    const struct inv_cpu_rule rule = {.min = is_v2 ? CW_WEIGHT_MIN : CW_SHARES_MIN,
                                      .max = is_v2 ? CW_WEIGHT_MAX : CW_SHARES_MAX,
                                      .budget = is_v2 ? 1000 : 10240,
                                      .reserved_ppm = 100000};
    int64_t begun_us = now_us(), wanted[GROUPS];
    struct inv_cpu_part parts[GROUPS];
    size_t i, written = 0;

    for (i = 0; i < GROUPS; i++)
        parts[i] = (struct inv_cpu_part){.own = 64};
    parts[0].guarantee_ppm = number % 2 ? 600000 : 300000;
    if (inv_cpu_solve(&rule, parts, GROUPS) != INV_CPU_FITS)
        give_up("the plan does not fit");
    for (i = 0; i < GROUPS; i++)
        wanted[i] = parts[i].weight;
    while ((i = inv_cpu_next(now, wanted, GROUPS)) < GROUPS) {
        write_weight(b, groups[i].control, wanted[i]);
        now[i] = wanted[i];
        written++;
    }
    if (written != GROUPS)
        give_up("the plan did not change every group");
    return now_us() - begun_us;
}

static void many_groups(struct bench *b)
{
    struct group *groups = cw_calloc(GROUPS, sizeof(*groups));
    int64_t us[PLANS], now[GROUPS] = {0};
    enum cw_cgroup_version version;
    char parent[64];

    if (!cw_control_root_version(ROOT, &version))
        give_up("no control groups are to be seen");
    (void)snprintf(parent, sizeof(parent), "%s%s/docker", ROOT,
                   version == CW_CGROUP_V1 ? "/cpu" : "");
    for (int i = 0; i < GROUPS; i++)
        make_group(b, &groups[i], parent, i);
    for (int i = 0; i < PLANS; i++)
        us[i] = run_plan(b, groups, now, i, version == CW_CGROUP_V2);
    for (int i = 0; i < GROUPS; i++)
        remove_group(&groups[i]);
    print("plan", us, PLANS);
    free(groups);
}

int main(int argc, char **argv)
{
    struct cw_docker_conf conf = {0};
    int64_t rounds = DEFAULT_ROUNDS;
    struct bench b = {0};
    struct cw_err err = {0};

    if (argc < 3 || argc > 4 ||
        (argc == 4 && cw_parse_i64(cw_slice_of(argv[3]), "ROUNDS", 1, MAX_ROUNDS, &rounds, &err)))
        give_up(err.code ? err.msg : "usage: resize_bench SOCKET IMAGE [ROUNDS]");
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_ERROR, .fd = STDERR_FILENO});
    b.image = argv[2];
    b.loop = cw_loop_new(NULL, &err);
    b.http = b.loop ? cw_http_new(b.loop, &(struct cw_http_conf){0}, &err) : NULL;
    b.metrics = cw_metrics_new();
    conf = (struct cw_docker_conf){.engine = argv[1], .metrics = b.metrics};
    b.driver = b.http ? cw_docker_driver_new(b.loop, b.http, &conf, &err) : NULL;
    if (!b.driver)
        give_up(err.msg);
    b.writer = inv_writer_new(&(struct inv_writer_conf){.clock = cw_clock_system(),
                                                        .metrics = b.metrics,
                                                        .cgroup_root = ROOT,
                                                        .sysfs = "/sys",
                                                        .files = &CW_CONTROL_KERNEL});
    one_container(&b, (size_t)rounds);
    many_groups(&b);
    inv_writer_free(b.writer);
    cw_driver_free(b.driver);
    cw_http_free(b.http);
    cw_metrics_free(b.metrics);
    cw_loop_free(b.loop);
    return 0;
}
