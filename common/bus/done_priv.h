/* common/bus/done_priv.h -- results that must reach their callers in a later turn.
 *
 * Shared by the buses: a call that fails (or, in local_bus, succeeds) at once queues its answer
 * here. Thread: loop. */
#pragma once

#include "common/base/list.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"

struct bus_dones {
    struct cw_list list; /* struct bus_done */
    struct cw_defer run;
};

void bus_dones_init(struct bus_dones *d, struct cw_loop *loop);
/* What is still queued is dropped without a call. */
void bus_dones_done(struct bus_dones *d);
/* fn may be NULL: nothing happens then. err may be NULL (success) and is copied. */
void bus_dones_push(struct bus_dones *d, cw_bus_done_fn *fn, void *arg, const struct cw_err *err);
