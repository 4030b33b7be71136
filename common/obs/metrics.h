/* common/obs/metrics.h -- counters, gauges and histograms with Prometheus text output (format
 * 0.0.4).
 *
 * Created once, kept by handle, updated on the loop thread without look-ups. Asking again for the
 * same name and labels gives the same handle. Names: stock's as openwhisk invoker.md 6, ours
 * cwhisk_*; a character that the format does not allow there becomes '_', as with stock's reporter.
 * One name has one type. Labels are bounded sets. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_metrics;
struct cw_counter;
struct cw_gauge;
struct cw_histogram;

struct cw_metrics *cw_metrics_new(void);
void cw_metrics_free(struct cw_metrics *m);

/* Stock's METRICS_KAMON_TAGS; before metrics are made (token.h). */
void cw_metrics_use_tags(struct cw_metrics *m, bool tags);
bool cw_metrics_tagged(const struct cw_metrics *m);

/* labels: `state="cold",kind="x"` already escaped (cw_metrics_label), or NULL. help may be NULL on
 * later calls. */
struct cw_counter *cw_metrics_counter(struct cw_metrics *m, const char *name, const char *labels,
                                      const char *help);
struct cw_gauge *cw_metrics_gauge(struct cw_metrics *m, const char *name, const char *labels,
                                  const char *help);
/* bounds: ascending upper bounds in the metric's unit; copied. NULL: 18 bounds for latencies in
 * seconds, 100 µs to 60 s. */
struct cw_histogram *cw_metrics_histogram(struct cw_metrics *m, const char *name,
                                          const char *labels, const char *help,
                                          const double *bounds, size_t bound_count);

void cw_counter_add(struct cw_counter *c, uint64_t n);
/* Shown is value / per: 1000000 for microseconds of a metric in seconds. Once, when it is made. */
void cw_counter_shown_per(struct cw_counter *c, uint32_t per);
uint64_t cw_counter_value(const struct cw_counter *c);
void cw_gauge_set(struct cw_gauge *g, double v);
void cw_histogram_observe(struct cw_histogram *h, double v);
uint64_t cw_histogram_count(const struct cw_histogram *h);

/* One more part of each exposition, after the families: series that come and go, which handles
 * cannot. add writes whole lines, HELP and TYPE included, of names that nobody else uses. NULL:
 * none. */
void cw_metrics_extend(struct cw_metrics *m, void (*add)(void *arg, struct cw_str *out), void *arg);

/* Appends name="escaped value" (a comma first when out is not empty). */
void cw_metrics_label(struct cw_str *out, const char *name, const char *value);
/* The whole exposition, families in order of creation, HELP and TYPE once each. */
void cw_metrics_render(const struct cw_metrics *m, struct cw_str *out);
