#include "common/bus/kafka_priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

enum {
    EVENTS = RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_REBALANCE |
             RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_LOG,
    MIN_TICK_MS = 100,
    BACK_MS = 500, /* less is how clocks are usually corrected */
    MAX_TICK_MS = 10000,
};

static void on_wake(void *arg)
{
    struct kafka_client *c = arg;
    uint64_t tokens;

    (void)!read(c->wake_fd, &tokens, sizeof(tokens));
    c->drain(c->arg);
}

static void on_again(void *arg)
{
    struct kafka_client *c = arg;

    c->drain(c->arg);
}

/* librdkafka's threads sleep until a moment of the wall clock. When that is set back by an hour,
 * one that sleeps does so for an hour more unless it is woken: a consumer sends no heartbeats then,
 * and leaves its group. A question wakes its main thread; a producer's threads are woken by each
 * message. */
static void wake_if_time_went_back(struct kafka_client *c)
{
    int64_t ahead_ms = cw_loop_wall_ms(c->loop) - cw_loop_mono_us(c->loop) / 1000;
    bool back = ahead_ms < c->wall_ahead_ms - BACK_MS;
    char *id;

    c->wall_ahead_ms = ahead_ms;
    if (back && c->is_consumer && (id = rd_kafka_memberid(c->rk)))
        rd_kafka_mem_free(c->rk, id);
}

/* Wake-ups alone are not enough: librdkafka takes a consumer whose queues nobody polls for dead
 * after max.poll.interval.ms, even when there is nothing to consume. */
static void on_tick(void *arg)
{
    struct kafka_client *c = arg;

    cw_timer_set_ms(&c->tick, c->tick_ms);
    wake_if_time_went_back(c);
    c->drain(c->arg);
}

static int64_t tick_ms(const rd_kafka_conf_t *conf, rd_kafka_type_t type)
{
    int64_t third = MAX_TICK_MS;

    if (type == RD_KAFKA_CONSUMER)
        third = kafka_conf_get(conf, "max.poll.interval.ms") / 3;
    if (third < MIN_TICK_MS)
        return MIN_TICK_MS;
    return third < MAX_TICK_MS ? third : MAX_TICK_MS;
}

static int open_instance(struct kafka_client *c, rd_kafka_type_t type, CW_TAKES rd_kafka_conf_t *rc,
                         struct cw_err *err)
{
    char why[160];

    rd_kafka_conf_set_events(rc, EVENTS);
    c->tick_ms = tick_ms(rc, type);
    if (!(c->rk = rd_kafka_new(type, rc, why, sizeof(why)))) {
        rd_kafka_conf_destroy(rc); /* taken only on success */
        return cw_fail(err, CW_INVALID, "kafka: %s", why);
    }
    if (type == RD_KAFKA_CONSUMER)
        (void)rd_kafka_poll_set_consumer(c->rk);
    (void)rd_kafka_set_log_queue(c->rk, NULL);
    c->queue = type == RD_KAFKA_CONSUMER ? rd_kafka_queue_get_consumer(c->rk)
                                         : rd_kafka_queue_get_main(c->rk);
    return 0;
}

int kafka_client_open(struct kafka_client *c, struct cw_loop *loop, rd_kafka_type_t type,
                      CW_TAKES rd_kafka_conf_t *conf, cw_loop_fn *drain, void *arg,
                      struct cw_err *err)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0) {
        rd_kafka_conf_destroy(conf);
        return cw_fail_errno(err, errno, "kafka: eventfd");
    }
    if (open_instance(c, type, conf, err) != 0) {
        close(fd);
        return -1;
    }
    c->loop = loop;
    c->is_consumer = type == RD_KAFKA_CONSUMER;
    c->wall_ahead_ms = cw_loop_wall_ms(loop) - cw_loop_mono_us(loop) / 1000;
    c->wake_fd = fd;
    c->drain = drain;
    c->arg = arg;
    cw_watch_read(&c->wake, loop, fd, on_wake, c);
    cw_defer_init(&c->again, loop, on_again, c);
    cw_timer_init(&c->tick, loop, on_tick, c);
    cw_timer_set_ms(&c->tick, c->tick_ms);
    kafka_client_watch(c, c->queue);
    cw_defer_post(&c->again); /* for what came before the watch */
    return 0;
}

void kafka_client_watch(struct kafka_client *c, rd_kafka_queue_t *queue)
{
    static const uint64_t ONE = 1;

    rd_kafka_queue_io_event_enable(queue, c->wake_fd, &ONE, sizeof(ONE));
}

void kafka_client_unwatch(rd_kafka_queue_t *queue)
{
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
}

rd_kafka_t *kafka_client_detach(struct kafka_client *c)
{
    kafka_client_unwatch(c->queue);
    rd_kafka_queue_destroy(c->queue);
    c->queue = NULL;
    cw_watch_done(&c->wake);
    cw_defer_cancel(&c->again);
    cw_timer_done(&c->tick);
    close(c->wake_fd);
    return CW_STEAL(c->rk);
}

static void problem_of_error(const struct kafka_client *c, rd_kafka_event_t *ev, const char *who,
                             struct cw_err *ret)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
    char fatal[200], text[220];

    if (code != RD_KAFKA_RESP_ERR__FATAL && !rd_kafka_event_error_is_fatal(ev)) {
        (void)kafka_fail(ret, code, who, rd_kafka_event_error_string(ev));
        return;
    }
    code = rd_kafka_fatal_error(c->rk, fatal, sizeof(fatal));
    (void)snprintf(text, sizeof(text), "fatal: %s", fatal);
    (void)kafka_fail(ret, code, who, text);
    ret->retriable = false;
}

bool kafka_client_problem(const struct kafka_client *c, rd_kafka_event_t *ev, const char *who,
                          struct cw_err *ret)
{
    const char *facility, *text;
    int level;

    switch (rd_kafka_event_type(ev)) {
    case RD_KAFKA_EVENT_ERROR:
        problem_of_error(c, ev, who, ret);
        return true;
    case RD_KAFKA_EVENT_LOG:
        if (rd_kafka_event_log(ev, &facility, &text, &level) != 0 || level > LOG_WARNING)
            return false;
        (void)cw_fail_retriable(ret, CW_UNAVAILABLE, "kafka: %s: %s: %s", who, facility, text);
        return true;
    default:
        return false;
    }
}
