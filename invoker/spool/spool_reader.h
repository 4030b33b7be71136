/* invoker/spool/spool_reader.h -- the entries of one segment, one after another.
 *
 * What is damaged is stepped over: behind it the next whole entry is searched for. Where none
 * follows, the segment ends: a torn tail is what a kill leaves, and nothing in it was told safe.
 * Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "invoker/spool/spool_format.h"

struct cw_disk;
struct cw_err;

struct spool_reader {
    const struct cw_disk *disk;
    int fd;          /* -1: none */
    int64_t at, end; /* where the next entry begins; where the segment ends at the latest */
    uint64_t seq;    /* that the next entry has at least */
    bool damaged;    /* something was stepped over, and entries follow it */
    unsigned char *window;
    int64_t window_at;
    size_t window_n;
};

/* Nothing is open. */
void spool_reader_init(struct spool_reader *r, const struct cw_disk *disk);
/* Begins at the byte `at`, where an entry begins, and reads to `end`. */
int spool_reader_open(struct spool_reader *r, const char *path, int64_t at, int64_t end,
                      struct cw_err *err) CW_MUST_CHECK;
/* Closes; the reader can be opened again. */
void spool_reader_done(struct spool_reader *r);
/* 1: *ret is the next entry, and its document begins at *ret_at; 0: the segment ends; -1: it cannot
 * be read. */
int spool_reader_next(struct spool_reader *r, struct spool_entry_header *ret, int64_t *ret_at,
                      struct cw_err *err) CW_MUST_CHECK;
/* The document, NUL-terminated; free() it. NULL: cannot be read, or (CW_INVALID) is not what was
 * written. */
char *spool_reader_doc(struct spool_reader *r, const struct spool_entry_header *h, int64_t at,
                       struct cw_err *err) CW_MUST_CHECK;
