/* A machine without the library that finds its way through stacks: glibc's backtrace looks for it
 * anew at each call, which allocates, and must not be done in a signal. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/watchdog.h"

enum { SPOKEN_WITHIN_MS = 30000, WARN_MS = 20, TEXT_MAX_BYTES = 1 << 14 };

struct world {
    struct cw_loop *loop;
    int log_fd;
    bool spoken;
};

static atomic_uint asked;

int backtrace(void **array, int size)
{
    (void)array, (void)size;
    asked++;
    return 0;
}

/* Holds the loop up until the watchdog has told of it. */
static void be_slow(void *arg)
{
    struct world *w = arg;
    struct pollfd p = {.fd = w->log_fd, .events = POLLIN};
    char text[TEXT_MAX_BYTES];
    ssize_t n;

    while (!w->spoken && (poll(&p, 1, SPOKEN_WITHIN_MS) > 0 || errno == EINTR)) {
        n = read(w->log_fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        w->spoken = strstr(text, "stack: unknown, there is no libgcc_s.so.1") != NULL;
    }
    cw_loop_stop(w->loop);
}

static void stall_is_told_without_a_stack_and_without_a_signal(void **state)
{
    struct world w = {0};
    struct cw_err err = {0};
    struct cw_metrics *metrics = cw_metrics_new();
    struct inv_watchdog *dog;
    struct cw_defer slow;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = fds[1]});
    w.log_fd = fds[0];
    w.loop = cw_loop_new(NULL, &err);
    assert_non_null(w.loop);
    dog = inv_watchdog_new(
        &(struct inv_watchdog_conf){.loop = w.loop, .metrics = metrics, .warn_ms = WARN_MS}, &err);
    assert_non_null(dog);
    assert_int_equal(asked, 1);
    cw_defer_init(&slow, w.loop, be_slow, &w);
    cw_defer_post(&slow);
    cw_loop_run(w.loop);
    assert_true(w.spoken);
    assert_int_equal(asked, 1);
    inv_watchdog_free(dog);
    cw_metrics_free(metrics);
    cw_loop_free(w.loop);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stall_is_told_without_a_stack_and_without_a_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
