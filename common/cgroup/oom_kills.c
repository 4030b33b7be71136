#include "common/cgroup/oom_kills.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cgroup/group_path.h"
#include "common/cgroup/usage_text.h"

enum { MAX_FILE = 4096 };

int64_t cw_cgroup_parse_oom_kills(struct cw_slice text)
{
    uint64_t count; /* not oom_kill_disable, not oom_group_kill */

    return cw_cgroup_number_of(text, "oom_kill", &count) && count <= INT64_MAX ? (int64_t)count
                                                                               : -1;
}

static int64_t read_count(const char *path)
{
    char text[MAX_FILE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof(text));
    (void)close(fd);
    return n > 0 ? cw_cgroup_parse_oom_kills(cw_slice(text, (size_t)n)) : -1;
}

/* A group of either version, by its path below the root. */
static int64_t count_of(const char *root, const char *group)
{
    char path[PATH_MAX];
    int64_t count = -1;
    int n = snprintf(path, sizeof(path), "%s/%s/memory.events", root, group);

    if (n > 0 && (size_t)n < sizeof(path))
        count = read_count(path);
    if (count >= 0)
        return count;
    n = snprintf(path, sizeof(path), "%s/memory/%s/memory.oom_control", root, group);
    return n > 0 && (size_t)n < sizeof(path) ? read_count(path) : -1;
}

int64_t cw_cgroup_oom_kills(const char *root, const char *parent, const char *id)
{
    cw_auto_str struct cw_str group;
    int64_t count = -1;

    cw_str_init(&group, PATH_MAX);
    if (!cw_cgroup_is_id(id))
        return -1;
    for (size_t rule = 0; count < 0 && cw_cgroup_known_place(parent, id, rule, &group); rule++)
        count = group.failed ? -1 : count_of(root, group.p);
    return count;
}
