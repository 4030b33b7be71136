/* First what no policy is needed for, then limits: those look at what is left, and take what has
 * been idle for longest. */
#include "invoker/janitor/rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static const char *const REASON_NAMES[INV_REASON_END] = {
    "stopped", "dead", "orphaned", "idle", "memory", "count",
};

const char *inv_reason_name(enum inv_reason reason)
{
    return reason < INV_REASON_END ? REASON_NAMES[reason] : "none";
}

bool inv_janitor_is_our_name(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    const char *p = name + n;

    if (strncmp(name, prefix, n) != 0 || !isdigit((unsigned char)*p))
        return false;
    while (isdigit((unsigned char)*p))
        p++;
    return *p == '_';
}

/* ---- whose it is ---- */

/* One without the label is a stock invoker's, which we take the place of. */
static bool is_ours(const struct inv_janitor_policy *policy, const struct inv_owned *o)
{
    return inv_janitor_is_our_name(o->name, policy->prefix) &&
           (!o->cluster || strcmp(o->cluster, policy->cluster) == 0);
}

static bool is_of_a_lost_invoker(const struct inv_janitor_policy *policy, const struct inv_owned *o)
{
    return policy->others && policy->cluster[0] && o->cluster && o->invoker &&
           strcmp(o->cluster, policy->cluster) == 0 && o->owner == INV_OWNER_GONE;
}

/* ---- reasons ---- */

static enum inv_reason reason_of_unheld(const struct inv_owned *o)
{
    if (o->state == INV_OWNED_DEAD)
        return INV_REASON_DEAD;
    return o->state == INV_OWNED_STOPPED ? INV_REASON_STOPPED : INV_REASON_ORPHANED;
}

/* INV_REASON_END: none, as far as it is looked at alone. */
static enum inv_reason reason_of(const struct inv_janitor_policy *policy, const struct inv_owned *o)
{
    if (o->held)
        return policy->idle_ms > 0 && o->idle_ms >= policy->idle_ms ? INV_REASON_IDLE
                                                                    : INV_REASON_END;
    if (is_ours(policy, o) || is_of_a_lost_invoker(policy, o))
        return reason_of_unheld(o);
    return INV_REASON_END;
}

/* ---- limits ---- */

struct table {
    const struct inv_owned *rows;
    size_t count;
    enum inv_reason *reasons;
};

/* What has been idle for longest, and is not to be removed yet. */
static struct inv_owned const *longest_idle(const struct table *t, size_t *ret_row)
{
    const struct inv_owned *best = NULL;

    for (size_t i = 0; i < t->count; i++) {
        const struct inv_owned *o = &t->rows[i];

        if (t->reasons[i] != INV_REASON_END || !o->held || o->idle_ms < 0)
            continue;
        if (!best || o->idle_ms > best->idle_ms ||
            (o->idle_ms == best->idle_ms && o->created_s < best->created_s)) {
            best = o;
            *ret_row = i;
        }
    }
    return best;
}

static void apply_count(const struct inv_janitor_policy *policy, const struct table *t)
{
    uint64_t left = 0;
    size_t row = 0;

    for (size_t i = 0; i < t->count; i++)
        left +=
            t->reasons[i] == INV_REASON_END && (t->rows[i].held || is_ours(policy, &t->rows[i]));
    while (policy->max_containers && left > policy->max_containers && longest_idle(t, &row)) {
        t->reasons[row] = INV_REASON_COUNT;
        left--;
    }
}

static void apply_memory(const struct inv_janitor_policy *policy,
                         const struct inv_janitor_host *host, const struct table *t)
{
    double allowed = (double)host->memory_bytes * policy->memory_part;
    double used = (double)host->memory_bytes - (double)host->available_bytes;
    const struct inv_owned *next;
    size_t row = 0;

    if (host->memory_bytes == 0 || host->available_bytes > host->memory_bytes ||
        policy->memory_part >= 1)
        return;
    for (size_t i = 0; i < t->count; i++)
        if (t->reasons[i] != INV_REASON_END)
            used -= (double)t->rows[i].memory_bytes;
    while (used > allowed && (next = longest_idle(t, &row))) {
        t->reasons[row] = INV_REASON_MEMORY;
        used -= (double)next->memory_bytes;
    }
}

/* ---- all of it ---- */

static int oldest_first(const void *a, const void *b, void *rows)
{
    const struct inv_removal *x = a, *y = b;
    const struct inv_owned *all = rows;
    int64_t sx = all[x->row].created_s, sy = all[y->row].created_s;

    if (sx != sy)
        return sx < sy ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

size_t inv_janitor_judge(const struct inv_janitor_policy *policy,
                         const struct inv_janitor_host *host, const struct inv_owned *rows,
                         size_t count, struct inv_removal *removals)
{
    cw_auto_free enum inv_reason *reasons = cw_calloc(count, sizeof(*reasons));
    const struct table t = {rows, count, reasons};
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        reasons[i] = reason_of(policy, &rows[i]);
    apply_count(policy, &t);
    apply_memory(policy, host, &t);
    for (size_t i = 0; i < count; i++)
        if (reasons[i] != INV_REASON_END)
            removals[n++] = (struct inv_removal){.row = i, .reason = reasons[i]};
    qsort_r(removals, n, sizeof(*removals), oldest_first, (void *)(uintptr_t)rows);
    return n;
}
