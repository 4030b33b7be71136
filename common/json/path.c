#include <stdarg.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/json/path_priv.h"

int cw_json_fail_at(struct cw_err *err, const char *path, const char *name, const char *fmt, ...)
{
    bool has_path = path && *path;
    char text[128];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return cw_fail(err, CW_INVALID, "%s%s%s%s%s", has_path ? path : "", has_path && name ? "." : "",
                   name ? name : "", has_path || name ? ": " : "", text);
}
