/* Who may work as an invoker, on a bus whose group the test fills. */
#include "tests/support/cmocka_all.h"

#include <unistd.h>

#include "common/loop/loop.h"
#include "invoker/owner_lock.h"
#include "invoker/ownership.h"
#include "tests/support/fake_bus.h"

enum { WAIT_MS = 20000 };

#define GROUP "invoker7"
#define OURS "cwhisk-invoker7"

struct world {
    struct cw_loop *loop;
    struct fake_bus bus;
    struct inv_ownership *owner;
    unsigned told;
    bool refused;
    struct cw_err err;
};

static void on_told(void *arg, const struct cw_err *err)
{
    struct world *w = arg;

    w->told++;
    w->refused = err != NULL;
    if (err)
        w->err = *err;
}

static void begin(struct world *w)
{
    *w = (struct world){0};
    w->loop = cw_loop_new(NULL, NULL);
    fake_bus_init(&w->bus, w->loop);
}

/* The scope keeps tests that run side by side apart. */
static const char *scope(void)
{
    static char text[32];

    (void)snprintf(text, sizeof(text), "test-%d", (int)getpid());
    return text;
}

static void ask(struct world *w, enum inv_takeover takeover, const char *data_dir)
{
    w->owner = inv_ownership_new(&(struct inv_ownership_conf){
        .loop = w->loop,
        .bus = &w->bus.base,
        .group = GROUP,
        .instance_id = OURS,
        .brokers = scope(),
        .data_dir = data_dir,
        .takeover = takeover,
        .fn = on_told,
        .arg = w,
    });
}

static void end(struct world *w)
{
    cw_bus_free(&w->bus.base);
    inv_ownership_free(w->owner);
    cw_loop_free(w->loop);
}

static bool was_told(void *arg)
{
    return ((struct world *)arg)->told > 0;
}

static bool asked_twice(void *arg)
{
    return ((struct world *)arg)->bus.members_asked >= 2;
}

static void expect_owned(struct world *w)
{
    assert_true(cw_loop_run_until(w->loop, was_told, w, WAIT_MS));
    assert_false(w->refused);
    assert_int_equal(w->told, 1);
}

static void an_empty_group_is_ours(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    ask(&w, INV_TAKEOVER_REFUSE, NULL);
    expect_owned(&w);
    end(&w);
}

static void a_member_is_waited_for(void **state)
{
    const struct cw_group_member other = {"consumer-invoker7", "/192.0.2.9", ""};
    struct world w;

    (void)state;
    begin(&w);
    w.bus.members = &other;
    w.bus.member_count = 1;
    ask(&w, INV_TAKEOVER_WAIT, NULL);
    assert_true(cw_loop_run_until(w.loop, asked_twice, &w, WAIT_MS));
    assert_int_equal(w.told, 0);
    w.bus.member_count = 0;
    expect_owned(&w);
    end(&w);
}

static void a_member_is_refused_by_name(void **state)
{
    const struct cw_group_member others[] = {{"stock", "/192.0.2.9", ""}, {"b", "/192.0.2.8", ""}};
    struct world w;

    (void)state;
    begin(&w);
    w.bus.members = others;
    w.bus.member_count = 2;
    ask(&w, INV_TAKEOVER_REFUSE, NULL);
    assert_true(cw_loop_run_until(w.loop, was_told, &w, WAIT_MS));
    assert_true(w.refused);
    assert_int_equal(w.err.code, CW_CONFLICT);
    assert_non_null(strstr(w.err.msg, "group invoker7: stock at /192.0.2.9, b at /192.0.2.8"));
    end(&w);
}

static void a_dead_predecessor_of_this_machine_does_not_count(void **state)
{
    const struct cw_group_member dead = {"consumer-invoker7", "/127.0.0.1", OURS};
    struct world w;

    (void)state;
    begin(&w);
    w.bus.members = &dead;
    w.bus.member_count = 1;
    ask(&w, INV_TAKEOVER_REFUSE, NULL);
    expect_owned(&w);
    end(&w);
}

static void our_instance_id_elsewhere_counts(void **state)
{
    const struct cw_group_member elsewhere = {"consumer-invoker7", "/192.0.2.9", OURS};
    struct world w;

    (void)state;
    begin(&w);
    w.bus.members = &elsewhere;
    w.bus.member_count = 1;
    ask(&w, INV_TAKEOVER_REFUSE, NULL);
    assert_true(cw_loop_run_until(w.loop, was_told, &w, WAIT_MS));
    assert_true(w.refused);
    end(&w);
}

static void brokers_that_cannot_tell_yet_are_asked_again(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    (void)cw_fail_retriable(&w.bus.failure, CW_UNAVAILABLE, "coordinator not available");
    w.bus.member_failures = 1;
    ask(&w, INV_TAKEOVER_REFUSE, NULL);
    expect_owned(&w);
    assert_int_equal(w.bus.members_asked, 2);
    end(&w);
}

static void brokers_that_will_not_tell_do_not_keep_us_from_work(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    (void)cw_fail(&w.bus.failure, CW_INVALID, "group authorization failed");
    w.bus.member_failures = 1;
    ask(&w, INV_TAKEOVER_REFUSE, NULL);
    expect_owned(&w);
    assert_int_equal(w.bus.members_asked, 1);
    end(&w);
}

static void a_process_of_this_machine_is_waited_for(void **state)
{
    struct inv_owner_lock *other = inv_owner_lock_new(GROUP, scope(), NULL);
    cw_auto_str struct cw_str who;
    struct cw_err err = {0};
    struct world w;

    (void)state;
    cw_str_init(&who, 256);
    begin(&w);
    assert_int_equal(inv_owner_lock_try(other, &who, &err), 0);
    ask(&w, INV_TAKEOVER_WAIT, NULL);
    assert_false(cw_loop_run_until(w.loop, was_told, &w, 20));
    assert_int_equal(w.bus.members_asked, 0); /* nobody is disturbed by questions before */
    inv_owner_lock_free(other);
    expect_owned(&w);
    end(&w);
}

static void the_lock_file_names_its_holder(void **state)
{
    char dir[] = "/tmp/ownership.XXXXXX", path[64];
    struct inv_owner_lock *first, *second;
    cw_auto_str struct cw_str who, wanted;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&who, 256);
    cw_str_init(&wanted, 256);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/" GROUP ".lock", dir);
    first = inv_owner_lock_new(GROUP, "brokers a", dir); /* the file alone decides */
    second = inv_owner_lock_new(GROUP, "brokers b", dir);
    assert_int_equal(inv_owner_lock_try(first, &who, &err), 0);
    assert_int_equal(inv_owner_lock_try(first, &who, &err), 0); /* held already */
    assert_int_equal(inv_owner_lock_try(second, &who, &err), 1);
    cw_str_addf(&wanted, "process %d holds %s", (int)getpid(), path);
    assert_string_equal(who.p, wanted.p);
    inv_owner_lock_free(first);
    assert_int_equal(inv_owner_lock_try(second, &who, &err), 0);
    inv_owner_lock_free(second);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    ask(&w, INV_TAKEOVER_WAIT, "/nowhere/at/all");
    assert_true(cw_loop_run_until(w.loop, was_told, &w, WAIT_MS));
    assert_true(w.refused);
    assert_non_null(strstr(w.err.msg, "/nowhere/at/all/invoker7.lock (cwhisk.data-dir)"));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_group_is_ours),
        cmocka_unit_test(a_member_is_waited_for),
        cmocka_unit_test(a_member_is_refused_by_name),
        cmocka_unit_test(a_dead_predecessor_of_this_machine_does_not_count),
        cmocka_unit_test(our_instance_id_elsewhere_counts),
        cmocka_unit_test(brokers_that_cannot_tell_yet_are_asked_again),
        cmocka_unit_test(brokers_that_will_not_tell_do_not_keep_us_from_work),
        cmocka_unit_test(a_process_of_this_machine_is_waited_for),
        cmocka_unit_test(the_lock_file_names_its_holder),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests_name("ownership", tests, NULL, NULL);
}
