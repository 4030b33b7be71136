/* Changes by the engine's update call, one weight at a time: the order of a plan counts here, too.
 * A container's other limits are nobody else's business. */
#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/obs/log.h"
#include "invoker/resize/resize_priv.h"

/* Of version 2 the smallest that the engines' conversion, 1 + (shares - 2) * 9999 / 262142, does
 * not bring under the weight. */
uint32_t resize_engine_shares(const struct inv_resize *r, int64_t weight)
{
    if (r->way != BY_FILES || r->version == CW_CGROUP_V1)
        return (uint32_t)weight;
    return (uint32_t)(CW_SHARES_MIN +
                      ((weight - 1) * (CW_SHARES_MAX - CW_SHARES_MIN) + CW_WEIGHT_MAX - 2) /
                          (CW_WEIGHT_MAX - 1));
}

static struct cw_driver_call *update(struct inv_resize *r, const struct inv_member *m,
                                     const struct cw_driver_limits *limits, cw_driver_done_fn *fn,
                                     void *arg)
{
    struct cw_driver *d = r->conf.driver;

    return d->ops->update ? d->ops->update(d, m->id, limits, fn, arg) : NULL;
}

static int64_t now_us(const struct inv_resize *r)
{
    return cw_loop_mono_us(r->conf.loop);
}

static void on_weight(void *arg, const struct cw_err *err)
{
    struct inv_resize *r = arg;
    struct inv_member *m = r->call_member;

    r->call = NULL;
    r->call_member = NULL;
    inv_writer_tell_engine(r->writer, m->name, INV_LIMIT_CPU_WEIGHT, r->call_weight, !err,
                           now_us(r) - r->call_begun_us);
    if (!err) {
        m->weight = r->call_weight;
    } else {
        m->stuck = true;
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "container %s keeps its CPU weight, so guarantees may be undercut: %s", m->name,
               err->msg);
    }
    resize_apply(r);
}

bool resize_engine_weight(struct inv_resize *r, struct inv_member *m)
{
    const struct cw_driver_limits limits = {.cpu_shares = resize_engine_shares(r, m->wanted)};

    r->call_begun_us = now_us(r);
    r->call_weight = m->wanted;
    r->call = update(r, m, &limits, on_weight, r);
    r->call_member = r->call ? m : NULL;
    return r->call != NULL;
}

static void note_limits(const struct inv_member *m, bool ok, int64_t us)
{
    struct inv_writer *w = m->r->writer;

    if (m->memory_next_mb != m->memory_mb)
        inv_writer_tell_engine(w, m->name, INV_LIMIT_MEMORY, (int64_t)m->memory_next_mb << 20, ok,
                               us);
    if (m->quota_wanted_us != m->quota_us)
        inv_writer_tell_engine(w, m->name, INV_LIMIT_CPU_QUOTA, m->quota_wanted_us, ok, us);
    if (m->io_next != m->io_weight)
        inv_writer_tell_engine(w, m->name, INV_LIMIT_IO_WEIGHT, m->io_next, ok, us);
}

static void on_limits(void *arg, const struct cw_err *err)
{
    struct inv_member *m = arg;
    struct inv_resize *r = m->r;

    m->limits_call = NULL;
    note_limits(m, !err, now_us(r) - m->limits_begun_us);
    if (err) {
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "container %s keeps its limits: %s", m->name,
               err->msg);
    } else {
        m->memory_mb = m->memory_next_mb;
        m->quota_us = m->quota_wanted_us;
        m->io_weight = m->io_next;
    }
    if (m->adopting)
        r->conf.on_adopted(r->conf.arg, m->owner, !err);
}

bool resize_engine_limits(struct inv_member *m, uint32_t memory_mb, bool adopting)
{
    bool quota = m->quota_wanted_us != m->quota_us;
    uint32_t io = resize_io_wanted(m);
    const struct cw_driver_limits limits = {
        .memory_mb = memory_mb != m->memory_mb ? memory_mb : 0,
        .cpu_millis = quota ? (uint32_t)(m->quota_wanted_us * 1000 / CW_CPU_PERIOD_US) : 0,
        .blkio_weight = io != m->io_weight ? io : 0,
    };

    if (m->limits_call || (adopting && !m->r->conf.on_adopted))
        return false;
    if (quota && m->quota_wanted_us == CW_CONTROL_NONE)
        return false; /* engines raise and lower a quota, but do not take it away */
    m->adopting = adopting;
    m->limits_begun_us = now_us(m->r);
    m->memory_next_mb = memory_mb;
    m->io_next = io;
    m->limits_call = update(m->r, m, &limits, on_limits, m);
    return m->limits_call != NULL;
}

void resize_engine_forget(struct inv_member *m)
{
    struct inv_resize *r = m->r;
    struct cw_driver *d = r->conf.driver;

    if (m->limits_call)
        d->ops->cancel(d, CW_STEAL(m->limits_call));
    if (r->call_member != m)
        return;
    d->ops->cancel(d, CW_STEAL(r->call));
    r->call_member = NULL;
}
