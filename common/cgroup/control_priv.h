/* common/cgroup/control_priv.h -- what the files of control.h share. */
#pragma once

#include "common/base/err.h"
#include "common/cgroup/control.h"

enum control_part { PART_CPU, PART_MEMORY, PART_IO };

struct cw_control {
    const struct cw_control_files *files;
    enum cw_cgroup_version version;
    char *root, *place;
};

/* Path of one of the group's files into *out. */
void control_path(const struct cw_control *c, enum control_part part, const char *file,
                  struct cw_str *out);
/* 0 or an errno. "max" and negative numbers are CW_CONTROL_NONE; of several numbers the first one,
 * of "default 100" the number. */
int control_get(const struct cw_control *c, enum control_part part, const char *file, int64_t *ret);
int control_put_text(const struct cw_control *c, enum control_part part, const char *file,
                     const char *text);
/* CW_CONTROL_NONE is written as the version's word for it. */
int control_put(const struct cw_control *c, enum control_part part, const char *file, int64_t v);
/* What an errno of this file means; also sets err. sys_errno 0: SET. */
enum cw_control_answer control_judge(const struct cw_control *c, enum control_part part,
                                     const char *file, int sys_errno, struct cw_err *err);
/* Writes v and reads it back. */
enum cw_control_answer control_set(const struct cw_control *c, enum control_part part,
                                   const char *file, int64_t v, struct cw_control_change *ret,
                                   struct cw_err *err);
/* UNSUPPORTED, with this text. */
enum cw_control_answer control_refuse(struct cw_control_change *ret, const char *file,
                                      const char *why, struct cw_err *err);
