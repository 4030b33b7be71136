/* libevent closes a connection some time after it was asked to, and tells nobody. So a visitor is
 * known by its descriptor together with the socket's inode: when they no longer belong together,
 * the visitor has left. That is looked up only where it matters: at a deadline, and when there is
 * no place for another visitor. */
#include "common/http/gate_priv.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>

#include "common/base/list.h"
#include "common/loop/loop.h"

enum {
    LOOK_AGAIN_MS = 50,  /* for a place, when there is none */
    SHUT_AGAIN_MS = 500, /* libevent has closed by then what was shut down */
};

struct http_gate {
    struct http_gate_conf conf; /* context: a reference of its own */
    struct cw_list visitors;
    struct cw_defer note_fresh;
    struct cw_timer look_again; /* set: the gate is full */
};

struct visitor {
    struct cw_link link;
    struct http_gate *gate;
    struct bufferevent *fresh; /* not owned; NULL when its socket was noted */
    int fd;
    ino_t inode;
    struct cw_timer deadline;
};

static bool inode_of(int fd, ino_t *ret)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    *ret = st.st_ino;
    return true;
}

static bool has_left(const struct visitor *v)
{
    ino_t now;

    return !v->fresh && !(inode_of(v->fd, &now) && now == v->inode);
}

static void forget(struct visitor *v)
{
    cw_list_remove(&v->gate->visitors, &v->link);
    cw_timer_done(&v->deadline);
    free(v);
}

static void forget_who_left(struct http_gate *gate)
{
    CW_LIST_EACH (&gate->visitors, link) {
        struct visitor *v = CW_LIST_ENTRY(link, struct visitor, link);

        if (has_left(v))
            forget(v);
    }
}

static struct visitor *find(struct http_gate *gate, int fd)
{
    CW_LIST_EACH (&gate->visitors, link) {
        struct visitor *v = CW_LIST_ENTRY(link, struct visitor, link);

        if (!v->fresh && v->fd == fd && !has_left(v))
            return v;
    }
    return NULL;
}

/* Closing the socket here would pull it away under libevent: let it read the end. */
static void on_deadline(void *arg)
{
    struct visitor *v = arg;

    if (has_left(v)) {
        forget(v);
        return;
    }
    (void)shutdown(v->fd, SHUT_RDWR);
    cw_timer_set_ms(&v->deadline, SHUT_AGAIN_MS);
}

/* In the turn after its admission, before any event of its own, a connection is sure to exist. */
static void note_fresh(void *arg)
{
    struct http_gate *gate = arg;

    CW_LIST_EACH (&gate->visitors, link) {
        struct visitor *v = CW_LIST_ENTRY(link, struct visitor, link);

        if (!v->fresh)
            continue;
        v->fd = bufferevent_getfd(v->fresh);
        v->fresh = NULL;
        if (!inode_of(v->fd, &v->inode))
            forget(v);
    }
}

static bool is_full(struct http_gate *gate)
{
    if (gate->visitors.count >= gate->conf.max_connections)
        forget_who_left(gate);
    return gate->visitors.count >= gate->conf.max_connections;
}

static void look_again(void *arg)
{
    struct http_gate *gate = arg;

    if (is_full(gate))
        cw_timer_set_ms(&gate->look_again, LOOK_AGAIN_MS);
    else
        gate->conf.admit(gate->conf.arg, true);
}

struct http_gate *http_gate_new(const struct http_gate_conf *conf)
{
    struct http_gate *gate = cw_alloc(sizeof(*gate));

    gate->conf = *conf;
    cw_list_init(&gate->visitors);
    cw_defer_init(&gate->note_fresh, conf->loop, note_fresh, gate);
    cw_timer_init(&gate->look_again, conf->loop, look_again, gate);
    if (conf->context && SSL_CTX_up_ref(conf->context) != 1)
        abort();
    return gate;
}

void http_gate_free(struct http_gate *gate)
{
    struct cw_link *first;

    if (!gate)
        return;
    while ((first = cw_list_first(&gate->visitors)))
        forget(CW_LIST_ENTRY(first, struct visitor, link));
    cw_defer_cancel(&gate->note_fresh);
    cw_timer_done(&gate->look_again);
    SSL_CTX_free(gate->conf.context);
    free(gate);
}

static struct bufferevent *plain_connection(struct http_gate *gate)
{
    return bufferevent_socket_new(cw_loop_base(gate->conf.loop), -1, BEV_OPT_CLOSE_ON_FREE);
}

/* SSL_set_info_callback */
static void on_progress(const SSL *ssl, int where, int result)
{
    (void)where, (void)result;
    cw_loop_mark(SSL_get_app_data(ssl), CW_CALLEE("handshake", on_progress));
}

static struct bufferevent *tls_connection(struct http_gate *gate)
{
    SSL *ssl = SSL_new(gate->conf.context);
    struct bufferevent *bev =
        ssl ? bufferevent_openssl_socket_new(cw_loop_base(gate->conf.loop), -1, ssl,
                                             BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
            : NULL;

    if (!bev)
        return NULL;
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    (void)SSL_set_app_data(ssl, gate->conf.loop); /* lives longer than all connections */
    SSL_set_info_callback(ssl, on_progress);
    return bev;
}

struct bufferevent *http_gate_admit(struct http_gate *gate)
{
    struct visitor *v = cw_alloc(sizeof(*v));

    v->gate = gate;
    v->fd = -1;
    v->fresh = gate->conf.context ? tls_connection(gate) : plain_connection(gate);
    if (!v->fresh)
        abort(); /* only when memory is short; without one evhttp would talk plain text */
    cw_timer_init(&v->deadline, gate->conf.loop, on_deadline, v);
    cw_timer_set_ms(&v->deadline, gate->conf.request_ms);
    cw_list_push_back(&gate->visitors, &v->link);
    cw_defer_post(&gate->note_fresh);
    if (is_full(gate)) {
        cw_timer_set_ms(&gate->look_again, LOOK_AGAIN_MS);
        gate->conf.admit(gate->conf.arg, false);
    }
    return v->fresh;
}

void http_gate_asked(struct http_gate *gate, int fd)
{
    struct visitor *v = find(gate, fd);

    if (v)
        cw_timer_stop(&v->deadline);
}

void http_gate_answered(struct http_gate *gate, int fd)
{
    struct visitor *v = find(gate, fd);

    if (v)
        cw_timer_set_ms(&v->deadline, gate->conf.next_ms);
}
