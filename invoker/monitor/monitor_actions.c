/* Thousands of actions would be thousands of series, so only those whose containers have the most
 * memory promised are shown: which they are is found anew each time, and the sums of one scrape are
 * gone after it. */
#include <stdlib.h>

#include "common/model/action_doc.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "invoker/monitor/monitor_priv.h"

enum { LABEL_MAX_BYTES = 2048 };

/* Of all containers of one action. */
struct sums {
    struct cw_map_node node;        /* key: the action's path */
    const struct cw_action *action; /* of one of them; borrowed */
    uint64_t containers, limit, working_set, cpu_millis;
    struct inv_need need; /* of one */
    bool known;
};

struct survey {
    const struct inv_monitor *m;
    struct cw_map actions;
    struct sums **all;
    size_t count;
};

/* ---- adding up ---- */

static struct sums *sums_of(struct survey *s, const struct inv_container_usage *c)
{
    struct cw_slice path = cw_slice_of(c->action->path);
    struct cw_map_node *node = cw_map_get(&s->actions, path);
    struct sums *a;

    if (node)
        return CW_CONTAINER_OF(node, struct sums, node);
    a = cw_alloc(sizeof(*a));
    a->action = c->action;
    a->known = inv_monitor_need(s->m, c, &a->need);
    cw_map_put(&s->actions, &a->node, path);
    return a;
}

static void add(void *arg, const struct inv_container_usage *c)
{
    struct sums *a = c->action ? sums_of(arg, c) : NULL;

    if (!a)
        return;
    a->containers++;
    a->limit += c->memory_limit_bytes;
    a->working_set += c->usage.working_set_bytes;
    a->cpu_millis += c->cpu_millis;
}

static void list(void *arg, struct cw_map_node *node)
{
    struct survey *s = arg;

    s->all[s->count++] = CW_CONTAINER_OF(node, struct sums, node);
}

/* The most memory first; equal ones by name, so that scrapes agree. */
static int by_limit(const void *x, const void *y)
{
    const struct sums *a = *(struct sums *const *)x, *b = *(struct sums *const *)y;

    if (a->limit != b->limit)
        return a->limit < b->limit ? 1 : -1;
    return strcmp(a->action->path, b->action->path);
}

/* ---- showing ---- */

static double containers(const struct sums *a)
{
    return (double)a->containers;
}

static double limit(const struct sums *a)
{
    return (double)a->limit;
}

static double need(const struct sums *a)
{
    return a->known ? (double)(a->containers * a->need.memory_bytes) : (double)a->limit;
}

static double working_set(const struct sums *a)
{
    return (double)a->working_set;
}

static double need_cores(const struct sums *a)
{
    return a->known ? (double)(a->containers * a->need.cpu_millis) / 1000 : 0;
}

static double cores(const struct sums *a)
{
    return (double)a->cpu_millis / 1000;
}

static const struct family {
    const char *name, *help;
    double (*value)(const struct sums *a);
} FAMILIES[] = {
    {"cwhisk_action_containers", "Containers of an action.", containers},
    {"cwhisk_action_memory_limit_bytes", "Limits of an action's containers.", limit},
    {"cwhisk_action_need_bytes", "Memory that they are expected to need.", need},
    {"cwhisk_action_working_set_bytes", "Memory that they use.", working_set},
    {"cwhisk_action_need_cpu_cores", "Cores that a run in each is expected to keep busy.",
     need_cores},
    {"cwhisk_action_cpu_cores", "Cores that they keep busy.", cores},
};

static void show(const struct survey *s, const struct family *f, size_t count, struct cw_str *out)
{
    cw_auto_str struct cw_str label;

    cw_str_init(&label, LABEL_MAX_BYTES);
    cw_str_addf(out, "# HELP %s %s\n# TYPE %s gauge\n", f->name, f->help, f->name);
    for (size_t i = 0; i < count; i++) {
        cw_str_reset(&label);
        cw_metrics_label(&label, "action", s->all[i]->action->path);
        cw_str_addf(out, "%s{%s} %.15g\n", f->name, label.p, f->value(s->all[i]));
    }
}

void inv_monitor_add_actions(void *monitor, struct cw_str *out)
{
    struct inv_monitor *m = monitor;
    struct survey s = {.m = m};
    size_t count;

    cw_map_init(&s.actions);
    inv_monitor_each(m, add, &s);
    s.all = cw_calloc(s.actions.count, sizeof(struct sums *));
    cw_map_each(&s.actions, list, &s);
    if (s.count)
        qsort(s.all, s.count, sizeof(struct sums *), by_limit);
    count = s.count < m->conf.top_actions ? s.count : m->conf.top_actions;
    for (size_t f = 0; f < CW_ARRAY_LEN(FAMILIES); f++)
        show(&s, &FAMILIES[f], count, out);
    cw_map_done(&s.actions);
    for (size_t i = 0; i < s.count; i++)
        free(s.all[i]);
    free(s.all);
}
