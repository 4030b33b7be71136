/* Pings, on a clock and a bus that the test holds. */
#include "tests/support/cmocka_all.h"

#include <jansson.h>

#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "invoker/health.h"
#include "tests/support/fake_bus.h"
#include "tests/support/turns.h"

#define INSTANCE "{\"instance\":0,\"instanceType\":\"invoker\",\"userMemory\":\"1073741824 B\"}"

enum { WAIT_MS = 20000, SECOND_US = 1000000, MAX_UNSENT = 10 };

/* Time passes only as the test says; timers run by the machine's clock. */
struct held_clock {
    struct cw_clock base;
    int64_t now_us;
};

struct world {
    struct held_clock clock;
    struct cw_loop *loop;
    struct fake_bus bus;
    struct inv_health *health;
    size_t wanted;
};

static int64_t held_now(const struct cw_clock *c)
{
    return ((const struct held_clock *)c)->now_us;
}

static void begin(struct world *w)
{
    char instance[] = INSTANCE, topic[] = "ow-health";

    *w = (struct world){.clock = {{held_now, held_now}, SECOND_US}};
    w->loop = cw_loop_new(&w->clock.base, NULL);
    fake_bus_init(&w->bus, w->loop);
    w->health = inv_health_new(w->loop, &w->bus.base, topic, cw_slice_of(instance));
    memset(instance, 'x', sizeof(instance)); /* it keeps copies */
    memset(topic, 'x', sizeof(topic));
}

static void end(struct world *w)
{
    run_turns(w->loop);
    cw_bus_free(&w->bus.base); /* before those whom its answers reach */
    inv_health_free(w->health);
    cw_loop_free(w->loop);
}

static void expect_ping(const struct fake_bus_message *m, bool enabled)
{
    json_t *ping = json_loadb(m->value.p, m->value.n, JSON_REJECT_DUPLICATES, NULL);
    json_t *instance = json_loads(INSTANCE, 0, NULL);

    assert_string_equal(m->topic, "ow-health");
    assert_non_null(ping);
    assert_int_equal(json_object_size(ping), 2);
    assert_true(json_equal(json_object_get(ping, "name"), instance));
    assert_true(json_is_boolean(json_object_get(ping, "isEnabled")));
    assert_int_equal(json_is_true(json_object_get(ping, "isEnabled")), enabled);
    json_decref(instance);
    json_decref(ping);
}

static bool enough(void *arg)
{
    struct world *w = arg;

    return w->bus.sent_count >= w->wanted;
}

static void wait_pings(struct world *w, size_t count)
{
    w->wanted = count;
    if (!cw_loop_run_until(w->loop, enough, w, WAIT_MS))
        fail_msg("%zu of %zu pings", w->bus.sent_count, count);
}

static int64_t real_us(void)
{
    return cw_clock_mono_us(cw_clock_system());
}

static void first_ping_goes_at_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    assert_int_equal(w.bus.sent_count, 1);
    expect_ping(&w.bus.sent[0], true);
    assert_true(inv_health_enabled(w.health));
    end(&w);
}

static void next_ping_goes_a_second_after_the_last(void **state)
{
    struct world w;
    int64_t began_us = real_us();

    (void)state;
    begin(&w);
    wait_pings(&w, 2);
    assert_true(real_us() - began_us >= SECOND_US - 20000);
    expect_ping(&w.bus.sent[1], true);
    end(&w);
}

/* The clock runs on to 10 ms before the next ping is due while the timer waits: what was lost is
 * made up for. */
static void late_ping_does_not_shift_the_following(void **state)
{
    struct world w;
    int64_t began_us;

    (void)state;
    begin(&w);
    w.clock.now_us += 2 * SECOND_US - 10000;
    wait_pings(&w, 2);
    began_us = real_us();
    wait_pings(&w, 3);
    assert_true(real_us() - began_us < SECOND_US / 2);
    end(&w);
}

static void silent_health_says_nothing_not_even_a_last_word(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    inv_health_silence(w.health, true);
    w.clock.now_us += SECOND_US;
    assert_true(inv_health_enable(w.health, false));
    assert_true(inv_health_enable(w.health, true));
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 1);
    inv_health_silence(w.health, false);
    wait_pings(&w, 2);
    expect_ping(&w.bus.sent[1], true);
    end(&w);
}

static void stopped_machine_makes_no_burst(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.clock.now_us += INT64_C(3600) * SECOND_US;
    wait_pings(&w, 2);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 2);
    end(&w);
}

static void disabling_sends_one_last_ping(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    assert_true(inv_health_enable(w.health, false));
    assert_false(inv_health_enabled(w.health));
    assert_int_equal(w.bus.sent_count, 2);
    expect_ping(&w.bus.sent[1], false);
    assert_false(inv_health_enable(w.health, false)); /* already */
    assert_int_equal(w.bus.sent_count, 2);
    end(&w);
}

static bool time_is_up(void *arg)
{
    return real_us() >= *(int64_t *)arg;
}

static void disabled_invoker_sends_no_pings(void **state)
{
    struct world w;
    int64_t until_us;

    (void)state;
    begin(&w);
    (void)inv_health_enable(w.health, false);
    until_us = real_us() + SECOND_US + SECOND_US / 5;
    (void)cw_loop_run_until(w.loop, time_is_up, &until_us, SECOND_US / 1000 + 300);
    assert_int_equal(w.bus.sent_count, 2);
    end(&w);
}

static void enabling_pings_at_once_and_each_second(void **state)
{
    struct world w;
    int64_t began_us;

    (void)state;
    begin(&w);
    assert_false(inv_health_enable(w.health, true)); /* already */
    assert_int_equal(w.bus.sent_count, 1);
    (void)inv_health_enable(w.health, false);
    began_us = real_us();
    assert_true(inv_health_enable(w.health, true));
    assert_int_equal(w.bus.sent_count, 3);
    expect_ping(&w.bus.sent[2], true);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 3);
    wait_pings(&w, 4);
    expect_ping(&w.bus.sent[3], true);
    assert_true(real_us() - began_us < 2 * SECOND_US - 20000); /* counted from now on */
    end(&w);
}

static void pings_do_not_pile_up_while_kafka_is_away(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.bus.hold_answers = true;
    for (int i = 0; i < 20; i++)
        (void)inv_health_enable(w.health, i % 2 == 1);
    assert_int_equal(w.bus.sent_count, MAX_UNSENT);
    fake_bus_release(&w.bus); /* Kafka is back */
    run_turns(w.loop);
    w.bus.hold_answers = false;
    (void)inv_health_enable(w.health, false);
    assert_int_equal(w.bus.sent_count, MAX_UNSENT + 1);
    expect_ping(&w.bus.sent[MAX_UNSENT], false);
    end(&w);
}

static void failed_ping_makes_room_for_the_next(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    run_turns(w.loop);
    w.bus.failures = 30;
    for (int i = 0; i < 30; i++) {
        (void)inv_health_enable(w.health, i % 2 == 1);
        run_turns(w.loop);
    }
    assert_int_equal(w.bus.sent_count, 31);
    end(&w);
}

static void unwell_is_told_like_disabled_and_is_another_matter(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    run_turns(w.loop);
    inv_health_set_well(w.health, false);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 2);
    expect_ping(&w.bus.sent[1], false);
    assert_true(inv_health_enabled(w.health));
    assert_true(inv_health_enable(w.health, false)); /* says nothing new */
    inv_health_set_well(w.health, true);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 2);
    assert_true(inv_health_enable(w.health, true));
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 3);
    expect_ping(&w.bus.sent[2], true);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_ping_goes_at_once),
        cmocka_unit_test(next_ping_goes_a_second_after_the_last),
        cmocka_unit_test(late_ping_does_not_shift_the_following),
        cmocka_unit_test(silent_health_says_nothing_not_even_a_last_word),
        cmocka_unit_test(stopped_machine_makes_no_burst),
        cmocka_unit_test(disabling_sends_one_last_ping),
        cmocka_unit_test(disabled_invoker_sends_no_pings),
        cmocka_unit_test(enabling_pings_at_once_and_each_second),
        cmocka_unit_test(unwell_is_told_like_disabled_and_is_another_matter),
        cmocka_unit_test(pings_do_not_pile_up_while_kafka_is_away),
        cmocka_unit_test(failed_ping_makes_room_for_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
