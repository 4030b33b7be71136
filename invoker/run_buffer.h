/* invoker/run_buffer.h -- activations that wait for a container, in the order in which they were
 * taken (openwhisk container.md 4).
 *
 * Thread: loop. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"

struct cw_loop;
struct cw_metrics;
struct inv_job;

struct inv_run_buffer {
    struct cw_list jobs; /* struct inv_job; for reading */
    uint64_t memory_mb;  /* that they ask for, together */
    struct cw_loop *loop;
    int64_t full_logged_us;
    struct cw_counter *buffered;
};

/* Both are borrowed. Nothing is to be freed once it is empty. */
void inv_run_buffer_init(struct inv_run_buffer *b, struct cw_loop *loop, struct cw_metrics *m);
/* Behind all others. The job is on no list, here and below; its action is set. */
void inv_run_buffer_put(struct inv_run_buffer *b, struct inv_job *job);
/* There is no room for one that is in it: counted and logged, once for each. */
void inv_run_buffer_tell(struct inv_run_buffer *b, struct inv_job *job);
/* Both: it is there for want of room. */
void inv_run_buffer_put_for_room(struct inv_run_buffer *b, struct inv_job *job);
/* One that had left, in its place. */
void inv_run_buffer_put_back(struct inv_run_buffer *b, struct inv_job *job);
/* Takes out this one; the place that it had, until the buffer changes. */
struct cw_link *inv_run_buffer_take(struct inv_run_buffer *b, struct inv_job *job);
/* The one that was just taken, in the place that it had. */
void inv_run_buffer_undo(struct inv_run_buffer *b, struct cw_link *place, struct inv_job *job);
/* The first one; NULL: there is none. It stays. */
struct inv_job *inv_run_buffer_first(const struct inv_run_buffer *b);
