/* The time until a new container takes its first connection. Nothing of the activation has run
 * then, so it need not fail: not with a container that is stuck (frozen by somebody, its image's
 * files out of reach, its process gone), since another one would do; nor with one that works but
 * gets no CPU, for which another one would be no better and one more.
 *
 * They are told apart by what they use. Not to use anything is also what a user's own image does
 * that waits for something before it listens: so the last container gets what is left of the time
 * limit, which counts on over all of them, and at its end the error is stock's. Only the operator's
 * own images, which are known to listen, may take longer, and have the whole limit then. */
#include <inttypes.h>

#include "common/cgroup/usage.h"
#include "common/http/action_client.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/container/container_priv.h"
#include "invoker/job.h"
#include "invoker/monitor/monitor.h"
#include "invoker/settings.h"

enum {
    MAX_UNHEARD_OWN = 2,      /* containers given up for one activation: the operator's images, */
    MAX_UNHEARD_OTHER = 1,    /* others */
    LIMIT_FRACTION = 4,       /* of the time limit, at most, for one of them, */
    MIN_SILENCE_US = 1000000, /* unless that is less than who gets hardly any CPU needs to stir */
    UNSEEN_FACTOR = 3,        /* patience without figures */
    LOOKS = 8,                /* in the time after which one is given up, */
    MAX_LOOK_US = 1000000,    /* but not rarer than this */
    /* Less is what a process does that waits. */
    ACTIVE_CPU_NS = 1000000,
    ACTIVE_BYTES = 64 << 10,
};

static int64_t limit_us(const struct run *r)
{
    return (int64_t)r->job->action->limits.timeout_ms * 1000;
}

/* Of the activation's time limit, until now. */
static int64_t used_us(const struct run *r)
{
    return r->job->unheard_us + inv_ct_now_us(r->c) - r->unheard_since_us;
}

/* May its container take longer than the time limit? Only what is seen to work is waited for. */
static bool is_patient(const struct run *r)
{
    return r->c->never_pulled && r->c->watched && r->c->env->settings->listen_patience_ms > 0;
}

/* Without a sign of life for so long it is given up; 0: never. */
static int64_t silence_us(const struct run *r)
{
    int64_t most = limit_us(r) / LIMIT_FRACTION;
    int64_t set = r->c->env->settings->listen_ms * 1000;

    if (is_patient(r) || set <= most)
        return set;
    return most >= MIN_SILENCE_US ? most : 0;
}

static int64_t look_us(const struct run *r)
{
    int64_t step = silence_us(r) / LOOKS;

    return step > 0 && step < MAX_LOOK_US ? step : MAX_LOOK_US;
}

int64_t inv_ct_init_timeout_ms(const struct run *r)
{
    int64_t left_us = limit_us(r) - (is_patient(r) ? 0 : r->job->unheard_us);

    return left_us > 1000 ? left_us / 1000 : 1;
}

int64_t inv_ct_init_patience_ms(const struct run *r)
{
    return is_patient(r) ? r->c->env->settings->listen_patience_ms : 0;
}

static bool may_replace(const struct run *r)
{
    unsigned most = r->c->never_pulled ? MAX_UNHEARD_OWN : MAX_UNHEARD_OTHER;

    return silence_us(r) > 0 && r->job->unheard < most &&
           (is_patient(r) || used_us(r) + silence_us(r) < limit_us(r));
}

/* false: what it does cannot be seen. */
static bool note_activity(struct run *r)
{
    struct cw_usage u;

    if (!inv_monitor_look(r->c->watched, &u))
        return false;
    if (u.cpu_ns < r->active_cpu_ns + ACTIVE_CPU_NS &&
        u.memory_bytes < r->active_bytes + ACTIVE_BYTES)
        return true;
    r->active_us = inv_ct_now_us(r->c);
    r->active_cpu_ns = u.cpu_ns;
    r->active_bytes = u.memory_bytes;
    return true;
}

static void give_up(struct run *r, int64_t silent_us, bool seen)
{
    struct inv_container *c = r->c;

    cw_log(CW_LOG_WARN, &r->job->msg->tx, COMPONENT,
           "container %s takes no connection and %s for %" PRId64 " ms: another one is made",
           c->name, seen ? "does nothing" : "cannot be looked into", silent_us / 1000);
    r->silent = true;
    c->maybe_paused = c->env->driver->ops->resume != NULL; /* by whoever stopped it */
    cw_action_abort(r->call, "it takes no connection");
}

/* There is no reason for it. */
static void end_patience(struct run *r)
{
    r->out_of_time = true;
    cw_action_abort(r->call, "nobody took the connection within the time limit");
}

static void on_look(void *arg)
{
    struct run *r = arg;
    int64_t silent_us;
    bool seen, silent;

    if (!r->call || cw_action_is_connected(r->call))
        return;
    seen = note_activity(r);
    silent_us = inv_ct_now_us(r->c) - r->active_us;
    silent = silent_us >= silence_us(r) * (seen ? 1 : UNSEEN_FACTOR);
    if (silent && may_replace(r))
        give_up(r, silent_us, seen);
    else if (used_us(r) >= limit_us(r) && (silent || !seen))
        end_patience(r);
    else
        cw_timer_set_us(&r->look, look_us(r));
}

void inv_ct_listen_init(struct run *r)
{
    cw_timer_init(&r->look, r->c->env->loop, on_look, r);
}

void inv_ct_listen_done(struct run *r)
{
    cw_timer_done(&r->look);
}

void inv_ct_listen_begin(struct run *r)
{
    r->unheard_since_us = r->active_us = inv_ct_now_us(r->c);
    r->active_cpu_ns = r->active_bytes = 0;
    cw_timer_set_us(&r->look, look_us(r));
}

/* It ended before it listened. An image of the operator's does not do so by itself. */
static bool was_ended(const struct run *r)
{
    return r->c->died && r->c->never_pulled && r->job->unheard == 0;
}

static bool is_to_be_replaced(struct run *r, const struct cw_action_reply *reply)
{
    if (reply->outcome != CW_ACTION_REFUSED || !(r->silent || was_ended(r)))
        return false;
    cw_counter_add(r->silent ? r->c->env->replaced_silent : r->c->env->replaced_ended, 1);
    r->job->unheard++;
    r->job->unheard_us = used_us(r);
    return true;
}

bool inv_ct_listen_end(struct run *r, const struct cw_action_reply *reply)
{
    int64_t waited_us = inv_ct_now_us(r->c) - reply->elapsed_us - r->unheard_since_us;

    if (r->reused)
        return false;
    cw_timer_stop(&r->look);
    if (is_to_be_replaced(r, reply))
        return true;
    if (reply->outcome == CW_ACTION_ANSWERED && waited_us >= inv_ct_init_timeout_ms(r) * 1000) {
        cw_counter_add(r->c->env->late, 1);
        cw_log(CW_LOG_WARN, &r->job->msg->tx, COMPONENT,
               "container %s took its first connection only after %" PRId64
               " ms: the machine is short of CPU",
               r->c->name, waited_us / 1000);
    }
    return false;
}
