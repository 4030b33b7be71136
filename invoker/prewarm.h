/* invoker/prewarm.h -- keeps as many prewarmed containers as the manifest's stem cells ask for
 * (openwhisk container.md 4.2).
 *
 * Decides only how many; the books are the pool's, the containers are dispatch's. One that was
 * given to an action is replaced, one that was lost is filled up; cells with a `reactive` part are
 * looked at from time to time: expired containers leave, and cold starts since the last look raise
 * the number. A container that cannot be created is tried again after 1 s, 2 s, … 60 s (stock tries
 * at once, for ever). Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cw_loop;
struct cw_manifest;
struct cw_metrics;
struct cw_runtime;
struct cw_stem_cell;
struct inv_pool;
struct inv_prewarm;
struct inv_settings;
struct inv_slot;

enum inv_refill {
    INV_REFILL_START,    /* the invoker begins */
    INV_REFILL_BACKFILL, /* something left */
    INV_REFILL_CHECK,    /* the regular look at reactive cells */
};

/* How many containers a cell should have. cold_starts: since the last look; counts for CHECK only.
 * Pure. Thread: any. */
uint64_t inv_prewarm_desired(const struct cw_stem_cell *cell, enum inv_refill why,
                             uint64_t cold_starts);

struct inv_prewarm_conf {
    struct cw_loop *loop;
    const struct inv_settings *settings;
    const struct cw_manifest *manifest;
    struct inv_pool *pool;
    struct cw_metrics *metrics;
    double spread; /* 0..1: how much of the variance this process adds to the interval of looks */
    /* Makes the container of a slot that is in the books already; called inside inv_prewarm_fill.
     */
    void (*create)(void *arg, struct inv_slot *slot, const struct cw_runtime *rt);
    /* Removes containers whose slots are out of the books; called from the loop. */
    void (*remove)(void *arg, struct inv_slot *chain);
    /* inv_prewarm_fill should be called once nothing waits for memory; called from the loop. */
    void (*wake)(void *arg);
    void *arg;
};

/* Everything in conf is borrowed and must outlive it. */
struct inv_prewarm *inv_prewarm_new(const struct inv_prewarm_conf *conf);
/* Accepts NULL. */
void inv_prewarm_free(struct inv_prewarm *p);
/* From now on there are stem cells; call inv_prewarm_fill next. */
void inv_prewarm_start(struct inv_prewarm *p);
/* No more containers. Idempotent. */
void inv_prewarm_stop(struct inv_prewarm *p);
/* Replaces and fills up as far as the memory goes. */
void inv_prewarm_fill(struct inv_prewarm *p);
/* How the creation of a slot's container ended. */
void inv_prewarm_created(struct inv_prewarm *p, struct inv_slot *slot);
void inv_prewarm_failed(struct inv_prewarm *p, const struct inv_slot *slot);
