#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/http/action_client.h"
#include "common/loop/loop.h"
#include "tests/support/scripted_action.h"

enum { PATIENCE_MS = 20000, BIG = 48 << 20 };

struct fixture {
    struct cw_loop *loop;
    struct scripted_action *server;
    struct cw_action_client *client;
};

struct result {
    struct cw_action_reply reply;
    char *body;
    unsigned calls;
    bool inside; /* set by the test while it is inside a call into the client */
};

static void take_client(struct fixture *f, unsigned max_idle)
{
    struct cw_err err;

    f->client =
        cw_action_client_new(f->loop, "127.0.0.1", scripted_action_port(f->server), max_idle, &err);
    assert_non_null(f->client);
}

static struct fixture set_up(scripted_fn *fn, void *arg)
{
    struct fixture f = {.loop = cw_loop_new(NULL, NULL), .server = scripted_action_new(fn, arg)};

    take_client(&f, 4);
    return f;
}

static void tear_down(struct fixture *f)
{
    cw_action_client_free(f->client);
    scripted_action_free(f->server);
    cw_loop_free(f->loop);
}

static void on_reply(void *arg, const struct cw_action_reply *reply)
{
    struct result *r = arg;

    assert_false(r->inside);
    r->calls++;
    r->reply = *reply;
    free(r->body);
    r->body = cw_slice_dup(reply->body);
}

static struct cw_action_request run_request(const struct cw_slice *body, size_t pieces)
{
    return (struct cw_action_request){.path = "/run",
                                      .body = body,
                                      .body_pieces = pieces,
                                      .timeout_ms = PATIENCE_MS,
                                      .max_response = 1 << 20,
                                      .truncate_to = 1 << 10};
}

static struct cw_action_call *post(struct fixture *f, const struct cw_action_request *req,
                                   struct result *r)
{
    struct cw_action_call *call;

    r->inside = true;
    call = cw_action_post(f->client, req, on_reply, r);
    r->inside = false;
    return call;
}

static bool has_result(void *arg)
{
    return ((struct result *)arg)->calls > 0;
}

static void wait_for(struct fixture *f, struct result *r)
{
    assert_true(cw_loop_run_until(f->loop, has_result, r, 2 * PATIENCE_MS));
    assert_int_equal(r->calls, 1);
}

/* A condition of the server's threads does not wake the loop: look every millisecond. */
struct watchman {
    struct cw_timer timer;
    bool (*met)(struct fixture *f);
    struct fixture *f;
};

static void look_again(void *arg)
{
    cw_timer_set_ms(&((struct watchman *)arg)->timer, 1);
}

static bool is_met(void *arg)
{
    struct watchman *w = arg;

    return w->met(w->f);
}

static void wait_until(struct fixture *f, bool (*met)(struct fixture *f))
{
    struct watchman w = {.met = met, .f = f};

    cw_timer_init(&w.timer, f->loop, look_again, &w);
    look_again(&w);
    assert_true(cw_loop_run_until(f->loop, is_met, &w, PATIENCE_MS));
    cw_timer_done(&w.timer);
}

static struct result exchange(struct fixture *f, const struct cw_action_request *req)
{
    struct result r = {0};

    (void)post(f, req, &r);
    wait_for(f, &r);
    return r;
}

/* One request with a small body, checked for its outcome. */
static struct result simple_run(struct fixture *f)
{
    struct cw_slice body = CW_SLICE("{\"value\":{}}");
    struct cw_action_request req = run_request(&body, 1);

    return exchange(f, &req);
}

static void expect_answer(struct result *r, int status, const char *body)
{
    assert_int_equal(r->reply.outcome, CW_ACTION_ANSWERED);
    assert_int_equal(r->reply.status, status);
    assert_string_equal(r->body, body);
    assert_false(r->reply.truncated);
    assert_string_equal(r->reply.why, "");
    free(r->body);
    r->body = NULL;
}

static void expect_failure(struct result *r, enum cw_action_outcome outcome, const char *why_part)
{
    assert_int_equal(r->reply.outcome, outcome);
    if (!strstr(r->reply.why, why_part))
        fail_msg("'%s' does not contain '%s'", r->reply.why, why_part);
    assert_int_equal(r->reply.body.n, 0);
    free(r->body);
    r->body = NULL;
}

/* --- the request and the plain answer ------------------------------------------------------- */

static void request_has_the_headers_and_body_a_runtime_expects(void **state)
{
    struct fixture f = set_up(NULL, NULL);
    struct cw_slice body[] = {CW_SLICE("{\"value\":"), CW_SLICE(""), CW_SLICE("{\"a\":0.1}"),
                              CW_SLICE("}")};
    struct cw_action_request req = run_request(body, 4);
    struct result r;
    char expected[512];
    char *text;

    (void)state;
    r = exchange(&f, &req);
    expect_answer(&r, 200, "{}");
    assert_int_equal(r.reply.content_length, 2);
    assert_true(r.reply.start_ms > 0 && r.reply.end_ms >= r.reply.start_ms);
    assert_true(r.reply.elapsed_us > 0);
    assert_true(r.reply.written_us > 0 && r.reply.read_us >= r.reply.written_us);
    (void)snprintf(expected, sizeof(expected),
                   "POST /run HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: application/json\r\n"
                   "Content-Type: application/json\r\nContent-Length: 19\r\n"
                   "Connection: keep-alive\r\nUser-Agent: cwhisk\r\n\r\n",
                   scripted_action_port(f.server));
    text = scripted_action_head(f.server, 0);
    assert_string_equal(text, expected);
    free(text);
    text = scripted_action_body(f.server, 0);
    assert_string_equal(text, "{\"value\":{\"a\":0.1}}");
    free(text);
    tear_down(&f);
}

static void many_body_pieces_arrive_in_order(void **state)
{
    struct fixture f = set_up(NULL, NULL);
    struct cw_slice body[100];
    struct cw_action_request req = run_request(body, 100);
    struct result r;
    char digits[101] = "";
    char *text;

    (void)state;
    for (int i = 0; i < 100; i++) {
        digits[i] = (char)('0' + i % 10);
        body[i] = cw_slice(&digits[i], 1);
    }
    r = exchange(&f, &req);
    expect_answer(&r, 200, "{}");
    text = scripted_action_body(f.server, 0);
    assert_string_equal(text, digits);
    free(text);
    tear_down(&f);
}

static void echo_body(struct scripted_conn *conn, void *arg)
{
    struct fixture *f = arg;

    for (unsigned i = 0; scripted_read_request(conn); i++) {
        char *body = scripted_action_body(f->server, i);

        scripted_answer(conn, 200, body);
        free(body);
    }
}

static void bodies_of_48_mb_go_both_ways(void **state)
{
    struct fixture f;
    char *big = cw_alloc(BIG + 1);
    struct cw_slice body = {big, BIG};
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)('a' + i % 23);
    f.loop = cw_loop_new(NULL, NULL);
    f.server = scripted_action_new(echo_body, &f);
    take_client(&f, 1);
    req.max_response = BIG;
    r = exchange(&f, &req);
    assert_int_equal(r.reply.outcome, CW_ACTION_ANSWERED);
    assert_int_equal(r.reply.body.n, BIG);
    assert_memory_equal(r.body, big, BIG);
    free(r.body);
    free(big);
    tear_down(&f);
}

static void answer_502(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    while (scripted_read_request(conn))
        scripted_answer(conn, 502, "{\"error\":\"x\"}");
}

static void error_status_comes_with_its_body(void **state)
{
    struct fixture f = set_up(answer_502, NULL);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 502, "{\"error\":\"x\"}");
    tear_down(&f);
}

/* --- keep-alive and "never twice" ----------------------------------------------------------- */

static void close_on_second_request(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (scripted_index(conn) == 0 && scripted_read_request(conn)) {
        scripted_answer(conn, 200, "{}");
        (void)scripted_read_request(conn);
        return;
    }
    while (scripted_read_request(conn))
        scripted_answer(conn, 200, "{\"second\":\"connection\"}");
}

static void request_lost_on_a_kept_connection_is_not_sent_again(void **state)
{
    struct fixture f = set_up(close_on_second_request, NULL);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    r = simple_run(&f);
    expect_failure(&r, CW_ACTION_NO_ANSWER, "closed by the container");
    assert_int_equal(scripted_action_posts(f.server, "/run"), 2); /* the first and the lost one */
    assert_int_equal(scripted_action_connections(f.server), 1);
    r = simple_run(&f);
    expect_answer(&r, 200, "{\"second\":\"connection\"}");
    assert_int_equal(scripted_action_posts(f.server, "/run"), 3);
    tear_down(&f);
}

static void reset_on_second_request(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (!scripted_read_request(conn))
        return;
    scripted_answer(conn, 200, "{}");
    if (scripted_read_request(conn))
        scripted_reset(conn);
}

static void reset_on_a_kept_connection_is_not_sent_again(void **state)
{
    struct fixture f = set_up(reset_on_second_request, NULL);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    r = simple_run(&f);
    expect_failure(&r, CW_ACTION_NO_ANSWER, "reset");
    assert_int_equal(scripted_action_posts(f.server, "/run"), 2);
    assert_int_equal(scripted_action_connections(f.server), 1);
    tear_down(&f);
}

static void requests_in_a_row_share_one_connection(void **state)
{
    struct fixture f = set_up(NULL, NULL);

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct result r = simple_run(&f);

        expect_answer(&r, 200, "{}");
    }
    assert_int_equal(scripted_action_connections(f.server), 1);
    assert_int_equal(scripted_action_posts(f.server, "/run"), 50);
    tear_down(&f);
}

struct chain {
    struct fixture *f;
    struct result run;
    struct cw_slice body;
};

static void on_init_done(void *arg, const struct cw_action_reply *reply)
{
    struct chain *c = arg;
    struct cw_action_request req = run_request(&c->body, 1);

    assert_int_equal(reply->outcome, CW_ACTION_ANSWERED);
    (void)post(c->f, &req, &c->run);
    assert_memory_equal(reply->body.p, "{}", 2); /* still ours */
}

static void run_posted_from_the_answer_to_init_uses_the_same_connection(void **state)
{
    struct fixture f = set_up(NULL, NULL);
    struct chain c = {.f = &f, .body = CW_SLICE("{}")};
    struct cw_action_request req = run_request(&c.body, 1);

    (void)state;
    req.path = "/init";
    (void)cw_action_post(f.client, &req, on_init_done, &c);
    wait_for(&f, &c.run);
    expect_answer(&c.run, 200, "{}");
    assert_int_equal(scripted_action_connections(f.server), 1);
    assert_int_equal(scripted_action_posts(f.server, "/init"), 1);
    assert_int_equal(scripted_action_posts(f.server, "/run"), 1);
    tear_down(&f);
}

static void answer_once(struct scripted_conn *conn, void *arg)
{
    if (scripted_read_request(conn))
        scripted_send(conn, arg);
}

static bool none_open(struct fixture *f)
{
    return scripted_action_open_connections(f->server) == 0;
}

static void connection_closed_while_idle_is_replaced(void **state)
{
    char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    struct fixture f = set_up(answer_once, answer);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    wait_until(&f, none_open); /* closed; whether our read event saw it or not does not matter */
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    assert_int_equal(scripted_action_posts(f.server, "/run"), 2);
    assert_int_equal(scripted_action_connections(f.server), 2);
    tear_down(&f);
}

static void container_that_hangs_up_unannounced_gets_a_connection_for_each_request(void **state)
{
    char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    struct fixture f = set_up(answer_once, answer);
    struct result r;
    char *head;

    (void)state;
    for (int i = 0; i < 3; i++) {
        r = simple_run(&f);
        expect_answer(&r, 200, "{}");
        wait_until(&f, none_open);
    }
    head = scripted_action_head(f.server, 0);
    assert_non_null(strstr(head, "\r\nConnection: keep-alive\r\n"));
    free(head);
    head = scripted_action_head(f.server, 2);
    assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
    free(head);
    tear_down(&f);
}

static void on_answer_wait_for_close(void *arg, const struct cw_action_reply *reply)
{
    struct chain *c = arg;
    struct cw_action_request req = run_request(&c->body, 1);

    assert_int_equal(reply->outcome, CW_ACTION_ANSWERED);
    while (scripted_action_open_connections(c->f->server))
        (void)sched_yield();
    (void)post(c->f, &req, &c->run); /* no turn of the loop in between: only the peek can tell */
}

static void end_of_file_is_seen_before_reuse_without_a_turn_of_the_loop(void **state)
{
    char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    struct fixture f = set_up(answer_once, answer);
    struct chain c = {.f = &f, .body = CW_SLICE("{}")};
    struct cw_action_request req = run_request(&c.body, 1);

    (void)state;
    (void)cw_action_post(f.client, &req, on_answer_wait_for_close, &c);
    wait_for(&f, &c.run);
    expect_answer(&c.run, 200, "{}");
    assert_int_equal(scripted_action_posts(f.server, "/run"), 2);
    assert_int_equal(scripted_action_connections(f.server), 2);
    tear_down(&f);
}

static void answer_and_hang(struct scripted_conn *conn, void *arg)
{
    answer_once(conn, arg);
    scripted_hang(conn); /* until we hang up */
}

static void not_kept_after(const char *answer, const char *body)
{
    char *copy = cw_strdup(answer);
    struct fixture f = set_up(answer_and_hang, copy);
    struct result r;

    for (int i = 0; i < 2; i++) {
        r = simple_run(&f);
        expect_answer(&r, 200, body);
    }
    assert_int_equal(scripted_action_connections(f.server), 2);
    wait_until(&f, none_open);
    tear_down(&f);
    free(copy);
}

static void connection_is_closed_when_the_answer_forbids_to_keep_it(void **state)
{
    (void)state;
    not_kept_after("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1", "1");
    not_kept_after("HTTP/1.1 200 OK\r\nConnection: foo, CLOSE\r\nContent-Length: 1\r\n\r\n1", "1");
    not_kept_after("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", "1");
    not_kept_after("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1extra", "1");
    not_kept_after("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n", "");
}

static void answer_finish_and_hang(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (!scripted_read_request(conn))
        return;
    scripted_answer(conn, 200, "{}");
    scripted_finish(conn);
    scripted_hang(conn); /* until we hang up */
}

static void end_of_file_closes_an_idle_connection_at_once(void **state)
{
    struct fixture f = set_up(answer_finish_and_hang, NULL);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    wait_until(&f, none_open); /* without another request */
    tear_down(&f);
}

static void closing_idle_connections_leaves_none(void **state)
{
    struct fixture f = set_up(NULL, NULL);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    assert_int_equal(scripted_action_open_connections(f.server), 1);
    cw_action_client_close_idle(f.client);
    wait_until(&f, none_open);
    tear_down(&f);
}

static void without_idle_connections_each_request_says_close(void **state)
{
    struct fixture f = {.loop = cw_loop_new(NULL, NULL), .server = scripted_action_new(NULL, NULL)};
    struct result r;
    char *head;

    (void)state;
    take_client(&f, 0);
    for (int i = 0; i < 2; i++) {
        r = simple_run(&f);
        expect_answer(&r, 200, "{}");
    }
    assert_int_equal(scripted_action_connections(f.server), 2);
    head = scripted_action_head(f.server, 0);
    assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
    free(head);
    tear_down(&f);
}

/* Answers only when three requests are there. */
static void answer_when_three(struct scripted_conn *conn, void *arg)
{
    struct fixture *f = arg;

    while (scripted_read_request(conn)) {
        while (scripted_action_posts(f->server, "/run") < 3)
            (void)sched_yield();
        scripted_answer(conn, 200, "{}");
    }
}

static bool one_open(struct fixture *f)
{
    return scripted_action_open_connections(f->server) == 1;
}

static void concurrent_calls_use_own_connections_and_keep_at_most_max_idle(void **state)
{
    struct fixture f = {.loop = cw_loop_new(NULL, NULL)};
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r[3] = {0};

    (void)state;
    f.server = scripted_action_new(answer_when_three, &f);
    take_client(&f, 1);
    for (int i = 0; i < 3; i++)
        (void)post(&f, &req, &r[i]);
    for (int i = 0; i < 3; i++) {
        wait_for(&f, &r[i]);
        expect_answer(&r[i], 200, "{}");
    }
    assert_int_equal(scripted_action_connections(f.server), 3);
    wait_until(&f, one_open);
    tear_down(&f);
}

/* --- answers that are none ------------------------------------------------------------------ */

static void no_answer_to(const char *answer, const char *why)
{
    char *copy = cw_strdup(answer);
    struct fixture f = set_up(answer_once, copy);
    struct result r;

    r = simple_run(&f);
    expect_failure(&r, CW_ACTION_NO_ANSWER, why);
    assert_int_equal(scripted_action_posts(f.server, "/run"), 1);
    tear_down(&f);
    free(copy);
}

static void answers_that_cannot_be_trusted_are_none(void **state)
{
    (void)state;
    no_answer_to("", "closed by the container (request sent, no complete header block)");
    no_answer_to("HTTP/1.1 200 OK\r\nContent-Le", "closed by the container (request sent, no");
    no_answer_to("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "2 of 10 body bytes read");
    no_answer_to("HTTP/1.1 200 OK\r\n\r\n{}", "no Content-Length");
    no_answer_to("HTTP/1.1 204 No Content\r\n\r\n", "without a body");
    no_answer_to("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
                 "Transfer-Encoding");
    no_answer_to("{\"not\":\"http\"}\r\n", "not an HTTP/1 status line");
    no_answer_to("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "twice");
    no_answer_to("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", "not a number in range");
}

static void endless_headers(struct scripted_conn *conn, void *arg)
{
    bool *ended = arg;

    if (!scripted_read_request(conn))
        return;
    scripted_send(conn, "HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < 100000; i++)
        scripted_send(conn, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    *ended = true;
}

static void headers_without_end_are_cut_off(void **state)
{
    bool ended = false;
    struct fixture f = set_up(endless_headers, &ended);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_failure(&r, CW_ACTION_NO_ANSWER, "64 KiB");
    tear_down(&f);
}

static void interim_answers_are_skipped(void **state)
{
    char answer[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hint\r\n"
                    "Link: x\r\n\r\nHTTP/1.1 200 OK\r\n"
                    "Content-Length: 2\r\n\r\n{}";
    struct fixture f = set_up(answer_once, answer);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    tear_down(&f);
}

static void drip_answer(struct scripted_conn *conn, void *arg)
{
    if (scripted_read_request(conn))
        scripted_drip(conn, arg, 0);
}

static void answer_byte_by_byte_is_put_together(void **state)
{
    char answer[] = "HTTP/1.1 200 OK\r\nServer: drip\r\n"
                    "Content-Length: 7\r\n\r\n{\"a\":1}";
    struct fixture f = set_up(drip_answer, answer);
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_answer(&r, 200, "{\"a\":1}");
    tear_down(&f);
}

/* --- sizes ---------------------------------------------------------------------------------- */

static void answer_3000(struct scripted_conn *conn, void *arg)
{
    char body[3001];

    (void)arg;
    memset(body, 'x', 3000);
    body[0] = '<';
    body[3000] = '\0';
    while (scripted_read_request(conn))
        scripted_answer(conn, 200, body);
}

static void long_answer_is_cut_and_drained(void **state)
{
    struct fixture f = set_up(answer_3000, NULL);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.max_response = 2999;
    req.truncate_to = 5;
    for (int i = 0; i < 2; i++) {
        r = exchange(&f, &req);
        assert_int_equal(r.reply.outcome, CW_ACTION_ANSWERED);
        assert_true(r.reply.truncated);
        assert_int_equal(r.reply.content_length, 3000);
        assert_string_equal(r.body, "<xxxx");
        free(r.body);
    }
    assert_int_equal(scripted_action_connections(f.server), 1); /* drained: fit for reuse */
    req.max_response = 3000;
    r = exchange(&f, &req);
    assert_false(r.reply.truncated);
    assert_int_equal(r.reply.body.n, 3000);
    free(r.body);
    tear_down(&f);
}

static void cut_answer_that_never_ends_is_a_timeout(void **state)
{
    char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n12345";
    struct fixture f = set_up(answer_and_hang, answer);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.max_response = 10;
    req.truncate_to = 5;
    req.timeout_ms = 50;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_TIMEOUT, "5 of 1000 body bytes read");
    tear_down(&f);
}

static void answer_early(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (scripted_read_head(conn))
        scripted_answer(conn, 413, "{\"error\":\"too large\"}");
    /* closes with most of the request unread, which makes the kernel send RST */
}

static void answer_before_the_request_was_sent_whole_counts(void **state)
{
    struct fixture f = set_up(answer_early, NULL);
    char *big = cw_alloc(BIG);
    struct cw_slice body = {big, BIG};
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    r = exchange(&f, &req);
    expect_answer(&r, 413, "{\"error\":\"too large\"}");
    r = exchange(&f, &req);
    expect_answer(&r, 413, "{\"error\":\"too large\"}");
    assert_int_equal(scripted_action_connections(f.server), 2);
    free(big);
    tear_down(&f);
}

static void read_head_only(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    (void)scripted_read_head(conn);
}

static void peer_that_hangs_up_in_the_middle_of_the_request_gives_no_answer(void **state)
{
    struct fixture f = set_up(read_head_only, NULL);
    char *big = cw_alloc(BIG);
    struct cw_slice body = {big, BIG};
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_NO_ANSWER, "request bytes sent");
    assert_int_equal(scripted_action_connections(f.server), 1);
    free(big);
    tear_down(&f);
}

/* --- writes that fail ----------------------------------------------------------------------- */

/* What the client's sendmsg does, call by call; after the end of the plan it works. */
enum write_step { WRITE_OK, WRITE_FEW, WRITE_EPIPE, WRITE_ECONNRESET, WRITE_EAGAIN };

static struct {
    const enum write_step *steps;
    size_t count;
    atomic_size_t next; /* scripts look at it */
} write_plan;

enum { FEW_BYTES = 200 };

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);

static ssize_t write_few(int fd, const struct msghdr *msg, int flags)
{
    struct iovec *v = &msg->msg_iov[msg->msg_iovlen - 1];
    size_t n = 0;

    for (size_t i = 0; i < msg->msg_iovlen; i++)
        n += msg->msg_iov[i].iov_len;
    assert_true(n > FEW_BYTES && v->iov_len > n - FEW_BYTES);
    v->iov_len -= n - FEW_BYTES;
    return __real_sendmsg(fd, msg, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    static const int ERRNOS[] = {
        [WRITE_EPIPE] = EPIPE, [WRITE_ECONNRESET] = ECONNRESET, [WRITE_EAGAIN] = EAGAIN};
    enum write_step step =
        write_plan.next < write_plan.count ? write_plan.steps[write_plan.next++] : WRITE_OK;

    if (step == WRITE_OK)
        return __real_sendmsg(fd, msg, flags);
    if (step == WRITE_FEW)
        return write_few(fd, msg, flags);
    errno = ERRNOS[step];
    return -1;
}

static void plan_writes(const enum write_step *steps, size_t count)
{
    write_plan.steps = steps;
    write_plan.count = count;
    write_plan.next = 0;
}

static void plan_is_done(void)
{
    assert_int_equal(write_plan.next, write_plan.count);
    plan_writes(NULL, 0);
}

/* Long enough for WRITE_FEW to end inside it. */
static struct result long_run(struct fixture *f)
{
    char text[1000];
    struct cw_slice body = {text, sizeof(text)};
    struct cw_action_request req = run_request(&body, 1);

    memset(text, 'x', sizeof(text));
    return exchange(f, &req);
}

static void kept_connection_that_takes_no_byte_is_replaced(void **state)
{
    static const enum write_step STEPS[] = {WRITE_OK, WRITE_EPIPE};
    struct fixture f = set_up(NULL, NULL);
    struct result r;

    (void)state;
    plan_writes(STEPS, CW_ARRAY_LEN(STEPS));
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    plan_is_done();
    assert_int_equal(scripted_action_posts(f.server, "/run"), 2);
    assert_int_equal(scripted_action_connections(f.server), 2);
    tear_down(&f);
}

static void new_connection_that_takes_no_byte_is_told_as_not_sent(void **state)
{
    static const enum write_step STEPS[] = {WRITE_ECONNRESET};
    struct fixture f = set_up(NULL, NULL);
    struct result r;

    (void)state;
    plan_writes(STEPS, CW_ARRAY_LEN(STEPS));
    r = simple_run(&f);
    expect_failure(&r, CW_ACTION_REFUSED, "lost before the request was sent: Connection reset");
    plan_is_done();
    assert_int_equal(scripted_action_posts(f.server, "/run"), 0);
    tear_down(&f);
}

/* Stays until the client met the end of its plan. */
static void close_on_second_head(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (!scripted_read_request(conn))
        return;
    scripted_answer(conn, 200, "{}");
    if (scripted_read_head(conn))
        for (int i = 0; i < 1000000 && write_plan.next < 3; i++)
            (void)sched_yield();
}

static void kept_connection_that_took_some_bytes_is_not_replaced(void **state)
{
    static const enum write_step STEPS[] = {WRITE_OK, WRITE_FEW, WRITE_EPIPE};
    struct fixture f = set_up(close_on_second_head, NULL);
    struct result r;

    (void)state;
    plan_writes(STEPS, CW_ARRAY_LEN(STEPS));
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    r = long_run(&f);
    expect_failure(&r, CW_ACTION_NO_ANSWER, "200 of 1");
    plan_is_done();
    assert_int_equal(scripted_action_posts(f.server, "/run"), 2);
    assert_int_equal(scripted_action_connections(f.server), 1);
    tear_down(&f);
}

static void answer_that_came_before_the_write_failed_counts(void **state)
{
    static const enum write_step STEPS[] = {WRITE_FEW, WRITE_EPIPE};
    struct fixture f = set_up(answer_early, NULL);
    struct result r;

    (void)state;
    plan_writes(STEPS, CW_ARRAY_LEN(STEPS));
    r = long_run(&f);
    expect_answer(&r, 413, "{\"error\":\"too large\"}");
    plan_writes(NULL, 0); /* the answer may overtake the second write */
    tear_down(&f);
}

static void request_in_many_small_writes_arrives_whole(void **state)
{
    static const enum write_step STEPS[] = {WRITE_EAGAIN, WRITE_FEW,    WRITE_EAGAIN,
                                            WRITE_FEW,    WRITE_EAGAIN, WRITE_FEW};
    struct fixture f = set_up(NULL, NULL);
    struct result r;
    char *body;

    (void)state;
    plan_writes(STEPS, CW_ARRAY_LEN(STEPS));
    r = long_run(&f);
    expect_answer(&r, 200, "{}");
    plan_is_done();
    body = scripted_action_body(f.server, 0);
    assert_int_equal(strlen(body), 1000);
    assert_int_equal(strspn(body, "x"), 1000);
    free(body);
    r = long_run(&f); /* and the connection is as good as before */
    expect_answer(&r, 200, "{}");
    assert_int_equal(scripted_action_connections(f.server), 1);
    tear_down(&f);
}

/* --- time ----------------------------------------------------------------------------------- */

static void read_and_hang(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (scripted_read_request(conn))
        scripted_hang(conn);
}

static void silence_ends_at_the_timeout(void **state)
{
    struct fixture f = set_up(read_and_hang, NULL);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.timeout_ms = 30;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_TIMEOUT, "no answer within 30 ms (request sent");
    assert_true(r.reply.elapsed_us >= 30000);
    wait_until(&f, none_open);
    tear_down(&f);
}

static void drip_forever(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (!scripted_read_request(conn))
        return;
    scripted_send(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100000; i++)
        scripted_drip(conn, "x", 1);
}

static void bytes_that_trickle_in_do_not_move_the_deadline(void **state)
{
    struct fixture f = set_up(drip_forever, NULL);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.timeout_ms = 60;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_TIMEOUT, "of 100000 body bytes read");
    tear_down(&f);
}

/* A clock that the test moves; the loop's own timers go by the machine's. */
struct jump_clock {
    struct cw_clock clock;
    int64_t us;
};

static int64_t jump_now(const struct cw_clock *c)
{
    return CW_CONTAINER_OF(c, struct jump_clock, clock)->us;
}

static void answer_that_is_read_after_the_deadline_is_a_timeout(void **state)
{
    struct jump_clock clock = {{jump_now, jump_now}, 1000000};
    struct fixture f = {.loop = cw_loop_new(&clock.clock, NULL),
                        .server = scripted_action_new(NULL, NULL)};
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r = {0};

    (void)state;
    take_client(&f, 1);
    (void)post(&f, &req, &r);
    clock.us += (int64_t)PATIENCE_MS * 1000; /* the loop was busy for so long */
    wait_for(&f, &r);
    expect_failure(&r, CW_ACTION_TIMEOUT, "no answer within");
    assert_int_equal(r.reply.elapsed_us, (int64_t)PATIENCE_MS * 1000);
    tear_down(&f);
}

static void no_time_is_a_timeout_and_sends_nothing(void **state)
{
    struct fixture f = set_up(NULL, NULL);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.timeout_ms = 0;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_TIMEOUT, "within 0 ms");
    assert_int_equal(scripted_action_connections(f.server), 0);
    tear_down(&f);
}

/* --- connecting ----------------------------------------------------------------------------- */

static struct fixture set_up_closed(void)
{
    struct fixture f = {.loop = cw_loop_new(NULL, NULL),
                        .server = scripted_action_new_closed(NULL, NULL)};

    take_client(&f, 1);
    return f;
}

static void refused_connection_is_reported_as_such(void **state)
{
    struct fixture f = set_up_closed();
    struct result r;

    (void)state;
    r = simple_run(&f);
    expect_failure(&r, CW_ACTION_REFUSED, "connect: Connection refused");
    tear_down(&f);
}

static bool two_connections(struct fixture *f)
{
    return scripted_action_connections(f->server) >= 2;
}

static struct result probe(struct fixture *f)
{
    struct result r = {.inside = true};

    (void)cw_action_probe(f->client, PATIENCE_MS, on_reply, &r);
    r.inside = false;
    wait_for(f, &r);
    free(r.body);
    r.body = NULL;
    return r;
}

static void probe_tells_whether_anybody_listens_and_sends_nothing(void **state)
{
    struct fixture f = set_up_closed();

    (void)state;
    assert_int_equal(probe(&f).reply.outcome, CW_ACTION_REFUSED);
    scripted_action_listen(f.server);
    assert_int_equal(probe(&f).reply.outcome, CW_ACTION_ANSWERED);
    assert_int_equal(probe(&f).reply.outcome, CW_ACTION_ANSWERED);
    assert_null(scripted_action_head(f.server, 0));
    tear_down(&f);
}

static void probe_leaves_idle_connections_alone(void **state)
{
    struct fixture f = set_up(NULL, NULL);
    struct result r = simple_run(&f);

    (void)state;
    expect_answer(&r, 200, "{}");
    assert_int_equal(probe(&f).reply.outcome, CW_ACTION_ANSWERED);
    r = simple_run(&f);
    expect_answer(&r, 200, "{}");
    wait_until(&f, two_connections);
    assert_int_equal(scripted_action_connections(f.server), 2);
    tear_down(&f);
}

static void cancelled_probe_is_not_reported(void **state)
{
    struct fixture f = set_up(NULL, NULL);
    struct result r = {0};

    (void)state;
    cw_action_cancel(cw_action_probe(f.client, PATIENCE_MS, on_reply, &r));
    assert_int_equal(probe(&f).reply.outcome, CW_ACTION_ANSWERED); /* turns of the loop */
    assert_int_equal(r.calls, 0);
    tear_down(&f);
}

static void start_listening(void *arg)
{
    scripted_action_listen(((struct fixture *)arg)->server);
}

static void init_is_sent_once_when_the_container_begins_to_listen(void **state)
{
    struct fixture f = set_up_closed();
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct cw_timer timer;
    struct result r;

    (void)state;
    req.path = "/init";
    req.retry_connect_ms = 5;
    cw_timer_init(&timer, f.loop, start_listening, &f);
    cw_timer_set_ms(&timer, 40);
    r = exchange(&f, &req);
    expect_answer(&r, 200, "{}");
    assert_int_equal(scripted_action_posts(f.server, "/init"), 1);
    assert_true(r.reply.elapsed_us >= 35000);
    cw_timer_done(&timer);
    tear_down(&f);
}

static void retries_end_at_the_timeout(void **state)
{
    struct fixture f = set_up_closed();
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.retry_connect_ms = 7;
    req.timeout_ms = 40;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_TIMEOUT, "connecting: Connection refused");
    assert_true(r.reply.elapsed_us >= 40000);
    tear_down(&f);
}

static void patience_is_for_connecting_alone(void **state)
{
    struct fixture f = set_up_closed();
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct cw_timer timer;
    struct result r;

    (void)state;
    req.retry_connect_ms = 5;
    req.timeout_ms = 500;
    req.patience_ms = 60000;
    cw_timer_init(&timer, f.loop, start_listening, &f);
    cw_timer_set_ms(&timer, 600);
    r = exchange(&f, &req);
    expect_answer(&r, 200, "{}");
    assert_true(r.reply.elapsed_us < 500000); /* counted from when it was connected */
    assert_true(r.reply.end_ms - r.reply.start_ms < 500);
    cw_timer_done(&timer);
    tear_down(&f);
}

static void answer_is_due_in_time_however_much_patience_there_was(void **state)
{
    struct fixture f = set_up(read_and_hang, NULL);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.retry_connect_ms = 5;
    req.timeout_ms = 40;
    req.patience_ms = 3600000;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_TIMEOUT, "no answer within 40 ms");
    tear_down(&f);
}

static void patience_has_an_end(void **state)
{
    struct fixture f = set_up_closed();
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.retry_connect_ms = 7;
    req.timeout_ms = 20;
    req.patience_ms = 30;
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_TIMEOUT,
                   "no answer within 50 ms (connecting: Connection refused)");
    tear_down(&f);
}

static void reset_is_final_even_when_connects_are_retried(void **state)
{
    struct fixture f = set_up(reset_on_second_request, NULL);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;

    (void)state;
    req.retry_connect_ms = 1;
    r = exchange(&f, &req);
    expect_answer(&r, 200, "{}");
    r = exchange(&f, &req);
    expect_failure(&r, CW_ACTION_NO_ANSWER, "reset");
    assert_int_equal(scripted_action_posts(f.server, "/run"), 2);
    tear_down(&f);
}

/* Connections to `port` that the kernel accepts until its queue is full. */
static void fill_backlog(uint16_t port, int *fds, int count)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        (void)connect(fds[i], (struct sockaddr *)&addr, sizeof(addr));
    }
}

/* One request to a port that neither takes nor refuses connections. */
static struct result post_to_full_backlog(int64_t retry_connect_ms, int64_t connect_within_ms,
                                          int64_t timeout_ms)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    struct fixture f = {.loop = cw_loop_new(NULL, NULL)};
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r;
    int fds[4], listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
    fill_backlog(ntohs(addr.sin_port), fds, 4);
    f.client = cw_action_client_new(f.loop, "127.0.0.1", ntohs(addr.sin_port), 1, NULL);
    req.timeout_ms = timeout_ms;
    req.retry_connect_ms = retry_connect_ms;
    req.connect_within_ms = connect_within_ms;
    r = exchange(&f, &req);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(listener);
    tear_down(&f);
    return r;
}

static void connect_that_hangs_is_a_timeout(void **state)
{
    struct result r = post_to_full_backlog(5, 0, 30);

    (void)state;
    expect_failure(&r, CW_ACTION_TIMEOUT, "no answer within 30 ms (connecting)");
}

static void connect_that_takes_too_long_counts_as_refused(void **state)
{
    struct result r = post_to_full_backlog(0, 20, 60000);

    (void)state;
    expect_failure(&r, CW_ACTION_REFUSED, "connect: No route to host");
}

static void connect_that_takes_too_long_is_retried_where_refusals_are(void **state)
{
    struct result r = post_to_full_backlog(5, 10, 60);

    (void)state;
    expect_failure(&r, CW_ACTION_TIMEOUT, "no answer within 60 ms (connecting: No route to host)");
}

static void first_attempts_are_short_where_refusals_are_retried(void **state)
{
    struct result r = post_to_full_backlog(5, 60000, 150);

    (void)state;
    expect_failure(&r, CW_ACTION_TIMEOUT, "no answer within 150 ms (connecting: No route to host)");
}

static void lack_of_descriptors_is_told_as_not_sent(void **state)
{
    struct fixture f = set_up_closed();
    struct rlimit old, none;
    struct result r;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    r = simple_run(&f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    expect_failure(&r, CW_ACTION_NOT_SENT, "socket: Too many open files");
    tear_down(&f);
}

static void address_must_be_numeric(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_action_client *c;
    struct cw_err err;

    (void)state;
    assert_null(cw_action_client_new(loop, "localhost", 8080, 1, &err));
    assert_int_equal(err.code, CW_INVALID);
    assert_non_null(strstr(err.msg, "numeric IPv4 or IPv6"));
    assert_null(cw_action_client_new(loop, "127.0.0.1", 0, 1, &err));
    c = cw_action_client_new(loop, "::1", 8080, 1, &err);
    assert_non_null(c);
    cw_action_client_free(c);
    cw_action_client_free(NULL);
    cw_loop_free(loop);
}

/* --- giving up ------------------------------------------------------------------------------ */

static bool one_posted(struct fixture *f)
{
    return scripted_action_posts(f->server, "/run") == 1;
}

static void cancelled_call_is_silent_and_its_connection_closed(void **state)
{
    struct fixture f = set_up(read_and_hang, NULL);
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result r = {0};
    struct cw_action_call *call;

    (void)state;
    call = post(&f, &req, &r);
    wait_until(&f, one_posted);
    cw_action_cancel(call);
    wait_until(&f, none_open);
    assert_int_equal(r.calls, 0);
    tear_down(&f);
}

static void cancelling_before_anything_happened_is_silent(void **state)
{
    struct fixture f = set_up_closed();
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct result cancelled[3] = {0}, last;

    (void)state;
    cw_action_cancel(post(&f, &req, &cancelled[0])); /* connecting */
    req.timeout_ms = 0;
    cw_action_cancel(post(&f, &req, &cancelled[1])); /* failed, not yet told */
    last = simple_run(&f);
    expect_failure(&last, CW_ACTION_REFUSED, "refused");
    assert_int_equal(cancelled[0].calls + cancelled[1].calls, 0);
    tear_down(&f);
}

struct suicide {
    struct fixture *f;
    struct result other;
    bool freed;
};

static void free_client(void *arg, const struct cw_action_reply *reply)
{
    struct suicide *s = arg;

    cw_action_client_free(s->f->client);
    s->f->client = NULL;
    s->freed = true;
    if (reply->outcome == CW_ACTION_ANSWERED)
        assert_memory_equal(reply->body.p, "{}", 2);
}

static bool is_freed(void *arg)
{
    return ((struct suicide *)arg)->freed;
}

static void answer_first_connection_only(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    if (!scripted_read_request(conn))
        return;
    if (scripted_index(conn) == 0)
        scripted_answer(conn, 200, "{}");
    scripted_hang(conn);
}

static void free_inside(struct fixture f, int64_t timeout_ms)
{
    struct cw_slice body = CW_SLICE("{}");
    struct cw_action_request req = run_request(&body, 1);
    struct suicide s = {.f = &f};

    req.timeout_ms = timeout_ms;
    (void)cw_action_post(f.client, &req, free_client, &s);
    req.timeout_ms = PATIENCE_MS;
    req.retry_connect_ms = PATIENCE_MS;
    (void)post(&f, &req, &s.other);
    assert_true(cw_loop_run_until(f.loop, is_freed, &s, PATIENCE_MS));
    assert_int_equal(s.other.calls, 0);
    tear_down(&f);
}

static void client_may_be_freed_from_inside_a_reply(void **state)
{
    (void)state;
    free_inside(set_up(answer_first_connection_only, NULL), PATIENCE_MS); /* answered */
    free_inside(set_up_closed(), PATIENCE_MS);                            /* refused */
    free_inside(set_up(read_and_hang, NULL), 20);                         /* timed out */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_has_the_headers_and_body_a_runtime_expects),
        cmocka_unit_test(many_body_pieces_arrive_in_order),
        cmocka_unit_test(bodies_of_48_mb_go_both_ways),
        cmocka_unit_test(error_status_comes_with_its_body),
        cmocka_unit_test(request_lost_on_a_kept_connection_is_not_sent_again),
        cmocka_unit_test(reset_on_a_kept_connection_is_not_sent_again),
        cmocka_unit_test(requests_in_a_row_share_one_connection),
        cmocka_unit_test(run_posted_from_the_answer_to_init_uses_the_same_connection),
        cmocka_unit_test(connection_closed_while_idle_is_replaced),
        cmocka_unit_test(container_that_hangs_up_unannounced_gets_a_connection_for_each_request),
        cmocka_unit_test(end_of_file_is_seen_before_reuse_without_a_turn_of_the_loop),
        cmocka_unit_test(connection_is_closed_when_the_answer_forbids_to_keep_it),
        cmocka_unit_test(end_of_file_closes_an_idle_connection_at_once),
        cmocka_unit_test(closing_idle_connections_leaves_none),
        cmocka_unit_test(without_idle_connections_each_request_says_close),
        cmocka_unit_test(concurrent_calls_use_own_connections_and_keep_at_most_max_idle),
        cmocka_unit_test(answers_that_cannot_be_trusted_are_none),
        cmocka_unit_test(headers_without_end_are_cut_off),
        cmocka_unit_test(interim_answers_are_skipped),
        cmocka_unit_test(answer_byte_by_byte_is_put_together),
        cmocka_unit_test(long_answer_is_cut_and_drained),
        cmocka_unit_test(cut_answer_that_never_ends_is_a_timeout),
        cmocka_unit_test(answer_before_the_request_was_sent_whole_counts),
        cmocka_unit_test(peer_that_hangs_up_in_the_middle_of_the_request_gives_no_answer),
        cmocka_unit_test(kept_connection_that_takes_no_byte_is_replaced),
        cmocka_unit_test(new_connection_that_takes_no_byte_is_told_as_not_sent),
        cmocka_unit_test(kept_connection_that_took_some_bytes_is_not_replaced),
        cmocka_unit_test(answer_that_came_before_the_write_failed_counts),
        cmocka_unit_test(request_in_many_small_writes_arrives_whole),
        cmocka_unit_test(silence_ends_at_the_timeout),
        cmocka_unit_test(bytes_that_trickle_in_do_not_move_the_deadline),
        cmocka_unit_test(answer_that_is_read_after_the_deadline_is_a_timeout),
        cmocka_unit_test(no_time_is_a_timeout_and_sends_nothing),
        cmocka_unit_test(refused_connection_is_reported_as_such),
        cmocka_unit_test(probe_tells_whether_anybody_listens_and_sends_nothing),
        cmocka_unit_test(probe_leaves_idle_connections_alone),
        cmocka_unit_test(cancelled_probe_is_not_reported),
        cmocka_unit_test(init_is_sent_once_when_the_container_begins_to_listen),
        cmocka_unit_test(retries_end_at_the_timeout),
        cmocka_unit_test(patience_is_for_connecting_alone),
        cmocka_unit_test(answer_is_due_in_time_however_much_patience_there_was),
        cmocka_unit_test(patience_has_an_end),
        cmocka_unit_test(reset_is_final_even_when_connects_are_retried),
        cmocka_unit_test(connect_that_hangs_is_a_timeout),
        cmocka_unit_test(connect_that_takes_too_long_counts_as_refused),
        cmocka_unit_test(connect_that_takes_too_long_is_retried_where_refusals_are),
        cmocka_unit_test(first_attempts_are_short_where_refusals_are_retried),
        cmocka_unit_test(lack_of_descriptors_is_told_as_not_sent),
        cmocka_unit_test(address_must_be_numeric),
        cmocka_unit_test(cancelled_call_is_silent_and_its_connection_closed),
        cmocka_unit_test(cancelling_before_anything_happened_is_silent),
        cmocka_unit_test(client_may_be_freed_from_inside_a_reply),
    };

    return cmocka_run_group_tests_name("action_client", tests, NULL, NULL);
}
