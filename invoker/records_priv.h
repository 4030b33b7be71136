/* invoker/records_priv.h -- what the records' files share: records.c (what is wanted, safe, full),
 * records_batch.c (the store and what it refuses), records_spool.c (the data directory).
 *
 * A record is a struct doc while it is in memory: `fresh` until the turn in which it was added
 * ends, then in `queue`, in a batch, and in `queue` again if that fails. With a spool it may leave
 * memory before it is stored: then it, and all that come behind it, are read back in order.
 * Thread: loop. */
#pragma once

#include "common/base/list.h"
#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "invoker/records.h"

#define COMPONENT "ActivationStore"

enum {
    BATCH_MAX_DOCS = 500,
    DOC_MAX_BYTES = 768 << 20,
};

struct inv_spool;

enum degree { DOC_WHOLE, DOC_WITHOUT_LOGS, DOC_WITHOUT_RESULT };

struct doc {
    struct cw_link link;       /* fresh, queue, or batch */
    struct cw_link spool_link; /* bare or spooled */
    char *text;
    size_t size;
    size_t batch_cap; /* halved each time that a batch with it was refused */
    enum degree degree;
    uint64_t number; /* in the order of queueing */
    uint64_t seq;    /* in the spool; 0: it is not there */
    int64_t since_us, ticket;
    bool told;      /* on_safe was called for it, or never will be */
    bool inherited; /* a predecessor may have stored it */
    unsigned tries; /* that failed with their batch; one of them may have stored it all the same */
    unsigned alone; /* of these, those in which it was the whole batch */
    uint64_t answered_before; /* batches answered before the first of these */
    char id[CW_ACTIVATION_ID_LEN + 1];
};

struct batch {
    struct cw_link link;
    struct inv_records *r;
    struct cw_docstore_call *call;
    struct cw_list docs;
    int64_t sent_us;
};

struct inv_records {
    struct inv_records_conf conf;
    struct cw_list fresh, queue, batches;
    size_t bytes, count; /* of documents in memory */
    struct cw_list bare; /* of these, those that are not in the spool, in order; fresh ones last */
    bool full;
    int64_t retry_ms;
    bool answers;      /* the store, the last time */
    uint64_t answered; /* batches */
    uint64_t queued;   /* documents */
    struct cw_timer retry;
    struct cw_defer flush;
    int64_t *safe; /* tickets that on_safe is to hear of */
    size_t safe_count, safe_room;
    /* the spool */
    struct inv_spool *spool; /* NULL: none */
    struct cw_list spooled;  /* documents in memory that are in it, too, by their number there */
    size_t unread;           /* records that are only there */
    uint64_t inherited_below;
    bool spool_fails;
    struct cw_timer spool_retry, read_retry, mark;
    char *recovered; /* what inv_records_recovered gave out */
    struct cw_counter *stored, *skipped, *conflicts, *degraded, *refused, *retries, *spooled_total,
        *spool_errors;
    struct cw_gauge *spool_bytes, *spool_records;
    struct cw_histogram *store_s;
};

/* ---- records.c ---- */

/* on_safe is to hear of it, in a flush. */
void records_note_safe(struct inv_records *r, struct doc *d);
void records_queue(struct inv_records *r, struct doc *d);
/* It is stored, or refused for good, or in the spool only. */
void records_drop(struct inv_records *r, struct doc *d);
void records_update_full(struct inv_records *r);

/* ---- records_batch.c ---- */

void records_send(struct inv_records *r);
/* Documents in flight are in the queue again. */
void records_take_back(struct inv_records *r);

/* ---- records_spool.c; nothing is done without a spool ---- */

/* Fresh documents go into the spool, and into the queue or out of memory; what was left out comes
 * back; what is settled is noted. */
void records_spool_turn(struct inv_records *r);
/* Timer: what is settled is noted though nothing was added. */
void records_on_mark(void *arg);
/* A last try for what is not there. */
void records_spool_close(struct inv_records *r);
