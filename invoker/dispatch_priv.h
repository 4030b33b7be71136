/* invoker/dispatch_priv.h -- what the files of the dispatch share. Thread: loop.
 *
 *   dispatch.c            whose turn it is, and the parts' lives
 *     dispatch_place.c    finds a job its container
 *     dispatch_events.c   what containers tell, jobs that end
 *       dispatch_resize.c    limits of containers that live
 *       dispatch_holdings.c  the containers that there are
 *
 * Each calls those below it only. */
#pragma once

#include "common/base/list.h"
#include "common/loop/loop.h"
#include "common/model/activation_record.h"
#include "invoker/dispatch.h"
#include "invoker/resize/resize.h"
#include "invoker/run_buffer.h"

struct cw_counter;
struct cw_runtime;
struct inv_member;
struct inv_hold;
struct inv_parked;
struct inv_prewarm;
struct inv_starts;

#define COMPONENT "ContainerPool"

/* A container with its place in the books. */
struct holding {
    struct cw_link link;
    struct inv_dispatch *d;
    struct inv_container *container;
    struct inv_slot *slot;
    struct inv_member *member; /* NULL before it is made */
    struct cw_list held;       /* struct inv_job: until the engine has resized it */
    bool adopting;             /* it is at it */
};

struct inv_dispatch {
    struct inv_dispatch_conf conf;
    struct inv_container_env env;
    struct inv_pool *pool;
    struct inv_prewarm *prewarm;
    struct inv_resize *resize;
    struct inv_starts *starts;
    struct inv_hold *hold;
    struct inv_run_buffer waiting;
    struct inv_parked *parked;
    struct cw_list holdings; /* struct holding */
    size_t jobs;
    uint64_t turns;   /* jobs that were submitted */
    uint64_t created; /* container name counter */
    bool draining;
    bool short_of_cpu;  /* some of those that wait do so for CPU, not for memory */
    bool short_of_room; /* some of them do so for memory, or had no turn yet: who comes is behind */
    int64_t cpu_logged_us;
    struct cw_defer retry;
    struct cw_counter *returned;
};

/* ---- dispatch_place.c ---- */

enum dispatch_placed {
    DISPATCH_PLACED,  /* it has left the run buffer, or has ended; or it waits for a busy container
                       */
    DISPATCH_NO_ROOM, /* it stays where it is; so do those behind it */
    DISPATCH_NO_CPU,  /* it stays where it is; those behind it may want none */
    DISPATCH_LATER,   /* it stays where it is, for another host; those behind it want this one */
};
/* job: in the run buffer, or on no list; counted in d->jobs. */
enum dispatch_placed dispatch_place(struct inv_dispatch *d, struct inv_job *job);
/* Gives those that wait for busy containers of their action the ones that are free now. */
void dispatch_place_parked(struct inv_dispatch *d);
/* inv_prewarm_conf.create. */
void dispatch_create_prewarmed(void *arg, struct inv_slot *slot, const struct cw_runtime *rt);

/* ---- dispatch_events.c ---- */

/* Fills d->env: what containers need, and whom they tell. */
void dispatch_make_env(struct inv_dispatch *d);
/* The job is over, and on no list. */
void dispatch_end_job(struct inv_dispatch *d, CW_TAKES struct inv_job *job, enum inv_end how);
/* The same, for one that no container could be had for. */
void dispatch_fail_job(struct inv_dispatch *d, CW_TAKES struct inv_job *job, enum cw_status status,
                       const char *text);

/* ---- dispatch_holdings.c ---- */

/* Puts one that had left the run buffer back into its place there; its turn comes soon. */
void dispatch_put_back(struct inv_dispatch *d, CW_TAKES struct inv_job *job);
/* Something about the container's room has changed: those who wait for one like it are asked. */
void dispatch_room_changed(struct holding *h);
/* For a slot in the books; its container is the caller's to make. Ends with on_gone. */
struct holding *dispatch_new_holding(struct inv_dispatch *d, struct inv_slot *slot);
/* Removes the containers of slots that are out of the books (chained by next_evicted). */
void dispatch_remove_chain(struct inv_slot *evicted);
/* Removes all that are idle or prewarmed. */
void dispatch_remove_idle(struct inv_dispatch *d);

/* ---- dispatch_resize.c ---- */

/* What the job's action asks for; fails when it makes no sense, err is for the user. */
int dispatch_read_wishes(const struct inv_dispatch *d, const struct inv_job *job,
                         struct inv_wishes *ret, struct cw_err *err) CW_MUST_CHECK;
/* Sets need->resizes and need->warm_only. */
void dispatch_adapt_need(struct inv_dispatch *d, const struct inv_job *job,
                         const struct inv_wishes *wishes, struct inv_pool_need *need);
/* There is no warm container for it, and no CPU for a new one: sees to it that there will be. */
void dispatch_make_room_for_cpu(struct inv_dispatch *d, const struct inv_job *job,
                                const struct inv_wishes *wishes);
/* The container gets the job's limits. REFUSED: it is given up, and the job must be placed again.
 * PENDING: the job is kept (dispatch_hold) and given to it later. */
enum inv_adopt dispatch_adopt(struct holding *h, const struct inv_job *job,
                              const struct inv_wishes *wishes);
void dispatch_hold(struct holding *h, CW_TAKES struct inv_job *job);
/* inv_resize_conf.memory_need. */
uint64_t dispatch_memory_need(void *arg, void *owner);
/* inv_resize_conf.on_adopted. */
void dispatch_on_adopted(void *arg, void *owner, bool done);
/* What is held for it is placed anew: it is going. */
void dispatch_let_go(struct holding *h);
