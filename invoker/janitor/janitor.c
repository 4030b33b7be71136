#include "invoker/janitor/janitor.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/cgroup/usage.h"
#include "common/driver/container_driver.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/dispatch.h"
#include "invoker/event_log.h"
#include "invoker/janitor/janitor_priv.h"
#include "invoker/janitor/owners.h"

#define COMPONENT "Janitor"

enum {
    ROUND_LIMIT_MS = 60000,
    PRESSURE_MS = 2000,       /* between looks at the host's memory, when that is limited */
    PRESSURE_REST_MS = 10000, /* after a round: what it removed needs a moment to be free */
};

static int64_t now_us(const struct inv_janitor *j)
{
    return cw_loop_mono_us(j->conf.loop);
}

/* ---- the table ---- */

static uint64_t memory_of(const struct inv_janitor *j, const char *id)
{
    struct cw_usage_group *g = j->conf.usage ? cw_usage_open(j->conf.usage, id, 0, NULL) : NULL;
    struct cw_usage usage = {0};

    if (g && cw_usage_sample(g, CW_USAGE_MEMORY, &usage, NULL) != 0)
        usage.memory_bytes = 0; /* it ended meanwhile */
    cw_usage_close(g);
    return usage.memory_bytes;
}

/* A process with our id that is not this one is gone: we have its topic. */
static enum inv_owner_seen owner_of(const struct inv_janitor *j, const struct cw_owned_container *c)
{
    char own_id[24];

    if (!j->conf.policy.others || !j->conf.owners || !c->cluster || !c->instance ||
        strcmp(c->cluster, j->conf.policy.cluster) != 0)
        return INV_OWNER_UNKNOWN;
    (void)snprintf(own_id, sizeof(own_id), "%" PRId64, j->conf.instance);
    if (strcmp(c->instance, own_id) != 0)
        return inv_owners_seen(j->conf.owners, c->instance);
    return c->boot && strcmp(c->boot, j->conf.boot) != 0 ? INV_OWNER_GONE : INV_OWNER_UNKNOWN;
}

static enum inv_owned_state state_of(const struct cw_owned_container *c)
{
    if (c->dead)
        return INV_OWNED_DEAD;
    if (c->paused)
        return INV_OWNED_PAUSED;
    return c->running ? INV_OWNED_RUNNING : INV_OWNED_STOPPED;
}

static void fill_row(const struct inv_janitor *j, const struct cw_owned_container *c,
                     struct inv_owned *row)
{
    struct inv_held held = {.idle_ms = -1};
    const struct inv_janitor_policy *p = &j->conf.policy;

    *row = (struct inv_owned){.name = c->name,
                              .cluster = c->cluster,
                              .invoker = c->instance,
                              .state = state_of(c),
                              .created_s = c->created_s,
                              .owner = owner_of(j, c)};
    row->held = inv_dispatch_holds(j->conf.dispatch, c->name, &held);
    row->idle_ms = held.idle_ms;
    if (row->held ? held.idle_ms >= 0
                  : row->owner == INV_OWNER_GONE || inv_janitor_is_our_name(c->name, p->prefix))
        row->memory_bytes = memory_of(j, c->id);
    if (row->held && row->idle_ms >= 0 && row->memory_bytes == 0)
        row->memory_bytes = held.memory_bytes; /* its group is out of sight: what it may have */
}

static void sample_host(const struct inv_janitor *j, struct inv_janitor_host *ret)
{
    struct cw_usage_host host = {0};

    *ret = (struct inv_janitor_host){0};
    if (!j->conf.usage)
        return;
    cw_usage_sample_host(j->conf.usage, CW_HOST_MEMORY, &host);
    if (host.have & CW_HOST_MEMORY) {
        ret->memory_bytes = host.memory_total_bytes;
        ret->available_bytes = host.memory_available_bytes;
    }
}

/* ---- picking ---- */

static const char *state_name(enum inv_owned_state state)
{
    static const char *const NAMES[] = {"running", "paused", "stopped", "dead"};

    return NAMES[state];
}

static void free_items(struct inv_janitor *j)
{
    for (size_t i = 0; i < j->item_count; i++) {
        free(j->items[i].name);
        free(j->items[i].id);
        free(j->items[i].action);
    }
    free(j->items);
    j->items = NULL;
    j->item_count = 0;
}

static void tell_item(const struct inv_janitor *j, const struct inv_janitor_item *item)
{
    char detail[300];

    (void)snprintf(detail, sizeof(detail), "%s: %s", inv_reason_name(item->reason), item->result);
    inv_event_log_add(j->conf.events, &(struct inv_event){.what = "clean",
                                                          .container = item->name,
                                                          .id = item->id,
                                                          .took_us = -1,
                                                          .detail = detail});
}

static void count_item(struct inv_janitor *j, const struct inv_janitor_item *item)
{
    cw_counter_add(j->removed[item->reason], 1);
    cw_counter_add(j->freed[item->reason], item->memory_bytes);
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "container %s (%s, %s) is removed, %" PRIu64 " KiB",
           item->name, inv_reason_name(item->reason), item->state, item->memory_bytes >> 10);
    tell_item(j, item);
}

static void remove_held(struct inv_janitor *j, struct inv_janitor_item *item)
{
    if (inv_dispatch_remove_idle(j->conf.dispatch, item->name)) {
        (void)snprintf(item->result, sizeof(item->result), "removed");
        count_item(j, item);
    } else {
        (void)snprintf(item->result, sizeof(item->result), "kept: it is at work again");
    }
}

static void make_item(struct inv_janitor *j, const struct cw_owned_container *c,
                      const struct inv_owned *row, enum inv_reason reason)
{
    struct inv_janitor_item *item = &j->items[j->item_count++];

    *item = (struct inv_janitor_item){
        .name = cw_strdup(c->name),
        .id = cw_strdup(c->id),
        .action = cw_strdup(c->action),
        .state = state_name(row->state),
        .reason = reason,
        .held = row->held,
        .age_ms = row->created_s > 0 ? cw_loop_wall_ms(j->conf.loop) - row->created_s * 1000 : -1,
        .memory_bytes = row->memory_bytes,
    };
    if (j->dry_run)
        (void)snprintf(item->result, sizeof(item->result), "would be removed");
}

/* Items that cleanup removes come first, in the order of its rows, so that its numbers are theirs.
 */
static size_t pick(void *arg, const struct cw_owned_container *list, size_t count, size_t *rows)
{
    struct inv_janitor *j = arg;
    cw_auto_free struct inv_owned *table = cw_calloc(count, sizeof(*table));
    cw_auto_free struct inv_removal *removals = cw_calloc(count, sizeof(*removals));
    struct inv_janitor_host host;
    size_t n, picked = 0;

    inv_dispatch_compare(j->conf.dispatch, list, count, j->began_us);
    for (size_t i = 0; i < count; i++)
        fill_row(j, &list[i], &table[i]);
    sample_host(j, &host);
    n = inv_janitor_judge(&j->conf.policy, &host, table, count, removals);
    j->seen = count;
    j->items = cw_calloc(n, sizeof(*j->items));
    for (int held = 0; held <= 1; held++)
        for (size_t i = 0; i < n; i++)
            if (table[removals[i].row].held == (held == 1)) {
                make_item(j, &list[removals[i].row], &table[removals[i].row], removals[i].reason);
                if (!held)
                    rows[picked++] = removals[i].row;
            }
    for (size_t i = picked; i < n && !j->dry_run; i++)
        remove_held(j, &j->items[i]);
    return j->dry_run ? 0 : picked;
}

/* ---- rounds ---- */

static void on_removed(void *arg, size_t n, const struct cw_err *err)
{
    struct inv_janitor *j = arg;
    struct inv_janitor_item *item = &j->items[n];

    if (!err) {
        (void)snprintf(item->result, sizeof(item->result), "removed");
        count_item(j, item);
        if (j->begun && j->conf.on_left_over)
            j->conf.on_left_over(j->conf.arg);
        return;
    }
    cw_counter_add(j->failed, 1);
    (void)snprintf(item->result, sizeof(item->result), "failed: %.180s", err->msg);
    item->memory_bytes = 0; /* not freed */
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "container %s (%s) could not be removed: %s", item->name,
           inv_reason_name(item->reason), err->msg);
    tell_item(j, item);
}

static void tell_dry_run(const struct inv_janitor *j)
{
    for (size_t i = 0; i < j->item_count; i++)
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "container %s (%s, %s) would be removed, %" PRIu64 " KiB", j->items[i].name,
               inv_reason_name(j->items[i].reason), j->items[i].state,
               j->items[i].memory_bytes >> 10);
}

static void tell_begun(struct inv_janitor *j, size_t removed, const struct cw_err *err)
{
    inv_cleanup_fn *fn = j->begun;

    j->begun = NULL;
    fn(j->begun_arg, removed, err);
}

static void on_round(void *arg, size_t removed, const struct cw_err *err)
{
    struct inv_janitor *j = arg;
    struct inv_janitor_ask *ask = j->ask;

    j->round = NULL;
    j->ask = NULL;
    j->last_us = now_us(j);
    cw_gauge_set(j->seen_gauge, (double)j->seen);
    if (j->dry_run && !ask)
        tell_dry_run(j);
    if (err && !j->begun)
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "the engine's containers are not compared with ours this time: %s", err->msg);
    inv_janitor_answer_ask(j, ask, err);
    free_items(j);
    if (j->conf.owners)
        inv_owners_look(j->conf.owners);
    cw_timer_set_ms(&j->next, j->again || j->asks.count ? 0 : j->conf.interval_ms);
    if (j->begun)
        tell_begun(j, removed, err);
}

void inv_janitor_round(struct inv_janitor *j, struct inv_janitor_ask *ask, int64_t limit_ms)
{
    j->ask = ask;
    j->again = j->again && ask; /* that one is still due */
    j->dry_run = ask ? ask->dry_run || j->conf.dry_run : j->conf.dry_run && !j->begun;
    j->began_us = now_us(j);
    j->seen = 0;
    cw_timer_stop(&j->next);
    j->round = inv_cleanup_start(&(struct inv_cleanup_conf){
        .loop = j->conf.loop,
        .driver = j->conf.driver,
        .prefix = j->conf.policy.others ? "wsk" : j->conf.policy.prefix,
        .limit_ms = limit_ms,
        .pick = pick,
        .on_removed = on_removed,
        .fn = on_round,
        .arg = j,
    });
}

static void on_next(void *arg)
{
    struct inv_janitor *j = arg;

    inv_janitor_round(j, j->again ? NULL : inv_janitor_next_ask(j), ROUND_LIMIT_MS);
}

void inv_janitor_soon(struct inv_janitor *j)
{
    if (j->round)
        j->again = true;
    else
        inv_janitor_round(j, NULL, ROUND_LIMIT_MS);
}

/* ---- memory ---- */

static void on_pressure(void *arg)
{
    struct inv_janitor *j = arg;
    struct inv_janitor_host host;

    cw_timer_set_ms(&j->pressure, PRESSURE_MS);
    sample_host(j, &host);
    if (j->round || host.memory_bytes == 0 ||
        now_us(j) - j->last_us < PRESSURE_REST_MS * INT64_C(1000))
        return;
    if ((double)(host.memory_bytes - host.available_bytes) >
        (double)host.memory_bytes * j->conf.policy.memory_part)
        inv_janitor_round(j, NULL, ROUND_LIMIT_MS);
}

/* ---- life ---- */

static void make_counters(struct inv_janitor *j)
{
    struct cw_metrics *m = j->conf.metrics;
    char label[48];

    for (size_t i = 0; i < INV_REASON_END; i++) {
        (void)snprintf(label, sizeof(label), "reason=\"%s\"", inv_reason_name((enum inv_reason)i));
        j->removed[i] = cw_metrics_counter(m, "cwhisk_janitor_removed_total", label,
                                           "Containers that were removed because nobody needed "
                                           "them.");
        j->freed[i] = cw_metrics_counter(m, "cwhisk_janitor_freed_bytes_total", label,
                                         "Memory of their control groups before that.");
    }
    j->failed = cw_metrics_counter(m, "cwhisk_janitor_failed_total", NULL,
                                   "Containers that could not be removed.");
    j->seen_gauge = cw_metrics_gauge(m, "cwhisk_janitor_containers", NULL,
                                     "Containers on the engine that the last round looked at.");
}

struct inv_janitor *inv_janitor_new(const struct inv_janitor_conf *conf)
{
    struct inv_janitor *j = cw_alloc(sizeof(*j));

    j->conf = *conf;
    cw_list_init(&j->asks);
    cw_timer_init(&j->next, conf->loop, on_next, j);
    cw_timer_init(&j->pressure, conf->loop, on_pressure, j);
    make_counters(j);
    return j;
}

void inv_janitor_free(struct inv_janitor *j)
{
    struct inv_janitor_ask *ask;

    if (!j)
        return;
    inv_cleanup_cancel(j->round);
    cw_timer_done(&j->next);
    cw_timer_done(&j->pressure);
    while ((ask = inv_janitor_next_ask(j)))
        free(ask);
    free(j->ask);
    free_items(j);
    free(j);
}

void inv_janitor_begin(struct inv_janitor *j, int64_t limit_ms, inv_cleanup_fn *fn, void *arg)
{
    j->begun = fn;
    j->begun_arg = arg;
    inv_janitor_round(j, NULL, limit_ms);
    if (j->conf.policy.memory_part < 1)
        cw_timer_set_ms(&j->pressure, PRESSURE_MS);
}
