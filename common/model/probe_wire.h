/* common/model/probe_wire.h -- what cwhisk-probe is asked, and what it answers.
 *
 * Over TCP, lines of text. The asker: "cwhisk-probe/1 <token>". The answer: one line of key=value
 * pairs separated by single spaces,
 *
 *   cwhisk-probe/1 source=proc time_ns=81 cpu_ns=5000 memory_bytes=900 peak_bytes=950 pids=3
 *       throttled_ns=- oom_kills=- estimated=cpu,memory,peak
 *
 * '-' is a figure that is not known. Pairs that a reader does not know are skipped, so that there
 * can be more of them later; what they mean does not change without another number behind the
 * slash. The connection stays open for the next question; one that the probe does not understand,
 * or with another token, ends it without an answer.
 *
 * Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

enum {
    CW_PROBE_TOKEN_LEN = 32,    /* lower-case hex digits: 128 bits */
    CW_PROBE_REQUEST_MAX = 128, /* bytes of a question, its line end included */
    CW_PROBE_ANSWER_MAX = 1024, /* bytes of an answer, its line end included */
    CW_PROBE_PORT = 10779,      /* when nothing else is said */
};

/* Read from the environment, and taken out of it. */
#define CW_PROBE_TOKEN_ENV "CWHISK_PROBE_TOKEN"
#define CW_PROBE_PORT_ENV "CWHISK_PROBE_PORT"

enum cw_probe_source_kind {
    CW_PROBE_CGROUP1, /* the container's own control groups, seen from inside */
    CW_PROBE_CGROUP2,
    CW_PROBE_PROC, /* the sum over its processes */
};

/* Of the whole container, the probe itself included. -1: not known. */
struct cw_probe_figures {
    enum cw_probe_source_kind source;
    int64_t time_ns;      /* monotonic clock of the machine, when this was read */
    int64_t cpu_ns;       /* since the start, of processes that have ended too; does not go back */
    int64_t memory_bytes; /* working set: without page cache that can be dropped */
    int64_t peak_bytes;
    int64_t pids; /* threads, as the kernel counts them for pids limits */
    int64_t throttled_ns, oom_kills;
    bool cpu_estimated, memory_estimated, peak_estimated, pids_estimated;
};

bool cw_probe_is_token(struct cw_slice text);

/* Appends a question, with its line end. */
void cw_probe_put_request(struct cw_str *out, const char *token);

/* One line without its end: is it a question with this token? Takes the same time for each token of
 * that length. */
bool cw_probe_is_request(struct cw_slice line, const char *token);

/* An answer with its line end, and a NUL; its length without the NUL. */
size_t cw_probe_put_answer(char out[CW_PROBE_ANSWER_MAX], const struct cw_probe_figures *f);

/* One line without its end. Numbers are 0..2^62; cpu_ns, memory_bytes and pids must be there and
 * known. On failure *ret is untouched, and the error says which pair is wrong. */
int cw_probe_parse_answer(struct cw_slice line, struct cw_probe_figures *ret,
                          struct cw_err *err) CW_MUST_CHECK;
