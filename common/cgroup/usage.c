/* A file that is not there although its group is, stays away: it is not looked for again in that
 * group. When a file of an open group answers that there is no such device, the group is gone. */
#include "common/cgroup/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/group_path.h"
#include "common/cgroup/usage_priv.h"

/* Figures that only grow, and the part that each belongs to. */
static const struct {
    size_t offset;
    uint32_t part;
} COUNTERS[] = {
    {offsetof(struct cw_usage, cpu_ns), CW_USAGE_CPU},
    {offsetof(struct cw_usage, user_ns), CW_USAGE_CPU_SPLIT},
    {offsetof(struct cw_usage, system_ns), CW_USAGE_CPU_SPLIT},
    {offsetof(struct cw_usage, throttled_ns), CW_USAGE_THROTTLE},
    {offsetof(struct cw_usage, periods), CW_USAGE_THROTTLE},
    {offsetof(struct cw_usage, throttled_periods), CW_USAGE_THROTTLE},
    {offsetof(struct cw_usage, oom_events), CW_USAGE_OOM},
    {offsetof(struct cw_usage, oom_kills), CW_USAGE_OOM},
    {offsetof(struct cw_usage, io_read_bytes), CW_USAGE_IO},
    {offsetof(struct cw_usage, io_written_bytes), CW_USAGE_IO},
    {offsetof(struct cw_usage, io_reads), CW_USAGE_IO},
    {offsetof(struct cw_usage, io_writes), CW_USAGE_IO},
};

struct counter {
    uint64_t raw, total; /* the kernel's last word; what has been told */
};

struct cw_usage_group {
    struct cw_usage_source *source;
    enum cw_cgroup_version version;
    uint32_t keep;
    uint32_t away;              /* bits of files that this group has not */
    uint32_t writable;          /* bits of files that are open for writing */
    int fd[CW_USAGE_MAX_FILES]; /* -1: not open */
    unsigned descriptors;
    bool peak_fixed; /* it cannot begin anew */
    uint64_t inactive_file_bytes;
    struct counter counter[CW_ARRAY_LEN(COUNTERS)];
    char *place;
};

/* ---- source ---- */

struct cw_usage_source *cw_usage_source_new(const char *cgroup_root, const char *proc,
                                            const char *parent)
{
    struct cw_usage_source *s = cw_alloc(sizeof(*s));

    s->root = cw_strdup(cgroup_root);
    s->proc = cw_strdup(proc);
    s->parent = cw_strdup(parent ? parent : "");
    cw_list_init(&s->faults);
    for (unsigned i = 0; i < CW_USAGE_HOST_FILES; i++)
        s->host_fd[i] = -1;
    return s;
}

void cw_usage_source_free(struct cw_usage_source *s)
{
    struct cw_err err;

    if (!s)
        return;
    while (cw_usage_next_fault(s, &err))
        ;
    for (unsigned i = 0; i < CW_USAGE_HOST_FILES; i++)
        if (s->host_fd[i] >= 0)
            (void)close(s->host_fd[i]);
    cw_cgroup_finder_free(s->finder);
    free(s->root);
    free(s->proc);
    free(s->parent);
    free(s);
}

void cw_usage_source_stats(const struct cw_usage_source *s, struct cw_usage_stats *ret)
{
    *ret = s->stats;
}

static bool is_folder(const struct cw_usage_source *s, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", s->root, name);

    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

/* Hierarchies of version 1 that two controllers share have both names; links to them with one name
 * are a habit, not a rule. */
const char *cw_usage_folder_of(const struct cw_usage_source *s, const char *controller)
{
    static const char *const SHARED[] = {"cpu,cpuacct", "cpuacct,cpu"};

    if (is_folder(s, controller) || strncmp(controller, "cpu", 3) != 0)
        return controller;
    for (size_t i = 0; i < CW_ARRAY_LEN(SHARED); i++)
        if (is_folder(s, SHARED[i]))
            return SHARED[i];
    return controller;
}

/* Groups are known by a file of the first hierarchy that is there. */
static void look_around(struct cw_usage_source *s)
{
    const struct cw_usage_files *v1 = &CW_USAGE_FILES_V1;
    struct cw_cgroup_marks marks = {.v2_file = CW_USAGE_FILES_V2.file[0].name};

    for (unsigned i = v1->count; i-- > 0;) {
        s->folder[i] = cw_usage_folder_of(s, v1->file[i].controller);
        if (!marks.v1_controller || is_folder(s, s->folder[i])) {
            marks.v1_controller = s->folder[i];
            marks.v1_file = v1->file[i].name;
        }
    }
    s->finder = cw_cgroup_finder_new(s->root, s->parent, &marks);
}

/* ---- files of a group ---- */

static const struct cw_usage_files *files_of(const struct cw_usage_group *g)
{
    return g->version == CW_CGROUP_V1 ? &CW_USAGE_FILES_V1 : &CW_USAGE_FILES_V2;
}

/* name NULL: the group's folder. */
static int path_of(const struct cw_usage_group *g, unsigned i, const char *name,
                   char path[PATH_MAX])
{
    const struct cw_usage_source *s = g->source;
    const bool v1 = g->version == CW_CGROUP_V1;
    int n = snprintf(path, PATH_MAX, "%s/%s%s%s%s%s", s->root, v1 ? s->folder[i] : "",
                     v1 ? "/" : "", g->place, name ? "/" : "", name ? name : "");

    if (n > 0 && n < PATH_MAX)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static int open_name(struct cw_usage_group *g, unsigned i, const char *name)
{
    const struct cw_usage_file *file = &files_of(g)->file[i];
    char path[PATH_MAX];
    int fd = -1;

    if (path_of(g, i, name, path) != 0)
        return -1;
    if (file->writable)
        fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        g->writable |= 1U << i;
    return fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC);
}

static int open_file(struct cw_usage_group *g, unsigned i)
{
    const struct cw_usage_file *file = &files_of(g)->file[i];
    int fd = open_name(g, i, file->name);

    if (fd < 0 && errno == ENOENT && file->older_name)
        fd = open_name(g, i, file->older_name);
    return fd;
}

/* Is there any folder of the group? */
static bool is_there(const struct cw_usage_group *g)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < files_of(g)->count; i++)
        if (path_of(g, i, NULL, path) == 0 && access(path, F_OK) == 0)
            return true;
    return false;
}

static void note_missing(struct cw_usage_group *g, unsigned i, int error)
{
    const struct cw_usage_file *file = &files_of(g)->file[i];
    char path[PATH_MAX];

    g->away |= 1U << i;
    if (path_of(g, i, NULL, path) != 0)
        return;
    if (error != ENOENT)
        cw_usage_note(g->source, g->version, i, CW_USAGE_UNREADABLE, "%s/%s: %s: not measured",
                      path, file->name, strerror(error));
    else if (access(path, F_OK) != 0)
        cw_usage_note(
            g->source, g->version, i, CW_USAGE_MISSING,
            "%s: not measured: the group is not in the hierarchy of the controller %s, or "
            "that is not mounted at %s/%s",
            file->name, file->controller, g->source->root, g->source->folder[i]);
    else
        cw_usage_note(g->source, g->version, i, CW_USAGE_MISSING,
                      "%s: not measured: the controller %s is not enabled for the group%s%s",
                      file->name, file->controller,
                      file->since ? ", or the kernel is older than " : "",
                      file->since ? file->since : "");
}

/* After a file could not be opened. -1: the group is gone. */
static int on_no_file(struct cw_usage_group *g, unsigned i, struct cw_err *err)
{
    const int error = errno;

    if (error == EMFILE || error == ENFILE || error == ENOMEM) {
        cw_usage_note(g->source, g->version, i, CW_USAGE_UNREADABLE, "%s: %s: not measured now",
                      files_of(g)->file[i].name, strerror(error));
        return 0;
    }
    if ((error == ENOENT || error == ENODEV) && !is_there(g))
        return cw_fail(err, CW_NOT_FOUND, "cgroup %s: gone", g->place);
    note_missing(g, i, error);
    return 0;
}

static int open_kept(struct cw_usage_group *g, struct cw_err *err)
{
    const struct cw_usage_files *files = files_of(g);

    for (unsigned i = 0; i < files->count; i++) {
        if (!(files->file[i].parts & g->keep))
            continue;
        g->fd[i] = open_file(g, i);
        if (g->fd[i] >= 0) {
            g->descriptors++;
            g->source->stats.descriptors++;
        } else if (errno == EMFILE || errno == ENFILE) {
            return cw_fail_errno(err, errno, "cgroup %s: %s", g->place, files->file[i].name);
        } else if (on_no_file(g, i, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* search: all groups are looked at for it, if need be. */
static struct cw_usage_group *open_group(struct cw_usage_source *s, const char *id, bool search,
                                         uint32_t keep, struct cw_err *err)
{
    cw_auto_str struct cw_str place;
    enum cw_cgroup_version version;
    struct cw_usage_group *g;

    cw_str_init(&place, PATH_MAX);
    if (!cw_cgroup_find(s->finder, id, search, &version, &place)) {
        (void)cw_fail(err, CW_NOT_FOUND, "cgroup of container %.64s: none below %s", id, s->root);
        return NULL;
    }
    g = cw_alloc(sizeof(*g));
    g->source = s;
    g->version = version;
    g->keep = keep;
    g->place = cw_str_steal(&place);
    for (unsigned i = 0; i < CW_USAGE_MAX_FILES; i++)
        g->fd[i] = -1;
    s->stats.groups++;
    if (open_kept(g, err) != 0) {
        cw_usage_close(g);
        return NULL;
    }
    return g;
}

struct cw_usage_group *cw_usage_open(struct cw_usage_source *s, const char *id, uint32_t keep,
                                     struct cw_err *err)
{
    if (!s->finder)
        look_around(s);
    return open_group(s, id, true, keep, err);
}

void cw_usage_close(struct cw_usage_group *g)
{
    if (!g)
        return;
    for (unsigned i = 0; i < CW_USAGE_MAX_FILES; i++)
        if (g->fd[i] >= 0)
            (void)close(g->fd[i]);
    g->source->stats.descriptors -= g->descriptors;
    g->source->stats.groups--;
    free(g->place);
    free(g);
}

enum cw_cgroup_version cw_usage_version(const struct cw_usage_group *g)
{
    return g->version;
}

unsigned cw_usage_descriptors(const struct cw_usage_group *g)
{
    return g->descriptors;
}

/* ---- samples ---- */

/* -1: the group is gone. */
static int read_file(struct cw_usage_group *g, unsigned i, int fd, struct cw_usage *u,
                     struct cw_err *err)
{
    const struct cw_usage_file *file = &files_of(g)->file[i];
    const struct cw_usage before = *u;
    char text[CW_USAGE_TEXT_MAX];
    ssize_t n = cw_usage_read(g->source, fd, text, sizeof(text));

    if (n < 0 && (errno == ENODEV || errno == ENOENT))
        return cw_fail(err, CW_NOT_FOUND, "cgroup %s: gone", g->place);
    if (n < 0) {
        cw_usage_note(g->source, g->version, i, CW_USAGE_UNREADABLE, "%s: %s: not measured",
                      file->name, strerror(errno));
    } else if (!cw_usage_parse(file, cw_slice(text, (size_t)n), u)) {
        *u = before;
        cw_usage_note(g->source, g->version, i, CW_USAGE_GARBAGE,
                      "%s: \"%.*s\" makes no sense: not measured", file->name, n < 40 ? (int)n : 40,
                      text);
    }
    return 0;
}

static int sample_file(struct cw_usage_group *g, unsigned i, struct cw_usage *u, struct cw_err *err)
{
    int fd = g->fd[i], rc;

    if (fd >= 0)
        return read_file(g, i, fd, u, err);
    if (g->away & (1U << i))
        return 0;
    fd = open_file(g, i);
    if (fd < 0)
        return on_no_file(g, i, err);
    rc = read_file(g, i, fd, u, err);
    (void)close(fd);
    return rc;
}

static void let_grow(struct cw_usage_group *g, struct cw_usage *u)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(COUNTERS); i++) {
        struct counter *c = &g->counter[i];
        char *at = (char *)u + COUNTERS[i].offset;
        uint64_t now;

        if (!(u->have & COUNTERS[i].part))
            continue;
        memcpy(&now, at, sizeof(now));
        g->source->stats.backwards += now < c->raw;
        c->total = cw_cgroup_sum(c->total, cw_usage_since(now, c->raw));
        c->raw = now;
        memcpy(at, &c->total, sizeof(c->total));
    }
}

static void find_working_set(struct cw_usage_group *g, struct cw_usage *u)
{
    if (u->have & CW_USAGE_MEMORY_STAT)
        g->inactive_file_bytes = u->inactive_file_bytes;
    if (u->have & CW_USAGE_MEMORY)
        u->working_set_bytes = cw_usage_since(u->memory_bytes, g->inactive_file_bytes);
}

int cw_usage_sample(struct cw_usage_group *g, uint32_t want, struct cw_usage *ret,
                    struct cw_err *err)
{
    const struct cw_usage_files *files = files_of(g);
    int rc = 0;

    *ret = (struct cw_usage){0};
    g->source->stats.samples++;
    for (unsigned i = 0; i < files->count && rc == 0; i++)
        if (files->file[i].parts & want)
            rc = sample_file(g, i, ret, err);
    let_grow(g, ret);
    find_working_set(g, ret);
    g->source->stats.vanished += rc != 0;
    return rc;
}

/* Most that are asked for are gone: as with a freezer's release, one place is enough once it is
 * known. */
int64_t cw_usage_oom_kills(struct cw_usage_source *s, const char *id)
{
    struct cw_usage_group *g;
    struct cw_usage u;

    if (!s->finder)
        look_around(s);
    g = open_group(s, id, !cw_cgroup_found_any(s->finder), 0, NULL);
    if (!g)
        return -1;
    (void)!cw_usage_sample(g, CW_USAGE_OOM, &u, NULL);
    cw_usage_close(g);
    return u.have & CW_USAGE_OOM && u.oom_kills <= INT64_MAX ? (int64_t)u.oom_kills : -1;
}

bool cw_usage_reset_peak(struct cw_usage_group *g)
{
    const struct cw_usage_files *files = files_of(g);

    for (unsigned i = 0; i < files->count && !g->peak_fixed; i++) {
        if (files->file[i].parts != CW_USAGE_PEAK)
            continue;
        g->peak_fixed =
            g->fd[i] < 0 || !(g->writable & (1U << i)) || pwrite(g->fd[i], "0", 1, 0) != 1;
        return !g->peak_fixed;
    }
    return false;
}
