/* Collections from an engine's stream that the test plays. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "invoker/logs/log_collector.h"
#include "tests/unit/log_collector/collected.h"

#define SENTINEL "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
#define AT(n) "2026-01-02T03:04:05.00000000" n "Z"
#define KEPT(n) "2026-01-02T03:04:05.00000000" n "Z"
#define END AT("8") " " SENTINEL "\n" AT("9") " " SENTINEL "\n"
#define ISSUE "There was an issue while collecting your logs. Data might be missing."

enum { LIMIT = 10 << 20, WAIT_MS = 5000, BRIEF_MS = 40 };

/* One stream at a time; raw form, as from a terminal. */
struct engine {
    struct cw_driver base;
    bool open, follows, held;
    unsigned opened, cancelled, holds;
    int64_t since_s;
    cw_driver_data_fn *on_data;
    cw_driver_done_fn *fn;
    void *arg;
};

struct fixture {
    struct cw_loop *loop;
    struct engine engine;
    struct inv_log_hub *hub;
    struct inv_log_source *source;
    struct collected r;
};

static struct cw_driver_call *engine_output(struct cw_driver *d, const char *id,
                                            const struct cw_output_query *query,
                                            cw_driver_data_fn *on_data, cw_driver_done_fn *fn,
                                            void *arg)
{
    struct engine *e = (struct engine *)d;

    assert_false(e->open);
    assert_string_equal(id, "c1");
    e->open = true;
    e->held = false;
    e->opened++;
    e->follows = query->follow;
    e->since_s = query->since_s;
    e->on_data = on_data;
    e->fn = fn;
    e->arg = arg;
    return (struct cw_driver_call *)e;
}

static void engine_hold(struct cw_driver *d, struct cw_driver_call *call, bool hold)
{
    struct engine *e = (struct engine *)d;

    assert_true(e->open && (void *)call == (void *)e);
    e->held = hold;
    e->holds += hold;
}

static void engine_cancel(struct cw_driver *d, struct cw_driver_call *call)
{
    struct engine *e = (struct engine *)d;

    assert_true(e->open && (void *)call == (void *)e);
    e->open = false;
    e->cancelled++;
}

static void says(struct fixture *f, const char *text)
{
    assert_true(f->engine.open);
    f->engine.on_data(f->engine.arg, cw_slice_of(text));
}

static void ends(struct fixture *f, const struct cw_err *err)
{
    assert_true(f->engine.open);
    f->engine.open = false;
    f->engine.fn(f->engine.arg, err);
}

static int setup(void **state)
{
    static const struct cw_driver_ops OPS = {
        .output = engine_output, .hold_output = engine_hold, .cancel = engine_cancel};
    struct fixture *f = cw_alloc(sizeof(*f));

    f->loop = cw_loop_new(NULL, NULL);
    f->engine.base.ops = &OPS;
    f->hub = inv_log_hub_new(f->loop, NULL);
    inv_log_hub_use_engine(f->hub, &f->engine.base, INV_LOG_FROM_EITHER);
    f->source = inv_log_source_new(f->hub, "/nonexistent/c1-json.log", "c1");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    inv_log_source_free(f->source);
    assert_false(f->engine.open);
    inv_log_hub_free(f->hub);
    cw_loop_free(f->loop);
    free(f->r.logs);
    free(f);
    return 0;
}

static bool is_open(void *arg)
{
    return ((struct fixture *)arg)->engine.open;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void pass(struct fixture *f)
{
    (void)cw_loop_run_until(f->loop, never, NULL, 10);
}

static void collect(struct fixture *f, struct inv_log_request req)
{
    f->r.calls = 0;
    (void)inv_log_collect(f->source, &req, on_collected, &f->r);
}

static const struct inv_log_request WAITING = {.wait_for_sentinels = true, .limit_bytes = LIMIT};
static const struct inv_log_request ONCE = {.limit_bytes = LIMIT};

static void await_open(struct fixture *f)
{
    assert_true(cw_loop_run_until(f->loop, is_open, f, WAIT_MS));
}

static void await(struct fixture *f)
{
    assert_true(cw_loop_run_until(f->loop, is_collected, &f->r, WAIT_MS));
    assert_int_equal(f->r.calls, 1);
}

static void expect(const struct fixture *f, const char *logs, bool complete)
{
    assert_string_equal(f->r.logs, logs);
    assert_int_equal(f->r.complete, complete);
}

/* ---- tests ---- */

static void a_stream_is_followed_over_several_activations(void **state)
{
    struct fixture *f = *state;

    collect(f, WAITING);
    await_open(f);
    assert_true(f->engine.follows);
    assert_int_equal(f->engine.since_s, 0);
    says(f, AT("1") " a\n");
    says(f, END AT("1") " b");
    await(f);
    expect(f, "[\"" KEPT("1") " stdout: a\"]", true);
    says(f, "\n" END);
    collect(f, WAITING);
    await(f);
    expect(f, "[\"" KEPT("1") " stdout: b\"]", true);
    assert_int_equal(f->engine.opened, 1);
}

static void who_does_not_wait_gets_what_is_there_by_now(void **state)
{
    struct fixture *f = *state;

    collect(f, ONCE);
    await_open(f);
    assert_false(f->engine.follows);
    says(f, AT("1") " a\n");
    pass(f);
    assert_int_equal(f->r.calls, 0);
    ends(f, NULL);
    await(f);
    expect(f, "[\"" KEPT("1") " stdout: a\"]", true);
    collect(f, ONCE);
    await_open(f);
    assert_int_equal(f->engine.since_s, 1767323044); /* a second before the last line */
    says(f, AT("1") " a\n" AT("1") " b\n");
    ends(f, NULL);
    await(f);
    expect(f, "[\"" KEPT("1") " stdout: b\"]", true);
}

static void a_broken_stream_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct cw_err err = {0};

    collect(f, WAITING);
    await_open(f);
    says(f, AT("1") " a\n" AT("2") " b\n" AT("2") " c\n");
    pass(f);
    (void)cw_fail_retriable(&err, CW_UNAVAILABLE, "reset");
    ends(f, &err);
    await_open(f);
    assert_true(f->engine.follows);
    says(f, AT("1") " a\n" AT("2") " b\n" AT("2") " c\n" AT("2") " d\n" END);
    await(f);
    expect(f,
           "[\"" KEPT("1") " stdout: a\",\"" KEPT("2") " stdout: b\",\"" KEPT(
               "2") " stdout: c\",\"" KEPT("2") " stdout: d\"]",
           true);
}

static void an_engine_that_cannot_give_logs_is_one_bare_text(void **state)
{
    struct fixture *f = *state;
    struct cw_err err = {0};

    collect(f, WAITING);
    await_open(f);
    (void)cw_fail(&err, CW_INTERNAL, "docker: logs of c1: 501: no reading");
    ends(f, &err);
    await(f);
    expect(f, "[\"" ISSUE "\"]", false);
}

static void the_limit_cuts_where_it_cuts_in_the_file(void **state)
{
    static const char LINE[] =
        "{\"log\":\"\\u003cb\\u003e\\n\",\"stream\":\"stdout\",\"time\":\"" KEPT("1") "\"}\n";
    static const char BEGIN[] = "[\"" KEPT("1") " stdout: \\u003cb\\u003e\",\"" KEPT("1");
    struct fixture *f = *state;
    struct inv_log_request req = WAITING;

    req.limit_bytes = 2 * (int64_t)strlen(LINE);
    collect(f, req);
    await_open(f);
    says(f, AT("1") " <b>\n" AT("1") " <b>\n" AT("1") " <b>\n");
    await(f);
    assert_true(f->r.truncated);
    assert_int_equal(strncmp(f->r.logs, BEGIN, sizeof(BEGIN) - 1), 0);
    assert_false(inv_log_in_step(f->source));
    says(f, AT("3") " left\n" END AT("4") " b\n" END);
    collect(f, WAITING);
    await(f);
    expect(f, "[\"" KEPT("4") " stdout: b\"]", true);
}

static void a_missing_sentinel_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = WAITING;

    req.idle_timeout_ms = BRIEF_MS;
    collect(f, req);
    await_open(f);
    says(f, AT("1") " a\n" AT("8") " " SENTINEL "\n");
    await(f);
    assert_false(f->r.complete);
    assert_non_null(strstr(f->r.logs, ISSUE));
}

static void an_engine_that_sends_more_than_is_read_has_to_wait(void **state)
{
    struct fixture *f = *state;
    char line[1100];

    collect(f, WAITING);
    await_open(f);
    says(f, END);
    await(f);
    memset(line, 'x', sizeof(line));
    memcpy(line, AT("1") " ", sizeof(AT("1")));
    (void)snprintf(line + 1000, sizeof(line) - 1000, "\n");
    for (int i = 0; i < 2000 && !f->engine.held; i++)
        says(f, line);
    assert_true(f->engine.held);
    says(f, END);
    collect(f, WAITING);
    await(f);
    assert_true(f->r.complete);
    assert_false(f->engine.held);
    assert_int_equal(f->engine.holds, 1);
}

static void late_sentinels_of_a_stream_are_eaten(void **state)
{
    struct fixture *f = *state;
    struct inv_log_request req = WAITING;

    req.idle_timeout_ms = BRIEF_MS;
    collect(f, req);
    await_open(f);
    says(f, AT("1") " a\n");
    await(f);
    assert_false(f->r.complete);
    says(f, AT("2") " late\n" END AT("3") " b\n" END);
    pass(f);
    assert_true(inv_log_in_step(f->source));
    collect(f, WAITING);
    await(f);
    expect(f, "[\"" KEPT("3") " stdout: b\"]", true);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_stream_is_followed_over_several_activations),
        T(who_does_not_wait_gets_what_is_there_by_now),
        T(a_broken_stream_goes_on_where_it_was),
        T(an_engine_that_cannot_give_logs_is_one_bare_text),
        T(the_limit_cuts_where_it_cuts_in_the_file),
        T(a_missing_sentinel_ends_the_wait),
        T(an_engine_that_sends_more_than_is_read_has_to_wait),
        T(late_sentinels_of_a_stream_are_eaten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
