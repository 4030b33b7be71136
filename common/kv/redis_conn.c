/* A buffered socket of libevent with hiredis' reader behind it: hiredis' own asynchronous context
 * (0.14) has no timeouts and no TLS, resolves names in the loop, and aborts the process when a
 * server says what was not asked for.
 *
 *   resting -> resolving -> connecting -> greeting -> ready
 *      ^___________________________________________/  any trouble; a growing, random rest
 *
 * Greeting is AUTH, SELECT and PING: a server that loads its data refuses that. Answers come in the
 * order of commands, so one deadline, that of the oldest, is enough. */
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>

#include "common/base/err.h"
#include "common/kv/redis_conn_priv.h"
#include "common/loop/loop.h"
#include "common/loop/worker.h"

enum {
    OUT_MAX_BYTES = 8 << 20, /* written, and not taken by the socket yet */
    READ_AT_ONCE = 64 << 10,
    READ_BUDGET = 1 << 20, /* bytes in a turn */
    GRACE_MS = 50,
    SETTLED_US = 10 * 1000 * 1000, /* up for so long: trouble begins anew */
    WHY_MAX = 160,
    COMMAND_MAX = 16384,
    ADDRESSES_TRIED = 8, /* of a name, in turn */
};

enum state { RESTING, RESOLVING, CONNECTING, GREETING, READY };

struct redis_conn {
    struct redis_conn_conf conf;
    struct redis_shared *shared;
    enum state state;
    size_t server;  /* tried now, or next */
    unsigned tries; /* since it was settled */
    struct resolving *resolving;
    struct bufferevent *bev;
    SSL *ssl; /* bev's; NULL: plain */
    struct cw_redis_replies *replies;
    struct cw_list waits; /* struct redis_wait */
    struct redis_wait greeting, ping;
    char refusal[WHY_MAX]; /* of the greeting; "": none */
    char trouble[WHY_MAX]; /* it is to be given up; "": it is not */
    struct cw_timer timer; /* next attempt, or the end of patience, or a sign of life */
    struct cw_defer give_up;
    int64_t ready_us;
    bool late; /* the deadline has passed, one look at the socket is still to be taken */
};

/* Outlives a connection that did not wait for it. */
struct resolving {
    struct redis_conn *conn; /* NULL: nobody waits */
    char *host, *port;
    struct addrinfo *found;
    int status;
};

static const char *name_of(const struct redis_conn *c)
{
    return c->shared->servers[c->server].host;
}

/* ---- commands ---- */

void redis_words(struct cw_str *out, size_t count)
{
    cw_str_addc(out, '*');
    cw_str_addi(out, (int64_t)count);
    cw_str_add(out, "\r\n", 2);
}

void redis_word2(struct cw_str *out, struct cw_slice a, struct cw_slice b)
{
    cw_str_addc(out, '$');
    cw_str_addi(out, (int64_t)(a.n + b.n));
    cw_str_add(out, "\r\n", 2);
    cw_str_adds(out, a);
    cw_str_adds(out, b);
    cw_str_add(out, "\r\n", 2);
}

void redis_word(struct cw_str *out, struct cw_slice word)
{
    redis_word2(out, word, cw_slice("", 0));
}

void redis_command(struct cw_str *out, const char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    redis_words(out, count);
    for (size_t i = 0; i < count; i++)
        redis_word(out, cw_slice_of(words[i]));
}

/* ---- time ---- */

/* xorshift64: what counts is that invokers differ. */
static uint64_t draw(struct redis_shared *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static int64_t rest_ms(struct redis_conn *c)
{
    int64_t ms = c->shared->retry_ms;

    for (unsigned i = 1; i < c->tries && ms < c->shared->retry_max_ms; i++)
        ms *= 2;
    if (ms > c->shared->retry_max_ms)
        ms = c->shared->retry_max_ms;
    return ms / 2 + (int64_t)(draw(c->shared) % (uint64_t)(ms / 2 + 1));
}

static struct redis_wait *oldest(const struct redis_conn *c)
{
    struct cw_link *n = cw_list_first(&c->waits);

    return n ? CW_LIST_ENTRY(n, struct redis_wait, link) : NULL;
}

/* Of a connection that is ready. */
static void arm(struct redis_conn *c)
{
    const struct redis_wait *w = oldest(c);

    c->late = false;
    if (w)
        cw_timer_set_us(&c->timer, w->deadline_us - cw_loop_mono_us(c->shared->loop));
    else
        cw_timer_set_ms(&c->timer, c->shared->idle_ms);
}

/* ---- the end of a connection ---- */

static void end_waits(struct redis_conn *c, const struct cw_err *err)
{
    struct redis_wait *w;

    while ((w = oldest(c))) {
        cw_list_remove(&c->waits, &w->link);
        w->on_end(w, err);
    }
}

static void close_socket(struct redis_conn *c)
{
    if (c->resolving)
        c->resolving->conn = NULL;
    c->resolving = NULL;
    if (c->bev)
        bufferevent_free(c->bev);
    c->bev = NULL;
    c->ssl = NULL;
    cw_redis_replies_free(c->replies);
    c->replies = NULL;
    c->trouble[0] = '\0';
    cw_defer_cancel(&c->give_up);
}

static void lose(struct redis_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void lose(struct redis_conn *c, const char *fmt, ...)
{
    struct cw_err err;
    char why[WHY_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    (void)cw_fail_retriable(&err, CW_TIMEOUT, "redis %s: %s", name_of(c), why);
    if (c->state == READY && cw_loop_mono_us(c->shared->loop) - c->ready_us >= SETTLED_US)
        c->tries = 0;
    c->tries++;
    c->state = RESTING;
    close_socket(c);
    end_waits(c, &err);
    c->server = (c->server + 1) % c->shared->server_count;
    cw_timer_set_ms(&c->timer, rest_ms(c));
    c->conf.on_state(c->conf.arg, false, err.msg);
}

static void on_give_up(void *arg)
{
    struct redis_conn *c = arg;
    char why[WHY_MAX];

    memcpy(why, c->trouble, sizeof(why));
    lose(c, "%s", why);
}

void redis_conn_give_up(struct redis_conn *c, const char *fmt, ...)
{
    va_list ap;

    if (c->state == RESTING || c->trouble[0])
        return;
    va_start(ap, fmt);
    (void)vsnprintf(c->trouble, sizeof(c->trouble), fmt, ap);
    va_end(ap);
    cw_defer_post(&c->give_up);
}

/* ---- what comes in ---- */

static bool is_push(const struct redis_conn *c, const redisReply *r)
{
    static const char *const KINDS[] = {"message", "subscribe", "unsubscribe"};

    if (!c->conf.on_push || r->type != REDIS_REPLY_ARRAY || r->elements < 3 ||
        r->element[0]->type != REDIS_REPLY_STRING)
        return false;
    for (size_t i = 0; i < CW_ARRAY_LEN(KINDS); i++)
        if (cw_slice_is(cw_slice(r->element[0]->str, r->element[0]->len), KINDS[i]))
            return true;
    return false;
}

/* false: nobody asked. */
static bool take(struct redis_conn *c, const redisReply *r)
{
    struct redis_wait *w = oldest(c);

    if (is_push(c, r)) {
        c->conf.on_push(c->conf.arg, r);
        return true;
    }
    if (!w)
        return false;
    w->on_answer(w, r);
    if (--w->answers == 0) {
        cw_list_remove(&c->waits, &w->link);
        w->on_end(w, NULL);
    }
    return true;
}

/* All answers that are complete. false: the connection is gone. */
static bool take_answers(struct redis_conn *c)
{
    struct cw_err err;
    redisReply *r;
    bool asked;

    for (;;) {
        if (cw_redis_replies_next(c->replies, &r, &err) != 0) {
            lose(c, "%s", err.msg);
            return false;
        }
        if (!r)
            return true;
        asked = take(c, r);
        if (!asked)
            lose(c, "it says what was not asked for: %.60s",
                 r->type == REDIS_REPLY_ERROR || r->type == REDIS_REPLY_STATUS ? r->str : "data");
        freeReplyObject(r);
        if (!asked)
            return false;
        if (c->trouble[0])
            return true; /* what follows is of no interest */
    }
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct redis_conn *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    struct cw_err err;
    size_t n, taken = 0;

    cw_loop_mark(c->shared->loop, CW_CALLEE("read", on_read));
    while ((n = evbuffer_get_contiguous_space(in)) > 0 && taken < READ_BUDGET && !c->trouble[0]) {
        if (n > READ_AT_ONCE)
            n = READ_AT_ONCE;
        if (cw_redis_replies_feed(c->replies, evbuffer_pullup(in, (ev_ssize_t)n), n, &err) != 0) {
            lose(c, "%s", err.msg);
            return;
        }
        (void)evbuffer_drain(in, n);
        taken += n;
        if (!take_answers(c))
            return;
    }
    if (evbuffer_get_length(in) > 0 && !c->trouble[0])
        bufferevent_trigger(bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
    if (c->state == READY)
        arm(c);
}

/* ---- greeting ---- */

/* Redis echoes the words of commands that it does not know: only the kind of the error is told. */
static void on_greeted(struct redis_wait *w, const redisReply *r)
{
    struct redis_conn *c = CW_CONTAINER_OF(w, struct redis_conn, greeting);

    if (r->type == REDIS_REPLY_ERROR && !c->refusal[0])
        (void)snprintf(c->refusal, sizeof(c->refusal), "it refuses us: %.*s",
                       (int)strcspn(r->str, " "), r->str);
}

static void on_greeting_end(struct redis_wait *w, const struct cw_err *err)
{
    struct redis_conn *c = CW_CONTAINER_OF(w, struct redis_conn, greeting);

    if (err)
        return; /* lose() has been told */
    if (c->refusal[0]) {
        redis_conn_give_up(c, "%s", c->refusal);
        return;
    }
    c->state = READY;
    c->ready_us = cw_loop_mono_us(c->shared->loop);
    arm(c);
    c->conf.on_state(c->conf.arg, true, "");
}

static void send_wait(struct redis_conn *c, struct cw_slice commands, struct redis_wait *w)
{
    if (bufferevent_write(c->bev, commands.p, commands.n) != 0)
        abort(); /* only when memory is short */
    if (!w)
        return;
    w->deadline_us = cw_loop_mono_us(c->shared->loop) + c->shared->answer_ms * 1000;
    cw_list_push_back(&c->waits, &w->link);
}

static void greet(struct redis_conn *c)
{
    const struct redis_shared *s = c->shared;
    cw_auto_str struct cw_str out;
    char db[24];

    cw_str_init(&out, COMMAND_MAX);
    c->greeting =
        (struct redis_wait){.answers = 1, .on_answer = on_greeted, .on_end = on_greeting_end};
    c->refusal[0] = '\0';
    if (s->password && s->user)
        redis_command(&out, (const char *const[]){"AUTH", s->user, s->password, NULL});
    else if (s->password)
        redis_command(&out, (const char *const[]){"AUTH", s->password, NULL});
    c->greeting.answers += s->password != NULL;
    if (s->db) {
        (void)snprintf(db, sizeof(db), "%" PRId64, s->db);
        redis_command(&out, (const char *const[]){"SELECT", db, NULL});
        c->greeting.answers++;
    }
    redis_command(&out, (const char *const[]){"PING", NULL});
    c->state = GREETING;
    send_wait(c, cw_str_slice(&out), &c->greeting);
}

/* ---- connecting ---- */

static void tell_trouble(struct redis_conn *c, short what)
{
    int sys = EVUTIL_SOCKET_ERROR();
    const char *tls =
        c->ssl ? redis_tls_trouble(c->ssl, bufferevent_get_openssl_error(c->bev)) : NULL;

    if (tls)
        lose(c, "TLS: %.120s", tls);
    else if (what & BEV_EVENT_EOF)
        lose(c, "it closed the connection");
    else
        lose(c, "%s", sys ? evutil_socket_error_to_string(sys) : "the connection is lost");
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct redis_conn *c = arg;

    cw_loop_mark(c->shared->loop, CW_CALLEE("event", on_event));
    if (what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) {
        tell_trouble(c, what);
    } else if (what & BEV_EVENT_CONNECTED && c->state == CONNECTING) {
        (void)bufferevent_enable(bev, EV_READ);
        greet(c);
    }
}

static struct bufferevent *make_socket(struct redis_conn *c)
{
    struct event_base *base = cw_loop_base(c->shared->loop);
    const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;

    if (!c->shared->tls)
        return bufferevent_socket_new(base, -1, options);
    c->ssl = redis_tls_new(c->shared->tls, name_of(c));
    return bufferevent_openssl_socket_new(base, -1, c->ssl, BUFFEREVENT_SSL_CONNECTING, options);
}

static void connect_to(struct redis_conn *c, const struct addrinfo *found)
{
    const struct addrinfo *a = found;

    for (size_t skip = c->tries / c->shared->server_count % ADDRESSES_TRIED; skip; skip--)
        a = a->ai_next ? a->ai_next : found;
    c->state = CONNECTING;
    c->bev = make_socket(c);
    if (!c->bev)
        abort(); /* only when memory is short */
    c->replies = cw_redis_replies_new();
    bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
    if (bufferevent_socket_connect(c->bev, a->ai_addr, (int)a->ai_addrlen) != 0)
        lose(c, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static int look_up(struct resolving *r, int flags)
{
    const struct addrinfo want = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};

    return getaddrinfo(r->host, r->port, &want, &r->found);
}

static void resolve(void *arg)
{
    struct resolving *r = arg;

    r->status = look_up(r, AI_ADDRCONFIG);
}

static void on_resolved(void *arg)
{
    struct resolving *r = arg;
    struct redis_conn *c = r->conn;

    if (c) {
        c->resolving = NULL;
        if (r->status == 0)
            connect_to(c, r->found);
        else
            lose(c, "%s", gai_strerror(r->status));
    }
    if (r->found)
        freeaddrinfo(r->found);
    free(r->host);
    free(r->port);
    free(r);
}

/* An address at once, a name by the worker. */
static void begin_resolving(struct redis_conn *c)
{
    const struct redis_server *server = &c->shared->servers[c->server];
    struct resolving *r = cw_alloc(sizeof(*r));
    struct cw_err err;

    r->conn = c;
    r->host = cw_strdup(server->host);
    r->port = cw_strdup(server->port);
    c->resolving = r;
    c->state = RESOLVING;
    r->status = look_up(r, AI_NUMERICHOST);
    if (r->status == 0) {
        on_resolved(r);
        return;
    }
    if (!c->shared->worker)
        c->shared->worker = cw_worker_new(c->shared->loop, 1, &err);
    if (c->shared->worker)
        cw_worker_run(c->shared->worker, resolve, on_resolved, r);
    else
        on_resolved(r);
}

/* ---- timers ---- */

static void on_pinged(struct redis_wait *w, const redisReply *r)
{
    (void)w, (void)r; /* that it says something is all */
}

static void on_ping_end(struct redis_wait *w, const struct cw_err *err)
{
    (void)w, (void)err;
}

static void send_ping(struct redis_conn *c)
{
    cw_auto_str struct cw_str out;

    cw_str_init(&out, COMMAND_MAX);
    redis_command(&out, (const char *const[]){"PING", NULL});
    c->ping = (struct redis_wait){.answers = 1, .on_answer = on_pinged, .on_end = on_ping_end};
    redis_conn_send(c, cw_str_slice(&out), &c->ping);
}

/* After a stall of ours the answer may lie in the socket: it is looked there once more. */
static void on_ready_timer(struct redis_conn *c)
{
    const struct redis_wait *w = oldest(c);

    if (!w) {
        send_ping(c);
    } else if (cw_loop_mono_us(c->shared->loop) < w->deadline_us) {
        arm(c);
    } else if (!c->late) {
        c->late = true;
        cw_timer_set_ms(&c->timer, GRACE_MS);
    } else {
        lose(c, "no answer within %" PRId64 " ms", c->shared->answer_ms);
    }
}

static void on_timer(void *arg)
{
    struct redis_conn *c = arg;

    switch (c->state) {
    case RESTING:
        cw_timer_set_ms(&c->timer, c->shared->connect_ms);
        begin_resolving(c);
        break;
    case RESOLVING:
    case CONNECTING:
    case GREETING:
        lose(c, "no connection within %" PRId64 " ms", c->shared->connect_ms);
        break;
    case READY:
        on_ready_timer(c);
        break;
    }
}

/* ---- for the kv ---- */

struct redis_conn *redis_conn_new(const struct redis_conn_conf *conf)
{
    struct redis_conn *c = cw_alloc(sizeof(*c));

    c->conf = *conf;
    c->shared = conf->shared;
    cw_list_init(&c->waits);
    cw_timer_init(&c->timer, c->shared->loop, on_timer, c);
    cw_defer_init(&c->give_up, c->shared->loop, on_give_up, c);
    return c;
}

void redis_conn_free(struct redis_conn *c)
{
    struct cw_err err;

    if (!c)
        return;
    (void)cw_fail(&err, CW_CANCELLED, "redis: closed");
    close_socket(c);
    end_waits(c, &err);
    cw_timer_done(&c->timer);
    free(c);
}

void redis_conn_start(struct redis_conn *c)
{
    if (c->state == RESTING && !cw_timer_pending(&c->timer))
        cw_timer_set_ms(&c->timer, 0);
}

bool redis_conn_ready(const struct redis_conn *c)
{
    return c->state == READY && !c->trouble[0];
}

bool redis_conn_has_room(const struct redis_conn *c, size_t n)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev)) + n <= OUT_MAX_BYTES;
}

void redis_conn_send(struct redis_conn *c, struct cw_slice commands, struct redis_wait *w)
{
    bool idle = cw_list_empty(&c->waits);

    send_wait(c, commands, w);
    if (idle && w)
        arm(c);
}
