/* A Redis that is broken, hostile, or in no mood. */
#include <inttypes.h>

#include "common/kv/redis_kv.h"
#include "tests/component/kv/kv_suite.h"
#include "tests/component/kv/redis_peer.h"
#include "tests/component/kv/redis_server.h"
#include "tests/support/cmocka_all.h"

enum { PATIENCE_MS = 10000 };

#define PONG                                                                                       \
    {                                                                                              \
        .say = CW_SLICE("+PONG\r\n")                                                               \
    }
static const struct redis_script GOOD = {.steps = {PONG, {.say = CW_SLICE("*0\r\n")}}};

struct world {
    struct cw_loop *loop;
    struct redis_peer *peer;
    struct cw_kv *kv;
    struct cw_kv_watch watch;
    unsigned ups, downs, want_ups, want_downs;
    char why[256]; /* of the last down */
};

static void on_state(void *arg, bool up, const char *why)
{
    struct world *w = arg;

    w->ups += up;
    w->downs += !up;
    if (!up)
        (void)snprintf(w->why, sizeof(w->why), "%s", why);
}

static void open_kv(struct world *w, struct cw_redis_conf *conf)
{
    struct cw_err err = {0};

    conf->cluster = "t";
    conf->connect_ms = conf->connect_ms ? conf->connect_ms : 5000;
    conf->answer_ms = conf->answer_ms ? conf->answer_ms : 5000;
    conf->retry_ms = conf->retry_max_ms = 10;
    conf->seed = 7;
    w->kv = cw_redis_kv_new(w->loop, conf, &err);
    assert_string_equal(err.msg, "");
    cw_kv_watch(w->kv, &w->watch, on_state, w);
}

static void open_peer(struct world *w, struct cw_redis_conf *conf,
                      const struct redis_script *scripts, size_t count)
{
    char hosts[32];

    w->loop = cw_loop_new(NULL, NULL);
    w->peer = redis_peer_new(w->loop, scripts, count);
    (void)snprintf(hosts, sizeof(hosts), "127.0.0.1:%u", redis_peer_port(w->peer));
    conf->hosts = hosts;
    open_kv(w, conf);
    conf->hosts = NULL;
}

static void close_world(struct world *w)
{
    cw_kv_unwatch(&w->watch);
    cw_kv_free(w->kv);
    redis_peer_free(w->peer);
    cw_loop_free(w->loop);
}

static bool states_came(void *arg)
{
    const struct world *w = arg;

    return w->ups >= w->want_ups && w->downs >= w->want_downs;
}

static void wait_states(struct world *w, unsigned ups, unsigned downs)
{
    w->want_ups = ups;
    w->want_downs = downs;
    assert_true(cw_loop_run_until(w->loop, states_came, w, PATIENCE_MS));
}

static void get(struct world *w, struct kv_answer *a)
{
    const char *key = "k";

    *a = (struct kv_answer){0};
    cw_kv_get(w->kv, &key, 1, kv_answer_hashes, a, NULL);
}

static void expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

/* The first connection answers the first call so; then all is well. */
static void a_call_meets(struct redis_step step, enum cw_code code, const char *why,
                         struct cw_redis_conf *conf)
{
    const struct redis_script scripts[] = {{.steps = {PONG, step}}, GOOD};
    struct world w = {0};
    struct kv_answer a;

    open_peer(&w, conf, scripts, 2);
    wait_states(&w, 1, 0);
    get(&w, &a);
    kv_wait(w.loop, &a);
    assert_int_equal(a.code, code);
    assert_int_equal(a.retriable, code != CW_OK);
    wait_states(&w, 2, 1);
    expect_text(w.why, why);
    get(&w, &a);
    kv_wait(w.loop, &a);
    assert_int_equal(a.code, CW_OK);
    close_world(&w);
}

static void a_connection_that_is_lost_in_an_answer_comes_back(void **state)
{
    (void)state;
    a_call_meets(
        (struct redis_step){.say = CW_SLICE("*2\r\n$1\r\nn\r\n$100\r\nhal"), .close = true},
        CW_TIMEOUT, "closed", &(struct cw_redis_conf){0});
}

static void a_connection_that_is_lost_before_an_answer_comes_back(void **state)
{
    (void)state;
    a_call_meets((struct redis_step){.close = true}, CW_TIMEOUT,
                 "redis 127.0.0.1: ", &(struct cw_redis_conf){0});
}

static void silence_ends_a_call_in_time(void **state)
{
    (void)state;
    a_call_meets((struct redis_step){{0}, false, false}, CW_TIMEOUT, "no answer within 50 ms",
                 &(struct cw_redis_conf){.answer_ms = 50});
}

static void garbage_is_not_believed(void **state)
{
    (void)state;
    a_call_meets((struct redis_step){.say = CW_SLICE("HTTP/1.1 400 Bad Request\r\n\r\n")},
                 CW_TIMEOUT, "not Redis' protocol", &(struct cw_redis_conf){0});
}

static void an_array_of_a_billion_is_not_allocated(void **state)
{
    (void)state;
    a_call_meets((struct redis_step){.say = CW_SLICE("*1000000000\r\n")}, CW_TIMEOUT, "items",
                 &(struct cw_redis_conf){0});
}

static void an_endless_answer_is_not_kept(void **state)
{
    static char much[65536];

    (void)state;
    memset(much, 'x', sizeof(much));
    memcpy(much, "$2000000000\r\n", 13);
    a_call_meets((struct redis_step){.say = {much, sizeof(much)}, .pour = true}, CW_TIMEOUT,
                 "bytes", &(struct cw_redis_conf){0});
}

/* A hash that somebody has filled: only its own answer lacks, and the connection goes on. */
static void a_hash_that_is_too_large_costs_only_its_own_answer(void **state)
{
    enum { LARGE = 8 << 20 };
    static char say[LARGE + 64];
    struct world w = {0};
    struct kv_answer a;
    int n = snprintf(say, sizeof(say), "*2\r\n$1\r\nn\r\n$%d\r\n", LARGE);
    const struct redis_script script = {
        .steps = {PONG, {.say = {say, (size_t)n + LARGE + 2}}, {.say = CW_SLICE("*0\r\n")}}};

    (void)state;
    memset(say + n, '$', LARGE);
    memcpy(say + n + LARGE, "\r\n", 2);
    open_peer(&w, &(struct cw_redis_conf){0}, &script, 1);
    wait_states(&w, 1, 0);
    get(&w, &a);
    kv_wait(w.loop, &a);
    assert_int_equal(a.code, CW_OK);
    expect_text(a.text, "PROBLEM");
    get(&w, &a);
    kv_wait(w.loop, &a);
    assert_int_equal(a.code, CW_OK);
    assert_null(strstr(a.text, "PROBLEM"));
    assert_int_equal(w.downs, 0);
    close_world(&w);
}

static void an_answer_that_nobody_asked_for_ends_the_connection(void **state)
{
    (void)state;
    a_call_meets((struct redis_step){.say = CW_SLICE("*0\r\n+OK\r\n")}, CW_OK, "not asked for",
                 &(struct cw_redis_conf){0});
}

static void refusal_during_work(struct redis_step step, const char *why)
{
    a_call_meets(step, CW_UNAVAILABLE, why, &(struct cw_redis_conf){0});
}

static void a_server_that_will_do_nothing_for_us_is_left(void **state)
{
    (void)state;
    refusal_during_work((struct redis_step){.say = CW_SLICE("-LOADING Redis is loading\r\n")},
                        "LOADING");
    refusal_during_work(
        (struct redis_step){.say = CW_SLICE("-READONLY You can't write against a replica.\r\n")},
        "READONLY");
    refusal_during_work(
        (struct redis_step){.say = CW_SLICE("-NOAUTH Authentication required.\r\n")}, "NOAUTH");
    refusal_during_work(
        (struct redis_step){.say = CW_SLICE("-MASTERDOWN Link with MASTER is down\r\n")},
        "MASTERDOWN");
}

static void a_refused_greeting_is_tried_again(void **state)
{
    static const struct redis_script scripts[] = {
        {.steps = {{.say = CW_SLICE("-LOADING Redis is loading the dataset in memory\r\n")}}},
        {.steps = {{.say = CW_SLICE("-NOAUTH Authentication required.\r\n")}}},
        {.steps = {{.say = CW_SLICE("+PONG\r\n"), .close = false}}},
    };
    struct world w = {0};

    (void)state;
    open_peer(&w, &(struct cw_redis_conf){0}, scripts, 3);
    wait_states(&w, 1, 1);
    assert_int_equal(redis_peer_count(w.peer), 3);
    close_world(&w);
}

static void the_password_is_not_in_any_reason(void **state)
{
    static const struct redis_script scripts[] = {
        {.steps = {
             {.say = CW_SLICE("-ERR unknown command 'AUTH', with args beginning with: 'sesame'\r\n"
                              "+PONG\r\n")}}}};
    struct world w = {0};
    struct kv_answer a;

    (void)state;
    open_peer(&w, &(struct cw_redis_conf){.password = "sesame"}, scripts, 1);
    wait_states(&w, 0, 1);
    expect_text(w.why, "refuses us: ERR");
    assert_null(strstr(w.why, "sesame"));
    get(&w, &a);
    kv_wait(w.loop, &a);
    assert_null(strstr(a.msg, "sesame"));
    expect_text(redis_peer_heard(w.peer), "AUTH\r\n$6\r\nsesame\r\n");
    close_world(&w);
}

static void a_server_that_goes_silent_is_noticed_without_a_call(void **state)
{
    const struct redis_script scripts[] = {{.steps = {PONG, PONG}}, {.steps = {PONG}}};
    struct world w = {0};

    (void)state;
    open_peer(&w, &(struct cw_redis_conf){.idle_ms = 20, .answer_ms = 50}, scripts, 2);
    wait_states(&w, 2, 1);
    expect_text(w.why, "no answer within 50 ms");
    close_world(&w);
}

static void a_greeting_that_is_not_answered_does_not_last(void **state)
{
    const struct redis_script scripts[] = {{{{{0}, false, false}}}, GOOD};
    struct world w = {0};

    (void)state;
    open_peer(&w, &(struct cw_redis_conf){.connect_ms = 50}, scripts, 2);
    wait_states(&w, 1, 1);
    expect_text(w.why, "no connection within 50 ms");
    close_world(&w);
}

static void calls_do_not_wait_while_it_is_down(void **state)
{
    struct world w = {.loop = cw_loop_new(NULL, NULL)};
    struct kv_answer a;
    char hosts[32];

    (void)state;
    (void)snprintf(hosts, sizeof(hosts), "127.0.0.1:%u", redis_free_port());
    open_kv(&w, &(struct cw_redis_conf){.hosts = hosts});
    get(&w, &a); /* before the first attempt */
    kv_wait(w.loop, &a);
    assert_int_equal(a.code, CW_UNAVAILABLE);
    wait_states(&w, 0, 1);
    expect_text(w.why, "refused");
    get(&w, &a);
    kv_wait(w.loop, &a);
    assert_int_equal(a.code, CW_UNAVAILABLE);
    assert_true(a.retriable);
    expect_text(a.msg, "refused");
    assert_false(cw_kv_up(w.kv));
    close_world(&w);
}

static void the_next_server_is_tried(void **state)
{
    struct world w = {.loop = cw_loop_new(NULL, NULL)};
    char hosts[80];

    (void)state;
    w.peer = redis_peer_new(w.loop, &GOOD, 1);
    (void)snprintf(hosts, sizeof(hosts), "127.0.0.1:%u, no-such-host.invalid:1 ,localhost:%u",
                   redis_free_port(), redis_peer_port(w.peer));
    open_kv(&w, &(struct cw_redis_conf){.hosts = hosts});
    wait_states(&w, 1, 0);
    close_world(&w);
}

static void what_is_under_way_is_bounded(void **state)
{
    enum { MANY = 5000 };
    static struct kv_answer answers[MANY];
    const struct redis_script scripts[] = {{.steps = {PONG}}};
    struct world w = {0};
    size_t refused = 0;

    (void)state;
    open_peer(&w, &(struct cw_redis_conf){.answer_ms = 200}, scripts, 1);
    wait_states(&w, 1, 0);
    for (size_t i = 0; i < MANY; i++)
        get(&w, &answers[i]);
    for (size_t i = 0; i < MANY; i++) {
        kv_wait(w.loop, &answers[i]);
        refused += answers[i].code == CW_UNAVAILABLE;
    }
    assert_int_equal(refused, MANY - 4096);
    close_world(&w);
}

static void a_hash_that_is_none_is_a_problem_of_its_own(void **state)
{
    const struct redis_script scripts[] = {
        {.steps = {
             PONG,
             {.say = CW_SLICE("-WRONGTYPE Operation against a key\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
                              ":5\r\n*1\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n")}}}};
    const char *keys[] = {"a", "b", "c", "d", "e"};
    struct world w = {0};
    struct kv_answer a = {0};

    (void)state;
    open_peer(&w, &(struct cw_redis_conf){0}, scripts, 1);
    wait_states(&w, 1, 0);
    cw_kv_get(w.kv, keys, 5, kv_answer_hashes, &a, NULL);
    kv_wait(w.loop, &a);
    assert_string_equal(a.msg, "");
    assert_string_equal(a.text, "PROBLEM;a=1;PROBLEM;PROBLEM;PROBLEM");
    close_world(&w);
}

static void settings_that_cannot_be_meant_are_refused(void **state)
{
    static const char *const BAD[] = {"",       "a,,b",  ",",      "a:0",  "a:65536",
                                      "a:port", "a:b:1", "::1:80", "[]:1", "[::1]x"};
    struct cw_loop *loop = cw_loop_new(NULL, NULL);

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct cw_err err = {0};

        if (cw_redis_kv_new(loop, &(struct cw_redis_conf){.hosts = BAD[i], .cluster = "t"}, &err))
            fail_msg("\"%s\" was taken", BAD[i]);
        assert_int_equal(err.code, CW_INVALID);
        assert_int_equal(cw_redis_conf_check(&(struct cw_redis_conf){.hosts = BAD[i]}, &err), -1);
    }
    assert_int_equal(cw_redis_conf_check(&(struct cw_redis_conf){.hosts = "a,[::1]:7,b:1"}, NULL),
                     0);
    assert_null(cw_redis_kv_new(
        loop, &(struct cw_redis_conf){.hosts = "a", .cluster = "t", .user = "u"}, NULL));
    assert_null(cw_redis_kv_new(
        loop,
        &(struct cw_redis_conf){.hosts = "a", .cluster = "t", .tls = true, .ca_file = "/no/such"},
        NULL));
    cw_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_is_lost_in_an_answer_comes_back),
        cmocka_unit_test(a_connection_that_is_lost_before_an_answer_comes_back),
        cmocka_unit_test(silence_ends_a_call_in_time),
        cmocka_unit_test(garbage_is_not_believed),
        cmocka_unit_test(an_array_of_a_billion_is_not_allocated),
        cmocka_unit_test(an_endless_answer_is_not_kept),
        cmocka_unit_test(a_hash_that_is_too_large_costs_only_its_own_answer),
        cmocka_unit_test(an_answer_that_nobody_asked_for_ends_the_connection),
        cmocka_unit_test(a_server_that_will_do_nothing_for_us_is_left),
        cmocka_unit_test(a_refused_greeting_is_tried_again),
        cmocka_unit_test(the_password_is_not_in_any_reason),
        cmocka_unit_test(a_server_that_goes_silent_is_noticed_without_a_call),
        cmocka_unit_test(a_greeting_that_is_not_answered_does_not_last),
        cmocka_unit_test(calls_do_not_wait_while_it_is_down),
        cmocka_unit_test(the_next_server_is_tried),
        cmocka_unit_test(what_is_under_way_is_bounded),
        cmocka_unit_test(a_hash_that_is_none_is_a_problem_of_its_own),
        cmocka_unit_test(settings_that_cannot_be_meant_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
