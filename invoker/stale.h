/* invoker/stale.h -- activations that came, or got their turn, after their controller had given
 * them up.
 *
 * A controller waits twice the action's time limit, at least the standard one, and a minute
 * (openwhisk invoker.md 7.3), then frees the slot and tells the caller. By its clock, which made
 * the message's time stamp; ours may be set while we run, so the age is the smaller one of that by
 * our wall clock and that by the time which has passed since our start. Such work is counted, and
 * answered instead of run when the operator says so. Thread: loop. */
#pragma once

#include <stdbool.h>

#include "common/base/mem.h"

struct cw_action;
struct cw_loop;
struct cw_metrics;
struct inv_job;
struct inv_settings;
struct inv_stale;

struct inv_stale *inv_stale_new(struct cw_loop *loop, const struct inv_settings *settings,
                                struct cw_metrics *metrics);
void inv_stale_free(struct inv_stale *s);
/* Counts the job if it is stale, once. true: it must not run, and its outcome is filled in. action
 * is its. */
bool inv_stale_ends(struct inv_stale *s, struct inv_job *job, const struct cw_action *action);
