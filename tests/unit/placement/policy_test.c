/* Which host: S0 Table 2, OpenWhisk's home and steps, and the least expected delay. */
#include "tests/support/cmocka_all.h"

#include <math.h>

#include "common/base/mem.h"
#include "invoker/placement/policy.h"

static const int64_t GIB = 1024 * 1024 * 1024;
static const uint64_t MIB = 1024 * 1024;

static struct inv_host_view host(uint64_t id, int64_t cpu_used, int64_t memory_used)
{
    return (struct inv_host_view){.id = id,
                                  .cpu_total_millis = 4000,
                                  .cpu_used_millis = cpu_used,
                                  .cpu_reserved_millis = cpu_used,
                                  .memory_total_bytes = 8 * GIB,
                                  .memory_used_bytes = memory_used,
                                  .memory_reserved_bytes = memory_used};
}

static struct inv_ask ask(uint32_t cpu_millis, uint64_t mib)
{
    return (struct inv_ask){
        .cpu_millis = cpu_millis, .memory_bytes = mib * MIB, .action_key = 7, .home_hash = 11};
}

static struct inv_placement place(enum inv_policy policy, const struct inv_host_view *hosts,
                                  size_t n, const struct inv_ask *a)
{
    struct inv_placement p;

    inv_policy_place(policy, hosts, n, a, &p);
    return p;
}

static void table2_takes_the_host_that_is_least_used_afterwards(void **state)
{
    /* larger of CPU and memory after 1000 millicores and 1 GiB:
     * 0.75 (CPU), 0.625 (memory), 0.5 (CPU), 1.0 (memory) */
    struct inv_host_view hosts[] = {host(0, 2000, GIB), host(1, 1000, 4 * GIB),
                                    host(2, 1000, 2 * GIB), host(3, 0, 7 * GIB)};
    struct inv_ask a = ask(1000, 1024);

    (void)state;
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 4, &a).host, 2);
}

static void table2_passes_over_hosts_where_it_is_not_allocatable(void **state)
{
    struct inv_host_view hosts[] = {host(0, 3500, 0), host(1, 0, 7 * GIB + GIB / 2),
                                    host(2, 2900, 6 * GIB)};
    struct inv_ask a = ask(1000, 1024);

    (void)state;
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 3, &a).host, 2);
    hosts[2].cpu_used_millis = 3001;
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 3, &a).host, -1);
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 3, &a).why, INV_WAIT_CPU);
}

static void table2_keeps_the_least_used_when_others_end_level(void **state)
{
    struct inv_host_view hosts[] = {host(0, 1000, 4 * GIB), host(1, 0, 4 * GIB)};
    struct inv_ask a = ask(1000, 1024); /* memory: 0.625 on both; now 0.5 on both, by memory */

    (void)state;
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 2, &a).host, 0);
    hosts[0].memory_reserved_bytes = hosts[1].memory_reserved_bytes = 0;
    hosts[0].cpu_reserved_millis = hosts[0].cpu_used_millis = 500;
    hosts[1].cpu_reserved_millis = hosts[1].cpu_used_millis = 400;
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 2, &a).host, 1);
}

static void idle_containers_give_way(void **state)
{
    static const enum inv_policy POLICIES[] = {INV_POLICY_HASH, INV_POLICY_TABLE2,
                                               INV_POLICY_HYBRID};
    struct inv_host_view h = host(0, 0, 8 * GIB);
    struct inv_ask a = ask(100, 256);

    (void)state;
    h.memory_idle_bytes = GIB;
    h.idle = 4;
    for (size_t i = 0; i < CW_ARRAY_LEN(POLICIES); i++)
        assert_int_equal(place(POLICIES[i], &h, 1, &a).host, 0);
}

static void own_forwards_count_until_the_next_update(void **state)
{
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 100, 0)};
    struct inv_ask a = ask(1000, 256);

    (void)state;
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 2, &a).host, 0);
    hosts[0].forwards = (struct inv_forwards){1, 0, 1000, 256 * (int64_t)MIB};
    assert_int_equal(place(INV_POLICY_TABLE2, hosts, 2, &a).host, 1);
    hosts[0].forwards.cpu_millis = 40000;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 1);
}

static void javas_hash_decides_the_home(void **state)
{
    (void)state;
    /* "guest".hashCode() = 98708952, "guest/hello".hashCode() = 86723035 */
    assert_int_equal(inv_home_hash(CW_SLICE("guest"), CW_SLICE("")), 98708952);
    assert_int_equal(inv_home_hash(CW_SLICE(""), CW_SLICE("guest/hello")), 86723035);
    assert_int_equal(inv_home_hash(CW_SLICE("polygenelubricants"), CW_SLICE("")), 2147483648U);
}

static void steps_are_pairwise_coprime(void **state)
{
    static const uint32_t OF_10[] = {1, 3, 7}, OF_9[] = {1, 2, 5, 7};

    (void)state;
    for (uint32_t hash = 0; hash < 12; hash++) {
        assert_int_equal(inv_home_step(hash, 10), OF_10[hash % 3]);
        assert_int_equal(inv_home_step(hash, 9), OF_9[hash % 4]);
        assert_int_equal(inv_home_step(hash, 1), 1);
        assert_int_equal(inv_home_step(hash, 0), 1);
    }
}

static void hash_goes_home_then_steps(void **state)
{
    struct inv_host_view hosts[10];
    struct inv_ask a = ask(100, 256);

    (void)state;
    for (uint64_t i = 0; i < 10; i++)
        hosts[i] = host(i, 0, 0);
    a.home_hash = 14; /* home 4; step OF_10[14 % 3] = 7 */
    assert_int_equal(place(INV_POLICY_HASH, hosts, 10, &a).host, 4);
    hosts[4].memory_reserved_bytes = 8 * GIB;
    assert_int_equal(place(INV_POLICY_HASH, hosts, 10, &a).host, 1);
    hosts[1].draining = true;
    assert_int_equal(place(INV_POLICY_HASH, hosts, 10, &a).host, 8);
}

static void hash_overcommits_a_random_host_when_all_are_full(void **state)
{
    struct inv_host_view hosts[4];
    struct inv_ask a = ask(100, 256);
    unsigned chosen = 0;

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        hosts[i] = host(i, 0, 8 * GIB);
    hosts[2].dead = true;
    for (a.seed = 0; a.seed < 64; a.seed++) {
        struct inv_placement p = place(INV_POLICY_HASH, hosts, 4, &a);

        assert_true(p.host >= 0 && p.overcommitted);
        chosen |= 1U << p.host;
    }
    assert_int_equal(chosen, 0xb);
}

static void hybrid_stays_where_it_is_warm(void **state)
{
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 2000, GIB), host(2, 0, 0)};
    struct inv_ask a = ask(200, 256);

    (void)state;
    hosts[1].warm = hosts[1].idle = 1;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 3, &a).host, 1);
    assert_true(place(INV_POLICY_HYBRID, hosts, 3, &a).warm);
    hosts[1].forwards = (struct inv_forwards){1, 1, 2000, 0}; /* our last one took it */
    assert_int_not_equal(place(INV_POLICY_HYBRID, hosts, 3, &a).host, 1);
}

static void hybrid_leaves_a_warm_host_when_its_load_says_so(void **state)
{
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 0, GIB)};
    struct inv_ask a = ask(1000, 256);
    int last = 1;

    (void)state;
    a.run_us = 2000000;
    hosts[1].warm = hosts[1].idle = 1;
    for (int64_t load = 0; load <= 12000; load += 200) {
        int chosen;

        hosts[1].cpu_reserved_millis = load;
        chosen = place(INV_POLICY_HYBRID, hosts, 2, &a).host;
        assert_true(chosen <= last); /* once it left it does not come back */
        last = chosen;
    }
    assert_int_equal(last, 0);
}

/* The load of this moment is gone before half a minute is. */
static void a_long_run_minds_the_load_of_the_moment_no_more_than_a_short_one(void **state)
{
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 3000, GIB)};
    struct inv_ask a = ask(400, 256);

    (void)state;
    hosts[1].warm = hosts[1].idle = 1;
    for (a.run_us = 10000; a.run_us <= 60000000; a.run_us *= 2) {
        struct inv_placement p = place(INV_POLICY_HYBRID, hosts, 2, &a);

        assert_int_equal(p.host, 1);
        assert_true(p.warm);
        assert_true(p.delay_us >= a.run_us);
    }
    hosts[1].cpu_reserved_millis = 8000; /* twice what there is: too much for three seconds too */
    a.run_us = 30000000;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 0);
    hosts[0].cpu_reserved_millis = 8000; /* but not when it is so everywhere */
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 1);
}

/* Who comes to a host meets what the others use: its own need makes nobody wait there. */
static void a_small_host_is_not_passed_over_for_what_the_run_itself_needs(void **state)
{
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 150, GIB)};
    struct inv_ask a = ask(700, 256);

    (void)state;
    hosts[1].cpu_total_millis = 750;
    hosts[1].warm = hosts[1].idle = 1;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 1);
    hosts[1].warm = 0; /* but what is as cold elsewhere goes where there is more */
    for (a.action_key = 0; a.action_key < 16; a.action_key++)
        assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 0);
}

static void hybrid_avoids_evictions(void **state)
{
    struct inv_host_view hosts[] = {host(0, 0, 8 * GIB), host(1, 0, 2 * GIB)};
    struct inv_ask a = ask(100, 256);

    (void)state;
    hosts[0].memory_idle_bytes = 8 * GIB;
    hosts[0].idle = 32;
    for (a.action_key = 0; a.action_key < 64; a.action_key++)
        assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 1);
}

static void hybrid_avoids_queues(void **state)
{
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 0, 0)};
    struct inv_ask a = ask(100, 256);

    (void)state;
    hosts[0].queued = 50;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 1);
    hosts[1].lag = 5000;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 0);
}

static void among_equals_this_host_is_first(void **state)
{
    struct inv_host_view hosts[4];
    struct inv_ask a = ask(100, 256);

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        hosts[i] = host(i, 0, 0);
    hosts[2].self = true;
    for (a.action_key = 0; a.action_key < 64; a.action_key++)
        assert_int_equal(place(INV_POLICY_HYBRID, hosts, 4, &a).host, 2);
}

static void a_container_that_is_free_soon_is_waited_for(void **state)
{
    struct inv_host_view hosts[] = {host(0, 100, GIB), host(1, 0, 0)};
    struct inv_ask a = ask(100, 256);
    struct inv_placement p;

    (void)state;
    hosts[0].self = true;
    hosts[0].busy = 1;
    a.run_us = 20000;
    a.cold_start_us = 500000;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 0); /* not asked to wait */
    a.may_wait = true;
    p = place(INV_POLICY_HYBRID, hosts, 2, &a);
    assert_int_equal(p.host, -1);
    assert_int_equal(p.why, INV_WAIT_BUSY);
    assert_in_range(p.patience_us, 20000, 500000);
    hosts[0].waiting = 50; /* others are before us */
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).why, INV_PLACED);
    hosts[0].busy = 40; /* but many come back */
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).why, INV_WAIT_BUSY);
    a.waited_us = 470000; /* together they have waited for as long as a new one takes */
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).why, INV_WAIT_BUSY);
    a.waited_us = 480000;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).why, INV_PLACED);
    a.waited_us = 0;
    a.run_us = 30000000; /* in half a minute or so */
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).why, INV_PLACED);
    a.run_us = 20000;
    hosts[0].draining = true;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).host, 1);
}

static void what_is_warm_stays_unless_all_cores_are_taken(void **state)
{
    struct inv_host_view h = host(0, 3800, GIB);
    struct inv_ask a = ask(200, 256);

    (void)state;
    assert_true(inv_policy_stays(&h, &a));
    h.cpu_reserved_millis = 3801;
    assert_false(inv_policy_stays(&h, &a));
    h.cpu_reserved_millis = 0;
    h.draining = true;
    assert_false(inv_policy_stays(&h, &a));
}

static void what_is_full_waits_for_room(void **state)
{
    struct inv_host_view h = host(0, 100, 8 * GIB);
    struct inv_ask a = ask(100, 256);

    (void)state; /* no new container is saved by waiting for a busy one: all wait in one order */
    h.self = a.may_wait = true;
    h.busy = 1;
    a.run_us = 1000;
    assert_int_equal(place(INV_POLICY_HYBRID, &h, 1, &a).why, INV_WAIT_MEMORY);
}

static void equal_hosts_are_shared_out_by_action(void **state)
{
    struct inv_host_view hosts[8];
    struct inv_ask a = ask(100, 256);
    int taken[8] = {0};

    (void)state;
    for (uint64_t i = 0; i < 8; i++)
        hosts[i] = host(i, 0, 0);
    for (a.action_key = 0; a.action_key < 800; a.action_key++)
        taken[place(INV_POLICY_HYBRID, hosts, 8, &a).host]++;
    for (size_t i = 0; i < 8; i++)
        assert_in_range(taken[i], 60, 140);
}

static void blackbox_actions_stay_in_their_set(void **state)
{
    static const enum inv_policy POLICIES[] = {INV_POLICY_HASH, INV_POLICY_TABLE2,
                                               INV_POLICY_HYBRID};
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 3000, 6 * GIB)};
    struct inv_ask a = ask(100, 256);

    (void)state;
    hosts[0].set = INV_SET_MANAGED;
    hosts[1].set = INV_SET_BLACKBOX;
    for (size_t i = 0; i < CW_ARRAY_LEN(POLICIES); i++) {
        a.blackbox = true;
        assert_int_equal(place(POLICIES[i], hosts, 2, &a).host, 1);
        assert_int_equal(place(POLICIES[i], hosts, 2, &a).unusable[INV_UNUSABLE_SET], 1);
        a.blackbox = false;
        assert_int_equal(place(POLICIES[i], hosts, 2, &a).host, 0);
    }
}

static void guarantees_are_kept_within_the_host(void **state)
{
    static const double BAD[] = {NAN, -0.1, 1, 7, INFINITY};
    struct inv_host_view hosts[] = {host(0, 0, 0), host(1, 3000, 6 * GIB)};
    struct inv_ask a = ask(100, 256);

    (void)state;
    hosts[0].cpu_guaranteed = 0.5;
    a.cpu_guarantee = 0.5;
    for (int policy = 0; policy < INV_POLICIES; policy++)
        assert_int_equal(place((enum inv_policy)policy, hosts, 2, &a).host, 1);
    hosts[1].cpu_guaranteed = 0.6;
    assert_int_equal(place(INV_POLICY_HYBRID, hosts, 2, &a).why, INV_WAIT_CPU);
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        a.cpu_guarantee = BAD[i];
        assert_int_equal(place(INV_POLICY_HASH, hosts, 2, &a).why, INV_WAIT_BAD_ASK);
    }
    a.cpu_guarantee = 0;
    hosts[0].cpu_guaranteed = 1.2; /* sums above 1 */
    hosts[1].cpu_guaranteed = NAN;
    assert_int_equal(place(INV_POLICY_HASH, hosts, 2, &a).why, INV_WAIT_NO_HOST);
    assert_int_equal(place(INV_POLICY_HASH, hosts, 2, &a).unusable[INV_UNUSABLE_GUARANTEE], 2);
}

static void waiting_says_what_for(void **state)
{
    struct inv_host_view h = host(0, 0, 8 * GIB);
    struct inv_ask a = ask(100, 256);

    (void)state;
    assert_int_equal(place(INV_POLICY_HYBRID, &h, 1, &a).why, INV_WAIT_MEMORY);
    a.memory_bytes = 9 * (uint64_t)GIB;
    assert_int_equal(place(INV_POLICY_HYBRID, &h, 1, &a).why, INV_WAIT_TOO_LARGE);
    a.memory_bytes = UINT64_MAX;
    assert_int_equal(place(INV_POLICY_TABLE2, &h, 1, &a).why, INV_WAIT_TOO_LARGE);
    assert_int_equal(place(INV_POLICY_HASH, &h, 1, &a).why, INV_WAIT_TOO_LARGE);
    h.dead = true;
    assert_int_equal(place(INV_POLICY_HYBRID, &h, 1, &a).why, INV_WAIT_NO_HOST);
    assert_int_equal(place(INV_POLICY_HYBRID, NULL, 0, &a).why, INV_WAIT_NO_HOST);
}

static void policies_and_reasons_have_names(void **state)
{
    enum inv_policy policy;

    (void)state;
    for (int i = 0; i < INV_POLICIES; i++) {
        assert_int_equal(inv_policy_of(inv_policy_name((enum inv_policy)i), &policy), 0);
        assert_int_equal(policy, i);
    }
    assert_int_equal(inv_policy_of("best", &policy), -1);
    for (int i = 0; i < INV_UNUSABLE_REASONS; i++)
        assert_string_not_equal(inv_unusable_name((enum inv_unusable)i), "unknown");
    for (int i = INV_PLACED; i <= INV_WAIT_BUSY; i++)
        assert_string_not_equal(inv_wait_reason_name((enum inv_wait_reason)i), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table2_takes_the_host_that_is_least_used_afterwards),
        cmocka_unit_test(table2_passes_over_hosts_where_it_is_not_allocatable),
        cmocka_unit_test(table2_keeps_the_least_used_when_others_end_level),
        cmocka_unit_test(idle_containers_give_way),
        cmocka_unit_test(own_forwards_count_until_the_next_update),
        cmocka_unit_test(javas_hash_decides_the_home),
        cmocka_unit_test(steps_are_pairwise_coprime),
        cmocka_unit_test(hash_goes_home_then_steps),
        cmocka_unit_test(hash_overcommits_a_random_host_when_all_are_full),
        cmocka_unit_test(hybrid_stays_where_it_is_warm),
        cmocka_unit_test(hybrid_leaves_a_warm_host_when_its_load_says_so),
        cmocka_unit_test(a_long_run_minds_the_load_of_the_moment_no_more_than_a_short_one),
        cmocka_unit_test(a_small_host_is_not_passed_over_for_what_the_run_itself_needs),
        cmocka_unit_test(hybrid_avoids_evictions),
        cmocka_unit_test(hybrid_avoids_queues),
        cmocka_unit_test(among_equals_this_host_is_first),
        cmocka_unit_test(a_container_that_is_free_soon_is_waited_for),
        cmocka_unit_test(what_is_warm_stays_unless_all_cores_are_taken),
        cmocka_unit_test(what_is_full_waits_for_room),
        cmocka_unit_test(equal_hosts_are_shared_out_by_action),
        cmocka_unit_test(blackbox_actions_stay_in_their_set),
        cmocka_unit_test(guarantees_are_kept_within_the_host),
        cmocka_unit_test(waiting_says_what_for),
        cmocka_unit_test(policies_and_reasons_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
