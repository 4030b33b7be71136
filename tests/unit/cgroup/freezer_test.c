#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/freezer.h"
#include "common/cgroup/group_path.h"
#include "tests/support/scratch.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define OTHER HEX16 HEX16 HEX16 "fedcba9876543210"

struct world {
    char root[SCRATCH_MAX]; /* a folder like /sys/fs/cgroup */
    struct cw_freezer *freezer;
};

static int make_world(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    scratch_make(w->root);
    w->freezer = cw_freezer_new(w->root, NULL);
    *state = w;
    return 0;
}

static int free_world(void **state)
{
    struct world *w = *state;

    cw_freezer_free(w->freezer);
    scratch_remove(w->root);
    free(w);
    return 0;
}

static void use_parent(struct world *w, const char *parent)
{
    cw_freezer_free(w->freezer);
    w->freezer = cw_freezer_new(w->root, parent);
}

static void assert_text(const struct world *w, const char *file, const char *expected)
{
    char text[64];

    assert_true(scratch_get(w->root, file, text, sizeof(text)));
    assert_string_equal(text, expected);
}

static void put_v1(const struct world *w, const char *group, const char *state)
{
    char file[512];

    (void)snprintf(file, sizeof(file), "freezer/%s/freezer.state", group);
    scratch_put(w->root, file, state);
}

static void put_v2(const struct world *w, const char *group, const char *events)
{
    char file[512];

    (void)snprintf(file, sizeof(file), "%s/cgroup.freeze", group);
    scratch_put(w->root, file, "0\n");
    (void)snprintf(file, sizeof(file), "%s/cgroup.events", group);
    scratch_put(w->root, file, events);
}

static void assert_freezes_v1(struct world *w, const char *group)
{
    struct cw_err err = {0};
    char file[512];

    (void)snprintf(file, sizeof(file), "freezer/%s/freezer.state", group);
    put_v1(w, group, "THAWED\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 1);
    assert_text(w, file, "FROZEN\n");
    assert_int_equal(cw_freezer_thaw(w->freezer, ID, &err), 1);
    assert_text(w, file, "THAWED\n");
    assert_int_equal(cw_freezer_thaw(w->freezer, ID, &err), 0);
}

static void assert_freezes_v2(struct world *w, const char *group)
{
    struct cw_err err = {0};
    char file[512];

    (void)snprintf(file, sizeof(file), "%s/cgroup.freeze", group);
    put_v2(w, group, "populated 1\nfrozen 1\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 1);
    assert_text(w, file, "1\n");
    assert_int_equal(cw_freezer_thaw(w->freezer, ID, &err), 1);
    assert_text(w, file, "0\n");
}

#define PLACE_TEST(name, version, group)                                                           \
    static void name(void **state)                                                                 \
    {                                                                                              \
        assert_freezes_##version(*state, group);                                                   \
    }

PLACE_TEST(docker_with_cgroupfs_v1, v1, "docker/" ID)
PLACE_TEST(docker_with_cgroupfs_v2, v2, "docker/" ID)
PLACE_TEST(docker_with_systemd_v1, v1, "system.slice/docker-" ID ".scope")
PLACE_TEST(docker_with_systemd_v2, v2, "system.slice/docker-" ID ".scope")
PLACE_TEST(podman_with_systemd_v2, v2, "machine.slice/libpod-" ID ".scope")
PLACE_TEST(podman_with_cgroupfs_v1, v1, "libpod_parent/libpod-" ID)
PLACE_TEST(unknown_place_is_found_by_a_search_v1, v1, "a/b/c/" ID)
PLACE_TEST(unknown_place_is_found_by_a_search_v2, v2, "kubepods.slice/x.slice/cri-" ID ".scope")

static void parent_of_ones_own(void **state)
{
    use_parent(*state, "user-actions.slice");
    assert_freezes_v2(*state, "user.slice/user-actions.slice/docker-" ID ".scope");
}

static void hybrid_machine_uses_the_freezer_of_version_1(void **state)
{
    struct world *w = *state;

    scratch_put(w->root, "unified/docker/" ID "/cgroup.freeze", "0\n");
    assert_freezes_v1(w, "docker/" ID);
    assert_text(w, "unified/docker/" ID "/cgroup.freeze", "0\n");
}

static void monitor_of_a_container_is_not_taken_for_it(void **state)
{
    struct world *w = *state;

    put_v2(w, "elsewhere/libpod-conmon-" ID ".scope", "frozen 0\n");
    put_v2(w, "elsewhere/" OTHER, "frozen 0\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), -1);
    assert_true(cw_cgroup_is_group_of(ID, ID));
    assert_true(cw_cgroup_is_group_of("docker-" ID ".scope", ID));
    assert_false(cw_cgroup_is_group_of("docker-" ID "x", ID));
    assert_false(cw_cgroup_is_group_of("-" ID, ID));
    assert_false(cw_cgroup_is_group_of("docker-x-" ID, ID));
    assert_false(cw_cgroup_is_group_of(OTHER, ID));
}

static void freezing_takes_its_time_when_a_process_does_not_stop_at_once(void **state)
{
    struct world *w = *state;

    put_v2(w, "docker/" ID, "populated 1\nfrozen 0\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 0);
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 0);
    put_v2(w, "docker/" ID, "populated 1\nfrozen 1\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 1);
}

static void group_that_goes_while_it_freezes_is_out_of_reach(void **state)
{
    struct world *w = *state;
    struct cw_err err = {0};
    char command[256];

    put_v2(w, "docker/" ID, "populated 1\nfrozen 0\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 0);
    (void)snprintf(command, sizeof(command), "rm -r '%s/docker'", w->root);
    assert_int_equal(system(command), 0);
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), -1);
    assert_int_equal(cw_freezer_thaw(w->freezer, ID, &err), 0);
}

static void group_that_went_while_frozen_is_told(void **state)
{
    struct world *w = *state;
    struct cw_err err = {0};
    char command[256];

    put_v1(w, "docker/" ID, "THAWED\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 1);
    (void)snprintf(command, sizeof(command), "rm -r '%s/freezer/docker'", w->root);
    assert_int_equal(system(command), 0);
    assert_int_equal(cw_freezer_thaw(w->freezer, ID, &err), -1);
    assert_non_null(strstr(err.msg, "docker/" ID "/freezer.state: No such file"));
    assert_int_equal(cw_freezer_thaw(w->freezer, ID, &err), 0); /* forgotten */
}

static void out_of_reach_without_groups_or_with_a_strange_id(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 20; i++) /* searches are given up on the way */
        assert_int_equal(cw_freezer_freeze(w->freezer, ID), -1);
    put_v1(w, "docker/x", "THAWED\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, "x"), -1);
    assert_int_equal(cw_freezer_freeze(w->freezer, ""), -1);
    assert_int_equal(cw_freezer_freeze(w->freezer, "../" ID), -1);
    cw_freezer_release(w->freezer, "x");
    assert_freezes_v1(w, "docker/" ID); /* by a rule, all the same */
}

static void release_thaws_what_another_process_has_frozen(void **state)
{
    struct world *w = *state;

    put_v1(w, "docker/" ID, "FROZEN\n");
    put_v1(w, "docker/" OTHER, "FROZEN\n");
    cw_freezer_release(w->freezer, ID);
    assert_text(w, "freezer/docker/" ID "/freezer.state", "THAWED\n");
    assert_text(w, "freezer/docker/" OTHER "/freezer.state", "FROZEN\n");
    cw_freezer_release(w->freezer, OTHER);
    assert_text(w, "freezer/docker/" OTHER "/freezer.state", "THAWED\n");
}

static void released_is_not_held_frozen_any_more(void **state)
{
    struct world *w = *state;
    struct cw_err err = {0};

    put_v1(w, "docker/" ID, "THAWED\n");
    assert_int_equal(cw_freezer_freeze(w->freezer, ID), 1);
    cw_freezer_release(w->freezer, ID);
    assert_text(w, "freezer/docker/" ID "/freezer.state", "THAWED\n");
    assert_int_equal(cw_freezer_thaw(w->freezer, ID, &err), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(docker_with_cgroupfs_v1),
        CASE(docker_with_cgroupfs_v2),
        CASE(docker_with_systemd_v1),
        CASE(docker_with_systemd_v2),
        CASE(podman_with_systemd_v2),
        CASE(podman_with_cgroupfs_v1),
        CASE(unknown_place_is_found_by_a_search_v1),
        CASE(unknown_place_is_found_by_a_search_v2),
        CASE(parent_of_ones_own),
        CASE(hybrid_machine_uses_the_freezer_of_version_1),
        CASE(monitor_of_a_container_is_not_taken_for_it),
        CASE(freezing_takes_its_time_when_a_process_does_not_stop_at_once),
        CASE(group_that_goes_while_it_freezes_is_out_of_reach),
        CASE(group_that_went_while_frozen_is_told),
        CASE(out_of_reach_without_groups_or_with_a_strange_id),
        CASE(release_thaws_what_another_process_has_frozen),
        CASE(released_is_not_held_frozen_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
