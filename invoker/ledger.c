#include "invoker/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#define COMPONENT "Journal"

enum {
    FILE_BYTES = 8 << 20,
    UNDONE_MAX = 100000,  /* beyond, nothing more is taken; a file has room for twice that */
    UNDONE_AGAIN = 75000, /* below, again */
    RETRY_MS = 1000,      /* after a write that failed */
    OFFSET_BITS = 48,     /* of a ticket; the rest tells the topics apart */
    ID_DIGITS = 2 * INV_JOURNAL_ID_LEN,
    NOTE_BYTES = 32,
};

struct inv_ledger {
    struct inv_ledger_conf conf;
    char *topic;
    char *dir;                       /* NULL: no journal */
    struct inv_journal *journal;     /* NULL: none is kept */
    size_t left;                     /* by a predecessor, not read again yet */
    int64_t era;                     /* counts topics */
    bool given_back;                 /* the group's commit covers all that is done */
    char note[NOTE_BYTES];           /* of our commits */
    bool checking;                   /* the next message tells whether the topic is the journal's */
    struct inv_journal_entry anchor; /* by which; reports may have settled it since */
    bool own;                        /* the group's commit was ours when the topic was assigned */
    int64_t read;                    /* offset of the last message of this assignment; -1 before */
    bool failing;                    /* the journal cannot be written */
    bool full;                       /* told so */
    struct cw_timer retry;
    struct cw_defer flush;
    struct cw_gauge *undone;
    struct cw_counter *resumed, *answered, *skipped, *lost, *elsewhere, *failures;
};

/* ---- tickets ---- */

static int64_t ticket_of(const struct inv_ledger *l, int64_t offset)
{
    return l->era << OFFSET_BITS | offset;
}

int64_t inv_ledger_offset(const struct inv_ledger *l, int64_t ticket)
{
    if (ticket < 0 || ticket >> OFFSET_BITS != l->era)
        return -1;
    return ticket & ((INT64_C(1) << OFFSET_BITS) - 1);
}

/* ---- writing ---- */

static void update_full(struct inv_ledger *l)
{
    size_t undone = inv_ledger_undone(l);
    bool full = l->failing || undone > (l->full ? UNDONE_AGAIN : UNDONE_MAX);

    cw_gauge_set(l->undone, (double)undone);
    if (full == l->full)
        return;
    l->full = full;
    if (l->conf.on_full)
        l->conf.on_full(l->conf.arg, full);
}

static void write_failed(struct inv_ledger *l, const struct cw_err *err)
{
    cw_counter_add(l->failures, 1);
    if (!l->failing)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT,
               "cannot be written, nothing new is taken until it can: %s", err->msg);
    l->failing = true;
    cw_timer_set_ms(&l->retry, RETRY_MS);
}

static int written(struct inv_ledger *l, int code, const struct cw_err *err)
{
    if (code != 0) {
        write_failed(l, err);
        cw_defer_post(&l->flush); /* tells that we are full, outside of this call */
        return -1;
    }
    if (l->failing)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "can be written again");
    l->failing = false;
    return 0;
}

int inv_ledger_keep(struct inv_ledger *l, int64_t offset, struct cw_err *err)
{
    struct inv_journal_commits c;

    if (!l->journal)
        return 0;
    if (!inv_journal_commits(l->journal, &c))
        c.low = c.high = offset;
    c.low = offset < c.low ? offset : c.low;
    c.high = offset > c.high ? offset : c.high;
    inv_journal_note_commits(l->journal, &c);
    return written(l, inv_journal_flush(l->journal, err), err);
}

void inv_ledger_committed(struct inv_ledger *l, int64_t offset)
{
    if (!l->journal)
        return;
    inv_journal_note_commits(l->journal, &(struct inv_journal_commits){offset, offset});
    cw_defer_post(&l->flush);
}

/* End of a turn in which something became done. */
static void on_flush(void *arg)
{
    struct inv_ledger *l = arg;
    struct cw_err err = {0};

    if (!cw_timer_pending(&l->retry) && l->journal)
        (void)written(l, inv_journal_flush(l->journal, &err), &err);
    update_full(l);
}

static void on_retry(void *arg)
{
    struct inv_ledger *l = arg;

    cw_defer_post(&l->flush);
}

/* ---- taking ---- */

static int nibble(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Activation ids are 32 lower-case hexadecimal digits (common/model checks that); an unreadable
 * message has zeros. */
static void pack_id(const char *text, unsigned char ret[INV_JOURNAL_ID_LEN])
{
    memset(ret, 0, INV_JOURNAL_ID_LEN);
    for (size_t i = 0; text && i < ID_DIGITS; i += 2)
        ret[i / 2] = (unsigned char)(nibble(text[i]) << 4 | nibble(text[i + 1]));
}

static void unpack_id(const unsigned char id[INV_JOURNAL_ID_LEN], char ret[ID_DIGITS + 1])
{
    for (size_t i = 0; i < INV_JOURNAL_ID_LEN; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", id[i]);
}

static void forget(struct inv_ledger *l)
{
    struct inv_journal_commits c;

    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "it is another topic of that name: the journal is forgotten, with %zu activations "
           "undone",
           inv_ledger_undone(l));
    inv_journal_forget(l->journal);
    /* Where the group is in this one, we have not asked. */
    if (inv_journal_commits(l->journal, &c))
        inv_journal_note_commits(l->journal, &(struct inv_journal_commits){-1, c.high});
    l->checking = false;
    l->left = 0;
    l->era++;
    l->read = -1;
    cw_defer_post(&l->flush);
}

static enum inv_verdict forget_at(struct inv_ledger *l, int64_t offset)
{
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "the message at offset %" PRId64 " of %s is not the one that the journal knows", offset,
           l->topic);
    forget(l);
    return INV_FOREIGN;
}

/* Retention may have taken messages from the front. */
static void drop_lost(struct inv_ledger *l, int64_t first)
{
    int64_t low = inv_journal_low(l->journal);
    size_t lost = inv_journal_drop_below(l->journal, first);

    if (!lost)
        return;
    l->left -= lost < l->left ? lost : l->left;
    cw_counter_add(l->lost, lost);
    cw_log(CW_LOG_ERROR, NULL, COMPONENT,
           "%zu activations between offsets %" PRId64 " and %" PRId64
           " of %s are lost: the topic does not have them any more (retention)",
           lost, low, first, l->topic);
    cw_defer_post(&l->flush);
}

/* Is this message, the first of an assignment, of the topic that the journal is of? */
static bool is_of_topic(struct inv_ledger *l, int64_t offset,
                        const unsigned char id[INV_JOURNAL_ID_LEN])
{
    struct inv_journal_entry anchor = l->anchor;

    if (offset > anchor.offset && anchor.state != INV_JOURNAL_DONE) {
        drop_lost(l, offset);
        if (!inv_journal_anchor(l->journal, &anchor))
            return false; /* without an id, offsets say nothing */
    }
    return offset == anchor.offset && memcmp(anchor.id, id, sizeof(anchor.id)) == 0;
}

static enum inv_verdict judge_known(struct inv_ledger *l, struct inv_journal_entry *entry)
{
    if (!entry || entry->held) {
        cw_counter_add(l->skipped, 1);
        return INV_SKIP;
    }
    entry->held = true;
    l->left -= l->left > 0;
    if (entry->state == INV_JOURNAL_TAKEN) {
        cw_counter_add(l->resumed, 1);
        return entry->came_back ? INV_RUN_HERE : INV_RUN;
    }
    if (entry->state == INV_JOURNAL_FORWARDED)
        return INV_AWAY;
    cw_counter_add(l->answered, 1);
    return INV_ANSWER;
}

enum inv_verdict inv_ledger_take(struct inv_ledger *l, int64_t offset, const char *activation_id,
                                 int64_t *ticket)
{
    unsigned char id[INV_JOURNAL_ID_LEN];
    struct inv_journal_entry *entry;
    enum inv_verdict verdict = INV_RUN;

    *ticket = INV_NO_TICKET;
    if (!l->journal)
        return INV_RUN;
    pack_id(activation_id, id);
    /* Offsets only grow, unless the topic was made anew under a consumer that goes on from its
     * beginning. */
    if ((l->checking && !is_of_topic(l, offset, id)) || offset <= l->read)
        return forget_at(l, offset);
    l->checking = false;
    l->read = offset;
    if (offset < inv_journal_next(l->journal)) {
        entry = inv_journal_find(l->journal, offset);
        if (entry && memcmp(entry->id, id, sizeof(id)) != 0)
            return forget_at(l, offset);
        verdict = judge_known(l, entry);
    } else {
        inv_journal_taken(l->journal, offset, id);
        cw_defer_post(&l->flush);
    }
    if (verdict != INV_SKIP)
        *ticket = ticket_of(l, offset);
    return verdict;
}

bool inv_ledger_checks(const struct inv_ledger *l)
{
    return l->checking;
}

/* A topic that was made again has no commit of ours. It may end just before the message that would
 * tell it apart. */
bool inv_ledger_ends(struct inv_ledger *l, int64_t end)
{
    if (!l->checking || l->own || end > l->anchor.offset)
        return false;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "%s ends at offset %" PRId64 ", before a message that the journal knows", l->topic, end);
    forget(l);
    return true;
}

/* ---- what others did ---- */

/* A commit that is gone went with the topic, which its first message will tell, or with time: then
 * whatever is undone may have been run by anybody. */
static bool commit_is_gone(const struct inv_ledger *l, struct inv_journal_commits *from,
                           int64_t *ret_end)
{
    bool had = from->low >= 0;

    *ret_end = inv_journal_next(l->journal);
    *from = (struct inv_journal_commits){-1, *ret_end};
    return had;
}

/* Did anybody else read the topic since we did, and where can he have begun? The commit that we
 * find tells who made it, not where he had found it: that, the journal remembers. */
static bool others_came(const struct inv_ledger *l, const struct cw_bus_position *commit,
                        struct inv_journal_commits *ret_from, int64_t *ret_end)
{
    bool known = inv_journal_commits(l->journal, ret_from), between;

    if (!known || inv_journal_next(l->journal) < 0)
        return false; /* an earlier version did not tell; or there is nothing that could be theirs
                       */
    if (commit->offset < 0)
        return commit_is_gone(l, ret_from, ret_end);
    between = ret_from->low <= commit->offset && commit->offset <= ret_from->high;
    *ret_end = commit->offset;
    if (l->own && !between) /* this journal is an old copy of what we wrote */
        *ret_from = (struct inv_journal_commits){-1, commit->offset};
    else if (commit->offset < ret_from->low) /* set back by hand */
        ret_from->low = -1;
    return !(l->own && between);
}

static void settle_with_others(struct inv_ledger *l, const struct cw_bus_position *commit)
{
    struct inv_journal_served served;
    struct inv_journal_commits from;
    int64_t end;

    if (others_came(l, commit, &from, &end) && from.low < end) {
        inv_journal_served(l->journal, &from, end, &served);
        l->left -= served.theirs < l->left ? served.theirs : l->left;
        cw_counter_add(l->elsewhere, served.doubtful + served.theirs);
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "somebody else read %s up to offset %" PRId64 " meanwhile: %zu activations that it "
               "took are not ours any more, %zu that it may have run are answered",
               l->topic, end, served.theirs, served.doubtful);
    }
    inv_journal_note_commits(l->journal,
                             &(struct inv_journal_commits){commit->offset, commit->offset});
    cw_defer_post(&l->flush);
}

int64_t inv_ledger_begin(struct inv_ledger *l, const struct cw_bus_position *commit, int64_t *known)
{
    *known = -1;
    l->read = -1;
    l->given_back = false;
    if (!l->journal)
        return -1;
    l->own = strcmp(commit->note, l->note) == 0;
    settle_with_others(l, commit);
    *known = inv_journal_next(l->journal);
    l->checking = inv_journal_anchor(l->journal, &l->anchor);
    if (l->checking)
        return l->anchor.offset;
    /* Offsets alone do not tell which topic they are of; and there is the commit to go by. */
    inv_journal_forget(l->journal);
    *known = -1;
    return -1;
}

const char *inv_ledger_note(const struct inv_ledger *l)
{
    return l->journal ? l->note : NULL;
}

/* ---- the life of a message ---- */

int inv_ledger_start(struct inv_ledger *l, int64_t ticket, struct cw_err *err)
{
    int64_t offset = inv_ledger_offset(l, ticket);

    if (!l->journal || offset < 0)
        return 0;
    return written(l, inv_journal_mark(l->journal, offset, INV_JOURNAL_STARTED, err), err);
}

/* The commit, which ends with the topic and moves on with whoever reads it, then is the better
 * place to begin with. */
static void forget_when_left(struct inv_ledger *l)
{
    if (l->given_back && inv_ledger_undone(l) == 0)
        inv_journal_forget(l->journal);
}

void inv_ledger_forwarded(struct inv_ledger *l, int64_t ticket, const struct inv_journal_peer *peer)
{
    int64_t offset = inv_ledger_offset(l, ticket);

    if (!l->journal || offset < 0)
        return;
    inv_journal_forwarded(l->journal, offset, peer);
    cw_defer_post(&l->flush);
}

void inv_ledger_returned(struct inv_ledger *l, int64_t ticket)
{
    int64_t offset = inv_ledger_offset(l, ticket);

    if (!l->journal || offset < 0)
        return;
    inv_journal_returned(l->journal, offset);
    cw_defer_post(&l->flush);
}

int inv_ledger_flush(struct inv_ledger *l, struct cw_err *err)
{
    return l->journal ? written(l, inv_journal_flush(l->journal, err), err) : 0;
}

void inv_ledger_forwarded_left(const struct inv_ledger *l, inv_ledger_left_fn *fn, void *arg)
{
    const struct inv_journal_entry *undone;
    char id[ID_DIGITS + 1];
    size_t count = 0;

    undone = l->journal ? inv_journal_undone(l->journal, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (undone[i].state != INV_JOURNAL_FORWARDED)
            continue;
        unpack_id(undone[i].id, id);
        fn(arg, ticket_of(l, undone[i].offset), id, &undone[i].peer);
    }
}

static void settle(struct inv_ledger *l, int64_t ticket, enum inv_journal_part part)
{
    int64_t offset = inv_ledger_offset(l, ticket);
    const struct inv_journal_entry *entry;
    bool left;

    if (!l->journal || offset < 0)
        return;
    entry = inv_journal_find(l->journal, offset);
    left = entry && !entry->held;
    inv_journal_settle(l->journal, offset, part);
    if (left && !inv_journal_find(l->journal, offset)) /* its message will be skipped */
        l->left -= l->left > 0;
    forget_when_left(l);
    cw_defer_post(&l->flush);
}

void inv_ledger_acked(struct inv_ledger *l, int64_t ticket)
{
    settle(l, ticket, INV_JOURNAL_ACKED);
}

void inv_ledger_stored(struct inv_ledger *l, int64_t ticket)
{
    settle(l, ticket, INV_JOURNAL_STORED);
}

void inv_ledger_leave(struct inv_ledger *l, int64_t offset)
{
    if (!l->journal)
        return;
    inv_journal_rewind(l->journal, offset);
    inv_journal_note_commits(l->journal, &(struct inv_journal_commits){offset, offset});
    l->given_back = true;
    forget_when_left(l);
    cw_defer_post(&l->flush);
}

size_t inv_ledger_left(const struct inv_ledger *l)
{
    return l->left;
}

size_t inv_ledger_undone(const struct inv_ledger *l)
{
    return l->journal ? inv_journal_count(l->journal) : 0;
}

bool inv_ledger_keeps(const struct inv_ledger *l)
{
    return l->dir != NULL;
}

/* ---- making ---- */

static uint64_t draw_identity(const struct inv_ledger *l)
{
    uint64_t identity = 0;

    if (getrandom(&identity, sizeof(identity), 0) != sizeof(identity))
        identity = (uint64_t)cw_loop_wall_ms(l->conf.loop);
    return identity ? identity : 1;
}

int inv_ledger_open(struct inv_ledger *l, struct cw_err *err)
{
    if (!inv_ledger_keeps(l))
        return 0;
    l->journal = inv_journal_open(&(struct inv_journal_conf){.disk = l->conf.disk,
                                                             .dir = l->dir,
                                                             .name = l->topic,
                                                             .topic = l->topic,
                                                             .file_bytes = FILE_BYTES,
                                                             .identity = draw_identity(l),
                                                             .sync = l->conf.sync},
                                  err);
    if (!l->journal)
        return -1;
    l->left = inv_ledger_undone(l);
    (void)snprintf(l->note, sizeof(l->note), "cwhisk %016" PRIx64,
                   inv_journal_identity(l->journal));
    cw_log(CW_LOG_INFO, NULL, COMPONENT,
           "kept in %s: a predecessor left %zu activations undone, next offset %" PRId64, l->dir,
           inv_ledger_undone(l), inv_journal_next(l->journal));
    return 0;
}

struct inv_ledger *inv_ledger_new(const struct inv_ledger_conf *conf)
{
    struct inv_ledger *l = cw_alloc(sizeof(*l));
    struct cw_metrics *m = conf->metrics;

    l->conf = *conf;
    l->topic = cw_strdup(conf->topic);
    l->dir = conf->dir && *conf->dir ? cw_strdup(conf->dir) : NULL;
    l->read = -1;
    cw_timer_init(&l->retry, conf->loop, on_retry, l);
    cw_defer_init(&l->flush, conf->loop, on_flush, l);
    l->undone = cw_metrics_gauge(m, "cwhisk_journal_undone", NULL,
                                 "Activations taken and not yet acknowledged and recorded.");
    l->resumed = cw_metrics_counter(m, "cwhisk_journal_resumed_total", NULL,
                                    "Activations that a predecessor took and this one runs.");
    l->answered = cw_metrics_counter(m, "cwhisk_journal_interrupted_total", NULL,
                                     "Activations that a predecessor started and did not end.");
    l->skipped = cw_metrics_counter(m, "cwhisk_journal_skipped_total", NULL,
                                    "Messages read again that were done, or at work.");
    l->lost = cw_metrics_counter(m, "cwhisk_journal_lost_total", NULL,
                                 "Undone activations whose messages the topic has no more.");
    l->elsewhere =
        cw_metrics_counter(m, "cwhisk_journal_elsewhere_total", NULL,
                           "Undone activations that another invoker took, or may have taken.");
    l->failures = cw_metrics_counter(m, "cwhisk_journal_failures_total", NULL,
                                     "Writes of the journal that failed.");
    l->conf.dir = l->conf.topic = NULL;
    return l;
}

void inv_ledger_free(struct inv_ledger *l)
{
    if (!l)
        return;
    inv_journal_close(l->journal);
    cw_timer_done(&l->retry);
    cw_defer_cancel(&l->flush);
    free(l->topic);
    free(l->dir);
    free(l);
}
