#include "tests/support/cmocka_all.h"

#include "common/cgroup/oom_kills.h"
#include "tests/support/scratch.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16

/* As Linux 5.10 with cgroup v1 and 6.1 with v2 have them. */
#define V1(count) "oom_kill_disable 0\nunder_oom 0\noom_kill " count "\n"
#define V2(count) "low 0\nhigh 0\nmax 52\noom 3\noom_kill " count "\noom_group_kill 0\n"

static int64_t parse(const char *text)
{
    return cw_cgroup_parse_oom_kills(cw_slice_of(text));
}

static void count_is_found_in_both_versions(void **state)
{
    (void)state;
    assert_int_equal(parse(V1("0")), 0);
    assert_int_equal(parse(V1("2")), 2);
    assert_int_equal(parse(V2("3")), 3);
    assert_int_equal(parse("oom_kill 7"), 7); /* no line end */
}

static void other_counts_are_not_taken_for_it(void **state)
{
    (void)state;
    assert_int_equal(parse(""), -1);
    assert_int_equal(parse("oom_kill_disable 1\nunder_oom 1\n"), -1); /* before Linux 4.13 */
    assert_int_equal(parse("oom 5\noom_group_kill 5\n"), -1);
    assert_int_equal(parse("xoom_kill 5\n"), -1);
    assert_int_equal(parse("oom_kill\n"), -1);
    assert_int_equal(parse("oom_kill x\n"), -1);
    assert_int_equal(parse("oom_kill -1\n"), -1);
    assert_int_equal(parse("oom_kill 99999999999999999999\n"), -1);
}

/* ---- places ---- */

static char root[SCRATCH_MAX]; /* a folder like /sys/fs/cgroup */

static int make_root(void **state)
{
    (void)state;
    scratch_make(root);
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    scratch_remove(root);
    return 0;
}

static void assert_found(const char *file, const char *text, const char *parent, int64_t count)
{
    scratch_put(root, file, text);
    assert_int_equal(cw_cgroup_oom_kills(root, parent, ID), count);
}

#define PLACE_TEST(name, file, text, parent, count)                                                \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(cw_cgroup_oom_kills(root, parent, ID), -1);                               \
        assert_found(file, text, parent, count);                                                   \
    }

PLACE_TEST(docker_with_cgroupfs_v1, "memory/docker/" ID "/memory.oom_control", V1("1"), NULL, 1)
PLACE_TEST(docker_with_cgroupfs_v2, "docker/" ID "/memory.events", V2("1"), NULL, 1)
PLACE_TEST(docker_with_systemd_v1, "memory/system.slice/docker-" ID ".scope/memory.oom_control",
           V1("4"), "", 4)
PLACE_TEST(docker_with_systemd_v2, "system.slice/docker-" ID ".scope/memory.events", V2("0"), NULL,
           0)
PLACE_TEST(podman_with_systemd_v2, "machine.slice/libpod-" ID ".scope/memory.events", V2("2"), NULL,
           2)
PLACE_TEST(podman_with_cgroupfs_v1, "memory/libpod_parent/libpod-" ID "/memory.oom_control",
           V1("2"), NULL, 2)
PLACE_TEST(parent_of_ones_own_v1, "memory/actions/" ID "/memory.oom_control", V1("1"), "/actions",
           1)
PLACE_TEST(slice_of_ones_own_v2, "user.slice/user-actions.slice/docker-" ID ".scope/memory.events",
           V2("1"), "user-actions.slice", 1)

static void other_containers_and_strange_ids_have_no_count(void **state)
{
    (void)state;
    scratch_put(root, "docker/" HEX16 HEX16 HEX16 "0000000000000000/memory.events", V2("1"));
    scratch_put(root, "docker/memory.events", V2("1"));
    assert_int_equal(cw_cgroup_oom_kills(root, NULL, ID), -1);
    assert_int_equal(cw_cgroup_oom_kills(root, NULL, ""), -1);
    assert_int_equal(cw_cgroup_oom_kills(root, NULL, "."), -1);
    assert_int_equal(cw_cgroup_oom_kills(root, NULL, "../docker"), -1);
}

#define PLACE(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(count_is_found_in_both_versions),
        cmocka_unit_test(other_counts_are_not_taken_for_it),
        PLACE(docker_with_cgroupfs_v1),
        PLACE(docker_with_cgroupfs_v2),
        PLACE(docker_with_systemd_v1),
        PLACE(docker_with_systemd_v2),
        PLACE(podman_with_systemd_v2),
        PLACE(podman_with_cgroupfs_v1),
        PLACE(parent_of_ones_own_v1),
        PLACE(slice_of_ones_own_v2),
        PLACE(other_containers_and_strange_ids_have_no_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
