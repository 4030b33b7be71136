/* GET /events as a client sees it. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/str.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/loop/loop.h"
#include "invoker/event_log.h"
#include "tests/support/turns.h"

enum { WAIT_MS = 20000, KEEP = 3 };

struct world {
    struct cw_loop *loop;
    struct inv_event_log *log;
    struct cw_http_server *server;
    struct cw_http *client;
    struct cw_http_call *call; /* while it is under way */
    int status;
    char body[8192];
};

static void on_request(void *arg, struct cw_http_exchange *ex)
{
    inv_event_log_answer(((struct world *)arg)->log, ex);
}

static int begin(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    w->loop = cw_loop_new(NULL, NULL);
    w->log = inv_event_log_new(w->loop, KEEP);
    w->server = cw_http_server_new(w->loop, &(struct cw_http_server_conf){.address = "127.0.0.1"},
                                   on_request, w, NULL);
    w->client = cw_http_new(w->loop, &(struct cw_http_conf){0}, NULL);
    assert_non_null(w->server);
    assert_non_null(w->client);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    cw_http_free(w->client);
    cw_http_server_free(w->server);
    inv_event_log_free(w->log);
    cw_loop_free(w->loop);
    free(w);
    return 0;
}

static void on_reply(void *arg, const struct cw_http_reply *reply, const struct cw_err *err)
{
    struct world *w = arg;

    assert_null(err);
    w->call = NULL;
    w->status = reply->status;
    (void)snprintf(w->body, sizeof(w->body), "%.*s", (int)reply->body.n, reply->body.p);
}

static void ask(struct world *w, const char *query)
{
    char url[128];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/events%s",
                   (unsigned)cw_http_server_port(w->server), query);
    w->call = cw_http_send(w->client, &(struct cw_http_request){.method = "GET", .url = url},
                           on_reply, w);
}

static bool is_answered(void *arg)
{
    return ((struct world *)arg)->call == NULL;
}

static const char *answer(struct world *w, const char *query)
{
    if (query)
        ask(w, query);
    assert_true(cw_loop_run_until(w->loop, is_answered, w, WAIT_MS));
    return w->body;
}

static void add(struct world *w, const char *what)
{
    inv_event_log_add(w->log, &(struct inv_event){.what = what, .took_us = -1});
}

/* How many, and which is the last. */
static void expect(const char *body, size_t count, const char *next)
{
    size_t found = 0;

    for (const char *p = body; (p = strstr(p, "\"seq\":")); p++)
        found++;
    assert_int_equal(found, count);
    assert_non_null(strstr(body, next));
}

static void events_come_after_a_number_and_the_oldest_go(void **state)
{
    struct world *w = *state;

    expect(answer(w, ""), 0, "\"next\":0");
    for (int i = 0; i < KEEP + 2; i++)
        add(w, i == 4 ? "last" : "start");
    expect(answer(w, ""), KEEP, "\"next\":5");
    expect(answer(w, "?since=4"), 1, "\"next\":5");
    assert_non_null(strstr(w->body, "\"event\":\"last\""));
    expect(answer(w, "?since=5"), 0, "\"next\":5");
    expect(answer(w, "?since=99"), KEEP, "\"next\":5"); /* of an earlier process */
}

static void members_that_are_not_known_are_left_out(void **state)
{
    struct world *w = *state;

    inv_event_log_add(w->log, &(struct inv_event){.what = "die",
                                                  .container = "wsk0_1_a\"b",
                                                  .id = "abc",
                                                  .took_us = 0,
                                                  .detail = "caf\xc3\xa9 \xff rest"});
    (void)answer(w, "");
    assert_non_null(strstr(w->body,
                           "\"event\":\"die\",\"container\":\"wsk0_1_a\\\"b\",\"id\":\"abc\","
                           "\"tookUs\":0,\"detail\":\"caf\xc3\xa9 \"}]"));
    add(w, "x");
    (void)answer(w, "?since=1");
    assert_non_null(strstr(w->body, "\"event\":\"x\"}]"));
}

static void long_texts_are_cut(void **state)
{
    struct world *w = *state;
    char text[2000];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    inv_event_log_add(w->log, &(struct inv_event){.what = "x", .container = text, .detail = text});
    assert_true(strlen(answer(w, "")) < 900);
}

static void who_waits_gets_the_next_event_at_once(void **state)
{
    struct world *w = *state;

    add(w, "first");
    ask(w, "?since=1&wait=60");
    run_turns(w->loop);
    assert_non_null(w->call);
    add(w, "second");
    add(w, "third");
    expect(answer(w, NULL), 2, "\"next\":3");
    assert_null(strstr(w->body, "first"));
}

static void who_waits_in_vain_gets_an_empty_answer(void **state)
{
    struct world *w = *state;

    expect(answer(w, "?wait=1"), 0, "\"next\":0");
    assert_int_equal(w->status, 200);
}

static void numbers_that_are_none_are_refused(void **state)
{
    struct world *w = *state;

    assert_non_null(strstr(answer(w, "?since=x"), "since: accepted"));
    assert_int_equal(w->status, 400);
    (void)answer(w, "?wait=61");
    assert_int_equal(w->status, 400);
    (void)answer(w, "?since=-1");
    assert_int_equal(w->status, 400);
}

static void log_may_go_while_somebody_waits(void **state)
{
    struct world *w = *state;

    ask(w, "?wait=60");
    run_turns(w->loop);
    assert_non_null(w->call); /* tear-down frees server and log */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(events_come_after_a_number_and_the_oldest_go),
        CASE(members_that_are_not_known_are_left_out),
        CASE(long_texts_are_cut),
        CASE(who_waits_gets_the_next_event_at_once),
        CASE(who_waits_in_vain_gets_an_empty_answer),
        CASE(numbers_that_are_none_are_refused),
        CASE(log_may_go_while_somebody_waits),
    };

    return cmocka_run_group_tests_name("event_log", tests, NULL, NULL);
}
