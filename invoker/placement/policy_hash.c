/* OpenWhisk's choice (upstream ShardingContainerPoolBalancer): an action has a home invoker; from
 * there, steps that visit every invoker. Its books know what runs, not what rests warm, so idle
 * containers are no obstacle. */
#include <string.h>

#include "invoker/placement/policy_priv.h"

static uint32_t java_hash(uint32_t hash, struct cw_slice text)
{
    for (size_t i = 0; i < text.n; i++)
        hash = hash * 31 + (unsigned char)text.p[i];
    return hash;
}

uint32_t inv_home_hash(struct cw_slice namespace_name, struct cw_slice action_path)
{
    uint32_t hash = java_hash(0, namespace_name) ^ java_hash(0, action_path);

    /* Java's abs; that of the smallest number is itself, and stock fails on it: we do not */
    return hash > INT32_MAX ? 0 - hash : hash;
}

/* Upstream grows a list of numbers that are coprime to count and to all before: these are 1 and
 * the primes that do not divide count. */
uint32_t inv_home_step(uint32_t home_hash, size_t count)
{
    uint16_t steps[INV_PLACEMENT_MAX_HOSTS];
    bool composite[INV_PLACEMENT_MAX_HOSTS + 1];
    size_t n = 0;

    if (count > INV_PLACEMENT_MAX_HOSTS)
        count = INV_PLACEMENT_MAX_HOSTS;
    if (count <= 1)
        return 1;
    memset(composite, 0, count + 1);
    steps[n++] = 1;
    for (size_t p = 2; p <= count; p++) {
        if (composite[p])
            continue;
        if (count % p != 0)
            steps[n++] = (uint16_t)p;
        for (size_t q = p * p; q <= count; q += p)
            composite[q] = true;
    }
    return steps[home_hash % n];
}

static bool has_room(const struct inv_host_view *h, const struct inv_ask *ask)
{
    return inv_host_memory_room(h) >= (int64_t)ask->memory_bytes &&
           inv_policy_fits_guarantee(h, ask);
}

static bool of_set(const struct inv_host_view *h, bool blackbox)
{
    return h->set == INV_SET_ANY || (h->set == INV_SET_BLACKBOX) == blackbox;
}

/* The hosts of the set, in order, whether they can be used now or not: homes must not move when
 * one of them fails. */
static size_t members(const struct inv_host_view *hosts, size_t count, bool blackbox,
                      uint16_t out[INV_PLACEMENT_MAX_HOSTS])
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (of_set(&hosts[i], blackbox))
            out[n++] = (uint16_t)i;
    return n;
}

void inv_policy_hash(const struct inv_host_view *hosts, const bool *usable, size_t count,
                     const struct inv_ask *ask, struct inv_placement *ret)
{
    uint16_t set[INV_PLACEMENT_MAX_HOSTS], full[INV_PLACEMENT_MAX_HOSTS];
    size_t n = members(hosts, count, ask->blackbox, set), full_n = 0;
    size_t at, step;

    if (n == 0)
        return;
    at = ask->home_hash % n;
    step = inv_home_step(ask->home_hash, n);
    for (size_t i = 0; i < n; i++, at = (at + step) % n) {
        const struct inv_host_view *h = &hosts[set[at]];

        if (!usable[set[at]])
            continue;
        if (has_room(h, ask)) {
            ret->host = set[at];
            return;
        }
        if (inv_policy_fits_guarantee(h, ask) &&
            (uint64_t)h->memory_total_bytes >= ask->memory_bytes)
            full[full_n++] = set[at];
    }
    if (full_n == 0)
        return;
    ret->host = full[inv_policy_mix(ask->seed) % full_n];
    ret->overcommitted = true;
}
