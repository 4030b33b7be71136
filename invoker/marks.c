#include "invoker/marks.h"

#include <stdio.h>

#include "common/obs/log.h"

enum { MARKER_MAX_BYTES = 128 };

static void put(const struct inv_mark *m, enum cw_log_level level, const char *state,
                int64_t duration_ms, const char *text)
{
    char marker[MARKER_MAX_BYTES];

    if (m->markers) {
        (void)snprintf(marker, sizeof(marker), "%s_%s", m->token, state);
        cw_log_marker(level, m->tx, m->component, marker, duration_ms, "%s", text);
    } else if (*text) {
        cw_log(level, m->tx, m->component, "%s", text);
    }
}

void inv_mark_begun(const struct inv_mark *m, const char *text)
{
    put(m, CW_LOG_INFO, "start", -1, text);
}

void inv_mark_finished(const struct inv_mark *m, int64_t duration_ms, const char *text)
{
    put(m, CW_LOG_INFO, "finish", duration_ms, text);
}

void inv_mark_failed(const struct inv_mark *m, int64_t duration_ms, const char *text)
{
    put(m, CW_LOG_WARN, "error", duration_ms, text);
}
