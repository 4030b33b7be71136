/* invoker/logs/log_frames.h -- the engine's log stream becomes lines of Docker's json file.
 *
 * Pure. In: what GET /containers/ID/logs?timestamps=1 sends, in pieces of any size: frames of an
 * 8-byte head (stream, 3 zeros, length) and one log message, or, from a terminal, plain lines. Out:
 * exactly the lines that Docker would have written to its json file (escapes, \ufffd for what is
 * not UTF-8, times without trailing zeros), so that limits cut at the same place. A message without
 * a time gives a line that is not JSON. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum {
    INV_FRAME_HEAD = 8,
    INV_FRAME_MAX_TIME = 40,
    INV_FRAME_MAX_TEXT = 1 << 20, /* of one message; what is longer is cut */
};

struct inv_log_message {
    unsigned stream;      /* 0 stdout, 1 stderr */
    struct cw_slice time; /* as Docker writes it to its file; empty: the message has none */
    struct cw_slice text; /* with its end of line, if there is one */
};

typedef void inv_log_message_fn(void *arg, const struct inv_log_message *m);

struct inv_log_frames {
    enum { INV_FRAMES_UNKNOWN, INV_FRAMES_FRAMED, INV_FRAMES_RAW } form;
    unsigned char head[INV_FRAME_HEAD];
    size_t head_n;
    uint32_t left;      /* bytes of the frame that are still to come */
    struct cw_str text; /* of the message so far */
};

void inv_log_frames_init(struct inv_log_frames *f);
void inv_log_frames_done(struct inv_log_frames *f);
/* fn for each message that is complete. */
void inv_log_frames_add(struct inv_log_frames *f, struct cw_slice piece, inv_log_message_fn *fn,
                        void *arg);
/* Appends the json line with its newline. */
void inv_log_message_encode(const struct inv_log_message *m, struct cw_str *out);
