/* Metrics are by kind of runtime, of which there are few, never by container; by action only where
 * that is wanted (monitor_actions.c). */
#include <stdio.h>

#include "common/model/action_doc.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "invoker/monitor/monitor_priv.h"

enum { LABEL_MAX_BYTES = 512 };

static const double CPU_BOUNDS[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                    1,     2.5,    5,     10,   25,    50,   100, 300};
#define MIB(n) ((double)(n)*1048576)
static const double MEMORY_BOUNDS[] = {MIB(8),   MIB(16),   MIB(32),   MIB(64),   MIB(96),
                                       MIB(128), MIB(192),  MIB(256),  MIB(384),  MIB(512),
                                       MIB(768), MIB(1024), MIB(2048), MIB(4096), MIB(8192)};

/* ---- kinds ---- */

static void make_kind_metrics(struct cw_metrics *m, struct inv_monitor_kind *k)
{
    cw_auto_str struct cw_str label;
    const char *l;

    cw_str_init(&label, LABEL_MAX_BYTES);
    cw_metrics_label(&label, "kind", k->name);
    l = label.p;
    k->cpu = cw_metrics_histogram(m, "cwhisk_run_cpu_seconds", l, "CPU time of a run.", CPU_BOUNDS,
                                  CW_ARRAY_LEN(CPU_BOUNDS));
    k->working_set =
        cw_metrics_histogram(m, "cwhisk_run_working_set_bytes", l,
                             "Largest working set seen in a run: memory less inactive file cache.",
                             MEMORY_BOUNDS, CW_ARRAY_LEN(MEMORY_BOUNDS));
    k->peak = cw_metrics_histogram(m, "cwhisk_run_peak_bytes", l,
                                   "Kernel's peak of memory in a run, page cache included.",
                                   MEMORY_BOUNDS, CW_ARRAY_LEN(MEMORY_BOUNDS));
    k->throttled_us =
        cw_metrics_counter(m, "cwhisk_run_throttled_seconds_total", l,
                           "Time for which runs were held back by their containers' CPU quotas.");
    cw_counter_shown_per(k->throttled_us, 1000000);
    k->oom_kills = cw_metrics_counter(m, "cwhisk_run_oom_kills_total", l,
                                      "Processes that the kernel killed for memory in runs.");
    k->containers = cw_metrics_gauge(m, "cwhisk_containers", l, "Containers that are watched.");
    k->memory = cw_metrics_gauge(m, "cwhisk_container_memory_bytes", l,
                                 "Memory that the kernel charges to containers.");
    k->working_set_now = cw_metrics_gauge(m, "cwhisk_container_working_set_bytes", l,
                                          "The same less inactive file cache.");
    k->limit = cw_metrics_gauge(m, "cwhisk_container_memory_limit_bytes", l,
                                "Limits of the containers' memory.");
    k->cpu_now =
        cw_metrics_gauge(m, "cwhisk_container_cpu_cores", l, "Cores that containers keep busy.");
    k->need = cw_metrics_gauge(m, "cwhisk_container_need_bytes", l,
                               "Memory that containers are expected to need, as inferred from runs "
                               "before; their limits where nothing is known.");
    k->need_cpu = cw_metrics_gauge(m, "cwhisk_container_need_cpu_cores", l,
                                   "Cores that a run in each container is expected to keep busy.");
}

static struct inv_monitor_kind *kind_of(struct inv_monitor *m, const char *name)
{
    struct cw_map_node *node = cw_map_get(&m->kinds, cw_slice_of(name));
    struct inv_monitor_kind *k;
    size_t n = strlen(name) + 1;

    if (node)
        return CW_CONTAINER_OF(node, struct inv_monitor_kind, node);
    k = cw_alloc(sizeof(*k) + n);
    memcpy(k->name, name, n);
    make_kind_metrics(m->conf.metrics, k);
    cw_map_put(&m->kinds, &k->node, cw_slice_of(k->name));
    return k;
}

void inv_monitor_count_run(struct inv_monitor *m, const struct inv_run_report *run)
{
    struct inv_monitor_kind *k = kind_of(m, run->action->kind);
    const struct inv_run_usage *u = &run->usage;

    cw_histogram_observe(k->cpu, (double)u->cpu_ns / 1e9);
    cw_histogram_observe(k->working_set, (double)u->ws_sampled_bytes);
    if (u->peak_bytes && u->peak_of_run)
        cw_histogram_observe(k->peak, (double)u->peak_bytes);
    cw_counter_add(k->throttled_us, u->throttled_ns / 1000);
    cw_counter_add(k->oom_kills, u->oom_kills);
}

/* ---- gauges ---- */

bool inv_monitor_need(const struct inv_monitor *m, const struct inv_container_usage *c,
                      struct inv_need *ret)
{
    return c->action && m->conf.need && m->conf.need(m->conf.arg, c->action, ret);
}

static void begin_sums(void *arg, struct cw_map_node *node)
{
    struct inv_monitor_kind *k = CW_CONTAINER_OF(node, struct inv_monitor_kind, node);

    (void)arg;
    k->sum_containers = k->sum_memory = k->sum_working_set = k->sum_limit = k->sum_cpu_millis = 0;
    k->sum_need = k->sum_need_millis = 0;
    for (size_t i = 0; i < INV_MONITOR_STATES; i++)
        k->states[i].sum = 0;
}

static void count_state(struct cw_metrics *m, struct inv_monitor_kind *k, const char *state)
{
    struct inv_monitor_state_count *s = k->states;
    cw_auto_str struct cw_str label;

    cw_str_init(&label, LABEL_MAX_BYTES);
    while (s < k->states + INV_MONITOR_STATES && s->state && strcmp(s->state, state) != 0)
        s++;
    if (s == k->states + INV_MONITOR_STATES)
        return;
    if (!s->state) {
        cw_metrics_label(&label, "kind", k->name);
        cw_metrics_label(&label, "state", state);
        s->state = state;
        s->gauge = cw_metrics_gauge(m, "cwhisk_containers_by_state", label.p,
                                    "Containers by what they are doing.");
    }
    s->sum++;
}

static void add_need(const struct inv_monitor *m, struct inv_monitor_kind *k,
                     const struct inv_container_usage *c)
{
    struct inv_need need;

    if (inv_monitor_need(m, c, &need)) {
        k->sum_need += need.memory_bytes;
        k->sum_need_millis += need.cpu_millis;
    } else {
        k->sum_need += c->memory_limit_bytes;
    }
}

static void add_container(void *arg, const struct inv_container_usage *c)
{
    struct inv_monitor *m = arg;
    const char *otherwise = m->conf.kind_otherwise ? m->conf.kind_otherwise : "prewarmed";
    struct inv_monitor_kind *k = kind_of(m, c->action ? c->action->kind : otherwise);

    k->sum_containers++;
    k->sum_memory += c->usage.memory_bytes;
    k->sum_working_set += c->usage.working_set_bytes;
    k->sum_limit += c->memory_limit_bytes;
    k->sum_cpu_millis += c->cpu_millis;
    count_state(m->conf.metrics, k, c->state);
    add_need(m, k, c);
}

static void show_sums(void *arg, struct cw_map_node *node)
{
    struct inv_monitor_kind *k = CW_CONTAINER_OF(node, struct inv_monitor_kind, node);

    (void)arg;
    cw_gauge_set(k->containers, (double)k->sum_containers);
    cw_gauge_set(k->memory, (double)k->sum_memory);
    cw_gauge_set(k->working_set_now, (double)k->sum_working_set);
    cw_gauge_set(k->limit, (double)k->sum_limit);
    cw_gauge_set(k->cpu_now, (double)k->sum_cpu_millis / 1000);
    cw_gauge_set(k->need, (double)k->sum_need);
    cw_gauge_set(k->need_cpu, (double)k->sum_need_millis / 1000);
    for (size_t i = 0; i < INV_MONITOR_STATES && k->states[i].state; i++)
        cw_gauge_set(k->states[i].gauge, (double)k->states[i].sum);
}

static void show_host(struct inv_monitor *m)
{
    const struct cw_usage_host *h = &m->host.now;
    const struct cw_pressure *pressure[] = {&h->cpu, &h->memory, &h->io};

    cw_gauge_set(m->host_cores, h->cores);
    cw_gauge_set(m->host_cpu, (double)m->host.cpu_millis / 1000);
    cw_gauge_set(m->host_memory, (double)h->memory_total_bytes);
    cw_gauge_set(m->host_available, (double)h->memory_available_bytes);
    for (size_t i = 0; i < CW_ARRAY_LEN(pressure); i++) {
        cw_gauge_set(m->pressure[2 * i], pressure[i]->some_avg10 / 1e4);
        cw_gauge_set(m->pressure[2 * i + 1], pressure[i]->full_avg10 / 1e4);
    }
}

static void show_source(struct inv_monitor *m)
{
    struct cw_usage_stats now, *before = &m->counted;

    cw_usage_source_stats(m->source, &now);
    cw_counter_add(m->samples, now.samples - before->samples);
    cw_counter_add(m->unreadable, now.unreadable - before->unreadable);
    cw_counter_add(m->backwards, now.backwards - before->backwards);
    cw_counter_add(m->vanished, now.vanished - before->vanished);
    cw_gauge_set(m->descriptors, now.descriptors);
    *before = now;
}

void inv_monitor_refresh(struct inv_monitor *m)
{
    if (!m)
        return;
    cw_map_each(&m->kinds, begin_sums, NULL);
    inv_monitor_each(m, add_container, m);
    cw_map_each(&m->kinds, show_sums, NULL);
    show_host(m);
    show_source(m);
}

/* ---- life ---- */

static void make_pressure(struct inv_monitor *m)
{
    static const char *const LABELS[CW_ARRAY_LEN(m->pressure)] = {
        "resource=\"cpu\",share=\"some\"",    "resource=\"cpu\",share=\"full\"",
        "resource=\"memory\",share=\"some\"", "resource=\"memory\",share=\"full\"",
        "resource=\"io\",share=\"some\"",     "resource=\"io\",share=\"full\"",
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(LABELS); i++)
        m->pressure[i] = cw_metrics_gauge(
            m->conf.metrics, "cwhisk_host_pressure_ratio", LABELS[i],
            "Share of the last 10 s in which some, or all, waited for a resource (PSI).");
}

void inv_monitor_make_metrics(struct inv_monitor *m)
{
    struct cw_metrics *to = m->conf.metrics;

    m->host_cores = cw_metrics_gauge(to, "cwhisk_host_cores", NULL, "Processors on line.");
    m->host_cpu = cw_metrics_gauge(to, "cwhisk_host_cpu_cores", NULL,
                                   "Cores that all on this host keep busy, over a second.");
    m->host_memory =
        cw_metrics_gauge(to, "cwhisk_host_memory_bytes", "state=\"total\"", "Memory of this host.");
    m->host_available =
        cw_metrics_gauge(to, "cwhisk_host_memory_bytes", "state=\"available\"", NULL);
    make_pressure(m);
    m->samples = cw_metrics_counter(to, "cwhisk_monitor_samples_total", NULL,
                                    "Looks at containers' control groups.");
    m->skipped = cw_metrics_counter(to, "cwhisk_monitor_runs_skipped_total", NULL,
                                    "Runs that were not measured: there were very many.");
    m->unreadable =
        cw_metrics_counter(to, "cwhisk_monitor_unreadable_total", NULL,
                           "Files of the kernel that could not be read, or made no sense.");
    m->backwards = cw_metrics_counter(to, "cwhisk_monitor_backwards_total", NULL,
                                      "Counters of the kernel that stepped back.");
    m->vanished = cw_metrics_counter(to, "cwhisk_monitor_vanished_total", NULL,
                                     "Control groups that were gone when they were looked at.");
    m->probe_faults = cw_metrics_counter(to, "cwhisk_monitor_probe_faults_total", NULL,
                                         "Probes that began to fail, or to tell what cannot be.");
    m->descriptors = cw_metrics_gauge(to, "cwhisk_monitor_descriptors", NULL,
                                      "File descriptors that the monitor holds.");
    if (m->conf.top_actions)
        cw_metrics_extend(to, inv_monitor_add_actions, m);
}

static void free_kind(void *arg, struct cw_map_node *node)
{
    (void)arg;
    free(CW_CONTAINER_OF(node, struct inv_monitor_kind, node));
}

void inv_monitor_free_metrics(struct inv_monitor *m)
{
    if (m->conf.top_actions)
        cw_metrics_extend(m->conf.metrics, NULL, NULL);
    cw_map_each(&m->kinds, free_kind, NULL);
    cw_map_done(&m->kinds);
}
