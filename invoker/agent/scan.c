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

enum { MAX_FILE = 1 << 20 };

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
    void (*fn)(void *arg, const char *id);
    void *arg;
    unsigned left;
};

static void walk_below(struct walk *w, int dir_fd, unsigned depth);

static void visit(struct walk *w, int parent, const char *name, unsigned depth)
{
    char id[INV_SCAN_ID_LEN + 1];
    int fd;

    w->left--;
    if (inv_scan_id(name, id)) { /* what is below it is the container's own */
        w->fn(w->arg, id);
        return;
    }
    fd = depth < INV_SCAN_DEPTH
             ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
             : -1;
    if (fd >= 0)
        walk_below(w, fd, depth + 1);
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
static int open_hierarchy(const char *root)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int below;

    if (fd < 0 || faccessat(fd, "cgroup.controllers", F_OK, 0) == 0)
        return fd;
    below = openat(fd, "memory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)close(fd);
    return below;
}

bool inv_scan_groups(const char *root, void (*fn)(void *arg, const char *id), void *arg)
{
    struct walk w = {.fn = fn, .arg = arg, .left = INV_SCAN_GROUPS};
    int fd = open_hierarchy(root);

    if (fd < 0)
        return false;
    walk_below(&w, fd, 0);
    return true;
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

    if (name && name[0] == '/' && name[1] && is_plain(name + 1))
        (void)snprintf(ret->name, sizeof(ret->name), "%s", name + 1);
    else
        (void)snprintf(ret->name, sizeof(ret->name), "%s", id);
    ret->memory_bytes = memory > 0 ? (uint64_t)memory : 0;
}
