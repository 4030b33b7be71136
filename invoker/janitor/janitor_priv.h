/* invoker/janitor/janitor_priv.h -- what janitor.c (rounds) and janitor_page.c (who asks for one
 * over HTTP) share.
 *
 * Thread: loop. */
#pragma once

#include "common/base/list.h"
#include "common/loop/loop.h"
#include "invoker/janitor/janitor.h"

/* One that was picked. */
struct inv_janitor_item {
    char *name, *id, *action;
    const char *state; /* static */
    enum inv_reason reason;
    bool held;
    int64_t age_ms;
    uint64_t memory_bytes;
    char result[200]; /* "" while it is being removed */
};

struct inv_janitor_ask {
    struct cw_link link;
    struct cw_http_exchange *ex;
    bool dry_run;
};

struct inv_janitor {
    struct inv_janitor_conf conf;
    struct cw_timer next, pressure;
    struct inv_cleanup *round;   /* under way */
    bool dry_run;                /* of the round under way */
    bool again;                  /* another one right after it */
    int64_t began_us;            /* its list is not older */
    int64_t last_us;             /* a round ended */
    struct inv_janitor_ask *ask; /* that it is for; NULL: nobody in particular */
    struct cw_list asks;         /* struct inv_janitor_ask: wait for theirs */
    inv_cleanup_fn *begun;       /* the first round's; NULL: it is over */
    void *begun_arg;
    struct inv_janitor_item *items; /* in the order of rows for cleanup, those that we hold last */
    size_t item_count, seen;
    struct cw_counter *removed[INV_REASON_END], *freed[INV_REASON_END], *failed;
    struct cw_gauge *seen_gauge;
};

/* ---- janitor.c ---- */

/* Begins a round if none is under way. ask: taken. */
void inv_janitor_round(struct inv_janitor *j, struct inv_janitor_ask *ask, int64_t limit_ms);

/* ---- janitor_page.c ---- */

/* The round is over; frees the ask. err: there was no list. */
void inv_janitor_answer_ask(struct inv_janitor *j, struct inv_janitor_ask *ask,
                            const struct cw_err *err);
/* The next one who waits; NULL: nobody. */
struct inv_janitor_ask *inv_janitor_next_ask(struct inv_janitor *j);
