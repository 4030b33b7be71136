#include "tests/support/scripted_action.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/list.h"
#include "common/base/str.h"

enum { REQUEST_MAX = 128 << 20, BACKLOG = 64 };

struct request {
    struct cw_link link;
    char *head, *path;
    struct cw_str body;
    size_t body_len; /* as announced */
};

struct scripted_conn {
    struct cw_link link;
    struct scripted_action *server;
    pthread_t thread;
    unsigned index;
    int fd;
    bool ended; /* fd is closed */
    struct cw_str in;
    struct request *request; /* being read */
};

struct scripted_action {
    scripted_fn *fn;
    void *arg;
    int listener;
    uint16_t port;
    bool listening;
    pthread_t acceptor;
    pthread_mutex_t lock;    /* guards everything below, and scripted_conn.ended */
    struct cw_list conns;    /* struct scripted_conn */
    struct cw_list requests; /* struct request */
    bool stop;
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

static void default_script(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    while (scripted_read_request(conn))
        scripted_answer(conn, 200, "{}");
}

struct scripted_action *scripted_action_new_closed(scripted_fn *fn, void *arg)
{
    struct scripted_action *s = cw_alloc(sizeof(*s));
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    s->fn = fn ? fn : default_script;
    s->arg = arg;
    cw_list_init(&s->conns);
    cw_list_init(&s->requests);
    must(pthread_mutex_init(&s->lock, NULL) == 0, "mutex");
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(s->listener >= 0, "socket");
    must(bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0, "bind");
    must(getsockname(s->listener, (struct sockaddr *)&addr, &len) == 0, "getsockname");
    s->port = ntohs(addr.sin_port);
    return s;
}

static void *run_script(void *arg)
{
    struct scripted_conn *conn = arg;
    struct scripted_action *s = conn->server;

    s->fn(conn, s->arg);
    pthread_mutex_lock(&s->lock);
    conn->ended = true;
    (void)close(conn->fd);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void begin_conn(struct scripted_action *s, int fd)
{
    struct scripted_conn *conn = cw_alloc(sizeof(*conn));

    conn->server = s;
    conn->fd = fd;
    cw_str_init(&conn->in, REQUEST_MAX);
    pthread_mutex_lock(&s->lock);
    conn->index = (unsigned)s->conns.count;
    cw_list_push_back(&s->conns, &conn->link);
    if (s->stop)
        (void)shutdown(fd, SHUT_RDWR);
    must(pthread_create(&conn->thread, NULL, run_script, conn) == 0, "thread");
    pthread_mutex_unlock(&s->lock);
}

static void *accept_all(void *arg)
{
    struct scripted_action *s = arg;
    int fd;

    while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        begin_conn(s, fd);
    return NULL;
}

void scripted_action_listen(struct scripted_action *s)
{
    must(listen(s->listener, BACKLOG) == 0, "listen");
    must(pthread_create(&s->acceptor, NULL, accept_all, s) == 0, "thread");
    s->listening = true;
}

struct scripted_action *scripted_action_new(scripted_fn *fn, void *arg)
{
    struct scripted_action *s = scripted_action_new_closed(fn, arg);

    scripted_action_listen(s);
    return s;
}

static void free_conn(struct scripted_conn *conn)
{
    (void)pthread_join(conn->thread, NULL);
    cw_str_done(&conn->in);
    free(conn);
}

static void free_request(struct request *r)
{
    free(r->head);
    free(r->path);
    cw_str_done(&r->body);
    free(r);
}

void scripted_action_free(struct scripted_action *s)
{
    struct cw_link *n;

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    CW_LIST_EACH (&s->conns, link) {
        struct scripted_conn *conn = CW_LIST_ENTRY(link, struct scripted_conn, link);

        if (!conn->ended)
            (void)shutdown(conn->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->lock);
    (void)shutdown(s->listener, SHUT_RDWR);
    if (s->listening)
        (void)pthread_join(s->acceptor, NULL);
    (void)close(s->listener);
    while ((n = cw_list_pop_front(&s->conns)))
        free_conn(CW_LIST_ENTRY(n, struct scripted_conn, link));
    while ((n = cw_list_pop_front(&s->requests)))
        free_request(CW_LIST_ENTRY(n, struct request, link));
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

uint16_t scripted_action_port(const struct scripted_action *s)
{
    return s->port;
}

unsigned scripted_action_connections(struct scripted_action *s)
{
    unsigned count;

    pthread_mutex_lock(&s->lock);
    count = (unsigned)s->conns.count;
    pthread_mutex_unlock(&s->lock);
    return count;
}

unsigned scripted_action_open_connections(struct scripted_action *s)
{
    unsigned count = 0;

    pthread_mutex_lock(&s->lock);
    CW_LIST_EACH (&s->conns, link)
        count += !CW_LIST_ENTRY(link, struct scripted_conn, link)->ended;
    pthread_mutex_unlock(&s->lock);
    return count;
}

unsigned scripted_action_posts(struct scripted_action *s, const char *path)
{
    unsigned count = 0;

    pthread_mutex_lock(&s->lock);
    CW_LIST_EACH (&s->requests, link)
        count += strcmp(CW_LIST_ENTRY(link, struct request, link)->path, path) == 0;
    pthread_mutex_unlock(&s->lock);
    return count;
}

/* Under the lock. */
static struct request *request_at(struct scripted_action *s, unsigned i)
{
    CW_LIST_EACH (&s->requests, link)
        if (i-- == 0)
            return CW_LIST_ENTRY(link, struct request, link);
    return NULL;
}

char *scripted_action_head(struct scripted_action *s, unsigned i)
{
    struct request *r;
    char *copy;

    pthread_mutex_lock(&s->lock);
    r = request_at(s, i);
    copy = r ? cw_strdup(r->head) : NULL;
    pthread_mutex_unlock(&s->lock);
    return copy;
}

char *scripted_action_body(struct scripted_action *s, unsigned i)
{
    struct request *r;
    char *copy;

    pthread_mutex_lock(&s->lock);
    r = request_at(s, i);
    copy = r ? cw_slice_dup(cw_str_slice(&r->body)) : NULL;
    pthread_mutex_unlock(&s->lock);
    return copy;
}

unsigned scripted_index(const struct scripted_conn *conn)
{
    return conn->index;
}

static bool read_some(struct scripted_conn *conn)
{
    char buf[64 << 10];
    ssize_t n = recv(conn->fd, buf, sizeof(buf), 0);

    if (n > 0)
        cw_str_add(&conn->in, buf, (size_t)n);
    return n > 0 && !conn->in.failed;
}

static size_t announced_length(const char *head)
{
    const char *h = strcasestr(head, "\r\ncontent-length:");

    return h ? strtoul(h + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

static void begin_request(struct scripted_conn *conn, size_t head_len)
{
    struct request *r = cw_alloc(sizeof(*r));
    const char *path, *end;

    r->head = cw_memdup(conn->in.p, head_len);
    cw_str_init(&r->body, REQUEST_MAX);
    cw_str_consume(&conn->in, head_len);
    r->body_len = announced_length(r->head);
    path = strncmp(r->head, "POST ", 5) == 0 ? r->head + 5 : "";
    end = strchr(path, ' ');
    r->path = cw_memdup(path, end ? (size_t)(end - path) : 0);
    conn->request = r;
    pthread_mutex_lock(&conn->server->lock);
    cw_list_push_back(&conn->server->requests, &r->link);
    pthread_mutex_unlock(&conn->server->lock);
}

bool scripted_read_head(struct scripted_conn *conn)
{
    const char *end;

    conn->request = NULL;
    while (!(end = conn->in.n ? strstr(conn->in.p, "\r\n\r\n") : NULL))
        if (!read_some(conn))
            return false;
    begin_request(conn, (size_t)(end - conn->in.p) + 4);
    return true;
}

/* Moves what came of the body from the connection to the request. */
static size_t collect_body(struct scripted_conn *conn)
{
    struct request *r = conn->request;
    size_t missing = r->body_len - r->body.n, n = conn->in.n < missing ? conn->in.n : missing;

    pthread_mutex_lock(&conn->server->lock);
    cw_str_add(&r->body, conn->in.p, n);
    pthread_mutex_unlock(&conn->server->lock);
    cw_str_consume(&conn->in, n);
    return missing - n;
}

bool scripted_read_body(struct scripted_conn *conn)
{
    while (collect_body(conn) > 0)
        if (!read_some(conn))
            return false;
    return true;
}

bool scripted_read_request(struct scripted_conn *conn)
{
    return scripted_read_head(conn) && scripted_read_body(conn);
}

void scripted_send_bytes(struct scripted_conn *conn, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(conn->fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

void scripted_send(struct scripted_conn *conn, const char *text)
{
    scripted_send_bytes(conn, text, strlen(text));
}

void scripted_answer(struct scripted_conn *conn, int status, const char *body)
{
    struct cw_str out;

    cw_str_init(&out, REQUEST_MAX);
    cw_str_addf(&out, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n\r\n", status, strlen(body));
    cw_str_addz(&out, body);
    scripted_send_bytes(conn, out.p, out.n);
    cw_str_done(&out);
}

/* Wakes early when the peer hung up or the server is being freed. */
static bool pause_ms(struct scripted_conn *conn, unsigned ms)
{
    struct pollfd p = {.fd = conn->fd, .events = POLLRDHUP};

    return poll(&p, 1, (int)ms) == 0;
}

void scripted_drip(struct scripted_conn *conn, const char *text, unsigned gap_ms)
{
    for (; *text && pause_ms(conn, gap_ms); text++)
        scripted_send_bytes(conn, text, 1);
}

void scripted_hang(struct scripted_conn *conn)
{
    while (read_some(conn))
        cw_str_reset(&conn->in);
}

void scripted_finish(struct scripted_conn *conn)
{
    (void)shutdown(conn->fd, SHUT_WR);
}

void scripted_reset(struct scripted_conn *conn)
{
    struct linger rst = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
}
