#include "docker/probe/groups.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "docker/probe/small_file.h"

enum { MAX_MOUNTS = 256 << 10, ROOT_FIELD = 3, PLACE_FIELD = 4 };

/* Which file says what; the controller is the one whose hierarchy of version 1 has it. */
static const struct {
    const char *v1_controller, *v1_file, *v2_file;
} FILES[PB_GROUP_FILES] = {
    [PB_CPU] = {"cpuacct", "cpuacct.usage", "cpu.stat"},
    [PB_THROTTLED] = {"cpu", "cpu.stat", "cpu.stat"},
    [PB_MEMORY] = {"memory", "memory.usage_in_bytes", "memory.current"},
    [PB_MEMORY_STAT] = {"memory", "memory.stat", "memory.stat"},
    [PB_MEMORY_PEAK] = {"memory", "memory.max_usage_in_bytes", "memory.peak"},
    [PB_OOM] = {"memory", "memory.oom_control", "memory.events"},
    [PB_PIDS] = {"pids", "pids.current", "pids.current"},
};

/* ---- where the group is ---- */

static struct cw_slice next_field(struct cw_slice *text, char separator)
{
    const char *end = text->n ? memchr(text->p, separator, text->n) : NULL;
    struct cw_slice field = cw_slice(text->p, end ? (size_t)(end - text->p) : text->n);
    size_t used = field.n + (end != NULL);

    *text = cw_slice(text->p + used, text->n - used);
    return field;
}

static bool has_word(struct cw_slice list, const char *word)
{
    while (list.n)
        if (cw_slice_is(next_field(&list, ','), word))
            return true;
    return false;
}

/* A line of /proc/self/cgroup, "4:cpu,cpuacct:/docker/…" or "0::/…": the path of the hierarchy that
 * has this controller; NULL: version 2's. */
static struct cw_slice own_path(struct cw_slice text, const char *controller)
{
    while (text.n) {
        struct cw_slice line = next_field(&text, '\n');
        struct cw_slice number = next_field(&line, ':'), list = next_field(&line, ':');

        if (controller ? has_word(list, controller) : cw_slice_is(number, "0") && list.n == 0)
            return line;
    }
    return cw_slice(NULL, 0);
}

/* The part of a line of mountinfo that is the same for the one hierarchy we want:
 * "… - cgroup cgroup rw,cpu,cpuacct" or "… - cgroup2 cgroup rw". */
static bool is_mount_of(struct cw_slice line, const char *controller)
{
    const char *rest = memmem(line.p, line.n, " - ", 3);
    struct cw_slice tail, type;

    if (!rest)
        return false;
    tail = cw_slice(rest + 3, line.n - (size_t)(rest + 3 - line.p));
    type = next_field(&tail, ' ');
    if (!controller)
        return cw_slice_is(type, "cgroup2");
    (void)next_field(&tail, ' '); /* the source */
    return cw_slice_is(type, "cgroup") && has_word(tail, controller);
}

static bool starts_with(struct cw_slice s, struct cw_slice prefix)
{
    return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0 &&
           (s.n == prefix.n || s.p[prefix.n] == '/');
}

/* The folder of our own group in this mount, if it shows it. */
static bool folder_in(struct cw_slice line, struct cw_slice own, char folder[PATH_MAX])
{
    struct cw_slice root = {0}, place = {0}, below;
    int n;

    for (int i = 0; i <= PLACE_FIELD; i++) {
        place = next_field(&line, ' ');
        if (i == ROOT_FIELD)
            root = place;
    }
    if (cw_slice_is(root, "/"))
        root = cw_slice(root.p, 0);
    if (!starts_with(own, root))
        return false;
    below = cw_slice(own.p + root.n, own.n - root.n);
    n = snprintf(folder, PATH_MAX, "%.*s%.*s", (int)place.n, place.p, (int)below.n, below.p);
    return n > 0 && n < PATH_MAX && !memchr(folder, '\\', (size_t)n); /* octal for blanks */
}

static bool find_folder(struct cw_slice mounts, struct cw_slice groups, const char *controller,
                        char folder[PATH_MAX])
{
    struct cw_slice own = own_path(groups, controller);

    while (own.n && mounts.n) {
        struct cw_slice line = next_field(&mounts, '\n');

        if (is_mount_of(line, controller) && folder_in(line, own, folder))
            return true;
    }
    return false;
}

/* ---- its files ---- */

/* The root of a machine's hierarchy has files that no other group has (version 1's; version 2's
 * root has no memory.current). Its figures are not a container's. */
static int open_in(const char *folder, const char *name)
{
    int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;

    if (dir < 0)
        return -1;
    if (faccessat(dir, "cgroup.sane_behavior", F_OK, 0) != 0)
        fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    (void)close(dir);
    return fd;
}

static void open_version(struct pb_groups *g, struct cw_slice mounts, struct cw_slice groups)
{
    char folder[PATH_MAX];

    for (int i = 0; i < PB_GROUP_FILES; i++) {
        const char *controller = g->v2 ? NULL : FILES[i].v1_controller;

        if (find_folder(mounts, groups, controller, folder))
            g->fd[i] = open_in(folder, g->v2 ? FILES[i].v2_file : FILES[i].v1_file);
    }
    g->found = g->fd[PB_CPU] >= 0 && g->fd[PB_MEMORY] >= 0;
}

static bool read_whole(int dir, const char *name, struct cw_str *text)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd < 0)
        return false;
    for (char *room; (room = cw_str_reserve(text, 4096)); cw_str_commit(text, (size_t)n))
        if ((n = read(fd, room, 4096)) <= 0)
            break;
    (void)close(fd);
    return n == 0 && text->n > 0;
}

static void open_all(struct pb_groups *g, int dir)
{
    cw_auto_str struct cw_str mounts, groups;

    cw_str_init(&mounts, MAX_MOUNTS);
    cw_str_init(&groups, MAX_MOUNTS);
    if (!read_whole(dir, "self/mountinfo", &mounts) || !read_whole(dir, "self/cgroup", &groups))
        return;
    for (int version = 2; version >= 1 && !g->found; version--) {
        pb_groups_close(g);
        g->v2 = version == 2;
        open_version(g, cw_str_slice(&mounts), cw_str_slice(&groups));
    }
}

void pb_groups_open(struct pb_groups *g, const char *proc)
{
    int dir = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);

    *g = (struct pb_groups){0};
    for (int i = 0; i < PB_GROUP_FILES; i++)
        g->fd[i] = -1;
    if (dir < 0)
        return;
    open_all(g, dir);
    (void)close(dir);
    if (!g->found)
        pb_groups_close(g);
}

void pb_groups_close(struct pb_groups *g)
{
    for (int i = 0; i < PB_GROUP_FILES; i++) {
        if (g->fd[i] >= 0)
            (void)close(g->fd[i]);
        g->fd[i] = -1;
    }
    g->found = false;
}

/* ---- figures ---- */

/* key NULL: the file is the number. */
static int64_t figure(const struct pb_groups *g, enum pb_group_file file, const char *key)
{
    char text[PB_SMALL_FILE];

    if (g->fd[file] < 0 || !pb_read_fd(g->fd[file], text))
        return -1;
    return key ? pb_keyed_number(cw_slice_of(text), key) : pb_number(cw_slice_of(text));
}

static int64_t scaled(int64_t value, int64_t factor)
{
    return value < 0 || value > INT64_MAX / factor ? -1 : value * factor;
}

bool pb_groups_read(const struct pb_groups *g, struct cw_probe_figures *ret)
{
    struct cw_probe_figures f = *ret;
    int64_t droppable;

    f.source = g->v2 ? CW_PROBE_CGROUP2 : CW_PROBE_CGROUP1;
    f.cpu_ns = g->v2 ? scaled(figure(g, PB_CPU, "usage_usec"), 1000) : figure(g, PB_CPU, NULL);
    f.throttled_ns = g->v2 ? scaled(figure(g, PB_THROTTLED, "throttled_usec"), 1000)
                           : figure(g, PB_THROTTLED, "throttled_time");
    f.memory_bytes = figure(g, PB_MEMORY, NULL);
    droppable = figure(g, PB_MEMORY_STAT, g->v2 ? "inactive_file" : "total_inactive_file");
    if (droppable > 0 && f.memory_bytes >= droppable)
        f.memory_bytes -= droppable;
    f.peak_bytes = figure(g, PB_MEMORY_PEAK, NULL);
    f.oom_kills = figure(g, PB_OOM, "oom_kill");
    f.pids = figure(g, PB_PIDS, NULL);
    if (f.cpu_ns < 0 || f.memory_bytes < 0)
        return false;
    if (f.pids < 0) {
        f.pids = 0;
        f.pids_estimated = true;
    }
    *ret = f;
    return true;
}
