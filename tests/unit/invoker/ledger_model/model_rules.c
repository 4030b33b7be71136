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
           a->job == JOB_RUNS;
}

static unsigned count_in_hand(const struct model_facts *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MODEL_ACTS; i++)
        n += in_hand(&f->acts[i]);
    return n;
}

static bool is_flushed(const struct model_facts *f)
{
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        if (f->acts[i].job == JOB_ENDED &&
            (f->acts[i].ack != SENT_TOLD || f->acts[i].record != SENT_TOLD))
            return false;
    return true;
}

void model_begin(const struct model_conf *conf, struct model_facts *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->committed = -1;
    ret->end = (int8_t)conf->messages;
    model_crash(ret);
    ret->crashes = 0;
    ret->ended = false;
}

/* ---- what can happen ---- */

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

    return f->phase == PHASE_DRAINING && left && count_in_hand(f) == 0 && is_flushed(f);
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
    if (f->pending)
        ADD(STEP_TURN);
    if (f->phase == PHASE_RUNNING && f->stops < conf->stops)
        ADD(STEP_STOP);
    if (f->leave == LEAVE_FLIES && f->commit != SENT_FLIES) /* requests keep their order */
        ADD(STEP_LEAVE_ARRIVES);
    if (f->leave == LEAVE_ARRIVED)
        ADD(STEP_LEAVE_TOLD);
    if (!conf->confirms && (f->leave == LEAVE_FLIES || f->leave == LEAVE_ARRIVED))
        ADD(STEP_LEAVE_FAILS);
    if (f->phase == PHASE_DRAINING && !f->killed && count_in_hand(f))
        ADD(STEP_KILL);
    if (may_exit(f))
        ADD(STEP_EXIT);
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        n += act_steps(conf, f, i, out + n);
    if (f->crashes < conf->crashes)
        ADD(STEP_CRASH);
    return n;
}

unsigned model_enabled(const struct model_conf *conf, const struct model_facts *f,
                       struct model_step ret[MODEL_STEPS])
{
    bool others = conf->other && f->ended && !f->others_ran;
    unsigned n = 0;

    if (f->phase == PHASE_OVER)
        return 0;
    if (conf->new_messages && !f->topic && f->phase != PHASE_DRAINING)
        ret[n++] = (struct model_step){.kind = STEP_RECREATE};
    if (f->topic && f->end < conf->new_messages)
        ret[n++] = (struct model_step){.kind = STEP_PRODUCE};
    if (f->phase == PHASE_DOWN)
        ret[n++] = (struct model_step){.kind = others ? STEP_OTHER : STEP_OPEN};
    else
        n += up_steps(conf, f, ret + n);
#undef ADD
    assert_true(n <= MODEL_STEPS);
    return n;
}

bool model_calls_process(const struct model_conf *conf, enum model_step_kind kind)
{
    switch (kind) {
    case STEP_OPEN:
    case STEP_HAND_OUT:
    case STEP_COMMIT:
    case STEP_START:
    case STEP_ACK_TOLD:
    case STEP_RECORD_SAFE:
    case STEP_TURN:
    case STEP_STOP:
    case STEP_LEAVE_TOLD:
    case STEP_EXIT:
    case STEP_RECREATE:
        return true;
    case STEP_ANSWER:
    case STEP_EXCUSE:
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
        f->acts[i].void_ticket = false;
    }
    f->position = f->handed = f->committing = f->confirmed = f->floor = f->leave_at = -1;
    f->touched = MODEL_TOUCHED_NOTHING;
    f->commit = SENT_NOT;
    f->leave = LEAVE_NOT;
    f->phase = PHASE_DOWN;
    f->killed = f->pending = f->checking = false;
    f->ended = true;
}

/* A request that is under way either arrived before, which is another order, or never does: the
 * broker fences what dead members sent. */
void model_crash(struct model_facts *f)
{
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        if (f->acts[i].acks && !f->acts[i].kept)
            f->acts[i].again = true;
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

/* What was settled is in the kernel now. */
static void flushed(struct model_facts *f)
{
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        if (!is_void(f, i) && f->acts[i].ack == SENT_TOLD && f->acts[i].record == SENT_TOLD)
            f->acts[i].kept = true;
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

static void assigned(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;
    struct model_answer answer = call(on, CALL_BEGIN, 0);

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
    assigned(on);
    return OUTCOME_WELL;
}

static void foreign(struct model_facts *f)
{
    for (unsigned i = 0; i < MODEL_ACTS; i++)
        f->acts[i].void_ticket = f->acts[i].job != JOB_NONE;
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
    a->job = verdict == INV_ANSWER && !on->conf->retries ? JOB_INTERRUPTED : JOB_WAITS;
    return OUTCOME_WELL;
}

static enum model_outcome commit(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    if (on->conf->mistake != MISTAKE_COMMIT_FIRST && writes(on, CALL_KEEP, 0) != OUTCOME_WELL)
        return OUTCOME_DIED;
    f->committing = f->handed;
    f->commit = SENT_FLIES;
    return OUTCOME_WELL;
}

/* Which docs/adr/0010-journal.md names: who comes back to undone work cannot know what others did
 * behind it. */
static bool is_the_price(const struct model_facts *f)
{
    bool undone = false;

    for (unsigned i = 0; i < MODEL_ACTS; i++)
        undone |= f->acts[i].dropped;
    return undone && f->others_ran;
}

/* Its side effect counts as soon as /run is sent: a container may still get to it when we are dead.
 */
static enum model_outcome run(struct act_on *on, struct model_act *a)
{
    const struct model_facts *f = &on->s->facts;
    unsigned allowed = on->conf->retries ? 1U + f->crashes : 1;

    if (is_the_price(f))
        allowed++;

    a->job = JOB_RUNS;
    return ++a->runs > allowed ? bad(on, "it ran twice") : OUTCOME_WELL;
}

static enum model_outcome start(struct act_on *on, unsigned act)
{
    struct model_act *a = &on->s->facts.acts[act];
    bool late = on->conf->mistake == MISTAKE_START_LATE;

    touch(&on->s->facts, act);
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
    if (a->acks++ && !a->again && !is_the_price(&on->s->facts))
        return bad(on, "it was answered twice, and no process died in between");
    a->again = false;
    if (on->conf->coarse) {
        record_safe(on, act);
        ack_told(on, act);
    }
    return OUTCOME_WELL;
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
    if (on->conf->mistake != MISTAKE_LEAVE_UNKEPT && writes(on, CALL_KEEP, 0) != OUTCOME_WELL)
        return OUTCOME_DIED;
    f->leave_at = (int8_t)(f->touched + 1);
    f->leave = LEAVE_FLIES;
    return OUTCOME_WELL;
}

static void leave_told(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->leave = LEAVE_DONE;
    if (f->leave_at >= 0 && on->conf->mistake != MISTAKE_LEAVE_EARLY)
        (void)call(on, CALL_LEAVE, (unsigned)(f->touched + 1));
}

static void kill_rest(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    f->killed = true;
    for (unsigned i = 0; i < MODEL_ACTS; i++) {
        if (f->acts[i].job == JOB_PLACED)
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
    f->end = (int8_t)(on->conf->new_messages - 1);
    f->committed = -1;
    if (f->phase == PHASE_RUNNING)
        assigned(on);
}

/* Reads from the group's commit, and knows of no journal. */
static enum model_outcome other(struct act_on *on)
{
    struct model_facts *f = &on->s->facts;

    for (int offset = f->committed >= 0 ? f->committed : 0; offset < f->end; offset++) {
        struct model_act *a = &f->acts[act_of(f, offset)];

        if (a->runs++ && f->orderly)
            return bad(on, "another invoker ran what had been started, after an orderly end");
        a->acks++;
        a->records = 1;
    }
    f->committed = f->end;
    f->others_ran = true;
    if (!on->conf->back)
        f->phase = PHASE_OVER;
    return OUTCOME_WELL;
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
    default: /* STEP_ANSWER, STEP_EXCUSE */
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
        break;
    case STEP_COMMIT_TOLD:
        f->commit = SENT_NOT;
        f->confirmed = f->committing;
        break;
    case STEP_LEAVE_ARRIVES:
        f->leave = LEAVE_ARRIVED;
        f->committed = f->leave_at;
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
        return other(on);
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
    if (!conf->other || conf->back)
        return false;
    return a->taken && (!f->orderly || a->dropped);
}

const char *model_final(const struct model_conf *conf, const struct model_facts *f)
{
    for (int offset = 0; offset < f->end; offset++) {
        const struct model_act *a = &f->acts[act_of(f, offset)];

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
        [STEP_CRASH] = "the process is killed",
    };
    bool of_act =
        (step->kind >= STEP_PLACE && step->kind <= STEP_RECORD_SAFE) || step->kind == STEP_HAND_OUT;
    char who[32] = "";

    if (of_act)
        (void)snprintf(who, sizeof(who), "%s%d: ", step->act < MODEL_MESSAGES ? "" : "new ",
                       offset_of(step->act));
    (void)snprintf(ret, n, "%s%s", who, TEXTS[step->kind]);
    if (step->kind == STEP_COMMIT || step->kind == STEP_STOP)
        (void)snprintf(ret + strlen(ret), n - strlen(ret), " (%d)",
                       step->kind == STEP_COMMIT ? before->handed : after->leave_at);
    if (step->kind == STEP_OPEN)
        (void)snprintf(ret + strlen(ret), n - strlen(ret), ", reads from %d", after->position);
    describe_torn(step, ret, n);
}
