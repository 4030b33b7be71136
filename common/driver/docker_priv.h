/* common/driver/docker_priv.h -- what the files of the Docker driver share.
 *
 * Every operation is a struct that begins with struct cw_driver_call and sits on exactly one of the
 * driver's two lists: `calls` while somebody waits for it, `background` afterwards. Ending an
 * operation means: take it off, free it, then call back, as the very last thing, because the
 * callback may free the driver. Thread: loop. */
#pragma once

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/driver/docker_api.h"
#include "common/driver/docker_config.h"
#include "common/driver/docker_driver.h"
#include "common/driver/docker_flags.h"
#include "common/http/client.h"
#include "common/loop/loop.h"

struct watch;

struct docker {
    struct cw_driver base; /* first: it is what callers hold */
    struct docker_api api;
    struct cw_http *streams;       /* for what goes on and on; NULL before the first one */
    struct cw_docker_flags *flags; /* for all containers */
    struct docker_config config;   /* credentials */
    int64_t (*oom_kills)(void *arg, const char *id); /* or NULL */
    void *oom_kills_arg;
    struct cw_docker_freezer freezer;
    cw_moment_fn *on_moment; /* or NULL */
    void *on_moment_arg;
    char *cluster;             /* NULL: whatever has a name we want is ours */
    struct cw_list calls;      /* struct cw_driver_call */
    struct cw_list background; /* struct cw_driver_call: nobody waits for these */
    struct cw_list pulls;      /* struct docker_pull under way */
    struct cw_list waiting;    /* struct docker_slot: creates that wait for a slot */
    unsigned creating;         /* slots taken */
    bool burst;                /* one of those that began together has ended */
    struct watch *watch;       /* of docker_watch.c; NULL: nobody watches */
    unsigned parallel_creates; /* 0: no limit */
    int64_t patience_ms;       /* of creates, with an engine out of reach */
    char *probe_path;          /* NULL: there is none, or it has turned out to be missing */
    uint16_t probe_port;
    void (*warn)(void *arg, const char *text); /* or NULL */
    void *warn_arg;
};

struct cw_driver_call {
    struct docker *docker;
    struct cw_list *list; /* of the two, where `link` is */
    struct cw_link link;
    struct cw_http_call *http; /* request in flight, or NULL */
    /* The caller lost interest; NULL: ends with its request. */
    void (*abandon)(struct cw_driver_call *call);
    /* Releases the operation's own parts and the memory. Must not start anything. */
    void (*free)(struct cw_driver_call *call);
};

/* Puts the call on docker->calls. */
void cw_docker_call_init(struct docker *docker, struct cw_driver_call *call,
                         void (*free_fn)(struct cw_driver_call *call));
void cw_docker_call_to_background(struct cw_driver_call *call);
/* Cancels the request, takes the call off its list, frees it. */
void cw_docker_call_end(struct cw_driver_call *call);

/* The clock for moments. */
int64_t cw_docker_wall_us(const struct docker *docker);
/* name may be NULL; an id that is none is not told. */
void cw_docker_tell_moment(struct docker *docker, enum cw_moment what, const char *id,
                           const char *name, int64_t at_us);

/* ---- docker_create.c ---- */

struct cw_driver_call *cw_docker_create(struct cw_driver *d, const struct cw_container_spec *spec,
                                        cw_created_fn *fn, void *arg);

/* ---- docker_slots.c ---- */

/* One create's. Embedded in its owner, zero at first. */
struct docker_slot {
    struct cw_link link; /* on docker->waiting */
    bool held;
    void (*fn)(struct docker_slot *slot);
};

/* slot->fn, set by the caller, is called when there is a slot, perhaps at once. */
void cw_docker_slot_ask(struct docker *docker, struct docker_slot *slot);
/* Gives it back, or waits no longer. Harmless otherwise. Calls fn of those that wait. */
void cw_docker_slot_leave(struct docker *docker, struct docker_slot *slot);

/* ---- docker_remove.c ---- */

/* Removes a container in the background, in up to ten tries. target: name or id, copied.
 * unsure: it may not exist yet (a create without an answer), so "not found" is tried again too. */
void cw_docker_clean_up(struct docker *docker, const char *target, bool unsure);
/* All of these that wait to be tried again are tried now. */
void cw_docker_hurry(struct cw_driver *d);
/* Thaws, where that goes without the engine, and sends one DELETE request. fn is a cw_http_fn. */
struct cw_http_call *cw_docker_send_removal(struct docker *docker, const char *target,
                                            cw_http_fn *fn, void *arg);

/* ---- docker_oom.c ---- */

struct cw_driver_call *cw_docker_was_oom_killed(struct cw_driver *d, const char *id, cw_oom_fn *fn,
                                                void *arg);

/* ---- docker_freeze.c ---- */

/* Pause and resume without the engine. NULL: that is not possible, or (resume) not how it was
 * paused; nothing was done. */
struct cw_driver_call *cw_docker_freeze(struct docker *docker, const char *id,
                                        cw_driver_done_fn *fn, void *arg);
struct cw_driver_call *cw_docker_thaw(struct docker *docker, const char *id, cw_driver_done_fn *fn,
                                      void *arg);

/* ---- docker_logs.c ---- */

struct cw_driver_call *cw_docker_output(struct cw_driver *d, const char *id,
                                        const struct cw_output_query *query,
                                        cw_driver_data_fn *on_data, cw_driver_done_fn *fn,
                                        void *arg);
void cw_docker_hold_output(struct cw_driver *d, struct cw_driver_call *call, bool hold);

/* Makes docker->streams, if it is not there. */
int cw_docker_need_streams(struct docker *docker, struct cw_err *err) CW_MUST_CHECK;

/* ---- docker_watch.c ---- */

struct cw_driver_call *cw_docker_watch(struct cw_driver *d, const char *name_prefix,
                                       const struct cw_driver_events *events, void *arg);

/* A request ended with http_err (NULL: it did not). When that says that the engine is out of reach,
 * those who watch are told at once, and the next sign of life is asked for. */
void cw_docker_out_of_reach(struct docker *docker, const struct cw_err *http_err);

/* ---- docker_inspect.c ---- */

/* One GET /containers/{id}/json. fn is a cw_http_fn. id must have been checked. */
struct cw_http_call *cw_docker_send_inspect(struct docker *docker, const char *id,
                                            int64_t timeout_ms, cw_http_fn *fn, void *arg);

/* ---- docker_wrap.c ---- */

/* A fresh one; "" when there is no randomness to be had. */
void cw_docker_probe_token(char ret_token[33]);
/* One GET /images/{name}/json; NULL: the name is none. fn is a cw_http_fn. */
struct cw_http_call *cw_docker_send_image_inspect(struct docker *docker, const char *image,
                                                  int64_t timeout_ms, cw_http_fn *fn, void *arg);
/* The create request with the probe into *out; what is wrong with the image's answer is a warning,
 * and leaves *out empty. */
void cw_docker_probe_into(struct docker *docker, const char *token, struct cw_slice body,
                          struct cw_slice image, struct cw_str *out);
/* The create failed because the probe is not on the engine's host: it is said, *probed is emptied,
 * and from now on there is none. */
bool cw_docker_probe_given_up(struct docker *docker, const struct cw_http_reply *reply,
                              struct cw_str *probed);

/* ---- docker_pull.c ---- */

struct docker_pull;

/* One who waits for an image. Embedded in its owner. */
struct docker_pull_wait {
    struct cw_link link;
    struct docker_pull *pull;
    bool unreached; /* the engine was out of reach */
    void (*fn)(struct docker_pull_wait *wait, const struct cw_err *err);
};

/* Pulls, or joins the pull of the same image that is under way. wait->fn is set by the caller and
 * called once, later, unless cw_docker_pull_leave comes first. */
void cw_docker_pull_join(struct docker *docker, const char *image, struct docker_pull_wait *wait);
/* Harmless when not waiting. A pull that nobody waits for is given up. */
void cw_docker_pull_leave(struct docker_pull_wait *wait);
