/* Which groups are containers, and what Docker's files say of them. */
#include "tests/support/cmocka_all.h"

#include "invoker/agent/scan.h"
#include "tests/support/scratch.h"

#define HEX16 "0123456789abcdef"
#define ID_A HEX16 HEX16 HEX16 "aaaaaaaaaaaaaaaa"
#define ID_B HEX16 HEX16 HEX16 "bbbbbbbbbbbbbbbb"
#define ID_C HEX16 HEX16 HEX16 "cccccccccccccccc"

struct found {
    unsigned count, paused;
    char ids[8][INV_SCAN_ID_LEN + 1];
};

static void on_found(void *arg, const char *id, bool paused)
{
    struct found *f = arg;

    f->paused += paused;
    assert_true(f->count < 8);
    (void)snprintf(f->ids[f->count++], sizeof(f->ids[0]), "%s", id);
}

static bool has(const struct found *f, const char *id)
{
    for (unsigned i = 0; i < f->count; i++)
        if (strcmp(f->ids[i], id) == 0)
            return true;
    return false;
}

static void groups_of_containers_are_known_by_their_names(void **state)
{
    static const char *const CONTAINERS[] = {ID_A,
                                             ID_A ".scope",
                                             "docker-" ID_A ".scope",
                                             "libpod-" ID_A,
                                             "libpod-" ID_A ".scope",
                                             "cri-containerd-" ID_A ".scope",
                                             "crio-" ID_A ".scope"};
    static const char *const OTHERS[] = {"",
                                         "docker",
                                         HEX16,
                                         ID_A "0",
                                         ID_A ".service",
                                         "libpod-conmon-" ID_A ".scope",
                                         "0" ID_A,
                                         "docker-" ID_A ".scope.d"};
    char id[INV_SCAN_ID_LEN + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(CONTAINERS) / sizeof(CONTAINERS[0]); i++) {
        assert_true(inv_scan_id(CONTAINERS[i], id));
        assert_string_equal(id, ID_A);
    }
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
        if (inv_scan_id(OTHERS[i], id))
            fail_msg("%s is taken for %s", OTHERS[i], id);
}

static void both_versions_are_walked_and_what_is_inside_containers_is_not(void **state)
{
    const char *root = *state;
    struct found f = {0};

    assert_false(inv_scan_groups("/does/not/exist", on_found, &f));
    scratch_put(root, "memory/docker/" ID_A "/memory.stat", "");
    scratch_put(root, "memory/docker/" ID_A "/" ID_C "/memory.stat", "");
    scratch_put(root, "cpu/docker/" ID_B "/cpu.stat", "");
    assert_true(inv_scan_groups(root, on_found, &f));
    assert_int_equal(f.count, 1);
    assert_true(has(&f, ID_A));
    f.count = 0;
    scratch_put(root, "cgroup.controllers", "memory");
    scratch_put(root, "kubepods.slice/pod1.slice/cri-containerd-" ID_B ".scope/memory.stat", "");
    assert_true(inv_scan_groups(root, on_found, &f));
    assert_true(has(&f, ID_A) && has(&f, ID_B) && !has(&f, ID_C));
}

static void frozen_containers_are_paused(void **state)
{
    const char *root = *state;
    struct found f = {0};

    scratch_put(root, "memory/docker/" ID_A "/memory.stat", "");
    scratch_put(root, "freezer/docker/" ID_A "/freezer.state", "FROZEN\n");
    scratch_put(root, "memory/docker/" ID_B "/memory.stat", "");
    scratch_put(root, "freezer/docker/" ID_B "/freezer.state", "THAWED\n");
    scratch_put(root, "memory/" ID_C "/memory.stat", "");
    assert_true(inv_scan_groups(root, on_found, &f));
    assert_int_equal(f.count, 3);
    assert_int_equal(f.paused, 1);
    f = (struct found){0};
    scratch_put(root, "cgroup.controllers", "memory");
    scratch_put(root, "a.slice/docker-" ID_B ".scope/cgroup.events", "populated 1\nfrozen 1\n");
    assert_true(inv_scan_groups(root, on_found, &f));
    assert_int_equal(f.paused, 1);
    scratch_put(root, "a.slice/docker-" ID_B ".scope/cgroup.events", "populated 1\nfrozen 0\n");
    f = (struct found){0};
    assert_true(inv_scan_groups(root, on_found, &f));
    assert_int_equal(f.paused, 0);
}

static void names_and_limits_come_from_dockers_files(void **state)
{
    struct inv_scan_facts facts;

    scratch_put(*state, ID_A "/config.v2.json", "{\"Name\":\"/wsk0_1_x\",\"ID\":\"x\"}");
    scratch_put(*state, ID_A "/hostconfig.json", "{\"Memory\":268435456}");
    inv_scan_facts(*state, ID_A, &facts);
    assert_string_equal(facts.name, "wsk0_1_x");
    assert_true(facts.named);
    assert_int_equal(facts.memory_bytes, 268435456);
}

static void files_that_make_no_sense_leave_the_id(void **state)
{
    static const char *const CONFIGS[] = {"",
                                          "garbage",
                                          "[]",
                                          "{\"Name\":5}",
                                          "{\"Name\":\"x\"}",
                                          "{\"Name\":\"/\"}",
                                          "{\"Name\":\"/a\\nb\"}"};
    struct inv_scan_facts facts;

    inv_scan_facts(*state, ID_A, &facts);
    assert_string_equal(facts.name, ID_A);
    assert_false(facts.named);
    scratch_put(*state, ID_A "/hostconfig.json", "{\"Memory\":-1}");
    for (size_t i = 0; i < sizeof(CONFIGS) / sizeof(CONFIGS[0]); i++) {
        scratch_put(*state, ID_A "/config.v2.json", CONFIGS[i]);
        inv_scan_facts(*state, ID_A, &facts);
        assert_string_equal(facts.name, ID_A);
        assert_int_equal(facts.memory_bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_containers_are_known_by_their_names),
        cmocka_unit_test_setup_teardown(
            both_versions_are_walked_and_what_is_inside_containers_is_not, scratch_begin,
            scratch_end),
        cmocka_unit_test_setup_teardown(names_and_limits_come_from_dockers_files, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(files_that_make_no_sense_leave_the_id, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(frozen_containers_are_paused, scratch_begin, scratch_end),
    };

    return cmocka_run_group_tests_name("agent_scan", tests, NULL, NULL);
}
