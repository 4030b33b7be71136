/* Weights of block I/O are heeded by BFQ, and by version 2's cost model; the files are there with
 * other schedulers, too, where they do nothing. */
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "common/cgroup/control_priv.h"

enum { TEXT_MAX = 4096, MAX_DISKS = 1000 };

static bool file_says(const struct cw_control *c, const char *path, const char *word)
{
    char text[TEXT_MAX];

    return c->files->read(c->files->arg, path, text, sizeof(text)) == 0 &&
           strstr(text, word) != NULL;
}

static bool bfq_is_used(const struct cw_control *c, const char *sysfs)
{
    cw_auto_str struct cw_str path;
    const struct dirent *entry;
    bool used = false;
    DIR *dir;

    cw_str_init(&path, PATH_MAX);
    cw_str_addf(&path, "%s/block", sysfs);
    dir = opendir(path.p);
    if (!dir)
        return false;
    for (int left = MAX_DISKS; left > 0 && !used && (entry = readdir(dir)); left--) {
        cw_str_reset(&path);
        cw_str_addf(&path, "%s/block/%s/queue/scheduler", sysfs, entry->d_name);
        used = entry->d_name[0] != '.' && file_says(c, path.p, "[bfq]");
    }
    (void)closedir(dir);
    return used;
}

static bool costs_are_on(const struct cw_control *c)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, PATH_MAX);
    cw_str_addf(&path, "%s/io.cost.qos", c->root);
    return file_says(c, path.p, "enable=1");
}

static bool has(const struct cw_control *c, const char *file)
{
    int64_t v;

    return control_get(c, PART_IO, file, &v) == 0;
}

/* The file that is heeded; NULL: none. */
static const char *heeded(const struct cw_control *c, const char *sysfs)
{
    bool v1 = c->version == CW_CGROUP_V1;
    const char *bfq = v1 ? "blkio.bfq.weight" : "io.bfq.weight";

    if (!v1 && has(c, "io.weight") && costs_are_on(c)) /* 1..10000, 100 as usual: BFQ's scale */
        return "io.weight";
    if (has(c, bfq) && bfq_is_used(c, sysfs))
        return bfq;
    return v1 && has(c, "blkio.weight") ? "blkio.weight" : NULL; /* CFQ, before Linux 5.0 */
}

enum cw_control_answer cw_control_set_io_weight(struct cw_control *c, const char *sysfs,
                                                int64_t weight, struct cw_control_change *ret,
                                                struct cw_err *err)
{
    const char *file = heeded(c, sysfs);

    if (file)
        return control_set(c, PART_IO, file, weight, ret, err);
    return control_refuse(ret, c->version == CW_CGROUP_V1 ? "blkio.bfq.weight" : "io.bfq.weight",
                          "no disk is scheduled by BFQ, and there is no cost model", err);
}

int64_t cw_control_io_weight(struct cw_control *c, const char *sysfs)
{
    const char *file = heeded(c, sysfs);
    int64_t v;

    return file && control_get(c, PART_IO, file, &v) == 0 ? v : CW_CONTROL_NONE;
}
