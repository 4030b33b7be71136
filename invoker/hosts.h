/* invoker/hosts.h -- the invokers of a cluster see each other through kv (design 5).
 *
 * Each publishes its state each second, and soon after it has changed, and reads that of its peers:
 * of all of them, or where there are many of some that are drawn by lot (and drawn anew, a quarter
 * every few seconds) and of its neighbours by number. A peer is dead when nothing it says has
 * changed for dead_ms of our own monotonic clock: no wall clock matters. Without kv, or while it is
 * down, there is only this host; when it is back, those who lived before have dead_ms again. What
 * peers say may be anything: what makes no sense is ignored, with one line.
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "invoker/placement/host_view.h"

struct cw_http_exchange;
struct cw_kv;
struct cw_loop;
struct cw_metrics;
struct inv_hosts;

struct inv_hosts_conf {
    struct cw_loop *loop;
    struct cw_kv *kv; /* NULL: there is only this host */
    struct cw_metrics *metrics;
    uint64_t id;          /* instance number */
    const char *topic;    /* where forwarded activations are taken; copied */
    const char *instance; /* JSON of the instance id; copied */
    size_t peers;         /* so many are read; 1..1000 */
    int64_t publish_ms;   /* 0: 1000 */
    int64_t dead_ms;      /* 0: 3000 */
    uint64_t boot;        /* this process (common/base/boot.h); also the lot's seed */
    /* This host's figures of this moment; ret is zeroed, its id set. */
    void (*fill)(void *arg, struct inv_host_view *ret);
    /* Pairs of idle warm containers (inv_pool_idle_pairs); NULL: none are told. */
    size_t (*idle_pairs)(void *arg, uint64_t *pairs, size_t max);
    /* A peer came, died or left, or kv went up or down. May be NULL. */
    void (*on_change)(void *arg);
    void *arg;
};

/* conf is borrowed for the call. */
struct inv_hosts *inv_hosts_new(const struct inv_hosts_conf *conf);
/* The id is ours: publishes and reads from now on, whenever kv is up. */
void inv_hosts_start(struct inv_hosts *h);
/* Says nothing: the others see it as dead after a while, see inv_hosts_leave. Accepts NULL. */
void inv_hosts_free(struct inv_hosts *h);
/* The figures have changed: published within a quarter of publish_ms. */
void inv_hosts_changed(struct inv_hosts *h);
/* Tells the others that it is going, and publishes no more. Accepts NULL. */
void inv_hosts_leave(struct inv_hosts *h);

/* As a policy wants them: this host first, then the peers that are known, by number; dead ones are
 * marked. pair: of what is to be placed (inv_pool_pair), for `warm`; of this host `warm`,
 * `busy` and `waiting` are not filled, and it takes actions of both sets: where else its own
 * controllers send, they know. Returns how many, at most max. */
size_t inv_hosts_view(struct inv_hosts *h, uint64_t pair, struct inv_host_view *ret, size_t max);

struct inv_peer {
    const char *topic, *instance; /* borrowed until the loop turns */
    uint64_t boot;                /* a number of its process */
    bool alive;
};
/* false: there is no such peer. */
bool inv_hosts_find(const struct inv_hosts *h, uint64_t id, struct inv_peer *ret);
/* Counts for the peer until it publishes again. */
void inv_hosts_forwarded(struct inv_hosts *h, uint64_t id, uint64_t pair, uint32_t cpu_millis,
                         uint64_t memory_bytes);
/* As long as somebody waits for the peer, known or not: it is read even where there are many and it
 * is not drawn. That it left or died is told by on_change, and inv_hosts_find. Each pin is ended
 * once. */
void inv_hosts_pin(struct inv_hosts *h, uint64_t id);
void inv_hosts_unpin(struct inv_hosts *h, uint64_t id);
/* Where this host stands by number (from 0) among all that are known to be there, the dead of the
 * last minute included; how many those are. */
size_t inv_hosts_rank(const struct inv_hosts *h, size_t *ret_count);
/* Peers that are alive. */
size_t inv_hosts_alive(const struct inv_hosts *h);

/* GET /hosts: {"hosts":[{"invoker","state",…}…],"members":N,"kv":…,"up":…}; an
 * inv_admin_route.answer with the hosts as arg. */
void inv_hosts_answer(void *h, struct cw_http_exchange *ex);
/* The same text. */
void inv_hosts_render(struct inv_hosts *h, struct cw_str *out);
