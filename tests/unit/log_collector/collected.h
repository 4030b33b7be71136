/* tests/unit/log_collector/collected.h -- what a collection of logs brought. Thread: loop. */
#pragma once

#include "invoker/logs/log_collector.h"
#include "tests/support/cmocka_all.h"

struct collected {
    int calls;
    char *logs; /* the test's to free */
    bool complete, truncated;
    struct inv_log_source *free_me; /* NULL, or is freed in the callback */
};

/* inv_log_fn; arg is a struct collected. */
static inline void on_collected(void *arg, struct cw_slice logs, bool complete, bool truncated)
{
    struct collected *r = arg;

    r->calls++;
    free(r->logs);
    r->logs = cw_slice_dup(logs);
    r->complete = complete;
    r->truncated = truncated;
    inv_log_source_free(CW_STEAL(r->free_me));
}

/* For cw_loop_run_until. */
static inline bool is_collected(void *arg)
{
    return ((struct collected *)arg)->calls > 0;
}
