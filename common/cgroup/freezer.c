#include "common/cgroup/freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/map.h"
#include "common/cgroup/group_find.h"

enum { ID_LEN = 64, STATE_MAX = 512 };

static const struct {
    const char *folder; /* of the hierarchy, below the root */
    const char *order;  /* file that takes the order */
    const char *freeze, *thaw;
    const char *state, *frozen; /* file that tells, and what it says then */
} FILES[] = {
    [CW_CGROUP_V1] = {"/freezer", "freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN"},
    [CW_CGROUP_V2] = {"", "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1"},
};

struct frozen {
    struct cw_map_node node; /* key: id */
    enum cw_cgroup_version version;
    char *group; /* folder, whole path */
    char id[ID_LEN + 1];
};

struct cw_freezer {
    char *root;
    struct cw_cgroup_finder *finder;
    struct cw_map frozen;
};

struct cw_freezer *cw_freezer_new(const char *root, const char *parent)
{
    struct cw_freezer *f = cw_alloc(sizeof(*f));

    f->root = cw_strdup(root);
    f->finder = cw_cgroup_finder_new(
        root, parent,
        &(struct cw_cgroup_marks){"freezer", FILES[CW_CGROUP_V1].order, FILES[CW_CGROUP_V2].order});
    cw_map_init(&f->frozen);
    return f;
}

static void free_frozen(struct frozen *c)
{
    free(c->group);
    free(c);
}

static void free_node(void *arg, struct cw_map_node *node)
{
    (void)arg;
    free_frozen(CW_CONTAINER_OF(node, struct frozen, node));
}

void cw_freezer_free(struct cw_freezer *f)
{
    if (!f)
        return;
    cw_map_each(&f->frozen, free_node, NULL);
    cw_map_done(&f->frozen);
    cw_cgroup_finder_free(f->finder);
    free(f->root);
    free(f);
}

/* ---- files ---- */

static int write_file(const char *group, const char *name, const char *text)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", group, name), fd;
    ssize_t written;

    if (n < 0 || (size_t)n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    written = write(fd, text, strlen(text));
    n = errno;
    (void)close(fd);
    errno = n;
    return written == (ssize_t)strlen(text) ? 0 : -1;
}

static int order(enum cw_cgroup_version v, const char *group, bool freeze)
{
    return write_file(group, FILES[v].order, freeze ? FILES[v].freeze : FILES[v].thaw);
}

/* 1, 0, or -1 when the file cannot be read. */
static int is_frozen(enum cw_cgroup_version v, const char *group)
{
    char path[PATH_MAX], text[STATE_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", group, FILES[v].state), fd;
    ssize_t got;

    if (n < 0 || (size_t)n >= sizeof(path))
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    got = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (got < 0)
        return -1;
    text[got] = '\0';
    return strstr(text, FILES[v].frozen) != NULL;
}

/* The group's whole path, or NULL; to be freed. */
static char *find(struct cw_freezer *f, const char *id, bool search,
                  enum cw_cgroup_version *ret_version)
{
    cw_auto_str struct cw_str place, path;

    cw_str_init(&place, PATH_MAX);
    cw_str_init(&path, PATH_MAX);
    if (!cw_cgroup_find(f->finder, id, search, ret_version, &place))
        return NULL;
    cw_str_addf(&path, "%s%s/%s", f->root, FILES[*ret_version].folder, place.p);
    return path.failed ? NULL : cw_str_steal(&path);
}

/* ---- freezing ---- */

static struct frozen *held(const struct cw_freezer *f, const char *id)
{
    struct cw_map_node *node = cw_map_get(&f->frozen, cw_slice_of(id));

    return node ? CW_CONTAINER_OF(node, struct frozen, node) : NULL;
}

static void forget(struct cw_freezer *f, struct frozen *c)
{
    cw_map_remove(&f->frozen, &c->node);
    free_frozen(c);
}

static struct frozen *hold(struct cw_freezer *f, const char *id)
{
    enum cw_cgroup_version version;
    cw_auto_free char *group = find(f, id, true, &version);
    struct frozen *c;

    if (!group)
        return NULL;
    c = cw_alloc(sizeof(*c));
    c->version = version;
    c->group = CW_STEAL(group);
    (void)snprintf(c->id, sizeof(c->id), "%s", id);
    cw_map_put(&f->frozen, &c->node, cw_slice_of(c->id));
    return c;
}

int cw_freezer_freeze(struct cw_freezer *f, const char *id)
{
    struct frozen *c = held(f, id);
    int rc = -1;

    if (!c)
        c = hold(f, id);
    if (!c)
        return -1;
    /* Again each time: a process that forks while it is being frozen can be missed (v1). */
    if (order(c->version, c->group, true) == 0)
        rc = is_frozen(c->version, c->group);
    if (rc < 0) {
        (void)order(c->version, c->group, false);
        forget(f, c);
    }
    return rc;
}

int cw_freezer_thaw(struct cw_freezer *f, const char *id, struct cw_err *err)
{
    struct frozen *c = held(f, id);
    int rc = 1;

    if (!c)
        return 0;
    if (order(c->version, c->group, false) != 0)
        rc = cw_fail_errno(err, errno, "thaw %s/%s", c->group, FILES[c->version].order);
    forget(f, c);
    return rc;
}

void cw_freezer_release(struct cw_freezer *f, const char *id)
{
    struct frozen *c = held(f, id);
    enum cw_cgroup_version version;
    cw_auto_free char *group = NULL;

    if (c) {
        (void)order(c->version, c->group, false);
        forget(f, c);
        return;
    }
    /* Most that are removed are gone already or have never been frozen: one place is enough once
     * it is known. */
    group = find(f, id, !cw_cgroup_found_any(f->finder), &version);
    if (group)
        (void)order(version, group, false);
}
