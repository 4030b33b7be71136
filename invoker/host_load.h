/* invoker/host_load.h -- what the activations that are in containers here are expected to take
 * together, and how long runs and cold starts of each action took of late: what placing asks of
 * this host.
 *
 * Bounded: of INV_LOAD_ACTIONS actions, the ones that were asked for last. Thread: loop. */
#pragma once

#include <stdint.h>

struct inv_job;
struct inv_load;

enum { INV_LOAD_ACTIONS = 512 };

struct inv_load *inv_load_new(void);
/* Accepts NULL. */
void inv_load_free(struct inv_load *l);

/* The job was given to a container, and is expected to keep so much of the CPU busy. Again: instead
 * of what was said before. */
void inv_load_placed(struct inv_load *l, struct inv_job *job, uint32_t cpu_millis);
/* It is in no container any more; one that was in none is no matter. */
void inv_load_left(struct inv_load *l, struct inv_job *job);
/* It has ended, at now_us (monotonic). pair: inv_pool_pair of it. */
void inv_load_learn(struct inv_load *l, uint64_t pair, const struct inv_job *job, int64_t now_us);

/* All that were placed and have not left. */
int64_t inv_load_cpu_millis(const struct inv_load *l);
/* For how long an activation has a container for itself, of late, all actions; 0: not known. */
int64_t inv_load_mean_run_us(const struct inv_load *l);

/* Of one action; 0: not known. */
struct inv_pace {
    int64_t run_us;    /* for how long a run has its container */
    int64_t cold_us;   /* from a container's choice until it is initialised */
    int64_t waited_us; /* inv_ask.waited_us */
};
void inv_load_pace(struct inv_load *l, uint64_t pair, int64_t now_us, struct inv_pace *ret);
/* One more is going to wait for a busy container, as it looks for so long. */
void inv_load_waits(struct inv_load *l, uint64_t pair, int64_t now_us, int64_t wait_us);
/* It was waited enough: a new container comes. */
void inv_load_bought(struct inv_load *l, uint64_t pair);
/* The CPU that it needs, as it was last told; 0: that was longer ago than keep_us, or never. */
uint32_t inv_load_need(struct inv_load *l, uint64_t pair, int64_t now_us, int64_t keep_us);
void inv_load_set_need(struct inv_load *l, uint64_t pair, int64_t now_us, uint32_t cpu_millis);
