/* What a look at a container costs, from the kernel's files and from the engine's interface.
 *
 * monitor_bench sample ROOT ROUNDS ID...           usage.h: each round looks at all, once each
 * monitor_bench api SOCKET QUERY ROUNDS ID...      GET /containers/ID/stats?QUERY of all at once
 * monitor_bench watch ROOT SECONDS MILLIS ID...    invoker/monitor as it is, at this interval
 * monitor_bench runs ROOT COUNT ID                 its two looks at a run, as often
 *
 * Prints one JSON object: nanoseconds of the wall clock for each look, and of this process's
 * processor time for each round. What the engine takes meanwhile is for the caller to see. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"

enum {
    MAX_IDS = 1000,
    MAX_ROUNDS = 100000,
    ANSWER_MS = 60000,
    READ_BYTES = 65536,
    PAUSE_US = 1200
};

static void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "monitor_bench: %s: %s\n", what, why);
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static unsigned long number(const char *text, unsigned long max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (!*text || *end || n == 0 || n > max)
        give_up(text, "not a number, or out of range");
    return n;
}

static void print_list(const char *name, const uint64_t *v, size_t count)
{
    (void)printf("\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        (void)printf("%s%" PRIu64, i ? "," : "", v[i]);
    (void)printf("]");
}

static void print_result(const uint64_t *wall, size_t looks, const uint64_t *cpu, size_t rounds)
{
    (void)printf("{");
    print_list("wall_ns", wall, looks);
    (void)printf(",");
    print_list("cpu_ns", cpu, rounds);
    (void)printf("}\n");
}

/* ---- by files ---- */

static int by_files(const char *root, size_t rounds, char **ids, size_t count)
{
    struct cw_usage_source *s = cw_usage_source_new(root, "/proc", NULL);
    struct cw_usage_group **groups = cw_calloc(count, sizeof(struct cw_usage_group *));
    uint64_t *wall = cw_calloc(rounds * count, sizeof(*wall)),
             *cpu = cw_calloc(rounds, sizeof(*cpu));
    struct cw_err err = {0};
    struct cw_usage u;

    for (size_t i = 0; i < count; i++) {
        groups[i] = cw_usage_open(s, ids[i], CW_USAGE_HOT, &err);
        if (!groups[i])
            give_up(ids[i], err.msg);
    }
    for (size_t r = 0; r < rounds; r++) {
        uint64_t cpu_began = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

        for (size_t i = 0; i < count; i++) {
            uint64_t began = clock_ns(CLOCK_MONOTONIC);

            if (cw_usage_sample(groups[i], CW_USAGE_HOT, &u, &err) != 0)
                give_up(ids[i], err.msg);
            wall[r * count + i] = clock_ns(CLOCK_MONOTONIC) - began;
        }
        cpu[r] = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_began;
    }
    print_result(wall, rounds * count, cpu, rounds);
    for (size_t i = 0; i < count; i++)
        cw_usage_close(groups[i]);
    cw_usage_source_free(s);
    free(groups);
    free(wall);
    free(cpu);
    return 0;
}

/* ---- by the engine ---- */

static int ask(const char *socket_path, const char *query, const char *id)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char request[512];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n;

    if (strlen(socket_path) >= sizeof(address.sun_path))
        give_up(socket_path, "too long");
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        give_up(socket_path, strerror(errno));
    n = snprintf(request, sizeof(request), /* 1.0: the connection ends with the answer */
                 "GET /containers/%s/stats?%s HTTP/1.0\r\nHost: docker\r\n\r\n", id, query);
    if (write(fd, request, (size_t)n) != n)
        give_up("write", strerror(errno));
    return fd;
}

/* true: the answer is complete. */
static bool read_some(int fd, bool *checked)
{
    static const char OK[] = "HTTP/1.0 200";
    char buf[READ_BYTES];
    ssize_t n = read(fd, buf, sizeof(buf));

    if (n < 0)
        give_up("read", strerror(errno));
    if (n > 0 && !*checked && ((size_t)n < sizeof(OK) - 1 || memcmp(buf, OK, sizeof(OK) - 1) != 0))
        give_up("the engine's answer", "is not 200");
    *checked = *checked || n > 0;
    if (n == 0 && !*checked)
        give_up("the engine's answer", "is empty");
    return n == 0;
}

static void ask_all(const char *socket_path, const char *query, char **ids, size_t count,
                    uint64_t *wall)
{
    struct pollfd *fds = cw_calloc(count, sizeof(*fds));
    bool *checked = cw_calloc(count, sizeof(*checked));
    uint64_t *began = cw_calloc(count, sizeof(*began));
    size_t left = count;

    for (size_t i = 0; i < count; i++) {
        began[i] = clock_ns(CLOCK_MONOTONIC);
        fds[i] = (struct pollfd){.fd = ask(socket_path, query, ids[i]), .events = POLLIN};
    }
    while (left) {
        if (poll(fds, count, ANSWER_MS) <= 0)
            give_up("the engine", "does not answer");
        for (size_t i = 0; i < count; i++)
            if (fds[i].fd >= 0 && fds[i].revents && read_some(fds[i].fd, &checked[i])) {
                wall[i] = clock_ns(CLOCK_MONOTONIC) - began[i];
                (void)close(fds[i].fd);
                fds[i].fd = -1;
                left--;
            }
    }
    free(fds);
    free(checked);
    free(began);
}

static int by_engine(const char *socket_path, const char *query, size_t rounds, char **ids,
                     size_t count)
{
    uint64_t *wall = cw_calloc(rounds * count, sizeof(*wall)),
             *cpu = cw_calloc(rounds, sizeof(*cpu));

    for (size_t r = 0; r < rounds; r++) {
        uint64_t began = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

        ask_all(socket_path, query, ids, count, wall + r * count);
        cpu[r] = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began;
    }
    print_result(wall, rounds * count, cpu, rounds);
    free(wall);
    free(cpu);
    return 0;
}

/* ---- the monitor ---- */

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void count_measured(void *arg, const struct inv_container_usage *c)
{
    *(size_t *)arg += c->group != NULL;
}

static int watch(const char *root, unsigned long seconds, unsigned long millis, char **ids,
                 size_t count)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_metrics *metrics = cw_metrics_new();
    struct inv_monitor *m = inv_monitor_new(&(struct inv_monitor_conf){
        .loop = loop,
        .metrics = metrics,
        .cgroup_root = root,
        .proc = "/proc",
        .interval_ms = (int64_t)millis,
    });
    struct cw_counter *samples;
    uint64_t cpu, wall, before;
    size_t measured = 0;

    for (size_t i = 0; i < count; i++)
        (void)inv_monitor_watch(m, ids[i], ids[i], 256 << 20);
    (void)cw_loop_run_until(loop, never, NULL, 1000); /* all have been looked at */
    inv_monitor_each(m, count_measured, &measured);
    if (measured != count)
        give_up(root, "not all containers can be seen there");
    samples = cw_metrics_counter(metrics, "cwhisk_monitor_samples_total", NULL, NULL);
    inv_monitor_refresh(m);
    before = cw_counter_value(samples);
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    wall = clock_ns(CLOCK_MONOTONIC);
    (void)cw_loop_run_until(loop, never, NULL, (int64_t)seconds * 1000);
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    inv_monitor_refresh(m);
    (void)printf("{\"cpu_ns\":%" PRIu64 ",\"wall_ns\":%" PRIu64 ",\"samples\":%" PRIu64 "}\n", cpu,
                 wall, cw_counter_value(samples) - before);
    inv_monitor_free(m);
    cw_metrics_free(metrics);
    cw_loop_free(loop);
    return 0;
}

static void set(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

/* What has been put off until now. */
static void turn(struct cw_loop *loop)
{
    struct cw_defer last;
    bool ran = false;

    cw_defer_init(&last, loop, set, &ran);
    cw_defer_post(&last);
    (void)cw_loop_run_until(loop, is_set, &ran, 1000);
}

static int runs(const char *root, size_t count, const char *id)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_metrics *metrics = cw_metrics_new();
    struct inv_monitor *m = inv_monitor_new(&(struct inv_monitor_conf){.loop = loop,
                                                                       .metrics = metrics,
                                                                       .cgroup_root = root,
                                                                       .proc = "/proc",
                                                                       .interval_ms = 250});
    struct inv_watched *w = inv_monitor_watch(m, id, id, 256 << 20);
    struct cw_counter *skipped =
        cw_metrics_counter(metrics, "cwhisk_monitor_runs_skipped_total", NULL, NULL);
    uint64_t cpu[2], began;

    for (int measured = 0; measured < 2; measured++) { /* turns alone first */
        began = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t i = 0; i < count; i++) {
            struct inv_meter *meter = measured ? inv_monitor_begin(w) : NULL;

            turn(loop);
            inv_monitor_end(meter, false);
            turn(loop);
            (void)usleep(PAUSE_US); /* so that all are measured */
        }
        cpu[measured] = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began;
    }
    (void)printf("{\"cpu_ns\":%" PRIu64 "}\n",
                 cw_usage_since(cpu[1], cpu[0]) / (count - cw_counter_value(skipped)));
    inv_monitor_forget(w);
    inv_monitor_free(m);
    cw_metrics_free(metrics);
    cw_loop_free(loop);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "sample") == 0 && argc - 4 <= MAX_IDS)
        return by_files(argv[2], number(argv[3], MAX_ROUNDS), argv + 4, (size_t)argc - 4);
    if (argc >= 6 && strcmp(argv[1], "api") == 0 && argc - 5 <= MAX_IDS)
        return by_engine(argv[2], argv[3], number(argv[4], MAX_ROUNDS), argv + 5, (size_t)argc - 5);
    if (argc >= 6 && strcmp(argv[1], "watch") == 0 && argc - 5 <= MAX_IDS)
        return watch(argv[2], number(argv[3], 3600), number(argv[4], 3600000), argv + 5,
                     (size_t)argc - 5);
    if (argc == 5 && strcmp(argv[1], "runs") == 0)
        return runs(argv[2], number(argv[3], MAX_ROUNDS), argv[4]);
    (void)fprintf(stderr, "usage: monitor_bench sample ROOT ROUNDS ID... | api SOCKET QUERY ROUNDS "
                          "ID... | watch ROOT SECONDS MILLIS ID... | "
                          "runs ROOT COUNT ID\n");
    return 2;
}
