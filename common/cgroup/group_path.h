/* common/cgroup/group_path.h -- where engines put a container's control group.
 *
 * Paths are below the root of a hierarchy: "/sys/fs/cgroup" of version 2, the folder of one
 * controller of version 1. Thread: any (no state). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

/* 64 lower-case hex digits. */
bool cw_cgroup_is_id(const char *id);

/* The place of container id by rule number `rule` (0, 1, …) into *out, which is emptied before;
 * false: there are no more rules. parent: the engine's --cgroup-parent; NULL or "": its default.
 * Pure. */
bool cw_cgroup_known_place(const char *parent, const char *id, size_t rule, struct cw_str *out);

/* The place of the group that an engine with this --cgroup-parent ("/a/b", "a-b.slice") puts
 * containers in, into *out, which is emptied before. Pure. */
void cw_cgroup_parent_place(const char *parent, struct cw_str *out);

/* May a group of this name be that of container id? (Not that of a program that watches over it.)
 * Pure. */
bool cw_cgroup_is_group_of(const char *name, const char *id);

/* Looks at all groups below the folder root, at most 2,000 of them and eight levels deep, for that
 * of container id; *out as above. Takes milliseconds on a machine with many groups. false: it is
 * not among them. */
bool cw_cgroup_search(const char *root, const char *id, struct cw_str *out);
