/* invoker/placement_counts.h -- what placement decided, and which hosts it passed over, as metrics.
 *
 * Thread: loop. */
#pragma once

struct cw_metrics;
struct inv_placement;
struct inv_placement_counts;

struct inv_placement_counts *inv_placement_counts_new(struct cw_metrics *m);
/* Accepts NULL. */
void inv_placement_counts_free(struct inv_placement_counts *c);
/* A policy has decided so. */
void inv_placement_counts_add(struct inv_placement_counts *c, const struct inv_placement *placed);
