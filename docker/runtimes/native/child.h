/* docker/runtimes/native/child.h -- run one program to its end, its output streamed to our log.
 * Thread: the only one. */
#pragma once

#include "common/base/str.h"

struct cw_err;

/* One of our own log streams. */
struct ap_log {
    int fd;
    bool line_open; /* the last byte written was not a newline */
};

void ap_log_write(struct ap_log *log, struct cw_slice text);
/* A sentinel line of its own. */
void ap_log_end(struct ap_log *log);

struct ap_child {
    const char *const *argv; /* argv[0] is the path or, without a slash, looked up */
    struct cw_slice input;   /* for standard input */
    struct ap_log *out, *err;
    struct cw_str *last_line; /* may be NULL: everything goes to out */
};

/* Returns when the program has ended and what it wrote was read (descendants that outlive it are
 * not waited for): its exit status, 128 + signal, or -1 with *err when it could not be started.
 * last_line receives the last line of standard output, with its newline if it had one. */
int ap_child_run(const struct ap_child *child, struct cw_err *err);
