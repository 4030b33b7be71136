#include "tests/unit/invoker/ledger_model/model_rules.h"

#include <stdio.h>

#include "tests/support/cmocka_all.h"

static unsigned act_of(const struct model_facts *f, int offset)
{
    return (unsigned)(f->topic * MODEL_MESSAGES + offset);
}

static int offset_of(unsigned act)
{
    return (int)act % MODEL_MESSAGES;
}

static bool in_hand(const struct model_act *a)
{
    return a->job == JOB_WAITS || a->job == JOB_INTERRUPTED || a->job == JOB_PLACED ||
           a->job == JOB_RUNS || a->job == JOB_AWAY;
}

static unsigned count_in_hand(const struct model_facts *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MODEL_ACTS; i++)
        n += in_hand(&f->acts[i]);
    return n;
}

static unsigned count_away(const struct model_facts *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MODEL_ACTS; i++)
        n += f->acts[i].job == JOB_AWAY;
    return n;
}

static bool is_flushed(const struct model_facts *f)
{
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        if (f->acts[i].sent || (f->acts[i].job == JOB_ENDED &&
                                (f->acts[i].ack != SENT_TOLD || f->acts[i].record != SENT_TOLD)))
            return false;
    return true;
}

void model_begin(const struct model_conf *conf, struct model_facts *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->committed = -1;
    ret->low = ret->high = ret->kept_low = ret->kept_high = -1;
    ret->end = (int8_t)conf->messages;
    model_crash(ret);
    ret->crashes = 0;
    ret->ended = false;
}

/* ---- what can happen ---- */

#define ADD(k)                                                                                     \
    out[n++] = (struct model_step)                                                                 \
    {                                                                                              \
        .kind = (k), .act = (uint8_t)act                                                           \
    }

static bool may_forward(const struct model_conf *conf, const struct model_facts *f, unsigned act)
{
    const struct model_act *a = &f->acts[act];

    return a->job == JOB_WAITS && f->phase == PHASE_RUNNING && act < conf->forwards &&
           (!a->back || conf->mistake == MISTAKE_FORWARD_AGAIN);
}

/* What the origin does of something forwarded. */
static unsigned away_steps(const struct model_conf *conf, const struct model_facts *f, unsigned act,
                           struct model_step *out)
{
    const struct model_act *a = &f->acts[act];
    unsigned n = 0;

    if (may_forward(conf, f, act))
        ADD(STEP_FORWARD);
    if (a->sent == SENT_FLIES) {
        ADD(STEP_SEND_ARRIVES);
        ADD(STEP_SEND_FAILS);
    }
    if (a->sent == SENT_ARRIVED)
        ADD(STEP_SEND_TOLD);
    if (a->report && !a->heard)
        ADD(STEP_HEAR);
    if (a->report && a->heard)
        ADD(STEP_HEARD_COMMITTED);
    if (a->job == JOB_AWAY && a->peer == PEER_DEAD)
        ADD(STEP_GIVE_UP);
    return n;
}

/* What its peer does, whether the origin lives or not. */
static unsigned peer_steps(const struct model_conf *conf, const struct model_facts *f, unsigned act,
                           struct model_step *out)
{
    const struct model_act *a = &f->acts[act];
    unsigned n = 0;

    if (a->peer == PEER_HAS) {
        ADD(STEP_PEER_RUNS);
        ADD(STEP_PEER_RETURNS);
    }
    if (a->peer == PEER_RUNS)
        ADD(STEP_PEER_ACKS);
    if (a->peer == PEER_ACKED)
        ADD(STEP_PEER_REPORTS);
    if (conf->peer_dies && a->peer >= PEER_HAS && a->peer <= PEER_ACKED)
        ADD(STEP_PEER_DIES);
    return n;
}
#undef ADD

static bool may_hand_out(const struct model_conf *conf, const struct model_facts *f)
{
    bool takes = f->phase == PHASE_RUNNING ||
                 (f->phase == PHASE_DRAINING && f->leave == LEAVE_FAILED && !f->killed);

    return takes && f->position < f->end && count_in_hand(f) < conf->capacity;
}

static bool may_commit(const struct model_facts *f)
{
    return f->commit == SENT_NOT && f->handed > f->confirmed &&
           (f->leave == LEAVE_NOT || f->leave == LEAVE_FAILED);
}

static bool may_exit(const struct model_facts *f)
{
    bool left = f->leave == LEAVE_DONE ||
                (f->leave == LEAVE_FAILED && (f->killed || f->position >= f->end));

    return f->phase == PHASE_DRAINING && left && is_flushed(f) &&
           count_in_hand(f) == (f->killed ? count_away(f) : 0);
}

static unsigned act_steps(const struct model_conf *conf, const struct model_facts *f, unsigned act,
                          struct model_step *out)
{
    const struct model_act *a = &f->acts[act];
    unsigned n = 0;

#define ADD(k)                                                                                     \
    out[n++] = (struct model_step)                                                                 \
    {                                                                                              \
        .kind = (k), .act = (uint8_t)act                                                           \
    }
    if (a->job == JOB_WAITS)
        ADD(conf->stops ? STEP_PLACE : STEP_START);
    if (a->job == JOB_PLACED && !f->killed)
        ADD(STEP_START);
    if (a->job == JOB_RUNS)
        ADD(STEP_ANSWER);
    if (a->job == JOB_INTERRUPTED)
        ADD(STEP_EXCUSE);
    if (a->ack == SENT_FLIES)
        ADD(STEP_ACK_ARRIVES);
    if (a->ack == SENT_ARRIVED)
        ADD(STEP_ACK_TOLD);
    if (a->record == SENT_FLIES && !conf->coarse)
        ADD(STEP_RECORD_SAFE);
#undef ADD
    return n;
}

static unsigned up_steps(const struct model_conf *conf, const struct model_facts *f,
                         struct model_step *out)
{
    unsigned n = 0;

#define ADD(k)                                                                                     \
    out[n++] = (struct model_step)                                                                 \
    {                                                                                              \
        .kind = (k)                                                                                \
    }
    if (may_hand_out(conf, f))
        out[n++] =
            (struct model_step){.kind = STEP_HAND_OUT, .act = (uint8_t)act_of(f, f->position)};
    if (may_commit(f))
        ADD(STEP_COMMIT);
    if (f->commit == SENT_FLIES)
        ADD(STEP_COMMIT_ARRIVES);
    if (f->commit == SENT_ARRIVED)
        ADD(STEP_COMMIT_TOLD);
    if (f->phase == PHASE_RUNNING && f->checking && !f->looked && f->position >= f->end &&
        conf->mistake != MISTAKE_NO_LOOK)
        ADD(STEP_LOOK);
    if (f->pending)
        ADD(STEP_TURN);
    if (f->phase == PHASE_RUNNING && f->stops < conf->stops)
        ADD(STEP_STOP);
    if (f->leave == LEAVE_FLIES && f->commit == SENT_NOT) /* one request at a time */
        ADD(STEP_LEAVE_ARRIVES);
    if (f->leave == LEAVE_ARRIVED)
        ADD(STEP_LEAVE_TOLD);
    if (!conf->confirms && (f->leave == LEAVE_FLIES || f->leave == LEAVE_ARRIVED))
        ADD(STEP_LEAVE_FAILS);
    if (f->phase == PHASE_DRAINING && !f->killed && count_in_hand(f))
        ADD(STEP_KILL);
    if (may_exit(f))
        ADD(STEP_EXIT);
    for (unsigned i = 0; i < MODEL_ACTS; i++) {
        n += act_steps(conf, f, i, out + n);
        n += away_steps(conf, f, i, out + n);
    }
    if (f->crashes < conf->crashes)
        ADD(STEP_CRASH);
    return n;
}

static unsigned down_steps(const struct model_conf *conf, const struct model_facts *f,
                           struct model_step *out)
{
    int from = f->committed >= 0 ? f->committed : 0;
    unsigned n = 0;

    if (conf->other && f->ended) {
        ADD(STEP_OTHER);
        return n;
    }
    ADD(STEP_OPEN);
    for (int to = from; f->ended && f->visits < conf->visits && to <= f->end; to++)
        out[n++] = (struct model_step){.kind = STEP_VISIT, .act = (uint8_t)to};
    return n;
}

unsigned model_enabled(const struct model_conf *conf, const struct model_facts *f,
                       struct model_step ret[MODEL_STEPS])
{
    unsigned n = 0;

    if (f->phase == PHASE_OVER)
        return 0;
    if (conf->new_messages && !f->topic && f->phase != PHASE_DRAINING)
        ret[n++] = (struct model_step){.kind = STEP_RECREATE};
    if (f->topic && f->end < conf->new_messages)
        ret[n++] = (struct model_step){.kind = STEP_PRODUCE};
    n += f->phase == PHASE_DOWN ? down_steps(conf, f, ret + n) : up_steps(conf, f, ret + n);
#undef ADD
    for (unsigned i = 0; i < conf->forwards; i++)
        n += peer_steps(conf, f, i, ret + n);
    assert_true(n <= MODEL_STEPS);
    return n;
}

bool model_calls_process(const struct model_conf *conf, enum model_step_kind kind)
{
    switch (kind) {
    case STEP_OPEN:
    case STEP_HAND_OUT:
    case STEP_COMMIT:
    case STEP_COMMIT_TOLD:
    case STEP_START:
    case STEP_ACK_TOLD:
    case STEP_RECORD_SAFE:
    case STEP_TURN:
    case STEP_LOOK:
    case STEP_STOP:
    case STEP_LEAVE_TOLD:
    case STEP_EXIT:
    case STEP_RECREATE:
    case STEP_FORWARD:
    case STEP_SEND_TOLD:
    case STEP_SEND_FAILS:
    case STEP_HEAR:
    case STEP_HEARD_COMMITTED:
        return true;
    case STEP_ANSWER:
    case STEP_EXCUSE:
    case STEP_GIVE_UP:
    case STEP_KILL:
        return conf->mistake == MISTAKE_ACK_IS_ENOUGH;
    case STEP_ACK_ARRIVES:
        return conf->coarse;
    default:
        return false;
    }
}

/* ---- the ends of processes ---- */

static void lose_memory(struct model_facts *f)
{
    for (unsigned i = 0; i < MODEL_ACTS; i++) {
        f->acts[i].job = JOB_NONE;
        f->acts[i].ack = f->acts[i].record = SENT_NOT;
        f->acts[i].sent = SENT_NOT;
        f->acts[i].void_ticket = f->acts[i].expected = f->acts[i].back = f->acts[i].heard = false;
    }
    f->position = f->handed = f->committing = f->confirmed = f->floor = f->leave_at = -1;
    f->touched = MODEL_TOUCHED_NOTHING;
    f->commit = SENT_NOT;
    f->leave = LEAVE_NOT;
    f->phase = PHASE_DOWN;
    f->killed = f->pending = f->checking = f->looked = false;
    f->ended = true;
}

/* A request that is under way either arrived before, which is another order, or never does: the
 * broker fences what dead members sent. */
void model_crash(struct model_facts *f)
{
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        if ((f->acts[i].acks || f->acts[i].sent || f->acts[i].peer) && !f->acts[i].kept)
            f->acts[i].again = true;
    /* Of a write that was torn, either may be there. */
    f->kept_low = f->low < f->kept_low ? f->low : f->kept_low;
    f->kept_high = f->high > f->kept_high ? f->high : f->kept_high;
    lose_memory(f);
    f->orderly = false;
    f->crashes++;
}

/* ---- what happens ---- */

struct act_on {
    const struct model_conf *conf;
    struct model_state *s;
    struct model_process *p;
    const char *why;
};

static struct model_answer call(struct act_on *on, enum model_call which, unsigned arg)
{
    struct model_calls *calls = &on->s->calls;

    assert_true(calls->count < MODEL_CALLS);
    calls->list[calls->count].call = (uint8_t)which;
    calls->list[calls->count++].arg = (uint8_t)arg;
    return model_process_call(on->p, which, arg);
}

static enum model_outcome bad(struct act_on *on, const char *why)
{
    on->why = why;
    return OUTCOME_BAD;
}

static bool is_void(const struct model_facts *f, unsigned act)
{
    return f->acts[act].void_ticket;
}

/* Nothing but that matters any more: fewer states. */
static void forget_past(struct model_act *a)
{
    a->kept = true;
    a->again = a->started = a->doubt = a->dropped = false;
}

/* What was settled is in the kernel now. */
static void flushed(struct model_facts *f)
{
    f->kept_low = f->low;
    f->kept_high = f->high;
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        if (!is_void(f, i) && f->acts[i].ack == SENT_TOLD && f->acts[i].record == SENT_TOLD)
            forget_past(&f->acts[i]);
}

static enum model_outcome writes(struct act_on *on, enum model_call which, unsigned arg)
{
    if (call(on, which, arg).code != 0)
        return OUTCOME_DIED;
    flushed(&on->s->facts);
    return OUTCOME_WELL;
}

static void seek(struct model_facts *f, int64_t offset)
{
    f->position = (int8_t)(offset >= 0 ? offset : f->committed >= 0 ? f->committed : 0);
    if (f->position > f->end) /* the consumer's reset, earliest */
        f->position = 0;
}

static void new_era(struct model_facts *f)
{
    f->handed = f->confirmed = f->floor = -1;
    f->commit = SENT_NOT;
}

/* Where the commit was when somebody else came is known as far as the kernel has it: what we took
 * in between may have been run by either. */
static void doubt(struct model_facts *f)
{
    bool gone = f->committed < 0;

    if (gone ? f->kept_low < 0 : !f->foreign)
        return;
    for (int offset = 0; offset < f->end; offset++)
        f->acts[act_of(f, offset)].doubt |=
            gone || (offset >= f->kept_low && offset < f->kept_high && offset < f->committed);
}

static unsigned commit_as_told(const struct act_on *on)
{
    const struct model_facts *f = &on->s->facts;
    enum model_mistake mistake = on->conf->mistake;
    bool own = f->committed >= 0 && !f->foreign;

    if (mistake == MISTAKE_UNASKED)
        return (unsigned)(f->kept_low + 1) | CALL_OWN;
    if (mistake == MISTAKE_ANONYMOUS || mistake == MISTAKE_UNSIGNED)
        own = mistake == MISTAKE_ANONYMOUS;
    return (unsigned)(f->committed + 1) | (own ? CALL_OWN : 0);
}

static void assigned(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;
    struct model_answer answer = call(on, CALL_BEGIN, commit_as_told(on));

    doubt(f);
    f->low = f->high = f->committed;
    f->looked = false;
    new_era(f);
    f->floor = (int8_t)answer.known;
    f->touched = (int8_t)(answer.known >= 0 ? answer.known - 1 : MODEL_TOUCHED_NOTHING);
    f->checking = answer.from >= 0;
    seek(f, answer.from);
    f->phase = PHASE_RUNNING;
}

static enum model_outcome open_process(struct act_on *on)
{
    if (!model_process_open(on->p) || on->p->disk.left == 0)
        return OUTCOME_DIED;
    on->s->calls.count = 0;
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        on->s->facts.acts[i].expected =
            on->p->expected[i] && on->conf->mistake != MISTAKE_UNEXPECTED;
    assigned(on);
    return OUTCOME_WELL;
}

static void foreign(struct model_facts *f)
{
    f->low = -1;
    f->checking = f->looked = false;
    for (unsigned i = 0; i < MODEL_ACTS; i++) {
        f->acts[i].void_ticket = f->acts[i].job != JOB_NONE;
        f->acts[i].expected = false; /* nothing is left to be read again */
    }
    f->touched = MODEL_TOUCHED_NOTHING;
    new_era(f);
    seek(f, -1);
}

static void touch(struct model_facts *f, unsigned act)
{
    if (!f->acts[act].void_ticket && offset_of(act) > f->touched)
        f->touched = (int8_t)offset_of(act);
}

static enum model_outcome hand_out(struct act_on *on, unsigned act)
{
    struct model_facts *f = &on->s->facts;
    struct model_act *a = &f->acts[act];
    int offset = offset_of(act);
    enum inv_verdict verdict;

    if (f->touched == MODEL_TOUCHED_NOTHING)
        f->touched = (int8_t)(offset - 1);
    f->checking = false;
    verdict = call(on, CALL_TAKE, act).verdict;
    if (verdict == INV_FOREIGN) {
        foreign(f);
        return OUTCOME_WELL;
    }
    f->position++;
    f->handed = (int8_t)(offset + 1 > f->floor ? offset + 1 : f->floor);
    if (verdict == INV_SKIP)
        return OUTCOME_WELL;
    if (a->kept)
        return bad(on, "what is done was taken again");
    if (a->job != JOB_NONE)
        return bad(on, "what is in hand was taken again");
    a->taken = true;
    a->back = verdict == INV_RUN_HERE;
    a->job = verdict == INV_AWAY                           ? JOB_AWAY
             : verdict == INV_ANSWER && !on->conf->retries ? JOB_INTERRUPTED
                                                           : JOB_WAITS;
    a->expected = false;
    return OUTCOME_WELL;
}

/* Tells the journal of a commit that is about to be sent; dies or not. */
static enum model_outcome keep(struct act_on *on, int8_t offset, bool noted)
{
    struct model_facts *f = &on->s->facts;

    if (noted) {
        f->low = offset < f->low ? offset : f->low;
        f->high = offset > f->high ? offset : f->high;
    }
    return writes(on, CALL_KEEP, (unsigned)(noted || f->high < 0 ? offset : f->high));
}

static enum model_outcome commit(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;
    enum model_mistake mistake = on->conf->mistake;

    if (mistake != MISTAKE_COMMIT_FIRST &&
        keep(on, f->handed, mistake != MISTAKE_COMMIT_UNNOTED) != OUTCOME_WELL)
        return OUTCOME_DIED;
    if (mistake == MISTAKE_COMMIT_BELIEVED)
        (void)call(on, CALL_COMMITTED, (unsigned)f->handed);
    f->committing = f->handed;
    f->commit = SENT_FLIES;
    return OUTCOME_WELL;
}

/* Its side effect counts as soon as /run is sent: a container may still get to it when we are dead.
 */
static enum model_outcome run(struct act_on *on, struct model_act *a)
{
    const struct model_facts *f = &on->s->facts;
    unsigned allowed = on->conf->retries ? 1U + f->crashes : 1;

    a->job = JOB_RUNS;
    return ++a->runs > allowed ? bad(on, "it ran twice") : OUTCOME_WELL;
}

static enum model_outcome start(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];
    bool late = on->conf->mistake == MISTAKE_START_LATE;

    touch(&on->s->facts, act);
    a->started = true;
    if (late && run(on, a) != OUTCOME_WELL)
        return OUTCOME_BAD;
    if (call(on, CALL_START, act).code != 0)
        return OUTCOME_DIED;
    if (on->p->disk.written) /* not what was started by a predecessor, or is of another topic */
        flushed(&on->s->facts);
    return late ? OUTCOME_WELL : run(on, a);
}

static void finish(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];

    touch(&on->s->facts, act);
    a->job = JOB_ENDED;
    a->ack = a->record = SENT_FLIES;
    if (on->conf->mistake == MISTAKE_ACK_IS_ENOUGH)
        (void)call(on, CALL_ACKED, act);
}

static void ack_told(struct act_on *on, unsigned act)
{
    on->s->facts.acts[act].ack = SENT_TOLD;
    (void)call(on, CALL_ACKED, act);
}

static void record_safe(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];

    a->record = SENT_TOLD;
    a->records = 1;
    (void)call(on, CALL_STORED, act);
}

static enum model_outcome ack_arrives(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];

    a->ack = SENT_ARRIVED;
    if (a->acks++ && !a->again && !a->doubt)
        return bad(on, "it was answered twice, and no process died in between");
    a->again = false;
    if (on->conf->coarse) {
        record_safe(on, act);
        ack_told(on, act);
    }
    return OUTCOME_WELL;
}

/* ---- forwarded ---- */

static enum model_outcome forward(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];
    enum model_mistake mistake = on->conf->mistake;

    touch(&on->s->facts, act);
    a->started = true;
    if (mistake == MISTAKE_FORWARD_LATE)
        a->peer = PEER_HAS;
    if (call(on, CALL_START, act).code != 0)
        return OUTCOME_DIED;
    if (on->p->disk.written)
        flushed(&on->s->facts);
    a->job = JOB_AWAY;
    a->sent = mistake == MISTAKE_FORWARD_LATE ? SENT_ARRIVED : SENT_FLIES;
    if (mistake == MISTAKE_FORWARDED_EARLY)
        (void)call(on, CALL_FORWARDED, act);
    return OUTCOME_WELL;
}

static void came_back(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];

    if (on->conf->mistake != MISTAKE_RETURN_UNNOTED)
        (void)call(on, CALL_RETURNED, act);
    if (a->job == JOB_AWAY && on->s->facts.killed) {
        finish(on, act);
    } else if (a->job == JOB_AWAY) {
        a->job = JOB_WAITS;
        a->back = true;
    }
    a->expected = false;
}

static void ended_elsewhere(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];

    (void)call(on, CALL_ACKED, act);
    (void)call(on, CALL_STORED, act);
    a->ack = a->record = SENT_TOLD;
    if (a->job == JOB_AWAY)
        a->job = JOB_ENDED;
    a->expected = false;
}

static void hear(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];

    a->heard = true;
    if (a->job != JOB_AWAY && !a->expected)
        return; /* heard before, or answered meanwhile */
    if (a->report == REPORT_RETURNED)
        came_back(on, act);
    else
        ended_elsewhere(on, act);
}

static enum model_outcome heard_committed(struct act_on *on, unsigned act)
{
    if (on->conf->mistake != MISTAKE_REPORT_UNKEPT && writes(on, CALL_FLUSH, 0) != OUTCOME_WELL)
        return OUTCOME_DIED;
    on->s->facts.acts[act].report = REPORT_NONE;
    on->s->facts.acts[act].heard = false;
    return OUTCOME_WELL;
}

static enum model_outcome peer_runs(struct act_on *on, struct model_act *a)
{
    unsigned allowed = on->conf->retries ? 1U + on->s->facts.crashes : 1;

    a->peer = PEER_RUNS;
    return ++a->runs > allowed && !a->served ? bad(on, "it ran twice") : OUTCOME_WELL;
}

static void peer_dies(struct model_act *a)
{
    a->again |= a->peer == PEER_ACKED;
    a->peer = PEER_DEAD;
}

static enum model_outcome step_away(struct act_on *on, const struct model_step *step)
{
    struct model_act *a = &on->s->facts.acts[step->act];

    switch (step->kind) {
    case STEP_FORWARD:
        return forward(on, step->act);
    case STEP_SEND_ARRIVES:
        a->sent = SENT_ARRIVED;
        a->peer = PEER_HAS;
        return OUTCOME_WELL;
    case STEP_SEND_TOLD:
        a->sent = SENT_NOT;
        if (a->job == JOB_AWAY)
            (void)call(on, CALL_FORWARDED, step->act);
        return OUTCOME_WELL;
    case STEP_SEND_FAILS:
        a->sent = SENT_NOT;
        came_back(on, step->act);
        return OUTCOME_WELL;
    case STEP_HEAR:
        hear(on, step->act);
        return OUTCOME_WELL;
    case STEP_HEARD_COMMITTED:
        return heard_committed(on, step->act);
    default: /* STEP_GIVE_UP */
        finish(on, step->act);
        return OUTCOME_WELL;
    }
}

static enum model_outcome step_peer(struct act_on *on, const struct model_step *step)
{
    struct model_act *a = &on->s->facts.acts[step->act];

    switch (step->kind) {
    case STEP_PEER_RUNS:
        return peer_runs(on, a);
    case STEP_PEER_ACKS:
        a->peer = PEER_ACKED;
        a->acks++;
        a->records = 1;
        return OUTCOME_WELL;
    case STEP_PEER_REPORTS:
    case STEP_PEER_RETURNS:
        a->report = a->peer == PEER_ACKED ? REPORT_ENDED : REPORT_RETURNED;
        a->peer = PEER_OVER;
        return OUTCOME_WELL;
    default: /* STEP_PEER_DIES */
        peer_dies(a);
        return OUTCOME_WELL;
    }
}

static void leave_to_journal(struct model_facts *f, unsigned act)
{
    f->acts[act].job = JOB_LEFT;
    f->acts[act].dropped = offset_of(act) <= f->touched;
}

static bool knows_what_to_leave(const struct act_on *on)
{
    const struct model_facts *f = &on->s->facts;

    return f->touched != MODEL_TOUCHED_NOTHING &&
           (!f->checking || on->conf->mistake == MISTAKE_LEAVE_BLIND);
}

static enum model_outcome stop(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->phase = PHASE_DRAINING;
    f->stops++;
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        if (f->acts[i].job == JOB_WAITS || f->acts[i].job == JOB_INTERRUPTED)
            leave_to_journal(f, i);
    if (on->conf->mistake == MISTAKE_LEAVE_EARLY)
        (void)call(on, CALL_LEAVE, (unsigned)(f->touched + 1));
    if (!knows_what_to_leave(on)) {
        f->leave = LEAVE_ARRIVED;
        return OUTCOME_WELL;
    }
    if (on->conf->mistake != MISTAKE_LEAVE_UNKEPT &&
        keep(on, (int8_t)(f->touched + 1), on->conf->mistake != MISTAKE_LEAVE_UNNOTED) !=
            OUTCOME_WELL)
        return OUTCOME_DIED;
    f->leave_at = (int8_t)(f->touched + 1);
    f->leave = LEAVE_FLIES;
    return OUTCOME_WELL;
}

static void leave_told(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->leave = LEAVE_DONE;
    if (f->leave_at < 0)
        return;
    f->low = f->high = f->leave_at;
    if (on->conf->mistake != MISTAKE_LEAVE_EARLY)
        (void)call(on, CALL_LEAVE, (unsigned)(f->touched + 1));
}

static void kill_rest(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->killed = true;
    for (unsigned i = 0; i < MODEL_ACTS; i++) {
        if (f->acts[i].job == JOB_AWAY) /* reports are still heard until the process exits */
            f->acts[i].dropped = true;
        else if (f->acts[i].job == JOB_PLACED)
            leave_to_journal(f, i);
        else if (in_hand(&f->acts[i]))
            finish(on, i);
    }
}

static enum model_outcome exit_process(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    if (!model_process_close(on->p))
        return OUTCOME_DIED;
    flushed(f);
    f->orderly = f->leave == LEAVE_DONE && f->leave_at >= 0;
    on->s->calls.count = 0;
    lose_memory(f);
    return OUTCOME_WELL;
}

static void recreate(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->topic = 1;
    f->end = (int8_t)(on->conf->new_messages - !on->conf->at_once);
    f->committed = -1;
    f->foreign = false;
    if (f->phase == PHASE_RUNNING)
        assigned(on);
}

/* Reads from the group's commit, commits, runs, and knows of no journal. */
static enum model_outcome serve(struct act_on *on, int to)
{
    struct model_facts *f = &on->s->facts;

    for (int offset = f->committed >= 0 ? f->committed : 0; offset < to; offset++) {
        struct model_act *a = &f->acts[act_of(f, offset)];

        if (a->runs++ && f->orderly)
            return bad(on, "another invoker ran what had been started, after an orderly end");
        a->acks++;
        a->records = 1;
        a->served = on->conf->forwards > 0;
    }
    f->committed = (int8_t)to;
    f->foreign = true;
    return OUTCOME_WELL;
}

static enum model_outcome look(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->looked = true;
    if (call(on, CALL_ENDS, (unsigned)f->end).foreign)
        foreign(f);
    return OUTCOME_WELL;
}

static void commit_told(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->commit = SENT_NOT;
    f->confirmed = f->committing;
    if (f->leave != LEAVE_NOT && f->leave != LEAVE_FAILED)
        return;
    f->low = f->high = f->confirmed;
    (void)call(on, CALL_COMMITTED, (unsigned)f->confirmed);
}

static enum model_outcome step_act(struct act_on *on, const struct model_step *step)
{
    struct model_facts *f = &on->s->facts;
    struct model_act *a = &f->acts[step->act];

    switch (step->kind) {
    case STEP_HAND_OUT:
        return hand_out(on, step->act);
    case STEP_PLACE:
        a->job = JOB_PLACED;
        touch(f, step->act);
        return OUTCOME_WELL;
    case STEP_START:
        return start(on, step->act);
    case STEP_ACK_ARRIVES:
        return ack_arrives(on, step->act);
    case STEP_ACK_TOLD:
        ack_told(on, step->act);
        return OUTCOME_WELL;
    case STEP_RECORD_SAFE:
        record_safe(on, step->act);
        return OUTCOME_WELL;
    case STEP_EXCUSE:
        if (!a->started && !a->doubt)
            return bad(on, "it is answered as interrupted, and nobody can have begun with it");
        finish(on, step->act);
        return OUTCOME_WELL;
    default: /* STEP_ANSWER */
        finish(on, step->act);
        return OUTCOME_WELL;
    }
}

static enum model_outcome step_broker(struct act_on *on, const struct model_step *step)
{
    struct model_facts *f = &on->s->facts;

    switch (step->kind) {
    case STEP_COMMIT_ARRIVES:
        f->commit = SENT_ARRIVED;
        f->committed = f->committing;
        f->foreign = false;
        break;
    case STEP_COMMIT_TOLD:
        commit_told(on);
        break;
    case STEP_LEAVE_ARRIVES:
        f->leave = LEAVE_ARRIVED;
        f->committed = f->leave_at;
        f->foreign = false;
        break;
    case STEP_LEAVE_TOLD:
        leave_told(on);
        break;
    default: /* STEP_LEAVE_FAILS */
        f->leave = LEAVE_FAILED;
        break;
    }
    return OUTCOME_WELL;
}

static enum model_outcome step_process(struct act_on *on, const struct model_step *step)
{
    struct model_facts *f = &on->s->facts;

    switch (step->kind) {
    case STEP_OPEN:
        return open_process(on);
    case STEP_COMMIT:
        return commit(on);
    case STEP_TURN:
        return writes(on, CALL_TURN, 0);
    case STEP_STOP:
        return stop(on);
    case STEP_KILL:
        kill_rest(on);
        return OUTCOME_WELL;
    case STEP_EXIT:
        return exit_process(on);
    case STEP_RECREATE:
        recreate(on);
        return OUTCOME_WELL;
    case STEP_PRODUCE:
        f->end++;
        return OUTCOME_WELL;
    case STEP_OTHER:
        f->phase = PHASE_OVER;
        return serve(on, f->end);
    case STEP_VISIT:
        f->visits++;
        return serve(on, step->act);
    case STEP_LOOK:
        return look(on);
    default: /* STEP_CRASH */
        return OUTCOME_DIED;
    }
}

enum model_outcome model_apply(const struct model_conf *conf, struct model_state *s,
                               const struct model_step *step, struct model_process *p,
                               const char **why)
{
    struct act_on on = {.conf = conf, .s = s, .p = p};
    enum model_outcome ret;

    switch (step->kind) {
    case STEP_HAND_OUT:
    case STEP_PLACE:
    case STEP_START:
    case STEP_ANSWER:
    case STEP_EXCUSE:
    case STEP_ACK_ARRIVES:
    case STEP_ACK_TOLD:
    case STEP_RECORD_SAFE:
        ret = step_act(&on, step);
        break;
    case STEP_FORWARD:
    case STEP_SEND_ARRIVES:
    case STEP_SEND_TOLD:
    case STEP_SEND_FAILS:
    case STEP_HEAR:
    case STEP_HEARD_COMMITTED:
    case STEP_GIVE_UP:
        ret = step_away(&on, step);
        break;
    case STEP_PEER_RUNS:
    case STEP_PEER_ACKS:
    case STEP_PEER_REPORTS:
    case STEP_PEER_RETURNS:
    case STEP_PEER_DIES:
        ret = step_peer(&on, step);
        break;
    case STEP_COMMIT_ARRIVES:
    case STEP_COMMIT_TOLD:
    case STEP_LEAVE_ARRIVES:
    case STEP_LEAVE_TOLD:
    case STEP_LEAVE_FAILS:
        ret = step_broker(&on, step);
        break;
    default:
        ret = step_process(&on, step);
        break;
    }
    if (ret == OUTCOME_BAD)
        *why = on.why;
    return ret;
}

/* ---- the end ---- */

/* May nobody ever answer this? Only where an invoker without the journal has the last word. */
static bool may_be_lost(const struct model_conf *conf, const struct model_facts *f,
                        const struct model_act *a)
{
    if (!conf->other)
        return false;
    return a->taken && (!f->orderly || a->dropped);
}

const char *model_final(const struct model_conf *conf, const struct model_facts *f)
{
    for (int offset = 0; offset < f->end; offset++) {
        const struct model_act *a = &f->acts[act_of(f, offset)];

        if (a->job == JOB_AWAY)
            return "the end of what is away is waited for in vain";
        if (may_be_lost(conf, f, a))
            continue;
        if (a->acks == 0)
            return "an activation is never answered";
        if (a->records == 0)
            return "an activation has no record";
    }
    return NULL;
}

/* ---- for people ---- */

static void describe_torn(const struct model_step *step, char *ret, size_t n)
{
    size_t used = strlen(ret);

    if (step->torn)
        (void)snprintf(ret + used, n - used, "; the process dies after %u bytes of its write",
                       step->torn);
}

void model_describe(const struct model_step *step, const struct model_facts *before,
                    const struct model_facts *after, char *ret, size_t n)
{
    static const char *const TEXTS[STEP_KINDS] = {
        [STEP_OPEN] = "a process begins",
        [STEP_HAND_OUT] = "the message is handed out",
        [STEP_COMMIT] = "commit sent",
        [STEP_COMMIT_ARRIVES] = "the broker has the commit",
        [STEP_COMMIT_TOLD] = "the commit is confirmed",
        [STEP_PLACE] = "has a container",
        [STEP_START] = "started, /run sent",
        [STEP_ANSWER] = "its container answered: ack sent, record added",
        [STEP_EXCUSE] = "answered as interrupted: ack sent, record added",
        [STEP_ACK_ARRIVES] = "the broker has the ack",
        [STEP_ACK_TOLD] = "the ack is confirmed",
        [STEP_RECORD_SAFE] = "the record is safe",
        [STEP_FORWARD] = "started, sent to the peer",
        [STEP_SEND_ARRIVES] = "the broker has it for the peer",
        [STEP_SEND_TOLD] = "that is confirmed",
        [STEP_SEND_FAILS] = "it could not be sent to the peer",
        [STEP_PEER_RUNS] = "the peer runs it",
        [STEP_PEER_ACKS] = "the peer has answered it",
        [STEP_PEER_REPORTS] = "the peer reports its end",
        [STEP_PEER_RETURNS] = "the peer gives it back",
        [STEP_PEER_DIES] = "the peer is killed",
        [STEP_HEAR] = "the report is heard",
        [STEP_HEARD_COMMITTED] = "the report is committed",
        [STEP_GIVE_UP] = "the peer is dead: ack sent, record added",
        [STEP_TURN] = "end of a turn: journal written",
        [STEP_STOP] = "SIGTERM: commit sent that leaves the rest",
        [STEP_LEAVE_ARRIVES] = "the broker has that commit",
        [STEP_LEAVE_TOLD] = "that commit is confirmed",
        [STEP_LEAVE_FAILS] = "that commit is not confirmed",
        [STEP_KILL] = "end of the drain's time",
        [STEP_EXIT] = "the process exits",
        [STEP_RECREATE] = "the topic is deleted and made again",
        [STEP_PRODUCE] = "one more message of the new topic",
        [STEP_OTHER] = "an invoker without the journal runs all from the commit on",
        [STEP_LOOK] = "the end of the topic is looked at",
        [STEP_CRASH] = "the process is killed",
    };
    bool of_act =
        (step->kind >= STEP_PLACE && step->kind <= STEP_GIVE_UP) || step->kind == STEP_HAND_OUT;
    char who[32] = "";

    if (of_act)
        (void)snprintf(who, sizeof(who), "%s%d: ", step->act < MODEL_MESSAGES ? "" : "new ",
                       offset_of(step->act));
    (void)snprintf(ret, n, "%s%s", who, TEXTS[step->kind]);
    if (step->kind == STEP_COMMIT || step->kind == STEP_STOP)
        (void)snprintf(ret + strlen(ret), n - strlen(ret), " (%d)",
                       step->kind == STEP_COMMIT ? before->handed : after->leave_at);
    if (step->kind == STEP_VISIT)
        (void)snprintf(ret, n, "an invoker without the journal comes, and has run all below %d",
                       step->act);
    if (step->kind == STEP_OPEN)
        (void)snprintf(ret + strlen(ret), n - strlen(ret), ", reads from %d", after->position);
    describe_torn(step, ret, n);
}
