/* Whatever a server behind the client of stores and engines sends and whenever it hangs up: each
 * call ends exactly once, with an answer within its limit or with an error of one line; a stream
 * brings no byte after its end.
 *
 * Input: how the peer ends its connections and what is asked, seed of the pieces, then its answers,
 * one for each request, separated by 0x1e. */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIX = 2, CALLS = 2, MAX_BODY = 64, TIMEOUT_MS = 5, PATIENCE_MS = 5000, PEERS = 8 };

struct world {
    struct cw_loop *loop;
    struct cw_http *http;
    int listener, conn[PEERS]; /* -1: none */
    struct cw_watch accept_watch, conn_watch[PEERS];
    struct peer {
        struct world *w;
        int i;
    } peers[PEERS];
    bool hang_up, stream;
    uint32_t seed;
    struct cw_slice script;
    unsigned begun, replies;
    size_t streamed;
};

static void hang_up(struct world *w, int i)
{
    if (w->conn[i] < 0)
        return;
    cw_watch_done(&w->conn_watch[i]);
    close(w->conn[i]);
    w->conn[i] = -1;
}

static struct cw_slice next_answer(struct world *w)
{
    const char *sep = w->script.n ? memchr(w->script.p, 0x1e, w->script.n) : NULL;
    size_t n = sep ? (size_t)(sep - w->script.p) : w->script.n;
    struct cw_slice answer = cw_slice(w->script.p, n);

    w->script = cw_slice(w->script.p + n + (sep != NULL), w->script.n - n - (sep != NULL));
    return answer;
}

static void send_in_pieces(struct world *w, int fd, struct cw_slice s)
{
    while (s.n > 0) {
        size_t n = 1 + ((w->seed = w->seed * 1664525 + 1013904223) >> 24);
        ssize_t sent = send(fd, s.p, n < s.n ? n : s.n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent <= 0)
            return;
        s = cw_slice(s.p + sent, s.n - (size_t)sent);
    }
}

static void on_conn(void *arg)
{
    struct peer *p = arg;
    struct world *w = p->w;
    char buf[4096];
    ssize_t n = recv(w->conn[p->i], buf, sizeof(buf), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        hang_up(w, p->i);
        return;
    }
    send_in_pieces(w, w->conn[p->i], next_answer(w));
    if (w->hang_up)
        hang_up(w, p->i);
}

static void on_accept(void *arg)
{
    struct world *w = arg;
    int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);

    for (int i = 0; fd >= 0 && i < PEERS; i++) {
        if (w->conn[i] >= 0)
            continue;
        w->conn[i] = fd;
        w->peers[i] = (struct peer){w, i};
        cw_watch_read(&w->conn_watch[i], w->loop, fd, on_conn, &w->peers[i]);
        return;
    }
    if (fd >= 0)
        close(fd);
}

static uint16_t world_init(struct world *w)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    for (int i = 0; i < PEERS; i++)
        w->conn[i] = -1;
    w->loop = cw_loop_new(NULL, NULL);
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(w->loop && w->listener >= 0);
    require(bind(w->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    require(listen(w->listener, 8) == 0);
    require(getsockname(w->listener, (struct sockaddr *)&addr, &len) == 0);
    cw_watch_read(&w->accept_watch, w->loop, w->listener, on_accept, w);
    w->http = cw_http_new(w->loop, &(struct cw_http_conf){0}, NULL);
    require(w->http != NULL);
    return ntohs(addr.sin_port);
}

static void world_done(struct world *w)
{
    cw_http_free(w->http);
    for (int i = 0; i < PEERS; i++)
        hang_up(w, i);
    cw_watch_done(&w->accept_watch);
    close(w->listener);
    cw_loop_free(w->loop);
}

static void on_data(void *arg, struct cw_slice piece)
{
    struct world *w = arg;

    require(w->replies < w->begun && piece.n > 0);
    w->streamed += piece.n;
}

static void on_reply(void *arg, const struct cw_http_reply *reply, const struct cw_err *err)
{
    struct world *w = arg;

    w->replies++;
    require(w->replies == w->begun && !reply == !!err);
    if (err) {
        require(err->code != CW_OK && err->msg[0] && !strchr(err->msg, '\n'));
        return;
    }
    require(reply->status >= 100 && reply->status <= 999 && reply->body.n <= MAX_BODY);
    require(!(w->stream && reply->status >= 200 && reply->status < 300 && reply->body.n));
}

static bool replied(void *arg)
{
    struct world *w = arg;

    return w->replies == w->begun;
}

static void call_once(struct world *w, uint16_t port)
{
    char url[64];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", (unsigned)port);
    w->begun++;
    (void)cw_http_send(w->http,
                       &(struct cw_http_request){.method = "GET",
                                                 .url = url,
                                                 .timeout_ms = TIMEOUT_MS,
                                                 .max_body = MAX_BODY,
                                                 .on_data = w->stream ? on_data : NULL},
                       on_reply, w);
    require(cw_loop_run_until(w->loop, replied, w, PATIENCE_MS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    uint16_t port;

    if (size <= PREFIX)
        return 0;
    w.hang_up = data[0] & 1;
    w.stream = data[0] & 2;
    w.seed = data[1];
    w.script = cw_slice((const char *)data + PREFIX, size - PREFIX);
    port = world_init(&w);
    for (int i = 0; i < CALLS; i++)
        call_once(&w, port);
    world_done(&w);
    return 0;
}
