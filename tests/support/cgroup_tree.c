#include "tests/support/cgroup_tree.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>

#include "tests/support/cgroup_recorded.h"
#include "tests/support/scratch.h"

struct file {
    const char *controller, *name, *text;
};

static const struct file FILES_V1[] = {
    {"cpuacct", "cpuacct.usage", V1_CPU},
    {"memory", "memory.usage_in_bytes", V1_MEMORY},
    {"memory", "memory.stat", V1_MEMORY_STAT},
    {"memory", "memory.max_usage_in_bytes", V1_PEAK},
    {"memory", "memory.oom_control", V1_OOM},
    {"cpu", "cpu.stat", V1_THROTTLE},
    {"blkio", "blkio.throttle.io_service_bytes_recursive", V1_IO_BYTES},
    {"blkio", "blkio.throttle.io_serviced_recursive", V1_IO_COUNT},
    {"pids", "pids.current", V1_PIDS},
};

static const struct file FILES_V2[] = {
    {".", "cpu.stat", V2_CPU},
    {".", "memory.current", V2_MEMORY},
    {".", "memory.stat", V2_MEMORY_STAT},
    {".", "memory.peak", V2_PEAK},
    {".", "memory.events", V2_EVENTS},
    {".", "io.stat", V2_IO},
    {".", "pids.current", V2_PIDS},
};

void cgroup_tree_put(const char *root, const char *controller, const char *group, const char *name,
                     const char *text)
{
    char file[PATH_MAX];

    (void)snprintf(file, sizeof(file), "%s/%s/%s", controller, group, name);
    scratch_put(root, file, text);
}

static void put_all(const char *root, const char *group, const struct file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cgroup_tree_put(root, files[i].controller, group, files[i].name, files[i].text);
}

void cgroup_tree_v1(const char *root, const char *group)
{
    put_all(root, group, FILES_V1, sizeof(FILES_V1) / sizeof(FILES_V1[0]));
}

void cgroup_tree_v2(const char *root, const char *group)
{
    put_all(root, group, FILES_V2, sizeof(FILES_V2) / sizeof(FILES_V2[0]));
}
