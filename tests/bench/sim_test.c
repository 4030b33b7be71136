/* The placement simulator: what it must not get wrong if anybody is to believe it. */
#include "tests/support/cmocka_all.h"

#include <math.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "tests/bench/sim_host.h"
#include "tests/bench/sim_world.h"

static const int64_t MIB = 1024 * 1024;

static struct sim_conf cluster(enum inv_policy policy, enum inv_need_model charge)
{
    return (struct sim_conf){.hosts = 2,
                             .cores = 2,
                             .memory_mib = 2048,
                             .policy = policy,
                             .charge = charge,
                             .keep_alive_us = 600000000,
                             .publish_us = 1000000,
                             .hop_us = 2000,
                             .overcommit = 2,
                             .floor = 0.05,
                             .seed = 1,
                             .wait = true};
}

static void read_rows(struct sim_trace *t, const char *rows)
{
    char text[4096];
    struct cw_err err = {0};

    assert_in_range(snprintf(text, sizeof(text), SIM_TRACE_HEADER "\n%s", rows), 1,
                    sizeof(text) - 1);
    if (sim_trace_read(t, cw_slice_of(text), &err) != 0)
        fail_msg("%s", err.msg);
}

static char *sample(void)
{
    FILE *file = fopen(CW_TEST_DATA "/placement/sample.csv", "re");
    char *text = NULL;
    size_t cap = 0;

    assert_non_null(file);
    assert_true(getdelim(&text, &cap, '\0', file) > 0);
    (void)fclose(file);
    return text;
}

static void what_is_wrong_in_a_trace_is_named(void **state)
{
    static const struct {
        const char *text, *said;
    } BAD[] = {
        {"", "line 1: expected at_us"},
        {"at_us,function\n", "line 1: expected at_us"},
        {SIM_TRACE_HEADER "\n", "no activations"},
        {SIM_TRACE_HEADER "\n0,1,0,256,4,2,3\n", "line 2: memory_mib"},
        {SIM_TRACE_HEADER "\n0,1,0,256,4,2,3,6,7\n", "line 2: more than 8 columns"},
        {SIM_TRACE_HEADER "\n0,1,0,256,4,0,3,6\n", "line 2: run_us"},
        {SIM_TRACE_HEADER "\n0,1,16,256,4,2,3,6\n", "line 2: kind"},
        {SIM_TRACE_HEADER "\n5,1,0,256,4,2,3,6\n\n4,1,0,256,4,2,3,6\n", "line 4: at_us: earlier"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct sim_trace t;
        struct cw_err err = {0};

        assert_int_equal(sim_trace_read(&t, cw_slice_of(BAD[i].text), &err), -1);
        assert_int_equal(strncmp(err.msg, BAD[i].said, strlen(BAD[i].said)), 0);
        sim_trace_done(&t);
    }
}

static void the_processor_is_shared(void **state)
{
    struct sim_host h;
    struct sim_container *a, *b;

    (void)state;
    sim_host_init(&h, 1000, 1024 * MIB, 1);
    a = sim_host_create(&h, 0, MIB);
    b = sim_host_create(&h, 0, MIB);
    sim_host_work(&h, a, SIM_RUNNING, 1000, 1000);
    assert_true(fabs(sim_host_next_us(&h) - 1000) < 1e-6);
    sim_host_advance(&h, 500); /* half of it is done; then it gets half the core */
    sim_host_work(&h, b, SIM_RUNNING, 1000, 1000);
    assert_true(fabs(sim_host_next_us(&h) - 1500) < 1e-6);
    sim_host_advance(&h, 1500);
    assert_ptr_equal(sim_host_ended(&h), a);
    assert_null(sim_host_ended(&h));
    assert_true(fabs(sim_host_next_us(&h) - 2000) < 1e-6); /* alone again */
    sim_host_advance(&h, 2000);
    assert_ptr_equal(sim_host_ended(&h), b);
    assert_true(fabs(h.used_us - 2000.0 * 1000) < 1);
    sim_host_done(&h);
}

static void the_largest_is_killed_first(void **state)
{
    struct sim_host h;
    struct sim_container *a, *b;

    (void)state;
    sim_host_init(&h, 1000, 100 * MIB, 2);
    a = sim_host_create(&h, 0, MIB);
    b = sim_host_create(&h, 1, MIB);
    sim_host_work(&h, a, SIM_RUNNING, 1000, 500);
    sim_host_work(&h, b, SIM_RUNNING, 1000, 500);
    sim_host_grow(&h, a, 30 * MIB);
    sim_host_grow(&h, b, 80 * MIB);
    assert_ptr_equal(sim_host_kill_largest(&h), b);
    assert_true(h.live == 30 * MIB && h.demand_millis == 500 && h.charged == MIB);
    sim_host_advance(&h, 1000);
    assert_ptr_equal(sim_host_ended(&h), a);
    sim_host_rest(&h, a);
    assert_null(sim_host_kill_largest(&h)); /* idle: freed */
    assert_int_equal(h.live, 0);
    sim_host_done(&h);
}

/* 100 ms of run after 400 ms of start; then a second one finds it warm. */
static void one_cold_one_warm(void **state)
{
    struct sim_conf conf = cluster(INV_POLICY_HYBRID, INV_NEED_BLEND);
    struct sim_trace t;
    struct sim_outcome o;

    (void)state;
    read_rows(&t, "0,1,0,256,400000,100000,500,60\n900000,1,0,256,400000,100000,500,60\n");
    sim_replay(&conf, &t, &o);
    assert_int_equal(o.activations, 2);
    assert_int_equal(o.cold, 1);
    assert_true(fabs(o.slowdowns[0] - 1) < 1e-3 && fabs(o.slowdowns[1] - 5) < 1e-3);
    sim_outcome_done(&o);
    sim_trace_done(&t);
}

/* The second arrives while the first runs: 10 ms of waiting, or 400 ms of another cold start. */
static void hybrid_waits_for_a_busy_container(void **state)
{
    struct sim_conf conf = cluster(INV_POLICY_HYBRID, INV_NEED_BLEND);
    struct sim_trace t;
    struct sim_outcome o;

    (void)state;
    read_rows(&t, "0,1,0,256,400000,10000,500,60\n900000,1,0,256,400000,10000,500,60\n"
                  "901000,1,0,256,400000,10000,500,60\n");
    sim_replay(&conf, &t, &o);
    assert_int_equal(o.cold, 1);
    sim_outcome_done(&o);
    conf.policy = INV_POLICY_HASH;
    sim_replay(&conf, &t, &o);
    assert_int_equal(o.cold, 2);
    sim_outcome_done(&o);
    sim_trace_done(&t);
}

/* Declared memory leaves room for one container, what is used for many. */
static void inferred_charges_make_room(void **state)
{
    struct sim_trace t;
    struct sim_outcome declared, blend;
    struct sim_conf conf = cluster(INV_POLICY_HYBRID, INV_NEED_DECLARED);
    char rows[4096] = "";
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(rows + n, sizeof(rows) - n, "%d,%d,0,2048,400000,100000,100,50\n",
                              i * 1000000, i % 6);
    read_rows(&t, rows);
    sim_replay(&conf, &t, &declared);
    conf.charge = INV_NEED_BLEND;
    sim_replay(&conf, &t, &blend);
    assert_int_equal(declared.activations, 60);
    assert_int_equal(blend.activations, 60);
    assert_true(declared.cold > 30);
    assert_true(blend.cold < 15);
    sim_outcome_done(&declared);
    sim_outcome_done(&blend);
    sim_trace_done(&t);
}

static void nothing_gets_lost_and_equal_runs_are_equal(void **state)
{
    cw_auto_free char *text = sample();
    struct sim_trace t;
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(sim_trace_read(&t, cw_slice_of(text), &err), 0);
    for (int policy = 0; policy < INV_POLICIES; policy++) {
        for (int charge = 0; charge < INV_NEED_MODELS; charge++) {
            struct sim_conf conf = cluster((enum inv_policy)policy, (enum inv_need_model)charge);
            struct sim_outcome o, again;

            sim_replay(&conf, &t, &o);
            sim_replay(&conf, &t, &again);
            assert_int_equal(o.activations + o.lost + o.unfinished, t.n);
            assert_int_equal(o.unfinished, 0);
            assert_int_equal(o.lost, 0);
            assert_true(o.cold >= t.function_n && o.cold <= t.n);
            assert_true(o.slowdowns[0] >= 1);
            assert_int_equal(o.cold, again.cold);
            assert_memory_equal(o.slowdowns, again.slowdowns, o.activations * sizeof(double));
            sim_outcome_done(&o);
            sim_outcome_done(&again);
        }
    }
    sim_trace_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_in_a_trace_is_named),
        cmocka_unit_test(the_processor_is_shared),
        cmocka_unit_test(the_largest_is_killed_first),
        cmocka_unit_test(one_cold_one_warm),
        cmocka_unit_test(hybrid_waits_for_a_busy_container),
        cmocka_unit_test(inferred_charges_make_room),
        cmocka_unit_test(nothing_gets_lost_and_equal_runs_are_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
