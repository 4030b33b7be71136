/* common/kv/kv_priv.h -- what all implementations of kv.h share: calls and their ends, messages,
 * the state.
 *
 * Thread: loop. */
#pragma once

#include "common/base/arena.h"
#include "common/kv/kv.h"

enum { KV_WHY_MAX = 200 };

struct cw_kv {
    const struct cw_kv_ops *ops;
    struct cw_loop *loop;
    bool known; /* whether it is up: nobody is told before */
    bool up;
    char why[KV_WHY_MAX];    /* of being down */
    struct cw_list watches;  /* struct cw_kv_watch */
    struct cw_list subs;     /* struct cw_kv_sub */
    struct cw_list finished; /* struct cw_kv_call: their callbacks are due */
    struct cw_list messages; /* struct kv_message, likewise */
    size_t message_bytes;
    struct cw_defer deliver;
};

struct cw_kv_call {
    struct cw_link link; /* kv->finished, or the implementation's */
    struct cw_kv *kv;
    cw_kv_done_fn *done; /* one of these, or none when it was cancelled */
    cw_kv_hashes_fn *hashes;
    cw_kv_keys_fn *keys;
    void *arg;
    struct cw_err err;     /* code CW_OK: none */
    struct cw_arena arena; /* of the result */
    struct cw_kv_hash *found;
    struct cw_slice *names;
    size_t count; /* of found, or of names */
    void *extra;  /* the implementation's; freed with the call */
};

struct cw_kv_sub {
    struct cw_link link;
    struct cw_kv *kv;
    char *channel;
    cw_kv_message_fn *fn; /* NULL: ended, to be freed */
    void *arg;
};

/* Down, with no reason yet. */
void kv_init(struct cw_kv *kv, const struct cw_kv_ops *ops, struct cw_loop *loop);
/* Drops what is due. */
void kv_done(struct cw_kv *kv);
/* The callback is due. err NULL: it was done, and its result is in call. */
void kv_call_end(struct cw_kv_call *call, const struct cw_err *err);
void kv_call_free(struct cw_kv_call *call);
/* For those who subscribed to the channel. */
void kv_message(struct cw_kv *kv, struct cw_slice channel, struct cw_slice text);
/* why: of being down; one line. Telling the same again changes only the reason. */
void kv_set_state(struct cw_kv *kv, bool up, const char *why);
bool kv_is_subscribed(const struct cw_kv *kv, struct cw_slice channel);
