/* common/obs/log.h -- log lines in OpenWhisk's shape, or JSON.
 *
 *   [2026-11-21T04:00:12.345Z] [INFO] [#tid_root] [#tid_child] [component] text
 *
 * The child part appears only when the transaction has a parent. One line per call (newlines in the
 * text become spaces). Lines are written whole, so those of several processes do not mix: each by a
 * write(2) of its own, or gathered and together (see log_sink.h). The sink is the project's one
 * mutable global. Never log code, parameters, keys or headers of authorization.
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cw_clock;
struct cw_tx;

enum cw_log_level { CW_LOG_ERROR, CW_LOG_WARN, CW_LOG_INFO, CW_LOG_DEBUG };
enum cw_log_format { CW_LOG_WHISK, CW_LOG_JSON };

struct cw_log_conf {
    enum cw_log_level level;
    enum cw_log_format format;
    int fd;      /* 1 = standard output, as stock */
    bool gather; /* lines of this thread wait for cw_log_flush, but no ERROR does */
    const struct cw_clock *clock; /* NULL: system's */
};

void cw_log_setup(const struct cw_log_conf *conf);
/* Writes what is gathered, as far as the sink takes it at once; lines lost because it took nothing
 * for long are said when it takes lines again. false: something is left, try again soon. Call in
 * each turn of a loop. */
bool cw_log_flush(void);
/* The same at the end of the program: waits for the sink, but not longer than wait_ms. */
void cw_log_end(int wait_ms);
bool cw_log_enabled(enum cw_log_level level);
/* tx may be NULL: printed as #tid_sid_unknown, as stock does. */
void cw_log(enum cw_log_level level, const struct cw_tx *tx, const char *component, const char *fmt,
            ...) __attribute__((format(printf, 4, 5)));
/* With stock's marker "[marker:invoker_activationRun_finish:<ms since tx start>:<duration ms>]" at
 * the end; duration below 0 leaves the last part out, as start markers do. */
void cw_log_marker(enum cw_log_level level, const struct cw_tx *tx, const char *component,
                   const char *marker, int64_t duration_ms, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* "error", "warn", "info", "debug" (any case) → level; false when unknown. */
bool cw_log_level_parse(const char *text, enum cw_log_level *ret);
