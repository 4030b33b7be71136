/* invoker/journal/journal.h -- what became of each message that was taken from the invoker's topic,
 * so that a successor neither loses nor repeats work (docs/adr/0010-journal.md).
 *
 * Holds (offset, activation id, state), never a payload: Kafka keeps that. Two preallocated files,
 * each written front to back; when one is full, what is not done is copied to the other, and that
 * one's header, written last, makes it the newer. Records are checksummed with their file's
 * generation, so a torn write, an interrupted copy, and what an earlier round left are all simply
 * where the file ends. A state reaches the kernel before inv_journal_mark returns where that says
 * so, and thus survives the death of the process; with sync it survives that of the machine.
 * Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"

struct cw_disk;
struct cw_err;
struct inv_journal;

enum inv_journal_state {
    INV_JOURNAL_TAKEN = 1, /* from Kafka; nothing has happened yet */
    INV_JOURNAL_STARTED,   /* /run may have been sent, here or by another invoker */
    INV_JOURNAL_FORWARDED, /* it is in the topic of another invoker, which tells how it ended */
    INV_JOURNAL_DONE,      /* answered */
};

/* What has to happen before an activation is done with. */
enum inv_journal_part {
    INV_JOURNAL_ACKED = 1,  /* the broker has its slot-freeing ack */
    INV_JOURNAL_STORED = 2, /* its record is where it cannot get lost, or not wanted */
    INV_JOURNAL_WHOLE = 3,
};

enum { INV_JOURNAL_ID_LEN = 16 };

/* The process that something was forwarded to. */
struct inv_journal_peer {
    uint64_t id;   /* instance number */
    uint64_t boot; /* which process of that invoker */
};

struct inv_journal_entry {
    int64_t offset;
    unsigned char id[INV_JOURNAL_ID_LEN]; /* activation id; zeros: an unreadable message */
    enum inv_journal_state state;         /* never DONE in what is handed out */
    unsigned char settled;                /* of this process: set of enum inv_journal_part */
    bool held;                            /* of this process: it has the message */
    bool came_back;                       /* was forwarded and given back: never forwarded again */
    struct inv_journal_peer peer;         /* who has it: FORWARDED only */
};

/* Where the group's commit can be, as far as it is this journal's owner's doing: not below the
 * lowest and not above the highest of those that were sent since one was confirmed. -1: nowhere
 * yet. */
struct inv_journal_commits {
    int64_t low, high;
};

/* Undone entries that somebody else may have run, and that somebody else has. */
struct inv_journal_served {
    size_t doubtful, theirs;
};

struct inv_journal_conf {
    const struct cw_disk *disk;
    const char *dir;  /* exists */
    const char *name; /* of the invoker: "invoker0" */
    const char *topic;
    size_t file_bytes; /* 64 KiB.. each of the two */
    uint64_t identity; /* not 0: of a journal that has none yet */
    bool sync;         /* fdatasync where a state must be kept */
};

/* Opens or makes the two files and reads what a predecessor left; what belongs to another topic is
 * not read. NULL with *err (directory, space, permission, a later version's format: named). */
struct inv_journal *inv_journal_open(const struct inv_journal_conf *conf,
                                     struct cw_err *err) CW_MUST_CHECK;
/* Writes what is buffered. Accepts NULL. */
void inv_journal_close(struct inv_journal *j);

/* What is not done, by offset; valid until the next call that changes the journal. */
const struct inv_journal_entry *inv_journal_undone(struct inv_journal *j, size_t *count);
/* Lowest offset that is not done, or the one behind all that was taken; -1: nothing is known. */
int64_t inv_journal_low(const struct inv_journal *j);
/* The one behind all that was taken; -1: nothing is known. */
int64_t inv_journal_next(const struct inv_journal *j);
/* The message to begin with again, and the id by which the topic is recognised: the lowest that is
 * not done, else the last that was taken. false: nothing is known. */
bool inv_journal_anchor(const struct inv_journal *j, struct inv_journal_entry *ret);
/* The entry of an offset; NULL when it is not known or done. Valid until the next call that changes
 * the journal; only `held` may be written. */
struct inv_journal_entry *inv_journal_find(struct inv_journal *j, int64_t offset);
/* How many are not done. */
size_t inv_journal_count(const struct inv_journal *j);
/* Forgets everything: the topic is another one than the journal's. */
void inv_journal_forget(struct inv_journal *j);
/* What is not done below this offset is done with: the topic does not have it any more. Returns how
 * many those were. */
size_t inv_journal_drop_below(struct inv_journal *j, int64_t offset);
/* Forgets that anything from this offset on was taken: it is left to whoever reads the topic. */
void inv_journal_rewind(struct inv_journal *j, int64_t offset);

/* By which it is told from all others; forgetting does not change it. Not 0. */
uint64_t inv_journal_identity(const struct inv_journal *j);
/* false: nothing is known, by what an earlier version wrote. */
bool inv_journal_commits(const struct inv_journal *j, struct inv_journal_commits *ret);
/* Buffered until the next flush. */
void inv_journal_note_commits(struct inv_journal *j, const struct inv_journal_commits *commits);
/* Somebody else began where the group's commit was, in `from`, and went on to `end`: what is undone
 * from from->high on is done with, what lies between from->low and that was perhaps started. All
 * below `end` was taken. The next flush writes all of this or nothing. */
void inv_journal_served(struct inv_journal *j, const struct inv_journal_commits *from, int64_t end,
                        struct inv_journal_served *ret);

/* Offsets rise from call to call. Buffered until the next flush. The entry is held. */
void inv_journal_taken(struct inv_journal *j, int64_t offset,
                       const unsigned char id[INV_JOURNAL_ID_LEN]);
/* Marks DONE once all parts have been settled. An offset that is not known is ignored. */
void inv_journal_settle(struct inv_journal *j, int64_t offset, enum inv_journal_part part);
/* state: STARTED, in the kernel (with sync: on disk) when this returns 0; or DONE, buffered until
 * the next flush. An offset that is not known, done, or in that state is ignored. */
int inv_journal_mark(struct inv_journal *j, int64_t offset, enum inv_journal_state state,
                     struct cw_err *err) CW_MUST_CHECK;
/* FORWARDED, and TAKEN again because it came back. Buffered until the next flush; an offset that is
 * not known or done is ignored, as is the return of what is neither held nor FORWARDED: somebody
 * else may have run it. */
void inv_journal_forwarded(struct inv_journal *j, int64_t offset,
                           const struct inv_journal_peer *peer);
void inv_journal_returned(struct inv_journal *j, int64_t offset);
/* Buffered records reach the kernel (with sync: the disk). On failure they stay buffered. */
int inv_journal_flush(struct inv_journal *j, struct cw_err *err) CW_MUST_CHECK;
