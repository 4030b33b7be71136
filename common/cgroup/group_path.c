/* Docker with the cgroupfs driver: <parent>/<id>, "docker" by default; with systemd's:
 * <slice>/docker-<id>.scope; Podman: <slice>/libpod-<id>.scope, its processes one deeper with v2,
 * which does not matter to files that speak of a group with all below it. */
#include "common/cgroup/group_path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

enum { ID_LEN = 64, MAX_DEPTH = 8, MAX_GROUPS = 2000 };

bool cw_cgroup_is_id(const char *id)
{
    return strlen(id) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN;
}

/* systemd's folder of a slice: "a-b.slice" lies in "a.slice". */
static void add_slice_path(struct cw_str *out, const char *slice)
{
    for (const char *dash = strchr(slice, '-'); dash; dash = strchr(dash + 1, '-')) {
        cw_str_add(out, slice, (size_t)(dash - slice));
        cw_str_addz(out, ".slice/");
    }
    cw_str_addz(out, slice);
}

static void add_parent(struct cw_str *out, const char *parent)
{
    size_t n = strlen(parent);

    if (n > 6 && strcmp(parent + n - 6, ".slice") == 0 && !strchr(parent, '/'))
        add_slice_path(out, parent);
    else
        cw_str_addz(out, parent);
}

void cw_cgroup_parent_place(const char *parent, struct cw_str *out)
{
    cw_str_reset(out);
    add_parent(out, parent + strspn(parent, "/"));
}

bool cw_cgroup_known_place(const char *parent, const char *id, size_t rule, struct cw_str *out)
{
    static const struct {
        const char *parent; /* the engine's default */
        const char *prefix, *suffix;
    } RULES[] = {
        {"docker", "", ""},
        {"system.slice", "docker-", ".scope"},
        {"machine.slice", "libpod-", ".scope"},
        {"libpod_parent", "libpod-", ""},
    };

    if (rule >= CW_ARRAY_LEN(RULES))
        return false;
    cw_str_reset(out);
    add_parent(out, parent && parent[0] ? parent : RULES[rule].parent);
    cw_str_addf(out, "/%s%s%s", RULES[rule].prefix, id, RULES[rule].suffix);
    return true;
}

/* "<id>", "<word>-<id>", with or without ".scope". "libpod-conmon-<id>.scope" is Podman's monitor.
 */
bool cw_cgroup_is_group_of(const char *name, const char *id)
{
    size_t word = strspn(name, "abcdefghijklmnopqrstuvwxyz");

    if (strncmp(name, id, ID_LEN) == 0)
        name += ID_LEN;
    else if (word && name[word] == '-' && strncmp(name + word + 1, id, ID_LEN) == 0)
        name += word + 1 + ID_LEN;
    else
        return false;
    return !*name || strcmp(name, ".scope") == 0;
}

/* ---- the search ---- */

struct search {
    const char *id;
    struct cw_str *path; /* of the group that is looked at */
    unsigned left;       /* groups that may still be looked at */
};

static bool search_below(struct search *s, int dir_fd, unsigned depth);

static void cut(struct cw_str *path, size_t n)
{
    path->n = n;
    path->p[n] = '\0';
}

static bool look_at(struct search *s, int parent_fd, const char *name, unsigned depth)
{
    size_t before = s->path->n;
    bool found;
    int fd;

    s->left--;
    cw_str_addf(s->path, "%s%s", before ? "/" : "", name);
    found = cw_cgroup_is_group_of(name, s->id);
    if (!found && depth < MAX_DEPTH) {
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        found = fd >= 0 && search_below(s, fd, depth + 1);
    }
    if (!found)
        cut(s->path, before);
    return found;
}

/* dir_fd is closed. */
static bool search_below(struct search *s, int dir_fd, unsigned depth)
{
    DIR *dir = fdopendir(dir_fd);
    const struct dirent *entry;
    bool found = false;

    if (!dir) {
        (void)close(dir_fd);
        return false;
    }
    while (!found && s->left && (entry = readdir(dir)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            found = look_at(s, dirfd(dir), entry->d_name, depth);
    (void)closedir(dir);
    return found;
}

bool cw_cgroup_search(const char *root, const char *id, struct cw_str *out)
{
    struct search s = {.id = id, .path = out, .left = MAX_GROUPS};
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    cw_str_reset(out);
    return fd >= 0 && search_below(&s, fd, 0) && !out->failed;
}
