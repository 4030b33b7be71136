/* Whether another container is started, by what is declared and by what is inferred. */
#include "tests/support/cmocka_all.h"

#include "common/base/mem.h"
#include "invoker/placement/admission.h"

enum { MIB = 1024 * 1024 };

static const struct inv_admission_conf DECLARED = {.charge = INV_CHARGE_DECLARED,
                                                   .user_memory_bytes = 1024LL * MIB};
static const struct inv_admission_conf INFERRED = {.charge = INV_CHARGE_INFERRED,
                                                   .floor_bytes = 100LL * MIB,
                                                   .memory_stall_max = 1000,
                                                   .cpu_stall_max = 5000,
                                                   .cold_starts_max = 4};

static struct inv_admission_state busy(int64_t reserved_mb, int64_t idle_mb)
{
    return (struct inv_admission_state){.memory_total_bytes = 1024LL * MIB,
                                        .memory_available_bytes = -1,
                                        .memory_reserved_bytes = reserved_mb * MIB,
                                        .memory_idle_bytes = idle_mb * MIB,
                                        .running = 1};
}

static struct inv_admission judge(const struct inv_admission_conf *conf,
                                  struct inv_admission_state state, uint64_t mb)
{
    struct inv_admission a;

    inv_admission_judge(conf, &state, mb * MIB, &a);
    return a;
}

static void declared_memory_never_exceeds_user_memory(void **state)
{
    (void)state;
    assert_int_equal(judge(&DECLARED, busy(768, 0), 256).verdict, INV_ADMIT);
    assert_int_equal(judge(&DECLARED, busy(769, 0), 256).verdict, INV_HOLD);
    assert_int_equal(judge(&DECLARED, busy(769, 0), 256).why, INV_HOLD_MEMORY);
}

static void declared_evicts_exactly_what_is_missing(void **state)
{
    struct inv_admission a = judge(&DECLARED, busy(1024, 300), 256);

    (void)state;
    assert_int_equal(a.verdict, INV_EVICT);
    assert_int_equal(a.evict_bytes, 256 * MIB);
    assert_int_equal(judge(&DECLARED, busy(1024, 255), 256).verdict, INV_HOLD);
}

static void declared_asks_no_gauge(void **state)
{
    struct inv_admission_state s = busy(0, 0);

    (void)state;
    s.memory_available_bytes = 0;
    s.memory_stall = s.cpu_stall = 10000;
    assert_int_equal(judge(&DECLARED, s, 256).verdict, INV_ADMIT);
}

static void inferred_counts_needs(void **state)
{
    (void)state;
    assert_int_equal(judge(&INFERRED, busy(900, 0), 100).verdict, INV_ADMIT);
    assert_int_equal(judge(&INFERRED, busy(1000, 0), 100).why, INV_HOLD_MEMORY);
    assert_int_equal(judge(&INFERRED, busy(1000, 90), 100).evict_bytes, 76 * MIB);
}

static void free_memory_stays_above_the_floor(void **state)
{
    struct inv_admission_state s = busy(300, 0);

    (void)state;
    s.memory_available_bytes = 200LL * MIB;
    assert_int_equal(judge(&INFERRED, s, 100).verdict, INV_ADMIT);
    s.memory_available_bytes = 150LL * MIB;
    assert_int_equal(judge(&INFERRED, s, 100).why, INV_HOLD_FLOOR);
    s.memory_idle_bytes = 200LL * MIB;
    assert_int_equal(judge(&INFERRED, s, 100).verdict, INV_EVICT);
    assert_int_equal(judge(&INFERRED, s, 100).evict_bytes, 50 * MIB);
}

static void under_memory_pressure_idle_ones_go_first(void **state)
{
    struct inv_admission_state s = busy(300, 0);

    (void)state;
    s.memory_stall = 1000;
    assert_int_equal(judge(&INFERRED, s, 100).verdict, INV_ADMIT);
    s.memory_stall = 1001;
    assert_int_equal(judge(&INFERRED, s, 100).why, INV_HOLD_MEMORY_STALL);
    s.memory_idle_bytes = 100LL * MIB;
    assert_int_equal(judge(&INFERRED, s, 100).verdict, INV_EVICT);
    assert_int_equal(judge(&INFERRED, s, 100).evict_bytes, 100 * MIB);
}

static void under_processor_pressure_nothing_is_started(void **state)
{
    struct inv_admission_state s = busy(300, 200);

    (void)state;
    s.cpu_stall = 5001;
    assert_int_equal(judge(&INFERRED, s, 100).verdict, INV_HOLD);
    assert_int_equal(judge(&INFERRED, s, 100).why, INV_HOLD_CPU_STALL);
}

static void cold_starts_at_once_have_a_cap(void **state)
{
    struct inv_admission_state s = busy(300, 0);

    (void)state;
    s.starting = 3;
    assert_int_equal(judge(&INFERRED, s, 100).verdict, INV_ADMIT);
    s.starting = 4;
    assert_int_equal(judge(&INFERRED, s, 100).why, INV_HOLD_COLD_STARTS);
}

static void a_quiet_host_always_takes_one(void **state)
{
    struct inv_admission_state s = busy(1024, 1024);

    (void)state;
    s.running = 0;
    s.memory_stall = s.cpu_stall = 10000;
    s.memory_available_bytes = 0;
    for (uint64_t mb = 1; mb <= 1024; mb += 31)
        assert_int_not_equal(judge(&INFERRED, s, mb).verdict, INV_HOLD);
}

static void what_can_never_fit_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(judge(&INFERRED, busy(0, 0), 1025).why, INV_HOLD_TOO_LARGE);
    assert_int_equal(judge(&DECLARED, busy(0, 0), 1025).why, INV_HOLD_TOO_LARGE);
}

static void impossible_figures_hold(void **state)
{
    static const int64_t TOTALS[] = {0, -1, INT64_MIN, INT64_MAX};
    struct inv_admission_state s = busy(100, 101);

    (void)state;
    assert_int_equal(judge(&INFERRED, s, 1).why, INV_HOLD_BAD_STATE);
    s = busy(INT32_MAX, 0);
    s.memory_reserved_bytes = INT64_MAX;
    assert_int_equal(judge(&DECLARED, s, 1).why, INV_HOLD_BAD_STATE);
    s = busy(0, 0);
    s.memory_idle_bytes = -1;
    assert_int_equal(judge(&DECLARED, s, 1).why, INV_HOLD_BAD_STATE);
    for (size_t i = 0; i < CW_ARRAY_LEN(TOTALS); i++) {
        s = busy(0, 0);
        s.memory_total_bytes = TOTALS[i];
        assert_int_equal(judge(&INFERRED, s, 1).why, INV_HOLD_BAD_STATE);
    }
}

/* An eviction that is asked for is possible, enough, and asked for only once. */
static void after_the_eviction_it_is_admitted(void **state)
{
    (void)state;
    for (int64_t reserved = 0; reserved <= 1200; reserved += 40) {
        for (int64_t idle = 0; idle <= reserved; idle += 40) {
            struct inv_admission_state s = busy(reserved, idle);
            struct inv_admission a;

            s.memory_available_bytes = (1024 - reserved / 2) * MIB;
            a = judge(&INFERRED, s, 300);
            if (a.verdict != INV_EVICT)
                continue;
            assert_in_range(a.evict_bytes, 1, s.memory_idle_bytes);
            s.memory_reserved_bytes -= a.evict_bytes;
            s.memory_idle_bytes -= a.evict_bytes;
            s.memory_available_bytes += a.evict_bytes;
            assert_int_equal(judge(&INFERRED, s, 300).verdict, INV_ADMIT);
        }
    }
}

static int64_t draw(uint64_t *seed, int64_t below)
{
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return (int64_t)((*seed >> 33) % (uint64_t)below);
}

/* So nobody starves: what waits is first in its row, those behind it wait with it, so what runs
 * comes to its end; and then it is admitted, whatever the gauges say and however large it is. */
static void whoever_waits_is_admitted_once_what_runs_has_ended(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        const struct inv_admission_conf *conf = i % 2 ? &INFERRED : &DECLARED;
        struct inv_admission_state s = busy(draw(&seed, 2048), 0);
        uint64_t wanted = 1 + (uint64_t)draw(&seed, 1024);
        struct inv_admission a;

        s.memory_available_bytes = draw(&seed, 2048) * MIB - MIB;
        s.memory_stall = (uint32_t)draw(&seed, 10001);
        s.cpu_stall = (uint32_t)draw(&seed, 10001);
        s.starting = (uint32_t)draw(&seed, 8);
        a = judge(conf, s, wanted);
        assert_int_not_equal(a.why, INV_HOLD_TOO_LARGE);
        s.running = s.starting = 0; /* all have ended: what is left rests */
        s.memory_idle_bytes = s.memory_reserved_bytes;
        a = judge(conf, s, wanted);
        if (a.verdict == INV_EVICT) {
            assert_in_range(a.evict_bytes, 1, s.memory_idle_bytes);
            s.memory_idle_bytes -= a.evict_bytes;
            s.memory_reserved_bytes -= a.evict_bytes;
            a = judge(conf, s, wanted);
        }
        assert_int_equal(a.verdict, INV_ADMIT);
    }
}

static void reasons_have_names(void **state)
{
    (void)state;
    for (int i = INV_HOLD_NOTHING; i <= INV_HOLD_BAD_STATE; i++)
        assert_string_not_equal(inv_hold_reason_name((enum inv_hold_reason)i), "unknown");
    assert_string_equal(inv_hold_reason_name((enum inv_hold_reason)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declared_memory_never_exceeds_user_memory),
        cmocka_unit_test(declared_evicts_exactly_what_is_missing),
        cmocka_unit_test(declared_asks_no_gauge),
        cmocka_unit_test(inferred_counts_needs),
        cmocka_unit_test(free_memory_stays_above_the_floor),
        cmocka_unit_test(under_memory_pressure_idle_ones_go_first),
        cmocka_unit_test(under_processor_pressure_nothing_is_started),
        cmocka_unit_test(cold_starts_at_once_have_a_cap),
        cmocka_unit_test(a_quiet_host_always_takes_one),
        cmocka_unit_test(what_can_never_fit_is_told_apart),
        cmocka_unit_test(impossible_figures_hold),
        cmocka_unit_test(after_the_eviction_it_is_admitted),
        cmocka_unit_test(whoever_waits_is_admitted_once_what_runs_has_ended),
        cmocka_unit_test(reasons_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
