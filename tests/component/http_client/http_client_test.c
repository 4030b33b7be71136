#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "tests/support/scripted_http.h"

enum { WAIT_MS = 20000 };

struct fixture {
    struct cw_loop *loop;
    struct scripted_http *peer;
    struct cw_http *http;
    bool inside_send;
};

/* What became of one call. */
struct outcome {
    struct fixture *f;
    struct cw_http_call *call;
    struct cw_http_call *victim; /* cancelled by on_done or on_piece */
    unsigned done;
    int status;
    char *body;
    size_t body_len;
    char content_type[64];
    char etag[64];
    struct cw_err err;
    struct cw_str pieces;
    unsigned piece_count;
    unsigned cancel_at;      /* cancel the call itself at this piece */
    struct outcome *send_at; /* send "/second" for it at the first piece */
    bool free_http;          /* in the next callback */
};

static void start_fixture(struct fixture *f, enum scripted_transport transport, unsigned per_host)
{
    const struct cw_http_conf conf = {.max_per_host = per_host};

    memset(f, 0, sizeof(*f));
    f->loop = cw_loop_new(NULL, NULL);
    f->peer = scripted_http_new(f->loop, transport);
    f->http = cw_http_new(f->loop, &conf, NULL);
    assert_non_null(f->http);
}

static void stop_fixture(struct fixture *f)
{
    cw_http_free(f->http);
    scripted_http_free(f->peer);
    cw_loop_free(f->loop);
}

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    start_fixture(f, SCRIPTED_TCP, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    stop_fixture(*state);
    free(*state);
    return 0;
}

static void outcome_done(struct outcome *o)
{
    free(o->body);
    cw_str_done(&o->pieces);
}

static void react(struct outcome *o)
{
    if (o->victim)
        cw_http_cancel(CW_STEAL(o->victim));
    if (o->free_http)
        cw_http_free(CW_STEAL(o->f->http));
}

static void on_done(void *arg, const struct cw_http_reply *reply, const struct cw_err *err)
{
    struct outcome *o = arg;

    assert_false(o->f->inside_send);
    assert_true((reply != NULL) != (err != NULL));
    react(o); /* reply and err must survive whatever is done here */
    o->done++;
    if (err) {
        o->err = *err;
        return;
    }
    o->status = reply->status;
    o->body_len = reply->body.n;
    o->body = cw_slice_dup(reply->body);
    (void)snprintf(o->content_type, sizeof(o->content_type), "%s", reply->content_type);
    (void)snprintf(o->etag, sizeof(o->etag), "%s", reply->etag);
}

static void send_request(struct fixture *f, struct outcome *o, const char *path,
                         struct cw_http_request req)
{
    char url[256];

    (void)snprintf(url, sizeof(url), "%s%s", scripted_http_url(f->peer), path);
    if (!req.method)
        req.method = "GET";
    if (!req.url)
        req.url = url;
    if (!req.unix_path)
        req.unix_path = scripted_http_unix_path(f->peer);
    o->f = f;
    if (!o->pieces.p)
        cw_str_init(&o->pieces, 64 * 1024 * 1024);
    f->inside_send = true;
    o->call = cw_http_send(f->http, &req, on_done, o);
    f->inside_send = false;
    assert_non_null(o->call);
}

static void on_piece(void *arg, struct cw_slice piece)
{
    struct outcome *o = arg;

    assert_true(piece.n > 0);
    cw_str_adds(&o->pieces, piece);
    o->piece_count++;
    if (o->send_at) {
        send_request(o->f, o->send_at, "/second", (struct cw_http_request){.timeout_ms = WAIT_MS});
        o->send_at = NULL;
    }
    react(o);
    if (o->piece_count == o->cancel_at)
        cw_http_cancel(o->call);
}

static bool is_done(void *arg)
{
    return ((struct outcome *)arg)->done > 0;
}

static void wait_done(struct outcome *o)
{
    assert_true(cw_loop_run_until(o->f->loop, is_done, o, WAIT_MS));
    assert_int_equal(o->done, 1);
}

/* One GET of `path` from begin to end. */
static void exchange(struct fixture *f, struct outcome *o, const char *path,
                     struct cw_http_request req)
{
    send_request(f, o, path, req);
    wait_done(o);
}

static bool all_closed(void *arg)
{
    return scripted_http_open(arg) == 0;
}

struct request_target {
    struct scripted_http *peer;
    size_t count;
};

static bool requests_came(void *arg)
{
    const struct request_target *t = arg;

    return scripted_http_count(t->peer) >= t->count;
}

static void wait_requests(struct fixture *f, size_t count)
{
    struct request_target t = {f->peer, count};

    assert_true(cw_loop_run_until(f->loop, requests_came, &t, WAIT_MS));
}

/* Everything that is due has happened when a later call has been answered. */
static void run_a_marker(struct fixture *f)
{
    struct outcome marker = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/marker"});
    exchange(f, &marker, "/marker", (struct cw_http_request){.fresh_connection = true});
    assert_int_equal(marker.status, 200);
    outcome_done(&marker);
}

static void assert_header(const struct scripted_request *req, const char *name, const char *value)
{
    char text[256];

    if (!value) {
        assert_null(scripted_http_header(req, name, text, sizeof(text)));
        return;
    }
    assert_non_null(scripted_http_header(req, name, text, sizeof(text)));
    assert_string_equal(text, value);
}

static char *filled(size_t n)
{
    char *p = cw_alloc(n + 1);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + i % 23);
    return p;
}

/* ---- plain exchanges ---- */

static void get_gives_status_body_type_and_etag(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){
                                      .method = "GET",
                                      .path = "/db/a%2Fb?x=1",
                                      .headers = "Content-Type: application/json\r\n"
                                                 "etag: \"1-abc\"\r\n",
                                      .body = "{\"ok\":true}",
                                  });
    exchange(f, &o, "/db/a%2Fb?x=1", (struct cw_http_request){.timeout_ms = WAIT_MS});
    assert_int_equal(o.status, 200);
    assert_string_equal(o.body, "{\"ok\":true}");
    assert_string_equal(o.content_type, "application/json");
    assert_string_equal(o.etag, "\"1-abc\"");
    assert_header(scripted_http_request(f->peer, 0), "User-Agent", "cwhisk");
    assert_header(scripted_http_request(f->peer, 0), "Authorization", NULL);
    assert_header(scripted_http_request(f->peer, 0), "Accept-Encoding", NULL);
    outcome_done(&o);
}

static void absent_type_and_etag_are_empty_texts(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.status = 204});
    exchange(f, &o, "/", (struct cw_http_request){0});
    assert_int_equal(o.status, 204);
    assert_int_equal(o.body_len, 0);
    assert_string_equal(o.content_type, "");
    assert_string_equal(o.etag, "");
    outcome_done(&o);
}

static void error_statuses_are_replies(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.status = 503, .body = "later"});
    exchange(f, &o, "/", (struct cw_http_request){0});
    assert_int_equal(o.status, 503);
    assert_string_equal(o.body, "later");
    outcome_done(&o);
}

static void large_body_is_sent_whole_without_expect(void **state)
{
    static const char *const HEADERS[] = {"Content-Type: application/json", "X-One: 1", NULL};
    struct fixture *f = *state;
    struct outcome o = {0};
    const struct scripted_request *seen;
    size_t n = 3 * 1024 * 1024;
    char *body = filled(n);

    scripted_http_expect(f->peer, &(struct scripted_step){.method = "PUT", .status = 201});
    exchange(f, &o, "/doc",
             (struct cw_http_request){
                 .method = "PUT", .body = {body, n}, .has_body = true, .headers = HEADERS});
    assert_int_equal(o.status, 201);
    seen = scripted_http_request(f->peer, 0);
    assert_int_equal(seen->body_len, n);
    assert_memory_equal(seen->body, body, n);
    assert_header(seen, "Expect", NULL);
    assert_header(seen, "Transfer-Encoding", NULL);
    assert_header(seen, "Content-Length", "3145728");
    assert_header(seen, "Content-Type", "application/json");
    assert_header(seen, "X-One", "1");
    free(body);
    outcome_done(&o);
}

static void body_bytes_may_be_reused_after_send(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char body[] = {'a', '\0', 'b'};

    scripted_http_expect(f->peer, &(struct scripted_step){.method = "POST"});
    send_request(
        f, &o, "/",
        (struct cw_http_request){.method = "POST", .body = {body, sizeof(body)}, .has_body = true});
    memset(body, 'x', sizeof(body));
    wait_done(&o);
    assert_int_equal(scripted_http_request(f->peer, 0)->body_len, 3);
    assert_memory_equal(scripted_http_request(f->peer, 0)->body, "a\0b", 3);
    assert_header(scripted_http_request(f->peer, 0), "Content-Type", NULL);
    outcome_done(&o);
}

static void empty_body_still_has_a_length(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.method = "POST"});
    exchange(f, &o, "/", (struct cw_http_request){.method = "POST", .has_body = true});
    assert_header(scripted_http_request(f->peer, 0), "Content-Length", "0");
    outcome_done(&o);
}

static void head_and_delete_have_no_body(void **state)
{
    struct fixture *f = *state;
    struct outcome head = {0}, del = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.method = "HEAD", .body = "12345"});
    scripted_http_expect(f->peer, &(struct scripted_step){.method = "DELETE", .body = "gone"});
    exchange(f, &head, "/", (struct cw_http_request){.method = "HEAD", .timeout_ms = WAIT_MS});
    assert_int_equal(head.status, 200);
    assert_int_equal(head.body_len, 0);
    exchange(f, &del, "/", (struct cw_http_request){.method = "DELETE"});
    assert_string_equal(del.body, "gone");
    assert_header(scripted_http_request(f->peer, 1), "Content-Length", NULL);
    outcome_done(&head);
    outcome_done(&del);
}

static void basic_auth_goes_with_the_first_request(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){0});
    exchange(f, &o, "/", (struct cw_http_request){.user = "whisk", .password = "s3:cret"});
    assert_int_equal(scripted_http_count(f->peer), 1);
    assert_header(scripted_http_request(f->peer, 0), "Authorization", "Basic d2hpc2s6czM6Y3JldA==");
    outcome_done(&o);
}

static void chunked_answer_is_put_together(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char *body = filled(200000);

    scripted_http_expect(f->peer, &(struct scripted_step){.body = body, .chunked = true});
    exchange(f, &o, "/", (struct cw_http_request){0});
    assert_int_equal(o.body_len, 200000);
    assert_memory_equal(o.body, body, 200000);
    free(body);
    outcome_done(&o);
}

static void unix_socket_is_spoken_to(void **state)
{
    struct fixture f;
    struct outcome o = {0};

    (void)state;
    start_fixture(&f, SCRIPTED_UNIX, 0);
    scripted_http_expect(f.peer, &(struct scripted_step){.path = "/v1.41/info", .body = "{}"});
    exchange(&f, &o, "/v1.41/info", (struct cw_http_request){0});
    assert_int_equal(o.status, 200);
    assert_header(scripted_http_request(f.peer, 0), "Host", "localhost");
    outcome_done(&o);
    stop_fixture(&f);
}

static void host_names_are_resolved(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char url[64];

    (void)snprintf(url, sizeof(url), "http://localhost:%u/", scripted_http_port(f->peer));
    scripted_http_expect(f->peer, &(struct scripted_step){0});
    exchange(f, &o, "", (struct cw_http_request){.url = url, .timeout_ms = WAIT_MS});
    assert_int_equal(o.status, 200);
    outcome_done(&o);
}

static void proxies_of_the_environment_are_ignored(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1/", 1), 0);
    scripted_http_expect(f->peer, &(struct scripted_step){0});
    exchange(f, &o, "/", (struct cw_http_request){0});
    assert_int_equal(o.status, 200);
    (void)unsetenv("http_proxy");
    (void)unsetenv("ALL_PROXY");
    outcome_done(&o);
}

static void redirects_are_not_followed(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer,
                         &(struct scripted_step){.status = 302, .headers = "Location: /there\r\n"});
    exchange(f, &o, "/", (struct cw_http_request){0});
    assert_int_equal(o.status, 302);
    assert_int_equal(scripted_http_count(f->peer), 1);
    outcome_done(&o);
}

static void dot_segments_of_a_path_stay(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/db/../x"});
    exchange(f, &o, "/db/../x", (struct cw_http_request){0});
    assert_int_equal(o.status, 200);
    outcome_done(&o);
}

/* ---- failures ---- */

static void expect_failure(struct fixture *f, const struct scripted_step *step,
                           struct cw_http_request req, enum cw_code code, bool retriable)
{
    struct outcome o = {0};

    scripted_http_expect(f->peer, step);
    exchange(f, &o, "/db/x?secret=1", req);
    assert_int_equal(o.err.code, code);
    assert_int_equal(o.err.retriable, retriable);
    assert_non_null(strstr(o.err.msg, "GET http://127.0.0.1:"));
    assert_non_null(strstr(o.err.msg, "/db/x"));
    assert_null(strstr(o.err.msg, "secret"));
    assert_int_equal(cw_http_in_flight(f->http), 0);
    outcome_done(&o);
}

static void broken_connections_are_unavailable(void **state)
{
    static const struct scripted_step STEPS[] = {
        {.action = SCRIPTED_RESET},
        {.raw = "", .action = SCRIPTED_CLOSE},
        {.body = "0123456789", .action = SCRIPTED_HALF},
        {.body = "0123456789", .action = SCRIPTED_HALF, .cut = 12},
        {.body = "0123456789", .chunked = true, .action = SCRIPTED_HALF},
        {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"},
        {.headers = "Content-Length: 100\r\n", .body = "short", .action = SCRIPTED_CLOSE},
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(STEPS); i++)
        expect_failure(*state, &STEPS[i],
                       (struct cw_http_request){.timeout_ms = WAIT_MS, .fresh_connection = true},
                       CW_UNAVAILABLE, true);
}

static void garbage_is_an_internal_error(void **state)
{
    static const char *const GARBAGE[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/2 200200\r\nContent-Length: 0\r\n\r\n",
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(GARBAGE); i++)
        expect_failure(*state, &(struct scripted_step){.raw = GARBAGE[i], .action = SCRIPTED_CLOSE},
                       (struct cw_http_request){.timeout_ms = WAIT_MS}, CW_INTERNAL, false);
}

static void answers_over_the_limit_are_too_large(void **state)
{
    char *body = filled(5000), *head = cw_alloc(400 * 1024);
    const struct cw_http_request req = {.max_body = 4999, .timeout_ms = WAIT_MS};
    size_t n = 0;

    expect_failure(*state, &(struct scripted_step){.body = body}, req, CW_TOO_LARGE, false);
    expect_failure(*state, &(struct scripted_step){.body = body, .chunked = true}, req,
                   CW_TOO_LARGE, false);
    for (unsigned i = 0; n < 300 * 1024; i++)
        n += (size_t)sprintf(head + n, "X-Filler-%u: %.900s\r\n", i, body);
    expect_failure(*state, &(struct scripted_step){.headers = head}, req, CW_TOO_LARGE, false);
    free(body);
    free(head);
}

static void answer_of_exactly_the_limit_is_kept(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "12345"});
    exchange(f, &o, "/", (struct cw_http_request){.max_body = 5});
    assert_string_equal(o.body, "12345");
    outcome_done(&o);
}

static void silence_ends_in_a_timeout(void **state)
{
    const struct cw_http_request req = {.timeout_ms = 60};

    expect_failure(*state, &(struct scripted_step){.action = SCRIPTED_HANG}, req, CW_TIMEOUT, true);
    expect_failure(*state, &(struct scripted_step){.delay_ms = WAIT_MS}, req, CW_TIMEOUT, true);
    expect_failure(
        *state,
        &(struct scripted_step){.headers = "Content-Length: 9\r\n", .body = "1", .delay_ms = 1},
        req, CW_TIMEOUT, true);
    assert_true(cw_loop_run_until(((struct fixture *)*state)->loop, all_closed,
                                  ((struct fixture *)*state)->peer, WAIT_MS));
}

static void refused_connection_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct outcome tcp = {0}, gone = {0};
    struct scripted_http *closed = scripted_http_new(f->loop, SCRIPTED_TCP);
    char url[64];

    (void)snprintf(url, sizeof(url), "%s/x", scripted_http_url(closed));
    scripted_http_free(closed);
    exchange(f, &tcp, "", (struct cw_http_request){.url = url});
    assert_int_equal(tcp.err.code, CW_UNAVAILABLE);
    assert_true(tcp.err.retriable);
    exchange(f, &gone, "", (struct cw_http_request){.unix_path = "/nonexistent/docker.sock"});
    assert_int_equal(gone.err.code, CW_UNAVAILABLE);
    assert_true(gone.err.retriable);
    outcome_done(&tcp);
    outcome_done(&gone);
}

static void wrong_requests_are_invalid_and_reported_later(void **state)
{
    static const char *const INJECTED[] = {"X-A: 1\r\nX-B: 2", NULL};
    static const char *const NAMELESS[] = {"no colon here", NULL};
    const char long_path[] =
        "/tmp/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const struct cw_http_request bad[] = {
        {.url = "ftp://127.0.0.1/x"},
        {.url = "file:///etc/passwd"},
        {.url = "127.0.0.1/x"},
        {.url = "http://127.0.0.1:99999/x"},
        {.url = "http://127.0.0.1/with space"},
        {.url = "http://127.0.0.1/line\nbreak"},
        {.url = "http://me:hunter2@127.0.0.1/x"},
        {.method = "GET / HTTP/1.1\r\nX:"},
        {.method = ""},
        {.headers = INJECTED},
        {.headers = NAMELESS},
        {.unix_path = long_path},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(bad); i++) {
        struct outcome o = {0};

        exchange(f, &o, "/", bad[i]);
        assert_int_equal(o.err.code, CW_INVALID);
        assert_false(o.err.retriable);
        assert_null(strstr(o.err.msg, "hunter2"));
        outcome_done(&o);
    }
    assert_int_equal(scripted_http_count(f->peer), 0);
}

static void wrong_configuration_is_refused(void **state)
{
    struct fixture *f = *state;
    struct cw_err err;

    assert_null(cw_http_new(f->loop, &(struct cw_http_conf){.user_agent = "a\r\nX: y"}, &err));
    assert_int_equal(err.code, CW_INVALID);
}

/* ---- connections ---- */

static void kept_alive_connection_is_used_again(void **state)
{
    struct fixture *f = *state;
    struct outcome a = {0}, b = {0}, c = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "x", .repeat = true});
    exchange(f, &a, "/1", (struct cw_http_request){0});
    exchange(f, &b, "/2", (struct cw_http_request){0});
    assert_int_equal(scripted_http_accepted(f->peer), 1);
    exchange(f, &c, "/3", (struct cw_http_request){.fresh_connection = true});
    assert_int_equal(scripted_http_accepted(f->peer), 2);
    assert_int_equal(scripted_http_request(f->peer, 2)->connection, 2);
    outcome_done(&a);
    outcome_done(&b);
    outcome_done(&c);
}

static void connection_closed_while_idle_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct outcome a = {0}, b = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "x", .repeat = true});
    exchange(f, &a, "/1", (struct cw_http_request){0});
    scripted_http_drop(f->peer);
    exchange(f, &b, "/2", (struct cw_http_request){0});
    assert_int_equal(b.status, 200);
    assert_int_equal(scripted_http_count(f->peer), 2);
    outcome_done(&a);
    outcome_done(&b);
}

static void request_on_a_fresh_connection_is_never_sent_twice(void **state)
{
    struct fixture *f = *state;
    struct outcome a = {0}, b = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/warm"});
    scripted_http_expect(f->peer, &(struct scripted_step){.raw = "", .action = SCRIPTED_CLOSE});
    exchange(f, &a, "/warm", (struct cw_http_request){0});
    exchange(
        f, &b, "/once",
        (struct cw_http_request){
            .method = "POST", .body = CW_SLICE("{}"), .has_body = true, .fresh_connection = 1});
    assert_int_equal(b.err.code, CW_UNAVAILABLE);
    run_a_marker(f);
    assert_int_equal(scripted_http_count(f->peer), 3);
    outcome_done(&a);
    outcome_done(&b);
}

struct crowd {
    struct outcome *all;
    size_t count;
};

static bool all_done(void *arg)
{
    const struct crowd *c = arg;

    for (size_t i = 0; i < c->count; i++)
        if (!c->all[i].done)
            return false;
    return true;
}

static void connections_to_one_host_are_capped(void **state)
{
    struct outcome o[40] = {0};
    struct crowd crowd = {o, CW_ARRAY_LEN(o)};
    struct fixture f;
    char path[16];

    (void)state;
    start_fixture(&f, SCRIPTED_TCP, 3);
    scripted_http_expect(f.peer, &(struct scripted_step){.delay_ms = 1, .repeat = true});
    for (size_t i = 0; i < CW_ARRAY_LEN(o); i++) {
        (void)snprintf(path, sizeof(path), "/%zu", i);
        send_request(&f, &o[i], path, (struct cw_http_request){.timeout_ms = WAIT_MS});
    }
    assert_int_equal(cw_http_in_flight(f.http), CW_ARRAY_LEN(o));
    assert_true(cw_loop_run_until(f.loop, all_done, &crowd, WAIT_MS));
    assert_int_equal(scripted_http_accepted(f.peer), 3);
    assert_int_equal(scripted_http_count(f.peer), CW_ARRAY_LEN(o));
    assert_int_equal(cw_http_in_flight(f.http), 0);
    for (size_t i = 0; i < CW_ARRAY_LEN(o); i++) {
        assert_int_equal(o[i].status, 200);
        outcome_done(&o[i]);
    }
    stop_fixture(&f);
}

static void deadline_counts_while_waiting_for_a_connection(void **state)
{
    struct outcome first = {0}, waiting = {0};
    struct fixture f;

    (void)state;
    start_fixture(&f, SCRIPTED_TCP, 1);
    scripted_http_expect(f.peer, &(struct scripted_step){.action = SCRIPTED_HANG});
    send_request(&f, &first, "/stream", (struct cw_http_request){0});
    send_request(&f, &waiting, "/short", (struct cw_http_request){.timeout_ms = 50});
    wait_done(&waiting);
    assert_int_equal(waiting.err.code, CW_TIMEOUT);
    assert_int_equal(scripted_http_count(f.peer), 1);
    assert_int_equal(first.done, 0);
    stop_fixture(&f); /* cancels the first */
    outcome_done(&first);
    outcome_done(&waiting);
}

/* ---- streams ---- */

struct pieces_target {
    struct outcome *o;
    size_t bytes;
};

static bool bytes_came(void *arg)
{
    const struct pieces_target *t = arg;

    return t->o->pieces.n >= t->bytes;
}

static void wait_bytes(struct outcome *o, size_t bytes)
{
    struct pieces_target t = {o, bytes};

    assert_true(cw_loop_run_until(o->f->loop, bytes_came, &t, WAIT_MS));
}

static void stream_delivers_pieces_as_they_come(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer,
                         &(struct scripted_step){.body = "one ", .action = SCRIPTED_STREAM});
    send_request(f, &o, "/logs", (struct cw_http_request){.on_data = on_piece});
    wait_bytes(&o, 4);
    assert_int_equal(scripted_http_push(f->peer, "two ", 4), 1);
    wait_bytes(&o, 8);
    assert_int_equal(o.done, 0);
    assert_int_equal(scripted_http_push(f->peer, "three", 5), 1);
    scripted_http_finish(f->peer);
    wait_done(&o);
    assert_string_equal(o.pieces.p, "one two three");
    assert_int_equal(o.status, 200);
    assert_int_equal(o.body_len, 0);
    assert_true(o.piece_count >= 3);
    outcome_done(&o);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void held_stream_makes_its_peer_wait(void **state)
{
    enum { BYTES = 8 << 20, UNDER_WAY = 512 << 10 };
    struct fixture *f = *state;
    struct outcome o = {0};
    char *much = filled(BYTES);

    scripted_http_expect(f->peer,
                         &(struct scripted_step){.body = "one", .action = SCRIPTED_STREAM});
    send_request(f, &o, "/logs", (struct cw_http_request){.on_data = on_piece});
    wait_bytes(&o, 3);
    cw_http_hold(o.call, true);
    assert_int_equal(scripted_http_push(f->peer, much, BYTES), 1);
    (void)cw_loop_run_until(f->loop, never, NULL, 30);
    assert_true(o.pieces.n < UNDER_WAY);
    cw_http_hold(o.call, false);
    cw_http_hold(o.call, true); /* changed one's mind */
    (void)cw_loop_run_until(f->loop, never, NULL, 30);
    assert_true(o.pieces.n < UNDER_WAY);
    cw_http_hold(o.call, false);
    wait_bytes(&o, 3 + BYTES);
    scripted_http_finish(f->peer);
    wait_done(&o);
    assert_int_equal(o.pieces.n, 3 + BYTES);
    assert_memory_equal(o.pieces.p + 3, much, BYTES);
    free(much);
    outcome_done(&o);
}

static void held_stream_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer,
                         &(struct scripted_step){.body = "one", .action = SCRIPTED_STREAM});
    send_request(f, &o, "/logs", (struct cw_http_request){.on_data = on_piece});
    wait_bytes(&o, 3);
    cw_http_hold(o.call, true);
    cw_http_hold(o.call, false);
    cw_http_cancel(o.call);
    (void)cw_loop_run_until(f->loop, never, NULL, 10);
    assert_int_equal(o.done, 0);
    outcome_done(&o);
}

static void stream_is_not_bounded_by_max_body(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char *body = filled(100000);

    scripted_http_expect(f->peer, &(struct scripted_step){.body = body});
    exchange(f, &o, "/", (struct cw_http_request){.on_data = on_piece, .max_body = 10});
    assert_int_equal(o.pieces.n, 100000);
    assert_memory_equal(o.pieces.p, body, 100000);
    free(body);
    outcome_done(&o);
}

static void refusal_of_a_stream_comes_as_a_reply(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.status = 404, .body = "no such"});
    exchange(f, &o, "/", (struct cw_http_request){.on_data = on_piece});
    assert_int_equal(o.status, 404);
    assert_string_equal(o.body, "no such");
    assert_int_equal(o.piece_count, 0);
    outcome_done(&o);
}

static void stream_that_breaks_off_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer,
                         &(struct scripted_step){.body = "one", .action = SCRIPTED_STREAM});
    send_request(f, &o, "/", (struct cw_http_request){.on_data = on_piece});
    wait_bytes(&o, 3);
    scripted_http_drop(f->peer);
    wait_done(&o);
    assert_int_equal(o.err.code, CW_UNAVAILABLE);
    outcome_done(&o);
}

/* ---- cancelling ---- */

static void cancelled_call_is_silent(void **state)
{
    struct fixture *f = *state;
    struct outcome at_once = {0}, asked = {0}, wrong = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.action = SCRIPTED_HANG});
    send_request(f, &at_once, "/never", (struct cw_http_request){0});
    cw_http_cancel(at_once.call);
    send_request(f, &wrong, "/", (struct cw_http_request){.method = "not a token"});
    cw_http_cancel(wrong.call);
    assert_int_equal(cw_http_in_flight(f->http), 0);
    send_request(f, &asked, "/asked", (struct cw_http_request){.timeout_ms = WAIT_MS});
    wait_requests(f, 1);
    cw_http_cancel(asked.call);
    assert_true(cw_loop_run_until(f->loop, all_closed, f->peer, WAIT_MS));
    run_a_marker(f);
    assert_int_equal(at_once.done + asked.done + wrong.done, 0);
    assert_string_equal(scripted_http_request(f->peer, 0)->path, "/asked");
    outcome_done(&at_once);
    outcome_done(&asked);
    outcome_done(&wrong);
}

static void call_can_be_cancelled_from_its_own_data(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {.cancel_at = 2};

    scripted_http_expect(f->peer,
                         &(struct scripted_step){.body = "one", .action = SCRIPTED_STREAM});
    send_request(f, &o, "/", (struct cw_http_request){.on_data = on_piece});
    wait_bytes(&o, 3);
    scripted_http_push(f->peer, "two", 3);
    scripted_http_push(f->peer, "three", 5);
    assert_true(cw_loop_run_until(f->loop, all_closed, f->peer, WAIT_MS));
    run_a_marker(f);
    assert_int_equal(o.piece_count, 2);
    assert_int_equal(o.done, 0);
    outcome_done(&o);
}

static void call_can_be_cancelled_from_the_data_of_another(void **state)
{
    struct fixture *f = *state;
    struct outcome stream = {0}, other = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/o", .action = SCRIPTED_HANG});
    scripted_http_expect(f->peer, &(struct scripted_step){.body = "1", .action = SCRIPTED_STREAM});
    send_request(f, &other, "/o", (struct cw_http_request){.timeout_ms = WAIT_MS});
    wait_requests(f, 1);
    stream.victim = other.call;
    send_request(f, &stream, "/s", (struct cw_http_request){.on_data = on_piece});
    wait_bytes(&stream, 1);
    scripted_http_finish(f->peer);
    wait_done(&stream);
    assert_int_equal(other.done, 0);
    assert_int_equal(cw_http_in_flight(f->http), 0);
    outcome_done(&stream);
    outcome_done(&other);
}

static bool none_in_flight(void *arg)
{
    return cw_http_in_flight(arg) == 0;
}

static void finished_call_can_be_cancelled_before_it_is_told(void **state)
{
    struct fixture *f = *state;
    struct outcome o[8] = {0};

    /* They all fail within one call into curl. */
    for (size_t i = 0; i < CW_ARRAY_LEN(o); i++)
        send_request(f, &o[i], "/", (struct cw_http_request){.unix_path = "/nonexistent/sock"});
    for (size_t i = 0; i < CW_ARRAY_LEN(o); i++)
        o[i].victim = o[i ^ 1].call; /* pairs in which the first one told cancels the other */
    assert_true(cw_loop_run_until(f->loop, none_in_flight, f->http, WAIT_MS));
    for (size_t i = 0; i < CW_ARRAY_LEN(o); i += 2)
        assert_int_equal(o[i].done + o[i + 1].done, 1);
    for (size_t i = 0; i < CW_ARRAY_LEN(o); i++)
        outcome_done(&o[i]);
}

static void cancelling_a_call_in_its_own_callback_is_harmless(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "still here"});
    send_request(f, &o, "/", (struct cw_http_request){0});
    o.victim = o.call;
    wait_done(&o);
    assert_string_equal(o.body, "still here");
    outcome_done(&o);
}

static void new_call_can_be_sent_from_data(void **state)
{
    struct fixture *f = *state;
    struct outcome stream = {0}, second = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/second", .body = "2"});
    scripted_http_expect(f->peer, &(struct scripted_step){.body = "1"});
    stream.send_at = &second;
    send_request(f, &stream, "/first", (struct cw_http_request){.on_data = on_piece});
    wait_done(&stream);
    wait_done(&second);
    assert_string_equal(second.body, "2");
    outcome_done(&stream);
    outcome_done(&second);
}

static void client_can_be_freed_from_a_callback(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {.free_http = true}, other = {0}, failed = {.free_http = true};
    const struct cw_http_conf conf = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/", .body = "x"});
    scripted_http_expect(f->peer, &(struct scripted_step){.action = SCRIPTED_HANG});
    send_request(f, &other, "/other", (struct cw_http_request){0});
    send_request(f, &o, "/", (struct cw_http_request){0});
    wait_done(&o);
    assert_string_equal(o.body, "x");
    assert_null(f->http);
    assert_true(cw_loop_run_until(f->loop, all_closed, f->peer, WAIT_MS));
    assert_int_equal(other.done, 0);
    f->http = cw_http_new(f->loop, &conf, NULL);
    exchange(f, &failed, "/", (struct cw_http_request){.url = "nonsense"});
    assert_null(f->http);
    outcome_done(&o);
    outcome_done(&other);
    outcome_done(&failed);
}

static void client_can_be_freed_from_data(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {.free_http = true}, other = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/", .body = "x"});
    scripted_http_expect(f->peer, &(struct scripted_step){.action = SCRIPTED_HANG});
    send_request(f, &other, "/other", (struct cw_http_request){0});
    wait_requests(f, 1);
    send_request(f, &o, "/", (struct cw_http_request){.on_data = on_piece});
    wait_bytes(&o, 1);
    assert_null(f->http);
    assert_true(cw_loop_run_until(f->loop, all_closed, f->peer, WAIT_MS));
    assert_int_equal(o.done + other.done, 0);
    outcome_done(&o);
    outcome_done(&other);
}

/* ---- texts ---- */

static void url_encoding_keeps_only_unreserved_bytes(void **state)
{
    struct cw_str out;

    (void)state;
    cw_str_init(&out, 256);
    cw_url_encode(&out, CW_SLICE("guest/my action+1?&=#%~._-\xc3\xa9"));
    assert_string_equal(out.p, "guest%2Fmy%20action%2B1%3F%26%3D%23%25~._-%C3%A9");
    cw_str_reset(&out);
    cw_url_encode(&out, cw_slice("\0\xff", 2));
    assert_string_equal(out.p, "%00%FF");
    cw_str_done(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(get_gives_status_body_type_and_etag),
        TEST(absent_type_and_etag_are_empty_texts),
        TEST(error_statuses_are_replies),
        TEST(large_body_is_sent_whole_without_expect),
        TEST(body_bytes_may_be_reused_after_send),
        TEST(empty_body_still_has_a_length),
        TEST(head_and_delete_have_no_body),
        TEST(basic_auth_goes_with_the_first_request),
        TEST(chunked_answer_is_put_together),
        cmocka_unit_test(unix_socket_is_spoken_to),
        TEST(host_names_are_resolved),
        TEST(proxies_of_the_environment_are_ignored),
        TEST(redirects_are_not_followed),
        TEST(dot_segments_of_a_path_stay),
        TEST(broken_connections_are_unavailable),
        TEST(garbage_is_an_internal_error),
        TEST(answers_over_the_limit_are_too_large),
        TEST(answer_of_exactly_the_limit_is_kept),
        TEST(silence_ends_in_a_timeout),
        TEST(refused_connection_is_unavailable),
        TEST(wrong_requests_are_invalid_and_reported_later),
        TEST(wrong_configuration_is_refused),
        TEST(kept_alive_connection_is_used_again),
        TEST(connection_closed_while_idle_is_replaced),
        TEST(request_on_a_fresh_connection_is_never_sent_twice),
        cmocka_unit_test(connections_to_one_host_are_capped),
        cmocka_unit_test(deadline_counts_while_waiting_for_a_connection),
        TEST(stream_delivers_pieces_as_they_come),
        TEST(held_stream_makes_its_peer_wait),
        TEST(held_stream_can_be_cancelled),
        TEST(stream_is_not_bounded_by_max_body),
        TEST(refusal_of_a_stream_comes_as_a_reply),
        TEST(stream_that_breaks_off_is_an_error),
        TEST(cancelled_call_is_silent),
        TEST(call_can_be_cancelled_from_its_own_data),
        TEST(call_can_be_cancelled_from_the_data_of_another),
        TEST(finished_call_can_be_cancelled_before_it_is_told),
        TEST(cancelling_a_call_in_its_own_callback_is_harmless),
        TEST(new_call_can_be_sent_from_data),
        TEST(client_can_be_freed_from_a_callback),
        TEST(client_can_be_freed_from_data),
        cmocka_unit_test(url_encoding_keeps_only_unreserved_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
