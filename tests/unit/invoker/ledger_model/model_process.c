#include "tests/unit/invoker/ledger_model/model_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/journal/journal_format.h"
#include "tests/support/cmocka_all.h"

static const struct inv_journal_peer PEER = {.id = 1, .boot = 2};

void model_process_init(struct model_process *p, bool blind)
{
    *p = (struct model_process){.loop = cw_loop_new(NULL, NULL),
                                .metrics = cw_metrics_new(),
                                .blind = blind,
                                .quiet_fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    model_disk_init(&p->disk);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_ERROR, .fd = p->quiet_fd});
}

void model_process_done(struct model_process *p)
{
    model_process_kill(p);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = 1});
    (void)close(p->quiet_fd);
    cw_metrics_free(p->metrics);
    cw_loop_free(p->loop);
}

/* See id_of. */
static void on_left(void *arg, int64_t ticket, const char *id, const struct inv_journal_peer *peer)
{
    struct model_process *p = arg;
    unsigned act = (unsigned)(id[31] - '0') + (id[0] == 'b' ? MODEL_MESSAGES : 0);

    assert_int_equal(peer->id, PEER.id);
    assert_int_equal(peer->boot, PEER.boot);
    p->tickets[act] = ticket;
    p->expected[act] = true;
}

bool model_process_open(struct model_process *p)
{
    struct cw_err err = {0};

    memset(p->expected, 0, sizeof(p->expected));
    p->ledger = inv_ledger_new(&(struct inv_ledger_conf){.loop = p->loop,
                                                         .metrics = p->metrics,
                                                         .disk = &p->disk.base,
                                                         .dir = "/data",
                                                         .topic = "invoker0"});
    if (inv_ledger_open(p->ledger, &err) != 0)
        return false;
    inv_ledger_forwarded_left(p->ledger, on_left, p);
    return true;
}

void model_process_make(struct model_process *p, const struct model_image *image,
                        const struct model_calls *calls)
{
    model_process_kill(p);
    p->disk.left = SIZE_MAX;
    p->disk.image = *image;
    assert_true(model_process_open(p));
    for (unsigned i = 0; i < calls->count; i++)
        assert_int_equal(model_process_call(p, calls->list[i].call, calls->list[i].arg).code, 0);
    p->disk.written = 0;
}

static const char *id_of(const struct model_process *p, unsigned act, char text[33])
{
    bool other = !p->blind && act >= MODEL_MESSAGES;

    (void)snprintf(text, 33, "%c%031x", other ? 'b' : 'a', act % MODEL_MESSAGES);
    return text;
}

static void begin(struct model_process *p, unsigned arg, struct model_answer *ret)
{
    const struct cw_bus_position commit = {
        .offset = (int64_t)(arg & ~(unsigned)CALL_OWN) - 1,
        .note = arg & CALL_OWN ? inv_ledger_note(p->ledger) : "",
    };

    ret->from = inv_ledger_begin(p->ledger, &commit, &ret->known);
}

static bool is_over(void *arg)
{
    return (*(int *)arg)-- <= 0;
}

static void turn(struct model_process *p)
{
    int turns = 1;

    (void)cw_loop_run_until(p->loop, is_over, &turns, 0);
}

struct model_answer model_process_call(struct model_process *p, enum model_call call, unsigned arg)
{
    struct model_answer ret = {0};
    struct cw_err err = {0};
    char id[33];

    switch (call) {
    case CALL_BEGIN:
        begin(p, arg, &ret);
        break;
    case CALL_TAKE:
        ret.verdict =
            inv_ledger_take(p->ledger, arg % MODEL_MESSAGES, id_of(p, arg, id), &p->tickets[arg]);
        break;
    case CALL_KEEP:
        ret.code = inv_ledger_keep(p->ledger, arg, &err);
        break;
    case CALL_COMMITTED:
        inv_ledger_committed(p->ledger, arg);
        break;
    case CALL_ENDS:
        ret.foreign = inv_ledger_ends(p->ledger, arg);
        break;
    case CALL_START:
        ret.code = inv_ledger_start(p->ledger, p->tickets[arg], &err);
        break;
    case CALL_FORWARDED:
        inv_ledger_forwarded(p->ledger, p->tickets[arg], &PEER);
        break;
    case CALL_RETURNED:
        inv_ledger_returned(p->ledger, p->tickets[arg]);
        break;
    case CALL_FLUSH:
        ret.code = inv_ledger_flush(p->ledger, &err);
        break;
    case CALL_ACKED:
        inv_ledger_acked(p->ledger, p->tickets[arg]);
        break;
    case CALL_STORED:
        inv_ledger_stored(p->ledger, p->tickets[arg]);
        break;
    case CALL_LEAVE:
        inv_ledger_leave(p->ledger, arg);
        break;
    case CALL_TURN:
        turn(p);
        break;
    }
    if (p->disk.left == 0)
        ret.code = -1;
    return ret;
}

void model_process_kill(struct model_process *p)
{
    p->disk.left = 0;
    inv_ledger_free(CW_STEAL(p->ledger));
}

bool model_process_close(struct model_process *p)
{
    inv_ledger_free(CW_STEAL(p->ledger));
    return p->disk.left > 0;
}

uint64_t model_process_digest(struct model_process *p, bool *pending)
{
    struct model_digest now, then;
    uint64_t hash;

    model_digest_make(&p->disk.image, &now);
    p->disk.left = SIZE_MAX;
    p->disk.written = 0;
    assert_true(model_process_close(p));
    *pending = p->disk.written > 0;
    model_digest_make(&p->disk.image, &then);
    hash = model_hash(now.generation == then.generation, now.states,
                      offsetof(struct model_digest, file));
    if (now.generation != then.generation) {
        hash = model_hash(hash, then.states, offsetof(struct model_digest, file));
    } else { /* the order of what follows counts; its checksums are of the generation */
        for (size_t at = now.end; at < then.end; at += JOURNAL_RECORD_BYTES)
            hash =
                model_hash(hash, p->disk.image.bytes[then.file] + at + 4, JOURNAL_RECORD_BYTES - 4);
    }
    return hash;
}
