/* The ops, what comes by subscription, and the state: up when both connections are. */
#include "common/kv/redis_kv.h"

#include "common/base/err.h"
#include "common/kv/redis_kv_priv.h"

enum { CLUSTER_MAX = 128 };

/* ---- messages ---- */

static struct redis_kv *self(struct cw_kv *kv)
{
    return CW_CONTAINER_OF(kv, struct redis_kv, base);
}

static void send_channel(struct redis_kv *kv, const char *verb, const char *channel)
{
    cw_auto_str struct cw_str out;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    redis_command_key(kv, &out, verb, channel);
    if (redis_conn_ready(kv->subs) && redis_conn_has_room(kv->subs, out.n))
        redis_conn_send(kv->subs, cw_str_slice(&out), NULL);
}

static void subscribe(struct cw_kv *base, const char *channel)
{
    struct redis_kv *kv = self(base);

    redis_conn_start(kv->subs);
    send_channel(kv, "SUBSCRIBE", channel);
}

static void unsubscribe(struct cw_kv *base, const char *channel)
{
    send_channel(self(base), "UNSUBSCRIBE", channel);
}

static void on_push(void *arg, const redisReply *r)
{
    struct redis_kv *kv = arg;
    const redisReply *channel = r->element[1], *text = r->element[2];

    if (!cw_slice_is(cw_slice(r->element[0]->str, r->element[0]->len), "message") ||
        channel->type != REDIS_REPLY_STRING || text->type != REDIS_REPLY_STRING ||
        channel->len < kv->prefix.n || memcmp(channel->str, kv->prefix.p, kv->prefix.n) != 0)
        return;
    kv_message(&kv->base, cw_slice(channel->str + kv->prefix.n, channel->len - kv->prefix.n),
               cw_slice(text->str, text->len));
}

/* ---- state ---- */

static void on_calls_state(void *arg, bool ready, const char *why)
{
    struct redis_kv *kv = arg;

    if (ready && kv->subs_lost)
        return; /* up when messages come, too */
    kv_set_state(&kv->base, ready, why);
}

static void on_subscribed_answer(struct redis_wait *w, const redisReply *r)
{
    struct redis_kv *kv = CW_CONTAINER_OF(w, struct redis_kv, subscribed);

    if (r->type == REDIS_REPLY_ERROR)
        redis_conn_give_up(kv->subs, "subscribing: %.100s", r->str);
}

static void on_subscribed(struct redis_wait *w, const struct cw_err *err)
{
    struct redis_kv *kv = CW_CONTAINER_OF(w, struct redis_kv, subscribed);

    if (err || !redis_conn_ready(kv->subs))
        return;
    kv->subs_lost = false;
    if (redis_conn_ready(kv->calls))
        kv_set_state(&kv->base, true, "");
}

/* All channels anew, and a PING behind them: its answer says that they count. */
static void subscribe_all(struct redis_kv *kv)
{
    cw_auto_str struct cw_str out;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    CW_LIST_EACH (&kv->base.subs, n) {
        const struct cw_kv_sub *sub = CW_LIST_ENTRY(n, struct cw_kv_sub, link);

        if (sub->fn)
            redis_command_key(kv, &out, "SUBSCRIBE", sub->channel);
    }
    redis_command_word(&out, "PING");
    if (out.failed) {
        redis_conn_give_up(kv->subs, "too many subscriptions");
        return;
    }
    kv->subscribed = (struct redis_wait){
        .answers = 1, .on_answer = on_subscribed_answer, .on_end = on_subscribed};
    redis_conn_send(kv->subs, cw_str_slice(&out), &kv->subscribed);
}

static void on_subs_state(void *arg, bool ready, const char *why)
{
    struct redis_kv *kv = arg;

    if (ready) {
        subscribe_all(kv);
        return;
    }
    kv->subs_lost = true;
    kv_set_state(&kv->base, false, why);
}

/* ---- construction ---- */

static void redis_free(struct cw_kv *base)
{
    struct redis_kv *kv = self(base);

    redis_conn_free(kv->calls);
    redis_conn_free(kv->subs);
    kv_done(&kv->base);
    redis_shared_done(&kv->shared);
    free((void *)(uintptr_t)kv->prefix.p);
    free(kv);
}

static const struct cw_kv_ops OPS = {
    .name = "redis",
    .put = redis_put,
    .add = redis_add,
    .get = redis_get,
    .list = redis_list,
    .remove = redis_remove,
    .trim = redis_trim,
    .publish = redis_publish,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .free = redis_free,
};

struct cw_kv *cw_redis_kv_new(struct cw_loop *loop, const struct cw_redis_conf *conf,
                              struct cw_err *err)
{
    struct redis_kv *kv = cw_alloc(sizeof(*kv));
    cw_auto_str struct cw_str prefix;

    cw_str_init(&prefix, CLUSTER_MAX);
    kv_init(&kv->base, &OPS, loop);
    cw_str_addf(&prefix, "cw:%s:", conf->cluster);
    kv->shared.loop = loop;
    if (prefix.failed || redis_shared_set(&kv->shared, conf, err) != 0) {
        if (prefix.failed)
            (void)cw_fail(err, CW_INVALID, "a cluster's name of over %d bytes", CLUSTER_MAX - 4);
        redis_shared_done(&kv->shared);
        free(kv);
        return NULL;
    }
    kv->prefix.n = prefix.n;
    kv->prefix.p = cw_str_steal(&prefix);
    kv->calls = redis_conn_new(
        &(struct redis_conn_conf){.shared = &kv->shared, .on_state = on_calls_state, .arg = kv});
    kv->subs = redis_conn_new(&(struct redis_conn_conf){
        .shared = &kv->shared, .on_state = on_subs_state, .on_push = on_push, .arg = kv});
    redis_conn_start(kv->calls);
    return &kv->base;
}
