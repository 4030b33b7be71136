#include "tests/support/cmocka_all.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/descriptors.h"

enum { WITHIN_MS = 30000, LOG_BYTES = 4096 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_descriptors *guard;
    struct rlimit before;
    int log_fds[2];
    char log[LOG_BYTES];
    unsigned changes;
    bool is_short;
};

static void on_short(void *arg, bool is_short)
{
    struct world *w = arg;

    w->changes++;
    w->is_short = is_short;
}

static int setup(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    assert_int_equal(pipe2(w->log_fds, O_CLOEXEC | O_NONBLOCK), 0);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = w->log_fds[1]});
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &w->before), 0);
    w->loop = cw_loop_new(NULL, NULL);
    w->metrics = cw_metrics_new();
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    inv_descriptors_free(w->guard);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &w->before), 0);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = 1});
    close(w->log_fds[0]);
    close(w->log_fds[1]);
    free(w);
    return 0;
}

static void guard(struct world *w)
{
    w->guard = inv_descriptors_new(&(struct inv_descriptors_conf){
        .loop = w->loop, .metrics = w->metrics, .look_ms = 1, .on_short = on_short, .arg = w});
}

static rlim_t lowest_free(void)
{
    int fd = dup(STDERR_FILENO);

    assert_true(fd >= 0);
    close(fd);
    return (rlim_t)fd;
}

static void limit_to(const struct world *w, rlim_t soft)
{
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = w->before.rlim_max};

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static bool is_short(void *arg)
{
    return ((struct world *)arg)->is_short;
}

static bool is_well(void *arg)
{
    return !((struct world *)arg)->is_short;
}

static bool logged(struct world *w, const char *text)
{
    size_t n = strlen(w->log);
    ssize_t got = read(w->log_fds[0], w->log + n, sizeof(w->log) - 1 - n);

    if (got > 0)
        w->log[n + (size_t)got] = '\0';
    return strstr(w->log, text) != NULL;
}

static void running_short_is_told_once_and_so_is_the_end(void **state)
{
    struct world *w = *state;

    guard(w);
    limit_to(w, lowest_free() + 4);
    assert_true(cw_loop_run_until(w->loop, is_short, w, WITHIN_MS));
    assert_true(logged(w, "[ERROR]"));
    assert_true(logged(w, "fewer than 32 file descriptors are left (Too many open files; the "
                          "limit is "));
    limit_to(w, lowest_free() + INV_DESCRIPTORS_RESERVE + 8); /* not clearly enough */
    (void)cw_loop_run_until(w->loop, is_well, w, 50);
    assert_int_equal(w->changes, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &w->before), 0);
    assert_true(cw_loop_run_until(w->loop, is_well, w, WITHIN_MS));
    assert_int_equal(w->changes, 2);
    assert_true(logged(w, "there are file descriptors again"));
}

static bool has_looked(void *arg)
{
    return ++*(unsigned *)arg > 20;
}

static void enough_descriptors_are_no_news_and_none_leak(void **state)
{
    struct world *w = *state;
    rlim_t before;
    unsigned turns = 0;

    guard(w);
    before = lowest_free();
    assert_true(cw_loop_run_until(w->loop, has_looked, &turns, WITHIN_MS));
    assert_int_equal(lowest_free(), before);
    assert_int_equal(w->changes, 0);
}

static void limit_is_raised_and_one_that_is_too_small_is_told(void **state)
{
    struct world *w = *state;
    struct rlimit now;

    limit_to(w, 256);
    inv_descriptors_raise(1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, w->before.rlim_max);
    assert_false(logged(w, "file descriptors"));
    inv_descriptors_raise(UINT64_C(1) << 40);
    assert_true(logged(w, "file descriptors may be open: up to 1099511627776 containers may need"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(running_short_is_told_once_and_so_is_the_end),
        T(enough_descriptors_are_no_news_and_none_leak),
        T(limit_is_raised_and_one_that_is_too_small_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
