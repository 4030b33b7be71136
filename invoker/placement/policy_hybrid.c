/* Least expected delay. Of a host that was last heard of a moment ago a warm container may be gone
 * when we arrive, and its load may have changed: both are priced, neither is trusted. Among nearly
 * equal hosts an action has an order of preference (rendezvous hashing), so that it is warm on few
 * hosts instead of cold on many, and different actions do not all run to the same host. */
#include <math.h>

#include "invoker/placement/policy_priv.h"

/* A container that was warm at the last update has been taken by somebody else since. */
static const double GONE = 0.2;
/* An evicted container would have been used again. */
static const double MISSED = 0.5;
static const double FORWARD_US = 5000; /* a hop through Kafka */
/* Nearly equal: within this part of the best, or this much. */
static const double NEAR = 0.05, NEAR_US = 2000;
static const double SATURATED = 0.95;

/* How much longer work takes at load rho (1: all cores) of a host with so many cores: the waiting
 * of M/M/c as Sakasegawa approximates it, continued in a straight line where the formula has its
 * pole; beyond 1 the processor is shared. */
static double slowdown(double rho, double cores)
{
    double below = rho < SATURATED ? rho : SATURATED, power = 1;
    double shared = rho > 1 ? rho : 1;
    int exponent = (int)lround(sqrt(2 * (cores + 1)));

    for (double base = below; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1)
            power *= base;
    return shared + power / (cores * (1 - below)) + (rho - below);
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
    double waiting = (double)h->queued + (double)h->lag;
    double run = (double)(h->mean_run_us > 0 ? h->mean_run_us : ask->run_us);

    return waiting * run / (h->running > 0 ? h->running : 1);
}

static double delay_us(const struct inv_host_view *h, const struct inv_ask *ask)
{
    double total = (double)h->cpu_total_millis, cold = 1 - p_warm(h);
    double rho = ((double)inv_host_cpu_millis(h) + (double)ask->cpu_millis) / total;
    double cores = total > 1000 ? total / 1000 : 1;
    double work =
        cold * (double)ask->cold_start_us * (1 + h->starting / cores) + (double)ask->run_us;
    double delay = work * slowdown(rho, cores) + queue_us(h, ask);

    if (cold > 0)
        delay += cold * eviction_us(h, ask);
    return h->self ? delay : delay + FORWARD_US;
}

static bool can_take(const struct inv_host_view *h, const struct inv_ask *ask)
{
    return inv_host_usable(h, ask->blackbox) == INV_USABLE && inv_policy_fits_guarantee(h, ask) &&
           (h->warm > h->forwards.same || inv_host_memory_room(h) >= (int64_t)ask->memory_bytes);
}

void inv_policy_hybrid(const struct inv_host_view *hosts, size_t count, const struct inv_ask *ask,
                       struct inv_placement *ret)
{
    double delays[INV_PLACEMENT_MAX_HOSTS], best = INFINITY, near;
    uint64_t highest = 0;

    for (size_t i = 0; i < count; i++) {
        delays[i] = can_take(&hosts[i], ask) ? delay_us(&hosts[i], ask) : INFINITY;
        best = delays[i] < best ? delays[i] : best;
    }
    if (isinf(best))
        return;
    near = best + fmax(best * NEAR, NEAR_US);
    for (size_t i = 0; i < count; i++) {
        uint64_t rank;

        if (delays[i] > near)
            continue;
        rank = inv_policy_mix(ask->action_key ^ inv_policy_mix(hosts[i].id));
        if (ret->host < 0 || rank > highest) {
            ret->host = (int)i;
            highest = rank;
        }
    }
    ret->delay_us = best < 1e15 ? (int64_t)delays[ret->host] : INT64_MAX;
}
