/* Whatever a container sends and whenever it hangs up: each call gets exactly one reply, no request
 * is sent twice, limits hold, and nothing is left behind.
 *
 * Input: how the peer ends its connections, seed of the pieces in which it sends, then its answers,
 * one for each request, separated by 0x1e. The peer runs on the same loop. */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/str.h"
#include "common/http/action_client.h"
#include "common/loop/loop.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    PREFIX = 2,
    CALLS = 3,
    MAX_RESPONSE = 64,
    TRUNCATE_TO = 16,
    TIMEOUT_MS = 5,
    PATIENCE_MS = 5000,
};

enum ending { END_STAY_OPEN, END_FIN, END_RST, END_COUNT };

struct world {
    struct cw_loop *loop;
    struct cw_action_client *client;
    int listener, conn; /* conn -1: none */
    struct cw_watch accept_watch, conn_watch;
    enum ending ending;
    uint32_t seed;
    struct cw_slice script; /* what is left of it */
    unsigned begun, replies, posts_seen;
};

static void hang_up(struct world *w, bool reset)
{
    struct linger rst = {.l_onoff = 1};

    if (w->conn < 0)
        return;
    if (reset)
        (void)setsockopt(w->conn, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
    cw_watch_done(&w->conn_watch);
    close(w->conn);
    w->conn = -1;
}

static struct cw_slice next_answer(struct world *w)
{
    const char *sep = w->script.n ? memchr(w->script.p, 0x1e, w->script.n) : NULL;
    struct cw_slice answer = w->script;

    if (sep)
        answer.n = (size_t)(sep - answer.p);
    w->script =
        cw_slice(answer.p + answer.n + (sep != NULL), w->script.n - answer.n - (sep != NULL));
    return answer;
}

static void send_in_pieces(struct world *w, struct cw_slice s)
{
    while (s.n > 0) {
        size_t n = 1 + ((w->seed = w->seed * 1664525 + 1013904223) >> 26);
        ssize_t sent = send(w->conn, s.p, n < s.n ? n : s.n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent <= 0)
            return;
        s.p += sent;
        s.n -= (size_t)sent;
    }
}

/* The body is the end of a request; requests are small and come whole. */
static unsigned count_posts(const char *p, size_t n)
{
    unsigned count = 0;

    for (const char *end = p + n; (p = memmem(p, (size_t)(end - p), "POST /run ", 10)); p++)
        count++;
    return count;
}

static void on_conn(void *arg)
{
    struct world *w = arg;
    char buf[4096];
    ssize_t n = recv(w->conn, buf, sizeof(buf), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        hang_up(w, false);
        return;
    }
    require(count_posts(buf, (size_t)n) == 1);
    w->posts_seen++;
    require(w->posts_seen <= w->begun);
    send_in_pieces(w, next_answer(w));
    if (w->ending != END_STAY_OPEN)
        hang_up(w, w->ending == END_RST);
}

static void on_accept(void *arg)
{
    struct world *w = arg;
    int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    hang_up(w, true); /* the client has only one call at a time: it gave the old one up */
    w->conn = fd;
    cw_watch_read(&w->conn_watch, w->loop, fd, on_conn, w);
}

static void world_init(struct world *w)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    w->conn = -1;
    w->loop = cw_loop_new(NULL, NULL);
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(w->loop && w->listener >= 0);
    require(bind(w->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    require(listen(w->listener, 8) == 0);
    require(getsockname(w->listener, (struct sockaddr *)&addr, &len) == 0);
    cw_watch_read(&w->accept_watch, w->loop, w->listener, on_accept, w);
    w->client = cw_action_client_new(w->loop, "127.0.0.1", ntohs(addr.sin_port), 1, NULL);
    require(w->client != NULL);
}

static void world_done(struct world *w)
{
    hang_up(w, true);
    cw_action_client_free(w->client);
    cw_watch_done(&w->accept_watch);
    close(w->listener);
    cw_loop_free(w->loop);
}

static void on_reply(void *arg, const struct cw_action_reply *reply)
{
    struct world *w = arg;

    w->replies++;
    require(w->replies == w->begun);
    if (reply->outcome != CW_ACTION_ANSWERED) {
        require(reply->why[0] != '\0' && reply->body.n == 0);
        return;
    }
    require(reply->why[0] == '\0' && reply->status >= 200);
    require(reply->elapsed_us < TIMEOUT_MS * 1000);
    require(reply->truncated == (reply->content_length > MAX_RESPONSE));
    require(reply->body.n <= (reply->truncated ? TRUNCATE_TO : MAX_RESPONSE));
    require(reply->truncated || (int64_t)reply->body.n == reply->content_length);
}

static bool replied(void *arg)
{
    struct world *w = arg;

    return w->replies == w->begun;
}

static void call_once(struct world *w)
{
    struct cw_slice body = CW_SLICE("{\"value\":{}}");
    struct cw_action_request req = {.path = "/run",
                                    .body = &body,
                                    .body_pieces = 1,
                                    .timeout_ms = TIMEOUT_MS,
                                    .max_response = MAX_RESPONSE,
                                    .truncate_to = TRUNCATE_TO};

    w->begun++;
    (void)cw_action_post(w->client, &req, on_reply, w);
    require(cw_loop_run_until(w->loop, replied, w, PATIENCE_MS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};

    if (size <= PREFIX)
        return 0;
    w.ending = data[0] % END_COUNT;
    w.seed = data[1];
    w.script = cw_slice((const char *)data + PREFIX, size - PREFIX);
    world_init(&w);
    for (int i = 0; i < CALLS; i++)
        call_once(&w);
    world_done(&w);
    return 0;
}
