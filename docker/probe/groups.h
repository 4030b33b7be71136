/* docker/probe/groups.h -- the container's own control groups, where it can see them.
 *
 * A mount shows a part of the hierarchy (mountinfo tells which), and the process is at some place
 * of it
 * (/proc/self/cgroup): where the two fit, that is the group, whether the engine mounts it as the
 * root of what the container sees (private namespace, version 1's bind mounts) or shows the whole
 * host. A group that has no limits of its own, as the root of a machine, is not taken for a
 * container's. */
#pragma once

#include <stdbool.h>

#include "common/model/probe_wire.h"

enum pb_group_file {
    PB_CPU,
    PB_THROTTLED,
    PB_MEMORY,
    PB_MEMORY_STAT,
    PB_MEMORY_PEAK,
    PB_OOM,
    PB_PIDS,
    PB_GROUP_FILES
};

struct pb_groups {
    bool found;
    bool v2;
    int fd[PB_GROUP_FILES]; /* -1: not there */
};

/* proc: "/proc", or a folder of the same shape. With found false when CPU time or memory are not to
 * be seen. */
void pb_groups_open(struct pb_groups *g, const char *proc);
void pb_groups_close(struct pb_groups *g);

/* false: they cannot be read any more. */
bool pb_groups_read(const struct pb_groups *g, struct cw_probe_figures *ret);
