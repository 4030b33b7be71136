/* Each controller may have a hierarchy of its own. Sums over the groups below are taken where a
 * file has both (total_…, …_recursive). */
#include "common/cgroup/usage_priv.h"

static const struct cw_cgroup_field MEMORY_STAT[] = {
    {"total_rss", offsetof(struct cw_usage, anon_bytes), 1},
    {"total_cache", offsetof(struct cw_usage, file_bytes), 1},
    {"total_inactive_file", offsetof(struct cw_usage, inactive_file_bytes), 1},
    {"total_shmem", offsetof(struct cw_usage, shmem_bytes), 1}, /* may be missing: Linux 3 */
};

static const struct cw_cgroup_field THROTTLE[] = {
    {"nr_periods", offsetof(struct cw_usage, periods), 1},
    {"nr_throttled", offsetof(struct cw_usage, throttled_periods), 1},
    {"throttled_time", offsetof(struct cw_usage, throttled_ns), 1},
};

static bool oom(struct cw_slice text, struct cw_usage *u)
{
    if (!cw_cgroup_number_of(text, "oom_kill", &u->oom_kills))
        return false;
    u->oom_events = u->oom_kills;
    u->have |= CW_USAGE_OOM;
    return true;
}

static bool io_bytes(struct cw_slice text, struct cw_usage *u)
{
    if (!cw_cgroup_blkio(text, &u->io_read_bytes, &u->io_written_bytes))
        return false;
    u->have |= CW_USAGE_IO;
    return true;
}

static bool io_count(struct cw_slice text, struct cw_usage *u)
{
    return cw_cgroup_blkio(text, &u->io_reads, &u->io_writes);
}

/* clang-format off */
static const struct cw_usage_file FILES[] = {
    {.parts = CW_USAGE_CPU, .controller = "cpuacct", .name = "cpuacct.usage", .number = offsetof(struct cw_usage, cpu_ns)},
    {.parts = CW_USAGE_MEMORY, .controller = "memory", .name = "memory.usage_in_bytes", .number = offsetof(struct cw_usage, memory_bytes)},
    {.parts = CW_USAGE_MEMORY_STAT, .controller = "memory", .name = "memory.stat",
     .fields = MEMORY_STAT, .field_count = CW_ARRAY_LEN(MEMORY_STAT), .needed = 1 | 2 | 4},
    {.parts = CW_USAGE_PEAK, .controller = "memory", .name = "memory.max_usage_in_bytes", .number = offsetof(struct cw_usage, peak_bytes), .writable = true},
    {.parts = CW_USAGE_THROTTLE, .controller = "cpu", .name = "cpu.stat",
     .fields = THROTTLE, .field_count = CW_ARRAY_LEN(THROTTLE), .needed = 1 | 2 | 4},
    {.parts = CW_USAGE_OOM, .controller = "memory", .name = "memory.oom_control", .since = "Linux 4.13", .parse = oom},
    {.parts = CW_USAGE_IO, .controller = "blkio", .name = "blkio.throttle.io_service_bytes_recursive",
     .older_name = "blkio.throttle.io_service_bytes", .parse = io_bytes},
    {.parts = CW_USAGE_IO, .controller = "blkio", .name = "blkio.throttle.io_serviced_recursive",
     .older_name = "blkio.throttle.io_serviced", .parse = io_count},
    {.parts = CW_USAGE_PIDS, .controller = "pids", .name = "pids.current", .number = offsetof(struct cw_usage, pids)},
};
/* clang-format on */

const struct cw_usage_files CW_USAGE_FILES_V1 = {FILES, CW_ARRAY_LEN(FILES)};
