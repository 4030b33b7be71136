/* invoker/resize/writer.h -- one change of one limit: written, read back, timed, counted, logged.
 *
 * By the kernel's files (common/cgroup/control.h). Where they are out of reach the caller uses the
 * engine's update call and tells of it here, so that both are counted alike. Thread: loop. */
#pragma once

#include "common/cgroup/control.h"

struct cw_clock;
struct cw_counter;
struct cw_err;
struct cw_metrics;
struct inv_writer;

enum inv_limit {
    INV_LIMIT_CPU_WEIGHT, /* in the version's own scale */
    INV_LIMIT_CPU_QUOTA,  /* µs in CW_CPU_PERIOD_US, or CW_CONTROL_NONE */
    INV_LIMIT_MEMORY,     /* bytes, without swap beside them */
    INV_LIMIT_IO_WEIGHT,  /* CW_IO_WEIGHT_… */
    INV_LIMIT_PROTECTED,  /* bytes that are taken last; 0: none */
    INV_LIMITS,
};
/* "cpu-weight", "cpu-quota", "memory", "io-weight", "memory-low". */
const char *inv_limit_name(enum inv_limit limit);

struct inv_writer_conf {
    const struct cw_clock *clock;
    struct cw_metrics *metrics;
    const char *cgroup_root;   /* "/sys/fs/cgroup" */
    const char *cgroup_parent; /* NULL: the engine's default */
    const char *sysfs;         /* "/sys" */
    const struct cw_control_files *files;
};

/* What conf points to is borrowed. */
struct inv_writer *inv_writer_new(const struct inv_writer_conf *conf);
/* Accepts NULL. */
void inv_writer_free(struct inv_writer *w);

/* The files of container id; NULL (CW_NOT_FOUND) when they cannot be seen. To be freed. */
struct cw_control *inv_writer_open(struct inv_writer *w, const char *id,
                                   struct cw_err *err) CW_MUST_CHECK;
/* Writes one limit of the container called name. What did not succeed is logged once here, at a
 * level that fits the answer. *ret_now (may be NULL): what the kernel has afterwards. */
enum cw_control_answer inv_writer_write(struct inv_writer *w, struct cw_control *c,
                                        const char *name, enum inv_limit limit, int64_t value,
                                        int64_t *ret_now);
/* What the kernel has now; CW_CONTROL_NONE: no limit, or it cannot be read. */
int64_t inv_writer_read(const struct inv_writer *w, struct cw_control *c, enum inv_limit limit);
/* The engine was asked for this change of the container called name, and took so long. When it
 * refused (ok false), that is the caller's to log. */
void inv_writer_tell_engine(struct inv_writer *w, const char *name, enum inv_limit limit,
                            int64_t value, bool ok, int64_t us);
/* Somebody else had written over it (systemd, on a reload), and it was written again. */
void inv_writer_tell_reasserted(struct inv_writer *w);

struct inv_writer_totals {
    uint64_t writes, failures, reasserted;
    int64_t last_us, worst_us; /* of writes by file; 0: none yet */
};
void inv_writer_totals(const struct inv_writer *w, struct inv_writer_totals *ret);
