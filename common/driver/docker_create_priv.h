/* common/driver/docker_create_priv.h -- a create under way; its steps are drawn in docker_create.c.
 *
 *   docker_create.c          the call; PULL, QUEUED, IMAGE, CREATE
 *     docker_create_name.c   LOOK, EVICT
 *     docker_create_start.c  START, INSPECT
 *       docker_create_end.c  how it ends
 *
 * Thread: loop. */
#pragma once

#include "common/driver/docker_answer.h"
#include "common/driver/docker_priv.h"

enum { CW_DOCKER_ERROR_TEXT_LEN = 1024 };

enum docker_create_step {
    STEP_REFUSED,
    STEP_PULL,
    STEP_QUEUED,
    STEP_IMAGE,
    STEP_CREATE,
    STEP_LOOK,
    STEP_EVICT,
    STEP_START,
    STEP_INSPECT
};

struct docker_create {
    struct cw_driver_call call;
    enum docker_create_step step;
    bool abandoned, pull_tried, pull_failed, evicted, unreached;
    struct docker_pull_wait pull;
    struct docker_slot slot;
    struct cw_defer refuse;              /* for a spec that cannot be sent */
    struct cw_timer again;               /* the step is tried once more */
    int64_t evict_ms, evict_until_us;    /* 0: the name was not found taken yet */
    int64_t again_ms, patience_until_us; /* 0: it has not failed yet for an engine out of reach */
    struct cw_err refusal;
    enum cw_pull_policy policy;
    char *name, *image, *network;
    struct cw_str body, probed;              /* probed: the same with a probe; empty: without */
    char probe_token[33];                    /* "": no probe is wanted */
    char id[65];                             /* "" before the engine has named it */
    int64_t deadline_us, begun_us, asked_us; /* asked: wall clock */
    cw_created_fn *fn;
    void *arg;
};

/* ---- docker_create.c ---- */

/* CREATE, at first or again. */
void docker_create_send(struct docker_create *c);

/* ---- docker_create_name.c ---- */

/* The name is taken: its holder is removed, if it is ours, and docker_create_send comes again.
 * false: it stays taken. */
bool docker_create_free_name(struct docker_create *c);
void docker_create_send_look(struct docker_create *c);
void docker_create_send_evict(struct docker_create *c);

/* ---- docker_create_start.c ---- */

/* c->id is set. */
void docker_create_send_start(struct docker_create *c);
void docker_create_send_inspect(struct docker_create *c);

/* ---- docker_create_end.c ---- */

/* Of the time that CREATE to START share; at least 1. */
int64_t docker_create_ms_left(const struct docker_create *c);
/* The step did not reach the engine, and will be tried again. http_err may be NULL. */
bool docker_create_try_again(struct docker_create *c, const struct cw_err *http_err);
/* What there may be of the container is removed in the background. unsure: the engine may have made
 * it although it did not say so. */
void docker_create_remove_leftover(struct docker_create *c, bool unsure);
/* Ends without a word to the caller. The following ones end, and tell it unless the create was
 * abandoned; c is gone then, and the driver may be. */
void docker_create_retire(struct docker_create *c);
void docker_create_fail(struct docker_create *c, enum cw_create_failure failure,
                        const struct cw_err *err);
/* A step before INSPECT failed: it counts as a failed run. */
void docker_create_fail_run(struct docker_create *c, enum cw_create_failure failure,
                            const struct cw_err *err);
void docker_create_succeed(struct docker_create *c, const struct cw_docker_inspect *seen);
