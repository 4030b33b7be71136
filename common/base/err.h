/* common/base/err.h -- one error value for the whole project.
 *
 * By value, on the caller's stack: nothing to free, and it works when memory is short. Functions
 * that can fail return int (0, or -1 with *err filled) or a pointer (NULL with *err filled);
 * success leaves *err untouched. Callers branch on `code` and `retriable`, never on `msg`. Thread:
 * any. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

enum cw_code {
    CW_OK,
    CW_INVALID,     /* the input is wrong: retrying cannot help */
    CW_NOT_FOUND,   /* the named object does not exist */
    CW_CONFLICT,    /* somebody else was first (HTTP 409, stale revision) */
    CW_TIMEOUT,     /* no answer within the deadline */
    CW_UNAVAILABLE, /* the peer cannot be reached or refuses for now */
    CW_TOO_LARGE,   /* over a stated limit */
    CW_CANCELLED,   /* given up by ourselves (shutdown) */
    CW_INTERNAL,    /* anything else */
};

struct cw_err {
    enum cw_code code;
    int sys_errno;  /* 0 when the failure does not come from the system */
    bool retriable; /* the same call may succeed later */
    char msg[232];  /* one line, no newline, names the object: "couch: PUT limits/ns: 409" */
};

/* Fills *err (which may be NULL) and returns -1. Control characters in the text become '?'. */
int cw_fail(struct cw_err *err, enum cw_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As cw_fail, with the retriable mark set. */
int cw_fail_retriable(struct cw_err *err, enum cw_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As cw_fail with code from errno and ": <strerror>" appended. */
int cw_fail_errno(struct cw_err *err, int sys_errno, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Prefixes "context: " to the message and keeps code and marks; returns -1. */
int cw_err_wrap(struct cw_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Stable lower-case name of a code, for logs and metrics. */
const char *cw_code_name(enum cw_code code);

#if defined(__clang_analyzer__) && !defined(CW_ERR_C)
/* The analyzer does not look into err.c: tell it that these always return -1. */
#define cw_fail(...) (cw_fail(__VA_ARGS__), -1)
#define cw_fail_retriable(...) (cw_fail_retriable(__VA_ARGS__), -1)
#define cw_fail_errno(...) (cw_fail_errno(__VA_ARGS__), -1)
#define cw_err_wrap(...) (cw_err_wrap(__VA_ARGS__), -1)
#endif
