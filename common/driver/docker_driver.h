/* common/driver/docker_driver.h -- struct cw_driver over the Docker Engine API on its Unix socket,
 * or TCP.
 *
 * No docker or runc binaries. API version is negotiated by GET /version (engine 20.10 = API 1.41;
 * upper bound 1.51, engine 28); before check() the engine's own default version is spoken. A
 * container that already has a new one's name is a left-over of an earlier process: it is removed,
 * once. Pulls carry the credentials of Docker's config.json. Source: docs.docker.com/engine/api;
 * limits and timeouts as openwhisk container.md 7. Thread: loop. */
#pragma once

#include "common/driver/container_driver.h"

struct cw_http;
struct cw_loop;
struct cw_metrics;

/* Freezes containers without the engine, which does not learn of it. All NULL: the engine does it.
 */
struct cw_docker_freezer {
    /* 1: frozen; 0: under way, call again to see; -1: out of reach, ask the engine. */
    int (*freeze)(void *arg, const char *id);
    /* 1: thawed; 0: freeze has not frozen it; -1: cannot be thawed. */
    int (*thaw)(void *arg, const char *id, struct cw_err *err);
    /* It is to be removed: thaws it if it is frozen, by whomever. */
    void (*release)(void *arg, const char *id);
    void *arg;
};

struct cw_docker_conf {
    const char
        *engine; /* "/var/run/docker.sock", "unix:///path", or "tcp://host[:port]" without TLS */
    unsigned parallel_creates; /* creates under way at once, further ones queue; 0 = unlimited
                                  (stock: 10). Of many that begin together the first four go ahead
                                  until one of them has ended. */
    int64_t run_ms, rm_ms, pull_ms, ps_ms, inspect_ms, pause_ms, unpause_ms, update_ms,
        version_ms;      /* 0: stock's default */
    int64_t patience_ms; /* a create goes on for so long while the engine is out of reach (it is
                            restarted, perhaps); 0: not at all */
    struct cw_metrics *metrics; /* may be NULL: invoker_docker.<cmd>_{start,finish,error} of
                                   openwhisk invoker.md 6 */
    const char *config_folder;  /* the one with Docker's config.json; NULL: no credentials */
    /* What is wrong with that file, or with the probe; may be NULL. */
    void (*warn)(void *arg, const char *text);
    void *warn_arg;
    /* For containers that want a probe: the program on the engine's host. When it is not there, it
     * is said once, and containers go without from then on. NULL: there is none. */
    const char *probe_path;
    uint16_t probe_port;
    /* How often the kernel has killed a process of this container for memory, -1: unknown; not to
     * wait. NULL: only the engine is asked. */
    int64_t (*oom_kills)(void *arg, const char *id);
    void *oom_kills_arg;
    struct cw_docker_freezer freezer;
    /* Of containers that are watched (cw_driver_ops.watch), and of what is asked; for networks, of
     * any container. NULL: nobody wants to know. */
    cw_moment_fn *on_moment;
    void *on_moment_arg;
    /* Label org.cwhisk.cluster of all containers. A container of another cluster that has a name we
     * need is not removed. NULL: no label, no such question. */
    const char *cluster;
    const char *const *labels;    /* name, value, name, value... of all containers; NULL: none */
    const char *const *run_flags; /* docker-run flags of all containers as docker_flags.h takes
                                     them; NULL: none */
};

/* http is borrowed and must outlive the driver. */
struct cw_driver *cw_docker_driver_new(struct cw_loop *loop, struct cw_http *http,
                                       const struct cw_docker_conf *conf,
                                       struct cw_err *err) CW_MUST_CHECK;
