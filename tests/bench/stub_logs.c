#include "tests/bench/stub_logs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "tests/bench/stub_http.h"

enum { MAX_LINE = 1024, ID_LEN = 32, KEPT = 4096 };

static const char SENTINEL[] = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";

struct ended {
    char id[ID_LEN + 1];
    int64_t at_us;
};

/* Lines that are still to be written. */
struct late {
    struct cw_link link;
    int fd;
    char id[ID_LEN + 1];
    int64_t due_us;
};

struct stub_logs {
    int64_t delay_us;
    int timer_fd;
    struct stub_watch *watch;
    struct cw_list late; /* in order of their time, since all wait equally long */
    uint64_t count;
    struct ended ended[KEPT];
};

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* One write per line, as Docker's own logger does. */
static void write_line(int fd, const char *text, const char *stream, const char *time)
{
    char line[MAX_LINE];
    int n = snprintf(line, sizeof(line), "{\"log\":\"%s\\n\",\"stream\":\"%s\",\"time\":\"%s\"}\n",
                     text, stream, time);

    if (write(fd, line, (size_t)n) != n)
        perror("stub_world: write to a container's log");
}

static void write_time(char out[64])
{
    struct timespec now;
    struct tm tm;
    size_t n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    n = strftime(out, 64, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + n, 64 - n, ".%09ldZ", now.tv_nsec);
}

static void write_all(struct stub_logs *l, int fd, const char *id)
{
    struct ended *e = &l->ended[l->count++ % KEPT];
    char time[64];

    write_time(time);
    write_line(fd, "one line of the action", "stdout", time);
    write_line(fd, SENTINEL, "stdout", time);
    memcpy(e->id, id, sizeof(e->id));
    e->at_us = now_us();
    write_line(fd, SENTINEL, "stderr", time);
}

static void find_id(struct cw_slice call, char ret[ID_LEN + 1])
{
    static const char KEY[] = "\"activation_id\":\"";
    const char *p = call.n ? memmem(call.p, call.n, KEY, sizeof(KEY) - 1) : NULL;

    memset(ret, 0, ID_LEN + 1);
    if (p && (size_t)(call.p + call.n - p) >= sizeof(KEY) - 1 + ID_LEN)
        memcpy(ret, p + sizeof(KEY) - 1, ID_LEN);
}

static struct late *first_late(const struct stub_logs *l)
{
    struct cw_link *n = cw_list_first(&l->late);

    return n ? CW_LIST_ENTRY(n, struct late, link) : NULL;
}

static void arm(const struct stub_logs *l)
{
    const struct late *first = first_late(l);
    struct itimerspec at = {0};

    if (first)
        at.it_value = (struct timespec){.tv_sec = first->due_us / 1000000,
                                        .tv_nsec = first->due_us % 1000000 * 1000};
    (void)timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void drop(struct stub_logs *l, struct late *late)
{
    cw_list_remove(&l->late, &late->link);
    free(late);
}

static void on_timer(void *arg)
{
    struct stub_logs *l = arg;
    struct late *late;
    uint64_t ticks;

    (void)!read(l->timer_fd, &ticks, sizeof(ticks));
    while ((late = first_late(l)) && late->due_us <= now_us()) {
        write_all(l, late->fd, late->id);
        drop(l, late);
    }
    arm(l);
}

void stub_logs_write(struct stub_logs *l, int fd, struct cw_slice call)
{
    struct late *late;
    char id[ID_LEN + 1];

    find_id(call, id);
    if (l->delay_us == 0) {
        write_all(l, fd, id);
        return;
    }
    late = cw_alloc(sizeof(*late));
    late->fd = fd;
    late->due_us = now_us() + l->delay_us;
    memcpy(late->id, id, sizeof(id));
    cw_list_push_back(&l->late, &late->link);
    if (l->late.count == 1)
        arm(l);
}

void stub_logs_forget(struct stub_logs *l, int fd)
{
    struct cw_link *next;

    for (struct cw_link *n = cw_list_first(&l->late); n; n = next) {
        struct late *late = CW_LIST_ENTRY(n, struct late, link);

        next = cw_list_next(&l->late, n);
        if (late->fd == fd)
            drop(l, late);
    }
}

void stub_logs_show(const struct stub_logs *l, struct cw_str *out)
{
    cw_str_addz(out, "activation,sentinel\n");
    for (uint64_t n = l->count > KEPT ? l->count - KEPT : 0; n < l->count; n++)
        cw_str_addf(out, "%s,%" PRId64 "\n", l->ended[n % KEPT].id, l->ended[n % KEPT].at_us);
}

struct stub_logs *stub_logs_new(struct stub_server *server, int64_t delay_us, struct cw_err *err)
{
    struct stub_logs *l = cw_alloc(sizeof(*l));

    l->delay_us = delay_us;
    cw_list_init(&l->late);
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->timer_fd < 0)
        (void)cw_fail(err, CW_INTERNAL, "timerfd_create: %s", strerror(errno));
    else
        l->watch = stub_watch_new(server, l->timer_fd, on_timer, l, err);
    if (l->watch)
        return l;
    stub_logs_free(l);
    return NULL;
}

void stub_logs_free(struct stub_logs *l)
{
    struct late *late;

    if (!l)
        return;
    stub_watch_free(l->watch);
    while ((late = first_late(l)))
        drop(l, late);
    if (l->timer_fd >= 0)
        (void)close(l->timer_fd);
    free(l);
}
