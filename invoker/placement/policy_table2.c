/* S0 Table 2. "Use" is the larger of the CPU's and the memory's part; idle containers do not count
 * as use, since they give way: without that no host would be allocatable once all are warm. */
#include "invoker/placement/policy_priv.h"

/* is_allocatable(cpu, memory) */
static bool is_allocatable(const struct inv_host_view *h, const struct inv_ask *ask)
{
    return inv_host_cpu_millis(h) + (int64_t)ask->cpu_millis <= h->cpu_total_millis &&
           inv_host_memory_room(h) >= (int64_t)ask->memory_bytes &&
           inv_policy_fits_guarantee(h, ask);
}

/* add_usage(cpu, memory); with nothing to add, the use as it is */
static double use_with(const struct inv_host_view *h, uint64_t cpu_millis, uint64_t memory_bytes)
{
    double total = (double)h->memory_total_bytes;
    double cpu =
        ((double)inv_host_cpu_millis(h) + (double)cpu_millis) / (double)h->cpu_total_millis;
    double memory = (total - (double)inv_host_memory_room(h) + (double)memory_bytes) / total;

    return cpu > memory ? cpu : memory;
}

void inv_policy_table2(const struct inv_host_view *hosts, const bool *usable, size_t count,
                       const struct inv_ask *ask, struct inv_placement *ret)
{
    double lowest = 0, lowest_now = 0;

    for (size_t i = 0; i < count; i++) {
        double use, now;

        if (!usable[i] || !is_allocatable(&hosts[i], ask))
            continue;
        use = use_with(&hosts[i], ask->cpu_millis, ask->memory_bytes);
        now = use_with(&hosts[i], 0, 0);
        /* the paper begins with the least used: it stays when another would end up level */
        if (ret->host < 0 || use < lowest || (use <= lowest && now < lowest_now)) {
            ret->host = (int)i;
            lowest = use;
            lowest_now = now;
        }
    }
}
