#include "common/base/clock.h"
#include "common/kv/local_kv.h"
#include "tests/component/kv/kv_suite.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/turns.h"

struct test_clock {
    struct cw_clock base;
    int64_t ahead_us; /* of the machine's */
};

struct local_world {
    struct kv_world base;
    struct test_clock clock;
};

static int64_t mono_us(const struct cw_clock *c)
{
    return cw_clock_mono_us(cw_clock_system()) + ((const struct test_clock *)c)->ahead_us;
}

static int64_t wall_us(const struct cw_clock *c)
{
    (void)c;
    return cw_clock_system()->wall_us(cw_clock_system());
}

static void pass(struct kv_world *w, int64_t ms)
{
    CW_CONTAINER_OF(w, struct local_world, base)->clock.ahead_us += ms * 1000;
}

static void run_case(void **state)
{
    const struct kv_case *c = *state;
    struct local_world w = {.base.pass = pass, .clock = {.base = {wall_us, mono_us}}};

    w.base.loop = cw_loop_new(&w.clock.base, NULL);
    w.base.kv = w.base.other = cw_local_kv_new(w.base.loop, 0);
    c->run(&w.base);
    run_turns(w.base.loop);
    cw_kv_free(w.base.kv);
    cw_loop_free(w.base.loop);
}

static void the_table_is_bounded(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_kv *kv = cw_local_kv_new(loop, 2);
    struct kv_answer a;

    (void)state;
    kv_put_one(loop, kv, "forever", "n", "1", 0);
    kv_put_one(loop, kv, "soon", "n", "1", 60000);
    kv_put_one(loop, kv, "later", "n", "1", 120000);
    assert_string_equal(kv_get_text(loop, kv, "forever", &a), "n=1");
    assert_string_equal(kv_get_text(loop, kv, "soon", &a), "-");
    assert_string_equal(kv_get_text(loop, kv, "later", &a), "n=1");
    cw_kv_free(kv);
    cw_loop_free(loop);
}

static void on_state(void *arg, bool up, const char *why)
{
    int *told = arg;

    assert_true(up);
    assert_string_equal(why, "");
    (*told)++;
}

static void it_is_up_and_says_so_once(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_kv *kv = cw_local_kv_new(loop, 2);
    struct cw_kv_watch watch, ended;
    int told = 0, never = 0;

    (void)state;
    cw_kv_watch(kv, &watch, on_state, &told);
    cw_kv_watch(kv, &ended, on_state, &never);
    cw_kv_unwatch(&ended);
    assert_int_equal(told, 0);
    run_turns(loop);
    assert_int_equal(told, 1);
    assert_int_equal(never, 0);
    cw_kv_unwatch(&watch);
    cw_kv_free(kv);
    cw_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(it_is_up_and_says_so_once),
    };

    return cmocka_run_group_tests(own, NULL, NULL) + kv_run_cases(run_case, NULL, NULL);
}
