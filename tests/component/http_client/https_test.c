/* The client over TLS, as CouchDB behind https is read: the peer is our own server. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include <openssl/ssl.h>

#include "common/base/err.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/loop/loop.h"
#include "common/tls/keystore.h"
#include "common/tls/server_context.h"

#define PATH(name) (CW_TEST_DATA "/tls/" name)

enum { PATIENCE_MS = 20000 };

struct world {
    struct cw_loop *loop;
    struct cw_http_server *server;
    struct cw_http *client;
    bool over;
    int status;
    struct cw_err err;
    char body[64];
};

static void on_request(void *arg, struct cw_http_exchange *ex)
{
    (void)arg;
    cw_http_answer(ex, 200, NULL, CW_SLICE("under cover"));
}

static void begin(struct world *w, const char *ca_file)
{
    struct cw_keystore_source src = {.path = PATH("server.p12"), .password = "geheim"};
    struct cw_http_server_conf conf = {.address = "127.0.0.1"};
    struct cw_err err = {0};
    struct cw_keystore *ks = cw_keystore_load(&src, CW_KEYSTORE_KEY, &err);

    assert_non_null(ks);
    *w = (struct world){.loop = cw_loop_new(NULL, NULL)};
    assert_non_null(conf.tls = cw_tls_server_context(ks, false, &err));
    assert_non_null(w->server = cw_http_server_new(w->loop, &conf, on_request, w, &err));
    w->client = cw_http_new(w->loop, &(struct cw_http_conf){.ca_file = ca_file}, &err);
    assert_non_null(w->client);
    SSL_CTX_free(conf.tls);
    cw_keystore_free(ks);
}

static void end(struct world *w)
{
    cw_http_free(w->client);
    cw_http_server_free(w->server);
    cw_loop_free(w->loop);
}

static void on_reply(void *arg, const struct cw_http_reply *reply, const struct cw_err *err)
{
    struct world *w = arg;

    w->over = true;
    w->status = reply ? reply->status : 0;
    if (reply)
        (void)snprintf(w->body, sizeof(w->body), "%.*s", (int)reply->body.n, reply->body.p);
    if (err)
        w->err = *err;
}

static bool is_over(void *arg)
{
    return ((struct world *)arg)->over;
}

static void ask(struct world *w, const char *host)
{
    char url[128];

    (void)snprintf(url, sizeof(url), "https://%s:%u/db", host,
                   (unsigned)cw_http_server_port(w->server));
    w->over = false;
    w->err = (struct cw_err){0};
    (void)cw_http_send(w->client,
                       &(struct cw_http_request){.method = "GET", .url = url, .timeout_ms = 10000},
                       on_reply, w);
    assert_true(cw_loop_run_until(w->loop, is_over, w, PATIENCE_MS));
}

static void peer_that_the_ca_file_vouches_for_is_read(void **state)
{
    struct world w;

    (void)state;
    begin(&w, PATH("root.pem"));
    for (int i = 0; i < 2; i++) {
        ask(&w, i ? "localhost" : "127.0.0.1");
        if (w.status != 200)
            fail_msg("%s", w.err.msg);
        assert_string_equal(w.body, "under cover");
    }
    end(&w);
}

static void other_peers_get_no_request(void **state)
{
    static const struct {
        const char *ca_file, *host;
    } CASES[] = {
        {PATH("stranger.pem"), "localhost"}, /* another authority */
        {NULL, "localhost"},                 /* the system's */
        {PATH("root.pem"), "x.localhost"},   /* another name: curl takes it to the loopback */
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct world w;

        begin(&w, CASES[i].ca_file);
        ask(&w, CASES[i].host);
        assert_int_equal(w.status, 0);
        assert_int_equal(w.err.code, CW_UNAVAILABLE);
        if (!strstr(w.err.msg, "SSL"))
            fail_msg("%s", w.err.msg);
        assert_true(w.err.retriable); /* the certificate may be renewed */
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer_that_the_ca_file_vouches_for_is_read),
        cmocka_unit_test(other_peers_get_no_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
