/* Least expected delay. Of a host that was last heard of a moment ago a warm container may be gone
 * when we arrive, and its load may have changed: both are priced, neither is trusted. Among nearly
 * equal hosts an action has an order of preference (rendezvous hashing), so that it is warm on few
 * hosts instead of cold on many, and different actions do not all run to the same host. */
#include <math.h>

#include "invoker/placement/policy_priv.h"

/* A container that was warm at the last update has been taken by somebody else since. */
static const double GONE = 0.2;
/* A cold start costs the one who waits for it its time, and everybody else the processor, the
 * engine and the memory that it takes: its time so often. Fewer containers then serve as many. */
static const double COLD_WEIGHT = 10;
/* An evicted container would have been used again. */
static const double MISSED = 0.5;
/* A busy container is waited for when that takes, as it looks, less than this part of the best
 * that there is otherwise; and given up after so many times as long, or a cold start. */
static const double WORTH_WAITING = 0.03, PATIENCE = 3;
static const double FADE_US = 60e6;    /* half of what was waited counts no more after that */
static const double FORWARD_US = 2000; /* a hop through Kafka */
/* Nearly equal: within this part of the best, or this much. */
static const double NEAR = 0.01, NEAR_US = 500;
static const double SATURATED = 0.95;
/* How well the load is known: Sakasegawa's exponent is for work that comes at random. What runs is
 * known here, so there is hardly any waiting before all cores are taken. */
static const double KNOWN = 2;
/* A host's load is that of this moment for about so long: what runs there ends, and what comes goes
 * where there is less. */
static const double LASTS_US = 3e6;

/* How much longer work takes at load rho (1: all cores) of a host with so many cores: the waiting
 * of M/M/c as Sakasegawa approximates it, continued in a straight line where the formula has its
 * pole; where rho and its own need are more than 1 the processor is shared. Its own need makes
 * nobody wait: who arrives meets the load of the others, and one that needs most of a small host
 * would never find it fit to take it. */
static double slowdown(double rho, double own, double cores)
{
    double below = rho < SATURATED ? rho : SATURATED, base = below, power = 1;
    double shared = rho + own > 1 ? rho + own : 1;
    int exponent = (int)(KNOWN * sqrt(2 * (cores + 1)) + 0.5);

    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            power *= base;
        base *= base;
    }
    return shared + power / (cores * (1 - below)) + (rho - below);
}

/* The part of a run that meets the load of this moment, which fades exponentially. The rest of it
 * meets what is usual, the same everywhere: a long run does not pass over a warm container for load
 * that will be gone before it is half done. */
static double soon_us(const struct inv_ask *ask)
{
    return -expm1(-(double)ask->run_us / LASTS_US) * LASTS_US;
}

static double p_warm(const struct inv_host_view *h)
{
    uint32_t left = h->warm > h->forwards.same ? h->warm - h->forwards.same : 0;

    if (left == 0)
        return 0;
    return h->self ? 1 : 1 - pow(GONE, left < 16 ? left : 16);
}

/* Cold starts that others will have because of the idle containers that must go. */
static double eviction_us(const struct inv_host_view *h, const struct inv_ask *ask)
{
    double missing = (double)ask->memory_bytes + (double)h->forwards.memory_bytes +
                     (double)h->memory_reserved_bytes - (double)h->memory_total_bytes;

    if (missing <= 0 || h->idle == 0 || h->memory_idle_bytes == 0)
        return 0;
    return ceil(missing * h->idle / (double)h->memory_idle_bytes) * MISSED *
           (double)ask->cold_start_us;
}

static double queue_us(const struct inv_host_view *h, const struct inv_ask *ask)
{
    double waiting = (double)h->queued + (double)h->lag, run;

    if (waiting <= 0)
        return 0;
    run = (double)(h->mean_run_us > 0 ? h->mean_run_us : ask->run_us);

    return waiting * run / (h->running > 0 ? h->running : 1);
}

/* Without what is the same on all hosts. Infinite when it is beyond worth_us in any case. */
static double delay_us(const struct inv_host_view *h, const struct inv_ask *ask, double run_us,
                       double worth_us)
{
    double total = (double)h->cpu_total_millis, cold = 1 - p_warm(h);
    double rho = (double)inv_host_cpu_millis(h) / total, own = (double)ask->cpu_millis / total;
    double cores = total > 1000 ? total * 0.001 : 1;
    double crowd = h->starting > 0 ? 1 + h->starting / cores : 1;
    double work = cold * COLD_WEIGHT * (double)ask->cold_start_us * crowd + run_us;
    double delay;

    if (work > worth_us)
        return INFINITY; /* the rest only adds to it */
    delay = work * slowdown(rho, own, cores) + queue_us(h, ask);
    if (cold > 0)
        delay += cold * eviction_us(h, ask);
    return h->self ? delay : delay + FORWARD_US;
}

static bool can_take(const struct inv_host_view *h, const struct inv_ask *ask)
{
    return inv_policy_fits_guarantee(h, ask) &&
           (h->warm > h->forwards.same || inv_host_memory_room(h) >= (int64_t)ask->memory_bytes);
}

/* The time until one of the action's busy containers here is free for us: those who wait come
 * first. */
static double until_free_us(const struct inv_host_view *h, const struct inv_ask *ask)
{
    double rho = (double)inv_host_cpu_millis(h) / (double)h->cpu_total_millis;

    return ((double)h->waiting + 1) * (double)ask->run_us / h->busy *
           slowdown(rho, 0, fmax((double)h->cpu_total_millis / 1000, 1));
}

/* As one rents skis before one buys them: those who together wait no longer than a cold start takes
 * lose at most as much as that. So a burst waits, and what goes on gets its containers. Where none
 * can be made anywhere there is nothing to save: they wait for room with all others, in order. */
static bool waits(const struct inv_host_view *hosts, size_t count, const struct inv_ask *ask,
                  double best, struct inv_placement *ret)
{
    const struct inv_host_view *self = NULL;
    double wait;

    for (size_t i = 0; ask->may_wait && i < count && !self; i++)
        if (hosts[i].self)
            self = &hosts[i];
    if (isinf(best) || !self || self->busy == 0 ||
        inv_host_usable(self, ask->blackbox) != INV_USABLE)
        return false;
    wait = until_free_us(self, ask);
    if (wait > WORTH_WAITING * (best - (double)ask->run_us) ||
        wait + (double)ask->waited_us > (double)ask->cold_start_us)
        return false;
    ret->host = -1;
    ret->why = INV_WAIT_BUSY;
    ret->wait_us = (int64_t)wait;
    ret->delay_us = ret->wait_us + ask->run_us;
    ret->patience_us = (int64_t)fmin(PATIENCE * wait, (double)ask->cold_start_us);
    return true;
}

/* Who is preferred among nearly equal ones: this host, then by rendezvous. */
static uint64_t rank(const struct inv_host_view *h, const struct inv_ask *ask)
{
    if (h->self)
        return UINT64_MAX;
    return inv_policy_mix(ask->action_key ^ inv_policy_mix(h->id)) >> 1;
}

int64_t inv_policy_faded(int64_t waited_us, int64_t since_us)
{
    if (waited_us <= 0 || since_us <= 0)
        return waited_us > 0 ? waited_us : 0;
    return (int64_t)((double)waited_us * exp2(-(double)since_us / FADE_US));
}

void inv_policy_hybrid(const struct inv_host_view *hosts, const bool *usable, size_t count,
                       const struct inv_ask *ask, struct inv_placement *ret)
{
    double delays[INV_PLACEMENT_MAX_HOSTS], best = INFINITY, near = INFINITY;
    double run_us = soon_us(ask), rest_us = (double)ask->run_us - run_us;
    uint64_t highest = 0;

    for (size_t i = 0; i < count; i++) {
        delays[i] = usable[i] && can_take(&hosts[i], ask) ? delay_us(&hosts[i], ask, run_us, near)
                                                          : INFINITY;
        if (delays[i] < best) {
            best = delays[i];
            near = best + fmax(best * NEAR, NEAR_US);
        }
    }
    if (waits(hosts, count, ask, best + rest_us, ret) || isinf(best))
        return;
    for (size_t i = 0; i < count; i++) {
        if (delays[i] > near)
            continue;
        if (ret->host < 0 || rank(&hosts[i], ask) > highest) {
            ret->host = (int)i;
            highest = rank(&hosts[i], ask);
        }
    }
    ret->delay_us = best < 1e15 ? (int64_t)(delays[ret->host] + rest_us) : INT64_MAX;
}
