/* invoker/records.h -- stores activation records in batches bounded in count and bytes.
 *
 * A batch that fails as a whole is tried again with growing pauses for as long as it takes; a
 * document that the store refuses, or that alone fails again and again while others are stored, is
 * found by halving its batch and stored without its logs, then without its result, with a notice; a
 * conflict means that it is there already. Memory is bounded: over the bound on_full tells the
 * caller to take no more work until on_full says so. Once a record needs this process no more,
 * on_safe tells so. Sources: openwhisk couchdb.md 6.1, design. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_docstore;
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
    /* full: the bound is reached; !full: there is room again. */
    void (*on_full)(void *arg, bool full);
    /* Once for each inv_records_add, in a later turn, with the job's ticket (-1 included): its
     * record is stored, or not wanted, or refused for good. May be NULL. Not called any more for
     * what inv_records_free finds. */
    void (*on_safe)(void *arg, int64_t ticket);
    void *arg;
};

struct inv_records *inv_records_new(const struct inv_records_conf *conf);
/* What is not stored yet is lost: wait for inv_records_pending to become 0 first. Accepts NULL. */
void inv_records_free(struct inv_records *r);
/* Stores the job's record if its namespace and the level want it. */
void inv_records_add(struct inv_records *r, const struct inv_job *job);
/* Records not stored yet. */
size_t inv_records_pending(const struct inv_records *r);
