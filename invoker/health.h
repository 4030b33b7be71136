/* invoker/health.h -- the ping each second that keeps an invoker in the controllers' books
 * (openwhisk kafka.md 7).
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

struct cw_bus;
struct cw_loop;
struct inv_health;

/* Sends the first ping at once. topic and instance (JSON) are copied. */
struct inv_health *inv_health_new(struct cw_loop *loop, struct cw_bus *bus, const char *topic,
                                  struct cw_slice instance);
/* Accepts NULL. */
void inv_health_free(struct inv_health *h);
/* Silent: no pings for now, without a last word: somebody else has our topic and pings for it. */
void inv_health_silence(struct inv_health *h, bool silent);
/* Unwell: as off, but for another reason and not counted as such; no new work for now. */
void inv_health_set_well(struct inv_health *h, bool well);
/* Off: one last ping with isEnabled false, then none. On: pings again. false when it was so
 * already. */
bool inv_health_enable(struct inv_health *h, bool enabled);
bool inv_health_enabled(const struct inv_health *h);
