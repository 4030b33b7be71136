/* tests/support/turns.h -- lets a loop turn until what was asked for has come about, where nothing
 * tells that it has. */
#pragma once

#include "common/loop/loop.h"
#include "tests/support/cmocka_all.h"

enum { TURNS_ENOUGH = 8 };

static inline void turns_repost(void *arg)
{
    cw_defer_post(arg);
}

static inline bool turns_are_over(void *arg)
{
    return (*(int *)arg)-- <= 0;
}

/* Runs what is due now, and what that asks for, some steps deep. Timers that lie ahead do not run.
 */
static inline void run_turns(struct cw_loop *loop)
{
    struct cw_defer tick; /* keeps the loop from waiting */
    int turns = TURNS_ENOUGH;

    cw_defer_init(&tick, loop, turns_repost, &tick);
    cw_defer_post(&tick);
    (void)cw_loop_run_until(loop, turns_are_over, &turns, 60000);
    cw_defer_cancel(&tick);
    assert_true(turns <= 0);
}
