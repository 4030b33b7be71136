/* Each call is one pipeline, one redis_wait, and one struct redis_call that turns answers into the
 * call's result. What is to be whole (replace and expire, add and expire) is in MULTI and EXEC. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/kv/redis_kv_priv.h"

enum {
    CALLS_MAX = 4096,            /* under way */
    RESULT_MAX_BYTES = 16 << 20, /* of one call */
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

/* Redis has no nils in hashes: it was left out for its size (redis_sieve_priv.h). */
static bool lacks_some(const redisReply *r)
{
    for (size_t i = 0; i < r->elements; i++)
        if (r->element[i]->type == REDIS_REPLY_NIL)
            return true;
    return false;
}

static const char *copy_hash(struct redis_call *c, const redisReply *r, struct cw_kv_hash *ret)
{
    size_t count = r->elements / 2, bytes = 0;
    struct cw_kv_field *fields;

    for (size_t i = 0; i < r->elements; i++)
        bytes += r->element[i]->type == REDIS_REPLY_STRING ? r->element[i]->len : 0;
    if (lacks_some(r) || count > CW_KV_FIELDS_MAX || bytes > CW_KV_HASH_MAX_BYTES ||
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

void redis_command_key(const struct redis_kv *kv, struct cw_str *out, const char *verb,
                       const char *key)
{
    redis_words(out, 2);
    redis_word(out, cw_slice_of(verb));
    word_key(kv, out, key);
}

void redis_command_word(struct cw_str *out, const char *verb)
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
        (void)cw_fail(&err, CW_TOO_LARGE, "redis: a call of over %d bytes",
                      REDIS_COMMAND_MAX_BYTES);
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

void redis_put(struct cw_kv *base, const struct cw_kv_put *p, struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;
    unsigned answers = 4; /* MULTI, DEL, HSET, EXEC */

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    redis_command_word(&out, "MULTI");
    redis_command_key(kv, &out, "DEL", p->key);
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
    redis_command_word(&out, "EXEC");
    send_call(c, &out, answers);
}

void redis_add(struct cw_kv *base, const struct cw_kv_add *a, struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;
    unsigned answers = 2 + (unsigned)a->count;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    redis_command_word(&out, "MULTI");
    for (size_t i = 0; i < a->count; i++) {
        redis_words(&out, 4);
        redis_word(&out, CW_SLICE("HINCRBY"));
        word_key(kv, &out, a->key);
        redis_word(&out, a->fields[i].name);
        word_number(&out, a->fields[i].by);
    }
    answers += command_expire(kv, &out, a->key, a->expire_ms);
    redis_command_word(&out, "EXEC");
    send_call(c, &out, answers);
}

void redis_get(struct cw_kv *base, const char *const *keys, size_t count, struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_hash);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    call->found = cw_arena_alloc(&call->arena, count * sizeof(*call->found));
    call->count = count;
    for (size_t i = 0; i < count; i++)
        redis_command_key(kv, &out, "HGETALL", keys[i]);
    send_call(c, &out, (unsigned)count);
}

void redis_list(struct cw_kv *base, const char *index, size_t max, struct cw_kv_call *call)
{
    struct redis_call *c = make_call(base, call, on_members);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    c->max = max;
    redis_command_key(self(base), &out, "SMEMBERS", index);
    send_call(c, &out, 1);
}

void redis_remove(struct cw_kv *base, const char *key, const char *index, struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    redis_command_key(kv, &out, "DEL", key);
    if (index)
        command_index(kv, &out, "SREM", index, key);
    send_call(c, &out, index ? 2 : 1);
}

void redis_trim(struct cw_kv *base, const char *key, const struct cw_slice *names, size_t count,
                struct cw_kv_call *call)
{
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    redis_words(&out, 2 + count);
    redis_word(&out, CW_SLICE("HDEL"));
    word_key(self(base), &out, key);
    for (size_t i = 0; i < count; i++)
        redis_word(&out, names[i]);
    send_call(c, &out, 1);
}

void redis_publish(struct cw_kv *base, const char *channel, struct cw_slice message,
                   struct cw_kv_call *call)
{
    struct redis_kv *kv = self(base);
    struct redis_call *c = make_call(base, call, on_done);
    cw_auto_str struct cw_str out;

    cw_str_init(&out, REDIS_COMMAND_MAX_BYTES);
    redis_words(&out, 3);
    redis_word(&out, CW_SLICE("PUBLISH"));
    word_key(kv, &out, channel);
    redis_word(&out, message);
    send_call(c, &out, 1);
}
