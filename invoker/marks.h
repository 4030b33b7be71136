/* invoker/marks.h -- log lines of operations that take time, in stock's words and with its markers
 * (openwhisk invoker.md 5): TOKEN_start, then TOKEN_finish or TOKEN_error with the duration.
 *
 * Without markers (METRICS_LOG=false) the words alone are logged, if there are any. Thread: loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cw_tx;

struct inv_mark {
    bool markers;
    const struct cw_tx *tx; /* NULL: unknown */
    const char *component;
    const char *token; /* "invoker_activationRun" */
};

/* text may be "". */
void inv_mark_begun(const struct inv_mark *m, const char *text);
void inv_mark_finished(const struct inv_mark *m, int64_t duration_ms, const char *text);
/* A warning. */
void inv_mark_failed(const struct inv_mark *m, int64_t duration_ms, const char *text);
