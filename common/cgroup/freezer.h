/* common/cgroup/freezer.h -- stops and continues the processes of containers by the kernel's own
 * files, which takes microseconds where an engine takes tens of milliseconds.
 *
 * The engine does not learn of it: to it the container runs all the time (as it did under stock's
 * "runc pause"). With version 1 a frozen process does not even take SIGKILL, so whoever removes a
 * container thaws it before. Groups are found by the container's id in the host's hierarchy; of
 * version 1 the freezer's own is used (freezer.state), else version 2 (cgroup.freeze).
 *
 * Writes to these files take some microseconds, at worst a few milliseconds on a busy machine.
 * Thread: owner only. */
#pragma once

#include "common/base/mem.h"

struct cw_err;
struct cw_freezer;

/* root: where the host's control groups are mounted ("/sys/fs/cgroup"); parent: the engine's
 * --cgroup-parent, NULL or "": its default. Both are copied. Nothing is looked at yet. */
struct cw_freezer *cw_freezer_new(const char *root, const char *parent);
/* Thaws nothing. Accepts NULL. */
void cw_freezer_free(struct cw_freezer *f);

/* 1: frozen. 0: under way, call again to see (some process has not stopped yet). -1: the group
 * cannot be found or written from here, nothing was done. */
int cw_freezer_freeze(struct cw_freezer *f, const char *id);
/* 1: thawed, its processes run. 0: freeze() has not frozen it. -1: it was frozen and cannot be
 * thawed; most probably its group is gone with it. After this it is not held frozen here. */
int cw_freezer_thaw(struct cw_freezer *f, const char *id, struct cw_err *err) CW_MUST_CHECK;
/* Thaws it in any case, whoever froze it: before it is removed. Nothing happens where it cannot be
 * reached or is not frozen. */
void cw_freezer_release(struct cw_freezer *f, const char *id);
