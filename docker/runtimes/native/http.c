/* Connections are poll()ed for input only; answers are written with blocking sends under a time
 * limit, since the one peer (the invoker) always reads. */
#include "docker/runtimes/native/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/json/writer.h"

enum {
    MAX_CONNECTIONS = 64,
    MAX_HEAD = 64 * 1024,
    MAX_BODY = 160 * 1024 * 1024, /* 48 MiB of code as base64 inside JSON, with room to spare */
    READ_CHUNK = 64 * 1024,
    SEND_TIMEOUT_S = 60,
};

struct conn {
    int fd; /* -1: free */
    struct cw_str in;
};

struct head {
    struct ap_request req;
    size_t head_bytes, body_bytes;
    bool close, expects_continue;
};

struct server {
    struct conn conns[MAX_CONNECTIONS];
    ap_handler_fn *handler;
    void *arg;
};

void ap_respond_error(struct ap_response *resp, int status, const char *text)
{
    struct cw_json_writer w;

    resp->status = status;
    cw_str_reset(&resp->body);
    cw_json_begin(&w, &resp->body);
    cw_json_object(&w);
    cw_json_kv_string(&w, "error", text);
    cw_json_object_end(&w);
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 411:
        return "Length Required";
    case 413:
        return "Payload Too Large";
    default:
        return "Bad Gateway";
    }
}

static int send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        p += sent;
        n -= (size_t)sent;
    }
    return 0;
}

static int send_response(int fd, const struct ap_response *resp, bool close_after)
{
    char head[256];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Connection: %s\r\n\r\n",
                     resp->status, reason(resp->status), resp->body.n,
                     close_after ? "close" : "keep-alive");

    if (send_all(fd, head, (size_t)n) != 0)
        return -1;
    return send_all(fd, resp->body.p, resp->body.n);
}

/* ---- request heads ---- */

static bool header_is(struct cw_slice name, const char *wanted)
{
    return name.n == strlen(wanted) && strncasecmp(name.p, wanted, name.n) == 0;
}

/* 0, or the HTTP status to refuse the request with. */
static int parse_header(struct cw_slice line, struct head *h)
{
    const char *colon = memchr(line.p, ':', line.n);
    struct cw_slice name, value;
    int64_t length;

    if (!colon)
        return 400;
    name = cw_slice_trim(cw_slice(line.p, (size_t)(colon - line.p)));
    value = cw_slice_trim(cw_slice(colon + 1, (size_t)(line.p + line.n - colon - 1)));
    if (header_is(name, "content-length")) {
        if (cw_parse_i64(value, "Content-Length", 0, INT64_MAX, &length, NULL) != 0)
            return 400;
        if (length > MAX_BODY)
            return 413;
        h->body_bytes = (size_t)length;
    } else if (header_is(name, "transfer-encoding")) {
        return 411;
    } else if (header_is(name, "connection")) {
        h->close = header_is(value, "close");
    } else if (header_is(name, "expect")) {
        h->expects_continue = header_is(value, "100-continue");
    }
    return 0;
}

static int parse_request_line(struct cw_slice line, struct head *h)
{
    const char *first = memchr(line.p, ' ', line.n);
    const char *second =
        first ? memchr(first + 1, ' ', (size_t)(line.p + line.n - first - 1)) : NULL;
    const char *query;
    struct cw_slice version;

    if (!second)
        return 400;
    version = cw_slice(second + 1, (size_t)(line.p + line.n - second - 1));
    if (version.n != 8 || memcmp(version.p, "HTTP/1.", 7) != 0)
        return 400;
    h->close = version.p[7] == '0';
    h->req.method = cw_slice(line.p, (size_t)(first - line.p));
    h->req.path = cw_slice(first + 1, (size_t)(second - first - 1));
    query = memchr(h->req.path.p, '?', h->req.path.n);
    if (query)
        h->req.path.n = (size_t)(query - h->req.path.p);
    return 0;
}

/* 0 with h->head_bytes 0: more bytes are needed. Otherwise as parse_header. */
static int parse_head(struct cw_slice in, struct head *h)
{
    const char *end = memmem(in.p, in.n < MAX_HEAD ? in.n : MAX_HEAD, "\r\n\r\n", 4);
    const char *p = in.p, *eol;
    int status = 0;

    *h = (struct head){0};
    if (!end)
        return in.n >= MAX_HEAD ? 400 : 0;
    for (bool first = true; status == 0 && p <= end; p = eol + 2, first = false) {
        eol = memmem(p, (size_t)(end + 2 - p), "\r\n", 2);
        struct cw_slice line = cw_slice(p, (size_t)(eol - p));

        status = first ? parse_request_line(line, h) : parse_header(line, h);
    }
    h->head_bytes = (size_t)(end + 4 - in.p);
    return status;
}

/* ---- connections ---- */

static void conn_close(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
    cw_str_done(&c->in);
}

static void refuse(struct conn *c, int status)
{
    struct ap_response resp = {0};

    cw_str_init(&resp.body, 1024);
    ap_respond_error(&resp, status, reason(status));
    (void)send_response(c->fd, &resp, true);
    cw_str_done(&resp.body);
    conn_close(c);
}

/* Answers the first request in c->in if it is complete; false when there is nothing more to do. */
static bool conn_step(struct server *s, struct conn *c)
{
    struct ap_response resp = {.status = 200};
    struct head h;
    int status = parse_head(cw_str_slice(&c->in), &h);

    if (status != 0) {
        refuse(c, status);
        return false;
    }
    if (h.head_bytes == 0)
        return false;
    if (c->in.n - h.head_bytes < h.body_bytes) {
        /* Said when only the head has come: a peer that waits for it has sent nothing else. */
        if (h.expects_continue && c->in.n == h.head_bytes)
            (void)send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        return false;
    }
    h.req.body = cw_slice(c->in.p + h.head_bytes, h.body_bytes);
    cw_str_init(&resp.body, MAX_BODY);
    s->handler(s->arg, &h.req, &resp);
    status = send_response(c->fd, &resp, h.close);
    cw_str_done(&resp.body);
    if (status != 0 || h.close) {
        conn_close(c);
        return false;
    }
    cw_str_consume(&c->in, h.head_bytes + h.body_bytes);
    return c->in.n > 0;
}

static void conn_readable(struct server *s, struct conn *c)
{
    char *room = cw_str_reserve(&c->in, READ_CHUNK);
    ssize_t n = room ? recv(c->fd, room, READ_CHUNK, MSG_DONTWAIT) : 0;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    cw_str_commit(&c->in, (size_t)n);
    while (conn_step(s, c))
        ;
}

static void accept_one(struct server *s, int listener)
{
    struct timeval limit = {.tv_sec = SEND_TIMEOUT_S};
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        if (s->conns[i].fd < 0) {
            s->conns[i].fd = fd;
            cw_str_init(&s->conns[i].in, MAX_HEAD + (size_t)MAX_BODY + READ_CHUNK);
            return;
        }
    }
    close(fd); /* not reached: the listener is not polled when all places are taken */
}

static void serve_once(struct server *s, int listener)
{
    struct pollfd fds[MAX_CONNECTIONS + 1];
    size_t used = 0;

    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        fds[i] = (struct pollfd){.fd = s->conns[i].fd, .events = POLLIN};
        used += s->conns[i].fd >= 0;
    }
    fds[MAX_CONNECTIONS] =
        (struct pollfd){.fd = used < MAX_CONNECTIONS ? listener : -1, .events = POLLIN};
    if (poll(fds, MAX_CONNECTIONS + 1, -1) <= 0)
        return;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        if (fds[i].fd >= 0 && fds[i].revents != 0)
            conn_readable(s, &s->conns[i]);
    }
    if (fds[MAX_CONNECTIONS].revents & POLLIN)
        accept_one(s, listener);
}

static int listen_on(const char *host, uint16_t port, struct cw_err *err)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1) {
        cw_fail(err, CW_INVALID, "%s is not an IPv4 address", host);
    } else if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
               bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 128) != 0) {
        cw_fail_errno(err, errno, "listen on %s:%u", host, port);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

int ap_http_serve(const char *host, uint16_t port, ap_handler_fn *handler, void *arg,
                  struct cw_err *err)
{
    struct server s = {.handler = handler, .arg = arg};
    int listener = listen_on(host, port, err);

    if (listener < 0)
        return -1;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        s.conns[i].fd = -1;
    for (;;)
        serve_once(&s, listener);
}
