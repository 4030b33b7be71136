/* invoker/janitor/janitor.h -- keeps the engine free of containers that nobody needs.
 *
 * In rounds: the engine's list, by the rules of rules.h, is compared with what we hold; what is
 * picked is removed, those that we hold through their owner, the others here, thawed first. The
 * first round is the clean-up at the start. Each list is also shown to dispatch, which learns from
 * it of containers that have ended. Counted by reason, with the memory that their groups had
 * (nothing, for those that have ended: what they hold is the engine's and the kernel's). Thread:
 * loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "invoker/janitor/cleanup.h"
#include "invoker/janitor/rules.h"

struct cw_http_exchange;
struct cw_metrics;
struct cw_usage_source;
struct inv_dispatch;
struct inv_event_log;
struct inv_janitor;
struct inv_owners;

struct inv_janitor_conf {
    struct cw_loop *loop;
    struct cw_driver *driver;
    struct inv_dispatch *dispatch;
    struct cw_metrics *metrics;
    struct inv_event_log *events;  /* NULL: none is kept */
    struct cw_usage_source *usage; /* NULL: nothing is known of memory */
    struct inv_owners *owners;     /* with policy.others */
    struct inv_janitor_policy policy;
    /* One that an earlier process left is gone, in the first round. May be NULL. */
    void (*on_left_over)(void *arg);
    void *arg;
    int64_t instance;    /* our id */
    const char *boot;    /* label of this process's containers */
    int64_t interval_ms; /* between rounds */
    bool dry_run;        /* rounds other than the first remove nothing, and say what they would */
};

/* Everything in conf is borrowed. Nothing happens yet. */
struct inv_janitor *inv_janitor_new(const struct inv_janitor_conf *conf);
/* Before the driver and after the HTTP server; no callbacks any more. Accepts NULL. */
void inv_janitor_free(struct inv_janitor *j);
/* The first round: removes what an earlier process left, whatever it does. fn is called once, after
 * limit_ms at the latest; further rounds follow, each interval. */
void inv_janitor_begin(struct inv_janitor *j, int64_t limit_ms, inv_cleanup_fn *fn, void *arg);
/* A round now, or when the one under way is over: what happened in between may have been missed. */
void inv_janitor_soon(struct inv_janitor *j);
/* An inv_admin_route.answer with the janitor as arg. GET /clean: what a round would remove; POST
 * /clean: a round now, POST /clean?dry-run: as GET. The answer comes when it is over:
 * {"dryRun","seen","freedBytes","containers":[{"name","id","reason","state","action","ageMs",
 * "memoryBytes","result"}…]}. */
void inv_janitor_answer(void *janitor, struct cw_http_exchange *ex);
