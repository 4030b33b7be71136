/* docker/probe/figures.h -- what the container uses, from the best source there is.
 *
 * Nothing is read before somebody asks, and not twice within PB_FRESH_NS: whoever asks more often
 * gets the last figures again. */
#pragma once

#include <stdint.h>

#include "common/model/probe_wire.h"
#include "docker/probe/groups.h"

static const int64_t PB_FRESH_NS = 5 * 1000000;

struct pb_figures {
    const char *proc; /* "/proc" */
    struct pb_groups groups;
    struct cw_probe_figures last; /* time_ns 0: none yet */
    int64_t peak_bytes;           /* the largest memory that was seen */
};

void pb_figures_init(struct pb_figures *f, const char *proc);
void pb_figures_done(struct pb_figures *f);

/* now_ns: monotonic. Borrowed until the next call; NULL when there is nothing to be had. */
const struct cw_probe_figures *pb_figures_now(struct pb_figures *f, int64_t now_ns);
