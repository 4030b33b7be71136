/* A call owns a connection from its first moment to its end, also while there is no socket yet
 * (connect waits for a retry) or no more (a failure waits to be reported): so there is one place
 * for the timer and one for the state. An idle connection keeps its read event armed, which closes
 * it as soon as the container does; together with a last look before it is used again that makes a
 * request on a dead connection as rare as it can be. What is left of the race ends as NO_ANSWER.
 *
 * The quick path, a call on an idle connection, is: recv(MSG_PEEK), sendmsg, epoll_wait, recv; no
 * event is added to or taken from epoll.
 *
 * Every failure is reported from the timer, in a later turn, so that it does not matter whether it
 * was met inside cw_action_post. Functions that may call fn do it as their last step, because fn
 * may cancel calls or free the client. */
#include "common/http/action_client.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/http/http_response.h"
#include "common/loop/loop.h"

enum {
    HEAD_MAX = 384,       /* of the request, with room for the longest address and path */
    PATH_MAX_LEN = 100,   /* callers use "/init" and "/run" */
    IOV_BATCH = 16,       /* pieces per sendmsg */
    READ_SIZE = 64 << 10, /* on the stack: all containers together need only one */
    READ_BUDGET = 16,     /* reads per wake-up, so that a huge answer lets others in */
    /* A peer that is gone (not one that is only busy: its kernel answers) is noticed while an
     * answer is awaited. Probes are not sent while bytes of the request are unacknowledged: for
     * those there is TCP_USER_TIMEOUT. That would also limit how long a request may lie unread by a
     * busy action where it fills the receiver's window, so only what is well below any window has
     * it. */
    KEEPALIVE_IDLE_S = 5,
    KEEPALIVE_STEP_S = 2,
    KEEPALIVE_PROBES = 3,
    VANISHED_MS = (KEEPALIVE_IDLE_S + KEEPALIVE_STEP_S * KEEPALIVE_PROBES) * 1000,
    SMALL_REQUEST_BYTES = 16 << 10,
};

#define TIMEOUT_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)
/* The first packet to a container that has just begun can get lost (the bridge does not know it
 * yet), and the kernel sends the next one only after a second. So where connecting is tried again
 * the first attempts are short, each twice as long as the one before. */
#define FIRST_ATTEMPT_US (INT64_C(50) * 1000)
#define ATTEMPT_DOUBLINGS 10
#define RETRY_FRACTION 32
#define RETRY_MAX_US (INT64_C(50) * 1000) /* stock's */

/* Servers close connections that idle (Node's after 5 s); a request that meets the closing would be
 * lost, so a connection is not used again after well under that. */
#define IDLE_MAX_US (INT64_C(2) * 1000 * 1000)
/* One that closes so soon after an answer that promised to keep the connection will do so again,
 * and some day in the very moment of the next request. */
#define SOON_US (INT64_C(1) * 1000 * 1000)

enum conn_state {
    CONN_IDLE,       /* no call; read event armed */
    CONN_RETRY,      /* no socket; the timer will connect again */
    CONN_CONNECTING, /* write event armed */
    CONN_EXCHANGE,   /* read event armed; write event while the request does not fit */
    CONN_FAILED,     /* no socket; the timer will report (of a probe also its success) */
};

struct conn {
    struct cw_link link; /* client->idle when CONN_IDLE, otherwise client->busy */
    struct cw_action_client *client;
    struct cw_action_call *call; /* NULL when idle */
    enum conn_state state;
    int fd;              /* -1: none */
    unsigned silence_ms; /* TCP_USER_TIMEOUT; 0: none */
    bool reused;
    int64_t idle_since_us, connect_by_us; /* monotonic */
    struct event read_ev, write_ev;       /* initialised while there is a socket */
    struct cw_timer timer;
    struct cw_http_response resp;
};

struct cw_action_call {
    struct conn *conn;
    bool probe; /* to be connected is all */
    bool connected;
    cw_action_fn *fn;
    void *arg;
    size_t max_response, truncate_to;
    int64_t timeout_ms, patience_ms, retry_connect_ms, connect_within_ms;
    int64_t start_us, end_us, deadline_us; /* monotonic */
    int64_t written_us;                    /* monotonic; 0: not all is sent */
    int64_t start_ms, end_ms;              /* wall */
    enum cw_action_outcome outcome;        /* valid in CONN_FAILED */
    char why[sizeof(((struct cw_action_reply *)0)->why)];
    int connect_errno; /* of the last attempt that failed */
    unsigned attempts; /* to connect */
    size_t sent, total;
    size_t piece_count, next_piece; /* pieces before next_piece are sent */
    char head[HEAD_MAX];
    struct cw_slice pieces[]; /* the head, then the body; shrunk as they are sent */
};

struct cw_action_client {
    struct cw_loop *loop;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    unsigned max_idle;
    struct cw_list idle, busy; /* struct conn; idle: last used first */
    char host[128];            /* "addr:port" for the Host header */
};

static void connect_now(struct conn *conn);

/* --- connections -------------------------------------------------------------------------- */

static struct cw_list *list_of(struct conn *conn)
{
    return conn->state == CONN_IDLE ? &conn->client->idle : &conn->client->busy;
}

static void close_socket(struct conn *conn)
{
    if (conn->fd < 0)
        return;
    (void)event_del(&conn->read_ev);
    (void)event_del(&conn->write_ev);
    (void)close(conn->fd);
    conn->fd = -1;
}

static void conn_free(struct conn *conn)
{
    cw_list_remove(list_of(conn), &conn->link);
    close_socket(conn);
    cw_timer_done(&conn->timer);
    cw_http_response_done(&conn->resp);
    free(conn->call);
    free(conn);
}

static void make_idle(struct conn *conn)
{
    struct cw_action_client *c = conn->client;

    cw_timer_stop(&conn->timer);
    cw_list_remove(&c->busy, &conn->link);
    conn->state = CONN_IDLE;
    conn->idle_since_us = cw_loop_mono_us(c->loop);
    conn->reused = true;
    cw_list_push_front(&c->idle, &conn->link);
}

/* The container closed it, or said something that nobody asked for. */
static void idle_ended(struct conn *conn)
{
    struct cw_action_client *c = conn->client;

    if (cw_loop_mono_us(c->loop) - conn->idle_since_us < SOON_US)
        c->max_idle = 0; /* from now on a connection for each request, as stock does always */
    conn_free(conn);
}

/* --- the end of a call -------------------------------------------------------------------- */

static void note_end(struct cw_action_call *call, struct cw_loop *loop)
{
    call->end_us = cw_loop_mono_us(loop);
    call->end_ms = cw_loop_wall_ms(loop);
}

/* Where the exchange stands, for the log. */
static void describe_wait(const struct conn *conn, char *buf, size_t size)
{
    const struct cw_action_call *call = conn->call;

    if (call->sent == 0 && call->connect_errno)
        (void)snprintf(buf, size, "connecting: %s", strerror(call->connect_errno));
    else if (call->sent == 0)
        (void)snprintf(buf, size, "connecting");
    else if (call->sent < call->total)
        (void)snprintf(buf, size, "%zu of %zu request bytes sent", call->sent, call->total);
    else if (conn->resp.state == CW_HTTP_BODY)
        (void)snprintf(buf, size, "%lld of %lld body bytes read", (long long)conn->resp.body_read,
                       (long long)conn->resp.content_length);
    else
        (void)snprintf(buf, size, "request sent, no complete header block");
}

static void fill_timeout(struct conn *conn)
{
    struct cw_action_call *call = conn->call;
    long long limit_ms = call->timeout_ms;
    char where[80];

    if (!call->connected)
        limit_ms += call->patience_ms;
    describe_wait(conn, where, sizeof(where));
    call->outcome = CW_ACTION_TIMEOUT;
    (void)snprintf(call->why, sizeof(call->why), "no answer within %lld ms (%s)", limit_ms, where);
}

/* Takes the call off conn and tells its owner. conn may be gone afterwards, and the client too. */
static void report(struct conn *conn, struct cw_action_reply *reply, bool keep)
{
    struct cw_action_client *c = conn->client;
    struct cw_action_call *call = conn->call;
    cw_action_fn *fn = call->fn;
    void *arg = call->arg;
    cw_auto_free char *body = NULL;

    if (reply->outcome == CW_ACTION_ANSWERED) {
        reply->body.n = conn->resp.body.n;
        reply->body.p = body = cw_str_steal(&conn->resp.body);
    }
    reply->start_ms = call->start_ms;
    reply->end_ms = call->end_ms;
    reply->elapsed_us = call->end_us - call->start_us;
    reply->written_us = call->written_us;
    reply->read_us = call->end_us;
    conn->call = NULL;
    free(call);
    /* Before fn: the next request, from inside fn, shall find the connection. A runtime that serves
     * one connection at a time would never get to a second one. */
    if (keep && c->idle.count < c->max_idle)
        make_idle(conn);
    else
        conn_free(conn);
    fn(arg, reply);
}

static void report_failure(struct conn *conn)
{
    struct cw_action_reply reply = {.outcome = conn->call->outcome, .content_length = -1};

    memcpy(reply.why, conn->call->why, sizeof(reply.why));
    report(conn, &reply, false);
}

static void fail(struct conn *conn, enum cw_action_outcome outcome, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Closes the socket and reports in a later turn. A failure at or after the deadline is a timeout.
 */
static void fail(struct conn *conn, enum cw_action_outcome outcome, const char *fmt, ...)
{
    struct cw_action_call *call = conn->call;
    va_list ap;

    note_end(call, conn->client->loop);
    if (call->end_us >= call->deadline_us) {
        fill_timeout(conn);
    } else {
        call->outcome = outcome;
        va_start(ap, fmt);
        (void)vsnprintf(call->why, sizeof(call->why), fmt, ap);
        va_end(ap);
    }
    close_socket(conn);
    conn->state = CONN_FAILED;
    cw_timer_set_us(&conn->timer, 0);
}

static void answered(struct conn *conn, bool nothing_behind)
{
    struct cw_action_call *call = conn->call;
    const struct cw_http_response *resp = &conn->resp;
    struct cw_action_reply reply = {.outcome = CW_ACTION_ANSWERED,
                                    .status = resp->status,
                                    .truncated = resp->truncated,
                                    .content_length = resp->content_length};
    /* An answer to a request that was not taken whole: the rest of it would be in the way. */
    bool keep = resp->keep_alive && nothing_behind && call->sent == call->total;

    note_end(call, conn->client->loop);
    if (call->end_us >= call->deadline_us) {
        fill_timeout(conn);
        close_socket(conn);
        report_failure(conn);
        return;
    }
    report(conn, &reply, keep);
}

/* The connection is of no use any more; sys_errno 0: end of file. */
static void lost(struct conn *conn, int sys_errno)
{
    struct cw_action_call *call = conn->call;
    const char *how = sys_errno ? strerror(sys_errno) : "closed by the container";
    char where[80];

    if (call->sent == 0 && conn->reused) { /* nothing of this request has left */
        close_socket(conn);
        connect_now(conn);
    } else if (call->sent == 0) {
        fail(conn, CW_ACTION_REFUSED, "connection lost before the request was sent: %s", how);
    } else {
        describe_wait(conn, where, sizeof(where));
        fail(conn, CW_ACTION_NO_ANSWER, "%s (%s)", how, where);
    }
}

/* --- the request -------------------------------------------------------------------------- */

static void count_sent(struct cw_action_call *call, size_t n)
{
    call->sent += n;
    while (call->next_piece < call->piece_count) {
        struct cw_slice *piece = &call->pieces[call->next_piece];

        if (n < piece->n) {
            piece->p += n;
            piece->n -= n;
            return;
        }
        n -= piece->n;
        call->next_piece++;
    }
}

static ssize_t send_pieces(int fd, const struct cw_action_call *call)
{
    struct iovec iov[IOV_BATCH];
    struct msghdr msg = {.msg_iov = iov};

    for (size_t i = call->next_piece; i < call->piece_count && msg.msg_iovlen < IOV_BATCH; i++) {
        struct iovec *v = &iov[msg.msg_iovlen++];

        memcpy(&v->iov_base, &call->pieces[i].p, sizeof(v->iov_base)); /* iovec has no const */
        v->iov_len = call->pieces[i].n;
    }
    return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void write_failed(struct conn *conn, int sys_errno)
{
    if (conn->call->sent > 0 && (sys_errno == EPIPE || sys_errno == ECONNRESET)) {
        /* The container hung up on a request that it did not want whole, perhaps after an answer
         * that waits to be read: the read event comes in any case. */
        (void)event_del(&conn->write_ev);
        return;
    }
    lost(conn, sys_errno);
}

/* Sends what the socket takes; the write event is armed only while something is left. */
static void limit_silence(struct conn *conn)
{
    unsigned ms = conn->call->total <= SMALL_REQUEST_BYTES ? VANISHED_MS : 0;

    if (ms != conn->silence_ms)
        (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    conn->silence_ms = ms;
}

static void send_more(struct conn *conn)
{
    struct cw_action_call *call = conn->call;
    ssize_t n;

    if (call->sent == 0)
        limit_silence(conn);
    n = send_pieces(conn->fd, call);

    conn->state = CONN_EXCHANGE;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        write_failed(conn, errno);
        return;
    }
    if (n > 0)
        count_sent(call, (size_t)n);
    if (call->sent < call->total) {
        (void)event_add(&conn->write_ev, NULL);
    } else {
        call->written_us = cw_loop_mono_us(conn->client->loop);
        (void)event_del(&conn->write_ev); /* no system call when it was not armed */
    }
}

/* --- connecting --------------------------------------------------------------------------- */

static int64_t left_us(const struct conn *conn)
{
    return conn->call->deadline_us - cw_loop_mono_us(conn->client->loop);
}

/* The longer nobody is there, the longer it may take: a little later is noticed by nobody, and many
 * containers that begin at once have the processors for themselves. */
static int64_t retry_after_us(const struct cw_action_call *call, int64_t left_us)
{
    int64_t first = call->retry_connect_ms * 1000;
    int64_t waited = call->deadline_us - left_us - call->start_us;
    int64_t longer = first + waited / RETRY_FRACTION;

    if (first <= 0 || first >= RETRY_MAX_US)
        return first;
    return longer < RETRY_MAX_US ? longer : RETRY_MAX_US;
}

static void connect_failed(struct conn *conn, int sys_errno)
{
    struct cw_action_call *call = conn->call;
    bool nobody_there =
        sys_errno == ECONNREFUSED || sys_errno == EHOSTUNREACH || sys_errno == ENETUNREACH;
    int64_t left = left_us(conn), wait_us = retry_after_us(call, left);

    call->connect_errno = sys_errno;
    if (!nobody_there || wait_us <= 0) {
        fail(conn, nobody_there ? CW_ACTION_REFUSED : CW_ACTION_NOT_SENT, "connect: %s",
             strerror(sys_errno));
        return;
    }
    close_socket(conn);
    conn->state = CONN_RETRY;
    cw_timer_set_us(&conn->timer, wait_us < left ? wait_us : left);
}

/* A port of the ephemeral range where nobody listens can be connected to itself. */
static bool connected_to_itself(const struct conn *conn)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof(own);

    return getsockname(conn->fd, (struct sockaddr *)&own, &len) == 0 &&
           len == conn->client->addr_len && memcmp(&own, &conn->client->addr, len) == 0;
}

/* From here on its time limit counts: from its begin, or from now when that would be over. */
static void end_patience(struct conn *conn)
{
    struct cw_action_call *call = conn->call;
    int64_t now = cw_loop_mono_us(conn->client->loop);

    call->connected = true;
    if (now >= call->start_us + call->timeout_ms * 1000 && call->patience_ms > 0) {
        call->start_us = now;
        call->start_ms = cw_loop_wall_ms(conn->client->loop);
    }
    call->deadline_us = call->start_us + call->timeout_ms * 1000;
}

static void on_connected(struct conn *conn)
{
    int e = 0;
    socklen_t len = sizeof(e);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
        e = errno;
    if (!e && connected_to_itself(conn))
        e = ECONNREFUSED;
    if (e) {
        connect_failed(conn, e);
        return;
    }
    if (conn->call->probe) {
        fail(conn, CW_ACTION_ANSWERED, "connected");
        return;
    }
    end_patience(conn);
    cw_timer_set_us(&conn->timer, left_us(conn));
    (void)event_add(&conn->read_ev, NULL);
    send_more(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;

    (void)fd, (void)what;
    cw_loop_mark(conn->client->loop, CW_CALLEE("socket", on_writable));
    if (conn->state == CONN_CONNECTING)
        on_connected(conn);
    else
        send_more(conn);
}

/* A server that writes head and body apart with Nagle's algorithm on (Python's gevent, for one)
 * waits for our acknowledgement of the first before it sends the second: 40 ms on a kept
 * connection. */
static void acknowledge_at_once(int fd)
{
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

/* --- the answer --------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    char buf[READ_SIZE];
    size_t used;
    ssize_t n;

    (void)what;
    cw_loop_mark(conn->client->loop, CW_CALLEE("socket", on_readable));
    if (conn->state == CONN_IDLE) {
        idle_ended(conn);
        return;
    }
    for (int i = 0; i < READ_BUDGET; i++) {
        n = recv(fd, buf, sizeof(buf), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || conn->call->sent == 0) { /* or an answer to a request that nobody sent */
            lost(conn, n < 0 ? errno : 0);
            return;
        }
        used = cw_http_response_feed(&conn->resp, buf, (size_t)n);
        if (conn->resp.state == CW_HTTP_DONE) {
            answered(conn, used == (size_t)n);
            return;
        }
        if (conn->resp.state == CW_HTTP_BAD) {
            fail(conn, CW_ACTION_NO_ANSWER, "bad answer: %s", conn->resp.why);
            return;
        }
        if ((size_t)n < sizeof(buf)) {
            acknowledge_at_once(fd);
            return;
        }
    }
}

/* The timer ends the attempt, or the whole call if that comes first. */
static void limit_connect(struct conn *conn)
{
    struct cw_action_call *call = conn->call;
    int64_t left = left_us(conn), within = call->connect_within_ms * 1000;
    int64_t brief = FIRST_ATTEMPT_US << call->attempts;

    if (call->attempts < ATTEMPT_DOUBLINGS)
        call->attempts++;
    if (call->retry_connect_ms > 0 && brief < within)
        within = brief;
    if (within <= 0 || within > left)
        within = left;
    conn->connect_by_us = cw_loop_mono_us(conn->client->loop) + within;
    cw_timer_set_us(&conn->timer, within);
}

static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } OPTIONS[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_STEP_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(OPTIONS); i++)
        (void)setsockopt(fd, OPTIONS[i].level, OPTIONS[i].name, &OPTIONS[i].value,
                         sizeof(OPTIONS[i].value));
}

static void connect_now(struct conn *conn)
{
    struct cw_action_client *c = conn->client;
    struct event_base *base = cw_loop_base(c->loop);

    conn->reused = false;
    conn->silence_ms = 0;
    cw_http_response_begin(&conn->resp, conn->call->max_response, conn->call->truncate_to);
    limit_connect(conn);
    conn->fd = socket(c->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        fail(conn, CW_ACTION_NOT_SENT, "socket: %s", strerror(errno));
        return;
    }
    set_options(conn->fd);
    (void)event_assign(&conn->read_ev, base, conn->fd, EV_READ | EV_PERSIST, on_readable, conn);
    (void)event_assign(&conn->write_ev, base, conn->fd, EV_WRITE | EV_PERSIST, on_writable, conn);
    conn->state = CONN_CONNECTING;
    if (connect(conn->fd, (struct sockaddr *)&c->addr, c->addr_len) == 0 || errno == EINPROGRESS)
        (void)event_add(&conn->write_ev, NULL);
    else
        connect_failed(conn, errno);
}

/* --- calls -------------------------------------------------------------------------------- */

static void on_timer(void *arg)
{
    struct conn *conn = arg;
    int64_t left;

    if (conn->state == CONN_FAILED) {
        report_failure(conn);
        return;
    }
    left = left_us(conn);
    if (left <= 0) {
        note_end(conn->call, conn->client->loop);
        fill_timeout(conn);
        close_socket(conn);
        report_failure(conn);
    } else if (conn->state == CONN_RETRY) {
        connect_now(conn);
    } else if (conn->state == CONN_CONNECTING &&
               cw_loop_mono_us(conn->client->loop) >= conn->connect_by_us) {
        connect_failed(conn, EHOSTUNREACH);
    } else {
        cw_timer_set_us(&conn->timer, left); /* the loop's clock is a little behind ours */
    }
}

static struct conn *conn_new(struct cw_action_client *c)
{
    struct conn *conn = cw_alloc(sizeof(*conn));

    conn->client = c;
    conn->fd = -1;
    conn->state = CONN_CONNECTING;
    cw_timer_init(&conn->timer, c->loop, on_timer, conn);
    cw_http_response_init(&conn->resp);
    cw_list_push_back(&c->busy, &conn->link);
    return conn;
}

/* Open and silent, as it must be before a request. */
static bool is_usable(const struct conn *conn)
{
    char byte;

    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* The idle connection used last, or a new one without a socket. */
static struct conn *take_conn(struct cw_action_client *c)
{
    struct cw_link *first;

    while ((first = cw_list_first(&c->idle))) {
        struct conn *conn = CW_LIST_ENTRY(first, struct conn, link);

        if (cw_loop_mono_us(c->loop) - conn->idle_since_us >= IDLE_MAX_US) {
            conn_free(conn);
        } else if (!is_usable(conn)) {
            idle_ended(conn);
        } else {
            cw_list_remove(&c->idle, &conn->link);
            conn->state = CONN_EXCHANGE;
            cw_list_push_back(&c->busy, &conn->link);
            return conn;
        }
    }
    return conn_new(c);
}

static void write_head(const struct cw_action_client *c, struct cw_action_call *call,
                       const char *path, size_t body_len)
{
    int n = snprintf(call->head, sizeof(call->head),
                     "POST %s HTTP/1.1\r\n"
                     "Host: %s\r\n"
                     "Accept: application/json\r\n"
                     "Content-Type: application/json\r\n"
                     "Content-Length: %zu\r\n"
                     "Connection: %s\r\n"
                     "User-Agent: cwhisk\r\n"
                     "\r\n",
                     path, c->host, body_len, c->max_idle ? "keep-alive" : "close");

    assert(n > 0 && (size_t)n < sizeof(call->head));
    call->pieces[0] = cw_slice(call->head, (size_t)n);
}

static struct cw_action_call *call_new(const struct cw_action_client *c,
                                       const struct cw_action_request *req, cw_action_fn *fn,
                                       void *arg)
{
    size_t count = req->body_pieces + 1, body_len = 0;
    struct cw_action_call *call = cw_alloc(sizeof(*call) + count * sizeof(call->pieces[0]));
    int64_t timeout_ms = req->timeout_ms < TIMEOUT_MAX_MS ? req->timeout_ms : TIMEOUT_MAX_MS;

    call->fn = fn;
    call->arg = arg;
    call->max_response = req->max_response;
    call->truncate_to = req->truncate_to;
    call->timeout_ms = timeout_ms;
    call->retry_connect_ms =
        req->retry_connect_ms < TIMEOUT_MAX_MS ? req->retry_connect_ms : TIMEOUT_MAX_MS;
    call->connect_within_ms =
        req->connect_within_ms < TIMEOUT_MAX_MS ? req->connect_within_ms : TIMEOUT_MAX_MS;
    call->start_ms = cw_loop_wall_ms(c->loop);
    call->start_us = cw_loop_mono_us(c->loop);
    call->patience_ms =
        req->patience_ms < TIMEOUT_MAX_MS - timeout_ms ? req->patience_ms : 0; /* as good as none */
    call->deadline_us =
        call->start_us + (timeout_ms > 0 ? (timeout_ms + call->patience_ms) * 1000 : 0);
    call->piece_count = count;
    for (size_t i = 0; i < req->body_pieces; i++) {
        call->pieces[i + 1] = req->body[i];
        body_len += req->body[i].n;
    }
    write_head(c, call, req->path, body_len);
    call->total = call->pieces[0].n + body_len;
    return call;
}

struct cw_action_call *cw_action_post(struct cw_action_client *c,
                                      const struct cw_action_request *req, cw_action_fn *fn,
                                      void *arg)
{
    struct cw_action_call *call;
    struct conn *conn;

    assert(strlen(req->path) <= PATH_MAX_LEN);
    call = call_new(c, req, fn, arg);
    conn = take_conn(c);
    conn->call = call;
    call->conn = conn;
    if (req->timeout_ms <= 0) {
        fail(conn, CW_ACTION_TIMEOUT, "no time left");
    } else if (conn->fd < 0) {
        connect_now(conn);
    } else {
        cw_http_response_begin(&conn->resp, call->max_response, call->truncate_to);
        end_patience(conn);
        cw_timer_set_ms(&conn->timer, call->timeout_ms);
        send_more(conn);
    }
    return call;
}

bool cw_action_is_connected(const struct cw_action_call *call)
{
    return call->connected;
}

struct cw_action_call *cw_action_probe(struct cw_action_client *c, int64_t within_ms,
                                       cw_action_fn *fn, void *arg)
{
    const struct cw_action_request req = {.path = "", .timeout_ms = within_ms};
    struct cw_action_call *call = call_new(c, &req, fn, arg);
    struct conn *conn = conn_new(c);

    call->probe = true;
    conn->call = call;
    call->conn = conn;
    connect_now(conn);
    return call;
}

void cw_action_abort(struct cw_action_call *call, const char *why)
{
    if (call->conn->state != CONN_FAILED)
        fail(call->conn, call->sent ? CW_ACTION_NO_ANSWER : CW_ACTION_REFUSED, "%s", why);
}

void cw_action_cancel(struct cw_action_call *call)
{
    conn_free(call->conn);
}

/* --- the client --------------------------------------------------------------------------- */

struct cw_action_client *cw_action_client_new(struct cw_loop *loop, const char *addr, uint16_t port,
                                              unsigned max_idle, struct cw_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
                    *info = NULL;
    struct cw_action_client *c;
    char service[8];

    (void)snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (port == 0 || getaddrinfo(addr, service, &hints, &info) != 0) {
        (void)cw_fail(err, CW_INVALID,
                      "action client: '%s' port %u: expected a numeric IPv4 or IPv6 address and a "
                      "port 1..65535",
                      addr, (unsigned)port);
        return NULL;
    }
    c = cw_alloc(sizeof(*c));
    c->loop = loop;
    c->max_idle = max_idle;
    memcpy(&c->addr, info->ai_addr, info->ai_addrlen);
    c->addr_len = info->ai_addrlen;
    (void)snprintf(c->host, sizeof(c->host), info->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
                   addr, service);
    freeaddrinfo(info);
    cw_list_init(&c->idle);
    cw_list_init(&c->busy);
    return c;
}

void cw_action_client_keep(struct cw_action_client *c, unsigned max_idle)
{
    c->max_idle = max_idle;
}

static void free_all(struct cw_list *list)
{
    struct cw_link *first;

    while ((first = cw_list_first(list)))
        conn_free(CW_LIST_ENTRY(first, struct conn, link));
}

void cw_action_client_close_idle(struct cw_action_client *c)
{
    free_all(&c->idle);
}

void cw_action_client_free(struct cw_action_client *c)
{
    if (!c)
        return;
    free_all(&c->idle);
    free_all(&c->busy);
    free(c);
}
