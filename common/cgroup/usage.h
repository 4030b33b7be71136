/* common/cgroup/usage.h -- what containers and the host use, from the kernel's own files.
 *
 * One interface over cgroup version 1 and 2. A container's group is found by the container's id
 * (group_find.h), so it does not matter whether process ids of the host are visible. Files are
 * opened once and read with pread(); a sample allocates nothing and writes nothing. No call waits
 * for a device; a sample takes some microseconds.
 *
 * What cannot be had is left out of `have`, never guessed: controllers that are not there, files of
 * newer kernels, contents that make no sense. Why, cw_usage_next_fault says, once for each file and
 * reason. Counters only grow here: a step back of the kernel's (a reset, a sum that was taken while
 * it changed) counts as no progress, and is counted.
 *
 * Which file each figure comes from: docs/monitoring.md; kernel: admin-guide/cgroup-v1/,
 * admin-guide/cgroup-v2.rst, accounting/psi.rst. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/cgroup/group_find.h"

struct cw_err;
struct cw_usage_group;
struct cw_usage_source;

/* What is wanted of a sample; what a sample has. */
enum cw_usage_part {
    CW_USAGE_CPU = 1 << 0,
    CW_USAGE_CPU_SPLIT = 1 << 1,   /* user_ns, system_ns: version 2 only, where they cost nothing */
    CW_USAGE_MEMORY = 1 << 2,      /* one number: cheap */
    CW_USAGE_MEMORY_STAT = 1 << 3, /* some forty lines: most of a sample's cost */
    CW_USAGE_PEAK = 1 << 4,        /* version 2: from Linux 5.19 */
    CW_USAGE_THROTTLE = 1 << 5,
    CW_USAGE_OOM = 1 << 6, /* version 1: from Linux 4.13 */
    CW_USAGE_IO = 1 << 7,
    CW_USAGE_PIDS = 1 << 8,
    CW_USAGE_ALL = (1 << 9) - 1,
    /* What is read often. */
    CW_USAGE_HOT =
        CW_USAGE_CPU | CW_USAGE_MEMORY | CW_USAGE_MEMORY_STAT | CW_USAGE_PEAK | CW_USAGE_THROTTLE,
};

/* One sample of a container; of its group with all below it. Times and counts: since the container
 * started. Fields of parts that are not in `have` are 0. */
struct cw_usage {
    uint32_t have; /* enum cw_usage_part */
    uint64_t cpu_ns;
    uint64_t user_ns, system_ns;
    uint64_t memory_bytes; /* all that is charged to it, page cache and kernel memory too */
    /* memory_bytes less the file cache that has not been used for a while (inactive_file), as
     * kubelet and docker stats have it; with CW_USAGE_MEMORY alone, less what that was when it was
     * read last. Needs CW_USAGE_MEMORY. */
    uint64_t working_set_bytes;
    uint64_t anon_bytes, file_bytes, shmem_bytes, inactive_file_bytes; /* CW_USAGE_MEMORY_STAT */
    /* The most that memory_bytes has been: an upper bound of the need, it includes page cache.
     * Since cw_usage_reset_peak where that works, else since the container started. */
    uint64_t peak_bytes;
    uint64_t throttled_ns;               /* runnable, but its quota was used up */
    uint64_t periods, throttled_periods; /* of the quota; 0 without one */
    /* oom_events: its limit was met and nothing could be freed; version 1 does not count these, and
     * has oom_kills here. */
    uint64_t oom_events, oom_kills;
    uint64_t io_read_bytes, io_written_bytes; /* of block devices */
    uint64_t io_reads, io_writes;
    uint64_t pids; /* processes and threads now */
    /* The container has said so of itself (usage_probe.h): never to raise a need above the limit,
     * never to decide what is admitted. */
    bool untrusted;
};

/* cgroup_root: where the host's control groups are mounted ("/sys/fs/cgroup"); proc: "/proc";
 * parent: the engine's --cgroup-parent, NULL or "": its default. All are copied. Nothing is looked
 * at yet. */
struct cw_usage_source *cw_usage_source_new(const char *cgroup_root, const char *proc,
                                            const char *parent);
/* All its groups must be closed. Accepts NULL. */
void cw_usage_source_free(struct cw_usage_source *s);

/* Opens the group of container id (64 hex digits). keep: the parts whose files stay open; others
 * are opened for each sample that wants them, which takes longer (5 µs instead of 1). HOT keeps 5
 * descriptors, ALL 9 with version 1 and 7 with version 2. NULL: CW_NOT_FOUND, there is no such
 * group to be seen (it has ended, or the hierarchy is not visible); CW_UNAVAILABLE, no descriptors
 * are left. To be closed. */
struct cw_usage_group *cw_usage_open(struct cw_usage_source *s, const char *id, uint32_t keep,
                                     struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. */
void cw_usage_close(struct cw_usage_group *g);
/* Of the hierarchy it was found in. */
enum cw_cgroup_version cw_usage_version(const struct cw_usage_group *g);
/* Descriptors that it holds. */
unsigned cw_usage_descriptors(const struct cw_usage_group *g);

/* Reads the parts in `want`; *ret is filled in any case. -1, CW_NOT_FOUND: the group is gone (the
 * container has ended), `have` says what was read before; nothing else is an error. */
int cw_usage_sample(struct cw_usage_group *g, uint32_t want, struct cw_usage *ret,
                    struct cw_err *err) CW_MUST_CHECK;

/* How often the kernel has killed something for memory in container id, which need not be open
 * here. An engine says that a container was killed for memory when its main process was, and some
 * say so only after it has ended; the kernel counts every process it kills, for as long as the
 * group exists. -1: there is no such group to be seen, or the kernel does not count (before 4.13).
 * All groups are looked at for it only as long as none was ever found. */
int64_t cw_usage_oom_kills(struct cw_usage_source *s, const char *id);

/* Lets peak_bytes begin anew with what is in use now. Version 1: any kernel, and for all readers
 * (the kernel keeps one number); version 2: from Linux 6.12, for this handle alone, when PEAK is
 * kept. false: it cannot be (older kernel, files that cannot be written), the peak goes on. */
bool cw_usage_reset_peak(struct cw_usage_group *g);

/* ---- the host ---- */

enum cw_usage_host_part {
    CW_HOST_CPU = 1 << 0,
    CW_HOST_MEMORY = 1 << 1,
    CW_HOST_PRESSURE_CPU = 1 << 2,
    CW_HOST_PRESSURE_MEMORY = 1 << 3,
    CW_HOST_PRESSURE_IO = 1 << 4,
    CW_HOST_ALL = (1 << 5) - 1,
};

/* Pressure-stall information of one resource. */
struct cw_pressure {
    /* Share of the last 10 s in which some, or all, had to wait: hundredths of a percent, 0..10000.
     */
    uint32_t some_avg10, full_avg10;
    uint64_t some_us, full_us; /* since the start of the machine */
};

struct cw_usage_host {
    uint32_t have;   /* enum cw_usage_host_part */
    uint32_t cores;  /* on line; always there */
    uint64_t cpu_ns; /* used by all since the start of the machine; grows, to 10 ms */
    uint64_t memory_total_bytes, memory_available_bytes; /* as the kernel estimates it */
    struct cw_pressure cpu, memory, io; /* without PSI (kernel, psi=0): not in `have` */
};

void cw_usage_sample_host(struct cw_usage_source *s, uint32_t want, struct cw_usage_host *ret);

/* What the groups above the containers let them use together: of the engine's --cgroup-parent, or
 * of the group that the last container was found in; nothing but the machine bounds them before
 * either is known, or where there are no limits (cpu.cfs_quota_us, cpuset, memory.limit_in_bytes;
 * cpu.max, memory.max; of all groups up to the root). A limit above what the machine has is none.
 */
struct cw_usage_budget {
    int64_t cpu_millis;             /* at most all cores on line; above 0 */
    int64_t memory_bytes;           /* -1: no limit */
    int64_t memory_available_bytes; /* of it, less what is used but for file cache; -1: no limit */
};

/* Opens, reads and closes some files for each group between the containers and the root. */
void cw_usage_sample_budget(struct cw_usage_source *s, struct cw_usage_budget *ret);

/* ---- what went wrong ---- */

/* The oldest that was not told yet; false: none. One line each: the file, and what is the matter.
 */
bool cw_usage_next_fault(struct cw_usage_source *s, struct cw_err *ret);

struct cw_usage_stats {
    uint64_t samples;     /* of groups */
    uint64_t reads;       /* of files */
    uint64_t backwards;   /* counters that stepped back */
    uint64_t unreadable;  /* reads that failed or made no sense, of groups that were there */
    uint64_t vanished;    /* groups that went between two samples */
    uint32_t groups;      /* open now */
    uint32_t descriptors; /* held now, the host's included */
};
void cw_usage_source_stats(const struct cw_usage_source *s, struct cw_usage_stats *ret);

/* What came between two samples of one container: later - earlier, never below 0. Pure. */
static inline uint64_t cw_usage_since(uint64_t later, uint64_t earlier)
{
    return later > earlier ? later - earlier : 0;
}
