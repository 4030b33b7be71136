/* The loop is held up for real, but never for a guessed time: the callback that is in the way
 * returns when the watchdog has spoken. The log goes into a pipe. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/watchdog.h"

enum { SPOKEN_WITHIN_MS = 30000, TEXT_MAX_BYTES = 1 << 16 };

/* Read by the watchdog's thread, too. */
struct slow_clock {
    struct cw_clock base;
    _Atomic int64_t us;
};

struct world {
    struct slow_clock clock;
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_watchdog *dog;
    int log_fd; /* the pipe's reading end */
    int log_in;
    char text[TEXT_MAX_BYTES]; /* what was logged so far */
    size_t n;
    struct cw_defer first, last;
    int64_t advance_us;
};

static int64_t slow_now(const struct cw_clock *c)
{
    return CW_CONTAINER_OF(c, const struct slow_clock, base)->us;
}

static void set_up(struct world *w, bool own_clock, int64_t warn_ms)
{
    struct cw_err err = {0};
    int fds[2];

    memset(w, 0, sizeof(*w));
    w->clock.base = (struct cw_clock){.wall_us = slow_now, .mono_us = slow_now};
    w->clock.us = 1000000;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    w->log_fd = fds[0];
    w->log_in = fds[1];
    assert_int_equal(fcntl(w->log_fd, F_SETFL, O_NONBLOCK), 0);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = w->log_in});
    w->loop = cw_loop_new(own_clock ? &w->clock.base : NULL, &err);
    assert_non_null(w->loop);
    w->metrics = cw_metrics_new();
    w->dog = inv_watchdog_new(
        &(struct inv_watchdog_conf){.loop = w->loop, .metrics = w->metrics, .warn_ms = warn_ms},
        &err);
    assert_non_null(w->dog);
}

static void tear_down(struct world *w)
{
    inv_watchdog_free(w->dog);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = 1});
    close(w->log_fd);
    close(w->log_in);
}

/* Takes what is in the pipe; true when text was logged until now. */
static bool logged(struct world *w, const char *text)
{
    ssize_t n;

    while ((n = read(w->log_fd, w->text + w->n, sizeof(w->text) - 1 - w->n)) > 0)
        w->n += (size_t)n;
    w->text[w->n] = '\0';
    return strstr(w->text, text) != NULL;
}

static bool spoken(struct world *w, const char *text)
{
    struct pollfd p = {.fd = w->log_fd, .events = POLLIN};

    errno = 0;
    while (!logged(w, text))
        if (poll(&p, 1, SPOKEN_WITHIN_MS) <= 0 && errno != EINTR) /* asked for the stack */
            return false;
    return true;
}

static double metric(const struct world *w, const char *name)
{
    struct cw_str text;
    const char *at;
    double v = -1;

    cw_str_init(&text, TEXT_MAX_BYTES);
    cw_metrics_render(w->metrics, &text);
    for (at = text.p; (at = strstr(at, name)); at++)
        if ((at == text.p || at[-1] == '\n') && at[strlen(name)] == ' ')
            v = strtod(at + strlen(name), NULL);
    cw_str_done(&text);
    return v;
}

static void on_nothing(void *arg)
{
    (void)arg;
}

static void on_last(void *arg)
{
    cw_loop_stop(((struct world *)arg)->loop);
}

static void on_blocked(void *arg)
{
    struct world *w = arg;

    assert_true(spoken(w, "the event loop is stuck"));
    cw_defer_post(&w->last);
}

static void callback_in_the_way_is_named_with_its_stack_while_it_runs(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, false, 20);
    cw_defer_init(&w.first, w.loop, on_blocked, &w);
    cw_defer_init(&w.last, w.loop, on_last, &w);
    cw_defer_post(&w.first);
    cw_loop_run(w.loop);
    assert_non_null(strstr(w.text, "[WARN]"));
    assert_non_null(strstr(w.text, "is stuck: call watchdog_test.c:on_blocked, since "));
    assert_non_null(strstr(w.text, "stack: ")); /* of poll(2), from this program */
    assert_non_null(strstr(w.text, "watchdog_test"));
    assert_true(
        logged(&w, " ms: call watchdog_test.c:on_blocked")); /* "was held up for", at its end */
    assert_true(metric(&w, "cwhisk_loop_stalls_total") == 1);
    assert_true(metric(&w, "cwhisk_loop_stall_seconds") >= 0.02);
    tear_down(&w);
}

static void on_timer_blocked(void *arg)
{
    struct world *w = arg;

    assert_true(spoken(w, "the event loop is stuck"));
    cw_loop_stop(w->loop);
}

static void every_kind_of_callback_has_its_name(void **state)
{
    struct cw_timer timer;
    struct world w;

    (void)state;
    set_up(&w, false, 20);
    cw_timer_init(&timer, w.loop, on_timer_blocked, &w);
    cw_timer_set_ms(&timer, 0);
    cw_loop_run(w.loop);
    assert_non_null(strstr(w.text, "is stuck: timer watchdog_test.c:on_timer_blocked"));
    cw_timer_done(&timer);
    tear_down(&w);
}

static void on_advance(void *arg)
{
    struct world *w = arg;

    w->clock.us += w->advance_us;
    cw_defer_post(&w->last);
}

/* One stretch of work that takes so long by the fake clock. */
static void work_for(struct world *w, int64_t us)
{
    w->advance_us = us;
    cw_defer_post(&w->first);
    cw_loop_run(w->loop);
}

static void short_turns_are_counted_and_not_told(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, true, 100);
    cw_defer_init(&w.first, w.loop, on_advance, &w);
    cw_defer_init(&w.last, w.loop, on_last, &w);
    for (int i = 0; i < 5; i++)
        work_for(&w, 99000);
    assert_false(logged(&w, "Watchdog"));
    assert_true(metric(&w, "cwhisk_loop_stalls_total") == 0);
    assert_true(metric(&w, "cwhisk_loop_turn_seconds_count") >= 5);
    assert_true(metric(&w, "cwhisk_loop_stall_seconds") == 0.099);
    tear_down(&w);
}

static void stalls_that_follow_closely_are_counted_in_the_next_line(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, true, 100);
    cw_defer_init(&w.first, w.loop, on_advance, &w);
    cw_defer_init(&w.last, w.loop, on_last, &w);
    work_for(&w, 500000);
    assert_true(logged(&w, "held up for 500 ms"));
    work_for(&w, 150000);
    work_for(&w, 160000);
    assert_false(logged(&w, "held up for 150 ms"));
    assert_false(logged(&w, "held up for 160 ms"));
    work_for(&w, 2000000);
    assert_true(logged(&w, "held up for 2000 ms"));
    assert_non_null(strstr(w.text, "; 2 shortly before are not listed"));
    assert_true(metric(&w, "cwhisk_loop_stalls_total") == 4);
    tear_down(&w);
}

static void sleeping_is_no_stall(void **state)
{
    struct cw_timer timer;
    struct world w;

    (void)state;
    set_up(&w, false, 10);
    cw_timer_init(&timer, w.loop, on_last, &w);
    cw_timer_set_ms(&timer, 50); /* five times the limit, asleep */
    cw_defer_init(&w.first, w.loop, on_nothing, &w);
    cw_defer_post(&w.first);
    cw_loop_run(w.loop);
    assert_false(logged(&w, "is stuck"));
    cw_timer_done(&timer);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callback_in_the_way_is_named_with_its_stack_while_it_runs),
        cmocka_unit_test(every_kind_of_callback_has_its_name),
        cmocka_unit_test(short_turns_are_counted_and_not_told),
        cmocka_unit_test(stalls_that_follow_closely_are_counted_in_the_next_line),
        cmocka_unit_test(sleeping_is_no_stall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
