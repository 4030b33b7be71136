/* Containers that are looked at stand in a line; all wait equally long, so the line is in order.
 * Those that are due within a quarter of the interval are taken together, at most SLICE in one
 * call, which takes some tens of microseconds. Details of memory (memory.stat) are most of a look's
 * cost; they are read when the memory in use has changed, or after some seconds. */
#include "invoker/monitor/monitor.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/cgroup/usage_probe.h"
#include "common/model/action_doc.h"
#include "common/obs/log.h"
#include "invoker/monitor/monitor_priv.h"

enum {
    SLICE = 24,
    HOST_MS = 1000,
    STAT_US = 4 * 1000000,
    STAT_STILL_US = 15 * 1000000, /* of who has used no CPU since */
    STAT_MIN_BYTES = 1 << 20,
    STAT_FRACTION = 16,
    FULL_US = 10 * 1000000,       /* between looks at files that are not kept open */
    FULL_STILL_US = 30 * 1000000, /* of who has used no CPU since */
    STILL_US = 2 * 1000000,       /* between looks at the memory of such */
    RATE_MIN_US = 20000,          /* the kernel's clocks of a container may be some ms behind */
    LOOK = CW_USAGE_CPU | CW_USAGE_MEMORY,
};

/* ---- one container ---- */

static void tell_faults(struct inv_monitor *m)
{
    struct cw_err err;

    while (cw_usage_next_fault(m->source, &err))
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s", err.msg);
}

static void take_over(struct cw_usage *into, const struct cw_usage *u)
{
    into->have |= u->have;
    if (u->have & CW_USAGE_CPU)
        into->cpu_ns = u->cpu_ns;
    if (u->have & CW_USAGE_CPU_SPLIT) {
        into->user_ns = u->user_ns;
        into->system_ns = u->system_ns;
    }
    if (u->have & CW_USAGE_MEMORY) {
        into->memory_bytes = u->memory_bytes;
        into->working_set_bytes = u->working_set_bytes;
    }
    if (u->have & CW_USAGE_MEMORY_STAT) {
        into->anon_bytes = u->anon_bytes;
        into->file_bytes = u->file_bytes;
        into->shmem_bytes = u->shmem_bytes;
        into->inactive_file_bytes = u->inactive_file_bytes;
    }
    if (u->have & CW_USAGE_MEMORY_STAT && !(u->have & CW_USAGE_MEMORY))
        into->working_set_bytes = cw_usage_since(into->memory_bytes, into->inactive_file_bytes);
    if (u->have & CW_USAGE_PEAK)
        into->peak_bytes = u->peak_bytes;
    if (u->have & CW_USAGE_THROTTLE) {
        into->throttled_ns = u->throttled_ns;
        into->periods = u->periods;
        into->throttled_periods = u->throttled_periods;
    }
    if (u->have & CW_USAGE_OOM) {
        into->oom_events = u->oom_events;
        into->oom_kills = u->oom_kills;
    }
    if (u->have & CW_USAGE_IO) {
        into->io_read_bytes = u->io_read_bytes;
        into->io_written_bytes = u->io_written_bytes;
        into->io_reads = u->io_reads;
        into->io_writes = u->io_writes;
    }
    if (u->have & CW_USAGE_PIDS)
        into->pids = u->pids;
    into->untrusted = u->untrusted;
}

/* Nanoseconds of CPU in a microsecond are thousandths of a core. */
static void find_rate(struct inv_watched *w, int64_t now)
{
    if (w->rate_us && now - w->rate_us < RATE_MIN_US)
        return;
    if (w->rate_us)
        w->cpu_millis = (uint32_t)(cw_usage_since(w->last.cpu_ns, w->rate_cpu_ns) /
                                   (uint64_t)(now - w->rate_us));
    w->rate_us = now;
    w->rate_cpu_ns = w->last.cpu_ns;
}

/* Its part of what all use together, after any change of it. What containers say of themselves is
 * none. */
static void account(struct inv_watched *w)
{
    struct inv_used *all = &w->m->used, now = {0};

    if (!w->forgotten && !w->last.untrusted)
        now = (struct inv_used){w->cpu_millis, (int64_t)w->last.memory_bytes};
    all->cpu_millis += now.cpu_millis - w->used.cpu_millis;
    all->memory_bytes += now.memory_bytes - w->used.memory_bytes;
    w->used = now;
}

static void rest(struct inv_watched *w)
{
    if (cw_link_on_list(&w->link))
        cw_list_remove(&w->m->active, &w->link);
    cw_list_push_back(&w->m->resting, &w->link);
    w->cpu_millis = 0;
    w->rate_us = 0;
    account(w);
}

static bool is_active(const struct inv_watched *w)
{
    return (w->group || w->probe) && !w->paused;
}

/* The container has ended, which others notice in their own ways. */
static void lose(struct inv_watched *w)
{
    const bool was_active = is_active(w);

    cw_usage_close(CW_STEAL(w->group));
    if (was_active)
        rest(w);
}

bool inv_watched_look(struct inv_watched *w, uint32_t want)
{
    struct cw_err err = {0};
    struct cw_usage u;
    int rc;

    if (w->probe) {
        if (inv_watched_look_through_probe(w, &u)) {
            take_over(&w->last, &u);
            find_rate(w, w->sampled_us);
            account(w);
        }
        return w->last.have != 0;
    }
    if (!w->group)
        return false;
    rc = cw_usage_sample(w->group, want, &u, &err);
    w->sampled_us = inv_monitor_now_us(w->m);
    take_over(&w->last, &u);
    if (u.have & CW_USAGE_CPU)
        find_rate(w, w->sampled_us);
    account(w);
    if (u.have & CW_USAGE_MEMORY)
        w->memory_us = w->sampled_us;
    if (u.have & CW_USAGE_MEMORY_STAT) {
        w->stat_us = w->sampled_us;
        w->stat_cpu_ns = w->last.cpu_ns;
        w->stat_memory = w->last.memory_bytes;
    }
    tell_faults(w->m);
    if (rc != 0)
        lose(w);
    return rc == 0;
}

/* It has used no CPU since. Where that cannot be seen, it may have. */
static bool is_still(const struct inv_watched *w, uint64_t since_cpu_ns)
{
    return w->last.have & CW_USAGE_CPU && w->last.cpu_ns == since_cpu_ns;
}

static bool stat_is_due(const struct inv_watched *w)
{
    uint64_t now = w->last.memory_bytes, then = w->stat_memory;
    uint64_t change = now > then ? now - then : then - now;

    return !w->stat_us || change > STAT_MIN_BYTES + then / STAT_FRACTION ||
           w->sampled_us - w->stat_us >= (is_still(w, w->stat_cpu_ns) ? STAT_STILL_US : STAT_US);
}

bool inv_watched_look_closely(struct inv_watched *w, uint32_t want)
{
    bool there = inv_watched_look(w, want | CW_USAGE_MEMORY);

    if (there && !(want & CW_USAGE_MEMORY_STAT) && stat_is_due(w))
        there = inv_watched_look(w, CW_USAGE_MEMORY_STAT);
    if (there)
        inv_watched_note_memory(w);
    return there;
}

static bool all_is_due(const struct inv_watched *w)
{
    int64_t wait_us = is_still(w, w->full_cpu_ns) ? FULL_STILL_US : FULL_US;

    return w->group && w->sampled_us - w->full_us >= wait_us;
}

static void look_all(struct inv_watched *w)
{
    w->full_us = inv_monitor_now_us(w->m);
    (void)inv_watched_look_closely(w, CW_USAGE_ALL);
    w->full_cpu_ns = w->last.cpu_ns;
}

/* Who has used no CPU since has taken no memory: that is looked at for what the kernel took back.
 */
static void look_briefly(struct inv_watched *w)
{
    uint64_t cpu_ns = w->last.cpu_ns;

    if (!w->group)
        (void)inv_watched_look_closely(w, LOOK);
    else if (inv_watched_look(w, CW_USAGE_CPU) &&
             (!is_still(w, cpu_ns) || w->sampled_us - w->memory_us >= STILL_US))
        (void)inv_watched_look_closely(w, CW_USAGE_MEMORY);
}

/* ---- the line ---- */

static int64_t interval_us(const struct inv_monitor *m)
{
    return m->conf.interval_ms * 1000;
}

static void arm(struct inv_monitor *m)
{
    const struct cw_link *first = cw_list_first(&m->active);

    if (!first)
        cw_timer_stop(&m->tick);
    else if (!cw_timer_pending(&m->tick))
        cw_timer_set_us(&m->tick, CW_LIST_ENTRY(first, struct inv_watched, link)->due_us -
                                      inv_monitor_now_us(m));
}

static void stand_last(struct inv_watched *w)
{
    w->due_us = inv_monitor_now_us(w->m) + interval_us(w->m);
    cw_list_push_back(&w->m->active, &w->link);
}

static void on_tick(void *arg)
{
    struct inv_monitor *m = arg;
    const int64_t until = inv_monitor_now_us(m) + interval_us(m) / 4; /* few turns for all */

    for (int n = 0; n < SLICE; n++) {
        struct cw_link *first = cw_list_first(&m->active);
        struct inv_watched *w = first ? CW_LIST_ENTRY(first, struct inv_watched, link) : NULL;

        if (!w || w->due_us > until)
            break;
        cw_list_remove(&m->active, &w->link);
        stand_last(w);
        if (all_is_due(w))
            look_all(w);
        else
            look_briefly(w);
    }
    arm(m);
}

/* Are its limits others than they were? */
static bool look_at_budget(struct inv_monitor *m)
{
    const struct cw_usage_budget before = m->host.budget;
    struct cw_usage_budget *now = &m->host.budget;

    cw_usage_sample_budget(m->source, now);
    if (now->memory_bytes == before.memory_bytes &&
        (!before.cpu_millis || now->cpu_millis == before.cpu_millis))
        return false;
    if (now->memory_bytes < 0)
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "containers have %.2f cores together; no limit of their memory",
               (double)now->cpu_millis / 1000);
    else
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "containers have %.2f cores and %lld MB together, by the groups that they are in",
               (double)now->cpu_millis / 1000, (long long)now->memory_bytes >> 20);
    return true;
}

static void on_host_tick(void *arg)
{
    struct inv_monitor *m = arg;
    const struct inv_host_usage before = m->host;
    struct inv_host_usage *h = &m->host;

    cw_usage_sample_host(m->source, CW_HOST_ALL, &h->now);
    h->sampled_us = inv_monitor_now_us(m);
    if (before.sampled_us && h->sampled_us > before.sampled_us && h->now.have & CW_HOST_CPU)
        h->cpu_millis = (uint32_t)(cw_usage_since(h->now.cpu_ns, before.now.cpu_ns) /
                                   (uint64_t)(h->sampled_us - before.sampled_us));
    cw_timer_set_ms(&m->host_tick, HOST_MS);
    if (look_at_budget(m) && m->conf.on_budget)
        m->conf.on_budget(m->conf.arg);
    tell_faults(m);
}

/* ---- life ---- */

struct inv_monitor *inv_monitor_new(const struct inv_monitor_conf *conf)
{
    struct inv_monitor *m = cw_alloc(sizeof(*m));

    m->conf = *conf;
    m->conf.cgroup_root = m->conf.proc = m->conf.cgroup_parent = NULL;
    m->source = cw_usage_source_new(conf->cgroup_root, conf->proc, conf->cgroup_parent);
    m->host.budget.memory_bytes = -1;
    (void)look_at_budget(m);
    cw_list_init(&m->active);
    cw_list_init(&m->resting);
    cw_map_init(&m->kinds);
    inv_monitor_make_metrics(m);
    inv_monitor_start_probes(m, conf->cgroup_root);
    cw_timer_init(&m->tick, conf->loop, on_tick, m);
    cw_timer_init(&m->host_tick, conf->loop, on_host_tick, m);
    cw_timer_set_ms(&m->host_tick, 0);
    return m;
}

static void free_all(struct cw_list *list)
{
    struct cw_link *n;

    while ((n = cw_list_first(list)))
        inv_watched_free(CW_LIST_ENTRY(n, struct inv_watched, link));
}

void inv_monitor_free(struct inv_monitor *m)
{
    if (!m)
        return;
    free_all(&m->active);
    free_all(&m->resting);
    cw_timer_done(&m->tick);
    cw_timer_done(&m->host_tick);
    cw_usage_source_free(m->source);
    cw_usage_probes_free(m->probes);
    inv_monitor_free_metrics(m);
    free(m);
}

static void tell_unseen(struct inv_monitor *m, const struct cw_err *err)
{
    m->hidden = m->hidden || err->code == CW_NOT_FOUND;
    if (m->told_unseen)
        return;
    m->told_unseen = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s: what it uses is not measured%s; this is said once",
           err->msg,
           err->code == CW_NOT_FOUND
               ? " (cwhisk.cgroup-root says where the host's control groups are mounted)"
               : "");
}

struct inv_watched *inv_monitor_watch(struct inv_monitor *m, const char *id, const char *name,
                                      uint64_t memory_bytes)
{
    struct cw_err err = {0};
    struct inv_watched *w;

    if (!m)
        return NULL;
    w = cw_alloc(sizeof(*w));
    w->m = m;
    if (m->conf.interval_ms > 0) {
        w->group = cw_usage_open(m->source, id, CW_USAGE_HOT, &err);
        tell_faults(m);
        if (!w->group)
            tell_unseen(m, &err);
    }
    w->state = "";
    w->name = cw_strdup(name);
    w->memory_bytes = memory_bytes;
    (void)snprintf(w->id, sizeof(w->id), "%s", id);
    inv_watched_init_runs(w);
    if (!w->group) {
        cw_list_push_back(&m->resting, &w->link);
        return w;
    }
    m->hidden = false;
    stand_last(w);
    look_all(w);
    arm(m);
    return w;
}

void inv_watched_activate(struct inv_watched *w)
{
    if (!is_active(w))
        return;
    cw_list_remove(&w->m->resting, &w->link);
    stand_last(w);
    look_all(w);
    arm(w->m);
}

void inv_monitor_adopt(struct inv_watched *w, const char *namespace_name, struct cw_action *action)
{
    if (!w)
        return;
    free(w->namespace_name);
    w->namespace_name = cw_strdup(namespace_name);
    cw_action_unref(w->action);
    w->action = cw_action_ref(action);
}

bool inv_monitor_look(struct inv_watched *w, struct cw_usage *ret)
{
    if (!w || !inv_watched_look(w, LOOK) || (w->last.have & LOOK) != LOOK)
        return false;
    *ret = w->last;
    return true;
}

int64_t inv_monitor_oom_kills(struct inv_monitor *m, const char *id)
{
    int64_t count = m ? cw_usage_oom_kills(m->source, id) : -1;

    if (m)
        tell_faults(m);
    return count;
}

void inv_monitor_state(struct inv_watched *w, const char *state, bool paused)
{
    if (!w)
        return;
    w->state = state;
    if (w->paused == paused)
        return;
    if (w->probe)
        cw_usage_probe_rest(w->probe, paused);
    if (w->refreshing) /* no answer will come now */
        cw_defer_post(&w->settle);
    if (is_active(w))
        rest(w);
    w->paused = paused;
    if (is_active(w)) {
        cw_list_remove(&w->m->resting, &w->link);
        stand_last(w);
        arm(w->m);
    }
}

void inv_watched_free(struct inv_watched *w)
{
    cw_list_remove(is_active(w) ? &w->m->active : &w->m->resting, &w->link);
    inv_watched_free_runs(w);
    cw_usage_close(w->group);
    cw_usage_probe_close(w->probe);
    cw_action_unref(w->action);
    free(w->namespace_name);
    free(w->name);
    free(w);
}

void inv_monitor_forget(struct inv_watched *w)
{
    if (!w)
        return;
    w->forgotten = true;
    account(w);
    cw_defer_post(&w->settle);
}

/* ---- what is known ---- */

static void describe(const struct inv_watched *w, struct inv_container_usage *ret)
{
    *ret = (struct inv_container_usage){
        .id = w->id,
        .name = w->name,
        .state = w->state,
        .namespace_name = w->namespace_name,
        .action = w->action,
        .memory_limit_bytes = w->memory_bytes,
        .jobs = (unsigned)(w->beginning.count + w->running.count),
        .runs = w->runs,
        .idle_us = -1,
        .sampled_us = w->sampled_us,
        .cpu_millis = w->cpu_millis,
        .usage = w->last,
        .measured = w->measured,
        .last_run = w->last_run,
        .group = w->group,
    };
    if (ret->jobs == 0 && w->ended_us)
        ret->idle_us = inv_monitor_now_us(w->m) - w->ended_us;
}

static void each_of(const struct cw_list *list,
                    void (*fn)(void *arg, const struct inv_container_usage *c), void *arg)
{
    CW_LIST_EACH (list, n) {
        const struct inv_watched *w = CW_LIST_ENTRY(n, struct inv_watched, link);
        struct inv_container_usage c;

        if (w->forgotten)
            continue;
        describe(w, &c);
        fn(arg, &c);
    }
}

void inv_monitor_each(struct inv_monitor *m,
                      void (*fn)(void *arg, const struct inv_container_usage *c), void *arg)
{
    each_of(&m->active, fn, arg);
    each_of(&m->resting, fn, arg);
}

struct inv_used inv_monitor_used(const struct inv_monitor *m)
{
    return m->used;
}

const struct inv_host_usage *inv_monitor_host(const struct inv_monitor *m)
{
    return &m->host;
}
