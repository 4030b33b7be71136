/* common/cgroup/control.h -- changes the limits of a running container by writing the kernel's own
 * files, which takes microseconds where an engine's update call takes tens of milliseconds.
 *
 * One interface for both versions of control groups (kernel: Documentation/admin-guide/cgroup-v1/
 * and cgroup-v2.rst). Every write is read back: what the kernel took is what is reported. The
 * engine does not learn of it; under systemd's cgroup driver a reload may write the engine's values
 * again, so whoever changes a limit looks at it again from time to time. Writes take some
 * microseconds; those that make the kernel reclaim memory take longer, and say so. Thread: owner
 * only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cgroup/group_find.h"

struct cw_err;
struct cw_control;

/* No limit ("max", -1). */
#define CW_CONTROL_NONE INT64_C(-1)

enum {
    CW_SHARES_MIN = 2, /* version 1: cpu.shares; a container has 1024 unless told otherwise */
    CW_SHARES_MAX = 262144,
    CW_WEIGHT_MIN = 1, /* version 2: cpu.weight; a container has 100 */
    CW_WEIGHT_MAX = 10000,
    CW_IO_WEIGHT_MIN = 10, /* what the versions and BFQ have in common; usual: 100 */
    CW_IO_WEIGHT_MAX = 1000,
    CW_CPU_PERIOD_US = 100000, /* the kernel's and every engine's default */
    CW_CPU_QUOTA_MIN_US = 1000,
};

enum cw_control_answer {
    CW_CONTROL_SET,         /* the kernel has exactly this now */
    CW_CONTROL_ROUNDED,     /* it has something near, as read back */
    CW_CONTROL_BUSY,        /* more is in use than the new limit allows; all is as before */
    CW_CONTROL_UNSUPPORTED, /* this kernel has no such file, or it would have no effect */
    CW_CONTROL_GONE,        /* the container's group is not there any more */
    CW_CONTROL_DENIED,      /* the files can be read only (mounted so, or not ours) */
    CW_CONTROL_FAILED,      /* the kernel refuses the value */
    CW_CONTROL_ANSWERS,
};
/* "set", "rounded", "busy", "unsupported", "gone", "denied", "failed". */
const char *cw_control_answer_name(enum cw_control_answer a);
/* The limit is in force. */
static inline bool cw_control_is_set(enum cw_control_answer a)
{
    return a == CW_CONTROL_SET || a == CW_CONTROL_ROUNDED;
}

/* What became of one change. */
struct cw_control_change {
    const char *file;      /* the one that decided; static */
    int64_t before, after; /* its values; CW_CONTROL_NONE: none, or it could not be read */
};

/* How files are read and written. For tests; everybody else takes the kernel's. */
struct cw_control_files {
    /* Both: 0 or an errno. text is NUL-terminated; at most size - 1 bytes are read. */
    int (*write)(void *arg, const char *path, const char *text);
    int (*read)(void *arg, const char *path, char *text, size_t size);
    void *arg;
};
extern const struct cw_control_files CW_CONTROL_KERNEL;

/* The marks for cw_cgroup_finder_new by which groups with limits are found. */
extern const struct cw_cgroup_marks CW_CONTROL_MARKS;

/* Which version has the CPU below this root; false: none that can be seen. */
bool cw_control_root_version(const char *root, enum cw_cgroup_version *ret);

/* root: where control groups are mounted; finder: for the same root; files: borrowed. NULL when
 * the group of container id cannot be found (CW_NOT_FOUND). */
struct cw_control *cw_control_new(const char *root, struct cw_cgroup_finder *finder, const char *id,
                                  const struct cw_control_files *files,
                                  struct cw_err *err) CW_MUST_CHECK;
/* The group above; NULL: that is the root, which has no limits. */
struct cw_control *cw_control_above(const struct cw_control *c) CW_MUST_CHECK;
/* Accepts NULL. */
void cw_control_free(struct cw_control *c);
enum cw_cgroup_version cw_control_version(const struct cw_control *c);
/* The group's place below the hierarchy's root: "docker/<id>". */
const char *cw_control_place(const struct cw_control *c);

/* All changes: *ret is filled whatever the answer; err (may be NULL) says what is wrong when the
 * answer is neither SET nor ROUNDED, with the file's name and the system's word. */

/* cpu.shares (CW_SHARES_…) or cpu.weight (CW_WEIGHT_…), in the version's own scale. */
enum cw_control_answer cw_control_set_weight(struct cw_control *c, int64_t weight,
                                             struct cw_control_change *ret, struct cw_err *err);
/* The weight as it is; CW_CONTROL_NONE when it cannot be read. */
int64_t cw_control_weight(struct cw_control *c);
/* cpu.cfs_quota_us in cpu.cfs_period_us, or cpu.max. quota_us: CW_CONTROL_NONE or
 * CW_CPU_QUOTA_MIN_US.. Of version 1's two files the one is written first that keeps the ratio
 * between lower: it must never exceed that of a group above (EINVAL). */
enum cw_control_answer cw_control_set_quota(struct cw_control *c, int64_t quota_us,
                                            int64_t period_us, struct cw_control_change *ret,
                                            struct cw_err *err);
/* CPU time per period; CW_CONTROL_NONE: as much as there is. */
int64_t cw_control_quota(struct cw_control *c);

/* Memory, and so much swap beside it, in bytes. Version 1 (memory.limit_in_bytes,
 * memory.memsw.limit_in_bytes): the sum is raised before memory and lowered after it, since the
 * kernel refuses a memory limit above the sum. Version 2 (memory.max, memory.swap.max) would kill
 * processes for a limit below what they use, so memory is reclaimed first (memory.high) and the
 * answer is BUSY when that was not enough. May take milliseconds when it lowers. */
enum cw_control_answer cw_control_set_memory(struct cw_control *c, int64_t bytes,
                                             int64_t swap_bytes, struct cw_control_change *ret,
                                             struct cw_err *err);
/* The hard limit, and what is used. CW_CONTROL_NONE when it cannot be read. */
int64_t cw_control_memory_limit(struct cw_control *c);
int64_t cw_control_memory_used(struct cw_control *c);
/* Memory that is reclaimed from others first: memory.low, or memory.soft_limit_in_bytes. */
enum cw_control_answer cw_control_set_protected(struct cw_control *c, int64_t bytes,
                                                struct cw_control_change *ret, struct cw_err *err);
/* As it is; CW_CONTROL_NONE: all there is, or it cannot be read. */
int64_t cw_control_protected(struct cw_control *c);
/* memory.high: throttles whoever is above; version 2 only. */
enum cw_control_answer cw_control_set_high(struct cw_control *c, int64_t bytes,
                                           struct cw_control_change *ret, struct cw_err *err);
/* Makes the kernel give back up to this much of what the group uses: memory.reclaim (Linux 5.19),
 * else memory.high, or version 1's limit, set below what is used and set back before this returns.
 * *ret_won: bytes that are used less. BUSY: there is no more to be had. Takes about a millisecond
 * for each few megabytes of page cache, longer where it goes to swap. */
enum cw_control_answer cw_control_reclaim(struct cw_control *c, int64_t bytes, int64_t *ret_won,
                                          struct cw_err *err);

/* Block I/O: blkio.bfq.weight, blkio.weight, io.bfq.weight or io.weight, 10..1000. UNSUPPORTED
 * unless a scheduler that heeds it is at work: BFQ on some disk below sysfs ("/sys"), or
 * version 2's cost model switched on (io.cost.qos). */
enum cw_control_answer cw_control_set_io_weight(struct cw_control *c, const char *sysfs,
                                                int64_t weight, struct cw_control_change *ret,
                                                struct cw_err *err);

/* The weight as it is; CW_CONTROL_NONE: nothing heeds one, or it cannot be read. */
int64_t cw_control_io_weight(struct cw_control *c, const char *sysfs);

/* What the group has beside it in the same parent, and the parent beside its own neighbours. */
struct cw_control_neighbours {
    int64_t siblings_weight; /* of all groups in the parent, this one too */
    unsigned siblings;
    int64_t parent_weight; /* 0: the parent is the root, which has none */
    int64_t parents_weight;
};
/* Reads some files for each neighbour, at most 2,000. 0 or -1 (the group is gone). */
int cw_control_look_around(struct cw_control *c, struct cw_control_neighbours *ret,
                           struct cw_err *err) CW_MUST_CHECK;
