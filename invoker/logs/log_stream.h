/* invoker/logs/log_stream.h -- one container's output from the engine, as lines of a json file.
 *
 * For engines whose files cannot be read (remote, or with another format). A followed stream stays
 * open between collections and is held when its buffer is full, so that nothing is asked twice;
 * after a break it begins again by time, and what was seen already is skipped. Thread: loop. The
 * owner is woken, never called. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/str.h"

struct cw_defer;
struct cw_driver;
struct cw_err;
struct cw_loop;
struct inv_log_stream;

enum inv_log_stream_state {
    INV_LOG_STREAM_OPEN,   /* there may be more; the owner will be woken */
    INV_LOG_STREAM_ENDED,  /* that was all */
    INV_LOG_STREAM_FAILED, /* the engine cannot give it */
};

/* id: copied. wake: posted when there is something new to look at; must outlive the stream. */
struct inv_log_stream *inv_log_stream_new(struct cw_loop *loop, struct cw_driver *driver,
                                          const char *id, struct cw_defer *wake);
void inv_log_stream_free(struct inv_log_stream *s);
/* Moves bytes that are at hand to buf; how many, or -1 when buf is full. */
ssize_t inv_log_stream_fill(struct inv_log_stream *s, struct cw_str *buf);
/* Follows what comes (begins again when the stream broke off). */
enum inv_log_stream_state inv_log_stream_follow(struct inv_log_stream *s);
/* Asks for all that there is by now, once. */
void inv_log_stream_ask(struct inv_log_stream *s);
enum inv_log_stream_state inv_log_stream_state(const struct inv_log_stream *s);
/* Why it failed. */
const struct cw_err *inv_log_stream_error(const struct inv_log_stream *s);
