/* Level-triggered epoll. Closed listeners and connections are freed only after the batch of events
 * that may still name them. */
#include "tests/bench/stub_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/list.h"

enum {
    BACKLOG = 512,
    EVENTS = 64,
    READ_SIZE = 16 << 10,
    MAX_HEAD = 64 << 10,
    MAX_BODY = 64 << 20,
    MAX_OUT = 16 << 20,
};

/* What an epoll event points to. */
struct source {
    int fd; /* -1: closed, to be freed */
    void (*on_event)(struct source *src, uint32_t events);
};

struct stub_server {
    int epoll_fd;
    struct cw_list listeners;
    struct cw_list dead_listeners, dead_conns;
};

struct stub_watch {
    struct source src;
    struct stub_server *server;
    void (*fn)(void *arg);
    void *arg;
};

struct stub_listener {
    struct source src;
    struct cw_link link;
    struct stub_server *server;
    struct cw_list conns;
    stub_handler_fn *fn;
    void *arg;
    bool is_tcp;
};

struct conn {
    struct source src;
    struct cw_link link;
    struct stub_listener *listener;
    struct cw_str in, out;
    bool wants_write, close_after, continued;
};

struct head {
    struct cw_slice method, target;
    size_t head_len, body_len;
    bool close, expects_continue;
};

/* ---- closing ---- */

static void source_close(struct source *src)
{
    (void)close(src->fd); /* leaves the epoll set by itself */
    src->fd = -1;
}

static void conn_close(struct conn *c)
{
    if (c->src.fd < 0)
        return;
    source_close(&c->src);
    cw_list_remove(&c->listener->conns, &c->link);
    cw_list_push_back(&c->listener->server->dead_conns, &c->link);
}

void stub_listener_close(struct stub_listener *l)
{
    struct cw_link *n;

    if (!l)
        return;
    while ((n = cw_list_first(&l->conns)))
        conn_close(CW_LIST_ENTRY(n, struct conn, link));
    source_close(&l->src);
    cw_list_remove(&l->server->listeners, &l->link);
    cw_list_push_back(&l->server->dead_listeners, &l->link);
}

static void free_dead(struct stub_server *s)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&s->dead_conns))) {
        struct conn *c = CW_LIST_ENTRY(n, struct conn, link);

        cw_str_done(&c->in);
        cw_str_done(&c->out);
        free(c);
    }
    while ((n = cw_list_pop_front(&s->dead_listeners)))
        free(CW_LIST_ENTRY(n, struct stub_listener, link));
}

/* ---- writing ---- */

static const char *reason_of(int status)
{
    return status < 300 ? "OK" : status < 500 ? "Refused" : "Failed";
}

static void watch(struct conn *c, bool wants_write)
{
    struct epoll_event ev = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = &c->src};

    if (wants_write == c->wants_write)
        return;
    c->wants_write = wants_write;
    (void)epoll_ctl(c->listener->server->epoll_fd, EPOLL_CTL_MOD, c->src.fd, &ev);
}

static void flush(struct conn *c)
{
    while (c->out.n) {
        ssize_t n = send(c->src.fd, c->out.p, c->out.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            watch(c, true);
            return;
        }
        if (n < 0) {
            conn_close(c);
            return;
        }
        cw_str_consume(&c->out, (size_t)n);
    }
    watch(c, false);
    if (c->close_after)
        conn_close(c);
}

static void add_reply(struct conn *c, const struct stub_reply *reply)
{
    cw_str_addf(&c->out, "HTTP/1.1 %d %s\r\n", reply->status, reason_of(reply->status));
    if (reply->status != 204)
        cw_str_addf(&c->out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                    reply->body.n);
    cw_str_addz(&c->out, c->close_after ? "Connection: close\r\n\r\n" : "\r\n");
    if (reply->status != 204)
        cw_str_adds(&c->out, cw_str_slice(&reply->body));
}

/* ---- reading ---- */

static struct cw_slice next_line(struct cw_slice *text)
{
    const char *eol = memmem(text->p, text->n, "\r\n", 2);
    struct cw_slice line = cw_slice(text->p, eol ? (size_t)(eol - text->p) : text->n);
    size_t used = eol ? line.n + 2 : line.n;

    *text = cw_slice(text->p + used, text->n - used);
    return line;
}

/* The value when the line is that header, else a slice with p NULL. */
static struct cw_slice header_value(struct cw_slice line, const char *name)
{
    size_t n = strlen(name);

    if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
        return cw_slice(NULL, 0);
    return cw_slice_trim(cw_slice(line.p + n + 1, line.n - n - 1));
}

static bool slice_is_nocase(struct cw_slice s, const char *text)
{
    return s.p && s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

static int parse_header(struct cw_slice line, struct head *h)
{
    struct cw_slice value = header_value(line, "Content-Length");
    int64_t n;

    if (value.p) {
        if (cw_parse_i64(value, "Content-Length", 0, MAX_BODY, &n, NULL) != 0)
            return -1;
        h->body_len = (size_t)n;
    }
    if (header_value(line, "Transfer-Encoding").p)
        return -1; /* nobody here sends it */
    h->close |= slice_is_nocase(header_value(line, "Connection"), "close");
    h->expects_continue |= slice_is_nocase(header_value(line, "Expect"), "100-continue");
    return 0;
}

/* 1 when a head is there, 0 when not yet, -1 when it is none. */
static int parse_head(struct cw_slice in, struct head *h)
{
    const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
    struct cw_slice rest, line;
    const char *sp, *sp2;

    memset(h, 0, sizeof(*h));
    if (!end)
        return in.n > MAX_HEAD ? -1 : 0;
    h->head_len = (size_t)(end - in.p) + 4;
    rest = cw_slice(in.p, h->head_len - 2);
    line = next_line(&rest);
    sp = memchr(line.p, ' ', line.n);
    sp2 = sp ? memchr(sp + 1, ' ', line.n - (size_t)(sp + 1 - line.p)) : NULL;
    if (!sp2)
        return -1;
    h->method = cw_slice(line.p, (size_t)(sp - line.p));
    h->target = cw_slice(sp + 1, (size_t)(sp2 - sp - 1));
    while (rest.n)
        if (parse_header(next_line(&rest), h) != 0)
            return -1;
    return 1;
}

static void answer(struct conn *c, const struct head *h)
{
    struct stub_request req = {
        .method = h->method,
        .target = h->target,
        .body = cw_slice(c->in.p + h->head_len, h->body_len),
    };
    struct stub_reply reply = {.status = 200};

    cw_str_init(&reply.body, MAX_OUT);
    c->listener->fn(c->listener->arg, &req, &reply);
    if (c->src.fd >= 0) {
        c->close_after = h->close;
        add_reply(c, &reply);
    }
    cw_str_done(&reply.body);
}

static void serve(struct conn *c)
{
    struct head h;

    while (c->src.fd >= 0 && c->in.n && !c->close_after) {
        int got = parse_head(cw_str_slice(&c->in), &h);

        if (got < 0) {
            conn_close(c);
            return;
        }
        if (got == 0)
            break;
        if (c->in.n < h.head_len + h.body_len) {
            if (h.expects_continue && !c->continued)
                cw_str_addz(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
            c->continued = true;
            break;
        }
        c->continued = false;
        answer(c, &h);
        cw_str_consume(&c->in, h.head_len + h.body_len);
    }
    if (c->src.fd >= 0 && c->out.n)
        flush(c);
}

static void on_conn(struct source *src, uint32_t events)
{
    struct conn *c = CW_CONTAINER_OF(src, struct conn, src);
    char *room;
    ssize_t n;

    if (events & EPOLLOUT)
        flush(c);
    if (c->src.fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    room = cw_str_reserve(&c->in, READ_SIZE);
    n = room ? recv(c->src.fd, room, READ_SIZE, 0) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    cw_str_commit(&c->in, (size_t)n);
    serve(c);
}

/* ---- listening ---- */

static void on_listener(struct source *src, uint32_t events)
{
    struct stub_listener *l = CW_CONTAINER_OF(src, struct stub_listener, src);
    struct epoll_event ev = {.events = EPOLLIN};
    int fd = accept4(l->src.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    struct conn *c;

    (void)events;
    if (fd < 0)
        return;
    if (l->is_tcp)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c = cw_alloc(sizeof(*c));
    c->src = (struct source){.fd = fd, .on_event = on_conn};
    c->listener = l;
    cw_str_init(&c->in, MAX_HEAD + MAX_BODY + READ_SIZE);
    cw_str_init(&c->out, MAX_OUT + MAX_HEAD);
    cw_list_push_back(&l->conns, &c->link);
    ev.data.ptr = &c->src;
    if (epoll_ctl(l->server->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        conn_close(c);
}

static struct stub_listener *listen_on(struct stub_server *s, const struct sockaddr *addr,
                                       socklen_t len, const char *text, struct cw_err *err)
{
    struct stub_listener *l = cw_alloc(sizeof(*l));
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &l->src};
    int one = 1;

    l->src.on_event = on_listener;
    l->server = s;
    l->is_tcp = addr->sa_family == AF_INET;
    cw_list_init(&l->conns);
    l->src.fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->src.fd >= 0)
        (void)setsockopt(l->src.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (l->src.fd < 0 || bind(l->src.fd, addr, len) != 0 || listen(l->src.fd, BACKLOG) != 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, l->src.fd, &ev) != 0) {
        (void)cw_fail(err, CW_UNAVAILABLE, "listen on %s: %s", text, strerror(errno));
        if (l->src.fd >= 0)
            (void)close(l->src.fd);
        free(l);
        return NULL;
    }
    cw_list_push_back(&s->listeners, &l->link);
    return l;
}

struct stub_listener *stub_listen_unix(struct stub_server *s, const char *path, stub_handler_fn *fn,
                                       void *arg, struct cw_err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stub_listener *l;
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(addr.sun_path)) {
        (void)cw_fail(err, CW_INVALID, "socket path %.60s…: expected 1..%zu bytes", path,
                      sizeof(addr.sun_path) - 1);
        return NULL;
    }
    memcpy(addr.sun_path, path, n + 1);
    (void)unlink(path);
    l = listen_on(s, (struct sockaddr *)&addr, sizeof(addr), path, err);
    if (l) {
        l->fn = fn;
        l->arg = arg;
    }
    return l;
}

struct stub_listener *stub_listen_tcp(struct stub_server *s, const char *address, uint16_t port,
                                      stub_handler_fn *fn, void *arg, struct cw_err *err)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct stub_listener *l;

    if (inet_pton(AF_INET, address, &addr.sin_addr) != 1) {
        (void)cw_fail(err, CW_INVALID, "address \"%.40s\": expected a numeric IPv4 address",
                      address);
        return NULL;
    }
    l = listen_on(s, (struct sockaddr *)&addr, sizeof(addr), address, err);
    if (l) {
        l->fn = fn;
        l->arg = arg;
    }
    return l;
}

uint16_t stub_listener_port(const struct stub_listener *l)
{
    struct sockaddr_in addr = {0};
    socklen_t len = sizeof(addr);

    (void)getsockname(l->src.fd, (struct sockaddr *)&addr, &len);
    return ntohs(addr.sin_port);
}

/* ---- the server ---- */

struct stub_server *stub_server_new(struct cw_err *err)
{
    struct stub_server *s = cw_alloc(sizeof(*s));

    cw_list_init(&s->listeners);
    cw_list_init(&s->dead_listeners);
    cw_list_init(&s->dead_conns);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0) {
        (void)cw_fail(err, CW_INTERNAL, "epoll_create1: %s", strerror(errno));
        free(s);
        return NULL;
    }
    return s;
}

static void on_watched(struct source *src, uint32_t events)
{
    struct stub_watch *w = CW_CONTAINER_OF(src, struct stub_watch, src);

    (void)events;
    w->fn(w->arg);
}

struct stub_watch *stub_watch_new(struct stub_server *s, int fd, void (*fn)(void *arg), void *arg,
                                  struct cw_err *err)
{
    struct stub_watch *w = cw_alloc(sizeof(*w));
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &w->src};

    *w = (struct stub_watch){
        .src = {.fd = fd, .on_event = on_watched}, .server = s, .fn = fn, .arg = arg};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
        return w;
    (void)cw_fail(err, CW_INTERNAL, "epoll_ctl: %s", strerror(errno));
    free(w);
    return NULL;
}

void stub_watch_free(struct stub_watch *w)
{
    if (w)
        (void)epoll_ctl(w->server->epoll_fd, EPOLL_CTL_DEL, w->src.fd, NULL);
    free(w);
}

int stub_server_run(struct stub_server *s, int stop_fd, struct cw_err *err)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event events[EVENTS];

    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, stop_fd, &stop) != 0)
        return cw_fail(err, CW_INTERNAL, "epoll_ctl: %s", strerror(errno));
    for (;;) {
        int n = epoll_wait(s->epoll_fd, events, EVENTS, -1);

        if (n < 0 && errno != EINTR)
            return cw_fail(err, CW_INTERNAL, "epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            struct source *src = events[i].data.ptr;

            if (!src)
                return 0;
            if (src->fd >= 0)
                src->on_event(src, events[i].events);
        }
        free_dead(s);
    }
}

void stub_server_free(struct stub_server *s)
{
    struct cw_link *n;

    if (!s)
        return;
    while ((n = cw_list_first(&s->listeners)))
        stub_listener_close(CW_LIST_ENTRY(n, struct stub_listener, link));
    free_dead(s);
    (void)close(s->epoll_fd);
    free(s);
}
