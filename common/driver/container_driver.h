/* common/driver/container_driver.h -- create, freeze and remove action containers.
 *
 * One implementation per platform (docker_driver.c now). Nothing here retries or queues beyond what
 * is said (a create may wait for an engine that is restarted); callers decide from err->retriable.
 * Every operation has a deadline of its own. Thread: loop. Callbacks never run inside the call that
 * requested them, and exactly once unless cancelled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_driver;
struct cw_driver_call; /* an operation in flight; dead once its callback ran */
struct cw_err;

enum cw_pull_policy {
    CW_PULL_NEVER,  /* managed images: only when they are missing */
    CW_PULL_ALWAYS, /* pull must succeed (tag latest or none) */
    CW_PULL_TRY,    /* a failed pull is tolerated if the image is present */
};

/* Why a create failed, where the difference is visible to users (openwhisk container.md 2.4). */
enum cw_create_failure {
    CW_CREATE_PLATFORM,   /* engine, network, timeout: whisk error */
    CW_CREATE_AWAY,       /* the engine is out of reach; may be tried again when it is back */
    CW_CREATE_PULL,       /* image cannot be pulled or is absent: developer error */
    CW_CREATE_EXECUTABLE, /* entrypoint not found (exit 127): developer error */
};

struct cw_container_spec {
    const char *name; /* unique on the engine */
    const char *image;
    enum cw_pull_policy pull;
    uint32_t memory_mb;     /* memory and memory+swap */
    uint32_t cpu_shares;    /* cgroup v1 scale, 2..262144 */
    double cpus;            /* 0: no quota */
    const char *network;    /* NULL: bridge */
    const char *const *env; /* NULL-terminated "K=V" */
    const char *const *dns_servers, *const *dns_search,
                                        *const *dns_options; /* NULL-terminated or NULL */
    const char *const *labels;                               /* NULL-terminated "k=v" */
    const char *const *cap_drop;                             /* NULL-terminated */
    int64_t pids_limit;                                      /* 0: none */
    int oom_score_adj;                                       /* -1000..1000 */
    int64_t nofile;                 /* ulimit, soft and hard; 0: engine's default */
    const char *log_driver;         /* NULL: engine's default */
    const char *const *log_options; /* NULL-terminated "k=v" or NULL */
    bool probe;                     /* to run under cwhisk-probe, if that can be */
};

struct cw_container {
    char id[65];        /* 64 lower-case hex digits */
    char address[46];   /* numeric IP */
    uint16_t port;      /* 8080 */
    char log_path[512]; /* engine's json file as the engine names it; "" when there is none */
    uint16_t
        probe_port; /* cwhisk-probe answers there (common/model/probe_wire.h); 0: there is none */
    char probe_token[33];
};

/* Limits of a running container; 0: stays as it is. */
struct cw_driver_limits {
    uint32_t cpu_shares;   /* cgroup v1 scale, 2..262144; the engine converts */
    uint32_t cpu_millis;   /* thousandths of a CPU */
    uint32_t memory_mb;    /* memory and memory+swap */
    uint32_t blkio_weight; /* 10..1000 */
};

#define CW_LABEL_CLUSTER "org.cwhisk.cluster"
#define CW_LABEL_INSTANCE "org.cwhisk.instance" /* the invoker's id, a number */
#define CW_LABEL_BOOT "org.cwhisk.boot"         /* which process of that invoker */
#define CW_LABEL_ACTION "org.cwhisk.action"

struct cw_owned_container {
    const char *id, *name;
    const char
        *cluster; /* label org.cwhisk.cluster; NULL: not made by us, or before there was one */
    const char *instance, *boot, *action; /* labels; NULL: none */
    bool paused, running;
    bool dead;         /* the engine could not remove it, or is about to */
    int64_t created_s; /* epoch; 0: not told */
};

/* err NULL on success. */
typedef void cw_driver_done_fn(void *arg, const struct cw_err *err);
/* One of c and err. failure is meaningful with err. c is borrowed for the callback. */
typedef void cw_created_fn(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                           const struct cw_err *err);
/* A piece of a stream. Runs inside the engine's client: may cancel the call or hold it, nothing
 * else of the driver. */
typedef void cw_driver_data_fn(void *arg, struct cw_slice piece);
typedef void cw_oom_fn(void *arg, bool oom_killed);
typedef void cw_listed_fn(void *arg, const struct cw_owned_container *list, size_t count,
                          const struct cw_err *err);

/* What happens on the engine while nobody asks. */
struct cw_driver_events {
    /* A container has ended, or is gone; exit_code -1: not known. Not told twice, mostly. */
    void (*on_death)(void *arg, const char *id, int64_t exit_code);
    /* NULL: the engine answers now; deaths before this may have been missed, so list. Otherwise it
     * does not answer any more, err says how. */
    void (*on_engine)(void *arg, const struct cw_err *err);
};

/* Moments in a container's life, as a driver sees them. Source: papers.md S2, which times the
 * operations between them by Docker's events. */
enum cw_moment {
    /* the engine has done it */
    CW_MOMENT_CREATE,
    CW_MOMENT_ATTACH,
    CW_MOMENT_CONNECT, /* to a network */
    CW_MOMENT_START,
    CW_MOMENT_KILL, /* a signal was sent */
    CW_MOMENT_DIE,
    CW_MOMENT_DISCONNECT,
    CW_MOMENT_DESTROY,
    /* it was asked to */
    CW_MOMENT_ASK_CREATE,
    CW_MOMENT_ASK_START,
    CW_MOMENT_ASK_DESTROY,
    CW_MOMENT_COUNT
};

struct cw_driver_moment {
    enum cw_moment what;
    const char *id;    /* 64 hex digits */
    const char *name;  /* NULL: not told with this one */
    int64_t at_us;     /* wall clock: the engine's for what it has done, else ours */
    int64_t exit_code; /* DIE; -1: not known */
};
/* Not always in order of time: that a create was asked is told when its id is known. May run inside
 * the engine's client: nothing may be asked of the driver. */
typedef void cw_moment_fn(void *arg, const struct cw_driver_moment *m);

/* Which part of a container's output. */
struct cw_output_query {
    bool follow;     /* go on with what comes, until the container ends */
    int64_t since_s; /* epoch seconds: not what is older; 0: from the beginning */
};

struct cw_driver_ops {
    const char *name;
    /* Must. Pulls as the policy says, creates, starts, finds the address. What fails half-way
     * leaves nothing behind (removed in the background, in several tries). spec is copied. */
    struct cw_driver_call *(*create)(struct cw_driver *d, const struct cw_container_spec *spec,
                                     cw_created_fn *fn, void *arg);
    /* NULL where the platform cannot freeze. */
    struct cw_driver_call *(*pause)(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                    void *arg);
    struct cw_driver_call *(*resume)(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                     void *arg);
    /* NULL where limits are for life. */
    struct cw_driver_call *(*update)(struct cw_driver *d, const char *id,
                                     const struct cw_driver_limits *limits, cw_driver_done_fn *fn,
                                     void *arg);
    /* Must. Force-remove; a container that is already gone is success. */
    struct cw_driver_call *(*remove)(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                     void *arg);
    /* Must. Was a process of the container killed for memory, so that it did not answer? Polls up
     * to 2 s in small steps, since the engine learns of it after the connection broke; false on any
     * error. */
    struct cw_driver_call *(*was_oom_killed)(struct cw_driver *d, const char *id, cw_oom_fn *fn,
                                             void *arg);
    /* Must. All containers, running or not, whose name starts with name_prefix. */
    struct cw_driver_call *(*list)(struct cw_driver *d, const char *name_prefix, cw_listed_fn *fn,
                                   void *arg);
    /* NULL where output cannot be had. Standard output and error as the engine keeps them, each
     * line with its time in front, in Docker's multiplexed format (raw from a terminal). No
     * deadline. fn comes last, without error when the engine ended the stream. */
    struct cw_driver_call *(*output)(struct cw_driver *d, const char *id,
                                     const struct cw_output_query *query,
                                     cw_driver_data_fn *on_data, cw_driver_done_fn *fn, void *arg);
    /* With output: hold stops on_data (a little may still come), and lets it go on. */
    void (*hold_output)(struct cw_driver *d, struct cw_driver_call *call, bool hold);
    /* NULL where nothing can be watched. Tells, until cancelled, of the engine itself and of the
     * deaths of containers whose name starts with name_prefix. events is borrowed. */
    struct cw_driver_call *(*watch)(struct cw_driver *d, const char *name_prefix,
                                    const struct cw_driver_events *events, void *arg);
    /* Must. Version handshake; fails when the engine cannot be used. Call first. */
    struct cw_driver_call *(*check)(struct cw_driver *d, cw_driver_done_fn *fn, void *arg);
    /* Must. fn will not be called. A create that was under way is finished and removed in the
     * background. */
    void (*cancel)(struct cw_driver *d, struct cw_driver_call *call);
    /* Must. Background operations still under way (clean-ups after cancel or failure). */
    size_t (*busy)(const struct cw_driver *d);
    /* NULL where nothing waits. The end is near: background operations that wait to be tried again
     * are tried in the next turn, and from then on in short steps. */
    void (*hurry)(struct cw_driver *d);
    void (*free)(struct cw_driver *d);
};

struct cw_driver {
    const struct cw_driver_ops *ops;
};

static inline void cw_driver_free(struct cw_driver *d)
{
    if (d)
        d->ops->free(d);
}
