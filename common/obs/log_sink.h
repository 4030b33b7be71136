/* common/obs/log_sink.h -- where log lines go: at once, or gathered and written together.
 *
 * Gathered lines are written by a flush, when there are many, with an urgent one, or when another
 * thread than the one that set it up brings a line. A pipe that nobody reads never blocks: lines
 * wait in a bounded buffer, and what does not fit is counted. Pieces are whole lines of at most
 * PIPE_BUF bytes, which the kernel keeps apart from other writers' (a file gets larger ones).
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

/* Writes what is gathered for the sink before, as far as that goes. */
void cw_log_sink_set(int fd, bool gather);
/* line: with its newline, at most PIPE_BUF bytes. */
void cw_log_sink_put(const char *line, size_t n, bool urgent);
/* Writes what is gathered; waits for room in the sink up to wait_ms. true when nothing is left;
 * *ret_lost is then how many lines were lost since the last time. */
bool cw_log_sink_flush(int wait_ms, uint64_t *ret_lost) CW_MUST_CHECK;
