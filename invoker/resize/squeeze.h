/* invoker/resize/squeeze.h -- takes back memory that idle containers do not need.
 *
 * A container that has been idle for a while is made to give back what the kernel can take from it
 * without harm: page cache, and pages that go to swap where there is some. In small steps, so that
 * the loop is never held up, and the limit is as before after each of them: a run that comes
 * meanwhile finds the container as it was and only has to read back what it needs. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"

struct cw_control;
struct cw_loop;
struct cw_metrics;
struct inv_squeeze;

/* A container's part in it. Embedded in its owner, zeroed. */
struct inv_squeezed {
    struct cw_link link; /* idle ones that have not been squeezed yet, the longest idle first */
    struct cw_control *control;
    const char *name;
    int64_t since_us;
    int64_t won_bytes;   /* this time */
    int64_t spent_us;    /* this time, in the kernel */
    int64_t total_bytes; /* ever */
    uint64_t times;
};

/* after_ms: so long a container is idle before; 0: none is squeezed. */
struct inv_squeeze *inv_squeeze_new(struct cw_loop *loop, struct cw_metrics *metrics,
                                    int64_t after_ms);
/* Accepts NULL. */
void inv_squeeze_free(struct inv_squeeze *q);
/* It is idle from now on. control and name are borrowed until inv_squeeze_leave. */
void inv_squeeze_enter(struct inv_squeeze *q, struct inv_squeezed *s, struct cw_control *control,
                       const char *name);
/* It runs something, or is gone. Harmless when it had not entered. */
void inv_squeeze_leave(struct inv_squeeze *q, struct inv_squeezed *s);
/* Bytes won by all squeezes so far. */
uint64_t inv_squeeze_won(const struct inv_squeeze *q);
