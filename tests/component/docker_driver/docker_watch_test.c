/* What the driver tells unasked, with an engine that the test plays. */
#include "tests/support/cmocka_all.h"

#include <signal.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "tests/support/scripted_http.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define OTHER HEX16 HEX16 HEX16 "fedcba9876543210"

enum { WAIT_MS = 20000 };

struct fixture {
    struct cw_loop *loop;
    struct scripted_http *peer;
    struct cw_http *http;
    struct cw_driver *driver;
    struct cw_driver_call *call;
    unsigned answers, missings, deaths, wanted;
    char id[65];
    int64_t exit_code;
    struct cw_err err;
    struct cw_str moments; /* "<what>:<name or ->:<us> " */
};

static void on_moment(void *arg, const struct cw_driver_moment *m)
{
    struct fixture *f = arg;

    assert_int_equal(strlen(m->id), 64);
    cw_str_addf(&f->moments, "%d:%s:%lld ", (int)m->what, m->name ? m->name : "-",
                (long long)m->at_us);
}

static void on_death(void *arg, const char *id, int64_t exit_code)
{
    struct fixture *f = arg;

    f->deaths++;
    (void)snprintf(f->id, sizeof(f->id), "%s", id);
    f->exit_code = exit_code;
}

static void on_engine(void *arg, const struct cw_err *err)
{
    struct fixture *f = arg;

    if (!err) {
        f->answers++;
        return;
    }
    f->missings++;
    f->err = *err;
}

static const struct cw_driver_events EVENTS = {on_death, on_engine};

static int set_up(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));
    struct cw_docker_conf conf = {0};

    f->loop = cw_loop_new(NULL, NULL);
    f->peer = scripted_http_new(f->loop, SCRIPTED_UNIX);
    f->http = cw_http_new(f->loop, &(struct cw_http_conf){0}, NULL);
    conf.engine = scripted_http_unix_path(f->peer);
    conf.on_moment = on_moment;
    conf.on_moment_arg = f;
    cw_str_init(&f->moments, 65536);
    f->driver = cw_docker_driver_new(f->loop, f->http, &conf, NULL);
    assert_non_null(f->driver);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    cw_driver_free(f->driver);
    cw_http_free(f->http);
    scripted_http_free(f->peer);
    cw_loop_free(f->loop);
    cw_str_done(&f->moments);
    free(f);
    return 0;
}

static void play(struct fixture *f, const char *path, enum scripted_action action)
{
    scripted_http_expect(
        f->peer,
        &(struct scripted_step){
            .method = "GET", .path = path, .body = "\n", .action = action, .repeat = true});
}

static void watch(struct fixture *f)
{
    f->call = f->driver->ops->watch(f->driver, "wsk0_", &EVENTS, f);
    assert_non_null(f->call);
    assert_int_equal(f->answers + f->missings, 0); /* never inside the call */
}

static bool enough_answers(void *arg)
{
    struct fixture *f = arg;

    return f->answers >= f->wanted;
}

static bool enough_deaths(void *arg)
{
    struct fixture *f = arg;

    return f->deaths >= f->wanted;
}

static bool is_missing(void *arg)
{
    return ((struct fixture *)arg)->missings > 0;
}

static void wait_for(struct fixture *f, bool (*done)(void *arg), unsigned wanted)
{
    f->wanted = wanted;
    assert_true(cw_loop_run_until(f->loop, done, f, WAIT_MS));
}

static void watch_a_good_engine(struct fixture *f)
{
    play(f, "/events*", SCRIPTED_STREAM);
    play(f, "/_ping", SCRIPTED_ANSWER);
    watch(f);
    wait_for(f, enough_answers, 1);
}

static void push_event(struct fixture *f, const char *action, const char *id, const char *name)
{
    char line[512];
    int n = snprintf(line, sizeof(line),
                     "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\","
                     "\"Attributes\":{\"exitCode\":\"137\",\"name\":\"%s\"}}}\n",
                     action, id, name);

    assert_int_equal(scripted_http_push(f->peer, line, (size_t)n), 1);
}

static void deaths_of_our_containers_are_told(void **state)
{
    struct fixture *f = *state;

    watch_a_good_engine(f);
    push_event(f, "die", OTHER, "somebody");
    push_event(f, "start", OTHER, "wsk0_1_hello");
    push_event(f, "die", ID, "wsk0_2_hello");
    wait_for(f, enough_deaths, 1);
    assert_string_equal(f->id, ID);
    assert_int_equal(f->exit_code, 137);
    push_event(f, "destroy", OTHER, "wsk0_1_hello");
    wait_for(f, enough_deaths, 2);
    assert_string_equal(f->id, OTHER);
}

static void moments_are_told_with_the_engines_time_before_the_death(void **state)
{
    static const char CONNECT[] = "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":"
                                  "\"n\",\"Attributes\":{\"container\":\"" ID "\"}},"
                                  "\"timeNano\":1795276765123456789}\n";
    struct fixture *f = *state;
    char expected[200];

    watch_a_good_engine(f);
    push_event(f, "create", ID, "somebody");
    push_event(f, "create", ID, "wsk0_2_hello");
    (void)scripted_http_push(f->peer, CONNECT, sizeof(CONNECT) - 1);
    push_event(f, "pause", ID, "wsk0_2_hello");
    push_event(f, "die", ID, "wsk0_2_hello");
    wait_for(f, enough_deaths, 1);
    (void)snprintf(expected, sizeof(expected),
                   "%d:wsk0_2_hello:0 %d:-:1795276765123456 %d:wsk0_2_hello:0 ", CW_MOMENT_CREATE,
                   CW_MOMENT_CONNECT, CW_MOMENT_DIE);
    assert_string_equal(f->moments.p, expected);
}

static void event_in_pieces_and_garbage_around_it_are_read(void **state)
{
    struct fixture *f = *state;
    static const char HEAD[] = "nonsense\n{}\n\n{\"Action\":\"die\",\"Actor\":{\"ID\":\"" ID "\",";
    static const char TAIL[] = "\"Attributes\":{\"name\":\"wsk0_1_a\"}}}\n{\"Action\":7}\n";

    watch_a_good_engine(f);
    (void)scripted_http_push(f->peer, HEAD, sizeof(HEAD) - 1);
    (void)scripted_http_push(f->peer, TAIL, sizeof(TAIL) - 1);
    wait_for(f, enough_deaths, 1);
    assert_int_equal(f->exit_code, -1);
}

static void engine_that_comes_back_is_told_since_deaths_may_have_been_missed(void **state)
{
    struct fixture *f = *state;

    watch_a_good_engine(f);
    scripted_http_drop(f->peer);
    wait_for(f, enough_answers, 2);
    assert_int_equal(f->missings, 0); /* it was not away for long */
    push_event(f, "die", ID, "wsk0_2_hello");
    wait_for(f, enough_deaths, 1);
}

static void engine_that_hangs_up_on_everything_is_away(void **state)
{
    struct fixture *f = *state;

    play(f, "/events*", SCRIPTED_RESET);
    play(f, "/_ping", SCRIPTED_RESET);
    watch(f);
    wait_for(f, is_missing, 1);
    assert_int_equal(f->answers, 0);
    assert_int_equal(f->err.code, CW_UNAVAILABLE);
    (void)cw_loop_run_until(f->loop, enough_answers, f, 1500);
    assert_int_equal(f->missings, 1); /* told once */
}

static void on_done(void *arg, const struct cw_err *err)
{
    (void)arg;
    assert_non_null(err);
    assert_int_equal(err->code, CW_UNAVAILABLE);
}

/* Signs of life would tell so seconds later. */
static void request_that_finds_the_engine_out_of_reach_tells_at_once(void **state)
{
    struct fixture *f = *state;

    watch_a_good_engine(f);
    scripted_http_expect(f->peer,
                         &(struct scripted_step){.method = "DELETE", .action = SCRIPTED_RESET});
    (void)f->driver->ops->remove(f->driver, ID, on_done, f);
    wait_for(f, is_missing, 1);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->err.code, CW_UNAVAILABLE);
    wait_for(f, enough_answers, 2); /* it was that request only: the next sign of life says so */
    assert_int_equal(f->missings, 1);
}

/* An engine that ends goes on serving the connections that it has. */
static void each_sign_of_life_has_a_connection_of_its_own(void **state)
{
    struct fixture *f = *state;
    unsigned before;

    watch_a_good_engine(f);
    before = scripted_http_accepted(f->peer);
    scripted_http_drop(f->peer); /* the stream; it is opened again, and a sign of life asked for */
    wait_for(f, enough_answers, 2);
    assert_int_equal(scripted_http_accepted(f->peer), before + 2);
}

static void engine_without_events_still_gives_signs_of_life(void **state)
{
    struct fixture *f = *state;

    scripted_http_expect(f->peer, &(struct scripted_step){.path = "/events*",
                                                          .status = 404,
                                                          .body = "{\"message\":\"no such page\"}",
                                                          .repeat = true});
    play(f, "/_ping", SCRIPTED_ANSWER);
    watch(f);
    wait_for(f, enough_answers, 1);
    (void)cw_loop_run_until(f->loop, is_missing, f, 300);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->missings, 0);
}

static void cancelled_watch_is_silent(void **state)
{
    struct fixture *f = *state;

    watch_a_good_engine(f);
    push_event(f, "die", ID, "wsk0_2_hello");
    f->driver->ops->cancel(f->driver, f->call);
    f->wanted = 1;
    assert_false(cw_loop_run_until(f->loop, enough_deaths, f, 50));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(deaths_of_our_containers_are_told),
        CASE(moments_are_told_with_the_engines_time_before_the_death),
        CASE(event_in_pieces_and_garbage_around_it_are_read),
        CASE(engine_that_comes_back_is_told_since_deaths_may_have_been_missed),
        CASE(engine_that_hangs_up_on_everything_is_away),
        CASE(request_that_finds_the_engine_out_of_reach_tells_at_once),
        CASE(each_sign_of_life_has_a_connection_of_its_own),
        CASE(engine_without_events_still_gives_signs_of_life),
        CASE(cancelled_watch_is_silent),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
