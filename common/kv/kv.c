/* The part of a kv that is the same for all: limits, callbacks in a turn of their own, messages to
 * their subscribers, and who is told when it goes down. */
#include "common/kv/kv.h"

#include <stdio.h>

#include "common/kv/kv_priv.h"

enum {
    MESSAGES_MAX_BYTES = 16 << 20, /* not handed out yet */
    LIST_MAX = 65536,
};

struct message {
    struct cw_link link;
    size_t channel_n, n;
    char text[]; /* channel, then message */
};

/* ---- due callbacks ---- */

static void call_back(struct cw_kv_call *call)
{
    const struct cw_err *err = call->err.code == CW_OK ? NULL : &call->err;

    if (call->done)
        call->done(call->arg, err);
    else if (call->hashes)
        call->hashes(call->arg, err ? NULL : call->found, err ? 0 : call->count, err);
    else if (call->keys)
        call->keys(call->arg, err ? NULL : call->names, err ? 0 : call->count, err);
}

static void hand_out(struct cw_kv *kv, const struct message *m)
{
    struct cw_slice channel = cw_slice(m->text, m->channel_n);

    CW_LIST_EACH (&kv->subs, n) {
        struct cw_kv_sub *sub = CW_LIST_ENTRY(n, struct cw_kv_sub, link);

        if (sub->fn && cw_slice_is(channel, sub->channel))
            sub->fn(sub->arg, cw_slice(m->text + m->channel_n, m->n));
    }
}

/* Ended subscriptions leave the list here only, so that whoever walks it is not surprised. */
static void free_ended_subs(struct cw_kv *kv)
{
    CW_LIST_EACH (&kv->subs, n) {
        struct cw_kv_sub *sub = CW_LIST_ENTRY(n, struct cw_kv_sub, link);

        if (sub->fn)
            continue;
        cw_list_remove(&kv->subs, &sub->link);
        free(sub->channel);
        free(sub);
    }
}

/* The one who is told may end any watch, so each search begins anew. */
static bool tell_one(struct cw_kv *kv)
{
    if (!kv->known)
        return false;
    CW_LIST_EACH (&kv->watches, n) {
        struct cw_kv_watch *w = CW_LIST_ENTRY(n, struct cw_kv_watch, link);

        if (w->told && w->was_up == kv->up)
            continue;
        w->told = true;
        w->was_up = kv->up;
        w->fn(w->arg, kv->up, kv->why);
        return true;
    }
    return false;
}

static void deliver(void *arg)
{
    struct cw_kv *kv = arg;
    size_t calls = kv->finished.count, messages = kv->messages.count;

    while (tell_one(kv))
        ;
    for (; calls; calls--) {
        struct cw_kv_call *call =
            CW_LIST_ENTRY(cw_list_pop_front(&kv->finished), struct cw_kv_call, link);

        call_back(call);
        kv_call_free(call);
    }
    for (; messages; messages--) {
        struct message *m = CW_LIST_ENTRY(cw_list_pop_front(&kv->messages), struct message, link);

        kv->message_bytes -= m->channel_n + m->n;
        hand_out(kv, m);
        free(m);
    }
    free_ended_subs(kv);
}

/* ---- for implementations ---- */

void kv_init(struct cw_kv *kv, const struct cw_kv_ops *ops, struct cw_loop *loop)
{
    kv->ops = ops;
    kv->loop = loop;
    kv->known = kv->up = false;
    (void)snprintf(kv->why, sizeof(kv->why), "not connected yet");
    cw_list_init(&kv->watches);
    cw_list_init(&kv->subs);
    cw_list_init(&kv->finished);
    cw_list_init(&kv->messages);
    kv->message_bytes = 0;
    cw_defer_init(&kv->deliver, loop, deliver, kv);
}

void kv_done(struct cw_kv *kv)
{
    struct cw_link *n;

    cw_defer_cancel(&kv->deliver);
    free_ended_subs(kv);
    while ((n = cw_list_pop_front(&kv->finished)))
        kv_call_free(CW_LIST_ENTRY(n, struct cw_kv_call, link));
    while ((n = cw_list_pop_front(&kv->messages)))
        free(CW_LIST_ENTRY(n, struct message, link));
}

void kv_call_free(struct cw_kv_call *call)
{
    cw_arena_done(&call->arena);
    free(call->extra);
    free(call);
}

void kv_call_end(struct cw_kv_call *call, const struct cw_err *err)
{
    if (err)
        call->err = *err;
    cw_list_push_back(&call->kv->finished, &call->link);
    cw_defer_post(&call->kv->deliver);
}

bool kv_is_subscribed(const struct cw_kv *kv, struct cw_slice channel)
{
    CW_LIST_EACH (&kv->subs, n) {
        const struct cw_kv_sub *sub = CW_LIST_ENTRY(n, struct cw_kv_sub, link);

        if (sub->fn && cw_slice_is(channel, sub->channel))
            return true;
    }
    return false;
}

void kv_message(struct cw_kv *kv, struct cw_slice channel, struct cw_slice text)
{
    struct message *m;

    if (!kv_is_subscribed(kv, channel) || text.n > CW_KV_HASH_MAX_BYTES ||
        kv->message_bytes + channel.n + text.n > MESSAGES_MAX_BYTES)
        return;
    m = cw_alloc(sizeof(*m) + channel.n + text.n);
    m->channel_n = channel.n;
    m->n = text.n;
    memcpy(m->text, channel.p, channel.n);
    if (text.n)
        memcpy(m->text + channel.n, text.p, text.n);
    kv->message_bytes += channel.n + text.n;
    cw_list_push_back(&kv->messages, &m->link);
    cw_defer_post(&kv->deliver);
}

void kv_set_state(struct cw_kv *kv, bool up, const char *why)
{
    kv->known = true;
    kv->up = up;
    (void)snprintf(kv->why, sizeof(kv->why), "%s", why);
    cw_defer_post(&kv->deliver);
}

/* ---- calls ---- */

static struct cw_kv_call *begin(struct cw_kv *kv, void *arg, struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = cw_alloc(sizeof(*call));

    call->kv = kv;
    call->arg = arg;
    cw_arena_init(&call->arena);
    if (ret_call)
        *ret_call = call;
    return call;
}

/* Whether it may be asked for; else the call has ended. */
static bool may_go(struct cw_kv_call *call, bool fits, const char *what, const char *name)
{
    struct cw_err err;

    if (!fits || strlen(name) > CW_KV_KEY_MAX) {
        (void)cw_fail(&err, CW_TOO_LARGE, "%s: %s %.80s: over the limits of one call",
                      call->kv->ops->name, what, name);
        kv_call_end(call, &err);
        return false;
    }
    if (!call->kv->up) {
        (void)cw_fail_retriable(&err, CW_UNAVAILABLE, "%s: %s", call->kv->ops->name, call->kv->why);
        kv_call_end(call, &err);
        return false;
    }
    return true;
}

static bool put_fits(const struct cw_kv_put *put)
{
    size_t bytes = 0;

    if (put->count == 0 || put->count > CW_KV_FIELDS_MAX)
        return false;
    for (size_t i = 0; i < put->count; i++) {
        if (put->fields[i].name.n > CW_KV_KEY_MAX)
            return false;
        bytes += put->fields[i].name.n + put->fields[i].value.n;
    }
    return bytes <= CW_KV_HASH_MAX_BYTES && (!put->index || strlen(put->index) <= CW_KV_KEY_MAX);
}

void cw_kv_put(struct cw_kv *kv, const struct cw_kv_put *put, cw_kv_done_fn *fn, void *arg,
               struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = begin(kv, arg, ret_call);

    call->done = fn;
    if (may_go(call, put_fits(put), "put", put->key))
        kv->ops->put(kv, put, call);
}

static bool add_fits(const struct cw_kv_add *add)
{
    size_t bytes = 0;

    if (add->count == 0 || add->count > CW_KV_FIELDS_MAX)
        return false;
    for (size_t i = 0; i < add->count; i++) {
        if (add->fields[i].name.n > CW_KV_KEY_MAX)
            return false;
        bytes += add->fields[i].name.n;
    }
    return bytes <= CW_KV_HASH_MAX_BYTES;
}

void cw_kv_add(struct cw_kv *kv, const struct cw_kv_add *add, cw_kv_done_fn *fn, void *arg,
               struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = begin(kv, arg, ret_call);

    call->done = fn;
    if (may_go(call, add_fits(add), "add to", add->key))
        kv->ops->add(kv, add, call);
}

static bool keys_fit(const char *const *keys, size_t count)
{
    if (count == 0 || count > CW_KV_KEYS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strlen(keys[i]) > CW_KV_KEY_MAX)
            return false;
    return true;
}

void cw_kv_get(struct cw_kv *kv, const char *const *keys, size_t count, cw_kv_hashes_fn *fn,
               void *arg, struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = begin(kv, arg, ret_call);

    call->hashes = fn;
    if (may_go(call, keys_fit(keys, count), "get", count ? keys[0] : "nothing"))
        kv->ops->get(kv, keys, count, call);
}

void cw_kv_list(struct cw_kv *kv, const char *index, size_t max, cw_kv_keys_fn *fn, void *arg,
                struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = begin(kv, arg, ret_call);

    call->keys = fn;
    if (may_go(call, max > 0 && max <= LIST_MAX, "list", index))
        kv->ops->list(kv, index, max, call);
}

void cw_kv_remove(struct cw_kv *kv, const char *key, const char *index, cw_kv_done_fn *fn,
                  void *arg, struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = begin(kv, arg, ret_call);

    call->done = fn;
    if (may_go(call, !index || strlen(index) <= CW_KV_KEY_MAX, "remove", key))
        kv->ops->remove(kv, key, index, call);
}

static bool names_fit(const struct cw_slice *names, size_t count)
{
    size_t bytes = 0;

    if (count == 0 || count > CW_KV_FIELDS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (names[i].n > CW_KV_KEY_MAX)
            return false;
        bytes += names[i].n;
    }
    return bytes <= CW_KV_HASH_MAX_BYTES;
}

void cw_kv_trim(struct cw_kv *kv, const char *key, const struct cw_slice *names, size_t count,
                cw_kv_done_fn *fn, void *arg, struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = begin(kv, arg, ret_call);

    call->done = fn;
    if (may_go(call, names_fit(names, count), "trim", key))
        kv->ops->trim(kv, key, names, count, call);
}

void cw_kv_publish(struct cw_kv *kv, const char *channel, struct cw_slice message,
                   cw_kv_done_fn *fn, void *arg, struct cw_kv_call **ret_call)
{
    struct cw_kv_call *call = begin(kv, arg, ret_call);

    call->done = fn;
    if (may_go(call, message.n <= CW_KV_HASH_MAX_BYTES, "publish to", channel))
        kv->ops->publish(kv, channel, message, call);
}

void cw_kv_cancel(struct cw_kv_call *call)
{
    call->done = NULL;
    call->hashes = NULL;
    call->keys = NULL;
}

/* ---- subscriptions, watches ---- */

struct cw_kv_sub *cw_kv_subscribe(struct cw_kv *kv, const char *channel, cw_kv_message_fn *fn,
                                  void *arg)
{
    bool first = !kv_is_subscribed(kv, cw_slice_of(channel));
    struct cw_kv_sub *sub = cw_alloc(sizeof(*sub));

    sub->kv = kv;
    sub->channel = cw_strdup(channel);
    sub->fn = fn;
    sub->arg = arg;
    cw_list_push_back(&kv->subs, &sub->link);
    if (first)
        kv->ops->subscribe(kv, channel);
    return sub;
}

void cw_kv_unsubscribe(struct cw_kv_sub *sub)
{
    if (!sub)
        return;
    sub->fn = NULL;
    if (!kv_is_subscribed(sub->kv, cw_slice_of(sub->channel)))
        sub->kv->ops->unsubscribe(sub->kv, sub->channel);
    cw_defer_post(&sub->kv->deliver);
}

void cw_kv_watch(struct cw_kv *kv, struct cw_kv_watch *w, cw_kv_state_fn *fn, void *arg)
{
    *w = (struct cw_kv_watch){.kv = kv, .fn = fn, .arg = arg};
    cw_list_push_back(&kv->watches, &w->link);
    cw_defer_post(&kv->deliver);
}

void cw_kv_unwatch(struct cw_kv_watch *w)
{
    if (!cw_link_on_list(&w->link))
        return;
    cw_list_remove(&w->kv->watches, &w->link);
}

bool cw_kv_up(const struct cw_kv *kv)
{
    return kv->up;
}

const char *cw_kv_name(const struct cw_kv *kv)
{
    return kv->ops->name;
}

void cw_kv_free(struct cw_kv *kv)
{
    if (kv)
        kv->ops->free(kv);
}
