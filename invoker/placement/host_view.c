#include "invoker/placement/host_view.h"

#include <math.h>

#include "common/base/mem.h"

/* Sums of a few of these cannot overflow. */
static const int64_t BEYOND_ANY_MACHINE = INT64_C(1) << 56;

static bool in_range(int64_t value)
{
    return value >= 0 && value <= BEYOND_ANY_MACHINE;
}

enum inv_unusable inv_host_usable(const struct inv_host_view *h, bool blackbox)
{
    if (h->dead)
        return INV_UNUSABLE_DEAD;
    if (h->unheard)
        return INV_UNUSABLE_UNHEARD;
    if (h->draining)
        return INV_UNUSABLE_DRAINING;
    if (h->alone)
        return INV_UNUSABLE_ALONE;
    if (h->set != INV_SET_ANY && (h->set == INV_SET_BLACKBOX) != blackbox)
        return INV_UNUSABLE_SET;
    if (h->cpu_total_millis == 0 || h->memory_total_bytes == 0 || !in_range(h->cpu_total_millis) ||
        !in_range(h->memory_total_bytes))
        return INV_UNUSABLE_CAPACITY;
    if (!in_range(h->cpu_used_millis) || !in_range(h->cpu_reserved_millis) ||
        !in_range(h->memory_used_bytes) || !in_range(h->memory_reserved_bytes) ||
        !in_range(h->memory_idle_bytes) || h->memory_idle_bytes > h->memory_reserved_bytes ||
        !in_range(h->mean_run_us) || !in_range(h->forwards.cpu_millis) ||
        !in_range(h->forwards.memory_bytes) || h->forwards.same > h->forwards.count)
        return INV_UNUSABLE_FIGURES;
    if (!(h->cpu_guaranteed >= 0 && h->cpu_guaranteed <= 1)) /* so is not-a-number */
        return INV_UNUSABLE_GUARANTEE;
    return INV_USABLE;
}

/* The part, brought to 0..1; not-a-number is 0. */
static double part_of(double part)
{
    if (!(part > 0))
        return 0;
    return part < 1 ? part : 1;
}

static size_t at_least_one(double count)
{
    return count < 1 ? 1 : (size_t)count;
}

enum inv_host_set inv_host_set_of(size_t rank, size_t count, double managed, double blackbox)
{
    double first = part_of(managed), last = part_of(blackbox);
    size_t managed_n, blackbox_n;
    bool of_managed, of_blackbox;

    if (last < 1 - first)
        last = 1 - first;
    managed_n = at_least_one(ceil((double)count * first));
    blackbox_n = at_least_one(floor((double)count * last));
    of_managed = rank < managed_n;
    of_blackbox = rank + blackbox_n >= count;
    if (of_managed == of_blackbox)
        return INV_SET_ANY;
    return of_managed ? INV_SET_MANAGED : INV_SET_BLACKBOX;
}

const char *inv_unusable_name(enum inv_unusable why)
{
    static const char *const NAMES[INV_UNUSABLE_REASONS] = {
        [INV_USABLE] = "usable",
        [INV_UNUSABLE_DEAD] = "dead",
        [INV_UNUSABLE_UNHEARD] = "unheard",
        [INV_UNUSABLE_DRAINING] = "draining",
        [INV_UNUSABLE_ALONE] = "alone",
        [INV_UNUSABLE_SET] = "other-set",
        [INV_UNUSABLE_CAPACITY] = "no-capacity",
        [INV_UNUSABLE_FIGURES] = "bad-figures",
        [INV_UNUSABLE_GUARANTEE] = "bad-guarantee",
    };

    return (unsigned)why < CW_ARRAY_LEN(NAMES) ? NAMES[why] : "unknown";
}

int64_t inv_host_cpu_millis(const struct inv_host_view *h)
{
    int64_t now =
        h->cpu_used_millis > h->cpu_reserved_millis ? h->cpu_used_millis : h->cpu_reserved_millis;

    return now + h->forwards.cpu_millis;
}

int64_t inv_host_memory_room(const struct inv_host_view *h)
{
    return h->memory_total_bytes - (h->memory_reserved_bytes - h->memory_idle_bytes) -
           h->forwards.memory_bytes;
}
