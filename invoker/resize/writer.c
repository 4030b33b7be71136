#include "invoker/resize/writer.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#define COMPONENT "Resize"

enum by { BY_FILE, BY_ENGINE, BYS };

/* A write to a file takes some microseconds, an engine's update some ten milliseconds. */
static const double BOUNDS[] = {0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002,
                                0.005,   0.01,    0.02,    0.05,   0.1,    0.2,    1};

struct inv_writer {
    struct inv_writer_conf conf;
    struct cw_cgroup_finder *finder;
    struct cw_counter *changes[INV_LIMITS][CW_CONTROL_ANSWERS], *reasserted;
    struct cw_histogram *seconds[BYS];
    struct inv_writer_totals totals;
};

const char *inv_limit_name(enum inv_limit limit)
{
    static const char *const NAMES[INV_LIMITS] = {[INV_LIMIT_CPU_WEIGHT] = "cpu-weight",
                                                  [INV_LIMIT_CPU_QUOTA] = "cpu-quota",
                                                  [INV_LIMIT_MEMORY] = "memory",
                                                  [INV_LIMIT_IO_WEIGHT] = "io-weight",
                                                  [INV_LIMIT_PROTECTED] = "memory-low"};

    return NAMES[limit];
}

static void make_metrics(struct inv_writer *w)
{
    static const char *const BY[BYS] = {"by=\"file\"", "by=\"engine\""};

    for (int by = 0; by < BYS; by++)
        w->seconds[by] = cw_metrics_histogram(w->conf.metrics, "cwhisk_resize_seconds", BY[by],
                                              "Time that one change of a limit took.", BOUNDS,
                                              CW_ARRAY_LEN(BOUNDS));
    w->reasserted = cw_metrics_counter(w->conf.metrics, "cwhisk_resize_reasserted_total", NULL,
                                       "Limits written again because somebody else had written "
                                       "over them.");
}

struct inv_writer *inv_writer_new(const struct inv_writer_conf *conf)
{
    struct inv_writer *w = cw_alloc(sizeof(*w));

    w->conf = *conf;
    w->finder = cw_cgroup_finder_new(conf->cgroup_root, conf->cgroup_parent, &CW_CONTROL_MARKS);
    make_metrics(w);
    return w;
}

void inv_writer_free(struct inv_writer *w)
{
    if (!w)
        return;
    cw_cgroup_finder_free(w->finder);
    free(w);
}

struct cw_control *inv_writer_open(struct inv_writer *w, const char *id, struct cw_err *err)
{
    return cw_control_new(w->conf.cgroup_root, w->finder, id, w->conf.files, err);
}

/* Made when it is needed: most of them never are. */
static struct cw_counter *counter_of(struct inv_writer *w, enum inv_limit limit,
                                     enum cw_control_answer answer)
{
    struct cw_counter **c = &w->changes[limit][answer];
    char labels[96];

    if (!*c) {
        (void)snprintf(labels, sizeof(labels), "limit=\"%s\",answer=\"%s\"", inv_limit_name(limit),
                       cw_control_answer_name(answer));
        *c = cw_metrics_counter(w->conf.metrics, "cwhisk_resize_changes_total", labels,
                                "Changes of limits of running containers, by what came of it.");
    }
    return *c;
}

static void note(struct inv_writer *w, enum by by, enum inv_limit limit,
                 enum cw_control_answer answer, int64_t us)
{
    cw_counter_add(counter_of(w, limit, answer), 1);
    cw_histogram_observe(w->seconds[by], (double)us / 1e6);
    w->totals.writes++;
    w->totals.failures += !cw_control_is_set(answer);
    if (by != BY_FILE)
        return;
    w->totals.last_us = us;
    if (us > w->totals.worst_us)
        w->totals.worst_us = us;
}

static enum cw_control_answer write_limit(struct inv_writer *w, struct cw_control *c,
                                          enum inv_limit limit, int64_t value,
                                          struct cw_control_change *ret, struct cw_err *err)
{
    switch (limit) {
    case INV_LIMIT_CPU_WEIGHT:
        return cw_control_set_weight(c, value, ret, err);
    case INV_LIMIT_CPU_QUOTA:
        return cw_control_set_quota(c, value, CW_CPU_PERIOD_US, ret, err);
    case INV_LIMIT_MEMORY:
        return cw_control_set_memory(c, value, 0, ret, err);
    case INV_LIMIT_PROTECTED:
        return cw_control_set_protected(c, value, ret, err);
    default:
        return cw_control_set_io_weight(c, w->conf.sysfs, value, ret, err);
    }
}

/* Weights are written for many containers at once, and memory is protected again and again: their
 * lines are for whoever looks closely. */
static enum cw_log_level level_of(enum inv_limit limit, enum cw_control_answer answer)
{
    switch (answer) {
    case CW_CONTROL_SET:
    case CW_CONTROL_ROUNDED:
        return limit == INV_LIMIT_CPU_WEIGHT || limit == INV_LIMIT_PROTECTED ? CW_LOG_DEBUG
                                                                             : CW_LOG_INFO;
    case CW_CONTROL_GONE:
        return CW_LOG_DEBUG;
    case CW_CONTROL_BUSY:
    case CW_CONTROL_UNSUPPORTED:
        return CW_LOG_INFO;
    default:
        return CW_LOG_WARN;
    }
}

enum cw_control_answer inv_writer_write(struct inv_writer *w, struct cw_control *c,
                                        const char *name, enum inv_limit limit, int64_t value,
                                        int64_t *ret_now)
{
    int64_t begun_us = w->conf.clock->mono_us(w->conf.clock), us;
    struct cw_control_change change;
    struct cw_err err = {0};
    enum cw_control_answer answer = write_limit(w, c, limit, value, &change, &err);

    us = w->conf.clock->mono_us(w->conf.clock) - begun_us;
    note(w, BY_FILE, limit, answer, us);
    if (ret_now)
        *ret_now = change.after;
    if (cw_control_is_set(answer))
        cw_log(level_of(limit, answer), NULL, COMPONENT,
               "container %s: %s %lld -> %lld, in %lld us", name, change.file,
               (long long)change.before, (long long)change.after, (long long)us);
    else
        cw_log(level_of(limit, answer), NULL, COMPONENT, "container %s: %s stays %lld: %s (%s)",
               name, inv_limit_name(limit), (long long)change.before,
               cw_control_answer_name(answer), err.msg);
    return answer;
}

int64_t inv_writer_read(const struct inv_writer *w, struct cw_control *c, enum inv_limit limit)
{
    switch (limit) {
    case INV_LIMIT_CPU_WEIGHT:
        return cw_control_weight(c);
    case INV_LIMIT_CPU_QUOTA:
        return cw_control_quota(c);
    case INV_LIMIT_MEMORY:
        return cw_control_memory_limit(c);
    case INV_LIMIT_PROTECTED:
        return cw_control_protected(c);
    default:
        return cw_control_io_weight(c, w->conf.sysfs);
    }
}

void inv_writer_tell_engine(struct inv_writer *w, const char *name, enum inv_limit limit,
                            int64_t value, bool ok, int64_t us)
{
    enum cw_control_answer answer = ok ? CW_CONTROL_SET : CW_CONTROL_FAILED;

    note(w, BY_ENGINE, limit, answer, us);
    if (ok)
        cw_log(level_of(limit, answer), NULL, COMPONENT,
               "container %s: %s %lld, by the engine in %lld us", name, inv_limit_name(limit),
               (long long)value, (long long)us);
}

void inv_writer_tell_reasserted(struct inv_writer *w)
{
    cw_counter_add(w->reasserted, 1);
    w->totals.reasserted++;
}

void inv_writer_totals(const struct inv_writer *w, struct inv_writer_totals *ret)
{
    *ret = w->totals;
}
