/* invoker/telemetry.h -- what one activation's moments become in metrics.
 *
 * Stock's names (openwhisk invoker.md 6) and cwhisk_activation_step_seconds{step}. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cw_histogram;
struct cw_metrics;
struct inv_job;
struct inv_pool_stats;
struct inv_telemetry;

/* cwhisk_activation_step_seconds of a step that is not between two moments of a job. */
struct cw_histogram *inv_step_histogram(struct cw_metrics *m, const char *step);

struct inv_telemetry *inv_telemetry_new(struct cw_metrics *m);
void inv_telemetry_free(struct inv_telemetry *t);
/* After its slot-freeing ack. */
void inv_telemetry_ended(struct inv_telemetry *t, const struct inv_job *job);
/* Its container was dead or going; before inv_job_restart. */
void inv_telemetry_returned(struct inv_telemetry *t, const struct inv_job *job, int64_t now_us);
/* Gauges, before they are shown. */
void inv_telemetry_pool(struct inv_telemetry *t, const struct inv_pool_stats *s, uint64_t waiting,
                        uint64_t waiting_mb);
