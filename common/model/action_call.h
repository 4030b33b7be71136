/* common/model/action_call.h -- bodies of /init and /run, and what their answers mean (openwhisk
 * container.md 1, 2).
 *
 * Pure. Bodies are lists of pieces so that a 48 MB code string is never copied: pieces borrow from
 * the action, the message and the scratch strings. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/model/activation_record.h"

struct cw_action;
struct cw_activation_message;

enum { CW_CALL_MAX_PIECES = 8 };

struct cw_call_body {
    struct cw_str before, after; /* scratch */
    struct cw_slice pieces[CW_CALL_MAX_PIECES];
    unsigned piece_count;
};

/* max_bytes bounds what is built here; borrowed pieces (code, arguments that go out unchanged) were
 * bounded by whoever received them. */
void cw_call_body_init(struct cw_call_body *b, size_t max_bytes);
void cw_call_body_done(struct cw_call_body *b);

/* deadline_ms: epoch. content: the message's, after unlocking; checked JSON, may be n == 0. The
 * pieces are valid until the next call on b and as long as m, a and content are. -1 when over
 * max_bytes, or when attached code has not been fetched yet. */
int cw_init_body(const struct cw_activation_message *m, const struct cw_action *a,
                 struct cw_slice content, int64_t deadline_ms, struct cw_call_body *b,
                 struct cw_err *err) CW_MUST_CHECK;
int cw_run_body(const struct cw_activation_message *m, const struct cw_action *a,
                struct cw_slice content, int64_t deadline_ms, struct cw_call_body *b,
                struct cw_err *err) CW_MUST_CHECK;

enum cw_call_end {
    CW_CALL_ANSWERED,
    CW_CALL_TIMED_OUT, /* the interval reached the action timeout, answered or not */
    CW_CALL_OUT_OF_MEMORY,
    CW_CALL_NO_ANSWER,
    CW_CALL_PLATFORM_FAULT, /* our own failure */
};

struct cw_call_answer {
    enum cw_call_end end;
    int status;           /* HTTP; ANSWERED only */
    struct cw_slice body; /* ANSWERED only */
    bool truncated;
    int64_t content_length, max_response; /* for the text of 2.3 */
    int64_t timeout_ms;                   /* of the action, for the text */
};

struct cw_call_result {
    enum cw_status status;
    struct cw_str result; /* raw JSON value; caller: cw_str_init before, cw_str_done after. With a
                             max of the largest body + 1024 it never fails: error texts that do not
                             fit lose the quoted body */
    int64_t size;         /* -1: none */
};

/* First match wins, in the order of the tables 2.1 and 2.2. For /init, status SUCCESS means "go on
 * with /run" and result is empty. */
void cw_init_interpret(const struct cw_call_answer *a, struct cw_call_result *ret);
void cw_run_interpret(const struct cw_call_answer *a, struct cw_call_result *ret);

/* {"error":"<text>"} */
void cw_error_result(struct cw_str *out, const char *text);
