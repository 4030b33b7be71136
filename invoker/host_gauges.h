/* invoker/host_gauges.h -- what this invoker tells its peers of itself (placement/host_view.h), as
 * metrics: the same figures that decide where activations go.
 *
 * Thread: loop. */
#pragma once

struct cw_metrics;
struct inv_host_gauges;
struct inv_host_view;

struct inv_host_gauges *inv_host_gauges_new(struct cw_metrics *m);
/* Accepts NULL. */
void inv_host_gauges_free(struct inv_host_gauges *g);
/* They are about to be shown. */
void inv_host_gauges_set(struct inv_host_gauges *g, const struct inv_host_view *v);
