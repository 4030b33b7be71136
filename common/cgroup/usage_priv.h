/* common/cgroup/usage_priv.h -- which files the figures of usage.h are read from: usage_v1.c,
 * usage_v2.c; usage_file.c reads them, usage.c and usage_host.c make samples of it. */
#pragma once

#include <sys/types.h>

#include "common/base/list.h"
#include "common/cgroup/usage.h"
#include "common/cgroup/usage_text.h"

enum { CW_USAGE_MAX_FILES = 9, CW_USAGE_HOST_FILES = 5, CW_USAGE_TEXT_MAX = 16384 };

/* A file of a group. Its text is one number (to be put at `number`), or lines of which some fields
 * are looked for (`needed`: the bits of those without which it makes no sense), or something of its
 * own. */
struct cw_usage_file {
    uint32_t parts;
    const char *controller; /* version 1: its hierarchy; version 2: what has to be enabled */
    const char *name;
    const char *older_name; /* before Linux 5.x, or NULL */
    const char *since;      /* the kernel that has it first, or NULL */
    size_t number;
    const struct cw_cgroup_field *fields;
    size_t field_count;
    uint32_t needed;
    /* Adds to u and u->have what text says; false: it makes no sense. */
    bool (*parse)(struct cw_slice text, struct cw_usage *u);
    bool writable; /* opened for writing, too, where that can be */
};

struct cw_usage_files {
    const struct cw_usage_file *file;
    unsigned count; /* at most CW_USAGE_MAX_FILES */
};

extern const struct cw_usage_files CW_USAGE_FILES_V1, CW_USAGE_FILES_V2;

/* What text says, into u and u->have; false: it makes no sense. Pure. */
bool cw_usage_parse(const struct cw_usage_file *file, struct cw_slice text, struct cw_usage *u);
/* Time that all processors were busy, from the first line of /proc/stat; hz: ticks in a second.
 * Pure. */
bool cw_usage_parse_stat(struct cw_slice text, uint64_t hz, uint64_t *ret_ns);
/* Of /proc/meminfo. Pure. */
bool cw_usage_parse_meminfo(struct cw_slice text, uint64_t *ret_total, uint64_t *ret_available);

/* ---- faults ---- */

enum cw_usage_fault { CW_USAGE_MISSING, CW_USAGE_UNREADABLE, CW_USAGE_GARBAGE, CW_USAGE_FAULTS };

struct cw_usage_source {
    char *root, *proc, *parent;
    struct cw_cgroup_finder *finder;        /* NULL before the first group */
    const char *folder[CW_USAGE_MAX_FILES]; /* version 1: where each file's hierarchy is */
    struct cw_usage_stats stats;
    int host_fd[CW_USAGE_HOST_FILES]; /* -1: not open, or not there */
    uint32_t host_missing;            /* bits of files */
    uint64_t host_cpu_ns;
    struct cw_list faults;                                    /* not told yet */
    uint8_t told[CW_CGROUP_VERSIONS + 1][CW_USAGE_MAX_FILES]; /* bits of faults; last: the host's */
};

/* Notes it for cw_usage_next_fault, unless this file and fault have been noted. group: a version,
 * or CW_CGROUP_VERSIONS for the host's files. */
void cw_usage_note(struct cw_usage_source *s, unsigned group, unsigned index,
                   enum cw_usage_fault fault, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- usage.c ---- */

/* Version 1: the folder of this controller's hierarchy. */
const char *cw_usage_folder_of(const struct cw_usage_source *s, const char *controller);

/* ---- usage_budget.c ---- */

/* Processors in a list like "0-3,8"; 0: it makes no sense. Pure. */
uint32_t cw_usage_count_cpus(struct cw_slice text);

/* ---- usage_file.c ---- */

/* All of a file, from its begin, over as many reads as it takes, into buf; -1 with errno: EFBIG
 * when it is longer. */
ssize_t cw_usage_read(struct cw_usage_source *s, int fd, char *buf, size_t size);
