/* common/cgroup/group_find.h -- finds a container's control group in the host's hierarchies.
 *
 * The place of a group is tried in this order: as the last container's was; by the rules of the
 * engines (group_path.h); by a look at all groups, which is given up after some looks in a row that
 * found nothing (they are not visible from here, or the engine is on another machine).
 * Thread: owner only. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

enum cw_cgroup_version { CW_CGROUP_V1, CW_CGROUP_V2, CW_CGROUP_VERSIONS };

/* The files by which a group is known to be there. Borrowed. */
struct cw_cgroup_marks {
    const char *v1_controller; /* folder of the hierarchy that is looked at: "freezer" */
    const char *v1_file, *v2_file;
};

struct cw_cgroup_finder;

/* root: where the host's control groups are mounted; parent: the engine's --cgroup-parent, NULL or
 * "": its default. Both are copied. Nothing is looked at yet. */
struct cw_cgroup_finder *cw_cgroup_finder_new(const char *root, const char *parent,
                                              const struct cw_cgroup_marks *marks);
/* Accepts NULL. */
void cw_cgroup_finder_free(struct cw_cgroup_finder *f);

/* The group of container id, by its place below a hierarchy's root ("docker/<id>"), into *place,
 * which is initialised and is emptied before. search: also by a look at all groups, which takes
 * milliseconds. false: there is none to be seen, or id is none. */
bool cw_cgroup_find(struct cw_cgroup_finder *f, const char *id, bool search,
                    enum cw_cgroup_version *ret_version, struct cw_str *place);
/* The place of the group that containers are in: the last one's that was found, else the engine's
 * --cgroup-parent, into *place, which is emptied before. false: neither is known. */
bool cw_cgroup_parent(const struct cw_cgroup_finder *f, struct cw_str *place);
/* Has a group ever been found? */
bool cw_cgroup_found_any(const struct cw_cgroup_finder *f);
