/* invoker/ledger.h -- which messages of the topic are ours to run, and what a successor is told of
 * them: the journal's rules (docs/adr/0010-journal.md).
 *
 * A message that is taken gets a ticket, by which it is known until it is done with; tickets of a
 * topic that turned out to be another one are ignored. Without a data directory there is no
 * journal: everything is to be run, nothing is written. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "invoker/journal/journal.h"

struct cw_bus_position;
struct cw_disk;
struct cw_err;
struct cw_loop;
struct cw_metrics;
struct inv_ledger;

enum { INV_NO_TICKET = -1 };

enum inv_verdict {
    INV_RUN,      /* new, or taken by a predecessor who did not start it */
    INV_RUN_HERE, /* likewise, and it was forwarded and came back: it is not forwarded again */
    INV_ANSWER,   /* a predecessor started it, nobody knows how far it came */
    INV_AWAY,     /* a predecessor forwarded it: inv_ledger_forwarded_left named it */
    INV_SKIP,     /* done, or already in our hands */
    INV_FOREIGN,  /* not the topic that the journal is of: everything was forgotten; read from the
                     group's commit again, this message too */
};

struct inv_ledger_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    const struct cw_disk *disk;
    const char *dir;   /* NULL or "": no journal */
    const char *topic; /* names the journal's files, too */
    bool sync;         /* survive the machine's death, too */
    /* full: no more may be taken, because too much is undone or the journal cannot be written;
     * !full: again. Never inside a call. May be NULL. */
    void (*on_full)(void *arg, bool full);
    void *arg;
};

/* Strings are copied. */
struct inv_ledger *inv_ledger_new(const struct inv_ledger_conf *conf);
/* Reads what a predecessor left; before, nothing may be asked of a ledger that keeps a journal. The
 * predecessor must be gone: it writes to the same files. -1 with *err when they cannot be had. */
int inv_ledger_open(struct inv_ledger *l, struct cw_err *err) CW_MUST_CHECK;
/* Writes what is buffered. Accepts NULL. */
void inv_ledger_free(struct inv_ledger *l);

/* Is there, or will there be, a journal? */
bool inv_ledger_keeps(const struct inv_ledger *l);
/* Goes with each commit of the group, so that a successor with this journal sees whether anybody
 * else committed since. NULL without a journal. */
const char *inv_ledger_note(const struct inv_ledger *l);
/* The topic was assigned to us, and that is the group's commit. What others may have run since
 * will be answered, what they certainly took is theirs. Returns the offset to begin with, -1: the
 * group's commit; in *known, below which offset everything is in the journal (-1: nothing is). The
 * next message that is taken is checked to be of the journal's topic. */
int64_t inv_ledger_begin(struct inv_ledger *l, const struct cw_bus_position *commit,
                         int64_t *known);
/* Something that a predecessor forwarded, and of which it did not hear. */
typedef void inv_ledger_left_fn(void *arg, int64_t ticket, const char *activation_id,
                                const struct inv_journal_peer *peer);
/* Names all of that, before anything is taken. Its message is taken with INV_AWAY, unless the
 * ticket was settled, or inv_ledger_returned, before. */
void inv_ledger_forwarded_left(const struct inv_ledger *l, inv_ledger_left_fn *fn, void *arg);
/* Nothing was taken since, so it is not known yet whether the topic is the journal's. */
bool inv_ledger_checks(const struct inv_ledger *l);
/* The topic ends there. true: so it is not the journal's, and everything was forgotten: read from
 * the group's commit again. */
bool inv_ledger_ends(struct inv_ledger *l, int64_t end);

/* A message that was read: its activation id, NULL for one that is not readable. RUN, RUN_HERE,
 * ANSWER and AWAY put a ticket into *ticket (INV_NO_TICKET without a journal), the others
 * INV_NO_TICKET. */
enum inv_verdict inv_ledger_take(struct inv_ledger *l, int64_t offset, const char *activation_id,
                                 int64_t *ticket);
/* The group's commit is about to be set there: what was taken reaches the kernel before. */
int inv_ledger_keep(struct inv_ledger *l, int64_t offset, struct cw_err *err) CW_MUST_CHECK;
/* The broker confirmed that commit, and none is under way. */
void inv_ledger_committed(struct inv_ledger *l, int64_t offset);
/* /run is about to be sent. On failure it must not be. */
int inv_ledger_start(struct inv_ledger *l, int64_t ticket, struct cw_err *err) CW_MUST_CHECK;
/* Started, and the broker has it in the topic of that process, whose report is waited for from now
 * on. Reaches the kernel at the end of the turn. */
void inv_ledger_forwarded(struct inv_ledger *l, int64_t ticket,
                          const struct inv_journal_peer *peer);
/* It came back from there and was not run. Likewise. */
void inv_ledger_returned(struct inv_ledger *l, int64_t ticket);
/* What was told so far reaches the kernel. */
int inv_ledger_flush(struct inv_ledger *l, struct cw_err *err) CW_MUST_CHECK;
/* The broker has its slot-freeing ack, or refused it for good. */
void inv_ledger_acked(struct inv_ledger *l, int64_t ticket);
/* Its record is where it cannot get lost, or not wanted. */
void inv_ledger_stored(struct inv_ledger *l, int64_t ticket);
/* Everything from this offset on is left to whoever reads the topic next, and the group's commit is
 * there: once nothing is undone any more, the journal is forgotten. */
void inv_ledger_leave(struct inv_ledger *l, int64_t offset);
/* Offset of a ticket; -1 for INV_NO_TICKET and tickets of another topic. */
int64_t inv_ledger_offset(const struct inv_ledger *l, int64_t ticket);
/* Of what a predecessor left: how many have not been read again yet. */
size_t inv_ledger_left(const struct inv_ledger *l);
/* Taken and not done with. */
size_t inv_ledger_undone(const struct inv_ledger *l);
