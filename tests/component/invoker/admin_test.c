/* The HTTP interface (openwhisk invoker.md 5) as a client on a raw socket sees it. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/http/server.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/admin.h"
#include "invoker/trace.h"

enum { WAIT_MS = 20000, TX_ID_LEN = 32 };

#define RIGHT "Authorization: Basic aW52b2tlci51c2VyOmludm9rZXIucGFzcw==\r\n"

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct cw_gauge *gauge;
    struct inv_admin *admin;
    bool is_enabled, is_ready;
    const char *missing;
    unsigned switches, refreshes;
    /* the newest answer */
    int fd;
    struct cw_watch watch;
    struct cw_str answer;
    bool eof;
};

static bool on_enable(void *arg, bool enabled)
{
    struct world *w = arg;
    bool changed = w->is_enabled != enabled;

    w->switches++;
    w->is_enabled = enabled;
    return changed;
}

static bool on_enabled(void *arg)
{
    return ((struct world *)arg)->is_enabled;
}

static const char *on_missing(void *arg)
{
    return ((struct world *)arg)->missing;
}

static bool on_ready(void *arg)
{
    return ((struct world *)arg)->is_ready;
}

static void on_refresh(void *arg)
{
    struct world *w = arg;

    cw_gauge_set(w->gauge, ++w->refreshes);
}

static struct inv_admin_conf conf_of(struct world *w)
{
    return (struct inv_admin_conf){
        .loop = w->loop,
        .metrics = w->metrics,
        .address = "127.0.0.1",
        .id_header = "X-Request-ID",
        .user = "invoker.user",
        .password = "invoker.pass",
        .printed_id = "invoker0/w",
        .enable = on_enable,
        .enabled = on_enabled,
        .ready = on_ready,
        .missing = on_missing,
        .refresh = on_refresh,
        .arg = w,
    };
}

static void begin(struct world *w, bool with_metrics)
{
    struct inv_admin_conf conf;
    struct cw_err err = {0};

    *w = (struct world){.loop = cw_loop_new(NULL, NULL), .is_enabled = true, .is_ready = true};
    w->metrics = cw_metrics_new();
    w->gauge = cw_metrics_gauge(w->metrics, "cwhisk_refreshed", NULL, "For this test.");
    cw_str_init(&w->answer, 1 << 20);
    conf = conf_of(w);
    if (!with_metrics)
        conf.metrics = NULL;
    w->admin = inv_admin_new(&conf, &err);
    if (!w->admin)
        fail_msg("%s", err.msg);
}

static void end(struct world *w)
{
    inv_admin_free(w->admin);
    cw_str_done(&w->answer);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
}

/* ---- the client ---- */

static void on_readable(void *arg)
{
    struct world *w = arg;
    char buf[4096];
    ssize_t n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n > 0)
        cw_str_add(&w->answer, buf, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        w->eof = true;
}

static bool is_over(void *arg)
{
    return ((struct world *)arg)->eof;
}

/* One request on a connection of its own; returns the status. headers: lines with their ends. */
static int ask(struct world *w, const char *method, const char *path, const char *headers)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(inv_admin_port(w->admin)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cw_auto_free char *request = NULL;
    int n = asprintf(
        &request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n",
        method, path, headers);

    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    w->eof = false;
    cw_str_reset(&w->answer);
    assert_int_equal(connect(w->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cw_watch_read(&w->watch, w->loop, w->fd, on_readable, w);
    assert_int_equal(send(w->fd, request, (size_t)n, MSG_NOSIGNAL), n);
    assert_true(cw_loop_run_until(w->loop, is_over, w, WAIT_MS));
    cw_watch_done(&w->watch);
    close(w->fd);
    assert_int_equal(strncmp(w->answer.p, "HTTP/1.1 ", 9), 0);
    return atoi(w->answer.p + 9);
}

static const char *body(const struct world *w)
{
    const char *end_of_head = strstr(w->answer.p, "\r\n\r\n");

    assert_non_null(end_of_head);
    return end_of_head + 4;
}

/* Value of a header of the answer, "" when absent. */
static void header(const struct world *w, const char *name, char *value, size_t size)
{
    size_t n = strlen(name);

    value[0] = '\0';
    for (const char *line = strstr(w->answer.p, "\r\n"); line && line + 2 < body(w) - 2;
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            (void)snprintf(value, size, "%.*s", (int)strcspn(line + 4 + n, "\r"), line + 4 + n);
}

static void expect_header(const struct world *w, const char *name, const char *expected)
{
    char value[512];

    header(w, name, value, sizeof(value));
    assert_string_equal(value, expected);
}

static void expect_text(const struct world *w, const char *expected)
{
    expect_header(w, "Content-Type", "text/plain; charset=UTF-8");
    assert_string_equal(body(w), expected);
}

/* {"error":…,"code":<the X-Request-ID>} */
static void expect_error(const struct world *w)
{
    json_t *root = json_loads(body(w), JSON_REJECT_DUPLICATES, NULL);
    char id[512];

    header(w, "X-Request-ID", id, sizeof(id));
    expect_header(w, "Content-Type", "application/json");
    assert_non_null(root);
    assert_int_equal(json_object_size(root), 2);
    assert_true(strlen(json_string_value(json_object_get(root, "error"))) > 0);
    assert_true(strlen(id) > 0);
    assert_string_equal(json_string_value(json_object_get(root, "code")), id);
    json_decref(root);
}

/* ---- routes ---- */

static void open_routes_need_no_credentials(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    assert_int_equal(ask(&w, "GET", "/ping", ""), 200);
    expect_text(&w, "pong");
    assert_int_equal(ask(&w, "GET", "/ping?x=1", ""), 200);
    assert_int_equal(ask(&w, "GET", "/live", ""), 200);
    expect_text(&w, "live");
    assert_int_equal(ask(&w, "GET", "/ready", ""), 200);
    expect_text(&w, "ready");
    end(&w);
}

static void answer_added(void *arg, struct cw_http_exchange *ex)
{
    cw_http_answer(ex, 200, NULL, cw_slice_of(arg));
}

static void refuse_added(void *arg, struct cw_http_exchange *ex)
{
    inv_admin_refuse(ex, 409, arg);
}

static void pages_of_other_parts_want_credentials_and_their_method(void **state)
{
    static char looked[] = "looked", done[] = "done", error[] = "a \"b\"";
    struct world w;

    (void)state;
    begin(&w, true);
    inv_admin_add(w.admin, &(struct inv_admin_route){"GET", "/added", answer_added, looked});
    inv_admin_add(w.admin, &(struct inv_admin_route){"POST", "/added", answer_added, done});
    inv_admin_add(w.admin, &(struct inv_admin_route){"POST", "/other", refuse_added, error});
    assert_int_equal(ask(&w, "GET", "/added", ""), 401);
    assert_int_equal(ask(&w, "GET", "/added?x", RIGHT), 200);
    expect_text(&w, "looked");
    assert_int_equal(ask(&w, "POST", "/added", RIGHT), 200);
    expect_text(&w, "done");
    assert_int_equal(ask(&w, "GET", "/other", RIGHT), 405);
    expect_header(&w, "Allow", "POST");
    assert_int_equal(ask(&w, "POST", "/other", RIGHT), 409);
    assert_string_equal(body(&w), "{\"error\":\"a \\\"b\\\"\"}");
    end(&w);
}

static void not_ready_is_503_and_alive(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    w.is_ready = false;
    assert_int_equal(ask(&w, "GET", "/ready", ""), 503);
    expect_text(&w, "not ready");
    assert_int_equal(ask(&w, "GET", "/live", ""), 200);
    assert_int_equal(ask(&w, "GET", "/ping", ""), 200);
    end(&w);
}

static void metrics_are_shown_with_fresh_gauges(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(ask(&w, "GET", "/metrics", ""), 200);
        assert_int_equal(w.refreshes, i);
        expect_header(&w, "Content-Type", "text/plain; version=0.0.4; charset=UTF-8");
        assert_non_null(
            strstr(body(&w), i == 1 ? "\ncwhisk_refreshed 1\n" : "\ncwhisk_refreshed 2\n"));
    }
    end(&w);
}

static void answered_requests_are_counted_by_method_and_status(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    assert_int_equal(ask(&w, "GET", "/ping", ""), 200);
    assert_int_equal(ask(&w, "GET", "/live", ""), 200);
    assert_int_equal(ask(&w, "POST", "/enable", ""), 401);
    assert_int_equal(ask(&w, "GET", "/metrics", ""), 200);
    assert_non_null(strstr(body(&w), "\ncounter_http_get_200_counter_total 2\n"));
    assert_non_null(strstr(body(&w), "\nhistogram_http_get_200_counter_seconds_count 2\n"));
    assert_non_null(strstr(body(&w), "\ncounter_http_post_401_counter_total 1\n"));
    end(&w);
}

static void metrics_that_are_off_are_an_unknown_route(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    assert_int_equal(ask(&w, "GET", "/metrics", ""), 401);
    assert_int_equal(ask(&w, "GET", "/metrics", RIGHT), 404);
    assert_int_equal(w.refreshes, 0);
    end(&w);
}

static void enable_and_disable_tell_what_changed(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    assert_int_equal(ask(&w, "POST", "/enable", RIGHT), 200);
    expect_text(&w, "invoker0/w is already enabled.");
    assert_int_equal(ask(&w, "POST", "/disable", RIGHT), 200);
    expect_text(&w, "invoker0/w is now disabled.");
    assert_false(w.is_enabled);
    assert_int_equal(ask(&w, "POST", "/disable", RIGHT), 200);
    expect_text(&w, "invoker0/w is already disabled.");
    assert_int_equal(ask(&w, "POST", "/enable", RIGHT), 200);
    expect_text(&w, "invoker0/w is now enabled.");
    assert_true(w.is_enabled);
    assert_int_equal(w.switches, 4);
    end(&w);
}

static void is_enabled_tells(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    assert_int_equal(ask(&w, "GET", "/isEnabled", RIGHT), 200);
    expect_header(&w, "Content-Type", "text/plain; charset=UTF-8");
    assert_string_equal(body(&w), "{\"enabled\":true}");
    w.is_enabled = false;
    assert_int_equal(ask(&w, "GET", "/isEnabled", RIGHT), 200);
    assert_string_equal(body(&w), "{\"enabled\":false}");
    end(&w);
}

static void trace_is_shown_where_one_is_kept(void **state)
{
    struct inv_trace *trace = inv_trace_new(1);
    struct inv_admin_conf conf;
    struct world w;

    (void)state;
    begin(&w, true);
    assert_int_equal(ask(&w, "GET", "/trace", RIGHT), 404);
    inv_admin_free(w.admin);
    conf = conf_of(&w);
    conf.trace = trace;
    w.admin = inv_admin_new(&conf, NULL);
    assert_non_null(w.admin);
    assert_int_equal(ask(&w, "GET", "/trace", ""), 401); /* it names activations */
    assert_int_equal(ask(&w, "GET", "/trace", RIGHT), 200);
    expect_header(&w, "Content-Type", "text/csv; charset=UTF-8");
    assert_memory_equal(body(&w), "activation,received,", 20);
    end(&w);
    inv_trace_free(trace);
}

static void database_that_does_not_answer_is_named_and_keeps_nothing_else_from_working(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    w.missing = "test_whisks";
    assert_int_equal(ask(&w, "GET", "/ready", ""), 503);
    expect_text(&w, "not ready: database test_whisks has not answered");
    assert_int_equal(ask(&w, "GET", "/live", ""), 200);
    assert_int_equal(ask(&w, "POST", "/disable", RIGHT), 200);
    end(&w);
}

static void switches_are_refused_while_not_ready(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    w.is_ready = false;
    assert_int_equal(ask(&w, "POST", "/enable", RIGHT), 503);
    expect_error(&w);
    assert_int_equal(ask(&w, "POST", "/disable", RIGHT), 503);
    assert_int_equal(w.switches, 0);
    assert_int_equal(ask(&w, "POST", "/disable", ""), 401); /* tells nothing to strangers */
    end(&w);
}

/* ---- credentials ---- */

static void everything_else_is_401_without_credentials(void **state)
{
    static const struct {
        const char *method, *path;
    } CASES[] = {
        {"POST", "/enable"}, {"POST", "/disable"}, {"GET", "/isEnabled"}, {"GET", "/enable"},
        {"GET", "/"},        {"GET", "/status"},   {"GET", "/ping/"},     {"GET", "//ping"},
        {"POST", "/ping"},   {"GET", "/pin"},      {"GET", "/PING"},      {"DELETE", "/metrics"},
    };
    struct world w;

    (void)state;
    begin(&w, true);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        int status = ask(&w, CASES[i].method, CASES[i].path, "");

        if (status != 401)
            fail_msg("%s %s: %d", CASES[i].method, CASES[i].path, status);
        expect_error(&w);
        expect_header(&w, "WWW-Authenticate", "Basic realm=\"OpenWhisk secure realm\"");
    }
    assert_int_equal(w.switches, 0);
    end(&w);
}

static void wrong_credentials_are_401(void **state)
{
    static const char *const PAIRS[] = {
        "invoker.user:invoker.pas",
        "invoker.user:invoker.passs",
        "invoker.user:",
        "invoker.use:invoker.pass",
        ":invoker.pass",
        "invoker.user",
        "invoker.user:INVOKER.PASS",
        ":",
        "",
    };
    struct world w;
    char line[256];

    (void)state;
    begin(&w, true);
    for (size_t i = 0; i < CW_ARRAY_LEN(PAIRS); i++) {
        cw_auto_str struct cw_str encoded;

        cw_str_init(&encoded, 200);
        cw_base64_encode(cw_slice_of(PAIRS[i]), &encoded);
        (void)snprintf(line, sizeof(line), "Authorization: Basic %s\r\n", encoded.p);
        if (ask(&w, "POST", "/disable", line) != 401)
            fail_msg("\"%s\" was let in", PAIRS[i]);
        expect_error(&w);
    }
    assert_int_equal(ask(&w, "POST", "/disable",
                         "Authorization: Bearer aW52b2tlci51c2VyOmludm9rZXIucGFzcw==\r\n"),
                     401);
    assert_int_equal(ask(&w, "POST", "/disable", "Authorization: Basic !!!\r\n"), 401);
    assert_int_equal(w.switches, 0);
    end(&w);
}

/* Byte for byte as stock, with the id in the middle. */
static void expect_body(const struct world *w, const char *before, const char *after)
{
    char id[512], expected[1024];

    header(w, "X-Request-ID", id, sizeof(id));
    (void)snprintf(expected, sizeof(expected), "%s%s%s", before, id, after);
    assert_string_equal(body(w), expected);
}

/* Its own errors are pretty, those of its HTTP library compact. */
static void error_bodies_are_those_of_stock(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    assert_int_equal(ask(&w, "GET", "/status", ""), 401);
    expect_body(&w,
                "{\n  \"error\": \"Authentication is possible but has failed or not yet been "
                "provided.\",\n  \"code\": \"",
                "\"\n}");
    assert_int_equal(ask(&w, "GET", "/status", RIGHT), 404);
    expect_body(&w, "{\"error\":\"The requested resource could not be found.\",\"code\":\"", "\"}");
    assert_int_equal(ask(&w, "GET", "/disable", RIGHT), 405);
    expect_body(&w, "{\"error\":\"HTTP method not allowed, supported methods: POST\",\"code\":\"",
                "\"}");
    end(&w);
}

static void unknown_routes_are_404_with_credentials(void **state)
{
    static const char *const PATHS[] = {"/", "/status", "/enable/", "/ping/", "/isenabled"};
    struct world w;

    (void)state;
    begin(&w, true);
    for (size_t i = 0; i < CW_ARRAY_LEN(PATHS); i++) {
        if (ask(&w, "GET", PATHS[i], RIGHT) != 404)
            fail_msg("%s: %s", PATHS[i], w.answer.p);
        expect_error(&w);
    }
    assert_int_equal(w.switches, 0);
    end(&w);
}

static void other_methods_are_405_with_credentials(void **state)
{
    static const struct {
        const char *method, *path, *allowed;
    } CASES[] = {
        {"POST", "/ping", "GET"},    {"HEAD", "/ping", "GET"},      {"POST", "/metrics", "GET"},
        {"POST", "/live", "GET"},    {"DELETE", "/ready", "GET"},   {"GET", "/enable", "POST"},
        {"GET", "/disable", "POST"}, {"POST", "/isEnabled", "GET"}, {"PUT", "/enable", "POST"},
    };
    struct world w;

    (void)state;
    begin(&w, true);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        int status = ask(&w, CASES[i].method, CASES[i].path, RIGHT);

        if (status != 405)
            fail_msg("%s %s: %d", CASES[i].method, CASES[i].path, status);
        expect_header(&w, "Allow", CASES[i].allowed);
        if (strcmp(CASES[i].method, "HEAD") == 0)
            assert_string_equal(body(&w), "");
        else
            expect_error(&w);
        status = ask(&w, CASES[i].method, CASES[i].path, "");
        if (status != 401)
            fail_msg("%s %s: %d", CASES[i].method, CASES[i].path, status);
    }
    assert_int_equal(w.switches, 0);
    end(&w);
}

/* ---- X-Request-ID ---- */

static void request_ids_are_echoed(void **state)
{
    static const char *const IDS[] = {
        "a", "sid", "Sid_x", "a b", "a\"<b>,\\c;d", "0f8fad5b-d9cb-469f-a165-70867728950e"};
    struct world w;
    char line[512];

    (void)state;
    begin(&w, true);
    for (size_t i = 0; i < CW_ARRAY_LEN(IDS); i++) {
        (void)snprintf(line, sizeof(line), "X-Request-ID: %s\r\n", IDS[i]);
        assert_int_equal(ask(&w, "GET", "/ping", line), 200);
        expect_header(&w, "X-Request-ID", IDS[i]);
        assert_int_equal(ask(&w, "GET", "/nowhere", line), 401);
        expect_header(&w, "X-Request-ID", IDS[i]);
        expect_error(&w);
    }
    end(&w);
}

static void expect_new_id(const struct world *w, const char *given, char *id, size_t size)
{
    header(w, "X-Request-ID", id, size);
    assert_int_equal(strlen(id), TX_ID_LEN);
    assert_int_equal(strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
                     TX_ID_LEN);
    assert_null(given[0] ? strstr(id, given) : NULL);
}

static void other_request_ids_are_replaced(void **state)
{
    char long_one[258];
    const char *const IDS[] = {"", "sid_x", "sid_invokerHealth", "a\tb", "\xc3\xa4", long_one};
    struct world w;
    char line[512], id[512], before[512] = "";

    (void)state;
    memset(long_one, 'x', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    begin(&w, true);
    for (size_t i = 0; i < CW_ARRAY_LEN(IDS); i++) {
        (void)snprintf(line, sizeof(line), "X-Request-ID: %s\r\n", IDS[i]);
        assert_int_equal(ask(&w, "GET", "/ping", line), 200);
        expect_new_id(&w, IDS[i], id, sizeof(id));
        assert_string_not_equal(id, before);
        memcpy(before, id, sizeof(id));
    }
    assert_int_equal(ask(&w, "GET", "/ping", ""), 200);
    expect_new_id(&w, "", id, sizeof(id));
    assert_string_not_equal(id, before);
    end(&w);
}

static void header_of_transaction_ids_is_a_setting(void **state)
{
    struct world w;
    struct inv_admin_conf conf;
    struct cw_err err = {0};

    (void)state;
    begin(&w, true);
    inv_admin_free(w.admin);
    conf = conf_of(&w);
    conf.id_header = "X-Trace";
    w.admin = inv_admin_new(&conf, &err);
    assert_non_null(w.admin);
    assert_int_equal(ask(&w, "GET", "/ping", "x-trace: mine\r\nX-Request-ID: other\r\n"), 200);
    expect_header(&w, "X-Trace", "mine");
    expect_header(&w, "X-Request-ID", "");
    end(&w);
}

/* ---- start ---- */

static void port_in_use_is_an_error(void **state)
{
    struct world w;
    struct inv_admin_conf conf;
    struct cw_err err = {0};

    (void)state;
    begin(&w, true);
    conf = conf_of(&w);
    conf.port = inv_admin_port(w.admin);
    assert_true(conf.port > 0);
    assert_null(inv_admin_new(&conf, &err));
    assert_int_not_equal(err.code, CW_OK);
    assert_non_null(strstr(err.msg, "127.0.0.1"));
    inv_admin_free(NULL);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_routes_need_no_credentials),
        cmocka_unit_test(not_ready_is_503_and_alive),
        cmocka_unit_test(metrics_are_shown_with_fresh_gauges),
        cmocka_unit_test(answered_requests_are_counted_by_method_and_status),
        cmocka_unit_test(metrics_that_are_off_are_an_unknown_route),
        cmocka_unit_test(enable_and_disable_tell_what_changed),
        cmocka_unit_test(is_enabled_tells),
        cmocka_unit_test(trace_is_shown_where_one_is_kept),
        cmocka_unit_test(
            database_that_does_not_answer_is_named_and_keeps_nothing_else_from_working),
        cmocka_unit_test(switches_are_refused_while_not_ready),
        cmocka_unit_test(everything_else_is_401_without_credentials),
        cmocka_unit_test(wrong_credentials_are_401),
        cmocka_unit_test(error_bodies_are_those_of_stock),
        cmocka_unit_test(unknown_routes_are_404_with_credentials),
        cmocka_unit_test(other_methods_are_405_with_credentials),
        cmocka_unit_test(request_ids_are_echoed),
        cmocka_unit_test(other_request_ids_are_replaced),
        cmocka_unit_test(header_of_transaction_ids_is_a_setting),
        cmocka_unit_test(pages_of_other_parts_want_credentials_and_their_method),
        cmocka_unit_test(port_in_use_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
