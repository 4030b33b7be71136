/* invoker/parked.h -- activations that wait for a busy container of their own action, which will be
 * free long before a new one could be made (placement/policy.h, INV_WAIT_BUSY).
 *
 * By action and in their order; each for a limited time. They are taken, not started: no container
 * is theirs. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_loop;
struct cw_metrics;
struct inv_job;
struct inv_parked;

struct inv_parked_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    /* It has waited long enough: place it in another way. It is impatient from now on. */
    void (*on_impatient)(void *arg, CW_TAKES struct inv_job *job);
    void *arg;
};

struct inv_parked *inv_parked_new(const struct inv_parked_conf *conf);
/* Nobody waits any more. Accepts NULL. */
void inv_parked_free(struct inv_parked *p);

/* Behind those of the same action; pair: inv_pool_pair of it. The job is on no list; its action is
 * set. Nobody waits longer than those in front of it, or than patience_us. */
void inv_parked_add(struct inv_parked *p, uint64_t pair, CW_TAKES struct inv_job *job,
                    int64_t patience_us);
/* It got a container. */
void inv_parked_take(struct inv_parked *p, struct inv_job *job);
/* The first of this action; it stays. NULL: none waits. */
struct inv_job *inv_parked_first(const struct inv_parked *p, uint64_t pair);
/* Of this action; of all; and the memory that these ask for. */
uint32_t inv_parked_count(const struct inv_parked *p, uint64_t pair);
size_t inv_parked_total(const struct inv_parked *p);
uint64_t inv_parked_memory_mb(const struct inv_parked *p);

/* Something about the action's containers has changed: its turn comes with inv_parked_next_ready.
 */
void inv_parked_ready(struct inv_parked *p, uint64_t pair);
/* An action for which inv_parked_ready was called, and somebody waits; each once. false: none. */
bool inv_parked_next_ready(struct inv_parked *p, uint64_t *ret_pair);

/* None of this action, or none at all, waits any longer: on_impatient, in their order. */
void inv_parked_give_up(struct inv_parked *p, uint64_t pair);
void inv_parked_give_up_all(struct inv_parked *p);
