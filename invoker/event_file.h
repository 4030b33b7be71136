/* invoker/event_file.h -- the event log as a file of lines, for whoever keeps or ships it.
 *
 * Lines are appended to `path`; when the next ones would make it larger than max_bytes, it becomes
 * `path`.1 (in place of the one before) and a new one is begun, so that both together are bounded.
 * Who moves or removes the file, as logrotate does, need not tell: it is looked for before each
 * write. A thread of its own writes; what waits for it is bounded. What cannot be written is lost,
 * counted, and said once until writing works again. Thread: loop. */
#pragma once

#include <stddef.h>

#include "common/base/mem.h"
#include "common/base/str.h"

struct cw_err;
struct cw_loop;
struct cw_metrics;
struct inv_event_file;

enum { INV_EVENT_FILE_MIN_BYTES = 1 << 20 };

struct inv_event_file_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    const char *path; /* copied */
    size_t max_bytes; /* INV_EVENT_FILE_MIN_BYTES.. */
};

/* Opens the file at once, so that what is wrong with it is said early. Fails only without a thread.
 */
struct inv_event_file *inv_event_file_new(const struct inv_event_file_conf *conf,
                                          struct cw_err *err) CW_MUST_CHECK;
/* Writes what waits. Accepts NULL. */
void inv_event_file_free(struct inv_event_file *f);
/* One event; the newline is added. Accepts NULL. */
void inv_event_file_put(struct inv_event_file *f, const char *json);
