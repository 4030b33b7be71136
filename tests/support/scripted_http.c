/* One bufferevent per connection. Bytes are collected until a request is complete, the request is
 * recorded and matched, and its step is carried out after the step's delay; further requests on the
 * connection wait until then. */
#include "tests/support/scripted_http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/loop/loop.h"

enum {
    MAX_HEAD = 64 * 1024,
    MAX_REQUEST = 256 * 1024 * 1024,
};

struct step {
    struct cw_link link;
    struct scripted_step what; /* its texts are copies */
    bool used;
};

struct conn {
    struct cw_link link;
    struct scripted_http *peer;
    struct bufferevent *bev;
    struct cw_timer delay;
    struct cw_str in;
    struct cw_str out; /* answer being prepared */
    size_t head_len;   /* of out */
    struct step *step; /* waiting for its delay */
    unsigned number;
    bool busy; /* a request is being answered */
    bool streaming;
    bool close_when_sent;
};

struct scripted_http {
    struct cw_loop *loop;
    struct evconnlistener *listener;
    struct cw_list steps; /* struct step */
    struct cw_list conns; /* struct conn */
    struct scripted_request **requests;
    size_t request_count;
    size_t unexpected;
    unsigned accepted;
    uint16_t port;
    char url[64];
    char dir[32];
    char path[64];
};

static void die(const char *what)
{
    fprintf(stderr, "scripted_http: %s\n", what);
    abort();
}

/* ---- connections ---- */

static void conn_free(struct conn *c)
{
    cw_list_remove(&c->peer->conns, &c->link);
    cw_timer_done(&c->delay);
    bufferevent_free(c->bev);
    cw_str_done(&c->in);
    cw_str_done(&c->out);
    free(c);
}

static void conn_reset(struct conn *c)
{
    struct linger hard = {.l_onoff = 1};

    (void)setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    conn_free(c);
}

static bool has_header(const char *headers, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = headers; p && *p; p = strstr(p, "\r\n"), p = p ? p + 2 : NULL)
        if (strncasecmp(p, name, n) == 0 && p[n] == ':')
            return true;
    return false;
}

static void add_chunk(struct cw_str *out, const void *p, size_t n)
{
    cw_str_addf(out, "%zx\r\n", n);
    cw_str_add(out, p, n);
    cw_str_addz(out, "\r\n");
}

static void add_body_chunked(struct conn *c, const struct scripted_step *s)
{
    size_t first = s->body_len / 2;

    if (s->action == SCRIPTED_STREAM) {
        if (s->body_len)
            add_chunk(&c->out, s->body, s->body_len);
        return;
    }
    /* At least two chunks where possible, so that a client has to put them together. */
    if (first)
        add_chunk(&c->out, s->body, first);
    if (s->body_len - first)
        add_chunk(&c->out, s->body + first, s->body_len - first);
    cw_str_addz(&c->out, "0\r\n\r\n");
}

static void prepare(struct conn *c, const struct scripted_step *s, bool to_head)
{
    bool chunked = s->chunked || s->action == SCRIPTED_STREAM;
    bool bare = s->status == 204 || s->status == 304;

    cw_str_reset(&c->out);
    if (s->raw) {
        cw_str_add(&c->out, s->raw, s->raw_len);
        c->head_len = 0;
        return;
    }
    cw_str_addf(&c->out, "HTTP/1.1 %d Scripted\r\n", s->status ? s->status : 200);
    if (s->headers)
        cw_str_addz(&c->out, s->headers);
    if (!bare && !has_header(s->headers, "Content-Length") &&
        !has_header(s->headers, "Transfer-Encoding")) {
        if (chunked)
            cw_str_addz(&c->out, "Transfer-Encoding: chunked\r\n");
        else
            cw_str_addf(&c->out, "Content-Length: %zu\r\n", s->body_len);
    }
    cw_str_addz(&c->out, "\r\n");
    c->head_len = c->out.n;
    if (bare || to_head)
        return;
    if (chunked)
        add_body_chunked(c, s);
    else
        cw_str_add(&c->out, s->body, s->body_len);
}

static void parse_input(struct conn *c);

static void conn_write(struct conn *c, size_t n)
{
    if (bufferevent_write(c->bev, c->out.p, n) != 0)
        die("bufferevent_write failed");
}

static void write_and_close(struct conn *c, size_t n)
{
    if (n == 0) {
        conn_free(c); /* nothing to write means no "written" event */
        return;
    }
    c->close_when_sent = true;
    conn_write(c, n);
}

static void carry_out(struct conn *c)
{
    const struct scripted_step *s = &c->step->what;
    size_t cut = s->cut ? s->cut : c->head_len + (c->out.n - c->head_len) / 2;

    switch (s->action) {
    case SCRIPTED_ANSWER:
        conn_write(c, c->out.n);
        c->busy = false;
        parse_input(c);
        return;
    case SCRIPTED_CLOSE:
        write_and_close(c, c->out.n);
        return;
    case SCRIPTED_HALF:
        write_and_close(c, cut < c->out.n ? cut : c->out.n);
        return;
    case SCRIPTED_RESET:
        conn_reset(c);
        return;
    case SCRIPTED_STREAM:
        c->streaming = true;
        conn_write(c, c->out.n);
        return;
    case SCRIPTED_HANG:
        return;
    }
}

static void on_delay(void *arg)
{
    carry_out(arg);
}

/* ---- requests ---- */

static bool path_fits(const char *pattern, const char *path)
{
    size_t n = strlen(pattern);

    if (n && pattern[n - 1] == '*')
        return strncmp(pattern, path, n - 1) == 0;
    return strcmp(pattern, path) == 0;
}

static struct step *find_step(struct scripted_http *peer, const struct scripted_request *req)
{
    CW_LIST_EACH (&peer->steps, n) {
        struct step *s = CW_LIST_ENTRY(n, struct step, link);

        if (s->used || (s->what.method && strcmp(s->what.method, req->method) != 0) ||
            (s->what.path && !path_fits(s->what.path, req->path)))
            continue;
        s->used = !s->what.repeat;
        return s;
    }
    return NULL;
}

static void answer(struct conn *c, const struct scripted_request *req)
{
    static const struct scripted_step NONE = {.status = 599, .body = "unexpected", .body_len = 10};

    c->busy = true;
    c->step = find_step(c->peer, req);
    if (!c->step) {
        c->peer->unexpected++;
        fprintf(stderr, "scripted_http: no step for %s %s\n", req->method, req->path);
        prepare(c, &NONE, false);
        conn_write(c, c->out.n);
        c->busy = false;
        parse_input(c);
        return;
    }
    prepare(c, &c->step->what, strcmp(req->method, "HEAD") == 0);
    cw_timer_set_ms(&c->delay, c->step->what.delay_ms);
}

/* Decodes a chunked body at p; bytes it takes up in *ret_used, or false when incomplete. */
static bool decode_chunks(const char *p, size_t n, struct cw_str *out, size_t *ret_used)
{
    const char *at = p, *end = p + n, *eol;
    unsigned long long size;
    char *stop;

    for (;;) {
        eol = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!eol)
            return false;
        size = strtoull(at, &stop, 16);
        if (stop == at || size > MAX_REQUEST)
            die("request with a bad chunk size");
        at = eol + 2;
        if ((size_t)(end - at) < size + 2)
            return false;
        cw_str_add(out, at, size);
        at += size + 2;
        if (size == 0) {
            *ret_used = (size_t)(at - p);
            return true;
        }
    }
}

/* The body that belongs to the head; false when it is not all there yet. */
static bool take_body(const struct scripted_request *req, const char *p, size_t n,
                      struct cw_str *body, size_t *ret_used)
{
    char text[64];
    size_t length;

    if (scripted_http_header(req, "Transfer-Encoding", text, sizeof(text)))
        return decode_chunks(p, n, body, ret_used);
    if (!scripted_http_header(req, "Content-Length", text, sizeof(text))) {
        *ret_used = 0;
        return true;
    }
    length = strtoul(text, NULL, 10);
    if (length > MAX_REQUEST)
        die("request with an enormous Content-Length");
    if (n < length)
        return false;
    cw_str_add(body, p, length);
    *ret_used = length;
    return true;
}

static void free_text(const char *p)
{
    free((void *)(uintptr_t)p);
}

static void request_free(struct scripted_request *r)
{
    free_text(r->method);
    free_text(r->path);
    free_text(r->headers);
    free_text(r->body);
    free(r);
}

static void record(struct scripted_http *peer, struct scripted_request *r)
{
    peer->requests =
        cw_realloc(peer->requests, (peer->request_count + 1) * sizeof(*peer->requests));
    peer->requests[peer->request_count++] = r;
}

/* Splits "METHOD path HTTP/1.1\r\n<headers>" into copies. */
static struct scripted_request *parse_head(const char *head, size_t n, unsigned connection)
{
    const char *eol = memmem(head, n, "\r\n", 2);
    const char *sp1 = memchr(head, ' ', n);
    const char *sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(head + n - sp1 - 1)) : NULL;
    struct scripted_request *r = cw_alloc(sizeof(*r));

    if (!eol || !sp2 || sp2 > eol)
        die("bad request line");
    r->connection = connection;
    r->method = cw_memdup(head, (size_t)(sp1 - head));
    r->path = cw_memdup(sp1 + 1, (size_t)(sp2 - sp1 - 1));
    r->headers = cw_memdup(eol + 2, (size_t)(head + n - eol - 2));
    return r;
}

static void parse_input(struct conn *c)
{
    const char *end = memmem(c->in.p, c->in.n, "\r\n\r\n", 4);
    struct cw_str body;
    struct scripted_request *r;
    size_t head, used;

    if (c->busy)
        return;
    if (!end) {
        if (c->in.n > MAX_HEAD)
            die("request head over 64 KiB");
        return;
    }
    head = (size_t)(end - c->in.p) + 2; /* with the last line's own CRLF */
    cw_str_init(&body, MAX_REQUEST);
    r = parse_head(c->in.p, head, c->number);
    if (!take_body(r, c->in.p + head + 2, c->in.n - head - 2, &body, &used)) {
        request_free(r);
        cw_str_done(&body);
        return;
    }
    r->body_len = body.n;
    r->body = cw_str_steal(&body);
    cw_str_consume(&c->in, head + 2 + used);
    record(c->peer, r);
    answer(c, r);
}

/* ---- libevent callbacks ---- */

static void on_read(struct bufferevent *bev, void *arg)
{
    struct evbuffer *buf = bufferevent_get_input(bev);
    size_t n = evbuffer_get_length(buf);
    struct conn *c = arg;
    char *to = cw_str_reserve(&c->in, n);

    if (!to)
        die("request too large");
    (void)evbuffer_remove(buf, to, n);
    cw_str_commit(&c->in, n);
    parse_input(c);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct conn *c = arg;

    (void)bev;
    if (c->close_when_sent)
        conn_free(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        conn_free(arg);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
                      void *arg)
{
    struct scripted_http *peer = arg;
    struct conn *c = cw_alloc(sizeof(*c));

    (void)l, (void)sa, (void)len;
    c->peer = peer;
    c->number = ++peer->accepted;
    c->bev = bufferevent_socket_new(cw_loop_base(peer->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev)
        die("no bufferevent");
    cw_str_init(&c->in, MAX_REQUEST);
    cw_str_init(&c->out, MAX_REQUEST);
    cw_timer_init(&c->delay, peer->loop, on_delay, c);
    cw_list_push_back(&peer->conns, &c->link);
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    (void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* ---- the peer ---- */

static void listen_on(struct scripted_http *peer, const struct sockaddr *sa, socklen_t len)
{
    peer->listener = evconnlistener_new_bind(
        cw_loop_base(peer->loop), on_accept, peer,
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 64, sa, (int)len);
    if (!peer->listener)
        die("cannot listen");
}

static void listen_tcp(struct scripted_http *peer)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);

    listen_on(peer, (struct sockaddr *)&in, sizeof(in));
    if (getsockname(evconnlistener_get_fd(peer->listener), (struct sockaddr *)&in, &len) != 0)
        die("getsockname failed");
    peer->port = ntohs(in.sin_port);
    (void)snprintf(peer->url, sizeof(peer->url), "http://127.0.0.1:%u", (unsigned)peer->port);
}

static void listen_unix(struct scripted_http *peer)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    (void)snprintf(peer->dir, sizeof(peer->dir), "/tmp/cw-test-XXXXXX");
    if (!mkdtemp(peer->dir))
        die("mkdtemp failed");
    (void)snprintf(peer->path, sizeof(peer->path), "%s/http.sock", peer->dir);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", peer->path);
    listen_on(peer, (struct sockaddr *)&un, sizeof(un));
    (void)snprintf(peer->url, sizeof(peer->url), "http://localhost");
}

struct scripted_http *scripted_http_new(struct cw_loop *loop, enum scripted_transport transport)
{
    struct scripted_http *peer = cw_alloc(sizeof(*peer));

    peer->loop = loop;
    cw_list_init(&peer->steps);
    cw_list_init(&peer->conns);
    if (transport == SCRIPTED_TCP)
        listen_tcp(peer);
    else
        listen_unix(peer);
    return peer;
}

static void step_free(struct step *s)
{
    free_text(s->what.method);
    free_text(s->what.path);
    free_text(s->what.headers);
    free_text(s->what.body);
    free_text(s->what.raw);
    free(s);
}

void scripted_http_free(struct scripted_http *peer)
{
    struct cw_link *n;

    if (!peer)
        return;
    scripted_http_drop(peer);
    while ((n = cw_list_pop_front(&peer->steps)))
        step_free(CW_LIST_ENTRY(n, struct step, link));
    for (size_t i = 0; i < peer->request_count; i++)
        request_free(peer->requests[i]);
    free(peer->requests);
    evconnlistener_free(peer->listener);
    if (peer->path[0]) {
        (void)unlink(peer->path);
        (void)rmdir(peer->dir);
    }
    free(peer);
}

const char *scripted_http_url(const struct scripted_http *peer)
{
    return peer->url;
}

uint16_t scripted_http_port(const struct scripted_http *peer)
{
    return peer->port;
}

const char *scripted_http_unix_path(const struct scripted_http *peer)
{
    return peer->path[0] ? peer->path : NULL;
}

void scripted_http_expect(struct scripted_http *peer, const struct scripted_step *step)
{
    struct step *s = cw_alloc(sizeof(*s));

    s->what = *step;
    if (step->body && !step->body_len)
        s->what.body_len = strlen(step->body);
    if (step->raw && !step->raw_len)
        s->what.raw_len = strlen(step->raw);
    s->what.method = cw_strdup(step->method);
    s->what.path = cw_strdup(step->path);
    s->what.headers = cw_strdup(step->headers);
    s->what.body = step->body ? cw_memdup(step->body, s->what.body_len) : NULL;
    s->what.raw = step->raw ? cw_memdup(step->raw, s->what.raw_len) : NULL;
    cw_list_push_back(&peer->steps, &s->link);
}

size_t scripted_http_count(const struct scripted_http *peer)
{
    return peer->request_count;
}

const struct scripted_request *scripted_http_request(const struct scripted_http *peer, size_t i)
{
    if (i >= peer->request_count)
        die("asked for a request that never came");
    return peer->requests[i];
}

const char *scripted_http_header(const struct scripted_request *req, const char *name, char *buf,
                                 size_t size)
{
    size_t n = strlen(name);

    for (const char *p = req->headers; *p;) {
        const char *eol = strstr(p, "\r\n");
        struct cw_slice value;

        if (!eol)
            return NULL;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            value = cw_slice_trim(cw_slice(p + n + 1, (size_t)(eol - p) - n - 1));
            (void)snprintf(buf, size, "%.*s", (int)value.n, value.p);
            return buf;
        }
        p = eol + 2;
    }
    return NULL;
}

size_t scripted_http_unexpected(const struct scripted_http *peer)
{
    return peer->unexpected;
}

size_t scripted_http_unused(const struct scripted_http *peer)
{
    size_t count = 0;

    CW_LIST_EACH (&peer->steps, n) {
        const struct step *s = CW_LIST_ENTRY(n, struct step, link);

        count += !s->used && !s->what.repeat;
    }
    return count;
}

unsigned scripted_http_accepted(const struct scripted_http *peer)
{
    return peer->accepted;
}

size_t scripted_http_open(const struct scripted_http *peer)
{
    return peer->conns.count;
}

size_t scripted_http_push(struct scripted_http *peer, const void *p, size_t n)
{
    size_t count = 0;

    CW_LIST_EACH (&peer->conns, link) {
        struct conn *c = CW_LIST_ENTRY(link, struct conn, link);

        if (!c->streaming)
            continue;
        cw_str_reset(&c->out);
        add_chunk(&c->out, p, n);
        conn_write(c, c->out.n);
        count++;
    }
    return count;
}

void scripted_http_finish(struct scripted_http *peer)
{
    CW_LIST_EACH (&peer->conns, link) {
        struct conn *c = CW_LIST_ENTRY(link, struct conn, link);

        if (!c->streaming)
            continue;
        cw_str_reset(&c->out);
        cw_str_addz(&c->out, "0\r\n\r\n");
        conn_write(c, c->out.n);
        c->streaming = c->busy = false;
        parse_input(c);
    }
}

void scripted_http_drop(struct scripted_http *peer)
{
    CW_LIST_EACH (&peer->conns, link) {
        conn_free(CW_LIST_ENTRY(link, struct conn, link));
    }
}
