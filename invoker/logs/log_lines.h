/* invoker/logs/log_lines.h -- lines of Docker's json file become the log lines of a record.
 *
 * Pure: lines in, JSON array out. Source: openwhisk container.md 3. One json line is one stored
 * line, as with stock, with one exception: Docker cuts what a program prints without a newline at
 * 16 KiB, and such pieces (no "\n" at the end of "log") are put together again, per stream. A line
 * that contains the sentinel is dropped; of a line that was put together only the last piece is.
 * Text is carried over in its escaped form, never decoded. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum {
    INV_LOG_MAX_LINE = 1 << 20, /* bytes of one json line; Docker's own stay under 100 KiB */
    INV_LOG_TIME_MAX = 64,
};

enum inv_log_verdict {
    INV_LOG_MORE,
    INV_LOG_DONE,      /* two sentinels seen */
    INV_LOG_TRUNCATED, /* this line went over the limit; of it only a sentinel was taken */
    INV_LOG_BROKEN,    /* this line is too long to be read */
};

/* What a stream printed without an end of line so far. */
struct inv_log_piece {
    bool open;
    char time[INV_LOG_TIME_MAX + 1];
    struct cw_str text; /* escaped */
};

struct inv_log_lines {
    int64_t limit_bytes;
    int64_t used_bytes;
    unsigned sentinels;
    bool garbage;                   /* a line could not be understood and was skipped */
    struct cw_str json;             /* the array under construction */
    struct inv_log_piece pieces[2]; /* stdout, stderr */
    bool discard;                   /* only sentinels matter */
    struct cw_str *raw;             /* NULL, or gets the json lines, each with raw_tail inside */
    struct cw_slice raw_tail;       /* ",\"key\":value…"; as long-lived as the lines */
};

void inv_log_lines_init(struct inv_log_lines *l, int64_t limit_bytes);
void inv_log_lines_done(struct inv_log_lines *l);
/* line: without its newline. */
enum inv_log_verdict inv_log_lines_add(struct inv_log_lines *l, struct cw_slice line);
/* A line of our own on stderr, after what streams left open. text: needs no escapes. */
void inv_log_lines_note(struct inv_log_lines *l, const char *text, int64_t wall_ms);
/* *ret goes on where l stands, keeps nothing and limits nothing: it only counts sentinels on, also
 * one that Docker cut in two. Call before l is ended. done() it. */
void inv_log_lines_rest(const struct inv_log_lines *l, struct inv_log_lines *ret);
/* Ends the array; valid until done. */
struct cw_slice inv_log_lines_finish(struct inv_log_lines *l);
/* The longest line that add would take. */
size_t inv_log_lines_longest(const struct inv_log_lines *l);
