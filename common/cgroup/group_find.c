#include "common/cgroup/group_find.h"

#include <limits.h>
#include <unistd.h>

#include "common/cgroup/group_path.h"

enum { MAX_SEARCHES = 8 };

struct cw_cgroup_finder {
    char *root, *parent;
    struct cw_cgroup_marks marks;
    /* How the last group's place began and ended, around the id; NULL before the first. */
    char *before, *after;
    enum cw_cgroup_version version;
    unsigned vain; /* searches in a row without result */
};

struct cw_cgroup_finder *cw_cgroup_finder_new(const char *root, const char *parent,
                                              const struct cw_cgroup_marks *marks)
{
    struct cw_cgroup_finder *f = cw_alloc(sizeof(*f));

    f->root = cw_strdup(root);
    f->parent = cw_strdup(parent ? parent : "");
    f->marks = *marks;
    return f;
}

void cw_cgroup_finder_free(struct cw_cgroup_finder *f)
{
    if (!f)
        return;
    free(f->before);
    free(f->after);
    free(f->root);
    free(f->parent);
    free(f);
}

bool cw_cgroup_found_any(const struct cw_cgroup_finder *f)
{
    return f->before != NULL;
}

bool cw_cgroup_parent(const struct cw_cgroup_finder *f, struct cw_str *place)
{
    const char *end = f->before ? strrchr(f->before, '/') : NULL;

    cw_str_reset(place);
    if (end)
        cw_str_add(place, f->before, (size_t)(end - f->before));
    else if (f->parent[0])
        cw_cgroup_parent_place(f->parent, place);
    return place->n > 0 && !place->failed;
}

static bool exists(const struct cw_cgroup_finder *f, enum cw_cgroup_version v, const char *place)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, PATH_MAX);
    if (v == CW_CGROUP_V1)
        cw_str_addf(&path, "%s/%s/%s/%s", f->root, f->marks.v1_controller, place, f->marks.v1_file);
    else
        cw_str_addf(&path, "%s/%s/%s", f->root, place, f->marks.v2_file);
    return !path.failed && access(path.p, F_OK) == 0;
}

static bool as_the_last(const struct cw_cgroup_finder *f, const char *id,
                        enum cw_cgroup_version *ret_version, struct cw_str *place)
{
    cw_str_reset(place);
    if (!f->before)
        return false;
    cw_str_addf(place, "%s%s%s", f->before, id, f->after);
    *ret_version = f->version;
    return !place->failed && exists(f, f->version, place->p);
}

static bool by_rule(const struct cw_cgroup_finder *f, const char *id,
                    enum cw_cgroup_version *ret_version, struct cw_str *place)
{
    for (size_t rule = 0; cw_cgroup_known_place(f->parent, id, rule, place); rule++)
        for (unsigned v = 0; v < CW_CGROUP_VERSIONS && !place->failed; v++) {
            *ret_version = (enum cw_cgroup_version)v;
            if (exists(f, *ret_version, place->p))
                return true;
        }
    return false;
}

static bool by_search(struct cw_cgroup_finder *f, const char *id,
                      enum cw_cgroup_version *ret_version, struct cw_str *place)
{
    cw_auto_str struct cw_str v1;

    cw_str_init(&v1, PATH_MAX);
    if (f->vain >= MAX_SEARCHES)
        return false;
    f->vain++;
    cw_str_addf(&v1, "%s/%s", f->root, f->marks.v1_controller);
    *ret_version = !v1.failed && access(v1.p, F_OK) == 0 ? CW_CGROUP_V1 : CW_CGROUP_V2;
    return cw_cgroup_search(*ret_version == CW_CGROUP_V1 ? v1.p : f->root, id, place) &&
           exists(f, *ret_version, place->p);
}

static void remember(struct cw_cgroup_finder *f, const char *place, const char *id,
                     enum cw_cgroup_version v)
{
    const char *at = strstr(place, id);

    free(f->before);
    free(f->after);
    f->before = cw_slice_dup(cw_slice(place, (size_t)(at - place)));
    f->after = cw_strdup(at + strlen(id));
    f->version = v;
    f->vain = 0;
}

bool cw_cgroup_find(struct cw_cgroup_finder *f, const char *id, bool search,
                    enum cw_cgroup_version *ret_version, struct cw_str *place)
{
    cw_str_reset(place);
    if (!cw_cgroup_is_id(id))
        return false;
    if (as_the_last(f, id, ret_version, place))
        return true;
    if (!by_rule(f, id, ret_version, place) && !(search && by_search(f, id, ret_version, place)))
        return false;
    remember(f, place->p, id, *ret_version);
    return true;
}
