#include "invoker/placement_counts.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/obs/metrics.h"
#include "invoker/placement/policy.h"

enum { ANSWERS = INV_WAIT_BUSY + 1 };

struct inv_placement_counts {
    struct cw_counter *answers[ANSWERS];
    struct cw_counter *passed_over[INV_UNUSABLE_REASONS]; /* not: INV_USABLE */
};

static struct cw_counter *counter(struct cw_metrics *m, const char *name, const char *label,
                                  const char *value, const char *help)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%s=\"%s\"", label, value);
    return cw_metrics_counter(m, name, text, help);
}

struct inv_placement_counts *inv_placement_counts_new(struct cw_metrics *m)
{
    struct inv_placement_counts *c = cw_alloc(sizeof(*c));

    for (int i = 0; i < ANSWERS; i++)
        c->answers[i] = counter(m, "cwhisk_placement_decisions_total", "answer",
                                inv_wait_reason_name((enum inv_wait_reason)i),
                                "Decisions of the placement policy: placed, or why an activation "
                                "waits.");
    for (int i = INV_USABLE + 1; i < INV_UNUSABLE_REASONS; i++)
        c->passed_over[i] = counter(m, "cwhisk_placement_passed_over_total", "reason",
                                    inv_unusable_name((enum inv_unusable)i),
                                    "Hosts that could not be chosen in these decisions.");
    return c;
}

void inv_placement_counts_free(struct inv_placement_counts *c)
{
    free(c);
}

void inv_placement_counts_add(struct inv_placement_counts *c, const struct inv_placement *placed)
{
    cw_counter_add(c->answers[placed->why], 1);
    for (int i = INV_USABLE + 1; i < INV_UNUSABLE_REASONS; i++)
        if (placed->unusable[i])
            cw_counter_add(c->passed_over[i], placed->unusable[i]);
}
