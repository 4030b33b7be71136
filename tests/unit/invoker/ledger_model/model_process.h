/* The process that is examined: a real ledger, over a disk in memory. It cannot be copied, so a
 * moment of its life is the image it began with and the calls made since, and is made again from
 * them. Thread: loop. */
#pragma once

#include <stdbool.h>

#include "invoker/ledger.h"
#include "tests/unit/invoker/ledger_model/model_disk.h"

enum { MODEL_MESSAGES = 3, MODEL_TOPICS = 2, MODEL_ACTS = MODEL_MESSAGES * MODEL_TOPICS };
enum { MODEL_CALLS = 64 };

enum model_call {
    CALL_BEGIN,     /* arg: the group's commit + 1, and CALL_OWN where it is ours */
    CALL_TAKE,      /* activation */
    CALL_KEEP,      /* offset */
    CALL_COMMITTED, /* offset */
    CALL_ENDS,      /* offset */
    CALL_START,     /* activation */
    CALL_FORWARDED, /* activation */
    CALL_RETURNED,  /* activation */
    CALL_FLUSH,
    CALL_ACKED,  /* activation */
    CALL_STORED, /* activation */
    CALL_LEAVE,  /* offset */
    CALL_TURN,   /* of the loop */
};

enum { CALL_OWN = 0x80 };

struct model_calls {
    uint8_t count;
    struct {
        uint8_t call, arg;
    } list[MODEL_CALLS];
};

struct model_answer {
    int code; /* -1: the process died of it */
    int64_t from, known;
    enum inv_verdict verdict;
    bool foreign;
};

struct model_process {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct model_disk disk;
    struct inv_ledger *ledger;
    int64_t tickets[MODEL_ACTS];
    bool expected[MODEL_ACTS]; /* the predecessor forwarded it, it said when it was opened */
    int quiet_fd;              /* of the log: crashes are thousands */
    bool blind;                /* messages of all topics look alike */
};

void model_process_init(struct model_process *p, bool blind);
void model_process_done(struct model_process *p);
/* On what is on the disk, after the one before is dead; false: died of it. */
bool model_process_open(struct model_process *p);
/* All that was called on this image. */
void model_process_make(struct model_process *p, const struct model_image *image,
                        const struct model_calls *calls);
struct model_answer model_process_call(struct model_process *p, enum model_call call, unsigned arg);
/* Like SIGKILL. Nothing if there is none. */
void model_process_kill(struct model_process *p);
/* false: died of it. */
bool model_process_close(struct model_process *p);
/* What it is on disk and would write next. It is dead afterwards. pending: would write something.
 */
uint64_t model_process_digest(struct model_process *p, bool *pending);
