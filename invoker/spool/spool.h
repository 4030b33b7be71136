/* invoker/spool/spool.h -- activation records in files until the store has them
 * (docs/adr/0011-record-spool.md).
 *
 * An append-only log in segments of some MiB, `<name>.records.<number>` in the data directory. What
 * is appended is in the kernel, and thus survives the process; with sync it survives the machine.
 * Segments are preallocated, and removed when the records in them are settled. A torn tail, garbage
 * and a disk that fails are stepped over or told, never taken for a record.
 *
 * Records have sequence numbers in the order of appending. The owner says below which of them all
 * are settled; each entry repeats that, so a successor gets few of them again. Reading goes on from
 * where it was, independently of writing. Blocking calls to the file system. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"

struct cw_disk;
struct cw_err;
struct inv_spool;

enum { INV_SPOOL_ID_LEN = 32 };

struct inv_spool_conf {
    const struct cw_disk *disk;
    const char *dir;  /* exists */
    const char *name; /* of files: the invoker's topic */
    size_t segment_bytes;
    bool sync; /* fdatasync before an append counts */
};

struct inv_spool_doc {
    const char *id; /* of the activation: INV_SPOOL_ID_LEN characters */
    struct cw_slice text;
};

struct inv_spool_record {
    char id[INV_SPOOL_ID_LEN + 1];
    char *text; /* NUL-terminated; the receiver's: free() it */
    size_t size;
    uint64_t seq;
};

/* Finds what a predecessor left; reading begins with its first record that is not settled. NULL
 * with *err: the directory cannot be read. */
struct inv_spool *inv_spool_open(const struct inv_spool_conf *conf,
                                 struct cw_err *err) CW_MUST_CHECK;
/* Notes what is settled. Files stay for the successor. Accepts NULL. */
void inv_spool_close(struct inv_spool *s);

/* How many of the documents, from the first, are in the spool; they have the sequence numbers from
 * *ret_first on. Less than count: *err says why, and a later call may succeed. */
size_t inv_spool_append(struct inv_spool *s, const struct inv_spool_doc *docs, size_t count,
                        uint64_t *ret_first, struct cw_err *err) CW_MUST_CHECK;
/* The next record that is neither settled, read, nor skipped. 1: *ret is it; 0: there is none; -1:
 * *err says why. Retriable: we are short of descriptors or memory, the next call tries the same
 * again. Otherwise a record, a part of a segment, or for this process all of it is lost, and the
 * next call goes on behind. */
int inv_spool_next(struct inv_spool *s, struct inv_spool_record *ret,
                   struct cw_err *err) CW_MUST_CHECK;
/* Has everything been read? */
bool inv_spool_read_all(const struct inv_spool *s);
/* What was appended so far is not to be read: the owner has it. */
void inv_spool_skip(struct inv_spool *s);

/* Records below this number are stored, or not to be stored. Rises from call to call; at most
 * inv_spool_next_seq, and not above what was read or skipped. */
void inv_spool_settle(struct inv_spool *s, uint64_t below);
/* Is there something settled that a successor would not know? */
bool inv_spool_needs_mark(const struct inv_spool *s);
/* Writes it down, should nothing be appended. */
int inv_spool_mark(struct inv_spool *s, struct cw_err *err);

/* How many records a predecessor left that are not settled, as far as is known. */
size_t inv_spool_left(const struct inv_spool *s);
/* Of the next record to be appended, and to be read. */
uint64_t inv_spool_next_seq(const struct inv_spool *s);
uint64_t inv_spool_read_seq(const struct inv_spool *s);
/* Below which all is settled. */
uint64_t inv_spool_low(const struct inv_spool *s);
/* Of the files, without those that are only kept to be looked into. */
size_t inv_spool_bytes(const struct inv_spool *s);

/* A record that a predecessor left, settled or not, of the newest 64 MiB (or one
 * segment) and at most 128 Ki records: its document, NUL-terminated, free() it. NULL: there is
 * none, or it is damaged. id: INV_SPOOL_ID_LEN characters. */
char *inv_spool_find(struct inv_spool *s, const char *id, size_t *ret_size);
/* Nobody will look any more: what is settled of a predecessor's files is removed. */
void inv_spool_forget(struct inv_spool *s);
