/* invoker/logs/write_behind.h -- lines that a thread of its own writes, so that a slow disk stalls
 * nothing.
 *
 * One batch is with that thread at any time; what comes meanwhile is gathered for the next one, up
 * to a limit. What cannot be written is lost, counted, and said once until writing works again.
 * Where to and how is the caller's (write). Thread: loop. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"

struct cw_counter;
struct cw_err;
struct cw_loop;
struct inv_write_behind;

struct inv_write_behind_conf {
    struct cw_loop *loop;
    size_t max_waiting; /* bytes that may wait */
    /* Writes all of text; err->code stays CW_OK, or says that it is lost. Thread: the writer's;
     * inv_write_behind_free's when that has ended. Never two at a time. */
    void (*write)(void *arg, const struct cw_str *text, struct cw_err *err);
    /* A write has ended, the next has not begun: what it keeps can be looked at. May be NULL. */
    void (*on_written)(void *arg);
    void *arg;
    struct cw_counter *written, *lost;
    /* Of log lines; static. Why follows after `fails`. */
    const char *component, *fails, *works;
};

/* conf's pointers are borrowed. Fails only without a thread. */
struct inv_write_behind *inv_write_behind_new(const struct inv_write_behind_conf *conf,
                                              struct cw_err *err) CW_MUST_CHECK;
/* Writes what waits. Accepts NULL. */
void inv_write_behind_free(struct inv_write_behind *w);
/* A piece, with `end` after it ("": nothing), which stays together in one write. count: what that
 * is in the counters. */
void inv_write_behind_put(struct inv_write_behind *w, struct cw_slice piece, const char *end,
                          uint64_t count);
/* Calls write with no text, so that what is wrong is said early. */
void inv_write_behind_try(struct inv_write_behind *w);
