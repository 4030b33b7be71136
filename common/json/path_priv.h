/* common/json/path_priv.h -- errors that name a member by its path. Private to json/. */
#pragma once

struct cw_err;

/* "path.name: text", "name: text" when path is "" (or NULL), "path: text" when name is NULL. Always
 * -1. */
int cw_json_fail_at(struct cw_err *err, const char *path, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
