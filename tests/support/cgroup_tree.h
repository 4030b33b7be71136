/* tests/support/cgroup_tree.h -- folders like those of a container's control group, with what
 * kernels wrote there (cgroup_recorded.h). Aborts when something cannot be written. Thread: any. */
#pragma once

/* root: a folder of the test's own, like /sys/fs/cgroup; group: "docker/<id>". */
void cgroup_tree_v1(const char *root, const char *group);
void cgroup_tree_v2(const char *root, const char *group);
/* One file. controller: folder of version 1's hierarchy, or "." */
void cgroup_tree_put(const char *root, const char *controller, const char *group, const char *name,
                     const char *text);
