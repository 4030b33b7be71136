/* Whatever a client of the administration server sends and however it is cut: the handler sees only
 * requests within the limits, the same ones for any cutting (but for the last ones, where it has
 * closed its side), each gets its answer, and the next client is served.
 *
 * Input: seed of the pieces, whether answers come late, then the bytes. The client runs on the same
 * loop; it closes its sending side at the end, so nothing waits for a deadline. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/str.h"
#include "common/http/server.h"
#include "common/loop/loop.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIX = 2, MAX_BODY = 64, PATIENCE_MS = 5000, SEEN_MAX = 1 << 20, ANSWERS_MAX = 4 << 20 };

struct world {
    struct cw_loop *loop;
    struct cw_http_server *server;
    bool late;
    struct cw_http_exchange *kept;
    struct cw_defer answer;
    unsigned requests;
    struct cw_str seen; /* "METHOD path body" of each request */
};

struct client {
    struct world *w;
    int fd;
    struct cw_watch watch;
    struct cw_str in;
    bool eof;
};

static void answer_kept(void *arg)
{
    struct world *w = arg;

    cw_http_answer(CW_STEAL(w->kept), 200, NULL, CW_SLICE("late"));
}

static void on_request(void *arg, struct cw_http_exchange *ex)
{
    struct world *w = arg;
    struct cw_slice body = cw_http_body(ex);

    w->requests++;
    require(body.n <= MAX_BODY && *cw_http_method(ex));
    cw_str_addf(&w->seen, "%s %s %zu ", cw_http_method(ex), cw_http_path(ex), body.n);
    cw_str_adds(&w->seen, body);
    (void)cw_http_basic_auth_ok(ex, "user", "password");
    cw_http_add_header(ex, "X-Echo", cw_http_path(ex));
    if (w->late && !w->kept) {
        w->kept = ex;
        cw_defer_post(&w->answer);
    } else {
        cw_http_answer(ex, 200, NULL, CW_SLICE("hello"));
    }
}

static void on_readable(void *arg)
{
    struct client *c = arg;
    char buf[8192];
    ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n > 0)
        cw_str_add(&c->in, buf, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        c->eof = true;
    if (c->eof)
        cw_watch_done(&c->watch);
}

static bool is_over(void *arg)
{
    return ((struct client *)arg)->eof;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void send_in_pieces(struct client *c, uint32_t seed, struct cw_slice s)
{
    while (s.n > 0 && !c->eof) {
        size_t n = seed ? 1 + ((seed = seed * 1664525 + 1013904223) >> 25) : s.n;
        ssize_t sent = send(c->fd, s.p, n < s.n ? n : s.n, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        s = cw_slice(s.p + sent, s.n - (size_t)sent);
        if (seed)
            (void)cw_loop_run_until(c->w->loop, never, NULL, 0);
    }
}

/* The fuzzer's own timer interrupts. */
static bool connects(int fd, const struct sockaddr_in *addr)
{
    int rc;

    do
        rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
    while (rc != 0 && errno == EINTR);
    return rc == 0 || errno == EISCONN;
}

/* Sends all, reads all; the server ends the connection. */
static void talk(struct world *w, uint32_t seed, struct cw_slice text, struct cw_str *ret_answers)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(cw_http_server_port(w->server)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* From another address each time: many runs use up the ports of one. */
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr =
            htonl(0x7f000000 | ((uint32_t)cw_loop_mono_us(w->loop) & 0xffff) << 8 | 1)};
    struct client c = {.w = w, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    int one = 1;

    require(c.fd >= 0);
    (void)setsockopt(c.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    require(bind(c.fd, (struct sockaddr *)&from, sizeof(from)) == 0);
    require(connects(c.fd, &addr));
    (void)setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    cw_str_init(&c.in, ANSWERS_MAX);
    cw_watch_read(&c.watch, w->loop, c.fd, on_readable, &c);
    send_in_pieces(&c, seed, text);
    (void)shutdown(c.fd, SHUT_WR);
    require(cw_loop_run_until(w->loop, is_over, &c, PATIENCE_MS));
    cw_watch_done(&c.watch);
    close(c.fd);
    *ret_answers = c.in;
}

static unsigned count(const struct cw_str *text, const char *what)
{
    unsigned n = 0;

    for (const char *p = text->n ? text->p : ""; (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* What the handler saw of the bytes in these pieces; free() it. */
static char *served(struct world *w, uint32_t seed, struct cw_slice text)
{
    struct cw_str answers;
    unsigned before = w->requests;

    cw_str_reset(&w->seen);
    talk(w, seed, text, &answers);
    require(answers.n == 0 || strncmp(answers.p, "HTTP/", 5) == 0);
    /* a client that closed its side may miss the last ones, but nobody gets more than he asked */
    require(count(&answers, "\r\nX-Echo: ") <= w->requests - before);
    cw_str_done(&answers);
    return cw_str_steal(&w->seen);
}

/* How bytes are cut changes nothing of what is seen, but the last requests may be missing: the
 * client closes its side, and what the server has not begun by then it does not answer. */
static bool agree(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

    return memcmp(a, b, n) == 0;
}

static void check_next(struct world *w)
{
    struct cw_str answers;

    w->late = false;
    talk(w, 0, CW_SLICE("GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), &answers);
    require(answers.n > 0 && strstr(answers.p, "hello"));
    cw_str_done(&answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cw_http_server_conf conf = {.address = "127.0.0.1", .max_body = MAX_BODY};
    struct world w = {.loop = cw_loop_new(NULL, NULL)};
    cw_auto_free char *whole = NULL, *pieces = NULL;
    struct cw_slice text;

    if (size > PREFIX) {
        text = cw_slice((const char *)data + PREFIX, size - PREFIX);
        w.late = data[1] & 1;
        cw_str_init(&w.seen, SEEN_MAX);
        cw_defer_init(&w.answer, w.loop, answer_kept, &w);
        w.server = cw_http_server_new(w.loop, &conf, on_request, &w, NULL);
        require(w.server != NULL);
        whole = served(&w, 0, text);
        pieces = served(&w, data[0], text);
        require(agree(whole, pieces));
        check_next(&w);
        cw_defer_cancel(&w.answer);
        cw_http_server_free(w.server);
        cw_str_done(&w.seen);
    }
    cw_loop_free(w.loop);
    return 0;
}
