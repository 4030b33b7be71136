#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cgroup/usage_priv.h"

bool cw_usage_parse_stat(struct cw_slice text, uint64_t hz, uint64_t *ret_ns)
{
    /* user nice system idle iowait irq softirq; what follows was stolen, or is part of user */
    static const bool BUSY[] = {true, true, true, false, false, true, true};
    struct cw_slice line, word;
    uint64_t ticks = 0, v;

    if (!cw_cgroup_next_line(&text, &line) || !cw_cgroup_next_word(&line, &word) ||
        !cw_slice_is(word, "cpu"))
        return false;
    for (size_t i = 0; i < CW_ARRAY_LEN(BUSY); i++) {
        if (!cw_cgroup_next_word(&line, &word) || !cw_cgroup_number(word, &v))
            return false;
        ticks = BUSY[i] ? cw_cgroup_sum(ticks, v) : ticks;
    }
    *ret_ns = cw_cgroup_product(ticks, UINT64_C(1000000000) / hz);
    return true;
}

static bool kilobytes(struct cw_slice line, uint64_t *ret_bytes)
{
    struct cw_slice number, unit;
    uint64_t v;

    if (!cw_cgroup_next_word(&line, &number) || !cw_cgroup_number(number, &v) ||
        !cw_cgroup_next_word(&line, &unit) || !cw_slice_is(unit, "kB"))
        return false;
    *ret_bytes = cw_cgroup_product(v, 1024);
    return true;
}

bool cw_usage_parse_meminfo(struct cw_slice text, uint64_t *ret_total, uint64_t *ret_available)
{
    struct cw_slice line, key;
    uint64_t total = 0, available = 0;
    unsigned found = 0;

    while (found != 3 && cw_cgroup_next_line(&text, &line)) {
        if (!cw_cgroup_next_word(&line, &key))
            return false;
        if (cw_slice_is(key, "MemTotal:"))
            found |= kilobytes(line, &total) ? 1 : 0;
        else if (cw_slice_is(key, "MemAvailable:"))
            found |= kilobytes(line, &available) ? 2 : 0;
    }
    if (found != 3)
        return false;
    *ret_total = total;
    *ret_available = available;
    return true;
}

static bool stat_cpu(struct cw_slice text, struct cw_usage_host *h)
{
    long hz = sysconf(_SC_CLK_TCK);

    return cw_usage_parse_stat(text, hz > 0 ? (uint64_t)hz : 100, &h->cpu_ns);
}

static bool memory(struct cw_slice text, struct cw_usage_host *h)
{
    return cw_usage_parse_meminfo(text, &h->memory_total_bytes, &h->memory_available_bytes);
}

static bool pressure_cpu(struct cw_slice text, struct cw_usage_host *h)
{
    return cw_cgroup_pressure(text, &h->cpu);
}

static bool pressure_memory(struct cw_slice text, struct cw_usage_host *h)
{
    return cw_cgroup_pressure(text, &h->memory);
}

static bool pressure_io(struct cw_slice text, struct cw_usage_host *h)
{
    return cw_cgroup_pressure(text, &h->io);
}

/* /proc/stat has hundreds of numbers of interrupts behind the line that is looked at. */
static const struct {
    uint32_t part;
    const char *name;
    size_t enough; /* to be read */
    bool (*parse)(struct cw_slice text, struct cw_usage_host *h);
    const char *hint; /* why it may be missing */
} FILES[CW_USAGE_HOST_FILES] = {
    {CW_HOST_CPU, "stat", 256, stat_cpu, ""},
    {CW_HOST_MEMORY, "meminfo", 512, memory, ""},
    {CW_HOST_PRESSURE_CPU, "pressure/cpu", 512, pressure_cpu, " (kernel without PSI, or psi=0)"},
    {CW_HOST_PRESSURE_MEMORY, "pressure/memory", 512, pressure_memory,
     " (kernel without PSI, or psi=0)"},
    {CW_HOST_PRESSURE_IO, "pressure/io", 512, pressure_io, " (kernel without PSI, or psi=0)"},
};

static bool open_file(struct cw_usage_source *s, unsigned i)
{
    char path[PATH_MAX];
    int n;

    if (s->host_fd[i] >= 0)
        return true;
    if (s->host_missing & (1U << i))
        return false;
    n = snprintf(path, sizeof(path), "%s/%s", s->proc, FILES[i].name);
    s->host_fd[i] = n > 0 && (size_t)n < sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (s->host_fd[i] >= 0) {
        s->stats.descriptors++;
        return true;
    }
    if (errno != EMFILE && errno != ENFILE)
        s->host_missing |= 1U << i;
    cw_usage_note(s, CW_CGROUP_VERSIONS, i, CW_USAGE_MISSING, "%s/%s: %s%s: not measured", s->proc,
                  FILES[i].name, strerror(errno), FILES[i].hint);
    return false;
}

static void sample_file(struct cw_usage_source *s, unsigned i, struct cw_usage_host *ret)
{
    char text[512];
    ssize_t n;

    if (!open_file(s, i))
        return;
    s->stats.reads++;
    n = pread(s->host_fd[i], text, FILES[i].enough, 0);
    if (n < 0)
        cw_usage_note(s, CW_CGROUP_VERSIONS, i, CW_USAGE_UNREADABLE, "%s/%s: %s%s: not measured",
                      s->proc, FILES[i].name, strerror(errno), FILES[i].hint);
    else if (FILES[i].parse(cw_slice(text, (size_t)n), ret))
        ret->have |= FILES[i].part;
    else
        cw_usage_note(s, CW_CGROUP_VERSIONS, i, CW_USAGE_GARBAGE,
                      "%s/%s: \"%.*s\" makes no sense: not measured", s->proc, FILES[i].name,
                      n < 40 ? (int)n : 40, text);
}

void cw_usage_sample_host(struct cw_usage_source *s, uint32_t want, struct cw_usage_host *ret)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    *ret = (struct cw_usage_host){.cores = cores > 0 ? (uint32_t)cores : 1};
    for (unsigned i = 0; i < CW_USAGE_HOST_FILES; i++)
        if (want & FILES[i].part)
            sample_file(s, i, ret);
    if (!(ret->have & CW_HOST_CPU))
        return;
    if (ret->cpu_ns < s->host_cpu_ns) {
        s->stats.backwards++;
        ret->cpu_ns = s->host_cpu_ns;
    }
    s->host_cpu_ns = ret->cpu_ns;
}
