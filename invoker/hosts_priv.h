/* invoker/hosts_priv.h -- what hosts.c (the exchange) and hosts_peers.c (who is known) share.
 *
 * Thread: loop. */
#pragma once

#include "common/base/arena.h"
#include "common/base/list.h"
#include "invoker/host_state.h"
#include "invoker/hosts.h"

enum {
    PEER_MEMBERS_MAX = 4096, /* INV_PLACEMENT_MAX_HOSTS */
    PEER_FORWARDS = 64,
    PEER_FORGET_US = 60 * 1000 * 1000, /* nothing behind a key in the index for so long */
};

/* An invoker whose key is in the index. */
struct peer_member {
    uint64_t id;
    /* Since then its state is not there; 0: it is, or nobody looked. Where some are drawn it is no
     * candidate until PEER_FORGET_US later. */
    int64_t missing_us;
    bool complained; /* of what it says, until it makes sense again */
    bool warm_told;  /* likewise of its warm containers */
};

/* One whose state was read. */
struct peer {
    struct cw_link link;   /* by id */
    struct cw_arena arena; /* texts of state */
    struct inv_host_state state;
    int64_t changed_us;
    bool alive;
    /* It has said something new since it is known, or since kv is back: what lies there may be of
     * one that was killed just before. */
    bool heard;
    bool awaited; /* it lived when kv went away, and has said nothing new since that is back */
    bool lingers; /* it is not in the index, and nobody has said that it left */
    struct inv_warm_pair *warm; /* rising */
    size_t warm_count;
    uint64_t forwarded[PEER_FORWARDS]; /* pairs, since it published */
};

struct peers {
    uint64_t self, seed;
    size_t limit; /* are read */
    struct peer_member *members;
    size_t member_count;
    uint64_t *wanted; /* those to be read, rising */
    size_t wanted_count;
    uint64_t *pinned; /* somebody waits for them: they are read whoever is drawn */
    size_t pinned_count;
    uint64_t epoch;       /* of the lot */
    struct cw_list known; /* struct peer */
};

void peers_init(struct peers *p, uint64_t self, uint64_t seed, size_t limit);
void peers_done(struct peers *p);
/* The index has been read; keys "host:<number>", others are skipped, and those after
 * PEER_MEMBERS_MAX. gone is asked of who is known and is not in it any more: true, and it is freed,
 * or it lingers, and is asked of the next time, too. */
void peers_set_members(struct peers *p, const struct cw_slice *keys, size_t count,
                       bool (*gone)(void *arg, const struct peer *peer), void *arg);
/* Whom to read now. true: others than before. */
bool peers_draw(struct peers *p, int64_t now_us);
/* From the next time on. The peer need not be known. */
void peers_pin(struct peers *p, uint64_t id);
void peers_unpin(struct peers *p, uint64_t id);
struct peer_member *peers_member(const struct peers *p, uint64_t id);
/* There is nothing behind the key of this one: others are drawn in its place. */
void peers_miss(struct peers *p, struct peer_member *m, int64_t now_us);
struct peer *peers_find(const struct peers *p, uint64_t id);
/* The peer, made when it is not known. */
struct peer *peers_take(struct peers *p, uint64_t id);
void peers_drop(struct peers *p, struct peer *peer);

/* ---- hosts.c ---- */

struct peers *hosts_peers(struct inv_hosts *h);
const struct cw_kv *hosts_kv(const struct inv_hosts *h);
/* Since it said something new. */
int64_t hosts_age_us(const struct inv_hosts *h, const struct peer *p);
