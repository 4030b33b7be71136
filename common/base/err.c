#define CW_ERR_C
#include "common/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

__attribute__((format(printf, 3, 0))) static void fill(struct cw_err *err, enum cw_code code,
                                                       const char *fmt, va_list ap)
{
    if (!err)
        return;
    *err = (struct cw_err){.code = code};
    (void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    clean(err->msg);
}

int cw_fail(struct cw_err *err, enum cw_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, fmt, ap);
    va_end(ap);
    return -1;
}

int cw_fail_retriable(struct cw_err *err, enum cw_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, fmt, ap);
    va_end(ap);
    if (err)
        err->retriable = true;
    return -1;
}

static enum cw_code code_of_errno(int e)
{
    switch (e) {
    case ENOENT:
        return CW_NOT_FOUND;
    case EEXIST:
        return CW_CONFLICT;
    case ETIMEDOUT:
        return CW_TIMEOUT;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EAGAIN:
        return CW_UNAVAILABLE;
    case EINVAL:
        return CW_INVALID;
    default:
        return CW_INTERNAL;
    }
}

int cw_fail_errno(struct cw_err *err, int sys_errno, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    if (!err)
        return -1;
    va_start(ap, fmt);
    fill(err, code_of_errno(sys_errno), fmt, ap);
    va_end(ap);
    err->sys_errno = sys_errno;
    n = strlen(err->msg);
    (void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", strerror(sys_errno));
    return -1;
}

int cw_err_wrap(struct cw_err *err, const char *fmt, ...)
{
    char context[sizeof(err->msg)], whole[2 * sizeof(err->msg) + 2];
    va_list ap;

    if (!err)
        return -1;
    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    (void)snprintf(whole, sizeof(whole), "%s: %s", context, err->msg);
    memcpy(err->msg, whole, sizeof(err->msg) - 1);
    err->msg[sizeof(err->msg) - 1] = '\0';
    clean(err->msg);
    return -1;
}

const char *cw_code_name(enum cw_code code)
{
    static const char *const NAMES[] = {
        [CW_OK] = "ok",
        [CW_INVALID] = "invalid",
        [CW_NOT_FOUND] = "not_found",
        [CW_CONFLICT] = "conflict",
        [CW_TIMEOUT] = "timeout",
        [CW_UNAVAILABLE] = "unavailable",
        [CW_TOO_LARGE] = "too_large",
        [CW_CANCELLED] = "cancelled",
        [CW_INTERNAL] = "internal",
    };

    return NAMES[code];
}
