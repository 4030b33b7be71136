/* common/kv/kv.h -- what the daemons of a cluster tell each other: hashes that expire, counters,
 * messages. Redis (redis_kv.h) or a table of this process (local_kv.h).
 *
 * It is a cache and a meeting place, not a store: nothing in it may be needed to keep an
 * activation. All names are of one cluster: callers say "host:0", Redis sees "cw:<cluster>:host:0".
 *
 * Down is a state, not a wait: while the server cannot be used every call ends at once with
 * CW_UNAVAILABLE, watches are told with the reason, and the connection is tried again by itself.
 * Nothing here retries a call. Errors:
 *   CW_UNAVAILABLE (retriable)  it was not done: the server is away, refuses for now, or too much
 *                               is under way
 *   CW_TIMEOUT (retriable)      it was sent, and the answer did not come in time or the connection
 *                               was lost: it may have been done
 *   CW_INVALID                  the server refused it: a key of another type, a field that is no
 *                               number, no permission
 *   CW_TOO_LARGE                over a limit below, or the answer was
 * What comes out was written by others and may be anything: lengths are bounded, contents are not
 * checked.
 *
 * Thread: loop. Callbacks never run inside the call that requested them, and exactly once unless
 * cancelled. No callback may free the kv. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/str.h"
#include "common/loop/loop.h"

struct cw_kv;
struct cw_kv_call; /* under way; owned by the kv */
struct cw_kv_sub;

enum {
    CW_KV_KEY_MAX = 1024, /* bytes; also of indexes, channels, names of fields */
    CW_KV_FIELDS_MAX = 4096,
    CW_KV_KEYS_MAX = 2048,          /* of one cw_kv_get */
    CW_KV_HASH_MAX_BYTES = 1 << 18, /* names and values of one hash together, or one message */
};

struct cw_kv_field {
    struct cw_slice name, value;
};

/* Borrowed for the call that takes it. */
struct cw_kv_put {
    const char *key;
    const char *index; /* a set that cw_kv_list reads; NULL: none */
    const struct cw_kv_field *fields;
    size_t count;      /* 1..CW_KV_FIELDS_MAX */
    int64_t expire_ms; /* 0: never */
};

struct cw_kv_more {
    struct cw_slice name;
    int64_t by;
};

struct cw_kv_add {
    const char *key;
    const struct cw_kv_more *fields;
    size_t count;      /* 1..CW_KV_FIELDS_MAX */
    int64_t expire_ms; /* from now; 0: leaves it as it is */
};

struct cw_kv_hash {
    bool found;
    const char *problem; /* why it cannot be read (a key of another type); NULL: none */
    const struct cw_kv_field *fields; /* in no order */
    size_t count;
};

/* err NULL: done. */
typedef void cw_kv_done_fn(void *arg, const struct cw_err *err);
/* In the order of the keys asked for; NULL with err. Borrowed for the callback. */
typedef void cw_kv_hashes_fn(void *arg, const struct cw_kv_hash *hashes, size_t count,
                             const struct cw_err *err);
/* In no order; NULL with err. Borrowed for the callback. */
typedef void cw_kv_keys_fn(void *arg, const struct cw_slice *keys, size_t count,
                           const struct cw_err *err);
typedef void cw_kv_message_fn(void *arg, struct cw_slice message);
/* why: of being down, "" when up. */
typedef void cw_kv_state_fn(void *arg, bool up, const char *why);

/* Replaces the whole hash, and says when it expires; others see the old one or the new one. The
 * key is then in the index until cw_kv_remove, also when the hash has expired. */
void cw_kv_put(struct cw_kv *kv, const struct cw_kv_put *put, cw_kv_done_fn *fn, void *arg,
               struct cw_kv_call **ret_call);
/* Adds to numbers (0 when absent) of a hash, each atomically; one round trip. A field that is no
 * number: CW_INVALID, and the others are added to. */
void cw_kv_add(struct cw_kv *kv, const struct cw_kv_add *add, cw_kv_done_fn *fn, void *arg,
               struct cw_kv_call **ret_call);
/* 1..CW_KV_KEYS_MAX keys in one round trip. */
void cw_kv_get(struct cw_kv *kv, const char *const *keys, size_t count, cw_kv_hashes_fn *fn,
               void *arg, struct cw_kv_call **ret_call);
/* The keys in an index; their hashes may have expired. More than max (1..65536): CW_TOO_LARGE. */
void cw_kv_list(struct cw_kv *kv, const char *index, size_t max, cw_kv_keys_fn *fn, void *arg,
                struct cw_kv_call **ret_call);
/* The hash, and out of the index (NULL: none). That it is not there is success. */
void cw_kv_remove(struct cw_kv *kv, const char *key, const char *index, cw_kv_done_fn *fn,
                  void *arg, struct cw_kv_call **ret_call);
/* Fields (1..CW_KV_FIELDS_MAX) out of a hash; the expiry stays. That they are not there is success.
 */
void cw_kv_trim(struct cw_kv *kv, const char *key, const struct cw_slice *names, size_t count,
                cw_kv_done_fn *fn, void *arg, struct cw_kv_call **ret_call);
/* To all who are subscribed now, in the order of publishing; nobody keeps it. */
void cw_kv_publish(struct cw_kv *kv, const char *channel, struct cw_slice message,
                   cw_kv_done_fn *fn, void *arg, struct cw_kv_call **ret_call);
/* fn will not be called. What was sent may still be done. ret_call of those above may be NULL. */
void cw_kv_cancel(struct cw_kv_call *call);

/* Until it is ended. What is published while it is down is lost: a watch tells of it. */
struct cw_kv_sub *cw_kv_subscribe(struct cw_kv *kv, const char *channel, cw_kv_message_fn *fn,
                                  void *arg);
/* fn will not be called any more. Accepts NULL. */
void cw_kv_unsubscribe(struct cw_kv_sub *sub);

/* Embedded in its owner; told how things are as soon as that is
 * known, and of each change. */
struct cw_kv_watch {
    struct cw_link link;
    struct cw_kv *kv;
    cw_kv_state_fn *fn;
    void *arg;
    bool told, was_up;
};
void cw_kv_watch(struct cw_kv *kv, struct cw_kv_watch *w, cw_kv_state_fn *fn, void *arg);
/* Harmless when it does not watch. */
void cw_kv_unwatch(struct cw_kv_watch *w);
bool cw_kv_up(const struct cw_kv *kv);
/* "redis", "local" */
const char *cw_kv_name(const struct cw_kv *kv);

/* Calls under way are dropped without their callbacks; subscriptions and watches must be gone.
 * Accepts NULL. */
void cw_kv_free(struct cw_kv *kv);

/* ---- for implementations ---- */

/* All must. Arguments are within the limits, the kv is up (but for subscribe, unsubscribe, free);
 * each call is ended with kv_call_end (kv_priv.h). */
struct cw_kv_ops {
    const char *name;
    void (*put)(struct cw_kv *kv, const struct cw_kv_put *put, struct cw_kv_call *call);
    void (*add)(struct cw_kv *kv, const struct cw_kv_add *add, struct cw_kv_call *call);
    void (*get)(struct cw_kv *kv, const char *const *keys, size_t count, struct cw_kv_call *call);
    void (*list)(struct cw_kv *kv, const char *index, size_t max, struct cw_kv_call *call);
    void (*remove)(struct cw_kv *kv, const char *key, const char *index, struct cw_kv_call *call);
    void (*trim)(struct cw_kv *kv, const char *key, const struct cw_slice *names, size_t count,
                 struct cw_kv_call *call);
    void (*publish)(struct cw_kv *kv, const char *channel, struct cw_slice message,
                    struct cw_kv_call *call);
    /* The first subscription to the channel, and the end of the last. */
    void (*subscribe)(struct cw_kv *kv, const char *channel);
    void (*unsubscribe)(struct cw_kv *kv, const char *channel);
    void (*free)(struct cw_kv *kv);
};
