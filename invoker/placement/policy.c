#include "invoker/placement/policy.h"

#include <string.h>

#include "common/base/mem.h"
#include "invoker/placement/policy_priv.h"

static const char *const POLICIES[INV_POLICIES] = {
    [INV_POLICY_HYBRID] = "hybrid",
    [INV_POLICY_TABLE2] = "table2",
    [INV_POLICY_HASH] = "hash",
};

uint64_t inv_policy_mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

bool inv_policy_fits_guarantee(const struct inv_host_view *h, const struct inv_ask *ask)
{
    static const double LESS_THAN_ANY = 1e-7; /* they are told in millionths */

    return ask->cpu_guarantee <= 0 ||
           h->cpu_guaranteed + ask->cpu_guarantee <= 1 - INV_GUARANTEE_RESERVE + LESS_THAN_ANY;
}

void inv_policy_explain(const struct inv_host_view *hosts, size_t count, const struct inv_ask *ask,
                        struct inv_placement *ret)
{
    bool large_enough = false, room = false;

    ret->host = -1;
    ret->why = INV_WAIT_NO_HOST;
    for (size_t i = 0; i < count; i++) {
        if (inv_host_usable(&hosts[i], ask->blackbox) != INV_USABLE)
            continue;
        ret->why = INV_WAIT_TOO_LARGE;
        large_enough |= (uint64_t)hosts[i].memory_total_bytes >= ask->memory_bytes;
        room |= inv_host_memory_room(&hosts[i]) >= (int64_t)ask->memory_bytes;
    }
    if (large_enough)
        ret->why = room ? INV_WAIT_CPU : INV_WAIT_MEMORY;
}

static bool guarantee_makes_sense(double guarantee)
{
    return guarantee >= 0 && guarantee < 1; /* false for not-a-number */
}

void inv_policy_place(enum inv_policy policy, const struct inv_host_view *hosts, size_t count,
                      const struct inv_ask *ask, struct inv_placement *ret)
{
    bool usable[INV_PLACEMENT_MAX_HOSTS];
    struct inv_ask sane = *ask;

    *ret = (struct inv_placement){.host = -1, .why = INV_WAIT_BAD_ASK};
    if (!guarantee_makes_sense(ask->cpu_guarantee))
        return;
    if (count > INV_PLACEMENT_MAX_HOSTS)
        count = INV_PLACEMENT_MAX_HOSTS;
    if (sane.memory_bytes > INT64_MAX / 2)
        sane.memory_bytes = INT64_MAX / 2; /* larger than any host: said so below */
    if (sane.cold_start_us <= 0)
        sane.cold_start_us = INV_COLD_START_US;
    if (sane.run_us <= 0)
        sane.run_us = INV_RUN_US;
    for (size_t i = 0; i < count; i++) {
        enum inv_unusable why = inv_host_usable(&hosts[i], ask->blackbox);

        usable[i] = why == INV_USABLE;
        ret->unusable[why]++;
    }
    switch (policy) {
    case INV_POLICY_HASH:
        inv_policy_hash(hosts, usable, count, &sane, ret);
        break;
    case INV_POLICY_TABLE2:
        inv_policy_table2(hosts, usable, count, &sane, ret);
        break;
    case INV_POLICY_HYBRID:
    default:
        inv_policy_hybrid(hosts, usable, count, &sane, ret);
        break;
    }
    if (ret->why == INV_WAIT_BUSY)
        return;
    if (ret->host < 0) {
        inv_policy_explain(hosts, count, &sane, ret);
        return;
    }
    ret->why = INV_PLACED;
    ret->warm = hosts[ret->host].warm > hosts[ret->host].forwards.same;
}

bool inv_policy_stays(const struct inv_host_view *self, const struct inv_ask *ask)
{
    return inv_host_usable(self, ask->blackbox) == INV_USABLE &&
           inv_host_cpu_millis(self) + (int64_t)ask->cpu_millis <= self->cpu_total_millis;
}

const char *inv_policy_name(enum inv_policy policy)
{
    return (unsigned)policy < INV_POLICIES ? POLICIES[policy] : "unknown";
}

int inv_policy_of(const char *name, enum inv_policy *ret)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(POLICIES); i++) {
        if (strcmp(name, POLICIES[i]) == 0) {
            *ret = (enum inv_policy)i;
            return 0;
        }
    }
    return -1;
}

const char *inv_wait_reason_name(enum inv_wait_reason why)
{
    static const char *const NAMES[] = {
        [INV_PLACED] = "placed",        [INV_WAIT_NO_HOST] = "no-host",
        [INV_WAIT_MEMORY] = "memory",   [INV_WAIT_CPU] = "cpu",
        [INV_WAIT_BAD_ASK] = "bad-ask", [INV_WAIT_TOO_LARGE] = "too-large",
        [INV_WAIT_BUSY] = "busy",
    };

    return (unsigned)why < CW_ARRAY_LEN(NAMES) ? NAMES[why] : "unknown";
}
