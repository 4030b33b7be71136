#include "invoker/agent/scan.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cgroup/group_path.h"
#include "common/json/doc.h"

enum { MAX_FILE = 1 << 20, FROZEN_MAX = 256 };

bool inv_scan_id(const char *group, char ret_id[INV_SCAN_ID_LEN + 1])
{
    static const char HEX[] = "0123456789abcdef";
    size_t n = strlen(group);

    for (size_t at = 0; at + INV_SCAN_ID_LEN <= n; at++) {
        if (strspn(group + at, HEX) != INV_SCAN_ID_LEN)
            continue;
        memcpy(ret_id, group + at, INV_SCAN_ID_LEN);
        ret_id[INV_SCAN_ID_LEN] = '\0';
        if (at == 0 || !strncmp(group, "cri-containerd-", at) || !strncmp(group, "crio-", at))
            return group[at + INV_SCAN_ID_LEN] == '\0' ||
                   strcmp(group + at + INV_SCAN_ID_LEN, ".scope") == 0;
        return cw_cgroup_is_group_of(group, ret_id);
    }
    return false;
}

/* ---- groups ---- */

struct walk {
    inv_scan_fn *fn;
    void *arg;
    unsigned left;
    int freezer_fd; /* version 1's hierarchy of that name; -1: none */
    bool v2;
    char path[PATH_MAX]; /* of the folder that is walked, below the root: "a/b/" */
};

static bool file_has(int dir_fd, const char *path, const char *word)
{
    char text[FROZEN_MAX];
    int fd = dir_fd < 0 ? -1 : openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, word) != NULL;
}

/* Engines put a container's group of each hierarchy at the same place. */
static bool is_frozen(const struct walk *w, int parent, const char *name)
{
    char path[PATH_MAX + NAME_MAX];
    int n;

    if (w->v2) {
        n = snprintf(path, sizeof(path), "%s/cgroup.events", name);
        return n < (int)sizeof(path) && file_has(parent, path, "frozen 1");
    }
    n = snprintf(path, sizeof(path), "%s%s/freezer.state", w->path, name);
    return n < (int)sizeof(path) && file_has(w->freezer_fd, path, "FROZEN");
}

static void walk_below(struct walk *w, int dir_fd, unsigned depth);

static void visit(struct walk *w, int parent, const char *name, unsigned depth)
{
    char id[INV_SCAN_ID_LEN + 1];
    size_t above = strlen(w->path), room = sizeof(w->path) - above;
    int fd;

    w->left--;
    if (inv_scan_id(name, id)) { /* what is below it is the container's own */
        w->fn(w->arg, id, is_frozen(w, parent, name));
        return;
    }
    fd = depth < INV_SCAN_DEPTH
             ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
             : -1;
    if (fd < 0)
        return;
    (void)snprintf(w->path + above, room, "%s/", name); /* cut: nothing is found there */
    walk_below(w, fd, depth + 1);
    w->path[above] = '\0';
}

/* dir_fd is closed. */
static void walk_below(struct walk *w, int dir_fd, unsigned depth)
{
    DIR *dir = fdopendir(dir_fd);
    const struct dirent *entry;

    if (!dir) {
        (void)close(dir_fd);
        return;
    }
    while (w->left && (entry = readdir(dir)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            visit(w, dirfd(dir), entry->d_name, depth);
    (void)closedir(dir);
}

/* Version 2's root, or the hierarchy of version 1 that has memory's figures. */
static int open_hierarchy(const char *root, struct walk *w)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int below;

    w->v2 = fd >= 0 && faccessat(fd, "cgroup.controllers", F_OK, 0) == 0;
    if (fd < 0 || w->v2)
        return fd;
    below = openat(fd, "memory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->freezer_fd = openat(fd, "freezer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)close(fd);
    return below;
}

bool inv_scan_groups(const char *root, inv_scan_fn *fn, void *arg)
{
    struct walk w = {.fn = fn, .arg = arg, .left = INV_SCAN_GROUPS, .freezer_fd = -1};
    int fd = open_hierarchy(root, &w);

    if (fd >= 0)
        walk_below(&w, fd, 0);
    if (w.freezer_fd >= 0)
        (void)close(w.freezer_fd);
    return fd >= 0;
}

/* ---- Docker's own files ---- */

static json_t *read_json(const char *folder, const char *id, const char *file)
{
    char path[PATH_MAX];
    cw_auto_str struct cw_str text;
    ssize_t n = -1;
    char *room;
    int fd;

    cw_str_init(&text, MAX_FILE);
    if (snprintf(path, sizeof(path), "%s/%s/%s", folder, id, file) >= (int)sizeof(path))
        return NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    for (; (room = cw_str_reserve(&text, 16384)); cw_str_commit(&text, (size_t)n))
        if ((n = read(fd, room, 16384)) <= 0)
            break;
    (void)close(fd);
    return n == 0 ? cw_json_parse(cw_str_slice(&text), MAX_FILE, file, NULL) : NULL;
}

static bool is_plain(const char *name)
{
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
            return false;
    return true;
}

void inv_scan_facts(const char *folder, const char *id, struct inv_scan_facts *ret)
{
    cw_auto_json json_t *config = read_json(folder, id, "config.v2.json");
    cw_auto_json json_t *host = read_json(folder, id, "hostconfig.json");
    const char *name = json_string_value(json_object_get(config, "Name"));
    json_int_t memory = json_integer_value(json_object_get(host, "Memory"));

    ret->named = name && name[0] == '/' && name[1] && is_plain(name + 1);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", ret->named ? name + 1 : id);
    ret->memory_bytes = memory > 0 ? (uint64_t)memory : 0;
}
