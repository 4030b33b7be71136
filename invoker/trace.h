/* invoker/trace.h -- the moments of the last activations, one by one: where their time went.
 *
 * A ring that costs a copy per activation and no look-up, so that it can stay on: histograms tell
 * that something is slow, this tells where, to the microsecond. Shown by GET /trace. Every function
 * but inv_trace_new accepts NULL, which keeps nothing. Thread: loop. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct inv_job;
struct inv_trace;

/* Keeps the last `capacity` activations (> 0). */
struct inv_trace *inv_trace_new(size_t capacity);
void inv_trace_free(struct inv_trace *t);
/* The activation as it is now. Gives a ticket for inv_trace_ended; 0 from NULL. */
uint64_t inv_trace_add(struct inv_trace *t, const struct inv_job *job);
/* Its slot-freeing ack was handed to the bus only now (monotonic). Nothing happens when so many
 * came after it that it is no longer kept. */
void inv_trace_ended(struct inv_trace *t, uint64_t ticket, int64_t now_us);
/* CSV: a line of names, then one for each activation, oldest first: its id, and its moments in
 * microseconds of the monotonic clock, empty where not reached. */
void inv_trace_render(const struct inv_trace *t, struct cw_str *out);
