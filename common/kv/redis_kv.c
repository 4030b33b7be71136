/* Each call is one pipeline, one redis_wait, and one struct redis_call that turns answers into the
 * call's result. What is to be whole (replace and expire, add and expire) is in MULTI and EXEC. */
#include "common/kv/redis_kv.h"

#include <inttypes.h>
#include <stdio.h>

#include <openssl/ssl.h>

#include "common/base/err.h"
#include "common/kv/kv_priv.h"
#include "common/kv/redis_conn_priv.h"
#include "common/loop/worker.h"

enum {
    CALLS_MAX = 4096, /* under way */
    COMMAND_MAX_BYTES = 4 << 20,
    RESULT_MAX_BYTES = 16 << 20, /* of one call */
    CLUSTER_MAX = 128,
    SERVERS_MAX = 16,
    DEFAULT_CONNECT_MS = 2000,
    DEFAULT_ANSWER_MS = 1000,
    DEFAULT_IDLE_MS = 5000,
    DEFAULT_RETRY_MS = 100,
    DEFAULT_RETRY_MAX_MS = 5000,
};

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

struct redis_call {
    struct redis_wait wait;
    struct redis_kv *kv;
    struct cw_kv_call *call;
    struct cw_err err;   /* the first that the server said; code CW_OK: none */
    size_t seen;         /* answers */
    size_t result_bytes; /* copied */
    size_t max;          /* of a list */
};

static struct redis_kv *self(struct cw_kv *kv)
{
    return CW_CONTAINER_OF(kv, struct redis_kv, base);
}

static struct redis_call *of_wait(struct redis_wait *w)
{
    return CW_CONTAINER_OF(w, struct redis_call, wait);
}

/* ---- errors of the server ---- */

static const struct refusal {
    const char *code;
    bool retriable; /* later it may do it */
    bool useless;   /* it will do nothing for us: on to the next server */
} REFUSALS[] = {
    {"LOADING", true, true},     {"READONLY", true, true},  {"NOAUTH", true, true},
    {"MASTERDOWN", true, true},  {"MOVED", false, true},    {"CLUSTERDOWN", true, true},
    {"BUSY", true, false},       {"OOM", true, false},      {"MISCONF", true, false},
    {"NOREPLICAS", true, false}, {"TRYAGAIN", true, false}, {"CROSSSLOT", false, false},
};

static const struct refusal *find_refusal(struct cw_slice code)
{
    static const struct refusal OTHER = {"", false, false};

    for (size_t i = 0; i < CW_ARRAY_LEN(REFUSALS); i++)
        if (cw_slice_is(code, REFUSALS[i].code))
            return &REFUSALS[i];
    return &OTHER;
}

/* The first error of a call is the one that explains it (EXECABORT comes last). */
static void note_error(struct redis_call *c, const redisReply *r)
{
    const struct refusal *refusal;

    if (r->type != REDIS_REPLY_ERROR)
        return;
    refusal = find_refusal(cw_slice(r->str, strcspn(r->str, " ")));
    if (refusal->useless)
        redis_conn_give_up(c->kv->calls, "%.120s", r->str);
    if (c->err.code != CW_OK)
        return;
    (void)cw_fail(&c->err, refusal->retriable ? CW_UNAVAILABLE : CW_INVALID, "redis: %.120s",
                  r->str);
    c->err.retriable = refusal->retriable;
}

static void note_wrong(struct redis_call *c, const char *what)
{
    if (c->err.code == CW_OK)
        (void)cw_fail(&c->err, CW_INVALID, "redis: %s", what);
}

/* ---- answers ---- */

static void on_end(struct redis_wait *w, const struct cw_err *err)
{
    struct redis_call *c = of_wait(w);

    c->kv->under_way--;
    if (c->err.code != CW_OK)
        err = &c->err;
    kv_call_end(c->call, err);
}

/* Of MULTI … EXEC, or of a single command without a result. */
static void on_done(struct redis_wait *w, const redisReply *r)
{
    struct redis_call *c = of_wait(w);

    note_error(c, r);
    if (r->type != REDIS_REPLY_ARRAY)
        return;
    for (size_t i = 0; i < r->elements; i++)
        note_error(c, r->element[i]);
}

static bool copy_text(struct redis_call *c, const redisReply *r, struct cw_slice *ret)
{
    if (r->type != REDIS_REPLY_STRING)
        return false;
    c->result_bytes += r->len;
    *ret = cw_slice(cw_arena_dup(&c->call->arena, cw_slice(r->str, r->len)), r->len);
    return true;
}

static const char *copy_hash(struct redis_call *c, const redisReply *r, struct cw_kv_hash *ret)
{
    size_t count = r->elements / 2, bytes = 0;
    struct cw_kv_field *fields;

    for (size_t i = 0; i < r->elements; i++)
        bytes += r->element[i]->type == REDIS_REPLY_STRING ? r->element[i]->len : 0;
    if (count > CW_KV_FIELDS_MAX || bytes > CW_KV_HASH_MAX_BYTES ||
        c->result_bytes + bytes > RESULT_MAX_BYTES)
        return "it is over the limits of one hash";
    fields = cw_arena_alloc(&c->call->arena, (count + 1) * sizeof(*fields));
    for (size_t i = 0; i < count; i++)
        if (!copy_text(c, r->element[2 * i], &fields[i].name) ||
            !copy_text(c, r->element[2 * i + 1], &fields[i].value))
            return "its fields are no strings";
    *ret = (struct cw_kv_hash){.found = count > 0, .fields = fields, .count = count};
    return NULL;
}

static void on_hash(struct redis_wait *w, const redisReply *r)
{
    struct redis_call *c = of_wait(w);
    struct cw_kv_hash *ret = &c->call->found[c->seen++];

    if (r->type == REDIS_REPLY_ARRAY && r->elements % 2 == 0) {
        ret->problem = copy_hash(c, r, ret);
    } else if (r->type != REDIS_REPLY_ERROR) {
        ret->problem = "the answer is no hash";
    } else if (find_refusal(cw_slice(r->str, strcspn(r->str, " ")))->retriable) {
        note_error(c, r);
    } else {
        size_t n = r->len < 120 ? r->len : 120;

        ret->problem = cw_arena_dup(&c->call->arena, cw_slice(r->str, n));
    }
}

static void on_members(struct redis_wait *w, const redisReply *r)
{
    struct redis_call *c = of_wait(w);
    size_t skip = c->kv->prefix.n;

    note_error(c, r);
    if (r->type == REDIS_REPLY_ERROR)
        return;
    if (r->type != REDIS_REPLY_ARRAY) {
        note_wrong(c, "the answer is no list");
        return;
    }
    if (r->elements > c->max) {
        (void)cw_fail(&c->err, CW_TOO_LARGE, "redis: %zu in the index, at most %zu are taken",
                      r->elements, c->max);
        return;
    }
    c->call->names = cw_arena_alloc(&c->call->arena, (r->elements + 1) * sizeof(*c->call->names));
    for (size_t i = 0; i < r->elements; i++) {
        const redisReply *m = r->element[i];

        if (m->type == REDIS_REPLY_STRING && m->len > skip && m->len <= skip + CW_KV_KEY_MAX &&
            memcmp(m->str, c->kv->prefix.p, skip) == 0)
            c->call->names[c->call->count++] =
                cw_slice(cw_arena_dup(&c->call->arena, cw_slice(m->str + skip, m->len - skip)),
                         m->len - skip);
    }
}

/* ---- commands ---- */

static void word_key(const struct redis_kv *kv, struct cw_str *out, const char *key)
{
    redis_word2(out, kv->prefix, cw_slice_of(key));
}

static void word_number(struct cw_str *out, int64_t n)
{
    char text[24];

    redis_word(out, cw_slice(text, (size_t)snprintf(text, sizeof(text), "%" PRId64, n)));
}

static void command_key(const struct redis_kv *kv, struct cw_str *out, const char *verb,
                        const char *key)
{
    redis_words(out, 2);
    redis_word(out, cw_slice_of(verb));
    word_key(kv, out, key);
}

static void command_word(struct cw_str *out, const char *verb)
{
    redis_words(out, 1);
    redis_word(out, cw_slice_of(verb));
}

/* 1: it was written */
static unsigned command_expire(const struct redis_kv *kv, struct cw_str *out, const char *key,
                               int64_t ms)
{
    if (ms <= 0)
        return 0;
    redis_words(out, 3);
    redis_word(out, CW_SLICE("PEXPIRE"));
    word_key(kv, out, key);
    word_number(out, ms);
    return 1;
}

static void command_index(const struct redis_kv *kv, struct cw_str *out, const char *verb,
                          const char *index, const char *key)
{
    redis_words(out, 3);
    redis_word(out, cw_slice_of(verb));
    word_key(kv, out, index);
    word_key(kv, out, key);
}

static struct redis_call *make_call(struct cw_kv *base, struct cw_kv_call *call,
                                    void (*on_answer)(struct redis_wait *, const redisReply *))
{
    struct redis_call *c = cw_alloc(sizeof(*c));

    call->extra = c;
    c->kv = self(base);
    c->call = call;
    c->wait.on_answer = on_answer;
    c->wait.on_end = on_end;
    return c;
}

static void send_call(struct redis_call *c, const struct cw_str *out, unsigned answers)
{
    struct redis_kv *kv = c->kv;
    struct cw_err err;

    if (!redis_conn_ready(kv->calls)) {
        (void)cw_fail_retriable(&err, CW_UNAVAILABLE, "redis: the connection is being given up");
    } else if (out->failed) {
        (void)cw_fail(&err, CW_TOO_LARGE, "redis: a call of over %d bytes", COMMAND_MAX_BYTES);
    } else if (kv->under_way >= CALLS_MAX || !redis_conn_has_room(kv->calls, out->n)) {
        (void)cw_fail_retriable(&err, CW_UNAVAILABLE, "redis: too much is under way");
    } else {
        kv->under_way++;
        c->wait.answers = answers;
        redis_conn_send(kv->calls, cw_str_slice(out), &c->wait);
        return;
    }
    kv_call_end(c->call, &err);
}

static void put(struct cw_kv *base, const struct cw_kv_put *p, struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;
    unsigned answers = 4; /* MULTI, DEL, HSET, EXEC */

    cw_str_init(&out, COMMAND_MAX_BYTES);
    command_word(&out, "MULTI");
    command_key(kv, &out, "DEL", p->key);
    redis_words(&out, 2 + 2 * p->count);
    redis_word(&out, CW_SLICE("HSET"));
    word_key(kv, &out, p->key);
    for (size_t i = 0; i < p->count; i++) {
        redis_word(&out, p->fields[i].name);
        redis_word(&out, p->fields[i].value);
    }
    answers += command_expire(kv, &out, p->key, p->expire_ms);
    if (p->index) {
        command_index(kv, &out, "SADD", p->index, p->key);
        answers++;
    }
    command_word(&out, "EXEC");
    send_call(c, &out, answers);
}

static void add(struct cw_kv *base, const struct cw_kv_add *a, struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;
    unsigned answers = 2 + (unsigned)a->count;

    cw_str_init(&out, COMMAND_MAX_BYTES);
    command_word(&out, "MULTI");
    for (size_t i = 0; i < a->count; i++) {
        redis_words(&out, 4);
        redis_word(&out, CW_SLICE("HINCRBY"));
        word_key(kv, &out, a->key);
        redis_word(&out, a->fields[i].name);
        word_number(&out, a->fields[i].by);
    }
    answers += command_expire(kv, &out, a->key, a->expire_ms);
    command_word(&out, "EXEC");
    send_call(c, &out, answers);
}

static void get(struct cw_kv *base, const char *const *keys, size_t count, struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_hash);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, COMMAND_MAX_BYTES);
    call->found = cw_arena_alloc(&call->arena, count * sizeof(*call->found));
    call->count = count;
    for (size_t i = 0; i < count; i++)
        command_key(kv, &out, "HGETALL", keys[i]);
    send_call(c, &out, (unsigned)count);
}

static void list(struct cw_kv *base, const char *index, size_t max, struct cw_kv_call *call)
{
    struct redis_call *c = make_call(base, call, on_members);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, COMMAND_MAX_BYTES);
    c->max = max;
    command_key(self(base), &out, "SMEMBERS", index);
    send_call(c, &out, 1);
}

static void remove_key(struct cw_kv *base, const char *key, const char *index,
                       struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, COMMAND_MAX_BYTES);
    command_key(kv, &out, "DEL", key);
    if (index)
        command_index(kv, &out, "SREM", index, key);
    send_call(c, &out, index ? 2 : 1);
}

static void trim(struct cw_kv *base, const char *key, const struct cw_slice *names, size_t count,
                 struct cw_kv_call *call)
{
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, COMMAND_MAX_BYTES);
    redis_words(&out, 2 + count);
    redis_word(&out, CW_SLICE("HDEL"));
    word_key(self(base), &out, key);
    for (size_t i = 0; i < count; i++)
        redis_word(&out, names[i]);
    send_call(c, &out, 1);
}

static void publish(struct cw_kv *base, const char *channel, struct cw_slice message,
                    struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, COMMAND_MAX_BYTES);
    redis_words(&out, 3);
    redis_word(&out, CW_SLICE("PUBLISH"));
    word_key(kv, &out, channel);
    redis_word(&out, message);
    send_call(c, &out, 1);
}

/* ---- messages ---- */

static void send_channel(struct redis_kv *kv, const char *verb, const char *channel)
{
    cw_auto_str struct cw_str out;

    cw_str_init(&out, COMMAND_MAX_BYTES);
    command_key(kv, &out, verb, channel);
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

    cw_str_init(&out, COMMAND_MAX_BYTES);
    CW_LIST_EACH (&kv->base.subs, n) {
        const struct cw_kv_sub *sub = CW_LIST_ENTRY(n, struct cw_kv_sub, link);

        if (sub->fn)
            command_key(kv, &out, "SUBSCRIBE", sub->channel);
    }
    command_word(&out, "PING");
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

static int add_server(struct redis_shared *s, struct cw_slice text, struct cw_err *err)
{
    struct redis_server *server = &s->servers[s->server_count];
    struct cw_slice host = text, port = CW_SLICE("6379");
    const char *colon = memrchr(text.p, ':', text.n), *bracket = memrchr(text.p, ']', text.n);
    int64_t number;

    if (colon && (!bracket || colon > bracket)) {
        host.n = (size_t)(colon - text.p);
        port = cw_slice(colon + 1, text.n - host.n - 1);
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = cw_slice(host.p + 1, host.n - 2);
    else if (memchr(host.p, ':', host.n) || memchr(host.p, '[', host.n) ||
             memchr(host.p, ']', host.n))
        return cw_fail(err, CW_INVALID,
                       "\"%.*s\" is no server; accepted: host, host:port, [address]:port",
                       (int)(text.n < 80 ? text.n : 80), text.p);
    if (host.n == 0 || host.n > 255 || s->server_count == SERVERS_MAX)
        return cw_fail(err, CW_INVALID, "accepted: 1..%d servers, each with a name of 1..255 bytes",
                       SERVERS_MAX);
    if (cw_parse_i64(port, "a server's port", 1, 65535, &number, err) != 0)
        return -1;
    server->host = cw_slice_dup(host);
    server->port = cw_slice_dup(port);
    s->server_count++;
    return 0;
}

static int parse_servers(struct redis_shared *s, const char *hosts, struct cw_err *err)
{
    const char *p = hosts;

    s->servers = cw_calloc(SERVERS_MAX, sizeof(*s->servers));
    for (;;) {
        size_t n = strcspn(p, ",");

        if (add_server(s, cw_slice_trim(cw_slice(p, n)), err) != 0)
            return -1;
        if (!p[n])
            return 0;
        p += n + 1;
    }
}

static char *given(const char *text)
{
    return text && *text ? cw_strdup(text) : NULL;
}

static int64_t or_default(int64_t value, int64_t def)
{
    return value > 0 ? value : def;
}

static int set_shared(struct redis_shared *s, const struct cw_redis_conf *conf, struct cw_err *err)
{
    s->user = given(conf->user);
    s->password = given(conf->password);
    s->db = conf->db;
    s->connect_ms = or_default(conf->connect_ms, DEFAULT_CONNECT_MS);
    s->answer_ms = or_default(conf->answer_ms, DEFAULT_ANSWER_MS);
    s->idle_ms = or_default(conf->idle_ms, DEFAULT_IDLE_MS);
    s->retry_ms = or_default(conf->retry_ms, DEFAULT_RETRY_MS);
    s->retry_max_ms = or_default(conf->retry_max_ms, DEFAULT_RETRY_MAX_MS);
    s->random = conf->seed ? conf->seed : 1;
    if (s->user && !s->password)
        return cw_fail(err, CW_INVALID, "a user without a password");
    if (conf->tls) {
        s->tls = redis_tls_context(conf->ca_file && *conf->ca_file ? conf->ca_file : NULL, err);
        if (!s->tls)
            return -1;
    }
    return parse_servers(s, conf->hosts, err);
}

static void free_shared(struct redis_shared *s)
{
    cw_worker_free(s->worker); /* what it looked up frees itself */
    for (size_t i = 0; i < s->server_count; i++) {
        free(s->servers[i].host);
        free(s->servers[i].port);
    }
    free(s->servers);
    free(s->user);
    if (s->password)
        explicit_bzero(s->password, strlen(s->password));
    free(s->password);
    SSL_CTX_free(s->tls);
}

static void redis_free(struct cw_kv *base)
{
    struct redis_kv *kv = self(base);

    redis_conn_free(kv->calls);
    redis_conn_free(kv->subs);
    kv_done(&kv->base);
    free_shared(&kv->shared);
    free((void *)(uintptr_t)kv->prefix.p);
    free(kv);
}

static const struct cw_kv_ops OPS = {
    .name = "redis",
    .put = put,
    .add = add,
    .get = get,
    .list = list,
    .remove = remove_key,
    .trim = trim,
    .publish = publish,
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
    if (prefix.failed || set_shared(&kv->shared, conf, err) != 0) {
        if (prefix.failed)
            (void)cw_fail(err, CW_INVALID, "a cluster's name of over %d bytes", CLUSTER_MAX - 4);
        free_shared(&kv->shared);
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
