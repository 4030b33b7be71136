/* The suite on a real Redis, and what only a real one does: it asks for names, it dies, it speaks
 * TLS. */
#include <stdlib.h>

#include "common/kv/redis_kv.h"
#include "tests/component/kv/kv_suite.h"
#include "tests/component/kv/redis_server.h"
#include "tests/support/cmocka_all.h"

enum { PATIENCE_MS = 20000 };

static bool is_up(void *arg)
{
    return cw_kv_up(arg);
}

static bool is_down(void *arg)
{
    return !cw_kv_up(arg);
}

static struct cw_kv *open_kv(struct cw_loop *loop, uint16_t port, struct cw_redis_conf conf)
{
    struct cw_err err = {0};
    char hosts[40];
    struct cw_kv *kv;

    (void)snprintf(hosts, sizeof(hosts), "localhost:%u", port);
    conf.hosts = conf.hosts ? conf.hosts : hosts;
    conf.cluster = "test";
    conf.answer_ms = 10000;
    conf.retry_ms = conf.retry_max_ms = 20;
    conf.seed = 3;
    kv = cw_redis_kv_new(loop, &conf, &err);
    assert_string_equal(err.msg, "");
    return kv;
}

static struct cw_kv *open_up(struct cw_loop *loop, uint16_t port, struct cw_redis_conf conf)
{
    struct cw_kv *kv = open_kv(loop, port, conf);

    assert_true(cw_loop_run_until(loop, is_up, kv, PATIENCE_MS));
    return kv;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void pass(struct kv_world *w, int64_t ms)
{
    (void)cw_loop_run_until(w->loop, never, NULL, ms);
}

/* Of a group of cases. */
static struct redis_server *shared;
static uint16_t shared_port;

static void run_case(void **state)
{
    const struct kv_case *c = *state;
    struct kv_world w = {.loop = cw_loop_new(NULL, NULL), .pass = pass};

    w.kv = open_up(w.loop, shared_port, (struct cw_redis_conf){0});
    w.other = open_up(w.loop, shared_port, (struct cw_redis_conf){0});
    c->run(&w);
    cw_kv_free(w.kv);
    cw_kv_free(w.other);
    cw_loop_free(w.loop);
}

static void clusters_and_databases_do_not_see_each_other(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_kv *zero = open_up(loop, shared_port, (struct cw_redis_conf){0});
    struct cw_kv *five = open_up(loop, shared_port, (struct cw_redis_conf){.db = 5});
    struct kv_answer a;

    (void)state;
    kv_put_one(loop, zero, "mine", "n", "0", 60000);
    assert_string_equal(kv_get_text(loop, five, "mine", &a), "-");
    kv_put_one(loop, five, "mine", "n", "5", 60000);
    assert_string_equal(kv_get_text(loop, zero, "mine", &a), "n=0");
    cw_kv_free(zero);
    cw_kv_free(five);
    cw_loop_free(loop);
}

static void on_message(void *arg, struct cw_slice message)
{
    (void)message;
    (*(int *)arg)++;
}

static bool heard(void *arg)
{
    return *(int *)arg > 0;
}

static void it_comes_back_after_a_crash_with_its_subscriptions(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    uint16_t port = redis_free_port();
    struct redis_server *server = redis_server_start(port, NULL);
    struct cw_kv *kv = open_up(loop, port, (struct cw_redis_conf){0});
    int count = 0;
    struct cw_kv_sub *sub = cw_kv_subscribe(kv, "c", on_message, &count);
    struct kv_answer a;

    (void)state;
    kv_put_one(loop, kv, "k", "n", "1", 60000);
    redis_server_kill(server);
    assert_true(cw_loop_run_until(loop, is_down, kv, PATIENCE_MS));
    server = redis_server_start(port, NULL);
    assert_true(cw_loop_run_until(loop, is_up, kv, PATIENCE_MS));
    assert_string_equal(kv_get_text(loop, kv, "k", &a), "-");
    a = (struct kv_answer){0};
    cw_kv_publish(kv, "c", CW_SLICE("m"), kv_answer_done, &a, NULL); /* up: it is subscribed */
    assert_true(cw_loop_run_until(loop, heard, &count, PATIENCE_MS));
    kv_wait(loop, &a);
    cw_kv_unsubscribe(sub);
    cw_kv_free(kv);
    cw_loop_free(loop);
    redis_server_kill(server);
}

static void down_for(struct cw_kv *kv, struct cw_loop *loop)
{
    (void)cw_loop_run_until(loop, is_up, kv, 300);
    assert_false(cw_kv_up(kv));
}

static void passwords_and_users_are_asked_for(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    uint16_t port = redis_free_port();
    const char *const words[] = {"--requirepass", "open sesame", "--user", "whisk", "on",
                                 ">second",       "~cw:*",       "&cw:*",  "+@all", NULL};
    struct redis_server *server = redis_server_start(port, words);
    struct cw_kv *plain = open_up(loop, port, (struct cw_redis_conf){.password = "open sesame"});
    struct cw_kv *user =
        open_up(loop, port, (struct cw_redis_conf){.user = "whisk", .password = "second"});
    struct cw_kv *none = open_kv(loop, port, (struct cw_redis_conf){0});
    struct cw_kv *wrong = open_kv(loop, port, (struct cw_redis_conf){.password = "wrong"});
    struct kv_answer a;

    (void)state;
    kv_put_one(loop, user, "k", "n", "1", 60000);
    assert_string_equal(kv_get_text(loop, plain, "k", &a), "n=1");
    down_for(none, loop);
    down_for(wrong, loop);
    cw_kv_free(plain);
    cw_kv_free(user);
    cw_kv_free(none);
    cw_kv_free(wrong);
    cw_loop_free(loop);
    redis_server_kill(server);
}

static void a_read_only_server_is_left_for_the_one_that_writes(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    uint16_t port = redis_free_port();
    char primary[40], hosts[80];
    const char *const words[] = {"--replicaof", primary, NULL};
    struct redis_server *replica;
    struct cw_kv *kv;
    struct kv_answer a = {.code = CW_INTERNAL};
    const struct cw_kv_field f = {CW_SLICE("n"), CW_SLICE("1")};
    const struct cw_kv_put put = {.key = "w", .fields = &f, .count = 1};

    (void)state;
    (void)snprintf(primary, sizeof(primary), "127.0.0.1 %u", shared_port);
    (void)snprintf(hosts, sizeof(hosts), "127.0.0.1:%u,127.0.0.1:%u", port, shared_port);
    replica = redis_server_start(port, words);
    kv = open_up(loop, port, (struct cw_redis_conf){.hosts = hosts});
    for (int tries = 0; a.code != CW_OK; tries++) {
        assert_true(tries < 100);
        a = (struct kv_answer){0};
        cw_kv_put(kv, &put, kv_answer_done, &a, NULL);
        kv_wait(loop, &a);
        (void)cw_loop_run_until(loop, never, NULL, 20);
    }
    cw_kv_free(kv);
    cw_loop_free(loop);
    redis_server_kill(replica);
}

static void tls_is_spoken_and_names_are_checked(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    uint16_t port = redis_free_port(), plain = redis_free_port();
    char tls_port[8], hosts[40];
    const char *const words[] = {"--tls-port",
                                 tls_port,
                                 "--tls-cert-file",
                                 CW_TEST_DATA "/tls/server.pem",
                                 "--tls-key-file",
                                 CW_TEST_DATA "/tls/server.pem",
                                 "--tls-ca-cert-file",
                                 CW_TEST_DATA "/tls/root.pem",
                                 "--tls-auth-clients",
                                 "no",
                                 NULL};
    struct cw_redis_conf trusted = {.tls = true, .ca_file = CW_TEST_DATA "/tls/root.pem"};
    struct cw_redis_conf stranger = {.tls = true, .ca_file = CW_TEST_DATA "/tls/stranger.pem"};
    struct redis_server *server;
    struct cw_kv *good, *bad;
    struct kv_answer a;

    (void)state;
    (void)snprintf(tls_port, sizeof(tls_port), "%u", port);
    (void)snprintf(hosts, sizeof(hosts), "127.0.0.2:%u", port);
    server = redis_server_start(plain, words);
    good = open_up(loop, port, trusted);
    kv_put_one(loop, good, "k", "n", "1", 60000);
    assert_string_equal(kv_get_text(loop, good, "k", &a), "n=1");
    bad = open_kv(loop, port, stranger);
    down_for(bad, loop);
    cw_kv_free(good);
    cw_kv_free(bad);
    cw_loop_free(loop);
    redis_server_kill(server);
}

static int start_shared(void **state)
{
    (void)state; /* those of the cases say which one */
    shared_port = redis_free_port();
    shared = redis_server_start(shared_port, NULL);
    return 0;
}

static int stop_shared(void **state)
{
    (void)state;
    redis_server_kill(shared);
    return 0;
}

int main(void)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test(clusters_and_databases_do_not_see_each_other),
        cmocka_unit_test(it_comes_back_after_a_crash_with_its_subscriptions),
        cmocka_unit_test(passwords_and_users_are_asked_for),
        cmocka_unit_test(a_read_only_server_is_left_for_the_one_that_writes),
        cmocka_unit_test(tls_is_spoken_and_names_are_checked),
    };

    return cmocka_run_group_tests(own, start_shared, stop_shared) +
           kv_run_cases(run_case, start_shared, stop_shared);
}
