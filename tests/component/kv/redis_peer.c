#include "tests/component/kv/redis_peer.h"

#include <netinet/in.h>
#include <stdio.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "common/base/list.h"
#include "common/loop/loop.h"

enum { HEARD_MAX = 64 << 20 };

struct guest {
    struct cw_link link;
    struct redis_peer *peer;
    struct bufferevent *bev;
    const struct redis_script *script;
    size_t step;
};

struct redis_peer {
    struct evconnlistener *listener;
    const struct redis_script *scripts;
    size_t script_count, count;
    uint16_t port;
    struct cw_list guests;
    struct cw_str heard;
};

static void free_guest(struct guest *g)
{
    cw_list_remove(&g->peer->guests, &g->link);
    bufferevent_free(g->bev);
    free(g);
}

static const struct redis_step *step_of(const struct guest *g)
{
    return g->step > 0 ? &g->script->steps[g->step - 1] : NULL;
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct guest *g = arg;
    const struct redis_step *s = step_of(g);

    if (s && s->close)
        free_guest(g);
    else if (s && s->pour)
        (void)bufferevent_write(bev, s->say.p, s->say.n);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct guest *g = arg;
    char text[4096];
    size_t n;

    while ((n = bufferevent_read(bev, text, sizeof(text))) > 0)
        cw_str_add(&g->peer->heard, text, n);
    if (g->step == REDIS_STEPS_MAX)
        return;
    g->step++;
    if (step_of(g)->say.n)
        (void)bufferevent_write(bev, step_of(g)->say.p, step_of(g)->say.n);
    else if (step_of(g)->close)
        free_guest(g);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        free_guest(arg);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len,
                      void *arg)
{
    struct redis_peer *p = arg;
    struct guest *g = cw_alloc(sizeof(*g));
    size_t i = p->count < p->script_count ? p->count : p->script_count - 1;

    (void)addr, (void)len;
    g->peer = p;
    g->script = &p->scripts[i];
    g->bev = bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(g->bev, on_read, on_written, on_event, g);
    (void)bufferevent_enable(g->bev, EV_READ | EV_WRITE);
    cw_list_push_back(&p->guests, &g->link);
    p->count++;
}

struct redis_peer *redis_peer_new(struct cw_loop *loop, const struct redis_script *scripts,
                                  size_t count)
{
    struct redis_peer *p = cw_alloc(sizeof(*p));
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    p->scripts = scripts;
    p->script_count = count;
    cw_list_init(&p->guests);
    cw_str_init(&p->heard, HEARD_MAX);
    p->listener = evconnlistener_new_bind(cw_loop_base(loop), on_accept, p,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
                                          (struct sockaddr *)&addr, sizeof(addr));
    if (!p->listener ||
        getsockname(evconnlistener_get_fd(p->listener), (struct sockaddr *)&addr, &len) != 0) {
        perror("a port for the peer");
        abort();
    }
    p->port = ntohs(addr.sin_port);
    return p;
}

void redis_peer_free(struct redis_peer *p)
{
    if (!p)
        return;
    CW_LIST_EACH (&p->guests, n)
        free_guest(CW_LIST_ENTRY(n, struct guest, link));
    evconnlistener_free(p->listener);
    cw_str_done(&p->heard);
    free(p);
}

uint16_t redis_peer_port(const struct redis_peer *p)
{
    return p->port;
}

size_t redis_peer_count(const struct redis_peer *p)
{
    return p->count;
}

const char *redis_peer_heard(const struct redis_peer *p)
{
    return p->heard.p;
}
