#include "common/cgroup/control.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cgroup/control_priv.h"

enum { NUMBER_MAX = 256 };

const struct cw_cgroup_marks CW_CONTROL_MARKS = {"cpu", "cpu.shares", "cgroup.procs"};

const char *cw_control_answer_name(enum cw_control_answer a)
{
    static const char *const NAMES[CW_CONTROL_ANSWERS] = {
        [CW_CONTROL_SET] = "set",       [CW_CONTROL_ROUNDED] = "rounded",
        [CW_CONTROL_BUSY] = "busy",     [CW_CONTROL_UNSUPPORTED] = "unsupported",
        [CW_CONTROL_GONE] = "gone",     [CW_CONTROL_DENIED] = "denied",
        [CW_CONTROL_FAILED] = "failed",
    };

    return NAMES[a];
}

static bool is_there(const char *root, const char *file)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, PATH_MAX);
    cw_str_addf(&path, "%s/%s", root, file);
    return !path.failed && access(path.p, F_OK) == 0;
}

bool cw_control_root_version(const char *root, enum cw_cgroup_version *ret)
{
    *ret = CW_CGROUP_V1;
    if (is_there(root, "cpu/cpu.shares"))
        return true;
    *ret = CW_CGROUP_V2;
    return is_there(root, "cgroup.controllers");
}

struct cw_control *cw_control_new(const char *root, struct cw_cgroup_finder *finder, const char *id,
                                  const struct cw_control_files *files, struct cw_err *err)
{
    cw_auto_str struct cw_str place;
    enum cw_cgroup_version version;
    struct cw_control *c;

    cw_str_init(&place, PATH_MAX);
    if (!cw_cgroup_find(finder, id, true, &version, &place)) {
        (void)cw_fail(err, CW_NOT_FOUND, "control group of container %.80s: not found below %.100s",
                      id, root);
        return NULL;
    }
    c = cw_alloc(sizeof(*c));
    c->files = files;
    c->version = version;
    c->root = cw_strdup(root);
    c->place = cw_str_steal(&place);
    return c;
}

static char *above(const char *place)
{
    const char *slash = strrchr(place, '/');

    return cw_slice_dup(cw_slice(place, slash ? (size_t)(slash - place) : 0));
}

struct cw_control *cw_control_above(const struct cw_control *c)
{
    cw_auto_free char *place = above(c->place);
    struct cw_control *up;

    if (!place[0])
        return NULL;
    up = cw_alloc(sizeof(*up));
    up->files = c->files;
    up->version = c->version;
    up->root = cw_strdup(c->root);
    up->place = CW_STEAL(place);
    return up;
}

void cw_control_free(struct cw_control *c)
{
    if (!c)
        return;
    free(c->root);
    free(c->place);
    free(c);
}

enum cw_cgroup_version cw_control_version(const struct cw_control *c)
{
    return c->version;
}

const char *cw_control_place(const struct cw_control *c)
{
    return c->place;
}

/* ---- one file ---- */

static const char *folder_of(const struct cw_control *c, enum control_part part)
{
    static const char *const FOLDERS[] = {
        [PART_CPU] = "/cpu", [PART_MEMORY] = "/memory", [PART_IO] = "/blkio"};

    return c->version == CW_CGROUP_V1 ? FOLDERS[part] : "";
}

static void path_at(const struct cw_control *c, enum control_part part, const char *place,
                    const char *file, struct cw_str *out)
{
    cw_str_reset(out);
    cw_str_addf(out, "%s%s/%s%s%s", c->root, folder_of(c, part), place, place[0] ? "/" : "", file);
}

void control_path(const struct cw_control *c, enum control_part part, const char *file,
                  struct cw_str *out)
{
    path_at(c, part, c->place, file, out);
}

/* "123\n", "max 100000\n", "default 100\n", "-1\n". */
static int number_in(const char *text, int64_t *ret)
{
    static const char DEFAULT[] = "default ";
    struct cw_slice word;

    if (strncmp(text, DEFAULT, sizeof(DEFAULT) - 1) == 0)
        text += sizeof(DEFAULT) - 1;
    word = cw_slice(text, strcspn(text, " \n"));
    if (cw_slice_is(word, "max")) {
        *ret = CW_CONTROL_NONE;
        return 0;
    }
    if (cw_parse_i64(word, "cgroup file", INT64_MIN, INT64_MAX, ret, NULL) != 0)
        return EBADMSG;
    if (*ret < 0)
        *ret = CW_CONTROL_NONE;
    return 0;
}

static int get_at(const struct cw_control *c, enum control_part part, const char *place,
                  const char *file, int64_t *ret)
{
    cw_auto_str struct cw_str path;
    char text[NUMBER_MAX];
    int rc;

    cw_str_init(&path, PATH_MAX);
    path_at(c, part, place, file, &path);
    *ret = CW_CONTROL_NONE;
    if (path.failed)
        return ENAMETOOLONG;
    rc = c->files->read(c->files->arg, path.p, text, sizeof(text));
    return rc ? rc : number_in(text, ret);
}

int control_get(const struct cw_control *c, enum control_part part, const char *file, int64_t *ret)
{
    return get_at(c, part, c->place, file, ret);
}

int control_put_text(const struct cw_control *c, enum control_part part, const char *file,
                     const char *text)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, PATH_MAX);
    control_path(c, part, file, &path);
    return path.failed ? ENAMETOOLONG : c->files->write(c->files->arg, path.p, text);
}

int control_put(const struct cw_control *c, enum control_part part, const char *file, int64_t v)
{
    char text[32];

    if (v == CW_CONTROL_NONE)
        return control_put_text(c, part, file, c->version == CW_CGROUP_V1 ? "-1" : "max");
    (void)snprintf(text, sizeof(text), "%" PRId64, v);
    return control_put_text(c, part, file, text);
}

/* Without the file: is it the group that is missing, or only this file of it? */
static bool is_gone(const struct cw_control *c, enum control_part part)
{
    cw_auto_str struct cw_str path;
    char text[NUMBER_MAX];

    cw_str_init(&path, PATH_MAX);
    control_path(c, part, "cgroup.procs", &path);
    return c->files->read(c->files->arg, path.p, text, sizeof(text)) == ENOENT;
}

enum cw_control_answer control_judge(const struct cw_control *c, enum control_part part,
                                     const char *file, int sys_errno, struct cw_err *err)
{
    if (sys_errno == 0)
        return CW_CONTROL_SET;
    (void)cw_fail_errno(err, sys_errno, "%s/%.120s/%s", folder_of(c, part), c->place, file);
    switch (sys_errno) {
    case EBUSY:
    case EAGAIN:
        return CW_CONTROL_BUSY;
    case ENOENT:
        return is_gone(c, part) ? CW_CONTROL_GONE : CW_CONTROL_UNSUPPORTED;
    case ENODEV: /* it went between open and write */
        return CW_CONTROL_GONE;
    case EROFS:
    case EACCES:
    case EPERM:
        return CW_CONTROL_DENIED;
    case EOPNOTSUPP:
        return CW_CONTROL_UNSUPPORTED;
    default:
        return CW_CONTROL_FAILED;
    }
}

enum cw_control_answer control_set(const struct cw_control *c, enum control_part part,
                                   const char *file, int64_t v, struct cw_control_change *ret,
                                   struct cw_err *err)
{
    enum cw_control_answer answer;

    *ret = (struct cw_control_change){file, CW_CONTROL_NONE, CW_CONTROL_NONE};
    answer = control_judge(c, part, file, control_get(c, part, file, &ret->before), err);
    if (answer == CW_CONTROL_SET)
        answer = control_judge(c, part, file, control_put(c, part, file, v), err);
    if (answer != CW_CONTROL_SET) {
        ret->after = ret->before;
        return answer;
    }
    answer = control_judge(c, part, file, control_get(c, part, file, &ret->after), err);
    return answer == CW_CONTROL_SET && ret->after != v ? CW_CONTROL_ROUNDED : answer;
}

enum cw_control_answer control_refuse(struct cw_control_change *ret, const char *file,
                                      const char *why, struct cw_err *err)
{
    *ret = (struct cw_control_change){file, CW_CONTROL_NONE, CW_CONTROL_NONE};
    (void)cw_fail(err, CW_INVALID, "%s: %s", file, why);
    return CW_CONTROL_UNSUPPORTED;
}

/* ---- neighbours ---- */

enum { MAX_NEIGHBOURS = 2000 };

static const char *weight_file(const struct cw_control *c)
{
    return c->version == CW_CGROUP_V1 ? "cpu.shares" : "cpu.weight";
}

/* Of all groups directly below place; 0 or an errno. */
static int sum_below(const struct cw_control *c, const char *place, int64_t *ret_sum,
                     unsigned *ret_count)
{
    cw_auto_str struct cw_str path, child;
    const struct dirent *entry;
    int64_t weight;
    DIR *dir;

    cw_str_init(&path, PATH_MAX);
    cw_str_init(&child, PATH_MAX);
    path_at(c, PART_CPU, place, "", &path);
    *ret_sum = 0;
    *ret_count = 0;
    dir = opendir(path.p);
    if (!dir)
        return errno;
    while (*ret_count < MAX_NEIGHBOURS && (entry = readdir(dir))) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        cw_str_reset(&child);
        cw_str_addf(&child, "%s%s%s", place, place[0] ? "/" : "", entry->d_name);
        if (get_at(c, PART_CPU, child.p, weight_file(c), &weight) != 0 || weight < 0)
            continue; /* it went, or the controller is off for it */
        *ret_sum += weight;
        ++*ret_count;
    }
    (void)closedir(dir);
    return 0;
}

int cw_control_look_around(struct cw_control *c, struct cw_control_neighbours *ret,
                           struct cw_err *err)
{
    cw_auto_free char *parent = above(c->place);
    cw_auto_free char *grand = above(parent);
    unsigned ignored;
    int rc = sum_below(c, parent, &ret->siblings_weight, &ret->siblings);

    ret->parent_weight = ret->parents_weight = 0;
    if (rc == 0 && parent[0] &&
        get_at(c, PART_CPU, parent, weight_file(c), &ret->parent_weight) == 0)
        rc = sum_below(c, grand, &ret->parents_weight, &ignored);
    return rc ? cw_fail_errno(err, rc, "%.160s and its neighbours", c->place) : 0;
}
