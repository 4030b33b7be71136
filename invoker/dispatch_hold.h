/* invoker/dispatch_hold.h -- may new containers be asked for, and how long does an activation wait
 * until they may?
 *
 * They may not as long as a predecessor's are there, and while the engine is away. The engine's
 * watch says so; where it has not noticed, or there is none, a create that did not reach the engine
 * holds the next ones back for a second. Nothing of an activation that waits here has run. It waits
 * for the engine for a limited time in all, since its caller does, too (ADR 12). Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_loop;
struct cw_metrics;
struct inv_hold;
struct inv_job;

struct inv_hold_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    int64_t limit_ms; /* of an activation's wait; 0: none waits */
    /* It is time to place what waits: the engine is back, or may be, or somebody has waited long
     * enough. From a timer, or within inv_hold_engine: it must not place anything at once. */
    void (*wake)(void *arg);
    void *arg;
};

/* Everything in conf is borrowed, conf is copied. */
struct inv_hold *inv_hold_new(const struct inv_hold_conf *conf);
/* Accepts NULL. */
void inv_hold_free(struct inv_hold *h);
/* There is no room yet for any (a predecessor's containers are still there), or there is. That is
 * no wait for the engine, and has no limit here. */
void inv_hold_room(struct inv_hold *h, bool none);
/* While there is none: one of the predecessor's containers has gone, so one may be created. */
void inv_hold_room_for_one(struct inv_hold *h);
/* One is created. */
void inv_hold_use_room(struct inv_hold *h);
/* What the engine's watch has found. */
void inv_hold_engine(struct inv_hold *h, bool away);
/* A create did not reach the engine. */
void inv_hold_failed(struct inv_hold *h);
/* Must creates wait now? */
bool inv_hold_on(const struct inv_hold *h);
/* Was the engine away at a moment since then (monotonic)? What failed meanwhile may have failed for
 * that. */
bool inv_hold_since(const struct inv_hold *h, int64_t since_us);
/* The job needs a container that cannot be asked for now. false: it has waited long enough, and its
 * outcome is filled in. true: it goes on waiting, and wake comes in time. */
bool inv_hold_waits(struct inv_hold *h, struct inv_job *job);
