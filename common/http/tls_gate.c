/* libevent frees a connection some time after it was asked to, even after the server, and tells
 * nobody. So each SSL object carries a note of ours, which OpenSSL hands back when the object goes;
 * the gate lives until the last one did. */
#include "common/http/tls_gate_priv.h"

#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>

#include "common/base/list.h"
#include "common/loop/loop.h"

struct tls_gate {
    struct tls_gate_conf conf; /* context: a reference of its own */
    int index;                 /* of our note at an SSL object */
    struct cw_list connections;
    bool full, closed;
};

struct connection {
    struct cw_link link;
    struct tls_gate *gate;
    struct bufferevent *bev; /* not owned */
    struct cw_timer deadline;
};

static void gate_release(struct tls_gate *gate)
{
    (void)CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL, gate->index);
    SSL_CTX_free(gate->conf.context);
    free(gate);
}

/* Closing the socket here would pull it away under libevent: let it read the end. */
static void on_deadline(void *arg)
{
    struct connection *c = arg;

    (void)shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
}

/* SSL_set_info_callback */
static void on_progress(const SSL *ssl, int where, int result)
{
    struct connection *c = SSL_get_app_data(ssl);

    (void)result;
    cw_loop_mark(c->gate->conf.loop, CW_CALLEE("handshake", on_progress));
    if (where & SSL_CB_HANDSHAKE_DONE)
        cw_timer_stop(&c->deadline);
}

/* CRYPTO_EX_free: of every SSL object in the process, those of others have no note. */
static void on_ssl_freed(void *parent, void *note, CRYPTO_EX_DATA *data, int index, long argl,
                         void *argp)
{
    struct connection *c = note;
    struct tls_gate *gate;

    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    if (!c)
        return;
    gate = c->gate;
    cw_list_remove(&gate->connections, &c->link);
    if (!gate->closed)
        cw_timer_done(&c->deadline);
    free(c);
    if (gate->closed && gate->connections.count == 0) {
        gate_release(gate);
    } else if (gate->full && !gate->closed) {
        gate->full = false;
        gate->conf.admit(gate->conf.arg, true);
    }
}

struct tls_gate *tls_gate_new(const struct tls_gate_conf *conf)
{
    struct tls_gate *gate = cw_alloc(sizeof(*gate));

    gate->conf = *conf;
    cw_list_init(&gate->connections);
    gate->index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_freed);
    if (gate->index < 0 || SSL_CTX_up_ref(conf->context) != 1)
        abort(); /* only when memory is short */
    return gate;
}

void tls_gate_free(struct tls_gate *gate)
{
    if (!gate)
        return;
    gate->closed = true;
    CW_LIST_EACH (&gate->connections, link) {
        cw_timer_done(&CW_LIST_ENTRY(link, struct connection, link)->deadline);
    }
    if (gate->connections.count == 0)
        gate_release(gate);
}

struct bufferevent *tls_gate_admit(struct tls_gate *gate)
{
    struct connection *c = cw_alloc(sizeof(*c));
    SSL *ssl = SSL_new(gate->conf.context);

    /* Without a bufferevent evhttp would talk plain text. */
    if (!ssl || SSL_set_ex_data(ssl, gate->index, c) != 1)
        abort();
    (void)SSL_set_app_data(ssl, c); /* for on_progress, which gets no index */
    SSL_set_info_callback(ssl, on_progress);
    c->gate = gate;
    c->bev = bufferevent_openssl_socket_new(cw_loop_base(gate->conf.loop), -1, ssl,
                                            BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev)
        abort();
    bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
    cw_timer_init(&c->deadline, gate->conf.loop, on_deadline, c);
    cw_timer_set_ms(&c->deadline, gate->conf.handshake_ms);
    cw_list_push_back(&gate->connections, &c->link);
    if (gate->connections.count >= gate->conf.max_connections) {
        gate->full = true;
        gate->conf.admit(gate->conf.arg, false);
    }
    return c->bev;
}
