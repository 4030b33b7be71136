/* invoker/monitor/monitor.h -- what our containers use, and what each run took.
 *
 * Reads the kernel's files (common/cgroup/usage.h), never the engine. Each container that is not
 * paused is looked at several times a second; each run at its begin and end, after the request was
 * written and after the answer was passed on, so that nobody waits for it. A few containers at a
 * time, so that the loop is never held up. Where groups cannot be seen, nothing is measured, which
 * is said once, and everything else works. docs/monitoring.md. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cgroup/usage.h"

struct cw_action;
struct cw_container;
struct cw_http_exchange;
struct cw_loop;
struct cw_metrics;
struct cw_str;
struct inv_meter; /* of one run; the monitor's */
struct inv_monitor;
struct inv_need;
struct inv_watched; /* a container; the monitor's */

/* What one activation took. When several ran in the container at once, all of them have what they
 * took together. */
struct inv_run_usage {
    uint64_t wall_ns;          /* from when /run was about to be sent until its end was known */
    uint64_t cpu_ns;           /* all threads of the container */
    uint64_t ws_sampled_bytes; /* the largest working set that was seen */
    uint64_t peak_bytes;       /* kernel's, with page cache; 0: it has none */
    uint64_t throttled_ns;
    uint32_t oom_kills;
    uint32_t samples; /* looks at the container meanwhile, the last included */
    bool overlapped;  /* others ran in the container meanwhile */
    bool partial;     /* the container was gone before the last look */
    bool untrusted;   /* the container itself said so, a little after the end */
    bool
        peak_of_run; /* else since the container started (v2 before Linux 6.12, overlapping runs) */
};

/* Borrowed for the call. */
struct inv_run_report {
    const char *namespace_name;     /* invoking */
    const struct cw_action *action; /* path, version, rev, kind, image, limits */
    const char *container_id, *container_name;
    struct inv_run_usage usage;
};

/* Which containers run under cwhisk-probe. */
enum inv_probe_use {
    INV_PROBE_OFF,
    INV_PROBE_HIDDEN, /* those that are created while groups cannot be seen */
    INV_PROBE_ALWAYS, /* asked only where the group cannot be seen */
};

struct inv_monitor_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    const char *cgroup_root, *proc;
    const char *cgroup_parent; /* or NULL */
    int64_t interval_ms;       /* between looks at a container; 0: none is measured */
    enum inv_probe_use probe;
    size_t top_actions;         /* so many actions have metrics of their own; 0: none */
    const char *kind_otherwise; /* of containers without an action; static. NULL: "prewarmed" */
    /* A run has ended, and was measured (of more than 1000 in a second not all are). From a
     * deferred call. May be NULL. */
    void (*on_run)(void *arg, const struct inv_run_report *run);
    /* The limits of inv_host_usage.budget are others than they were; not called of those that
     * inv_monitor_new found. From a timer. May be NULL. */
    void (*on_budget)(void *arg);
    /* What an activation of the action is expected to need, for those who look; false: not known.
     * NULL: never known. */
    bool (*need)(void *arg, const struct cw_action *action, struct inv_need *ret);
    void *arg;
};

/* Strings are copied. */
struct inv_monitor *inv_monitor_new(const struct inv_monitor_conf *conf);
/* Containers that are still watched are forgotten; nothing may be called for them any more.
 * Accepts NULL. */
void inv_monitor_free(struct inv_monitor *m);

/* ---- containers; NULL for m, w or meter: nothing happens ---- */

/* It has just been created. memory_bytes: its limit. Not to be measured, but known all the same,
 * where its group cannot be seen. */
struct inv_watched *inv_monitor_watch(struct inv_monitor *m, const char *id, const char *name,
                                      uint64_t memory_bytes);
/* Is a container that is created now to have a probe? */
bool inv_monitor_wants_probe(const struct inv_monitor *m);
/* It may have one, which is asked where its group cannot be seen. */
void inv_monitor_use_probe(struct inv_watched *w, const struct cw_container *real);
/* Whose it is from now on. action: a reference is taken. */
void inv_monitor_adopt(struct inv_watched *w, const char *namespace_name, struct cw_action *action);
/* Looks at its CPU time and memory now. false: they cannot be seen. */
bool inv_monitor_look(struct inv_watched *w, struct cw_usage *ret);
/* cw_usage_oom_kills, of any container, watched or not. -1: not known. */
int64_t inv_monitor_oom_kills(struct inv_monitor *m, const char *id);
/* state: static text. paused: it is not looked at until it is no longer. */
void inv_monitor_state(struct inv_watched *w, const char *state, bool paused);
/* It is gone. Runs that have ended are still told. */
void inv_monitor_forget(struct inv_watched *w);

/* /run is about to be sent. To be ended or dropped. */
struct inv_meter *inv_monitor_begin(struct inv_watched *w);
/* How it ended is known. oom: the engine says that it was killed for memory. */
void inv_monitor_end(struct inv_meter *meter, bool oom);
/* It was not run after all. */
void inv_monitor_drop(struct inv_meter *meter);

/* ---- what is known ---- */

struct inv_container_usage {
    const char *id, *name, *state;  /* borrowed */
    const char *namespace_name;     /* NULL: prewarmed */
    const struct cw_action *action; /* likewise */
    uint64_t memory_limit_bytes;
    unsigned jobs;         /* that are metered now */
    uint64_t runs;         /* that have ended */
    bool measured;         /* last_run is one that was measured */
    int64_t idle_us;       /* since the last ended; -1: one is running, or none was yet */
    int64_t sampled_us;    /* monotonic */
    uint32_t cpu_millis;   /* of a core, between the last two looks */
    struct cw_usage usage; /* parts may be of different looks */
    struct inv_run_usage last_run;
    struct cw_usage_group *group; /* for control.h; NULL: gone */
};
void inv_monitor_each(struct inv_monitor *m,
                      void (*fn)(void *arg, const struct inv_container_usage *c), void *arg);

/* What all of them use together, as inv_monitor_each has it; without those that are untrusted. */
struct inv_used {
    int64_t cpu_millis, memory_bytes;
};
/* Takes no longer with many containers. */
struct inv_used inv_monitor_used(const struct inv_monitor *m);

/* Read each second. */
struct inv_host_usage {
    struct cw_usage_host now;
    uint32_t cpu_millis; /* of cores, over the last second; with CW_HOST_CPU from the second on */
    int64_t sampled_us;  /* monotonic; 0: not yet */
    struct cw_usage_budget budget; /* from inv_monitor_new on */
};
const struct inv_host_usage *inv_monitor_host(const struct inv_monitor *m);

/* Gauges are about to be shown. */
void inv_monitor_refresh(struct inv_monitor *m);
/* {"containers":[…],"host":{…}} */
void inv_monitor_render(struct inv_monitor *m, struct cw_str *out);
/* GET /containers: an inv_admin_route.answer with the monitor as arg. */
void inv_monitor_answer(void *monitor, struct cw_http_exchange *ex);
