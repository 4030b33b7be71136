/* A kernel that the test plays: it has a value for each file, the rules by which the real one
 * refuses, and refuses whatever else the test wants. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/cgroup/control.h"
#include "tests/support/scratch.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define MB (INT64_C(1) << 20)

enum { MAX_FILES = 16 };

struct file {
    const char *name;
    char text[64];
    int fails; /* errno of the next writes; 0: none */
};

struct kernel {
    char root[SCRATCH_MAX];
    struct cw_cgroup_finder *finder;
    struct cw_control_files files;
    struct cw_control *control;
    struct file file[MAX_FILES];
    int64_t used, unreclaimable; /* memory */
    bool gone, killed;
    char journal[1024]; /* "cpu.shares=512 " */
};

static struct file *find(struct kernel *k, const char *path)
{
    const char *name = strrchr(path, '/') + 1;

    for (size_t i = 0; i < MAX_FILES && k->file[i].name; i++)
        if (strcmp(k->file[i].name, name) == 0)
            return &k->file[i];
    return NULL;
}

static int64_t value(struct kernel *k, const char *name)
{
    char path[80];
    struct file *f;

    (void)snprintf(path, sizeof(path), "/%s", name);
    f = find(k, path);
    assert_non_null(f);
    return strncmp(f->text, "max", 3) == 0 ? INT64_MAX : strtoll(f->text, NULL, 10);
}

static void reclaim_to(struct kernel *k, int64_t to)
{
    if (k->used > to)
        k->used = to > k->unreclaimable ? to : k->unreclaimable;
}

/* As mm/memcontrol.c has it. */
static int rule(struct kernel *k, const char *name, int64_t v)
{
    if (strcmp(name, "memory.limit_in_bytes") == 0) {
        if (find(k, "/memory.memsw.limit_in_bytes") && v > value(k, "memory.memsw.limit_in_bytes"))
            return EINVAL;
        reclaim_to(k, v);
        return k->used > v ? EBUSY : 0;
    }
    if (strcmp(name, "memory.memsw.limit_in_bytes") == 0)
        return v < value(k, "memory.limit_in_bytes") ? EINVAL : k->used > v ? EBUSY : 0;
    if (strcmp(name, "memory.high") == 0)
        reclaim_to(k, v);
    if (strcmp(name, "memory.max") == 0) {
        reclaim_to(k, v);
        k->killed |= k->used > v;
    }
    if (strcmp(name, "memory.reclaim") == 0) {
        int64_t before = k->used;

        reclaim_to(k, k->used - v);
        return before - k->used < v ? EAGAIN : 0;
    }
    return 0;
}

static int fake_write(void *arg, const char *path, const char *text)
{
    struct kernel *k = arg;
    struct file *f = find(k, path);
    size_t n = strlen(k->journal);
    int rc;

    if (k->gone || !f)
        return ENOENT;
    (void)snprintf(k->journal + n, sizeof(k->journal) - n, "%s=%s ", f->name, text);
    rc = f->fails;
    if (!rc)
        rc = rule(k, f->name,
                  strcmp(text, "max") == 0 || strcmp(text, "-1") == 0 ? INT64_MAX
                                                                      : strtoll(text, NULL, 10));
    if (!rc)
        (void)snprintf(f->text, sizeof(f->text), "%s\n", text);
    return rc;
}

static int fake_read(void *arg, const char *path, char *text, size_t size)
{
    struct kernel *k = arg;
    struct file *f = find(k, path);
    const char *name = strrchr(path, '/') + 1;

    if (k->gone)
        return ENOENT;
    if (strcmp(name, "memory.usage_in_bytes") == 0 || strcmp(name, "memory.current") == 0)
        (void)snprintf(text, size, "%" PRId64 "\n", k->used);
    else if (strcmp(name, "cgroup.procs") == 0)
        (void)snprintf(text, size, "1\n");
    else if (f)
        (void)snprintf(text, size, "%s", f->text);
    else
        return ENOENT;
    return 0;
}

static struct kernel *begin(const char *mark)
{
    struct kernel *k = cw_alloc(sizeof(*k));
    struct cw_err err = {0};

    scratch_make(k->root);
    scratch_put(k->root, mark, "");
    k->files = (struct cw_control_files){fake_write, fake_read, k};
    k->finder = cw_cgroup_finder_new(k->root, NULL, &CW_CONTROL_MARKS);
    k->control = cw_control_new(k->root, k->finder, ID, &k->files, &err);
    assert_non_null(k->control);
    return k;
}

static int make_v1(void **state)
{
    struct kernel *k = begin("cpu/docker/" ID "/cpu.shares");
    const struct file files[] = {{"cpu.shares", "256\n", 0},
                                 {"cpu.cfs_period_us", "100000\n", 0},
                                 {"cpu.cfs_quota_us", "-1\n", 0},
                                 {"memory.limit_in_bytes", "268435456\n", 0},
                                 {"memory.memsw.limit_in_bytes", "268435456\n", 0},
                                 {"memory.soft_limit_in_bytes", "9223372036854771712\n", 0}};

    memcpy(k->file, files, sizeof(files));
    k->used = 100 * MB;
    k->unreclaimable = 40 * MB;
    *state = k;
    return 0;
}

static int make_v2(void **state)
{
    struct kernel *k = begin("docker/" ID "/cgroup.procs");
    const struct file files[] = {{"cpu.weight", "100\n", 0},       {"cpu.max", "max 100000\n", 0},
                                 {"memory.max", "268435456\n", 0}, {"memory.high", "max\n", 0},
                                 {"memory.low", "0\n", 0},         {"memory.swap.max", "0\n", 0},
                                 {"memory.reclaim", "", 0}};

    memcpy(k->file, files, sizeof(files));
    k->used = 100 * MB;
    k->unreclaimable = 40 * MB;
    *state = k;
    return 0;
}

static int end(void **state)
{
    struct kernel *k = *state;

    cw_control_free(k->control);
    cw_cgroup_finder_free(k->finder);
    scratch_remove(k->root);
    free(k);
    return 0;
}

static void fail_writes(struct kernel *k, const char *name, int sys_errno)
{
    for (size_t i = 0; i < MAX_FILES && k->file[i].name; i++)
        if (strcmp(k->file[i].name, name) == 0)
            k->file[i].fails = sys_errno;
}

static void drop_file(struct kernel *k, const char *name)
{
    for (size_t i = 0; i < MAX_FILES && k->file[i].name; i++)
        if (strcmp(k->file[i].name, name) == 0)
            k->file[i].name = "(none)";
}

/* ---- CPU ---- */

static void weight_is_written_and_read_back(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;
    bool v1 = cw_control_version(k->control) == CW_CGROUP_V1;

    assert_int_equal(cw_control_set_weight(k->control, 512, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(c.file, v1 ? "cpu.shares" : "cpu.weight");
    assert_int_equal(c.before, v1 ? 256 : 100);
    assert_int_equal(c.after, 512);
    assert_int_equal(cw_control_weight(k->control), 512);
    assert_string_equal(cw_control_place(k->control), "docker/" ID);
}

static void quota_of_version_1_never_passes_a_higher_ratio(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;

    assert_int_equal(cw_control_set_quota(k->control, 50000, 100000, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(k->journal, "cpu.cfs_quota_us=50000 ");
    k->journal[0] = '\0'; /* half of the period: with it first the ratio would be 1 */
    assert_int_equal(cw_control_set_quota(k->control, 25000, 50000, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(k->journal, "cpu.cfs_quota_us=25000 cpu.cfs_period_us=50000 ");
    k->journal[0] = '\0';
    assert_int_equal(cw_control_set_quota(k->control, 50000, 100000, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(k->journal, "cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000 ");
    k->journal[0] = '\0';
    assert_int_equal(cw_control_set_quota(k->control, CW_CONTROL_NONE, 100000, &c, NULL),
                     CW_CONTROL_SET);
    assert_string_equal(k->journal, "cpu.cfs_quota_us=-1 ");
    assert_int_equal(cw_control_quota(k->control), CW_CONTROL_NONE);
}

static void refused_quota_leaves_the_period_as_it_was(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;
    struct cw_err err = {0};

    assert_int_equal(cw_control_set_quota(k->control, 50000, 100000, &c, NULL), CW_CONTROL_SET);
    fail_writes(k, "cpu.cfs_quota_us", EINVAL);
    assert_int_equal(cw_control_set_quota(k->control, 60000, 200000, &c, &err), CW_CONTROL_FAILED);
    assert_non_null(strstr(err.msg, "cpu.cfs_quota_us: Invalid argument"));
    assert_int_equal(value(k, "cpu.cfs_period_us"), 100000);
}

static void quota_of_version_2_is_one_write(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;

    assert_int_equal(cw_control_set_quota(k->control, 150000, 100000, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(k->journal, "cpu.max=150000 100000 ");
    assert_int_equal(c.before, CW_CONTROL_NONE);
    assert_int_equal(cw_control_quota(k->control), 150000);
    assert_int_equal(cw_control_set_quota(k->control, CW_CONTROL_NONE, 100000, &c, NULL),
                     CW_CONTROL_SET);
    assert_int_equal(c.after, CW_CONTROL_NONE);
}

/* ---- memory ---- */

static void sum_is_raised_before_memory_and_lowered_after_it(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;

    assert_int_equal(cw_control_set_memory(k->control, 512 * MB, 0, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(k->journal,
                        "memory.memsw.limit_in_bytes=536870912 memory.limit_in_bytes=536870912 ");
    k->journal[0] = '\0';
    assert_int_equal(cw_control_set_memory(k->control, 128 * MB, 0, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(k->journal,
                        "memory.limit_in_bytes=134217728 memory.memsw.limit_in_bytes=134217728 ");
    assert_int_equal(cw_control_memory_limit(k->control), 128 * MB);
}

static void memory_in_use_is_an_answer_and_leaves_all_as_it_was(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;
    struct cw_err err = {0};

    assert_int_equal(cw_control_set_memory(k->control, 32 * MB, 0, &c, &err), CW_CONTROL_BUSY);
    assert_int_equal(c.after, 256 * MB);
    assert_int_equal(cw_control_memory_limit(k->control), 256 * MB);
    assert_false(k->killed);
    assert_int_equal(k->used, 40 * MB);
}

static void half_a_change_is_taken_back(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;
    struct cw_err err = {0};

    fail_writes(k, "memory.limit_in_bytes", EINVAL);
    assert_int_equal(cw_control_set_memory(k->control, 512 * MB, 0, &c, &err), CW_CONTROL_FAILED);
    assert_int_equal(value(k, "memory.memsw.limit_in_bytes"), 256 * MB);
    fail_writes(k, "memory.limit_in_bytes", 0);
    fail_writes(k, "memory.memsw.limit_in_bytes", EBUSY);
    assert_int_equal(cw_control_set_memory(k->control, 128 * MB, 0, &c, &err), CW_CONTROL_BUSY);
    assert_int_equal(value(k, "memory.limit_in_bytes"), 256 * MB);
}

static void without_swap_accounting_there_is_one_limit(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;

    drop_file(k, "memory.memsw.limit_in_bytes");
    assert_int_equal(cw_control_set_memory(k->control, 512 * MB, 0, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(k->journal, "memory.limit_in_bytes=536870912 ");
}

static void version_2_reclaims_before_it_lowers_so_that_nothing_is_killed(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;

    assert_int_equal(cw_control_set_memory(k->control, 64 * MB, 0, &c, NULL), CW_CONTROL_SET);
    assert_false(k->killed);
    assert_string_equal(k->journal, "memory.high=67108864 memory.high=max memory.max=67108864 ");
    k->journal[0] = '\0';
    assert_int_equal(cw_control_set_memory(k->control, 512 * MB, 64 * MB, &c, NULL),
                     CW_CONTROL_SET);
    assert_string_equal(k->journal, "memory.max=536870912 memory.swap.max=67108864 ");
}

static void soft_limits_are_the_versions_own(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;
    struct cw_err err = {0};
    bool v1 = cw_control_version(k->control) == CW_CGROUP_V1;

    assert_int_equal(cw_control_set_protected(k->control, 64 * MB, &c, NULL), CW_CONTROL_SET);
    assert_string_equal(c.file, v1 ? "memory.soft_limit_in_bytes" : "memory.low");
    assert_int_equal(cw_control_set_high(k->control, 64 * MB, &c, &err),
                     v1 ? CW_CONTROL_UNSUPPORTED : CW_CONTROL_SET);
}

/* ---- reclaim ---- */

static void what_is_reclaimed_is_told_and_limits_are_as_before(void **state)
{
    struct kernel *k = *state;
    int64_t won;
    bool v1 = cw_control_version(k->control) == CW_CGROUP_V1;

    assert_int_equal(cw_control_reclaim(k->control, 10 * MB, &won, NULL), CW_CONTROL_SET);
    assert_int_equal(won, 10 * MB);
    assert_int_equal(cw_control_reclaim(k->control, 80 * MB, &won, NULL), CW_CONTROL_BUSY);
    assert_int_equal(won, 50 * MB);
    assert_int_equal(cw_control_memory_limit(k->control), 256 * MB);
    if (!v1)
        assert_int_equal(value(k, "memory.high"), INT64_MAX);
}

static void before_linux_5_19_a_moment_of_memory_high_does_it(void **state)
{
    struct kernel *k = *state;
    int64_t won;

    drop_file(k, "memory.reclaim");
    assert_int_equal(cw_control_reclaim(k->control, 10 * MB, &won, NULL), CW_CONTROL_SET);
    assert_int_equal(won, 10 * MB);
    assert_string_equal(k->journal, "memory.high=94371840 memory.high=max ");
}

/* ---- what can go wrong ---- */

static void assert_answer(struct kernel *k, enum cw_control_answer expected, const char *says)
{
    struct cw_control_change c;
    struct cw_err err = {0};

    assert_int_equal(cw_control_set_weight(k->control, 512, &c, &err), expected);
    assert_non_null(strstr(err.msg, says));
}

static void every_refusal_has_a_name_and_names_the_file(void **state)
{
    struct kernel *k = *state;
    const char *file = cw_control_version(k->control) == CW_CGROUP_V1 ? "cpu.shares" : "cpu.weight";

    fail_writes(k, file, EROFS);
    assert_answer(k, CW_CONTROL_DENIED, "Read-only file system");
    fail_writes(k, file, EACCES);
    assert_answer(k, CW_CONTROL_DENIED, file);
    fail_writes(k, file, EINVAL);
    assert_answer(k, CW_CONTROL_FAILED, "Invalid argument");
    fail_writes(k, file, EBUSY);
    assert_answer(k, CW_CONTROL_BUSY, "docker/" ID);
    fail_writes(k, file, ENODEV);
    assert_answer(k, CW_CONTROL_GONE, file);
    drop_file(k, file);
    assert_answer(k, CW_CONTROL_UNSUPPORTED, file);
    k->gone = true;
    assert_answer(k, CW_CONTROL_GONE, file);
    assert_int_equal(cw_control_weight(k->control), CW_CONTROL_NONE);
    assert_int_equal(cw_control_memory_used(k->control), CW_CONTROL_NONE);
}

static void nonsense_in_a_file_is_no_number(void **state)
{
    struct kernel *k = *state;

    (void)snprintf(k->file[0].text, sizeof(k->file[0].text), "12x\n");
    assert_int_equal(cw_control_weight(k->control), CW_CONTROL_NONE);
    k->file[0].text[0] = '\0';
    assert_int_equal(cw_control_weight(k->control), CW_CONTROL_NONE);
}

static void container_that_is_not_there_is_not_found(void **state)
{
    struct kernel *k = *state;
    struct cw_err err = {0};

    assert_null(cw_control_new(k->root, k->finder, "c0ffee", &k->files, &err));
    assert_int_equal(err.code, CW_NOT_FOUND);
}

/* ---- block I/O ---- */

static void io_weight_without_a_scheduler_that_heeds_it_is_unsupported(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;
    struct cw_err err = {0};

    k->file[9] = (struct file){"blkio.bfq.weight", "100\n", 0};
    for (size_t i = 0; i < 9; i++)
        if (!k->file[i].name)
            k->file[i].name = "(none)";
    assert_int_equal(cw_control_set_io_weight(k->control, k->root, 500, &c, &err),
                     CW_CONTROL_UNSUPPORTED);
    assert_string_equal(
        err.msg, "blkio.bfq.weight: no disk is scheduled by BFQ, and there is no cost model");
    scratch_put(k->root, "block/sda/queue/scheduler", "");
    k->file[10] = (struct file){"scheduler", "mq-deadline [bfq] none\n", 0};
    assert_int_equal(cw_control_set_io_weight(k->control, k->root, 500, &c, &err), CW_CONTROL_SET);
    assert_int_equal(value(k, "blkio.bfq.weight"), 500);
}

static void io_weight_of_version_2_needs_the_cost_model_or_bfq(void **state)
{
    struct kernel *k = *state;
    struct cw_control_change c;
    struct cw_err err = {0};

    k->file[7] = (struct file){"io.weight", "default 100\n", 0};
    assert_int_equal(cw_control_set_io_weight(k->control, k->root, 500, &c, &err),
                     CW_CONTROL_UNSUPPORTED);
    k->file[8] = (struct file){"io.cost.qos", "254:0 enable=1 ctrl=auto\n", 0};
    assert_int_equal(cw_control_set_io_weight(k->control, k->root, 500, &c, &err), CW_CONTROL_SET);
    assert_int_equal(c.before, 100);
    assert_int_equal(c.after, 500);
}

#define V1(name)                                                                                   \
    {                                                                                              \
#name "_v1", name, make_v1, end, NULL                                                      \
    }
#define V2(name)                                                                                   \
    {                                                                                              \
#name "_v2", name, make_v2, end, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        V1(weight_is_written_and_read_back),
        V2(weight_is_written_and_read_back),
        V1(quota_of_version_1_never_passes_a_higher_ratio),
        V1(refused_quota_leaves_the_period_as_it_was),
        V2(quota_of_version_2_is_one_write),
        V1(sum_is_raised_before_memory_and_lowered_after_it),
        V1(memory_in_use_is_an_answer_and_leaves_all_as_it_was),
        V2(memory_in_use_is_an_answer_and_leaves_all_as_it_was),
        V1(half_a_change_is_taken_back),
        V1(without_swap_accounting_there_is_one_limit),
        V2(version_2_reclaims_before_it_lowers_so_that_nothing_is_killed),
        V1(soft_limits_are_the_versions_own),
        V2(soft_limits_are_the_versions_own),
        V1(what_is_reclaimed_is_told_and_limits_are_as_before),
        V2(what_is_reclaimed_is_told_and_limits_are_as_before),
        V2(before_linux_5_19_a_moment_of_memory_high_does_it),
        V1(every_refusal_has_a_name_and_names_the_file),
        V2(every_refusal_has_a_name_and_names_the_file),
        V1(nonsense_in_a_file_is_no_number),
        V1(container_that_is_not_there_is_not_found),
        V1(io_weight_without_a_scheduler_that_heeds_it_is_unsupported),
        V2(io_weight_of_version_2_needs_the_cost_model_or_bfq),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
