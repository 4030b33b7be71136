#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/usage.h"
#include "tests/support/cgroup_recorded.h"
#include "tests/support/cgroup_tree.h"
#include "tests/support/scratch.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define OTHER HEX16 HEX16 HEX16 "fedcba9876543210"

struct world {
    char root[SCRATCH_MAX]; /* like /sys/fs/cgroup */
    char proc[SCRATCH_MAX]; /* like /proc */
    struct cw_usage_source *source;
};

static int make_world(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    scratch_make(w->root);
    scratch_make(w->proc);
    w->source = cw_usage_source_new(w->root, w->proc, NULL);
    *state = w;
    return 0;
}

static int free_world(void **state)
{
    struct world *w = *state;

    cw_usage_source_free(w->source);
    scratch_remove(w->root);
    scratch_remove(w->proc);
    free(w);
    return 0;
}

static void remove_file(const struct world *w, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", w->root, name);
    assert_int_equal(remove(path), 0);
}

static struct cw_usage_group *open_group(struct world *w, uint32_t keep)
{
    struct cw_err err = {0};
    struct cw_usage_group *g = cw_usage_open(w->source, ID, keep, &err);

    assert_string_equal(err.msg, "");
    assert_non_null(g);
    return g;
}

static struct cw_usage sample(struct cw_usage_group *g, uint32_t want)
{
    struct cw_usage u;
    struct cw_err err = {0};

    assert_int_equal(cw_usage_sample(g, want, &u, &err), 0);
    return u;
}

static void assert_no_fault(struct world *w)
{
    struct cw_err err = {0};

    assert_false(cw_usage_next_fault(w->source, &err));
}

static void assert_fault(struct world *w, const char *part)
{
    struct cw_err err = {0};

    assert_true(cw_usage_next_fault(w->source, &err));
    if (!strstr(err.msg, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.msg);
}

/* ---- figures ---- */

static void assert_v1(const struct cw_usage *u)
{
    assert_int_equal(u->have, CW_USAGE_ALL & ~CW_USAGE_CPU_SPLIT);
    assert_int_equal(u->cpu_ns, 3014729871);
    assert_int_equal(u->memory_bytes, 7507968);
    assert_int_equal(u->working_set_bytes, 7507968 - 1048576);
    assert_int_equal(u->anon_bytes, 2297856);
    assert_int_equal(u->file_bytes, 4194304);
    assert_int_equal(u->shmem_bytes, 3145728);
    assert_int_equal(u->inactive_file_bytes, 1048576);
    assert_int_equal(u->peak_bytes, 9052160);
    assert_int_equal(u->throttled_ns, 2369597123);
    assert_int_equal(u->periods, 31);
    assert_int_equal(u->throttled_periods, 30);
    assert_int_equal(u->oom_kills, 2);
    assert_int_equal(u->oom_events, 2);
    assert_int_equal(u->io_read_bytes, 5096);
    assert_int_equal(u->io_written_bytes, 8192);
    assert_int_equal(u->io_reads, 2);
    assert_int_equal(u->io_writes, 2);
    assert_int_equal(u->pids, 3);
}

static void assert_v2(const struct cw_usage *u)
{
    assert_int_equal(u->have, CW_USAGE_ALL);
    assert_int_equal(u->cpu_ns, 620723000);
    assert_int_equal(u->user_ns, 565722000);
    assert_int_equal(u->system_ns, 55000000);
    assert_int_equal(u->memory_bytes, 3334144);
    assert_int_equal(u->working_set_bytes, 3334144);
    assert_int_equal(u->anon_bytes, 77824);
    assert_int_equal(u->file_bytes, 3145728);
    assert_int_equal(u->shmem_bytes, 3145728);
    assert_int_equal(u->peak_bytes, 4456448);
    assert_int_equal(u->throttled_ns, 2369597000);
    assert_int_equal(u->periods, 31);
    assert_int_equal(u->throttled_periods, 30);
    assert_int_equal(u->oom_kills, 0);
    assert_int_equal(u->io_read_bytes, 5096);
    assert_int_equal(u->io_written_bytes, 8192);
    assert_int_equal(u->io_reads, 2);
    assert_int_equal(u->io_writes, 2);
    assert_int_equal(u->pids, 3);
}

/* Kept or not, the figures are the same. */
static void assert_group(struct world *w, void (*check)(const struct cw_usage *u), unsigned all,
                         enum cw_cgroup_version version)
{
    static const uint32_t KEEPS[] = {CW_USAGE_ALL, CW_USAGE_HOT, 0};
    const unsigned held[] = {all, version == CW_CGROUP_V1 ? 5 : 4, 0};

    for (size_t i = 0; i < CW_ARRAY_LEN(KEEPS); i++) {
        struct cw_usage_group *g = open_group(w, KEEPS[i]);
        struct cw_usage u = sample(g, CW_USAGE_ALL);
        struct cw_usage_stats stats;

        check(&u);
        assert_int_equal(cw_usage_version(g), version);
        assert_int_equal(cw_usage_descriptors(g), held[i]);
        cw_usage_source_stats(w->source, &stats);
        assert_int_equal(stats.groups, 1);
        assert_int_equal(stats.descriptors, held[i]);
        cw_usage_close(g);
    }
    assert_no_fault(w);
}

#define PLACE_TEST(name, version, files, group)                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        cgroup_tree_##version(((struct world *)*state)->root, group);                              \
        assert_group(*state, assert_##version, files, (files) == 9 ? CW_CGROUP_V1 : CW_CGROUP_V2); \
    }

PLACE_TEST(docker_with_cgroupfs_v1, v1, 9, "docker/" ID)
PLACE_TEST(docker_with_cgroupfs_v2, v2, 7, "docker/" ID)
PLACE_TEST(docker_with_systemd_v1, v1, 9, "system.slice/docker-" ID ".scope")
PLACE_TEST(docker_with_systemd_v2, v2, 7, "system.slice/docker-" ID ".scope")
PLACE_TEST(nested_docker_v1, v1, 9, "docker/" OTHER "/docker/" ID)
PLACE_TEST(nested_docker_v2, v2, 7, "kubepods/pod1/" OTHER "/docker/" ID)

static void parent_of_ones_own(void **state)
{
    struct world *w = *state;

    cw_usage_source_free(w->source);
    w->source = cw_usage_source_new(w->root, w->proc, "user-actions.slice");
    cgroup_tree_v2(w->root, "user.slice/user-actions.slice/docker-" ID ".scope");
    assert_group(w, assert_v2, 7, CW_CGROUP_V2);
}

static void controllers_may_share_a_hierarchy(void **state)
{
    struct world *w = *state;
    struct cw_usage_group *g;
    struct cw_usage u;

    cgroup_tree_put(w->root, "cpu,cpuacct", "docker/" ID, "cpuacct.usage", V1_CPU);
    cgroup_tree_put(w->root, "cpu,cpuacct", "docker/" ID, "cpu.stat", V1_THROTTLE);
    g = open_group(w, CW_USAGE_CPU | CW_USAGE_THROTTLE);
    u = sample(g, CW_USAGE_CPU | CW_USAGE_THROTTLE);
    assert_int_equal(u.have, CW_USAGE_CPU | CW_USAGE_THROTTLE);
    assert_int_equal(u.cpu_ns, 3014729871);
    assert_no_fault(w);
    cw_usage_close(g);
}

static void only_what_is_wanted_is_read(void **state)
{
    struct world *w = *state;
    struct cw_usage_stats before, after;
    struct cw_usage_group *g;
    struct cw_usage u;

    cgroup_tree_v1(w->root, "docker/" ID);
    g = open_group(w, CW_USAGE_HOT);
    cw_usage_source_stats(w->source, &before);
    u = sample(g, CW_USAGE_CPU | CW_USAGE_MEMORY);
    cw_usage_source_stats(w->source, &after);
    assert_int_equal(after.reads - before.reads, 2);
    assert_int_equal(u.have, CW_USAGE_CPU | CW_USAGE_MEMORY);
    assert_int_equal(u.working_set_bytes, u.memory_bytes); /* no cache is known yet */
    (void)sample(g, CW_USAGE_MEMORY | CW_USAGE_MEMORY_STAT);
    u = sample(g, CW_USAGE_MEMORY);
    assert_int_equal(u.working_set_bytes, 7507968 - 1048576); /* less the cache that was known */
    cw_usage_close(g);
}

/* ---- faults ---- */

static void unknown_container_has_no_group(void **state)
{
    struct world *w = *state;
    struct cw_err err = {0};

    cgroup_tree_v2(w->root, "docker/" OTHER);
    for (int i = 0; i < 20; i++)
        assert_null(cw_usage_open(w->source, ID, CW_USAGE_ALL, &err));
    assert_int_equal(err.code, CW_NOT_FOUND);
    assert_null(cw_usage_open(w->source, "../docker", CW_USAGE_ALL, &err));
    assert_null(cw_usage_open(w->source, "", CW_USAGE_ALL, &err));
}

static void missing_controllers_are_named(void **state)
{
    struct world *w = *state;
    struct cw_usage_group *g;
    struct cw_usage u;

    cgroup_tree_put(w->root, ".", "docker/" ID, "cpu.stat",
                    "usage_usec 5\nuser_usec 3\nsystem_usec 2\n");
    cgroup_tree_put(w->root, ".", "docker/" ID, "pids.current", "1\n");
    g = open_group(w, CW_USAGE_ALL);
    u = sample(g, CW_USAGE_ALL);
    assert_int_equal(u.have, CW_USAGE_CPU | CW_USAGE_CPU_SPLIT | CW_USAGE_PIDS);
    assert_int_equal(u.cpu_ns, 5000);
    assert_fault(w, "memory.current: not measured: the controller memory is not enabled");
    assert_fault(w, "memory.stat");
    assert_fault(w,
                 "memory.peak: not measured: the controller memory is not enabled for the group, "
                 "or the kernel is older than Linux 5.19");
    assert_fault(w, "memory.events");
    assert_fault(w, "io.stat: not measured: the controller io");
    assert_no_fault(w);
    (void)sample(g, CW_USAGE_ALL);
    assert_no_fault(w); /* once */
    cw_usage_close(g);
}

static void missing_hierarchy_is_named(void **state)
{
    struct world *w = *state;
    struct cw_usage_group *g;

    cgroup_tree_put(w->root, "cpuacct", "docker/" ID, "cpuacct.usage", V1_CPU);
    g = open_group(w, CW_USAGE_CPU | CW_USAGE_MEMORY);
    assert_int_equal(sample(g, CW_USAGE_CPU | CW_USAGE_MEMORY).have, CW_USAGE_CPU);
    assert_fault(w, "memory.usage_in_bytes: not measured: the group is not in the hierarchy");
    assert_no_fault(w);
    cw_usage_close(g);
}

static void group_that_vanishes_before_its_files_are_opened(void **state)
{
    struct world *w = *state;
    struct cw_usage_group *g;
    struct cw_usage_stats stats;
    struct cw_usage u;
    struct cw_err err = {0};
    char command[256];

    cgroup_tree_v2(w->root, "docker/" ID);
    g = open_group(w, 0);
    (void)snprintf(command, sizeof(command), "rm -r '%s/docker'", w->root);
    assert_int_equal(system(command), 0);
    assert_int_equal(cw_usage_sample(g, CW_USAGE_ALL, &u, &err), -1);
    assert_int_equal(err.code, CW_NOT_FOUND);
    assert_string_equal(err.msg, "cgroup docker/" ID ": gone");
    assert_int_equal(u.have, 0);
    cw_usage_source_stats(w->source, &stats);
    assert_int_equal(stats.vanished, 1);
    assert_no_fault(w);
    cw_usage_close(g);
}

static void garbage_is_told_once_and_left_out(void **state)
{
    struct world *w = *state;
    struct cw_usage_stats stats;
    struct cw_usage_group *g;

    cgroup_tree_v2(w->root, "docker/" ID);
    cgroup_tree_put(w->root, ".", "docker/" ID, "memory.current", "max\n");
    cgroup_tree_put(w->root, ".", "docker/" ID, "memory.stat",
                    "anon 1\nfile -3\nshmem 1\ninactive_file 2\n");
    cgroup_tree_put(w->root, ".", "docker/" ID, "cpu.stat", "");
    cgroup_tree_put(w->root, ".", "docker/" ID, "pids.current", "12 13\n");
    cgroup_tree_put(w->root, ".", "docker/" ID, "io.stat", "8:0 rbytes=x wbytes=1\n");
    cgroup_tree_put(w->root, ".", "docker/" ID, "memory.peak", "99999999999999999999\n");
    g = open_group(w, CW_USAGE_ALL);
    for (int i = 0; i < 2; i++) {
        struct cw_usage u = sample(g, CW_USAGE_ALL);

        assert_int_equal(u.have, CW_USAGE_OOM);
        assert_int_equal(u.anon_bytes, 0);
        assert_int_equal(u.io_written_bytes, 0);
    }
    assert_fault(w, "cpu.stat: \"\" makes no sense");
    assert_fault(w, "memory.current: \"max?\" makes no sense: not measured");
    assert_fault(w, "memory.stat: \"anon 1?file -3?");
    assert_fault(w, "memory.peak");
    assert_fault(w, "io.stat");
    assert_fault(w, "pids.current");
    assert_no_fault(w);
    cw_usage_source_stats(w->source, &stats);
    assert_int_equal(stats.unreadable, 12);
    cw_usage_close(g);
}

static void file_that_is_too_long_is_left_out(void **state)
{
    static char text[40000];
    struct world *w = *state;
    struct cw_usage_group *g;

    memset(text, 'x', sizeof(text) - 1);
    cgroup_tree_v2(w->root, "docker/" ID);
    cgroup_tree_put(w->root, ".", "docker/" ID, "io.stat", text);
    g = open_group(w, CW_USAGE_ALL);
    assert_int_equal(sample(g, CW_USAGE_ALL).have, CW_USAGE_ALL & ~CW_USAGE_IO);
    assert_fault(w, "io.stat: File too large: not measured");
    cw_usage_close(g);
}

static void counter_that_steps_back_counts_as_no_progress(void **state)
{
    struct world *w = *state;
    struct cw_usage_stats stats;
    struct cw_usage_group *g;

    cgroup_tree_put(w->root, "cpuacct", "docker/" ID, "cpuacct.usage", "1000\n");
    g = open_group(w, CW_USAGE_CPU);
    assert_int_equal(sample(g, CW_USAGE_CPU).cpu_ns, 1000);
    cgroup_tree_put(w->root, "cpuacct", "docker/" ID, "cpuacct.usage", "40\n");
    assert_int_equal(sample(g, CW_USAGE_CPU).cpu_ns, 1000);
    cgroup_tree_put(w->root, "cpuacct", "docker/" ID, "cpuacct.usage", "140\n");
    assert_int_equal(sample(g, CW_USAGE_CPU).cpu_ns, 1100);
    cgroup_tree_put(w->root, "cpuacct", "docker/" ID, "cpuacct.usage", "18446744073709551615\n");
    assert_int_equal(sample(g, CW_USAGE_CPU).cpu_ns, UINT64_MAX); /* does not wrap */
    cgroup_tree_put(w->root, "cpuacct", "docker/" ID, "cpuacct.usage", "7\n");
    assert_int_equal(sample(g, CW_USAGE_CPU).cpu_ns, UINT64_MAX);
    cw_usage_source_stats(w->source, &stats);
    assert_int_equal(stats.backwards, 2);
    assert_int_equal(cw_usage_since(5, 7), 0);
    cw_usage_close(g);
}

static void inactive_cache_beyond_the_usage_gives_no_working_set(void **state)
{
    struct world *w = *state;
    struct cw_usage_group *g;

    cgroup_tree_v1(w->root, "docker/" ID);
    cgroup_tree_put(w->root, "memory", "docker/" ID, "memory.usage_in_bytes", "1000\n");
    g = open_group(w, CW_USAGE_HOT);
    assert_int_equal(sample(g, CW_USAGE_HOT).working_set_bytes, 0);
    cw_usage_close(g);
}

static void no_descriptors_left_is_not_taken_for_a_missing_file(void **state)
{
    struct world *w = *state;
    struct rlimit limit, none;
    struct cw_err err = {0};
    struct cw_usage_group *g;
    uint32_t have;

    cgroup_tree_v2(w->root, "docker/" ID);
    g = open_group(w, CW_USAGE_CPU);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    have = sample(g, CW_USAGE_CPU | CW_USAGE_PIDS).have;
    assert_null(cw_usage_open(w->source, ID, CW_USAGE_CPU, &err));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(have & CW_USAGE_PIDS, 0);
    assert_int_equal(have & CW_USAGE_CPU, CW_USAGE_CPU);
    assert_int_equal(err.sys_errno, EMFILE);
    assert_fault(w, "pids.current: Too many open files: not measured now");
    assert_int_equal(sample(g, CW_USAGE_PIDS).have, CW_USAGE_PIDS);
    cw_usage_close(g);
}

static void peak_begins_anew_where_its_file_can_be_written(void **state)
{
    struct world *w = *state;
    struct cw_usage_group *g;
    char text[32];

    cgroup_tree_v1(w->root, "docker/" ID);
    g = open_group(w, CW_USAGE_HOT);
    assert_true(cw_usage_reset_peak(g));
    assert_true(
        scratch_get(w->root, "memory/docker/" ID "/memory.max_usage_in_bytes", text, sizeof(text)));
    assert_int_equal(text[0], '0');
    cw_usage_close(g);
    g = open_group(w, CW_USAGE_CPU); /* its file is not kept */
    assert_false(cw_usage_reset_peak(g));
    cw_usage_close(g);
    remove_file(w, "memory/docker/" ID "/memory.max_usage_in_bytes");
    g = open_group(w, CW_USAGE_HOT);
    assert_false(cw_usage_reset_peak(g));
    cw_usage_close(g);
}

/* ---- kills for memory ---- */

static void kills_are_known_of_containers_that_are_not_open(void **state)
{
    struct world *w = *state;

    assert_int_equal(cw_usage_oom_kills(w->source, ID), -1);
    cgroup_tree_v1(w->root, "docker/" ID);
    assert_int_equal(cw_usage_oom_kills(w->source, ID), 2);
    cgroup_tree_put(w->root, "memory", "docker/" ID, "memory.oom_control", "oom_kill 3\n");
    assert_int_equal(cw_usage_oom_kills(w->source, ID), 3);
    assert_int_equal(cw_usage_oom_kills(w->source, OTHER), -1);
    assert_int_equal(cw_usage_oom_kills(w->source, ""), -1);
    assert_int_equal(cw_usage_oom_kills(w->source, "../docker"), -1);
    assert_no_fault(w);
}

static void kills_of_version_2(void **state)
{
    struct world *w = *state;

    cgroup_tree_v2(w->root, "system.slice/docker-" ID ".scope");
    assert_int_equal(cw_usage_oom_kills(w->source, ID), 0);
    cgroup_tree_put(w->root, ".", "system.slice/docker-" ID ".scope", "memory.events",
                    "low 0\noom 3\noom_kill 1\noom_group_kill 0\n");
    assert_int_equal(cw_usage_oom_kills(w->source, ID), 1);
}

/* As with an engine that was given a --cgroup-parent of which only it knows. */
static void kills_are_found_where_other_containers_were(void **state)
{
    struct world *w = *state;
    struct cw_err err = {0};
    struct cw_usage_group *g;

    cgroup_tree_v1(w->root, "actions/here/" OTHER);
    g = cw_usage_open(w->source, OTHER, CW_USAGE_HOT, &err);
    assert_non_null(g);
    cgroup_tree_v1(w->root, "elsewhere/" ID);
    assert_int_equal(cw_usage_oom_kills(w->source, ID), -1); /* not looked for */
    cgroup_tree_v1(w->root, "actions/here/" ID);
    assert_int_equal(cw_usage_oom_kills(w->source, ID), 2);
    cw_usage_close(g);
}

static void kernels_that_do_not_count_kills_say_nothing(void **state)
{
    struct world *w = *state;

    cgroup_tree_v1(w->root, "docker/" ID);
    cgroup_tree_put(w->root, "memory", "docker/" ID, "memory.oom_control",
                    "oom_kill_disable 0\nunder_oom 0\n");
    assert_int_equal(cw_usage_oom_kills(w->source, ID), -1);
    assert_fault(w, "memory.oom_control");
}

static void older_kernels_have_blkio_under_another_name(void **state)
{
    struct world *w = *state;
    struct cw_usage_group *g;
    struct cw_usage u;

    cgroup_tree_put(w->root, "cpuacct", "docker/" ID, "cpuacct.usage", V1_CPU);
    cgroup_tree_put(w->root, "blkio", "docker/" ID, "blkio.throttle.io_service_bytes", V1_IO_BYTES);
    cgroup_tree_put(w->root, "blkio", "docker/" ID, "blkio.throttle.io_serviced", "Total 0\n");
    g = open_group(w, CW_USAGE_IO);
    u = sample(g, CW_USAGE_IO);
    assert_int_equal(u.have, CW_USAGE_IO);
    assert_int_equal(u.io_read_bytes, 5096);
    assert_int_equal(u.io_reads, 0);
    assert_no_fault(w);
    cw_usage_close(g);
}

/* ---- host ---- */

static void host_totals_and_pressure(void **state)
{
    struct world *w = *state;
    struct cw_usage_host h;

    scratch_put(w->proc, "stat", PROC_STAT);
    scratch_put(w->proc, "meminfo", PROC_MEMINFO);
    scratch_put(w->proc, "pressure/cpu", PSI_CPU);
    scratch_put(w->proc, "pressure/memory", PSI_MEMORY);
    scratch_put(w->proc, "pressure/io", PSI_MEMORY);
    cw_usage_sample_host(w->source, CW_HOST_ALL, &h);
    assert_int_equal(h.have, CW_HOST_ALL);
    assert_true(h.cores >= 1);
    assert_int_equal(h.cpu_ns % (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)), 0);
    assert_int_equal(h.cpu_ns, 224 * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)));
    assert_int_equal(h.memory_total_bytes, UINT64_C(480284) * 1024);
    assert_int_equal(h.memory_available_bytes, UINT64_C(448440) * 1024);
    assert_int_equal(h.cpu.some_avg10, 1923);
    assert_int_equal(h.cpu.some_us, 3203351);
    assert_int_equal(h.memory.some_avg10, 192);
    assert_int_equal(h.memory.full_avg10, 7);
    assert_int_equal(h.memory.full_us, 93968264);
    scratch_put(w->proc, "stat", "cpu  1 0 1 297 0 0 0 0 0 0\n");
    cw_usage_sample_host(w->source, CW_HOST_CPU, &h);
    assert_int_equal(h.have, CW_HOST_CPU);
    assert_int_equal(h.cpu_ns, 224 * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)));
    assert_no_fault(w);
}

static void absent_pressure_is_reported_as_such(void **state)
{
    struct world *w = *state;
    struct cw_usage_host h;

    scratch_put(w->proc, "stat", PROC_STAT);
    scratch_put(w->proc, "meminfo", "MemTotal: 1 kB\nMemFree: 1 kB\n"); /* before Linux 3.14 */
    for (int i = 0; i < 2; i++) {
        cw_usage_sample_host(w->source, CW_HOST_ALL, &h);
        assert_int_equal(h.have, CW_HOST_CPU);
        assert_int_equal(h.memory_total_bytes, 0);
    }
    assert_fault(w, "meminfo: \"MemTotal: 1 kB?MemFree: 1 kB?\" makes no sense");
    assert_fault(w, "pressure/cpu: No such file or directory (kernel without PSI, or psi=0)");
    assert_fault(w, "pressure/memory");
    assert_fault(w, "pressure/io");
    assert_no_fault(w);
}

/* ---- this machine ---- */

static void host_of_this_test_has_totals(void **state)
{
    struct cw_usage_source *s = cw_usage_source_new("/nowhere", "/proc", NULL);
    struct cw_usage_host h;

    (void)state;
    cw_usage_sample_host(s, CW_HOST_CPU | CW_HOST_MEMORY, &h);
    assert_int_equal(h.have, CW_HOST_CPU | CW_HOST_MEMORY);
    assert_true(h.cpu_ns > 0 && h.memory_available_bytes > 0);
    assert_true(h.memory_total_bytes > h.memory_available_bytes);
    cw_usage_source_free(s);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(docker_with_cgroupfs_v1),
        CASE(docker_with_cgroupfs_v2),
        CASE(docker_with_systemd_v1),
        CASE(docker_with_systemd_v2),
        CASE(nested_docker_v1),
        CASE(nested_docker_v2),
        CASE(parent_of_ones_own),
        CASE(controllers_may_share_a_hierarchy),
        CASE(only_what_is_wanted_is_read),
        CASE(unknown_container_has_no_group),
        CASE(missing_controllers_are_named),
        CASE(missing_hierarchy_is_named),
        CASE(group_that_vanishes_before_its_files_are_opened),
        CASE(garbage_is_told_once_and_left_out),
        CASE(file_that_is_too_long_is_left_out),
        CASE(counter_that_steps_back_counts_as_no_progress),
        CASE(inactive_cache_beyond_the_usage_gives_no_working_set),
        CASE(no_descriptors_left_is_not_taken_for_a_missing_file),
        CASE(peak_begins_anew_where_its_file_can_be_written),
        CASE(kills_are_known_of_containers_that_are_not_open),
        CASE(kills_of_version_2),
        CASE(kills_are_found_where_other_containers_were),
        CASE(kernels_that_do_not_count_kills_say_nothing),
        CASE(older_kernels_have_blkio_under_another_name),
        CASE(host_totals_and_pressure),
        CASE(absent_pressure_is_reported_as_such),
        cmocka_unit_test(host_of_this_test_has_totals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
