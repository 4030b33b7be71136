/* The HTTP server behind TLS, with clients that are OpenSSL's, slow, silent or not TLS at all. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/http/server.h"
#include "common/loop/loop.h"
#include "common/tls/keystore.h"
#include "common/tls/server_context.h"

#define PATH(name) (CW_TEST_DATA "/tls/" name)
#define GET "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"

enum { PATIENCE_MS = 20000, BIG = 3 << 20 };

struct fixture {
    struct cw_loop *loop;
    struct cw_http_server *server;
    unsigned requests;
    size_t body;
    bool defer;
    struct cw_http_exchange *kept;
};

struct peer {
    struct fixture *f;
    int fd;
    SSL_CTX *ctx;
    SSL *ssl; /* NULL: the bytes themselves */
    struct cw_watch watch;
    struct cw_str in;
    bool ready; /* handshake done */
    bool over;  /* end or error */
    const char *wanted;
};

static void on_request(void *arg, struct cw_http_exchange *ex)
{
    struct fixture *f = arg;
    cw_auto_free char *big = NULL;

    f->requests++;
    f->body = cw_http_body(ex).n;
    if (f->defer) {
        f->kept = ex;
    } else if (strcmp(cw_http_path(ex), "/big") == 0) {
        big = cw_alloc(BIG);
        memset(big, 'b', BIG);
        cw_http_answer(ex, 200, NULL, cw_slice(big, BIG));
    } else {
        cw_http_answer(ex, 200, NULL, CW_SLICE("hello"));
    }
}

static SSL_CTX *context(const char *path, bool client_auth)
{
    struct cw_keystore_source src = {.path = path, .password = "geheim"};
    struct cw_err err = {0};
    struct cw_keystore *ks = cw_keystore_load(&src, CW_KEYSTORE_KEY, &err);
    SSL_CTX *ctx = ks ? cw_tls_server_context(ks, client_auth, &err) : NULL;

    cw_keystore_free(ks);
    if (!ctx)
        fail_msg("%s", err.msg);
    return ctx;
}

static void start(struct fixture *f, const char *store, bool client_auth,
                  struct cw_http_server_conf conf)
{
    struct cw_err err = {0};

    *f = (struct fixture){.loop = cw_loop_new(NULL, NULL)};
    conf.address = "127.0.0.1";
    conf.tls = context(store, client_auth);
    f->server = cw_http_server_new(f->loop, &conf, on_request, f, &err);
    if (!f->server)
        fail_msg("%s", err.msg);
    SSL_CTX_free(conf.tls); /* the server has its own */
}

static void stop(struct fixture *f)
{
    cw_http_server_free(f->server);
    cw_loop_free(f->loop);
}

/* ---- clients ---- */

static void read_tls(struct peer *p)
{
    char buf[16384];
    int n;

    if (!p->ready) {
        n = SSL_connect(p->ssl);
        p->ready = n == 1;
        if (!p->ready) {
            p->over = SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ;
            return;
        }
    }
    while ((n = SSL_read(p->ssl, buf, sizeof(buf))) > 0)
        cw_str_add(&p->in, buf, (size_t)n);
    p->over = SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ;
}

static void on_readable(void *arg)
{
    struct peer *p = arg;
    char buf[4096];
    ssize_t n;

    ERR_clear_error();
    if (p->ssl) {
        read_tls(p);
    } else {
        n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n > 0)
            cw_str_add(&p->in, buf, (size_t)n);
        p->over = n == 0 || (n < 0 && errno != EAGAIN);
    }
    if (p->over)
        cw_watch_done(&p->watch);
}

static void open_raw(struct peer *p, struct fixture *f)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(cw_http_server_port(f->server)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    *p = (struct peer){.f = f, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(p->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
    cw_str_init(&p->in, 8 << 20);
    cw_watch_read(&p->watch, f->loop, p->fd, on_readable, p);
}

/* own: PEM with key and chain, or NULL. version: 0 for any. */
static void open_tls(struct peer *p, struct fixture *f, const char *own, int version)
{
    open_raw(p, f);
    p->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_load_verify_file(p->ctx, PATH("root.pem")), 1);
    if (version) {
        SSL_CTX_set_security_level(p->ctx, 0);
        assert_int_equal(SSL_CTX_set_min_proto_version(p->ctx, version), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(p->ctx, version), 1);
    }
    if (own) {
        assert_int_equal(SSL_CTX_use_PrivateKey_file(p->ctx, own, SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_certificate_chain_file(p->ctx, own), 1);
    }
    p->ssl = SSL_new(p->ctx);
    assert_int_equal(SSL_set1_host(p->ssl, "localhost"), 1);
    assert_int_equal(SSL_set_fd(p->ssl, p->fd), 1);
    on_readable(p);
}

static void close_peer(struct peer *p)
{
    if (!p->over)
        cw_watch_done(&p->watch);
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    cw_str_done(&p->in);
    close(p->fd);
}

static bool is_ready(void *arg)
{
    return ((struct peer *)arg)->ready || ((struct peer *)arg)->over;
}

static bool is_over(void *arg)
{
    return ((struct peer *)arg)->over;
}

static bool has_wanted(void *arg)
{
    struct peer *p = arg;

    return p->over || (p->in.n && strstr(p->in.p, p->wanted));
}

static void shake_hands(struct peer *p)
{
    assert_true(cw_loop_run_until(p->f->loop, is_ready, p, PATIENCE_MS));
    if (!p->ready)
        fail_msg("no handshake: %s", ERR_reason_error_string(ERR_peek_last_error()));
}

static void expect(struct peer *p, const char *wanted)
{
    p->wanted = wanted;
    assert_true(cw_loop_run_until(p->f->loop, has_wanted, p, PATIENCE_MS));
    if (!p->in.n || !strstr(p->in.p, wanted))
        fail_msg("'%s' does not contain '%s'", p->in.p, wanted);
}

static void ask(struct peer *p, const char *request)
{
    cw_str_reset(&p->in);
    assert_int_equal(SSL_write(p->ssl, request, (int)strlen(request)), (int)strlen(request));
}

/* Shut out: the end comes, and no request was seen. (Under TLS 1.3 the client believes itself in
 * until the alert.) */
static void expect_shut_out(struct peer *p)
{
    assert_true(cw_loop_run_until(p->f->loop, is_over, p, PATIENCE_MS));
    assert_int_equal(p->in.n, 0);
    assert_int_equal(p->f->requests, 0);
}

/* ---- cases ---- */

static void requests_are_answered_on_a_kept_connection(void **state)
{
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){0});
    for (size_t i = 0; i < CW_ARRAY_LEN(VERSIONS); i++) {
        open_tls(&p, &f, NULL, VERSIONS[i]);
        shake_hands(&p);
        assert_int_equal(SSL_version(p.ssl), VERSIONS[i]);
        for (int k = 0; k < 3; k++) {
            ask(&p, GET);
            expect(&p, "\r\n\r\nhello");
        }
        close_peer(&p);
    }
    assert_int_equal(f.requests, 6);
    stop(&f);
}

static void bodies_in_both_directions_are_whole(void **state)
{
    cw_auto_str struct cw_str request;
    struct fixture f;
    struct peer p;

    (void)state;
    cw_str_init(&request, 1 << 20);
    cw_str_addz(&request, "POST /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: "
                          "100000\r\n\r\n");
    for (int i = 0; i < 100000; i++)
        cw_str_addc(&request, 'r');
    start(&f, PATH("server-with-root.pem"), false, (struct cw_http_server_conf){0});
    open_tls(&p, &f, NULL, 0);
    shake_hands(&p);
    ask(&p, request.p);
    assert_true(cw_loop_run_until(f.loop, is_over, &p, PATIENCE_MS));
    assert_int_equal(f.body, 100000);
    assert_non_null(strstr(p.in.p, "\r\n\r\nb"));
    assert_int_equal(p.in.n - (size_t)(strstr(p.in.p, "\r\n\r\n") + 4 - p.in.p), BIG);
    close_peer(&p);
    stop(&f);
}

static void versions_below_1_2_are_not_spoken(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){0});
    open_tls(&p, &f, NULL, TLS1_1_VERSION);
    expect_shut_out(&p);
    assert_false(p.ready);
    close_peer(&p);
    stop(&f);
}

static void a_client_certificate_is_required_when_asked_for(void **state)
{
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const struct {
        const char *store, *client;
        bool in;
    } CASES[] = {
        {PATH("server.p12"), NULL, false},
        {PATH("server.p12"), PATH("server.pem"), true},  /* the store's own: ansible's way */
        {PATH("server.p12"), PATH("client.pem"), false}, /* of the same issuer, as in Java */
        {PATH("server.p12"), PATH("stray.pem"), false},
        {PATH("keytool.p12"), PATH("stray.pem"), true}, /* its issuer is marked as trusted */
        {PATH("keytool.p12"), PATH("client.pem"), false},
        {PATH("server-with-root.pem"), PATH("client.pem"), true},
        {PATH("server-with-root.pem"), PATH("stray.pem"), false},
    };

    (void)state;
    for (size_t i = 0; i < 2 * CW_ARRAY_LEN(CASES); i++) {
        struct fixture f;
        struct peer p;

        start(&f, CASES[i / 2].store, true, (struct cw_http_server_conf){0});
        open_tls(&p, &f, CASES[i / 2].client, VERSIONS[i % 2]);
        assert_true(cw_loop_run_until(f.loop, is_ready, &p, PATIENCE_MS));
        if (CASES[i / 2].in) {
            shake_hands(&p);
            ask(&p, GET);
            expect(&p, "hello");
        } else {
            expect_shut_out(&p);
        }
        close_peer(&p);
        stop(&f);
    }
}

static void plain_text_and_garbage_are_not_answered(void **state)
{
    static const char *const TEXTS[] = {GET, "\x16\x03\x01\x02\x00\x01garbage",
                                        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"};
    struct fixture f;
    struct peer p, good;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){.request_ms = 300});
    for (size_t i = 0; i < CW_ARRAY_LEN(TEXTS); i++) {
        open_raw(&p, &f);
        assert_true(send(p.fd, TEXTS[i], strlen(TEXTS[i]), MSG_NOSIGNAL) > 0);
        assert_true(cw_loop_run_until(f.loop, is_over, &p, PATIENCE_MS));
        if (p.in.n)
            assert_null(strstr(p.in.p, "HTTP")); /* an alert at most */
        close_peer(&p);
    }
    open_tls(&good, &f, NULL, 0);
    shake_hands(&good);
    ask(&good, GET);
    expect(&good, "hello");
    close_peer(&good);
    assert_int_equal(f.requests, 1);
    stop(&f);
}

/* One that gives a byte now and then, for which an idle time would begin anew each time. */
struct dripper {
    struct peer peer;
    struct cw_timer timer;
    unsigned sent;
};

static void drip(void *arg)
{
    static const char HELLO[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03";
    struct dripper *d = arg;

    if (d->peer.over)
        return;
    if (d->sent < sizeof(HELLO) - 1)
        (void)!send(d->peer.fd, &HELLO[d->sent++], 1, MSG_NOSIGNAL);
    else
        (void)!send(d->peer.fd, "x", 1, MSG_NOSIGNAL);
    cw_timer_set_ms(&d->timer, 20);
}

static void slow_and_silent_handshakes_end_at_their_deadline(void **state)
{
    struct fixture f;
    struct dripper d = {0};
    struct peer silent, good;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){.request_ms = 400});
    open_raw(&silent, &f);
    open_raw(&d.peer, &f);
    cw_timer_init(&d.timer, f.loop, drip, &d);
    cw_timer_set_ms(&d.timer, 0);
    open_tls(&good, &f, NULL, 0); /* meanwhile others are served */
    shake_hands(&good);
    ask(&good, GET);
    expect(&good, "hello");
    assert_true(cw_loop_run_until(f.loop, is_over, &d.peer, PATIENCE_MS));
    assert_true(cw_loop_run_until(f.loop, is_over, &silent, PATIENCE_MS));
    ask(&good, GET); /* whose own handshake was over in time */
    expect(&good, "hello");
    assert_int_equal(f.requests, 2);
    cw_timer_done(&d.timer);
    close_peer(&d.peer);
    close_peer(&silent);
    close_peer(&good);
    stop(&f);
}

static void idle_connections_are_closed(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){.idle_timeout_ms = 300});
    open_tls(&p, &f, NULL, 0);
    shake_hands(&p);
    assert_true(cw_loop_run_until(f.loop, is_over, &p, PATIENCE_MS));
    close_peer(&p);
    stop(&f);
}

static void connections_over_the_bound_wait_for_a_place(void **state)
{
    struct fixture f;
    struct peer a, b, c;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){.max_connections = 2});
    open_tls(&a, &f, NULL, 0);
    open_tls(&b, &f, NULL, 0);
    shake_hands(&a);
    shake_hands(&b);
    open_tls(&c, &f, NULL, 0);
    for (int i = 0; i < 3; i++) { /* whole exchanges in which c would have been served */
        ask(&a, GET);
        expect(&a, "hello");
    }
    assert_false(c.ready);
    close_peer(&b);
    shake_hands(&c);
    ask(&c, GET);
    expect(&c, "hello");
    close_peer(&a);
    close_peer(&c);
    stop(&f);
}

static bool has_request(void *arg)
{
    return ((struct fixture *)arg)->requests > 0;
}

/* What libevent still holds is freed by the loop after the server. */
static void server_goes_in_the_middle_of_everything(void **state)
{
    struct fixture f;
    struct peer waiting, shaking, idle;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){0});
    f.defer = true;
    open_tls(&waiting, &f, NULL, 0);
    shake_hands(&waiting);
    ask(&waiting, GET);
    open_tls(&idle, &f, NULL, 0);
    shake_hands(&idle);
    open_raw(&shaking, &f);
    assert_true(cw_loop_run_until(f.loop, has_request, &f, PATIENCE_MS));
    assert_non_null(f.kept);
    close_peer(&waiting);
    close_peer(&shaking);
    close_peer(&idle);
    stop(&f);
}

static void answer_after_the_client_went_is_dropped(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, PATH("server.p12"), false, (struct cw_http_server_conf){0});
    f.defer = true;
    open_tls(&p, &f, NULL, 0);
    shake_hands(&p);
    ask(&p, GET);
    assert_true(cw_loop_run_until(f.loop, has_request, &f, PATIENCE_MS));
    close_peer(&p);
    cw_http_answer(f.kept, 200, NULL, CW_SLICE("late"));
    f.defer = false;
    open_tls(&p, &f, NULL, 0);
    shake_hands(&p);
    ask(&p, GET);
    expect(&p, "hello");
    close_peer(&p);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_on_a_kept_connection),
        cmocka_unit_test(bodies_in_both_directions_are_whole),
        cmocka_unit_test(versions_below_1_2_are_not_spoken),
        cmocka_unit_test(a_client_certificate_is_required_when_asked_for),
        cmocka_unit_test(plain_text_and_garbage_are_not_answered),
        cmocka_unit_test(slow_and_silent_handshakes_end_at_their_deadline),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(connections_over_the_bound_wait_for_a_place),
        cmocka_unit_test(server_goes_in_the_middle_of_everything),
        cmocka_unit_test(answer_after_the_client_went_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
