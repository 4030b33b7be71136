/* invoker/logs/log_file.h -- reads Docker's json file onwards, over rotations.
 *
 * The descriptor stays open between reads, so that a file that was rotated away meanwhile (or
 * removed) is read to its end; its successor is found by inode among the names that Docker gives
 * (FILE, FILE.1, FILE.2, ...). With max-file=1 Docker truncates the file in place instead, which
 * shows in its size. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/str.h"

struct inv_log_file {
    char *path;
    int fd;          /* -1: not opened yet */
    bool unreadable; /* it is there and cannot be opened */
    bool starved;    /* no descriptor was left for it: to be tried again */
    int64_t offset;  /* behind the last byte that was taken */
    bool more;       /* the last read was as long as it could be */
};

enum inv_log_follow {
    INV_LOG_FILE_ENDS,  /* nothing more for now */
    INV_LOG_FILE_MORE,  /* there may be more in it */
    INV_LOG_FILE_FRESH, /* begins anew: what was read and not taken is void */
};

/* path: is copied; the file need not exist yet. Opened as early as possible, so that a rotation
 * before the first look loses nothing. */
void inv_log_file_init(struct inv_log_file *f, const char *path);
void inv_log_file_done(struct inv_log_file *f);
/* Appends what comes behind offset and the bytes that buf holds already. Bytes read, 0 at the end
 * of the file or without one, -1 when it cannot be read or buf is full. */
ssize_t inv_log_file_fill(struct inv_log_file *f, struct cw_str *buf);
/* n bytes of buf were taken. */
void inv_log_file_take(struct inv_log_file *f, size_t n);
/* At the end of the file: opens it, goes over to its successor, or back to the beginning of one
 * that was cut. pending: bytes read and not taken. */
enum inv_log_follow inv_log_file_follow(struct inv_log_file *f, size_t pending);
