/* common/kv/redis_conn_priv.h -- one connection to Redis that comes back by itself.
 *
 * Thread: loop. Callbacks run from the loop, never inside a call of these. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/base/list.h"
#include "common/base/str.h"
#include "common/kv/redis_reply.h"

struct cw_err;
struct cw_loop;
struct cw_redis_conf;
struct redis_conn;

struct redis_server {
    char *host, *port;
};

/* What all connections of a kv share; read-only but for the worker. */
struct redis_shared {
    struct cw_loop *loop;
    struct redis_server *servers;
    size_t server_count;
    char *user, *password; /* NULL: none */
    int64_t db;
    SSL_CTX *tls; /* NULL: plain */
    int64_t connect_ms, answer_ms, idle_ms, retry_ms, retry_max_ms;
    uint64_t random;          /* state; never 0 */
    struct cw_worker *worker; /* resolves names; NULL until there is one */
};

/* Commands that were sent together, and the answers that are to come. */
struct redis_wait {
    struct cw_link link;
    int64_t deadline_us;
    unsigned answers; /* still to come; set before sending */
    void (*on_answer)(struct redis_wait *w, const redisReply *r);
    /* All are there (NULL), or none will come any more. */
    void (*on_end)(struct redis_wait *w, const struct cw_err *err);
};

struct redis_conn_conf {
    struct redis_shared *shared;
    /* It takes commands, or it does not any more; why: one line. */
    void (*on_state)(void *arg, bool ready, const char *why);
    /* A message, or another thing that Redis tells those who subscribed; an array whose first item
     * is a string. NULL: none is expected. */
    void (*on_push)(void *arg, const redisReply *r);
    void *arg;
};

/* Not connected; conf->shared is borrowed. */
struct redis_conn *redis_conn_new(const struct redis_conn_conf *conf);
/* Who waits is told. on_state is not called. Accepts NULL. */
void redis_conn_free(struct redis_conn *c);
/* Connects, and again whenever it is lost. Harmless when it does. */
void redis_conn_start(struct redis_conn *c);
bool redis_conn_ready(const struct redis_conn *c);
/* Whether so many more bytes may be sent now. */
bool redis_conn_has_room(const struct redis_conn *c, size_t n);
/* Only when ready. w NULL: no answers come that are not pushes. */
void redis_conn_send(struct redis_conn *c, struct cw_slice commands, struct redis_wait *w);
/* Soon, and connects anew, to the next server: this one said something that means it is of no use.
 */
void redis_conn_give_up(struct redis_conn *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* One command: its words follow. */
void redis_words(struct cw_str *out, size_t count);
void redis_word(struct cw_str *out, struct cw_slice word);
/* One of two parts. */
void redis_word2(struct cw_str *out, struct cw_slice a, struct cw_slice b);
/* All words of a command that has few. */
void redis_command(struct cw_str *out, const char *const *words);

/* ---- redis_shared.c ---- */

/* Zero but for s->loop before. What conf names is copied; on failure redis_shared_done is still the
 * caller's to call. */
int redis_shared_set(struct redis_shared *s, const struct cw_redis_conf *conf,
                     struct cw_err *err) CW_MUST_CHECK;
/* No connection is left. */
void redis_shared_done(struct redis_shared *s);

/* ---- redis_tls.c ---- */

/* ca_file NULL: the system's. SSL_CTX_free. */
SSL_CTX *redis_tls_context(const char *ca_file, struct cw_err *err) CW_MUST_CHECK;
/* Of a connection to host, whose name must be the certificate's. */
SSL *redis_tls_new(SSL_CTX *ctx, const char *host);
/* Why it could not be established; static or borrowed from OpenSSL. NULL: nothing is known. */
const char *redis_tls_trouble(const SSL *ssl, unsigned long code);
