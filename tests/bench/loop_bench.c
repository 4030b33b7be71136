/* What the event loop costs per callback and per turn, and what the watchdog adds: calls that post
 * themselves again, so that each turn is a pass of libevent over nothing. Prints the best of many
 * rounds, with 1 and with 100 calls in a turn. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/watchdog.h"

enum { ROUNDS = 15, CALLS = 200000, MOST = 100 };

struct bench {
    struct cw_loop *loop;
    struct cw_defer calls[MOST];
    long left;
};

struct one {
    struct bench *b;
    struct cw_defer *d;
};

static void on_call(void *arg)
{
    struct one *one = arg;

    if (--one->b->left > 0)
        cw_defer_post(one->d);
    else
        cw_loop_stop(one->b->loop);
}

static double best_ns(struct bench *b, int in_a_turn)
{
    const struct cw_clock *clock = cw_clock_system();
    struct one ones[MOST];
    int64_t best = INT64_MAX;

    for (int i = 0; i < in_a_turn; i++) {
        ones[i] = (struct one){b, &b->calls[i]};
        cw_defer_init(&b->calls[i], b->loop, on_call, &ones[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = cw_clock_mono_us(clock), took;

        b->left = CALLS;
        for (int i = 0; i < in_a_turn; i++)
            cw_defer_post(&b->calls[i]);
        cw_loop_run(b->loop);
        took = cw_clock_mono_us(clock) - start;
        best = took < best ? took : best;
        for (int i = 0; i < in_a_turn; i++)
            cw_defer_cancel(&b->calls[i]);
    }
    return (double)best * 1000 / CALLS;
}

int main(void)
{
    static const int IN_A_TURN[] = {1, MOST};
    struct cw_err err = {0};
    struct bench b = {.loop = cw_loop_new(NULL, &err)};
    struct cw_metrics *metrics = cw_metrics_new();

    if (!b.loop) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    for (size_t i = 0; i < CW_ARRAY_LEN(IN_A_TURN); i++) {
        double alone = best_ns(&b, IN_A_TURN[i]), watched;
        struct inv_watchdog *dog = inv_watchdog_new(
            &(struct inv_watchdog_conf){.loop = b.loop, .metrics = metrics, .warn_ms = 100}, &err);

        if (!dog) {
            (void)fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        watched = best_ns(&b, IN_A_TURN[i]);
        inv_watchdog_free(dog);
        (void)printf("%3d calls in a turn: %6.1f ns each, %6.1f ns with the watchdog\n",
                     IN_A_TURN[i], alone, watched);
    }
    cw_metrics_free(metrics);
    cw_loop_free(b.loop);
    return 0;
}
