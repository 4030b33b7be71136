/* The probe's sources against folders that look like /proc and cgroupfs. */
#include "tests/support/cmocka_all.h"

#include "docker/probe/figures.h"
#include "docker/probe/proc_sum.h"
#include "tests/support/scratch.h"

enum { TEXT_MAX = 1024 };

static void put(const char *folder, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void put(const char *folder, const char *name, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    scratch_put(folder, name, text);
}

struct process {
    int pid;
    const char *name;
    int own_ticks, ended_ticks, threads;
    int anon_kib, file_kib, shmem_kib, pss_kib; /* pss 0: not to be seen */
};

static void put_process(const char *folder, const struct process *p)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%d/stat", p->pid);
    put(folder, path, "%d (%s) S 1 1 1 0 -1 4194560 1 2 3 4 %d 0 %d 0 20 0 %d 0 5 6 7\n", p->pid,
        p->name, p->own_ticks, p->ended_ticks, p->threads);
    (void)snprintf(path, sizeof(path), "%d/status", p->pid);
    put(folder, path,
        "Name:\t%s\nVmHWM:\t    5000 kB\nRssAnon:\t%8d kB\nRssFile:\t%8d kB\nRssShmem:\t%8d kB\n",
        "x", p->anon_kib, p->file_kib, p->shmem_kib);
    if (!p->pss_kib)
        return;
    (void)snprintf(path, sizeof(path), "%d/smaps_rollup", p->pid);
    put(folder, path, "55-7f ---p 00000000 00:00 0    [rollup]\nRss:   99999 kB\nPss:   %d kB\n",
        p->pss_kib);
}

static int64_t no_clock(pid_t pid)
{
    (void)pid;
    return -1;
}

static int64_t clock_of_2(pid_t pid)
{
    return pid == 2 ? 123456789 : -1;
}

static void times_of_living_and_ended_processes_are_summed(void **state)
{
    struct pb_proc_sum sum;

    put_process(*state, &(struct process){1, "probe", 1, 20, 1, 100, 0, 0, 0});
    put_process(*state, &(struct process){2, "a) R 1 (b", 300, 4, 5, 0, 0, 0, 0});
    assert_true(pb_proc_sum_read(*state, no_clock, &sum));
    assert_int_equal(sum.cpu_ns, INT64_C(325) * 10000000);
    assert_int_equal(sum.threads, 6);
    assert_true(pb_proc_sum_read(*state, clock_of_2, &sum));
    assert_int_equal(sum.cpu_ns, INT64_C(25) * 10000000 + 123456789);
}

static void shared_parts_count_once_where_only_sizes_are_seen(void **state)
{
    struct pb_proc_sum sum;

    put_process(*state, &(struct process){1, "probe", 0, 0, 1, 100, 700, 0, 0});
    put_process(*state, &(struct process){2, "a", 0, 0, 1, 2000, 900, 50, 0});
    put_process(*state, &(struct process){3, "b", 0, 0, 1, 3000, 400, 60, 0});
    assert_true(pb_proc_sum_read(*state, no_clock, &sum));
    assert_int_equal(sum.memory_bytes, (5100 + 900 + 60) * 1024);
    assert_int_equal(sum.peak_bytes, sum.memory_bytes);
}

static void proportional_sizes_are_taken_where_processes_may_share(void **state)
{
    struct pb_proc_sum sum;

    put_process(*state, &(struct process){1, "probe", 0, 0, 1, 100, 700, 0, 150});
    put_process(*state, &(struct process){2, "a", 0, 0, 1, 2000, 900, 50, 1100});
    assert_true(pb_proc_sum_read(*state, no_clock, &sum));
    assert_int_equal(sum.memory_bytes, (2100 + 900 + 50) * 1024); /* one that matters: no walk */
    put_process(*state, &(struct process){3, "a", 0, 0, 1, 2000, 900, 50, 1200});
    assert_true(pb_proc_sum_read(*state, no_clock, &sum));
    assert_int_equal(sum.memory_bytes, (150 + 1100 + 1200) * 1024);
    assert_int_equal(sum.peak_bytes, 5000 * 1024); /* VmHWM of one */
}

static void garbage_in_proc_is_left_out(void **state)
{
    struct pb_proc_sum sum;

    assert_false(pb_proc_sum_read(*state, no_clock, &sum));
    put(*state, "12/stat", "no stat at all");
    put(*state, "13/stat", "13 (short) S 1 2");
    put(*state, "0/stat", "0 (zero) S 1 1 1 0 -1 1 1 2 3 4 9 0 9 0 20 0 1 0");
    put(*state, "cpuinfo", "x");
    assert_false(pb_proc_sum_read(*state, no_clock, &sum));
    assert_false(pb_proc_sum_read("/does/not/exist", no_clock, &sum));
    put_process(*state, &(struct process){14, "ok", 7, 0, 1, -5, 0, 0, 0});
    assert_true(pb_proc_sum_read(*state, no_clock, &sum));
    assert_int_equal(sum.cpu_ns, 70000000);
    assert_int_equal(sum.memory_bytes, 0);
}

/* ---- control groups ---- */

static void put_v2(const char *folder, const char *own, const char *root)
{
    put(folder, "self/cgroup", "0::%s\n", own);
    put(folder, "self/mountinfo",
        "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "31 20 0:27 %s %s/cg ro,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate\n",
        root, folder);
}

static void put_v2_files(const char *folder)
{
    scratch_put(folder, "cg/cpu.stat", "usage_usec 1500\nuser_usec 1\nthrottled_usec 7\n");
    scratch_put(folder, "cg/memory.current", "9000\n");
    scratch_put(folder, "cg/memory.stat", "anon 1\ninactive_file 4000\n");
    scratch_put(folder, "cg/memory.events", "low 0\noom 9\noom_kill 2\n");
    scratch_put(folder, "cg/memory.peak", "9999\n");
    scratch_put(folder, "cg/pids.current", "4\n");
}

static void version_2_is_read_in_a_namespace_of_its_own(void **state)
{
    struct pb_figures f;
    const struct cw_probe_figures *now;

    put_v2(*state, "/", "/");
    put_v2_files(*state);
    pb_figures_init(&f, *state);
    now = pb_figures_now(&f, 1);
    assert_non_null(now);
    assert_int_equal(now->source, CW_PROBE_CGROUP2);
    assert_int_equal(now->cpu_ns, 1500000);
    assert_int_equal(now->throttled_ns, 7000);
    assert_int_equal(now->memory_bytes, 5000);
    assert_int_equal(now->peak_bytes, 9999);
    assert_int_equal(now->oom_kills, 2);
    assert_int_equal(now->pids, 4);
    assert_false(now->cpu_estimated || now->memory_estimated || now->peak_estimated);
    pb_figures_done(&f);
}

static void figures_are_read_again_only_after_a_while(void **state)
{
    struct pb_figures f;

    put_v2(*state, "/", "/");
    put_v2_files(*state);
    pb_figures_init(&f, *state);
    assert_int_equal(pb_figures_now(&f, 1)->cpu_ns, 1500000);
    scratch_put(*state, "cg/cpu.stat", "usage_usec 2500\n");
    assert_int_equal(pb_figures_now(&f, PB_FRESH_NS)->cpu_ns, 1500000);
    assert_int_equal(pb_figures_now(&f, PB_FRESH_NS + 1)->cpu_ns, 2500000);
    scratch_put(*state, "cg/cpu.stat", "usage_usec 100\n");
    assert_int_equal(pb_figures_now(&f, 3 * PB_FRESH_NS)->cpu_ns, 2500000); /* never back */
    pb_figures_done(&f);
}

static void version_1_is_read_where_the_mount_shows_our_part(void **state)
{
    const char *folder = *state;
    struct pb_groups g;
    struct cw_probe_figures now = {0};

    put(folder, "self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/other\n");
    put(folder, "self/mountinfo",
        "31 20 0:27 /docker/abc %s/m ro - cgroup cgroup rw,memory\n"
        "32 20 0:28 / %s/c ro - cgroup cgroup rw,cpu,cpuacct\n",
        folder, folder);
    scratch_put(folder, "m/memory.usage_in_bytes", "800\n");
    scratch_put(folder, "m/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n");
    scratch_put(folder, "c/docker/abc/cpuacct.usage", "12345\n");
    scratch_put(folder, "c/cpuacct.usage", "99999999\n");
    pb_groups_open(&g, folder);
    assert_true(g.found && !g.v2);
    assert_true(pb_groups_read(&g, &now));
    assert_int_equal(now.source, CW_PROBE_CGROUP1);
    assert_int_equal(now.cpu_ns, 12345);
    assert_int_equal(now.memory_bytes, 500);
    assert_int_equal(now.peak_bytes, -1);
    assert_true(now.pids_estimated);
    pb_groups_close(&g);
}

static void groups_that_are_not_the_containers_are_not_taken(void **state)
{
    const char *folder = *state;
    struct pb_groups g;

    put_v2(folder, "/docker/abc", "/docker/other"); /* of somebody else */
    put_v2_files(folder);
    pb_groups_open(&g, folder);
    assert_false(g.found);
    put_v2(folder, "/docker/abc", "/docker/ab"); /* not a part of the path */
    pb_groups_open(&g, folder);
    assert_false(g.found);
    put_v2(folder, "/", "/");
    scratch_put(folder, "cg/cgroup.sane_behavior", "0\n"); /* the root of the machine */
    pb_groups_open(&g, folder);
    assert_false(g.found);
}

static void hidden_groups_leave_the_sum_over_the_processes(void **state)
{
    struct pb_figures f;
    const struct cw_probe_figures *now;

    put_v2(*state, "/", "/"); /* is mounted, but something else lies over it */
    put_process(*state, &(struct process){1, "probe", 1, 20, 1, 100, 0, 0, 0});
    pb_figures_init(&f, *state);
    now = pb_figures_now(&f, 1);
    assert_non_null(now);
    assert_int_equal(now->source, CW_PROBE_PROC);
    assert_true(now->cpu_estimated && now->memory_estimated && now->peak_estimated);
    pb_figures_done(&f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(times_of_living_and_ended_processes_are_summed),
        CASE(shared_parts_count_once_where_only_sizes_are_seen),
        CASE(proportional_sizes_are_taken_where_processes_may_share),
        CASE(garbage_in_proc_is_left_out),
        CASE(version_2_is_read_in_a_namespace_of_its_own),
        CASE(figures_are_read_again_only_after_a_while),
        CASE(version_1_is_read_where_the_mount_shows_our_part),
        CASE(groups_that_are_not_the_containers_are_not_taken),
        CASE(hidden_groups_leave_the_sum_over_the_processes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
