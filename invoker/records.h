/* invoker/records.h -- stores activation records in batches bounded in count and bytes.
 *
 * A batch that fails as a whole is tried again with growing pauses for as long as it takes; a
 * document that the store refuses, or that alone fails again and again while others are stored, is
 * found by halving its batch and stored without its logs, then without its result, with a notice; a
 * conflict means that it is there already. Memory is bounded: over the bound on_full tells the
 * caller to take no more work until on_full says so.
 *
 * With a data directory each record is put into a spool there first (invoker/spool), with those
 * added in the same turn: it survives this process, and while the store is away memory holds only
 * the oldest. Where the spool cannot be written, memory has to do until it can. Once a record
 * needs this process no more, on_safe tells so. Sources: openwhisk couchdb.md 6.1, design. Thread:
 * loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_disk;
struct cw_docstore;
struct cw_err;
struct cw_loop;
struct cw_metrics;
struct inv_job;
struct inv_records;

struct inv_records_conf {
    struct cw_loop *loop;
    struct cw_docstore *store;
    struct cw_metrics *metrics;
    const char *db;
    int blocking_level, non_blocking_level; /* enum inv_store_level */
    bool log_unstored;                      /* a line for each record that is not wanted */
    size_t max_bytes;                       /* of records held in memory */
    int64_t retry_ms;                       /* first pause after a failure; 0: 100 */
    /* The spool; data_dir NULL or "": none. Borrowed until inv_records_free. */
    const struct cw_disk *disk; /* NULL: the machine's */
    const char *data_dir;       /* exists */
    const char *spool_name;     /* of its files: the invoker's topic */
    int64_t spool_bytes;        /* over it: full; it may go over by what is under way then */
    bool sync;                  /* a record is safe once the disk has it, not only the kernel */
    /* full: the bound is reached; !full: there is room again. */
    void (*on_full)(void *arg, bool full);
    /* Once for each inv_records_add, in a later turn, with the job's ticket (-1 included): its
     * record is in the spool, or stored, or not wanted, or refused for good. May be NULL. Not
     * called any more for what inv_records_free finds. */
    void (*on_safe)(void *arg, int64_t ticket);
    void *arg;
};

struct inv_records *inv_records_new(const struct inv_records_conf *conf);
/* Opens the spool, if there is to be one, and stores what a predecessor left in it first. The
 * directory must be ours alone by now. -1 with *err: it cannot be read. */
int inv_records_start(struct inv_records *r, struct cw_err *err) CW_MUST_CHECK;
/* What is neither stored nor in the spool is lost: wait for inv_records_may_stop first. Accepts
 * NULL. */
void inv_records_free(struct inv_records *r);
/* Stores the job's record if its namespace and the level want it. */
void inv_records_add(struct inv_records *r, const struct inv_job *job);

/* Records not stored yet. */
size_t inv_records_pending(const struct inv_records *r);
/* Of these, those that the end of this process would lose. */
size_t inv_records_at_risk(const struct inv_records *r);
/* Nothing is at risk, and what is in the spool is there for the successor because the store is
 * away, or slow, or has much to catch up with; or all is stored. */
bool inv_records_may_stop(const struct inv_records *r);

/* The stored document of an activation whose record a predecessor left in the spool, stored or not:
 * the activation ended, though its ack may not have gone out. Empty: there is none. Known is the
 * newest of what was left (inv_spool_find). Valid until the next call of this or the next function.
 * id: as in messages. */
struct cw_slice inv_records_recovered(struct inv_records *r, const char *activation_id);
/* Nobody will ask any more; until then files of the predecessor are kept. */
void inv_records_forget_recovered(struct inv_records *r);
