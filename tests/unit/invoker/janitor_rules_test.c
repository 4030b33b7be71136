#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "invoker/janitor/rules.h"

#define GIB (UINT64_C(1) << 30)

enum { ROWS_MAX = 40 };

static const struct inv_janitor_host NO_HOST = {0};

static struct inv_janitor_policy plain(void)
{
    return (struct inv_janitor_policy){.prefix = "wsk0_", .cluster = "blue", .memory_part = 1};
}

/* "row:reason row:reason " in the order of removal. */
static const char *judge(const struct inv_janitor_policy *policy,
                         const struct inv_janitor_host *host, const struct inv_owned *rows,
                         size_t count)
{
    static char text[1024];
    struct inv_removal removals[ROWS_MAX];
    size_t n = inv_janitor_judge(policy, host, rows, count, removals), at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%zu:%s ", removals[i].row,
                               inv_reason_name(removals[i].reason));
    return text;
}

static void what_nobody_holds_goes_with_its_reason_oldest_first(void **state)
{
    const struct inv_owned rows[] = {
        {.name = "wsk0_1_a", .state = INV_OWNED_RUNNING, .created_s = 50},
        {.name = "wsk0_2_a", .state = INV_OWNED_STOPPED, .created_s = 20},
        {.name = "wsk0_3_a", .state = INV_OWNED_DEAD, .created_s = 30, .cluster = "blue"},
        {.name = "wsk0_4_a", .state = INV_OWNED_PAUSED, .created_s = 20},
        {.name = "wsk0_5_a",
         .state = INV_OWNED_RUNNING,
         .created_s = 10,
         .held = true,
         .idle_ms = -1},
        {.name = "wsk0_6_a", .state = INV_OWNED_PAUSED, .held = true, .idle_ms = 999999},
    };
    const struct inv_janitor_policy policy = plain();

    (void)state;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)),
                        "1:stopped 3:orphaned 2:dead 0:orphaned ");
}

static void names_and_clusters_of_others_are_nothing_to_us(void **state)
{
    const struct inv_owned rows[] = {
        {.name = "wsk0_x_a"},
        {.name = "wsk01_1_a"},
        {.name = "wsk0_1"},
        {.name = "my-wsk0_1_a"},
        {.name = ""},
        {.name = "wsk0_1_a", .cluster = "green", .state = INV_OWNED_STOPPED},
        {.name = "wsk0_1_a", .cluster = "", .state = INV_OWNED_DEAD},
    };
    struct inv_janitor_policy policy = plain();

    (void)state;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "");
    policy.others = true;
    policy.max_containers = 1;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "");
}

static void containers_of_lost_invokers_go_only_with_the_label_and_when_that_is_wanted(void **state)
{
    const struct inv_owned rows[] = {
        {.name = "wsk7_1_a", .cluster = "blue", .invoker = "7", .owner = INV_OWNER_GONE},
        {.name = "wsk7_2_a", .cluster = "blue", .invoker = "7", .owner = INV_OWNER_ALIVE},
        {.name = "wsk7_3_a",
         .cluster = "blue",
         .invoker = "7",
         .owner = INV_OWNER_UNKNOWN,
         .state = INV_OWNED_DEAD},
        {.name = "wsk7_4_a", .cluster = "green", .invoker = "7", .owner = INV_OWNER_GONE},
        {.name = "wsk7_5_a", .invoker = "7", .owner = INV_OWNER_GONE},
        {.name = "wsk7_6_a", .cluster = "blue", .owner = INV_OWNER_GONE},
        {.name = "anything",
         .cluster = "blue",
         .invoker = "7",
         .owner = INV_OWNER_GONE,
         .state = INV_OWNED_STOPPED},
    };
    struct inv_janitor_policy policy = plain();

    (void)state;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "");
    policy.others = true;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)),
                        "0:orphaned 6:stopped ");
    policy.cluster = ""; /* nobody's in particular */
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "");
}

#define HELD(number, idle, bytes)                                                                  \
    {                                                                                              \
        .name = "wsk0_" number "_a", .held = true, .idle_ms = (idle), .memory_bytes = (bytes)      \
    }

static void idle_ones_go_when_the_policy_says_so(void **state)
{
    const struct inv_owned rows[] = {HELD("1", 5000, 0), HELD("2", 4999, 0), HELD("3", -1, 0)};
    struct inv_janitor_policy policy = plain();

    (void)state;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "");
    policy.idle_ms = 5000;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "0:idle ");
}

static void cap_takes_the_longest_idle_and_counts_what_is_held_or_ours(void **state)
{
    const struct inv_owned rows[] = {
        HELD("1", 10, 0),
        HELD("2", 30, 0),
        HELD("3", -1, 0),
        HELD("4", 20, 0),
        HELD("5", -1, 0),
        {.name = "wsk9_1_a", .state = INV_OWNED_RUNNING}, /* somebody else's does not count */
        {.name = "wsk0_6_a", .state = INV_OWNED_STOPPED}, /* goes anyhow */
    };
    struct inv_janitor_policy policy = plain();

    (void)state;
    policy.max_containers = 5;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "6:stopped ");
    policy.max_containers = 3;
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)),
                        "1:count 3:count 6:stopped ");
    policy.max_containers = 1; /* those at work stay */
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)),
                        "0:count 1:count 3:count 6:stopped ");
}

static void memory_over_the_threshold_takes_idle_ones_until_it_is_enough(void **state)
{
    const struct inv_owned rows[] = {
        HELD("1", 10, GIB),
        HELD("2", 30, GIB),
        HELD("3", -1, 4 * GIB),
        HELD("4", 20, GIB),
        {.name = "wsk0_6_a", .state = INV_OWNED_RUNNING, .memory_bytes = GIB},
    };
    struct inv_janitor_policy policy = plain();
    struct inv_janitor_host host = {.memory_bytes = 10 * GIB, .available_bytes = GIB};

    (void)state;
    policy.memory_part = 0.9;
    assert_string_equal(judge(&policy, &host, rows, CW_ARRAY_LEN(rows)), "4:orphaned ");
    policy.memory_part = 0.75; /* 9 used, 7.5 allowed; the orphan gives 1 */
    assert_string_equal(judge(&policy, &host, rows, CW_ARRAY_LEN(rows)), "1:memory 4:orphaned ");
    policy.memory_part = 0.1;
    assert_string_equal(judge(&policy, &host, rows, CW_ARRAY_LEN(rows)),
                        "0:memory 1:memory 3:memory 4:orphaned ");
    host.available_bytes = 11 * GIB; /* nonsense counts as not known */
    assert_string_equal(judge(&policy, &host, rows, CW_ARRAY_LEN(rows)), "4:orphaned ");
    assert_string_equal(judge(&policy, &NO_HOST, rows, CW_ARRAY_LEN(rows)), "4:orphaned ");
}

/* ---- properties over random tables ---- */

static const char *const NAMES[] = {"wsk0_1_a",  "wsk0_22_b", "wsk1_1_a", "wsk0_x_a",
                                    "wsk01_1_a", "db",        ""};
static const char *const CLUSTERS[] = {NULL, "", "blue", "green"};

static unsigned roll(unsigned *seed, unsigned n)
{
    return (unsigned)rand_r(seed) / 7 % n;
}

static void make_row(unsigned *seed, struct inv_owned *o)
{
    *o = (struct inv_owned){
        .name = NAMES[roll(seed, CW_ARRAY_LEN(NAMES))],
        .cluster = CLUSTERS[roll(seed, CW_ARRAY_LEN(CLUSTERS))],
        .invoker = roll(seed, 2) ? "1" : NULL,
        .state = (enum inv_owned_state)roll(seed, 4),
        .owner = (enum inv_owner_seen)roll(seed, 3),
        .created_s = roll(seed, 5),
        .memory_bytes = roll(seed, 3) * GIB,
        .idle_ms = -1,
    };
    if (inv_janitor_is_our_name(o->name, "wsk0_") &&
        (!o->cluster || strcmp(o->cluster, "blue") == 0) && roll(seed, 2)) {
        o->held = true;
        o->idle_ms = roll(seed, 2) ? (int64_t)roll(seed, 100) : -1;
    }
}

/* Said anew, not as the rules have it. */
static bool may_be_touched(const struct inv_janitor_policy *policy, const struct inv_owned *o)
{
    bool our_name = strncmp(o->name, "wsk0_1_", 7) == 0 || strncmp(o->name, "wsk0_22_", 8) == 0;
    bool our_label = o->cluster && strcmp(o->cluster, "blue") == 0;

    if (o->held)
        return o->idle_ms >= 0;
    if (our_name && (our_label || !o->cluster))
        return true;
    return policy->others && our_label && o->invoker && o->owner == INV_OWNER_GONE;
}

static void check_table(const struct inv_janitor_policy *policy,
                        const struct inv_janitor_host *host, const struct inv_owned *rows,
                        size_t count)
{
    struct inv_removal removals[ROWS_MAX], again[ROWS_MAX];
    size_t n = inv_janitor_judge(policy, host, rows, count, removals);
    bool seen[ROWS_MAX] = {false};

    assert_true(n <= count);
    for (size_t i = 0; i < n; i++) {
        size_t row = removals[i].row;

        assert_true(row < count && !seen[row]);
        seen[row] = true;
        assert_true(may_be_touched(policy, &rows[row]));
        assert_int_equal(removals[i].reason >= INV_REASON_IDLE, rows[row].held);
        if (i > 0)
            assert_true(rows[removals[i - 1].row].created_s <= rows[row].created_s);
    }
    for (size_t row = 0; row < count; row++) /* what nobody holds never stays */
        if (!rows[row].held && may_be_touched(policy, &rows[row]))
            assert_true(seen[row]);
    assert_int_equal(inv_janitor_judge(policy, host, rows, count, again), n);
    for (size_t i = 0; i < n; i++)
        assert_true(again[i].row == removals[i].row && again[i].reason == removals[i].reason);
}

static void nothing_foreign_is_ever_picked_and_nothing_lost_ever_stays(void **state)
{
    struct inv_owned rows[ROWS_MAX];
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct inv_janitor_policy policy = {.prefix = "wsk0_",
                                            .cluster = "blue",
                                            .others = roll(&seed, 2),
                                            .idle_ms = roll(&seed, 3) * 40,
                                            .max_containers = roll(&seed, 6),
                                            .memory_part = roll(&seed, 5) / 4.0};
        struct inv_janitor_host host = {.memory_bytes = 8 * GIB,
                                        .available_bytes = roll(&seed, 9) * GIB};
        size_t count = roll(&seed, ROWS_MAX + 1);

        for (size_t r = 0; r < count; r++)
            make_row(&seed, &rows[r]);
        check_table(&policy, &host, rows, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_holds_goes_with_its_reason_oldest_first),
        cmocka_unit_test(names_and_clusters_of_others_are_nothing_to_us),
        cmocka_unit_test(
            containers_of_lost_invokers_go_only_with_the_label_and_when_that_is_wanted),
        cmocka_unit_test(idle_ones_go_when_the_policy_says_so),
        cmocka_unit_test(cap_takes_the_longest_idle_and_counts_what_is_held_or_ours),
        cmocka_unit_test(memory_over_the_threshold_takes_idle_ones_until_it_is_enough),
        cmocka_unit_test(nothing_foreign_is_ever_picked_and_nothing_lost_ever_stays),
    };

    return cmocka_run_group_tests_name("janitor_rules", tests, NULL, NULL);
}
