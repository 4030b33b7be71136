/* invoker/lifecycle_times.h -- how long each operation on a container takes: create, attach,
 * connect, start, die, disconnect, destroy (papers.md S2).
 *
 * An operation lasts from the moment before it, which is the asking or an operation that comes
 * before it in the same request, to the engine's word that it is done; so the parts of a request
 * add up. One that nobody asked for (a process that ends by itself) has no duration, but is on the
 * event log. attach happens only to containers that others attach to. Where the engine's clock and
 * ours differ, the first part of each request is off by that; below zero it does not count.
 * Thread: loop. */
#pragma once

#include "common/driver/container_driver.h"

struct cw_metrics;
struct inv_event_log;
struct inv_lifecycle;

/* Both are borrowed; log may be NULL. Makes the histogram
 * cwhisk_container_operation_seconds{operation}. */
struct inv_lifecycle *inv_lifecycle_new(struct cw_metrics *metrics, struct inv_event_log *log);
/* fn for each operation, with its name; took_us below 0: not known. For who looks at single ones.
 */
typedef void inv_operation_fn(void *arg, const char *container, const char *operation,
                              int64_t took_us);
void inv_lifecycle_listen(struct inv_lifecycle *lc, inv_operation_fn *fn, void *arg);
/* Accepts NULL. */
void inv_lifecycle_free(struct inv_lifecycle *lc);
/* A cw_moment_fn; lifecycle is the struct inv_lifecycle. Moments of containers that are not known
 * by a name before are no matter. */
void inv_lifecycle_moment(void *lifecycle, const struct cw_driver_moment *m);
