/* Where engines put a container's group below the root (v2) or the memory controller's folder (v1):
 * Docker with the cgroupfs driver in <parent>/<id>, "docker" by default; with systemd's in
 * <slice>/docker-<id>.scope; Podman in <slice>/libpod-<id>.scope, its processes one deeper with v2,
 * but the count of a group includes what is below it. */
#include "common/cgroup/oom_kills.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { MAX_FILE = 4096, ID_LEN = 64 };

int64_t cw_cgroup_parse_oom_kills(struct cw_slice text)
{
    static const char KEY[] = "oom_kill "; /* not oom_kill_disable, not oom_group_kill */
    const size_t key_len = sizeof(KEY) - 1;

    while (text.n) {
        const char *eol = memchr(text.p, '\n', text.n);
        size_t n = eol ? (size_t)(eol - text.p) : text.n;
        int64_t count;

        if (n > key_len && memcmp(text.p, KEY, key_len) == 0)
            return cw_parse_i64(cw_slice(text.p + key_len, n - key_len), "oom_kill", 0, INT64_MAX,
                                &count, NULL) == 0
                       ? count
                       : -1;
        n += eol != NULL;
        text = cw_slice(text.p + n, text.n - n);
    }
    return -1;
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

/* systemd's folder of a slice: "a-b.slice" lies in "a.slice". */
static void add_slice_path(struct cw_str *out, const char *slice)
{
    for (const char *dash = strchr(slice, '-'); dash; dash = strchr(dash + 1, '-')) {
        cw_str_add(out, slice, (size_t)(dash - slice));
        cw_str_addz(out, ".slice/");
    }
    cw_str_addz(out, slice);
}

static int64_t count_at(const char *root, const char *parent, const char *prefix, const char *id,
                        const char *suffix)
{
    cw_auto_str struct cw_str group;
    size_t n = strlen(parent);

    cw_str_init(&group, PATH_MAX);
    if (n > 6 && strcmp(parent + n - 6, ".slice") == 0 && !strchr(parent, '/'))
        add_slice_path(&group, parent);
    else
        cw_str_addz(&group, parent);
    cw_str_addf(&group, "/%s%s%s", prefix, id, suffix);
    return group.failed ? -1 : count_of(root, group.p);
}

static bool is_id(const char *id)
{
    return strlen(id) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN;
}

int64_t cw_cgroup_oom_kills(const char *root, const char *parent, const char *id)
{
    static const struct {
        const char *parent; /* the engine's default */
        const char *prefix, *suffix;
    } PLACES[] = {
        {"docker", "", ""},
        {"system.slice", "docker-", ".scope"},
        {"machine.slice", "libpod-", ".scope"},
        {"libpod_parent", "libpod-", ""},
    };
    int64_t count = -1;

    if (!is_id(id))
        return -1;
    for (size_t i = 0; i < CW_ARRAY_LEN(PLACES) && count < 0; i++)
        count = count_at(root, parent && parent[0] ? parent : PLACES[i].parent, PLACES[i].prefix,
                         id, PLACES[i].suffix);
    return count;
}
