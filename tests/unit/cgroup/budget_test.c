/* What the groups above the containers let them use. */
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/usage_priv.h"
#include "tests/support/cgroup_tree.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/scratch.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define NO_LIMIT "9223372036854771712\n" /* version 1's */
#define MB (INT64_C(1) << 20)

struct world {
    char root[SCRATCH_MAX];
    struct cw_usage_source *source;
};

static int make_world(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    scratch_make(w->root);
    *state = w;
    return 0;
}

static int free_world(void **state)
{
    struct world *w = *state;

    cw_usage_source_free(w->source);
    scratch_remove(w->root);
    free(w);
    return 0;
}

static struct cw_usage_budget budget(struct world *w, const char *parent)
{
    struct cw_usage_budget b;

    if (!w->source)
        w->source = cw_usage_source_new(w->root, "/proc", parent);
    cw_usage_sample_budget(w->source, &b);
    return b;
}

static int64_t machine_millis(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) * 1000;
}

static void put_v1(struct world *w, const char *group, const char *quota, const char *limit)
{
    cgroup_tree_put(w->root, "cpu", group, "cpu.cfs_quota_us", quota);
    cgroup_tree_put(w->root, "cpu", group, "cpu.cfs_period_us", "100000\n");
    cgroup_tree_put(w->root, "memory", group, "memory.limit_in_bytes", limit);
    cgroup_tree_put(w->root, "memory", group, "memory.usage_in_bytes", "314572800\n");
    cgroup_tree_put(w->root, "memory", group, "memory.stat",
                    "cache 5\ntotal_inactive_file 104857600\n");
}

static void without_a_limit_the_machine_is_the_budget(void **state)
{
    struct cw_usage_budget b;
    struct world *w = *state;

    put_v1(w, "docker", "-1\n", NO_LIMIT);
    b = budget(w, "docker");
    assert_int_equal(b.cpu_millis, machine_millis());
    assert_int_equal(b.memory_bytes, -1);
    assert_int_equal(b.memory_available_bytes, -1);
}

static void the_smallest_limit_on_the_way_to_the_root_counts(void **state)
{
    struct cw_usage_budget b;
    struct world *w = *state;

    put_v1(w, "a", "50000\n", "536870912\n");
    put_v1(w, "a/b", "80000\n", "1073741824\n");
    b = budget(w, "/a/b");
    assert_int_equal(b.cpu_millis, 500);
    assert_int_equal(b.memory_bytes, 512 * MB);
    assert_int_equal(b.memory_available_bytes, (512 - 200) * MB);
    put_v1(w, "a/b", "25000\n", "268435456\n"); /* as the operator has it now */
    b = budget(w, NULL);
    assert_int_equal(b.cpu_millis, 250);
    assert_int_equal(b.memory_bytes, 256 * MB);
    assert_int_equal(b.memory_available_bytes, (256 - 200) * MB);
}

static void version_2_and_slices(void **state)
{
    const char *group = "a.slice/a-b.slice";
    struct cw_usage_budget b;
    struct world *w = *state;

    cgroup_tree_put(w->root, ".", group, "cpu.max", "75000 100000\n");
    cgroup_tree_put(w->root, ".", group, "memory.max", "max\n");
    cgroup_tree_put(w->root, ".", "a.slice", "cpu.max", "max 100000\n");
    cgroup_tree_put(w->root, ".", "a.slice", "memory.max", "734003200\n");
    cgroup_tree_put(w->root, ".", "a.slice", "memory.current", "104857600\n");
    cgroup_tree_put(w->root, ".", "a.slice", "memory.stat", "anon 1\ninactive_file 104857600\n");
    b = budget(w, "a-b.slice");
    assert_int_equal(b.cpu_millis, 750);
    assert_int_equal(b.memory_bytes, 700 * MB);
    assert_int_equal(b.memory_available_bytes, 700 * MB);
}

static void where_containers_are_is_seen_with_the_first_one(void **state)
{
    struct cw_usage_group *g;
    struct cw_err err = {0};
    struct world *w = *state;

    cgroup_tree_v1(w->root, "x/y/" ID);
    put_v1(w, "x/y", "30000\n", NO_LIMIT);
    assert_int_equal(budget(w, NULL).cpu_millis, machine_millis());
    g = cw_usage_open(w->source, ID, 0, &err);
    assert_non_null(g);
    assert_int_equal(budget(w, NULL).cpu_millis, 300);
    cw_usage_close(g);
}

static void processors_of_the_set_count(void **state)
{
    struct world *w = *state;

    cgroup_tree_put(w->root, "cpuset", "docker", "cpuset.effective_cpus", "0\n");
    cgroup_tree_put(w->root, "memory", "docker", "memory.limit_in_bytes", NO_LIMIT);
    assert_int_equal(budget(w, "docker").cpu_millis, 1000);
}

static void garbage_is_no_limit(void **state)
{
    static const char *const TEXTS[] = {"", "0\n", "many\n", "-5\n", "1 2\n", "\n"};
    struct world *w = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(TEXTS); i++) {
        put_v1(w, "docker", TEXTS[i], "none\n");
        assert_int_equal(budget(w, "docker").cpu_millis, machine_millis());
        assert_int_equal(budget(w, "docker").memory_bytes, -1);
    }
}

static void lists_of_processors(void **state)
{
    static const struct {
        const char *text;
        uint32_t count;
    } CASES[] = {
        {"0\n", 1},          {"0-3\n", 4}, {"0-1,4,6-7\n", 5}, {"", 0},
        {"\n", 0},           {"a\n", 0},   {"3-1\n", 0},       {"0,,2\n", 0},
        {"0-99999999\n", 0}, {"0-1-2", 0}, {"0-65535", 65536},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++)
        assert_int_equal(cw_usage_count_cpus(cw_slice_of(CASES[i].text)), CASES[i].count);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_world, free_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_limit_the_machine_is_the_budget),
        CASE(the_smallest_limit_on_the_way_to_the_root_counts),
        CASE(version_2_and_slices),
        CASE(where_containers_are_is_seen_with_the_first_one),
        CASE(processors_of_the_set_count),
        CASE(garbage_is_no_limit),
        cmocka_unit_test(lists_of_processors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
