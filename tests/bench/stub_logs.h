/* tests/bench/stub_logs.h -- what stub containers write to their logs, and when.
 *
 * One line of the action and the two sentinels in Docker's json-file format, before the answer to
 * /run or, as Docker's own logger often does, some time after it. Remembers for the last runs when
 * the last sentinel was written. Thread: one. */
#pragma once

#include <stdint.h>

#include "common/base/str.h"

struct cw_err;
struct stub_logs;
struct stub_server;

/* delay_us: between the end of a run and its log lines; 0: before the answer. */
struct stub_logs *stub_logs_new(struct stub_server *server, int64_t delay_us,
                                struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. */
void stub_logs_free(struct stub_logs *l);
/* One run has ended. fd: the container's log; call: the body of /run, which names the activation.
 */
void stub_logs_write(struct stub_logs *l, int fd, struct cw_slice call);
/* Nothing is written to this log any more: it is about to be closed. */
void stub_logs_forget(struct stub_logs *l, int fd);
/* CSV, oldest first: activation id, CLOCK_MONOTONIC in microseconds right before the last sentinel
 * was written. */
void stub_logs_show(const struct stub_logs *l, struct cw_str *out);
