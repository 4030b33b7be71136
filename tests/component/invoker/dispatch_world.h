/* tests/component/invoker/dispatch_world.h -- containers and dispatch with an engine and action
 * containers that the test plays.
 *
 * Thread: the test's; scripts run on the action server's. */
#pragma once

#include <stdatomic.h>

#include "common/base/clock.h"
#include "common/model/activation_message.h"
#include "common/model/activation_record.h"
#include "invoker/dispatch.h"
#include "invoker/settings.h"
#include "tests/support/fake_driver.h"
#include "tests/support/jobs.h"
#include "tests/support/scripted_action.h"

struct cw_manifest;
struct cw_metrics;
struct inv_load;
struct inv_log_hub;
struct inv_monitor;
struct inv_stale;

enum { WAIT_MS = 20000, MAX_ENDS = 64 };

struct end_seen {
    char id[CW_ACTIVATION_ID_LEN + 1];
    enum inv_end how;
    enum cw_status status;
    int64_t init_ms, placed_us;
    bool timeout;
    char result[256];
};

struct world {
    struct cw_clock clock;
    int64_t skipped_us; /* monotonic time is the machine's and this */
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_settings settings;
    struct cw_manifest *manifest;
    struct fake_driver driver;
    struct inv_log_hub *hub;
    struct inv_dispatch *dispatch;
    struct inv_stale *stale;     /* NULL until a test wants it */
    struct inv_monitor *monitor; /* likewise */
    struct scripted_action *peer;
    unsigned results;
    struct end_seen ends[MAX_ENDS];
    char *logs; /* of the last one */
    unsigned end_count, wanted;
    atomic_bool go; /* for scripts that wait for the test */
    /* Somebody else who runs activations (begin_world_beside). */
    unsigned room_elsewhere, gone_elsewhere, asked_elsewhere;
    char last_gone;       /* the digit of its id */
    struct inv_here here; /* what was told then */
    int64_t patience_us;  /* 0: nobody waits for busy containers */
    bool later;           /* somebody else will have room for what is too large */
    bool full;            /* warm containers here are passed over where somebody else has room */
    /* NULL until a test wants it: a job is about to be given to a container. */
    void (*placed)(struct world *w, const struct inv_job *job);
    void *arg;
    /* NULL until a test wants it, whose it is; each job is expected to need so much. */
    struct inv_load *load;
    uint32_t cpu_millis;
};

/* From settings, manifest and stale as they are; the one before was freed. */
void make_dispatch(struct world *w);
/* A pool with nothing in it; containers behave as script says. */
struct world *begin_world(scripted_fn *script);
/* The same with memory_mb for all containers, and somebody else who takes as many activations as
 * w->room_elsewhere says. */
struct world *begin_world_beside(scripted_fn *script, int64_t memory_mb);
/* For cw_loop_run_until. */
bool containers_gone(void *arg);
/* Drains, kills what does not end by itself, and frees w. */
void end_world(struct world *w);
struct cw_action *make_action(struct world *w, const char *name, unsigned timeout_ms,
                              unsigned memory_mb, unsigned concurrency);
/* action: a reference that the job takes. id: one hex digit, repeated. */
void submit(struct world *w, struct cw_action *action, char id);
/* For cw_loop_run_until: as many have ended as w->wanted says. */
bool enough_ends(void *arg);
void wait_ends(struct world *w, unsigned count);
/* Activations in the run buffer, and those that wait for busy containers. */
size_t waiting(const struct world *w);
/* For cw_loop_run_until: no container is being created or initialised. */
bool nothing_starts(void *arg);
/* Scripts. */
void well_behaved(struct scripted_conn *conn, void *arg);
void refuses_to_init(struct scripted_conn *conn, void *arg);
/* Answers /init at once, and runs when w->go says so. */
void runs_when_told(struct scripted_conn *conn, void *arg);
