#include "invoker/stale.h"

#include <inttypes.h>

#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"
#include "invoker/settings.h"

#define COMPONENT "InvokerReactive"

enum { FACTOR = 2, ADDON_MS = 60000 };

struct inv_stale {
    struct cw_loop *loop;
    const struct inv_settings *settings;
    struct cw_counter *count;
    int64_t ahead_ms; /* of the wall clock before the monotonic one, when we began */
};

/* By the wall clock, or by the time that has passed since it was read at our start, whichever makes
 * the work younger: a clock that is set ahead makes no work old. */
static int64_t age_of(const struct inv_stale *s, const struct inv_job *job)
{
    int64_t wall_ms = cw_loop_wall_ms(s->loop);
    int64_t steady_ms = cw_loop_mono_us(s->loop) / 1000 + s->ahead_ms;

    return (wall_ms < steady_ms ? wall_ms : steady_ms) - job->msg->tx.start_ms;
}

bool inv_stale_ends(struct inv_stale *s, struct inv_job *job, const struct cw_action *action)
{
    int64_t now_ms = cw_loop_wall_ms(s->loop);
    int64_t age_ms = age_of(s, job);
    int64_t limit_ms = action->limits.timeout_ms;

    if (limit_ms < s->settings->time_std_ms)
        limit_ms = s->settings->time_std_ms;
    if (age_ms <= limit_ms * FACTOR + ADDON_MS)
        return false;
    if (!job->stale)
        cw_counter_add(s->count, 1);
    job->stale = true;
    if (s->settings->stale_work == INV_STALE_RUN)
        return false;
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
           "activation %s is %" PRId64 " s old and its controller has given it up: not run",
           job->msg->activation_id, age_ms / 1000);
    inv_job_excuse(job, "The action was not invoked because its activation had expired.", now_ms);
    return true;
}

struct inv_stale *inv_stale_new(struct cw_loop *loop, const struct inv_settings *settings,
                                struct cw_metrics *metrics)
{
    struct inv_stale *s = cw_alloc(sizeof(*s));

    s->loop = loop;
    s->settings = settings;
    s->ahead_ms = cw_loop_wall_ms(loop) - cw_loop_mono_us(loop) / 1000;
    s->count = cw_metrics_counter(metrics, "cwhisk_activation_stale_total", NULL,
                                  "Activations that came after their controller gave them up.");
    return s;
}

void inv_stale_free(struct inv_stale *s)
{
    free(s);
}
