#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "tests/component/http_server/server_world.h"

static void handler_sees_the_request_and_client_the_answer(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, world_on_request, 0, 0);
    peer_open(&p, &f);
    peer_send(&p, "POST /a%20b/c?q=1 HTTP/1.1\r\nHost: x\r\nX-Test: 42\r\n"
                  "Content-Length: 3\r\n\r\nabc");
    wait_answer(&f, &p, "hello");
    assert_string_equal(f.seen, "POST /a b/c|42|abc");
    assert_non_null(strstr(p.in.p, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(p.in.p, "Content-Type: text/plain; charset=UTF-8\r\n"));
    assert_non_null(strstr(p.in.p, "Content-Length: 5\r\n"));
    assert_non_null(strstr(p.in.p, "X-Good: yes\r\n"));
    assert_null(strstr(p.in.p, "X-Injected"));
    peer_close(&p);
    tear_down(&f);
}

static void on_query(void *arg, struct cw_http_exchange *ex)
{
    struct fixture *f = arg;
    char since[8] = "-", dry_run[8] = "-", missing[8] = "-";

    f->requests++;
    (void)snprintf(f->seen, sizeof(f->seen), "%d%s %d%s %d", cw_http_query(ex, "since", since, 8),
                   since, cw_http_query(ex, "dry-run", dry_run, 8), dry_run,
                   cw_http_query(ex, "inc", missing, 8));
    cw_http_answer(ex, 200, NULL, CW_SLICE("hello"));
}

static void expect_query(struct fixture *f, struct peer *p, const char *target, const char *seen)
{
    char request[256];

    (void)snprintf(request, sizeof(request), "GET /x%s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    peer_send(p, request);
    wait_answer(f, p, "hello");
    cw_str_reset(&p->in);
    assert_string_equal(f->seen, seen);
}

static void query_parameters_are_decoded_and_bounded(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, on_query, 0, 0);
    peer_open(&p, &f);
    expect_query(&f, &p, "", "0- 0- 0");
    expect_query(&f, &p, "?since=12&dry-run", "112 1 0");
    expect_query(&f, &p, "?&&dry-run=&since=a%20b+c&since=2", "1a b c 1 0");
    expect_query(&f, &p, "?since=12345678", "0- 0- 0");
    expect_query(&f, &p, "?since=1234567&sinc=1", "11234567 0- 0");
    expect_query(&f, &p, "?since=a%00b", "0- 0- 0");
    peer_close(&p);
    tear_down(&f);
}

static void connection_serves_several_requests(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, world_on_request, 0, 0);
    peer_open(&p, &f);
    for (int i = 0; i < 3; i++) {
        peer_send(&p, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_answer(&f, &p, "hello");
        cw_str_reset(&p.in);
    }
    assert_int_equal(f.requests, 3);
    assert_string_equal(f.seen, "GET /ping|-|");
    peer_close(&p);
    tear_down(&f);
}

static void head_gets_no_body(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, world_on_request, 0, 0);
    peer_open(&p, &f);
    peer_send(&p, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &p, PATIENCE_MS));
    assert_non_null(strstr(p.in.p, "200 OK"));
    assert_non_null(strstr(p.in.p, "Content-Length: 5\r\n"));
    assert_null(strstr(p.in.p, "hello"));
    peer_close(&p);
    tear_down(&f);
}

static void path_that_hides_a_nul_is_empty(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, world_on_request, 0, 0);
    expect(&f, "GET /metrics%00/x HTTP/1.1\r\nHost: x\r\n\r\n", "hello");
    assert_string_equal(f.seen, "GET |-|");
    tear_down(&f);
}

/* --- refused by the server itself ----------------------------------------------------------- */

static void broken_requests_never_reach_the_handler(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, world_on_request, 0, 0);
    expect(&f, "garbage\r\n\r\n", "400 Bad Request");
    expect(&f, "GET / HTTP/1.1\r\nno colon\r\n\r\n", "400 Bad Request");
    expect(&f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400 Bad Request");
    expect(&f, "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", "501 Not Implemented");
    expect(&f, "CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", "501 Not Implemented");
    assert_int_equal(f.requests, 0);
    tear_down(&f);
}

static void header_block_over_the_limit_is_refused(void **state)
{
    struct fixture f;
    struct cw_str s;

    (void)state;
    start(&f, world_on_request, 0, 0);
    cw_str_init(&s, 1 << 20);
    cw_str_addz(&s, "GET / HTTP/1.1\r\nHost: x\r\n");
    while (s.n < 80 << 10)
        cw_str_addz(&s, "X-Filler: 0123456789012345678901234567890123456789\r\n");
    cw_str_addz(&s, "\r\n");
    expect(&f, s.p, "400 Bad Request");
    assert_int_equal(f.requests, 0);
    cw_str_done(&s);
    tear_down(&f);
}

static void body_over_the_limit_gets_413(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, world_on_request, 10, 0);
    expect(&f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789", "200 OK");
    assert_string_equal(f.seen, "POST /|-|0123456789");
    expect(&f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890",
           "413 Request");
    expect(&f,
           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
           "b\r\n01234567890\r\n0\r\n\r\n",
           "413 Request");
    assert_int_equal(f.requests, 1);
    tear_down(&f);
}

static void idle_connection_is_closed(void **state)
{
    struct fixture f;
    struct peer quiet, half;

    (void)state;
    start(&f, world_on_request, 0, 30);
    peer_open(&quiet, &f);
    peer_open(&half, &f);
    peer_send(&half, "GET / HT");
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &quiet, PATIENCE_MS));
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &half, PATIENCE_MS));
    assert_int_equal(f.requests, 0);
    peer_close(&quiet);
    peer_close(&half);
    tear_down(&f);
}

/* --- answers that come later ---------------------------------------------------------------- */

static void answer_may_come_later(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    start(&f, world_on_request, 0, 0);
    f.defer = true;
    peer_open(&p, &f);
    peer_send(&p, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_request(&f);
    assert_int_equal(p.in.n, 0);
    assert_string_equal(cw_http_path(f.kept[0]), "/slow");
    cw_http_answer(f.kept[0], 503, "application/json", CW_SLICE("{\"late\":true}"));
    wait_answer(&f, &p, "{\"late\":true}");
    assert_non_null(strstr(p.in.p, "503 Service Unavailable"));
    assert_non_null(strstr(p.in.p, "Content-Type: application/json\r\n"));
    peer_close(&p);
    tear_down(&f);
}

static void waiting_for_the_answer_is_not_idleness(void **state)
{
    struct fixture f;
    struct peer p, quiet;

    (void)state;
    start(&f, world_on_request, 0, 30);
    f.defer = true;
    peer_open(&p, &f);
    peer_send(&p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_request(&f);
    peer_open(&quiet, &f); /* its end tells that the idle time has passed */
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &quiet, PATIENCE_MS));
    assert_false(p.eof);
    cw_http_answer(f.kept[0], 200, NULL, CW_SLICE("patience"));
    wait_answer(&f, &p, "patience");
    peer_close(&p);
    peer_close(&quiet);
    tear_down(&f);
}

static void leave(struct peer *p, bool reset)
{
    struct linger rst = {.l_onoff = 1};

    if (reset)
        assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), 0);
    peer_close(p);
}

/* The answer to a client that is gone, large enough to be written in several pieces. */
static void client_gone_before_its_answer(bool reset)
{
    struct fixture f;
    struct peer p;
    char *big = cw_alloc(8 << 20);

    start(&f, world_on_request, 0, 0);
    f.defer = true;
    peer_open(&p, &f);
    peer_send(&p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_request(&f);
    leave(&p, reset);
    cw_http_answer(f.kept[0], 200, NULL, cw_slice(big, 8 << 20));
    f.defer = false;
    expect(&f, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n", "hello"); /* and the server lives on */
    assert_string_equal(f.seen, "GET /next|-|");
    free(big);
    tear_down(&f);
}

static void client_may_go_away_before_its_answer(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_DFL); /* so that the server has to see to it */
    client_gone_before_its_answer(false);
    client_gone_before_its_answer(true);
}

static void server_may_go_away_before_its_answers(void **state)
{
    struct fixture f;
    struct peer stays, leaves;

    (void)state;
    start(&f, world_on_request, 0, 0);
    f.defer = true;
    peer_open(&stays, &f);
    peer_send(&stays, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_request(&f);
    f.requests = 0;
    peer_open(&leaves, &f);
    peer_send(&leaves, "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_request(&f);
    leave(&leaves, true);
    cw_http_server_free(f.server);
    f.server = NULL;
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &stays, PATIENCE_MS));
    peer_close(&stays);
    tear_down(&f);
}

/* --- authentication ------------------------------------------------------------------------- */

static void on_secret_request(void *arg, struct cw_http_exchange *ex)
{
    bool ok = cw_http_basic_auth_ok(ex, "guest", "s3cret:x");

    (void)arg;
    cw_http_answer(ex, ok ? 200 : 401, NULL, CW_SLICE("."));
}

static void with_authorization(struct fixture *f, const char *value, const char *wanted)
{
    struct cw_str s;

    cw_str_init(&s, 1 << 16);
    cw_str_addf(&s, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", value);
    expect(f, s.p, wanted);
    cw_str_done(&s);
}

static void basic_authentication_wants_exactly_user_and_password(void **state)
{
    static const char *const WRONG[] = {
        "",
        "Basic",
        "Basic ",
        "Basic =",
        "Basic ====",
        "Basic Z3Vlc3Q=",             /* guest */
        "Basic Z3Vlc3Q6",             /* guest: */
        "Basic Z3Vlc3Q6czNjcmV0Onk=", /* guest:s3cret:y */
        "Basic Z3Vlc3Q6czNjcmV0",     /* guest:s3cret */
        "Basic Z3Vlc3Q6czNjcmV0Onh4", /* guest:s3cret:xx */
        "Basic R3Vlc3Q6czNjcmV0Ong=", /* Guest:s3cret:x */
        "Basic Z3Vlc3Q6czNjcmV0OngA", /* guest:s3cret:x and a NUL */
        "Basic Z3Vlc3Q6czNjcmV0Ong",  /* padding missing */
        "Basic Z3Vlc3Q6czNj=cmV0Ong", /* padding inside */
        "Basic Z3Vlc3Q6czN$cmV0Ong=", /* not base64 */
        "Bearer Z3Vlc3Q6czNjcmV0Ong=",
        "Z3Vlc3Q6czNjcmV0Ong=",
    };
    struct fixture f;
    struct cw_str s;

    (void)state;
    start(&f, on_secret_request, 0, 0);
    with_authorization(&f, "Basic Z3Vlc3Q6czNjcmV0Ong=", "200 OK");
    with_authorization(&f, "basic   Z3Vlc3Q6czNjcmV0Ong=", "200 OK");
    for (size_t i = 0; i < CW_ARRAY_LEN(WRONG); i++)
        with_authorization(&f, WRONG[i], "401 Unauthorized");
    expect(&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "401 Unauthorized");
    cw_str_init(&s, 1 << 16);
    cw_str_addz(&s, "Basic ");
    while (s.n < 4000)
        cw_str_addz(&s, "Z3Vl");
    with_authorization(&f, s.p, "401 Unauthorized");
    cw_str_done(&s);
    tear_down(&f);
}

static void on_request_without_secret(void *arg, struct cw_http_exchange *ex)
{
    (void)arg;
    assert_false(cw_http_basic_auth_ok(ex, NULL, ""));
    assert_false(cw_http_basic_auth_ok(ex, "", NULL));
    cw_http_answer(ex, 200, NULL, CW_SLICE("checked"));
}

static void nobody_matches_a_missing_secret(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, on_request_without_secret, 0, 0);
    with_authorization(&f, "Basic Og==", "checked"); /* ":" */
    tear_down(&f);
}

/* --- the listener --------------------------------------------------------------------------- */

static void address_in_use_is_an_error_that_names_it(void **state)
{
    struct fixture f;
    struct cw_http_server_conf conf = {.address = "127.0.0.1"};
    struct cw_err err;
    char port[16];

    (void)state;
    start(&f, world_on_request, 0, 0);
    conf.port = cw_http_server_port(f.server);
    assert_null(cw_http_server_new(f.loop, &conf, world_on_request, &f, &err));
    assert_int_equal(err.sys_errno, EADDRINUSE);
    (void)snprintf(port, sizeof(port), "port %u", conf.port);
    assert_non_null(strstr(err.msg, port));
    conf.address = "localhost";
    assert_null(cw_http_server_new(f.loop, &conf, world_on_request, &f, &err));
    assert_int_equal(err.code, CW_INVALID);
    assert_non_null(strstr(err.msg, "'localhost': expected a numeric"));
    cw_http_server_free(NULL);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handler_sees_the_request_and_client_the_answer),
        cmocka_unit_test(query_parameters_are_decoded_and_bounded),
        cmocka_unit_test(connection_serves_several_requests),
        cmocka_unit_test(head_gets_no_body),
        cmocka_unit_test(path_that_hides_a_nul_is_empty),
        cmocka_unit_test(broken_requests_never_reach_the_handler),
        cmocka_unit_test(header_block_over_the_limit_is_refused),
        cmocka_unit_test(body_over_the_limit_gets_413),
        cmocka_unit_test(idle_connection_is_closed),
        cmocka_unit_test(answer_may_come_later),
        cmocka_unit_test(waiting_for_the_answer_is_not_idleness),
        cmocka_unit_test(client_may_go_away_before_its_answer),
        cmocka_unit_test(server_may_go_away_before_its_answers),
        cmocka_unit_test(basic_authentication_wants_exactly_user_and_password),
        cmocka_unit_test(nobody_matches_a_missing_secret),
        cmocka_unit_test(address_in_use_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
