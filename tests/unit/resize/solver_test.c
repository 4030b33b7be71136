#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "invoker/resize/solver.h"

static const struct inv_cpu_rule V1 = {
    .min = 2, .max = 262144, .budget = 10240, .reserved_ppm = 100000};
static const struct inv_cpu_rule V2 = {
    .min = 1, .max = 10000, .budget = 1000, .reserved_ppm = 100000};

static struct inv_cpu_part guaranteed(uint32_t ppm)
{
    return (struct inv_cpu_part){.guarantee_ppm = ppm};
}

static struct inv_cpu_part plain(int64_t own)
{
    return (struct inv_cpu_part){.own = own};
}

static void without_guarantees_everybody_has_its_own_weight(void **state)
{
    struct inv_cpu_part parts[] = {plain(256), plain(128), plain(2), plain(0)};

    (void)state;
    assert_int_equal(inv_cpu_solve(&V1, parts, 4), INV_CPU_FITS);
    assert_int_equal(parts[0].weight, 256);
    assert_int_equal(parts[1].weight, 128);
    assert_int_equal(parts[2].weight, 2);
    assert_int_equal(parts[3].weight, 2); /* the smallest that the kernel has */
}

static void guaranteed_have_their_part_and_others_share_the_rest_by_weight(void **state)
{
    struct inv_cpu_part parts[] = {guaranteed(500000), plain(256), plain(256), plain(512)};

    (void)state;
    assert_int_equal(inv_cpu_solve(&V1, parts, 4), INV_CPU_FITS);
    assert_int_equal(parts[0].weight, 5120);
    assert_int_equal(parts[1].weight, 1120);
    assert_int_equal(parts[2].weight, 1120);
    assert_int_equal(parts[3].weight, 2240);
}

/* The paper's experiment: c1 keeps its half when c4 comes. */
static void guaranteed_weight_does_not_move_when_others_come_and_go(void **state)
{
    struct inv_cpu_part parts[8] = {guaranteed(500000)};

    (void)state;
    for (size_t n = 1; n <= 8; n++) {
        for (size_t i = 1; i < n; i++)
            parts[i] = plain(1024);
        assert_int_equal(inv_cpu_solve(&V1, parts, n), INV_CPU_FITS);
        assert_int_equal(parts[0].weight, 5120);
    }
}

static void rounding_is_never_at_the_cost_of_a_guarantee(void **state)
{
    struct inv_cpu_part parts[] = {guaranteed(333333), guaranteed(1), plain(100), plain(100),
                                   plain(100)};

    (void)state;
    assert_int_equal(inv_cpu_solve(&V2, parts, 5), INV_CPU_FITS);
    assert_int_equal(parts[0].weight, 334);
    assert_int_equal(parts[1].weight, 1);
    assert_int_equal(parts[2].weight, 194);
}

static void smallest_weights_come_out_of_the_larger_ones(void **state)
{
    struct inv_cpu_rule rule = {.min = 2, .max = 262144, .budget = 100, .reserved_ppm = 100000};
    struct inv_cpu_part parts[] = {guaranteed(900000), plain(1000000), plain(2), plain(2)};

    (void)state;
    assert_int_equal(inv_cpu_solve(&rule, parts, 4), INV_CPU_FITS);
    assert_int_equal(parts[0].weight, 90);
    assert_int_equal(parts[1].weight, 5);
    assert_int_equal(parts[2].weight, 2);
    assert_int_equal(parts[3].weight, 2);
}

static void what_does_not_fit_is_told_and_changes_nothing(void **state)
{
    struct inv_cpu_part sum[] = {guaranteed(500000), guaranteed(400001), plain(100)};
    struct inv_cpu_part alone[] = {guaranteed(900001)};
    struct inv_cpu_rule small = {.min = 2, .max = 262144, .budget = 100, .reserved_ppm = 100000};
    struct inv_cpu_part crowd[7] = {guaranteed(900000)};

    (void)state;
    sum[2].weight = 77;
    assert_int_equal(inv_cpu_solve(&V1, sum, 3), INV_CPU_FULL);
    assert_int_equal(sum[2].weight, 77);
    sum[1].guarantee_ppm = 400000;
    assert_int_equal(inv_cpu_solve(&V1, sum, 3), INV_CPU_FITS);
    assert_int_equal(inv_cpu_solve(&V1, alone, 1), INV_CPU_NEVER);
    for (size_t i = 1; i < 7; i++)
        crowd[i] = plain(100);
    assert_int_equal(inv_cpu_solve(&small, crowd, 5), INV_CPU_FITS);
    assert_int_equal(inv_cpu_solve(&small, crowd, 6), INV_CPU_CROWDED);
}

static void what_shrinks_is_written_before_what_grows(void **state)
{
    int64_t now[] = {100, 200, 0, 300}, wanted[] = {150, 100, 500, 299};

    (void)state;
    assert_int_equal(inv_cpu_next(now, wanted, 4), 1);
    now[1] = 100;
    assert_int_equal(inv_cpu_next(now, wanted, 4), 3);
    now[3] = 299;
    assert_int_equal(inv_cpu_next(now, wanted, 4), 0);
    now[0] = 150;
    assert_int_equal(inv_cpu_next(now, wanted, 4), 2);
    now[2] = 500;
    assert_int_equal(inv_cpu_next(now, wanted, 4), 4);
    assert_int_equal(inv_cpu_next(NULL, NULL, 0), 0);
}

/* ---- any order of arrivals and departures ---- */

enum { MOST = 40, STEPS = 3000 };

struct host {
    const struct inv_cpu_rule *rule;
    struct inv_cpu_part parts[MOST];
    int64_t now[MOST], wanted[MOST];
    size_t count;
    uint32_t random;
};

static uint32_t next_random(struct host *h)
{
    h->random = h->random * 1664525 + 1013904223;
    return h->random >> 8;
}

static bool has_guarantee(const struct host *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->parts[i].guarantee_ppm && h->now[i])
            return true;
    return false;
}

/* With what is written at this moment. */
static void assert_guarantees_hold(const struct host *h)
{
    int64_t sum = 0;

    for (size_t i = 0; i < h->count; i++)
        sum += h->now[i];
    if (has_guarantee(h))
        assert_true(sum <= h->rule->budget);
    for (size_t i = 0; i < h->count; i++)
        if (h->now[i])
            assert_true(h->now[i] * INV_CPU_WHOLE_PPM >= sum * h->parts[i].guarantee_ppm);
}

static void write_all(struct host *h)
{
    size_t i;

    for (size_t k = 0; k < h->count; k++)
        h->wanted[k] = h->parts[k].weight;
    while ((i = inv_cpu_next(h->now, h->wanted, h->count)) < h->count) {
        h->now[i] = h->wanted[i];
        assert_guarantees_hold(h);
    }
}

static void arrive(struct host *h)
{
    struct inv_cpu_part *p = &h->parts[h->count];
    bool wants = next_random(h) % 3 == 0;

    *p = wants ? guaranteed(1 + next_random(h) % 400000)
               : plain(h->rule->min + next_random(h) % (h->rule->max / 20));
    h->now[h->count] = 0;
    if (inv_cpu_solve(h->rule, h->parts, h->count + 1) != INV_CPU_FITS)
        return;
    h->count++;
    write_all(h);
}

static void depart(struct host *h)
{
    size_t i = next_random(h) % h->count;

    h->count--;
    h->parts[i] = h->parts[h->count];
    h->now[i] = h->now[h->count];
    assert_int_equal(inv_cpu_solve(h->rule, h->parts, h->count), INV_CPU_FITS);
    write_all(h);
}

static void live(const struct inv_cpu_rule *rule, uint32_t seed)
{
    struct host *h = cw_alloc(sizeof(*h));

    h->rule = rule;
    h->random = seed;
    for (int step = 0; step < STEPS; step++) {
        if (h->count < MOST && (h->count == 0 || next_random(h) % 5 < 3))
            arrive(h);
        else
            depart(h);
    }
    free(h);
}

static void guarantees_hold_at_every_moment_in_any_order_of_events(void **state)
{
    struct inv_cpu_rule large = V1;

    (void)state;
    large.budget = large.max;
    for (uint32_t seed = 1; seed <= 10; seed++) {
        live(&V1, seed);
        live(&V2, seed);
        live(&large, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_guarantees_everybody_has_its_own_weight),
        cmocka_unit_test(guaranteed_have_their_part_and_others_share_the_rest_by_weight),
        cmocka_unit_test(guaranteed_weight_does_not_move_when_others_come_and_go),
        cmocka_unit_test(rounding_is_never_at_the_cost_of_a_guarantee),
        cmocka_unit_test(smallest_weights_come_out_of_the_larger_ones),
        cmocka_unit_test(what_does_not_fit_is_told_and_changes_nothing),
        cmocka_unit_test(what_shrinks_is_written_before_what_grows),
        cmocka_unit_test(guarantees_hold_at_every_moment_in_any_order_of_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
