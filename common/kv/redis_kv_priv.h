/* common/kv/redis_kv_priv.h -- a kv in Redis: its calls (redis_calls.c), and the rest (redis_kv.c).
 *
 * Thread: loop. */
#pragma once

#include "common/kv/kv_priv.h"
#include "common/kv/redis_conn_priv.h"

enum { REDIS_COMMAND_MAX_BYTES = 4 << 20 };

struct redis_kv {
    struct cw_kv base;
    struct redis_shared shared;
    struct cw_slice prefix;   /* "cw:<cluster>:" */
    struct redis_conn *calls; /* connection of the calls */
    struct redis_conn *subs;  /* that of messages; started with the first subscription */
    bool subs_lost;           /* it was there, or could not be had */
    size_t under_way;
    struct redis_wait subscribed; /* a PING behind SUBSCRIBE */
};

/* ---- redis_calls.c; the ops of cw_kv_ops ---- */

void redis_put(struct cw_kv *base, const struct cw_kv_put *p, struct cw_kv_call *call);
void redis_add(struct cw_kv *base, const struct cw_kv_add *a, struct cw_kv_call *call);
void redis_get(struct cw_kv *base, const char *const *keys, size_t count, struct cw_kv_call *call);
void redis_list(struct cw_kv *base, const char *index, size_t max, struct cw_kv_call *call);
void redis_remove(struct cw_kv *base, const char *key, const char *index, struct cw_kv_call *call);
void redis_trim(struct cw_kv *base, const char *key, const struct cw_slice *names, size_t count,
                struct cw_kv_call *call);
void redis_publish(struct cw_kv *base, const char *channel, struct cw_slice message,
                   struct cw_kv_call *call);

/* A command of one word, and one about a key, or channel, which gets our prefix. */
void redis_command_word(struct cw_str *out, const char *verb);
void redis_command_key(const struct redis_kv *kv, struct cw_str *out, const char *verb,
                       const char *key);
