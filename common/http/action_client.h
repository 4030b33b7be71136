/* common/http/action_client.h -- HTTP/1.1 client for one action container: POST /init and POST
 * /run.
 *
 * Why our own: a POST must never be sent twice, and libcurl re-sends silently when a kept-alive
 * connection dies before the answer (docs/adr). A kept-alive connection is checked for end-of-file
 * before reuse, and a container that once closed one soon after an answer, unannounced, gets a new
 * one for each request; after the first request byte was written there is never a resend, on any
 * connection. Rules of openwhisk container.md 1.3: only "connection refused" and "no route to host"
 * may be retried, and only when the caller asks (/init); an answer without Content-Length is no
 * answer; of an answer longer than max_response only the first `truncate_to` bytes are kept and the
 * rest is drained. Every size is bounded: header block 64 KiB, 100 headers, interim 1xx answers 10,
 * body by the request. A peer that vanishes is noticed by TCP keep-alive within 11 s. Thread: loop.
 * Callbacks never run inside the call that requested them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_action_call;
struct cw_action_client;
struct cw_err;
struct cw_loop;

enum cw_action_outcome {
    CW_ACTION_ANSWERED,  /* a complete answer with Content-Length */
    CW_ACTION_REFUSED,   /* the request was not sent: nobody takes the connection */
    CW_ACTION_NOT_SENT,  /* the request was not sent: an error of our own, such as no descriptors */
    CW_ACTION_TIMEOUT,   /* no complete answer within timeout_ms, whatever the cause; also when a
                            complete one, or a failure, came to us later than that */
    CW_ACTION_NO_ANSWER, /* reset, closed early, garbage, no Content-Length, 204: it may have run */
};

struct cw_action_request {
    const char *path; /* "/init" or "/run"; at most 100 bytes */
    const struct cw_slice
        *body; /* pieces of the JSON body, borrowed until fn ran or cancel returned */
    size_t body_pieces;
    int64_t timeout_ms;       /* whole exchange including connecting (and retries of it) */
    int64_t retry_connect_ms; /* > 0: a refused connection is tried again after this, later ones
                                 after up to 50 ms, until timeout_ms */
    int64_t
        patience_ms; /* connecting may go on for so long after timeout_ms; a call whose connection
                        is taken only then begins at that moment, with timeout_ms from there */
    int64_t
        connect_within_ms; /* > 0: one attempt to connect that takes longer counts as refused; an
                             address that nobody has (a container that died) does not refuse. With
                             retry_connect_ms the first attempts are shorter, from 50 ms on */
    size_t max_response;   /* Content-Length above it: truncated */
    size_t truncate_to;    /* bytes kept of a truncated body */
};

struct cw_action_reply {
    enum cw_action_outcome outcome;
    int status;           /* ANSWERED only */
    struct cw_slice body; /* ANSWERED only; first truncate_to bytes when truncated */
    bool truncated;
    int64_t content_length;   /* as announced by the container */
    int64_t start_ms, end_ms; /* wall clock: call begun / answer complete or failure known */
    int64_t elapsed_us;       /* monotonic, between the two */
    int64_t written_us;       /* monotonic: the kernel had the whole request; 0: never */
    int64_t read_us;          /* monotonic: the answer was complete, or the failure known */
    char why[120];            /* one line for the log when not ANSWERED */
};

/* reply is borrowed for the callback. */
typedef void cw_action_fn(void *arg, const struct cw_action_reply *reply);

/* addr: numeric IPv4 or IPv6 address. Idle connections kept: at most max_idle; with 0 every request
 * says "Connection: close". */
struct cw_action_client *cw_action_client_new(struct cw_loop *loop, const char *addr, uint16_t port,
                                              unsigned max_idle, struct cw_err *err) CW_MUST_CHECK;
/* Another number of idle connections to keep, from the next request on. */
void cw_action_client_keep(struct cw_action_client *c, unsigned max_idle);
/* Cancels what is in flight. Accepts NULL. */
void cw_action_client_free(struct cw_action_client *c);
/* Closes idle connections (before a container is frozen, for example). */
void cw_action_client_close_idle(struct cw_action_client *c);
/* Calls fn exactly once unless cancelled; the call is dead by then, and its connection, when it can
 * be kept, serves the next request, also one posted from inside fn. fn may cancel other calls and
 * free the client. */
struct cw_action_call *cw_action_post(struct cw_action_client *c,
                                      const struct cw_action_request *req, cw_action_fn *fn,
                                      void *arg);
/* Asks whether anybody takes connections: connects anew within within_ms, closes, sends nothing.
 * fn's reply: ANSWERED without status and body if so; otherwise REFUSED, TIMEOUT (nobody answered
 * in time), or NOT_SENT. */
struct cw_action_call *cw_action_probe(struct cw_action_client *c, int64_t within_ms,
                                       cw_action_fn *fn, void *arg);
/* Has the connection been taken? */
bool cw_action_is_connected(const struct cw_action_call *call);
/* Nobody is there any more, as somebody else has seen: ends the call now as one whose connection
 * was lost (REFUSED while nothing of the request has left, else NO_ANSWER), with this reason. */
void cw_action_abort(struct cw_action_call *call, const char *why);
/* Closes the call's connection; fn will not be called. */
void cw_action_cancel(struct cw_action_call *call);
