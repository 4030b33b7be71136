/* Random hosts, many of them impossible: what always holds. */
#include "tests/support/cmocka_all.h"

#include <math.h>
#include <stdbool.h>

#include "common/base/mem.h"
#include "invoker/placement/policy.h"

enum { ROUNDS = 20000, MOST = 24 };

static const int64_t MIB = 1024 * 1024;

struct draw {
    uint64_t state;
};

static uint64_t draw(struct draw *d, uint64_t below)
{
    d->state = d->state * 6364136223846793005U + 1442695040888963407U;
    return (d->state >> 33) % below;
}

static int64_t odd_number(struct draw *d)
{
    static const int64_t ODD[] = {0, -1, INT64_MIN, INT64_MAX, 1, INT64_C(1) << 57};

    return ODD[draw(d, CW_ARRAY_LEN(ODD))];
}

static struct inv_host_view plausible(struct draw *d, uint64_t id)
{
    int64_t total = (int64_t)(1 + draw(d, 64)) * 256 * MIB;
    int64_t reserved = (int64_t)draw(d, (uint64_t)total + (uint64_t)total / 4);

    return (struct inv_host_view){
        .id = id,
        .cpu_total_millis = (int64_t)(1 + draw(d, 64)) * 500,
        .cpu_used_millis = (int64_t)draw(d, 20000),
        .cpu_reserved_millis = (int64_t)draw(d, 40000),
        .memory_total_bytes = total,
        .memory_used_bytes = reserved,
        .memory_reserved_bytes = reserved,
        .memory_idle_bytes = (int64_t)draw(d, (uint64_t)reserved + 1),
        .mean_run_us = (int64_t)draw(d, 1000000),
        .cpu_guaranteed = (double)draw(d, 100) / 100,
        .running = (uint32_t)draw(d, 30),
        .starting = (uint32_t)draw(d, 4),
        .idle = (uint32_t)draw(d, 40),
        .warm = (uint32_t)draw(d, 3),
        .busy = (uint32_t)draw(d, 3),
        .waiting = (uint32_t)draw(d, 3),
        .queued = (uint32_t)draw(d, 5),
        .forwards = {1, (uint32_t)draw(d, 2), (int64_t)draw(d, 4000), (int64_t)draw(d, 512) * MIB},
        .set = (enum inv_host_set)draw(d, 3),
    };
}

static void spoil(struct draw *d, struct inv_host_view *h)
{
    switch (draw(d, 16)) {
    case 0:
        h->dead = true;
        break;
    case 1:
        h->draining = true;
        break;
    case 2:
        h->cpu_total_millis = odd_number(d);
        break;
    case 3:
        h->memory_total_bytes = odd_number(d);
        break;
    case 4:
        h->memory_reserved_bytes = odd_number(d);
        break;
    case 5:
        h->memory_idle_bytes = odd_number(d);
        break;
    case 6:
        h->cpu_guaranteed = (double)odd_number(d);
        break;
    case 7:
        h->cpu_guaranteed = NAN;
        break;
    case 8:
        h->cpu_used_millis = odd_number(d);
        h->mean_run_us = odd_number(d);
        break;
    case 9:
        h->lag = UINT64_MAX;
        h->queued = UINT32_MAX;
        h->starting = UINT32_MAX;
        h->warm = UINT32_MAX;
        break;
    default:
        break;
    }
}

static size_t random_hosts(struct draw *d, struct inv_host_view hosts[MOST])
{
    size_t n = draw(d, MOST + 1);

    for (size_t i = 0; i < n; i++) {
        hosts[i] = plausible(d, i);
        spoil(d, &hosts[i]);
    }
    if (n > 0)
        hosts[draw(d, n)].self = true;
    return n;
}

static struct inv_ask random_ask(struct draw *d)
{
    struct inv_ask a = {
        .cpu_millis = (uint32_t)draw(d, 2000),
        .memory_bytes = draw(d, 4096) * (uint64_t)MIB,
        .action_key = draw(d, 1000),
        .home_hash = (uint32_t)draw(d, UINT32_MAX),
        .blackbox = draw(d, 4) == 0,
        .cpu_guarantee = draw(d, 4) == 0 ? (double)draw(d, 120) / 100 : 0,
        .cold_start_us = (int64_t)draw(d, 2000000),
        .run_us = (int64_t)draw(d, 10000000),
        .may_wait = draw(d, 4) == 0,
        .seed = draw(d, 1000000),
    };

    if (draw(d, 50) == 0)
        a.cold_start_us = a.run_us = odd_number(d);
    if (draw(d, 50) == 0)
        a.cpu_millis = UINT32_MAX;
    return a;
}

static void excluded_hosts_are_never_chosen(void **state)
{
    struct draw d = {1};
    struct inv_host_view hosts[MOST];
    size_t placed = 0;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = random_hosts(&d, hosts), counted = 0;
        struct inv_ask a = random_ask(&d);
        enum inv_policy policy = (enum inv_policy)draw(&d, INV_POLICIES);
        struct inv_placement p;

        inv_policy_place(policy, hosts, n, &a, &p);
        assert_in_range(p.host + 1, 0, n);
        assert_int_equal(p.host >= 0, p.why == INV_PLACED);
        for (size_t i = 0; i < INV_UNUSABLE_REASONS; i++)
            counted += p.unusable[i];
        assert_int_equal(counted, p.why == INV_WAIT_BAD_ASK ? 0 : n);
        if (p.host < 0)
            continue;
        placed++;
        assert_int_equal(inv_host_usable(&hosts[p.host], a.blackbox), INV_USABLE);
        assert_true(hosts[p.host].cpu_guaranteed + a.cpu_guarantee <= 1);
        assert_true(policy == INV_POLICY_HASH || p.warm ||
                    inv_host_memory_room(&hosts[p.host]) >= (int64_t)a.memory_bytes);
    }
    assert_in_range(placed, ROUNDS / 4, ROUNDS); /* the test would say nothing otherwise */
}

static void equal_input_gives_equal_output(void **state)
{
    struct draw d = {2};
    struct inv_host_view hosts[MOST], copy[MOST];

    (void)state;
    for (int round = 0; round < ROUNDS / 4; round++) {
        size_t n = random_hosts(&d, hosts);
        struct inv_ask a = random_ask(&d);
        enum inv_policy policy = (enum inv_policy)draw(&d, INV_POLICIES);
        struct inv_placement p, again;

        memcpy(copy, hosts, sizeof(copy));
        inv_policy_place(policy, hosts, n, &a, &p);
        inv_policy_place(policy, copy, n, &a, &again);
        assert_memory_equal(&p, &again, sizeof(p));
    }
}

/* Who looks does not matter: the order of the hosts in the list is no part of the decision. */
static void hybrid_does_not_care_for_the_order(void **state)
{
    struct draw d = {3};
    struct inv_host_view hosts[MOST], turned[MOST];

    (void)state;
    for (int round = 0; round < ROUNDS / 4; round++) {
        size_t n = random_hosts(&d, hosts);
        struct inv_ask a = random_ask(&d);
        struct inv_placement p, q;

        for (size_t i = 0; i < n; i++)
            turned[i] = hosts[n - 1 - i];
        inv_policy_place(INV_POLICY_HYBRID, hosts, n, &a, &p);
        inv_policy_place(INV_POLICY_HYBRID, turned, n, &a, &q);
        assert_int_equal(p.host < 0, q.host < 0);
        if (p.host >= 0)
            assert_int_equal(hosts[p.host].id, turned[q.host].id);
    }
}

/* The choice does not change when a host goes that was neither chosen nor faster. */
static void others_that_go_do_not_move_the_choice(void **state)
{
    static const enum inv_policy POLICIES[] = {INV_POLICY_TABLE2, INV_POLICY_HYBRID};
    struct draw d = {4};
    struct inv_host_view hosts[MOST];
    size_t compared = 0;

    (void)state;
    for (int round = 0; round < ROUNDS / 2; round++) {
        size_t n = random_hosts(&d, hosts), other;
        struct inv_ask a = random_ask(&d);
        enum inv_policy policy = POLICIES[draw(&d, 2)];
        struct inv_placement p, alone, without;

        inv_policy_place(policy, hosts, n, &a, &p);
        other = draw(&d, n + 1);
        if (p.host < 0 || other == n || other == (size_t)p.host)
            continue;
        inv_policy_place(policy, &hosts[other], 1, &a, &alone);
        if (alone.host == 0 && policy == INV_POLICY_HYBRID && alone.delay_us <= p.delay_us)
            continue;
        hosts[other].dead = true;
        inv_policy_place(policy, hosts, n, &a, &without);
        assert_int_equal(p.host, without.host);
        compared++;
    }
    assert_in_range(compared, ROUNDS / 8, ROUNDS);
}

/* More load on a host never makes it look faster. */
static void expected_delay_rises_with_load(void **state)
{
    struct draw d = {5};

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct inv_host_view h = plausible(&d, 1);
        struct inv_ask a = random_ask(&d);
        int64_t last = 0;

        h.set = INV_SET_ANY;
        h.cpu_used_millis = 0;
        h.memory_reserved_bytes = h.memory_idle_bytes = 0;
        h.forwards = (struct inv_forwards){0};
        a.cpu_guarantee = 0;
        a.memory_bytes = 1;
        for (int64_t load = 0; load < 3 * h.cpu_total_millis; load += 1 + h.cpu_total_millis / 50) {
            struct inv_placement p;

            h.cpu_reserved_millis = load;
            inv_policy_place(INV_POLICY_HYBRID, &h, 1, &a, &p);
            assert_int_equal(p.host, 0);
            assert_true(p.delay_us >= last);
            last = p.delay_us;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(excluded_hosts_are_never_chosen),
        cmocka_unit_test(equal_input_gives_equal_output),
        cmocka_unit_test(hybrid_does_not_care_for_the_order),
        cmocka_unit_test(others_that_go_do_not_move_the_choice),
        cmocka_unit_test(expected_delay_rises_with_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
