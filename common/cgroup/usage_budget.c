/* Limits hold for a group with all below it, so the smallest between the containers and the root
 * counts. Nothing is kept open: this is read once a second. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cgroup/group_path.h"
#include "common/cgroup/usage_priv.h"

enum { TEXT_MAX = 8192, MILLIS = 1000, CPUS_MAX = 65536 };

/* One group on the way to the root. */
struct level {
    const struct cw_usage_source *source;
    const char *place; /* below a hierarchy's root */
    bool v1;
    struct cw_usage_budget *budget;
    char *text; /* TEXT_MAX bytes for contents */
};

/* controller: of version 1's hierarchy. false: it is not there. */
static bool read_file(const struct level *at, const char *controller, const char *name,
                      struct cw_slice *ret)
{
    const char *root = at->source->root;
    const char *folder = at->v1 ? cw_usage_folder_of(at->source, controller) : ".";
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s/%s/%s", root, folder, at->place, name);
    ssize_t got;
    int fd;

    if (n < 0 || (size_t)n >= sizeof(path) || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    got = read(fd, at->text, TEXT_MAX);
    (void)close(fd);
    *ret = cw_slice(at->text, got > 0 ? (size_t)got : 0);
    return got > 0;
}

static bool read_number(const struct level *at, const char *controller, const char *name,
                        uint64_t *ret)
{
    struct cw_slice text;

    return read_file(at, controller, name, &text) && cw_cgroup_only_number(text, ret);
}

/* ---- CPU ---- */

static void lower_cpu(const struct level *at, uint64_t millis)
{
    if (millis && millis < (uint64_t)at->budget->cpu_millis)
        at->budget->cpu_millis = (int64_t)millis;
}

/* "max" and -1 are no numbers: no quota. */
static void take_quota(const struct level *at)
{
    struct cw_slice text, line, word;
    uint64_t quota = 0, period = 0;

    if (at->v1) {
        if (!read_number(at, "cpu", "cpu.cfs_quota_us", &quota) ||
            !read_number(at, "cpu", "cpu.cfs_period_us", &period))
            return;
    } else if (!read_file(at, "cpu", "cpu.max", &text) || !cw_cgroup_next_line(&text, &line) ||
               !cw_cgroup_next_word(&line, &word) || !cw_cgroup_number(word, &quota) ||
               !cw_cgroup_next_word(&line, &word) || !cw_cgroup_number(word, &period)) {
        return;
    }
    if (quota && period) /* the least that can be told is one millicore */
        lower_cpu(at, quota < period / MILLIS ? 1 : cw_cgroup_product(quota, MILLIS) / period);
}

static struct cw_slice cut_at(struct cw_slice *text, char mark)
{
    const char *found = text->n ? memchr(text->p, mark, text->n) : NULL;
    size_t n = found ? (size_t)(found - text->p) : text->n;
    struct cw_slice before = cw_slice(text->p, n);

    n += found ? 1 : 0;
    *text = cw_slice(text->p + n, text->n - n);
    return before;
}

uint32_t cw_usage_count_cpus(struct cw_slice text)
{
    struct cw_slice line, from, to;
    uint64_t count = 0, first, last;

    if (!cw_cgroup_next_line(&text, &line))
        return 0;
    while (line.n) {
        to = cut_at(&line, ',');
        from = cut_at(&to, '-');
        if (!cw_cgroup_number(from, &first))
            return 0;
        last = first;
        if ((to.n && !cw_cgroup_number(to, &last)) || last < first || last > CPUS_MAX)
            return 0;
        count += last - first + 1;
    }
    return count <= CPUS_MAX ? (uint32_t)count : 0;
}

/* What is in force, groups above included. */
static void take_cpuset(const struct level *at)
{
    struct cw_slice text;

    if (read_file(at, "cpuset", at->v1 ? "cpuset.effective_cpus" : "cpuset.cpus.effective", &text))
        lower_cpu(at, (uint64_t)cw_usage_count_cpus(text) * MILLIS);
}

/* ---- memory ---- */

static void take_memory(const struct level *at)
{
    static const struct {
        const char *limit, *used, *cache;
    } NAMES[] = {
        {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
        {"memory.max", "memory.current", "inactive_file"},
    };
    const unsigned v = at->v1 ? 0 : 1;
    uint64_t machine, limit, used, cache = 0;
    struct cw_slice stat;
    int64_t left;

    machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (!read_number(at, "memory", NAMES[v].limit, &limit) || limit >= machine)
        return;
    if (at->budget->memory_bytes < 0 || limit < (uint64_t)at->budget->memory_bytes)
        at->budget->memory_bytes = (int64_t)limit;
    if (!read_number(at, "memory", NAMES[v].used, &used))
        return;
    if (read_file(at, "memory", "memory.stat", &stat))
        (void)cw_cgroup_number_of(stat, NAMES[v].cache, &cache);
    used = cw_usage_since(used, cache);
    left = (int64_t)cw_usage_since(limit, used);
    if (at->budget->memory_available_bytes < 0 || left < at->budget->memory_available_bytes)
        at->budget->memory_available_bytes = left;
}

/* ---- public ---- */

static bool find_parent(const struct cw_usage_source *s, struct cw_str *place)
{
    if (s->finder)
        return cw_cgroup_parent(s->finder, place);
    if (!s->parent[0])
        return false;
    cw_cgroup_parent_place(s->parent, place);
    return place->n > 0 && !place->failed;
}

static bool has_v1(const struct cw_usage_source *s)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/memory", s->root);

    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

void cw_usage_sample_budget(struct cw_usage_source *s, struct cw_usage_budget *ret)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct level at = {.source = s, .budget = ret, .v1 = has_v1(s)};
    cw_auto_str struct cw_str place;
    char text[TEXT_MAX], *slash;

    cw_str_init(&place, PATH_MAX);
    *ret = (struct cw_usage_budget){(cores > 0 ? cores : 1) * MILLIS, -1, -1};
    if (!find_parent(s, &place))
        return;
    at.text = text;
    at.place = place.p;
    take_cpuset(&at);
    do {
        take_quota(&at);
        take_memory(&at);
        slash = strrchr(place.p, '/');
        if (slash)
            *slash = '\0';
    } while (slash);
}
