/* invoker/dispatch_starts.h -- tells, as stock does, in what state the container was that took an
 * activation: a counter for each state and a line in the log.
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>

#include "common/base/mem.h"
#include "invoker/pool/pool.h"

struct cw_metrics;
struct inv_job;
struct inv_starts;

/* metrics is borrowed. markers: the line has one. */
struct inv_starts *inv_starts_new(struct cw_metrics *metrics, bool markers);
/* Accepts NULL. */
void inv_starts_free(struct inv_starts *s);
/* container: its name, or NULL: it is to be created. decision has a slot. */
void inv_starts_tell(struct inv_starts *s, const struct inv_job *job,
                     const struct inv_decision *decision, const char *container);
