/* What can happen to messages between broker, feed, containers, controllers and store, beside a
 * real ledger; one step at a time. What the feed and the daemon do is retold here (invoker/feed.c,
 * daemon_feed.c, daemon.c): hand out in order and within credits, keep before a commit, start,
 * answer, leave; forward, hear, keep before what was heard is committed (invoker/forward/). A step
 * that the network can hold up is several. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/invoker/ledger_model/model_process.h"

/* Mistakes that the model makes on request: the examination must notice. */
enum model_mistake {
    MISTAKE_NONE,
    MISTAKE_START_LATE,    /* started is noted after /run was sent */
    MISTAKE_COMMIT_FIRST,  /* the commit is sent before the journal is kept */
    MISTAKE_BLIND,         /* ids of messages do not tell the topics apart */
    MISTAKE_ACK_IS_ENOUGH, /* sent is taken for delivered */
    MISTAKE_LEAVE_EARLY,   /* the journal forgets before the broker confirmed */
    MISTAKE_LEAVE_UNKEPT,  /* the commit that leaves the rest is sent before the journal is kept */
    MISTAKE_LEAVE_BLIND,   /* it is sent before it is known whether the topic is the journal's */
    /* of what others do in between */
    MISTAKE_UNASKED,         /* the group's commit is not looked at */
    MISTAKE_ANONYMOUS,       /* commits do not say who made them; all are taken for ours */
    MISTAKE_UNSIGNED,        /* the same; none is */
    MISTAKE_COMMIT_UNNOTED,  /* the journal is not told of a commit before it is sent */
    MISTAKE_COMMIT_BELIEVED, /* it is told that a commit was confirmed when that is sent */
    MISTAKE_LEAVE_UNNOTED,   /* it is not told of the commit that leaves the rest */
    MISTAKE_NO_LOOK,         /* nobody looks where the topic ends */
    /* of what is forwarded */
    MISTAKE_FORWARD_LATE,    /* started is noted after it was sent */
    MISTAKE_FORWARDED_EARLY, /* forwarded is noted before the broker has it */
    MISTAKE_REPORT_UNKEPT,   /* what was reported is committed before the journal is kept */
    MISTAKE_RETURN_UNNOTED,  /* the journal is not told that it came back */
    MISTAKE_FORWARD_AGAIN,   /* what came back is forwarded again */
    MISTAKE_UNEXPECTED,      /* reports count only once the message has been read again */
};

struct model_conf {
    uint8_t messages;     /* of the topic */
    uint8_t new_messages; /* of the one that takes its place at any moment; 0: none does. The last
                             of them comes later than the others, unless all are there at once */
    bool at_once;
    uint8_t capacity;
    uint8_t crashes;  /* at most */
    uint8_t stops;    /* orderly ends, at most */
    bool other;       /* an invoker without this journal comes after the first end, for good */
    uint8_t visits;   /* one comes in between, at most so often, and goes at any moment */
    bool retries;     /* cwhisk.retry-on-crash */
    uint8_t forwards; /* the first so many messages may be forwarded */
    bool peer_dies;
    bool coarse;   /* ack and record arrive, and are told, in one step */
    bool confirms; /* the broker always confirms the commit that leaves the rest */
    enum model_mistake mistake;
};

enum model_phase { PHASE_DOWN, PHASE_RUNNING, PHASE_DRAINING, PHASE_OVER };
enum model_job {
    JOB_NONE,
    JOB_WAITS,
    JOB_INTERRUPTED,
    JOB_PLACED,
    JOB_RUNS,
    JOB_AWAY,
    JOB_ENDED,
    JOB_LEFT
};
/* Of a forwarded activation, at the peer. */
enum model_peer { PEER_NONE, PEER_HAS, PEER_RUNS, PEER_ACKED, PEER_OVER, PEER_DEAD };
/* In the origin's topic, and not committed there. */
enum model_heard { REPORT_NONE, REPORT_ENDED, REPORT_RETURNED };
enum model_sent { SENT_NOT, SENT_FLIES, SENT_ARRIVED, SENT_TOLD };
enum model_leave { LEAVE_NOT, LEAVE_FLIES, LEAVE_ARRIVED, LEAVE_DONE, LEAVE_FAILED };

struct model_act {
    /* of the world */
    uint8_t runs, acks, records;
    bool taken;   /* by a process with the journal */
    bool kept;    /* that it is done with is in the kernel */
    bool again;   /* the process died while the broker had its ack, and the kernel not that */
    bool started; /* the kernel may have that it was */
    bool doubt;   /* nobody can know who had it */
    bool dropped; /* the journal's alone: it was not started, and no commit goes back so far */
    bool served;  /* somebody else ran it after a crash */
    uint8_t peer, report;
    /* of the process */
    uint8_t job, ack, record; /* record: SENT_TOLD means safe */
    uint8_t sent;             /* to the peer */
    bool void_ticket;         /* its topic is not that any more */
    bool expected;            /* its predecessor's, and not read again */
    bool back;                /* it came back */
    bool heard;               /* the report */
};

/* Compared as bytes: no holes. */
struct model_facts {
    struct model_act acts[MODEL_ACTS];
    int8_t committed, end, topic; /* of the broker */
    int8_t low, high;             /* between which our commit can be */
    int8_t kept_low, kept_high;   /* as the kernel has it */
    int8_t position, handed, committing, confirmed, floor, touched, leave_at;
    uint8_t commit, leave, phase;
    uint8_t crashes, stops, visits;
    bool checking; /* nothing was taken since the assignment */
    bool looked;   /* where the topic ends */
    bool foreign;  /* the commit is somebody else's */
    bool killed, pending, orderly, ended;
};

struct model_state {
    struct model_facts facts;
    struct model_calls calls; /* since the process began */
    uint32_t image;           /* with which it began, or will */
};

enum model_step_kind {
    STEP_OPEN,
    STEP_HAND_OUT,
    STEP_COMMIT,
    STEP_COMMIT_ARRIVES,
    STEP_COMMIT_TOLD,
    STEP_PLACE,
    STEP_START,
    STEP_ANSWER,
    STEP_EXCUSE,
    STEP_ACK_ARRIVES,
    STEP_ACK_TOLD,
    STEP_RECORD_SAFE,
    STEP_FORWARD,
    STEP_SEND_ARRIVES,
    STEP_SEND_TOLD,
    STEP_SEND_FAILS,
    STEP_PEER_RUNS,
    STEP_PEER_ACKS,
    STEP_PEER_REPORTS,
    STEP_PEER_RETURNS,
    STEP_PEER_DIES,
    STEP_HEAR,
    STEP_HEARD_COMMITTED,
    STEP_GIVE_UP,
    STEP_TURN,
    STEP_STOP,
    STEP_LEAVE_ARRIVES,
    STEP_LEAVE_TOLD,
    STEP_LEAVE_FAILS,
    STEP_KILL,
    STEP_EXIT,
    STEP_RECREATE,
    STEP_PRODUCE,
    STEP_OTHER,
    STEP_VISIT, /* act: where it ends */
    STEP_LOOK,
    STEP_CRASH,
    STEP_KINDS,
};

struct model_step {
    uint8_t kind, act;
    uint16_t torn; /* the process dies when so many bytes of what it writes are written; 0: not */
};

enum { MODEL_STEPS = 64, MODEL_TOUCHED_NOTHING = -2 };

enum model_outcome { OUTCOME_WELL, OUTCOME_DIED, OUTCOME_BAD };

void model_begin(const struct model_conf *conf, struct model_facts *ret);
/* Everything that can happen now; how many. */
unsigned model_enabled(const struct model_conf *conf, const struct model_facts *f,
                       struct model_step ret[MODEL_STEPS]);
/* Does this step call the process? */
bool model_calls_process(const struct model_conf *conf, enum model_step_kind kind);
/* One step. BAD with *why: a property does not hold. DIED: in the middle of a write. */
enum model_outcome model_apply(const struct model_conf *conf, struct model_state *s,
                               const struct model_step *step, struct model_process *p,
                               const char **why);
/* What the process had in memory is gone. */
void model_crash(struct model_facts *f);
/* Nothing more can happen: NULL, or what is wrong with that. */
const char *model_final(const struct model_conf *conf, const struct model_facts *f);
/* One line about it. after: it was applied. */
void model_describe(const struct model_step *step, const struct model_facts *before,
                    const struct model_facts *after, char *ret, size_t n);
