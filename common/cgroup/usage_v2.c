/* One hierarchy, all figures include the groups below. A group has the files of those controllers
 * that its parent enables; cpu.stat's times are always there. */
#include "common/cgroup/usage_priv.h"

static const struct cw_cgroup_field CPU[] = {
    {"usage_usec", offsetof(struct cw_usage, cpu_ns), 1000},
    {"user_usec", offsetof(struct cw_usage, user_ns), 1000},
    {"system_usec", offsetof(struct cw_usage, system_ns), 1000},
    {"nr_periods", offsetof(struct cw_usage, periods), 1},
    {"nr_throttled", offsetof(struct cw_usage, throttled_periods), 1},
    {"throttled_usec", offsetof(struct cw_usage, throttled_ns), 1000},
};

static const struct cw_cgroup_field MEMORY_STAT[] = {
    {"anon", offsetof(struct cw_usage, anon_bytes), 1},
    {"file", offsetof(struct cw_usage, file_bytes), 1},
    {"shmem", offsetof(struct cw_usage, shmem_bytes), 1},
    {"inactive_file", offsetof(struct cw_usage, inactive_file_bytes), 1},
};

static const struct cw_cgroup_field OOM[] = {
    {"oom", offsetof(struct cw_usage, oom_events), 1},
    {"oom_kill", offsetof(struct cw_usage, oom_kills), 1},
};

static bool cpu(struct cw_slice text, struct cw_usage *u)
{
    const uint32_t times = 1 | 2 | 4, quota = 8 | 16 | 32;
    bool sound;
    uint32_t found = cw_cgroup_fields(text, CPU, CW_ARRAY_LEN(CPU), u, &sound);

    if ((found & times) != times || !sound)
        return false;
    u->have |= CW_USAGE_CPU | CW_USAGE_CPU_SPLIT;
    if ((found & quota) == quota) /* else the controller is not enabled */
        u->have |= CW_USAGE_THROTTLE;
    return true;
}

static void add_to(char *at, uint64_t v)
{
    uint64_t sum;

    memcpy(&sum, at, sizeof(sum));
    sum = cw_cgroup_sum(sum, v);
    memcpy(at, &sum, sizeof(sum));
}

static bool io_word(struct cw_slice word, struct cw_usage *u)
{
    static const struct cw_cgroup_field KEYS[] = {
        {"rbytes=", offsetof(struct cw_usage, io_read_bytes), 1},
        {"wbytes=", offsetof(struct cw_usage, io_written_bytes), 1},
        {"rios=", offsetof(struct cw_usage, io_reads), 1},
        {"wios=", offsetof(struct cw_usage, io_writes), 1},
    };
    uint64_t v;

    for (size_t i = 0; i < CW_ARRAY_LEN(KEYS); i++) {
        size_t n = strlen(KEYS[i].key);

        if (word.n < n || memcmp(word.p, KEYS[i].key, n) != 0)
            continue;
        if (!cw_cgroup_number(cw_slice(word.p + n, word.n - n), &v))
            return false;
        add_to((char *)u + KEYS[i].offset, v);
        return true;
    }
    return true;
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0". Some kernels leave the line end out behind
 * a device that did nothing: what has no '=' is passed over. Empty: nothing was done yet. */
static bool io(struct cw_slice text, struct cw_usage *u)
{
    struct cw_slice line, word;

    while (cw_cgroup_next_line(&text, &line)) {
        if (line.n && !memchr(line.p, ':', line.n))
            return false;
        while (cw_cgroup_next_word(&line, &word))
            if (!io_word(word, u))
                return false;
    }
    u->have |= CW_USAGE_IO;
    return true;
}

/* clang-format off */
static const struct cw_usage_file FILES[] = {
    {.parts = CW_USAGE_CPU | CW_USAGE_CPU_SPLIT | CW_USAGE_THROTTLE, .controller = "cpu", .name = "cpu.stat", .since = "Linux 4.15", .parse = cpu},
    {.parts = CW_USAGE_MEMORY, .controller = "memory", .name = "memory.current", .number = offsetof(struct cw_usage, memory_bytes)},
    {.parts = CW_USAGE_MEMORY_STAT, .controller = "memory", .name = "memory.stat",
     .fields = MEMORY_STAT, .field_count = CW_ARRAY_LEN(MEMORY_STAT), .needed = 15},
    {.parts = CW_USAGE_PEAK, .controller = "memory", .name = "memory.peak", .since = "Linux 5.19", .number = offsetof(struct cw_usage, peak_bytes), .writable = true},
    {.parts = CW_USAGE_OOM, .controller = "memory", .name = "memory.events",
     .fields = OOM, .field_count = CW_ARRAY_LEN(OOM), .needed = 3},
    {.parts = CW_USAGE_IO, .controller = "io", .name = "io.stat", .parse = io},
    {.parts = CW_USAGE_PIDS, .controller = "pids", .name = "pids.current", .number = offsetof(struct cw_usage, pids)},
};
/* clang-format on */

const struct cw_usage_files CW_USAGE_FILES_V2 = {FILES, CW_ARRAY_LEN(FILES)};
