#include "tests/component/http_server/server_world.h"

#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"

void world_on_request(void *arg, struct cw_http_exchange *ex)
{
    struct fixture *f = arg;
    const char *test = cw_http_header(ex, "x-TEST");
    struct cw_slice body = cw_http_body(ex);

    (void)snprintf(f->seen, sizeof(f->seen), "%s %s|%s|%.*s", cw_http_method(ex), cw_http_path(ex),
                   test ? test : "-", body.n < 100 ? (int)body.n : 100, body.p);
    if (f->defer) {
        assert_true(f->requests < KEPT);
        f->kept[f->requests++] = ex;
        return;
    }
    f->requests++;
    cw_http_add_header(ex, "X-Good", "yes");
    cw_http_add_header(ex, "X-Evil", "a\r\nX-Injected: 1");
    cw_http_answer(ex, 200, NULL, CW_SLICE("hello"));
}

void world_start(struct fixture *f, cw_http_handler *handler, struct cw_http_server_conf conf)
{
    struct cw_err err;

    conf.address = "127.0.0.1";
    *f = (struct fixture){.loop = cw_loop_new(NULL, NULL)};
    f->server = cw_http_server_new(f->loop, &conf, handler, f, &err);
    assert_non_null(f->server);
    assert_true(cw_http_server_port(f->server) > 0);
}

void start(struct fixture *f, cw_http_handler *handler, size_t max_body, int64_t idle_ms)
{
    world_start(f, handler,
                (struct cw_http_server_conf){.max_body = max_body, .idle_timeout_ms = idle_ms});
}

void tear_down(struct fixture *f)
{
    cw_http_server_free(f->server);
    cw_loop_free(f->loop);
}

static void on_peer_readable(void *arg)
{
    struct peer *p = arg;
    char buf[4096];
    ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n > 0)
        cw_str_add(&p->in, buf, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        p->eof = true;
    if (p->eof)
        cw_watch_done(&p->watch);
}

void peer_open(struct peer *p, struct fixture *f)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(cw_http_server_port(f->server)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(p->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cw_str_init(&p->in, 1 << 20);
    cw_watch_read(&p->watch, f->loop, p->fd, on_peer_readable, p);
}

void peer_close(struct peer *p)
{
    cw_watch_done(&p->watch);
    cw_str_done(&p->in);
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

void peer_send(struct peer *p, const char *text)
{
    assert_int_equal(send(p->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static bool peer_has(void *arg)
{
    struct peer *p = arg;

    return p->eof || (p->in.n && strstr(p->in.p, p->wanted));
}

void wait_answer(struct fixture *f, struct peer *p, const char *wanted)
{
    p->wanted = wanted;
    assert_true(cw_loop_run_until(f->loop, peer_has, p, PATIENCE_MS));
    if (!p->in.n || !strstr(p->in.p, wanted))
        fail_msg("'%s' does not contain '%s'", p->in.p, wanted);
}

bool peer_at_end(void *arg)
{
    return ((struct peer *)arg)->eof;
}

static bool one_request(void *arg)
{
    return ((struct fixture *)arg)->requests == 1;
}

void wait_request(struct fixture *f)
{
    assert_true(cw_loop_run_until(f->loop, one_request, f, PATIENCE_MS));
}

void expect(struct fixture *f, const char *request, const char *wanted)
{
    struct peer p;

    peer_open(&p, f);
    peer_send(&p, request);
    wait_answer(f, &p, wanted);
    peer_close(&p);
}
