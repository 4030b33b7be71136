/* The place of a group is tried in this order: as the last container's was; by the rules of the
 * engines; by a look at all groups, which is given up after some looks in a row that found nothing
 * (they are not visible from here, or the engine is on another machine). */
#include "common/cgroup/freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/map.h"
#include "common/cgroup/group_path.h"

enum { MAX_SEARCHES = 8, ID_LEN = 64, STATE_MAX = 512 };

enum version { V1, V2 };

static const struct {
    const char *folder; /* of the hierarchy, below the root */
    const char *order;  /* file that takes the order */
    const char *freeze, *thaw;
    const char *state, *frozen; /* file that tells, and what it says then */
} FILES[] = {
    [V1] = {"/freezer", "freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN"},
    [V2] = {"", "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1"},
};

struct frozen {
    struct cw_map_node node; /* key: id */
    enum version version;
    char *group; /* folder, whole path */
    char id[ID_LEN + 1];
};

struct cw_freezer {
    char *root, *parent;
    struct cw_map frozen;
    /* How the last group's path began and ended, around the id; NULL before the first. */
    char *before, *after;
    enum version version;
    unsigned vain; /* searches without result since the last that had one */
};

struct cw_freezer *cw_freezer_new(const char *root, const char *parent)
{
    struct cw_freezer *f = cw_alloc(sizeof(*f));

    f->root = cw_strdup(root);
    f->parent = cw_strdup(parent ? parent : "");
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
    free(f->before);
    free(f->after);
    free(f->root);
    free(f->parent);
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

static int order(enum version v, const char *group, bool freeze)
{
    return write_file(group, FILES[v].order, freeze ? FILES[v].freeze : FILES[v].thaw);
}

/* 1, 0, or -1 when the file cannot be read. */
static int is_frozen(enum version v, const char *group)
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

/* ---- places ---- */

static bool exists(enum version v, const char *group)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", group, FILES[v].order);

    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

/* Is the group there? Then its whole path. */
static char *group_at(const struct cw_freezer *f, enum version v, const char *relative)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, PATH_MAX);
    cw_str_addf(&path, "%s%s/%s", f->root, FILES[v].folder, relative);
    return !path.failed && exists(v, path.p) ? cw_str_steal(&path) : NULL;
}

static char *as_the_last(const struct cw_freezer *f, const char *id)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, PATH_MAX);
    if (!f->before)
        return NULL;
    cw_str_addf(&path, "%s%s%s", f->before, id, f->after);
    return !path.failed && exists(f->version, path.p) ? cw_str_steal(&path) : NULL;
}

static char *by_rule(const struct cw_freezer *f, const char *id, enum version *ret_version)
{
    cw_auto_str struct cw_str place;

    cw_str_init(&place, PATH_MAX);
    for (size_t rule = 0; cw_cgroup_known_place(f->parent, id, rule, &place); rule++)
        for (unsigned v = 0; v < CW_ARRAY_LEN(FILES) && !place.failed; v++) {
            char *group = group_at(f, (enum version)v, place.p);

            *ret_version = (enum version)v;
            if (group)
                return group;
        }
    return NULL;
}

static char *by_search(struct cw_freezer *f, const char *id, enum version *ret_version)
{
    cw_auto_str struct cw_str root, place;
    char *group;

    cw_str_init(&root, PATH_MAX);
    cw_str_init(&place, PATH_MAX);
    if (f->vain >= MAX_SEARCHES)
        return NULL;
    f->vain++;
    cw_str_addf(&root, "%s%s", f->root, FILES[V1].folder);
    *ret_version = !root.failed && access(root.p, F_OK) == 0 ? V1 : V2;
    if (!cw_cgroup_search(*ret_version == V1 ? root.p : f->root, id, &place))
        return NULL;
    group = group_at(f, *ret_version, place.p);
    if (group)
        f->vain = 0;
    return group;
}

static void remember(struct cw_freezer *f, const char *group, const char *id, enum version v)
{
    const char *at = strstr(group, id);

    free(f->before);
    free(f->after);
    f->before = cw_slice_dup(cw_slice(group, (size_t)(at - group)));
    f->after = cw_strdup(at + strlen(id));
    f->version = v;
}

/* The group's whole path, or NULL; to be freed. */
static char *find(struct cw_freezer *f, const char *id, bool search, enum version *ret_version)
{
    char *group;

    *ret_version = f->version;
    if (!cw_cgroup_is_id(id))
        return NULL;
    group = as_the_last(f, id);
    if (group)
        return group;
    group = by_rule(f, id, ret_version);
    if (!group && search)
        group = by_search(f, id, ret_version);
    if (group)
        remember(f, group, id, *ret_version);
    return group;
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
    enum version version;
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
    enum version version;
    cw_auto_free char *group = NULL;

    if (c) {
        (void)order(c->version, c->group, false);
        forget(f, c);
        return;
    }
    /* Most that are removed are gone already or have never been frozen: one place is enough once
     * it is known. */
    group = find(f, id, !f->before, &version);
    if (group)
        (void)order(version, group, false);
}
