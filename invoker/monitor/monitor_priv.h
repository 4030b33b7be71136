/* invoker/monitor/monitor_priv.h -- what the monitor's files share: monitor.c (looks at
 * containers), monitor_run.c (runs), monitor_kinds.c (metrics), monitor_actions.c (those of single
 * actions), monitor_page.c (JSON). */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/loop/loop.h"
#include "invoker/monitor/monitor.h"
#include "invoker/placement/need.h"

struct cw_counter;
struct cw_usage_probe;
struct cw_usage_probes;
struct cw_gauge;
struct cw_histogram;

#define COMPONENT "Monitor"

enum {
    INV_WATCHED_ID_LEN = 64,
    INV_MONITOR_STATES = 16, /* of containers; there are eleven */
};

struct inv_monitor {
    struct inv_monitor_conf conf; /* its strings are not kept */
    struct cw_usage_source *source;
    struct cw_list active;  /* looked at, the next first */
    struct cw_list resting; /* paused, or their groups are gone */
    struct cw_timer tick, host_tick;
    struct inv_host_usage host;
    struct inv_used used;
    struct cw_map kinds; /* struct inv_monitor_kind */
    struct cw_usage_probes *probes;
    bool hidden; /* groups cannot be seen, as far as is known */
    bool told_unseen;
    int64_t window_us; /* and the runs that were measured since */
    unsigned window_runs;
    struct cw_gauge *descriptors, *host_cores, *host_cpu, *host_memory, *host_available;
    struct cw_gauge *pressure[6]; /* some and full of cpu, memory, io */
    struct cw_counter *samples, *skipped, *unreadable, *backwards, *vanished, *probe_faults;
    struct cw_usage_stats counted; /* what these say */
};

struct inv_monitor_state_count {
    const char *state; /* NULL: this and the following are not in use */
    struct cw_gauge *gauge;
    uint64_t sum;
};

/* Metrics of all containers of one kind of runtime. */
struct inv_monitor_kind {
    struct cw_map_node node; /* key: name */
    struct cw_histogram *cpu, *working_set, *peak;
    struct cw_counter *throttled_us, *oom_kills;
    struct cw_gauge *containers, *memory, *working_set_now, *limit, *cpu_now, *need, *need_cpu;
    uint64_t sum_containers, sum_memory, sum_working_set, sum_limit, sum_cpu_millis, sum_need,
        sum_need_millis;
    struct inv_monitor_state_count states[INV_MONITOR_STATES];
    char name[];
};

struct inv_watched {
    struct cw_link link; /* active or resting */
    struct inv_monitor *m;
    char id[INV_WATCHED_ID_LEN + 1];
    char *name, *namespace_name;
    struct cw_action *action;
    const char *state;
    bool paused, forgotten;
    struct cw_usage_group *group; /* NULL: gone */
    struct cw_usage_probe *probe; /* without a group only */
    bool refreshing;              /* runs that have ended wait for its answer */
    uint64_t memory_bytes;
    struct cw_usage last;
    int64_t due_us, sampled_us, full_us;
    int64_t memory_us; /* when memory was last looked at */
    int64_t stat_us;   /* when memory's details were read, and what was in use then */
    uint64_t stat_memory, stat_cpu_ns;
    int64_t rate_us; /* of cpu_millis: the earlier of two looks */
    uint64_t rate_cpu_ns, full_cpu_ns;
    uint32_t cpu_millis;
    struct inv_used used;                     /* the monitor's has so much of it */
    struct cw_list beginning, running, ended; /* struct inv_meter */
    struct cw_defer settle;
    uint64_t runs;
    int64_t ended_us;
    bool measured; /* last_run */
    struct inv_run_usage last_run;
};

struct inv_meter {
    struct cw_link link;
    struct inv_watched *w;
    int64_t begun_us;
    uint64_t cpu_ns, throttled_ns, oom_kills; /* at its begin */
    bool oom;                                 /* the engine said so */
    bool measured;                            /* the group was there when it began */
    struct inv_run_usage usage;
};

static inline int64_t inv_monitor_now_us(const struct inv_monitor *m)
{
    return cw_loop_mono_us(m->conf.loop);
}

/* ---- monitor.c ---- */

/* Reads these parts now, into w->last. false: the group is gone. */
bool inv_watched_look(struct inv_watched *w, uint32_t want);
/* The same, and the details of memory when they may have changed. */
bool inv_watched_look_closely(struct inv_watched *w, uint32_t want);
void inv_watched_free(struct inv_watched *w);
/* It can be looked at from now on. */
void inv_watched_activate(struct inv_watched *w);

/* ---- monitor_probe.c ---- */

void inv_monitor_start_probes(struct inv_monitor *m, const char *cgroup_root);
/* Is it worth waiting for a fresh answer? Then `settle` is posted when it is there. */
bool inv_watched_refresh(struct inv_watched *w);
/* What is new since the last look; false: nothing. */
bool inv_watched_look_through_probe(struct inv_watched *w, struct cw_usage *ret);

/* ---- monitor_run.c ---- */

void inv_watched_init_runs(struct inv_watched *w);
void inv_watched_free_runs(struct inv_watched *w);
/* A working set was seen. */
void inv_watched_note_memory(struct inv_watched *w);

/* ---- monitor_kinds.c ---- */

void inv_monitor_make_metrics(struct inv_monitor *m);
void inv_monitor_free_metrics(struct inv_monitor *m);
void inv_monitor_count_run(struct inv_monitor *m, const struct inv_run_report *run);
/* Of an activation of the container's action; false: it has none, or nobody knows. */
bool inv_monitor_need(const struct inv_monitor *m, const struct inv_container_usage *c,
                      struct inv_need *ret);

/* ---- monitor_actions.c ---- */

/* The series of the actions whose containers have the most memory, for cw_metrics_extend. */
void inv_monitor_add_actions(void *monitor, struct cw_str *out);
