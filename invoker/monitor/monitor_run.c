/* Runs begin and end in deferred calls: when the request was written, and when the answer was
 * passed on. One look ends all runs that have ended, and begins those that begin. Each file that is
 * read costs a microsecond of each activation, so what cannot have changed is left out: throttling
 * of a short run without a quota; throttling and kills for memory between two runs; the begin of a
 * new peak when the old one is not above what is in use. Of thousands of runs in a second some are
 * enough. */
#include "common/model/action_doc.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "invoker/monitor/monitor_priv.h"

enum {
    NEAR_LIMIT = 16,         /* within a sixteenth of it, something may have been killed */
    SHORT_NS = 50 * 1000000, /* half of a quota's usual period */
    SAME_BYTES = 256 << 10,
    STALE_US = 1000000,
    WINDOW_US = 100000, /* in which so many runs are measured at the most */
    RUNS_IN_WINDOW = 100,
};

static struct inv_meter *entry(struct cw_link *n)
{
    return CW_LIST_ENTRY(n, struct inv_meter, link);
}

static void note_memory_of(struct cw_list *meters, uint64_t working_set_bytes)
{
    CW_LIST_EACH (meters, n) {
        struct inv_run_usage *u = &entry(n)->usage;

        u->samples++;
        if (working_set_bytes > u->ws_sampled_bytes)
            u->ws_sampled_bytes = working_set_bytes;
    }
}

void inv_watched_note_memory(struct inv_watched *w)
{
    note_memory_of(&w->running, w->last.working_set_bytes);
    note_memory_of(&w->ended, w->last.working_set_bytes);
}

/* ---- the end ---- */

static void tell(struct inv_meter *meter)
{
    struct inv_watched *w = meter->w;
    struct inv_run_report report = {
        .namespace_name = w->namespace_name,
        .action = w->action,
        .container_id = w->id,
        .container_name = w->name,
        .usage = meter->usage,
    };

    w->runs++;
    if (!meter->measured || !w->action)
        return;
    w->last_run = meter->usage;
    w->measured = true;
    inv_monitor_count_run(w->m, &report);
    if (w->m->conf.on_run)
        w->m->conf.on_run(w->m->conf.arg, &report);
}

static bool may_have_been_killed(const struct inv_watched *w)
{
    uint64_t limit = w->memory_bytes;

    return !limit || !(w->last.have & CW_USAGE_PEAK) ||
           w->last.peak_bytes >= limit - limit / NEAR_LIMIT;
}

static bool any_measured(const struct cw_list *meters)
{
    CW_LIST_EACH (meters, n) {
        if (entry(n)->measured)
            return true;
    }
    return false;
}

static bool may_have_been_throttled(const struct inv_watched *w)
{
    CW_LIST_EACH (&w->ended, n) {
        if (entry(n)->usage.wall_ns >= SHORT_NS)
            return true;
    }
    return w->last.periods > 0;
}

/* The last look, for all that have ended. */
static bool look_at_end(struct inv_watched *w)
{
    const uint32_t want = CW_USAGE_CPU | CW_USAGE_PEAK;
    bool there =
        inv_watched_look_closely(w, may_have_been_throttled(w) ? want | CW_USAGE_THROTTLE : want);

    if (there && may_have_been_killed(w))
        there = inv_watched_look(w, CW_USAGE_OOM);
    return there;
}

static void fill(struct inv_meter *meter, bool there)
{
    const struct cw_usage *last = &meter->w->last;
    struct inv_run_usage *u = &meter->usage;

    u->partial = !there;
    u->untrusted = last->untrusted;
    u->cpu_ns = cw_usage_since(last->cpu_ns, meter->cpu_ns);
    u->throttled_ns = cw_usage_since(last->throttled_ns, meter->throttled_ns);
    u->oom_kills = (uint32_t)cw_usage_since(last->oom_kills, meter->oom_kills);
    if (meter->oom && u->oom_kills == 0)
        u->oom_kills = 1; /* the group went with the container */
    u->peak_bytes = last->peak_bytes;
    if (u->ws_sampled_bytes == 0)
        u->ws_sampled_bytes = last->working_set_bytes;
    if (u->peak_bytes && u->peak_bytes < u->ws_sampled_bytes)
        u->peak_bytes = u->ws_sampled_bytes; /* of a look after the group's last */
}

/* false: it was not looked at for that. */
static bool finish_ended(struct inv_watched *w)
{
    struct cw_link *n;
    bool there;

    if (cw_list_empty(&w->ended) || inv_watched_refresh(w))
        return false;
    /* a probe has answered now, and the next run is measured from what it said */
    there = (any_measured(&w->ended) || w->probe) && look_at_end(w);
    while ((n = cw_list_pop_front(&w->ended))) {
        fill(entry(n), there);
        tell(entry(n));
        free(entry(n));
    }
    return there;
}

/* ---- the begin ---- */

static void mark_overlapped(struct cw_list *list)
{
    CW_LIST_EACH (list, n) {
        entry(n)->usage.overlapped = true;
        entry(n)->usage.peak_of_run = false;
    }
}

static bool begin_peak(struct inv_watched *w)
{
    if (!w->group)
        return false;
    return w->last.peak_bytes <= w->last.memory_bytes + SAME_BYTES || cw_usage_reset_peak(w->group);
}

/* Is this run one of those that are measured? */
static bool take_turn(struct inv_monitor *m)
{
    const int64_t now = inv_monitor_now_us(m);

    if (now - m->window_us >= WINDOW_US) {
        m->window_us = now;
        m->window_runs = 0;
    }
    if (m->window_runs < RUNS_IN_WINDOW) {
        m->window_runs++;
        return true;
    }
    cw_counter_add(m->skipped, 1);
    return false;
}

static void choose(struct inv_watched *w)
{
    CW_LIST_EACH (&w->beginning, n) {
        entry(n)->measured = (w->group || (w->probe && w->last.have)) && take_turn(w->m);
    }
}

static void look_at_begin(struct inv_watched *w)
{
    if (w->runs == 0 || inv_monitor_now_us(w->m) - w->sampled_us > STALE_US)
        (void)inv_watched_look(w, CW_USAGE_HOT & ~(unsigned)CW_USAGE_MEMORY_STAT);
    else
        (void)inv_watched_look(w, CW_USAGE_CPU);
}

/* looked: just now. */
static void begin_waiting(struct inv_watched *w, bool looked)
{
    struct cw_link *n;

    choose(w);
    if (any_measured(&w->beginning) && !looked)
        look_at_begin(w);
    while ((n = cw_list_pop_front(&w->beginning))) {
        struct inv_meter *meter = entry(n);

        meter->cpu_ns = w->last.cpu_ns;
        meter->throttled_ns = w->last.throttled_ns;
        meter->oom_kills = w->last.oom_kills;
        meter->usage.peak_of_run = meter->measured && cw_list_empty(&w->running) && begin_peak(w);
        cw_list_push_back(&w->running, n);
    }
    if (w->running.count > 1)
        mark_overlapped(&w->running);
}

static void settle(void *arg)
{
    struct inv_watched *w = arg;

    begin_waiting(w, finish_ended(w));
    if (w->forgotten)
        inv_watched_free(w);
}

/* ---- calls of the container ---- */

struct inv_meter *inv_monitor_begin(struct inv_watched *w)
{
    struct inv_meter *meter;

    if (!w)
        return NULL;
    meter = cw_alloc(sizeof(*meter));
    meter->w = w;
    meter->begun_us = inv_monitor_now_us(w->m);
    cw_list_push_back(&w->beginning, &meter->link);
    cw_defer_post(&w->settle);
    return meter;
}

static bool has_begun(const struct inv_meter *meter)
{
    CW_LIST_EACH (&meter->w->beginning, n) {
        if (n == &meter->link)
            return false;
    }
    return true;
}

void inv_monitor_drop(struct inv_meter *meter)
{
    if (!meter)
        return;
    cw_list_remove(has_begun(meter) ? &meter->w->running : &meter->w->beginning, &meter->link);
    free(meter);
}

/* One that ends in the turn in which it began was not run. */
void inv_monitor_end(struct inv_meter *meter, bool oom)
{
    struct inv_watched *w = meter ? meter->w : NULL;

    if (!meter)
        return;
    if (!has_begun(meter)) {
        inv_monitor_drop(meter);
        return;
    }
    w->ended_us = inv_monitor_now_us(w->m);
    meter->usage.wall_ns = (uint64_t)(w->ended_us - meter->begun_us) * 1000;
    meter->oom = oom;
    cw_list_remove(&w->running, &meter->link);
    cw_list_push_back(&w->ended, &meter->link);
    cw_defer_post(&w->settle);
}

void inv_watched_init_runs(struct inv_watched *w)
{
    cw_list_init(&w->beginning);
    cw_list_init(&w->running);
    cw_list_init(&w->ended);
    cw_defer_init(&w->settle, w->m->conf.loop, settle, w);
}

static void free_meters(struct cw_list *list)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(list)))
        free(entry(n));
}

void inv_watched_free_runs(struct inv_watched *w)
{
    cw_defer_cancel(&w->settle);
    free_meters(&w->beginning);
    free_meters(&w->running);
    free_meters(&w->ended);
}
