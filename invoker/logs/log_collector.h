/* invoker/logs/log_collector.h -- an activation's log lines, out of Docker's json file (woken by
 * inotify) or out of the engine's own log stream.
 *
 * One struct inv_log_source per container remembers how far it has read (sentinel lines included).
 * A collection ends at two sentinel lines, at the end of the file (no-wait mode), at a limit, or at
 * a deadline. Rotation (rename, new file, cut in place) and lines that Docker splits at 16 KiB are
 * handled. Source: openwhisk container.md 3.
 *
 * Whose line is it? Collections of one container are served in order, and a line belongs to the
 * first collection whose two sentinels come behind it. One that ends without both (cut by the
 * limit, or the sentinels are late) leaves the source out of step: what comes up to the missing
 * sentinels is dropped, in the background and before anything of the next collection is read, so
 * that it can never appear in another activation's log. inv_log_settle tells when that is over, or
 * that it will not be. Thread: loop. Callbacks never run inside the call that requested them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_driver;
struct cw_err;
struct cw_loop;
struct inv_log_hub;    /* the inotify descriptor */
struct inv_log_source; /* one container */
struct inv_log_call;   /* one collection */

struct inv_log_request {
    bool wait_for_sentinels; /* false: read to the end of the file */
    /* Without wait: how long after the last line more may come. The engine copies what was printed
     * before the answer a moment after it was printed; 0: what is there now is all. */
    int64_t linger_ms;
    bool developer_error; /* adds the "did not initialize or run as expected" line */
    int64_t limit_bytes;  /* raw json lines, each + 1; > 0 */
    /* How long to wait for sentinels without any new line, and altogether; 0: 2 s, and 2 s per MiB
     * of the limit but at least 10 s. */
    int64_t idle_timeout_ms, total_timeout_ms;
    /* NULL, or gets the json lines as the engine wrote them, each with raw_tail inside (for the
     * file store). Both are borrowed until the callback. */
    struct cw_str *raw;
    struct cw_slice raw_tail;
};

/* logs: raw JSON array of strings in stored format. complete false: lines are missing or cut
 * (sentinels absent, limit, unreadable file). truncated: the reason is the limit. Both borrowed for
 * the callback. */
typedef void inv_log_fn(void *arg, struct cw_slice logs, bool complete, bool truncated);

typedef void inv_log_settled_fn(void *arg, bool in_step);

enum inv_log_from {
    INV_LOG_FROM_EITHER, /* the stream where the first collection finds no file to read */
    INV_LOG_FROM_FILE,
    INV_LOG_FROM_STREAM,
};

struct inv_log_hub *inv_log_hub_new(struct cw_loop *loop, struct cw_err *err) CW_MUST_CHECK;
/* No source is told anything afterwards; those that are left must still be freed. Accepts NULL. */
void inv_log_hub_free(struct inv_log_hub *hub);

/* Without this all is read from files. driver is borrowed; one without output() gives files only.
 * That the stream is used where a file was expected is logged once. */
void inv_log_hub_use_engine(struct inv_log_hub *hub, struct cw_driver *driver,
                            enum inv_log_from from);

/* path: the json file; it need not exist yet. id: of the container, for the engine; NULL: only the
 * file can be read. */
struct inv_log_source *inv_log_source_new(struct inv_log_hub *hub, const char *path,
                                          const char *id);
/* Cancels the collections under way. Allowed inside its callbacks. Accepts NULL. */
void inv_log_source_free(struct inv_log_source *s);
/* At most one collection per source at a time; further ones queue in order. Calls fn exactly once
 * unless cancelled. */
struct inv_log_call *inv_log_collect(struct inv_log_source *s, const struct inv_log_request *req,
                                     inv_log_fn *fn, void *arg);
void inv_log_cancel(struct inv_log_call *call);
/* false: sentinels of earlier collections are still to come. Who begins an activation in the
 * container now could get their lines mixed up. */
bool inv_log_in_step(const struct inv_log_source *s);
/* Calls fn once: true as soon as the source is in step, false when nothing more came for two
 * seconds (counting from the end of the collection when that had waited already). One at a time per
 * source; ends with it. */
void inv_log_settle(struct inv_log_source *s, inv_log_settled_fn *fn, void *arg);
