/* A container that lives can be given other limits (invoker/resize/): so a warm one goes on with a
 * new revision of its action that differs in nothing else, and a guarantee of CPU is kept whoever
 * comes. Who may resize what is the rule of design 7: memory only when the pre-optimizer wrote it,
 * or the runtime adapts to it; everything else that can be written always. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "invoker/dispatch_priv.h"
#include "invoker/job.h"
#include "invoker/settings.h"

enum { LOG_INTERVAL_US = 10 * 1000000 };

int dispatch_read_wishes(const struct inv_dispatch *d, const struct inv_job *job,
                         struct inv_wishes *ret, struct cw_err *err)
{
    uint32_t most_ppm = inv_resize_most_ppm(d->resize);

    if (inv_wishes_read(job->action, ret, err) != 0)
        return -1;
    if (ret->guarantee_ppm > most_ppm)
        return cw_fail(err, CW_INVALID,
                       "annotation cwhisk.cpu-guarantee: %g, more than the %g that this invoker "
                       "can guarantee",
                       ret->guarantee_ppm / 1e6, most_ppm / 1e6);
    return 0;
}

/* "python", or "python:3". */
static bool adapts(const struct inv_settings *s, const char *kind)
{
    size_t family = strcspn(kind, ":");

    for (char **name = s->adaptive_heap; name && *name; name++)
        if (strcmp(*name, kind) == 0 ||
            (strlen(*name) == family && strncmp(*name, kind, family) == 0))
            return true;
    return false;
}

void dispatch_adapt_need(struct inv_dispatch *d, const struct inv_job *job,
                         const struct inv_wishes *wishes, struct inv_pool_need *need)
{
    const struct inv_settings *s = d->conf.settings;

    need->resizes = s->warm_limits &&
                    (inv_wishes_memory_by_preopt(job->action) || adapts(s, job->action->kind));
    need->warm_only = inv_resize_fits(d->resize, wishes) != INV_CPU_FITS;
}

/* An idle container with a guarantee keeps it, and so keeps others from theirs: room is worth more.
 * The longest idle go first; those that are going already count. */
static void free_guarantees(struct inv_dispatch *d, uint64_t missing_ppm)
{
    uint64_t freed = 0;

    CW_LIST_EACH (&d->holdings, n) {
        const struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        freed += h->slot->state == INV_SLOT_GONE ? inv_member_guarantee(h->member) : 0;
    }
    CW_LIST_EACH (&d->holdings, n) {
        struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        if (freed >= missing_ppm)
            return;
        if (h->slot->state != INV_SLOT_IDLE || !inv_member_guarantee(h->member))
            continue;
        freed += inv_member_guarantee(h->member);
        inv_container_remove(h->container);
    }
}

void dispatch_make_room_for_cpu(struct inv_dispatch *d, const struct inv_job *job,
                                const struct inv_wishes *wishes)
{
    int64_t now_us = cw_loop_mono_us(d->conf.loop);

    free_guarantees(d, inv_resize_missing_ppm(d->resize, wishes));
    if (d->cpu_logged_us && now_us - d->cpu_logged_us < LOG_INTERVAL_US)
        return;
    d->cpu_logged_us = now_us;
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
           "activation %s waits: no CPU is left for a new container beside those with a guarantee "
           "(%s)",
           job->msg->activation_id, inv_cpu_fit_name(inv_resize_fits(d->resize, wishes)));
}

enum inv_adopt dispatch_adopt(struct holding *h, const struct inv_job *job,
                              const struct inv_wishes *wishes)
{
    uint32_t memory_mb = (uint32_t)job->action->limits.memory_mb;
    enum inv_adopt adopted;

    if (h->adopting)
        return INV_ADOPT_PENDING;
    inv_resize_busy(h->member);
    adopted = inv_resize_adopt(h->member, wishes, memory_mb);
    if (adopted == INV_ADOPT_PENDING)
        h->adopting = true;
    if (adopted != INV_ADOPT_REFUSED)
        return adopted;
    if (h->slot->in_flight > 1)
        return INV_ADOPT_DONE; /* beside others: as it is until it is idle */
    cw_log(CW_LOG_INFO, &job->msg->tx, COMPONENT,
           "container %s cannot have the limits of activation %s and is replaced",
           inv_container_name(h->container), job->msg->activation_id);
    inv_pool_done(h->d->pool, h->slot);
    inv_container_remove(h->container);
    return INV_ADOPT_REFUSED;
}

uint64_t dispatch_memory_need(void *arg, void *owner)
{
    const struct inv_dispatch *d = arg;
    const struct holding *h = owner;
    const struct cw_action *action = inv_container_action(h->container);

    return d->conf.memory_need && action ? d->conf.memory_need(d->conf.arg, action) : 0;
}

void dispatch_hold(struct holding *h, struct inv_job *job)
{
    cw_list_push_back(&h->held, &job->link);
}

void dispatch_let_go(struct holding *h)
{
    struct cw_link *n;

    h->adopting = false;
    while ((n = cw_list_pop_front(&h->held))) {
        inv_pool_done(h->d->pool, h->slot);
        dispatch_put_back(h->d, CW_LIST_ENTRY(n, struct inv_job, link));
    }
}

void dispatch_on_adopted(void *arg, void *owner, bool done)
{
    struct inv_dispatch *d = arg;
    struct holding *h = owner;
    struct cw_link *n;

    if (!h->adopting)
        return;
    h->adopting = false;
    while (done && (n = cw_list_pop_front(&h->held)))
        inv_container_add(h->container, CW_LIST_ENTRY(n, struct inv_job, link));
    if (done)
        return;
    dispatch_let_go(h);
    inv_container_remove(h->container);
    cw_defer_post(&d->retry);
}
