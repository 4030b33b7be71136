#include "invoker/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#define COMPONENT "Invoker"

enum {
    LOOK_MS = 1000,
    /* Per container: two connections, its log's file or stream, one to the engine, five files of
       its control group. */
    PER_CONTAINER = 9,
    OURSELVES = 128, /* brokers, stores, engine, HTTP, logs, with the reserve */
};

struct inv_descriptors {
    struct inv_descriptors_conf conf;
    struct cw_timer timer;
    struct cw_gauge *gauge;
    struct cw_counter *times;
    bool is_short;
};

/* errno, or 0 when there are as many. */
static int lacks(int count)
{
    int fds[2 * INV_DESCRIPTORS_RESERVE] = {0};
    int got = 0, why = 0;

    while (got < count && why == 0) {
        int fd = open("/", O_PATH | O_CLOEXEC);

        if (fd >= 0)
            fds[got++] = fd;
        else
            why = errno;
    }
    while (got > 0)
        (void)close(fds[--got]);
    return why == EMFILE || why == ENFILE ? why : 0;
}

static void tell(const struct inv_descriptors *g, int why)
{
    struct rlimit limit = {0};

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (g->is_short)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT,
               "fewer than %d file descriptors are left (%s; the limit is %" PRIu64
               "): nothing new is taken until there are more",
               INV_DESCRIPTORS_RESERVE, strerror(why), (uint64_t)limit.rlim_cur);
    else
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "there are file descriptors again: going on");
}

/* Back only when there are clearly more, so that it does not go to and fro. */
static void on_look(void *arg)
{
    struct inv_descriptors *g = arg;
    int why = lacks(g->is_short ? 2 * INV_DESCRIPTORS_RESERVE : INV_DESCRIPTORS_RESERVE);

    cw_timer_set_ms(&g->timer, g->conf.look_ms ? g->conf.look_ms : LOOK_MS);
    if (g->is_short == (why != 0))
        return;
    g->is_short = why != 0;
    cw_gauge_set(g->gauge, g->is_short);
    if (g->is_short)
        cw_counter_add(g->times, 1);
    tell(g, why);
    g->conf.on_short(g->conf.arg, g->is_short);
}

struct inv_descriptors *inv_descriptors_new(const struct inv_descriptors_conf *conf)
{
    struct inv_descriptors *g = cw_alloc(sizeof(*g));

    g->conf = *conf;
    g->gauge = cw_metrics_gauge(conf->metrics, "cwhisk_descriptors_short", NULL,
                                "1 while nothing is taken for want of file descriptors.");
    g->times = cw_metrics_counter(conf->metrics, "cwhisk_descriptors_short_total", NULL,
                                  "How often file descriptors ran short.");
    cw_timer_init(&g->timer, conf->loop, on_look, g);
    cw_timer_set_ms(&g->timer, 0);
    return g;
}

void inv_descriptors_free(struct inv_descriptors *g)
{
    if (!g)
        return;
    cw_timer_done(&g->timer);
    free(g);
}

void inv_descriptors_raise(uint64_t containers)
{
    uint64_t need = containers * PER_CONTAINER + OURSELVES;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        (void)getrlimit(RLIMIT_NOFILE, &limit); /* as it is */
    if (limit.rlim_cur < need)
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "at most %" PRIu64 " file descriptors may be open: up to %" PRIu64
               " containers may need %" PRIu64 " (ulimit -n, LimitNOFILE=, --ulimit nofile)",
               (uint64_t)limit.rlim_cur, containers, need);
}
