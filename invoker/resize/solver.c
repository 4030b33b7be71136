/* Guaranteed parts are rounded up and everything else down, so rounding is always at the cost of
 * the others. */
#include "invoker/resize/solver.h"

/* Of what the others may have, this part stays with nobody: a guarantee is the least, not the mean
 * that the scheduler, which hands out milliseconds, comes to in the long run. */
enum { SLACK = 8 };

const char *inv_cpu_fit_name(enum inv_cpu_fit fit)
{
    static const char *const NAMES[] = {[INV_CPU_FITS] = "fits",
                                        [INV_CPU_FULL] = "full",
                                        [INV_CPU_CROWDED] = "crowded",
                                        [INV_CPU_NEVER] = "never"};

    return NAMES[fit];
}

static int64_t guaranteed_weight(const struct inv_cpu_rule *rule, uint32_t ppm)
{
    int64_t weight = (rule->budget * ppm + INV_CPU_WHOLE_PPM - 1) / INV_CPU_WHOLE_PPM;

    return weight < rule->min ? rule->min : weight;
}

struct sums {
    uint64_t guaranteed_ppm;
    int64_t rest;  /* of W, for the others */
    size_t others; /* how many */
};

static enum inv_cpu_fit sum_up(const struct inv_cpu_rule *rule, const struct inv_cpu_part *parts,
                               size_t count, struct sums *ret)
{
    uint64_t most_ppm = INV_CPU_WHOLE_PPM - (uint64_t)rule->reserved_ppm;

    *ret = (struct sums){.rest = rule->budget};
    for (size_t i = 0; i < count; i++) {
        if (parts[i].guarantee_ppm > most_ppm)
            return INV_CPU_NEVER;
        ret->guaranteed_ppm += parts[i].guarantee_ppm;
        if (parts[i].guarantee_ppm)
            ret->rest -= guaranteed_weight(rule, parts[i].guarantee_ppm);
        else
            ret->others++;
    }
    if (ret->guaranteed_ppm > most_ppm || ret->rest < 0)
        return INV_CPU_FULL;
    ret->rest -= ret->rest / SLACK;
    return ret->guaranteed_ppm && (int64_t)ret->others > ret->rest / rule->min ? INV_CPU_CROWDED
                                                                               : INV_CPU_FITS;
}

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
    return v < min ? min : v > max ? max : v;
}

/* Gives the smallest weight to those whose part of the rest would be less; the rest is then less
 * for the remaining ones, so more of them may come under it. true: some did. weight 0: undecided.
 */
static bool settle_smallest(const struct inv_cpu_rule *rule, struct inv_cpu_part *parts,
                            size_t count, int64_t *rest, int64_t *own_sum)
{
    int64_t rest_before = *rest, sum_before = *own_sum;
    bool settled = false;

    for (size_t i = 0; i < count; i++) {
        struct inv_cpu_part *p = &parts[i];

        if (p->weight || rest_before * p->own / sum_before >= rule->min)
            continue;
        p->weight = rule->min;
        *rest -= rule->min;
        *own_sum -= p->own;
        settled = true;
    }
    return settled;
}

static void share_rest(const struct inv_cpu_rule *rule, struct inv_cpu_part *parts, size_t count,
                       int64_t rest)
{
    int64_t own_sum = 0;

    for (size_t i = 0; i < count; i++)
        own_sum += parts[i].weight ? 0 : parts[i].own;
    while (own_sum > 0 && settle_smallest(rule, parts, count, &rest, &own_sum))
        ;
    for (size_t i = 0; i < count; i++)
        if (!parts[i].weight)
            parts[i].weight = own_sum > 0
                                  ? clamp(rest * parts[i].own / own_sum, rule->min, rule->max)
                                  : rule->min;
}

enum inv_cpu_fit inv_cpu_solve(const struct inv_cpu_rule *rule, struct inv_cpu_part *parts,
                               size_t count)
{
    struct sums sums;
    enum inv_cpu_fit fit = sum_up(rule, parts, count, &sums);

    if (fit != INV_CPU_FITS)
        return fit;
    for (size_t i = 0; i < count; i++) {
        struct inv_cpu_part *p = &parts[i];

        p->own = clamp(p->own, rule->min, rule->max);
        p->weight = p->guarantee_ppm      ? guaranteed_weight(rule, p->guarantee_ppm)
                    : sums.guaranteed_ppm ? 0
                                          : p->own;
    }
    if (sums.guaranteed_ppm)
        share_rest(rule, parts, count, sums.rest);
    return INV_CPU_FITS;
}

size_t inv_cpu_next(const int64_t *now, const int64_t *wanted, size_t count)
{
    size_t grows = count;

    for (size_t i = 0; i < count; i++) {
        if (wanted[i] < now[i])
            return i;
        if (wanted[i] > now[i] && grows == count)
            grows = i;
    }
    return grows;
}
