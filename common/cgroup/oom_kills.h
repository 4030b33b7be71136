/* common/cgroup/oom_kills.h -- how often the kernel killed something for memory in a container.
 *
 * An engine says that a container was killed for memory when its main process was, and some say so
 * only after it has ended. The kernel counts every process it kills (memory.oom_control since 4.13,
 * memory.events of cgroup v2), for as long as the container's control group exists.
 *
 * Reads small files of cgroupfs, which never wait for a device. Thread: any (no state). */
#pragma once

#include <stdint.h>

#include "common/base/str.h"

/* root: where the host's control groups are mounted ("/sys/fs/cgroup"); parent: the engine's
 * --cgroup-parent, NULL or "": its default. id: of the container, 64 hex digits. -1 when there is
 * no such group to be seen: the container has ended, its engine puts it elsewhere, or the
 * hierarchy of the host is not visible from here. */
int64_t cw_cgroup_oom_kills(const char *root, const char *parent, const char *id);

/* The count in the text of one of the two files; -1 when there is none. Pure. */
int64_t cw_cgroup_parse_oom_kills(struct cw_slice text);
