/* tests/support/scripted_http.h -- an HTTP/1.1 peer that does what the test tells it to.
 *
 * Listens on 127.0.0.1:<free port> or on a Unix socket in a fresh temporary directory, runs on the
 * test's own loop (no thread, so nothing races), answers from a list of steps and remembers every
 * request. A request takes the first unused step whose method and path fit; steps without method
 * and path are therefore used in order. A request that no step fits gets status 599 and is counted
 * by scripted_http_unexpected. Failures of the peer itself abort the test with a message.
 *
 * Thread: loop. Free the peer before the loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cw_loop;
struct scripted_http;

enum scripted_transport { SCRIPTED_TCP, SCRIPTED_UNIX };

enum scripted_action {
    SCRIPTED_ANSWER, /* the whole answer; the connection stays open for the next request */
    SCRIPTED_CLOSE,  /* the whole answer, then end-of-file */
    SCRIPTED_HALF,   /* the first `cut` bytes of the answer, then end-of-file */
    SCRIPTED_RESET,  /* no answer: TCP reset (on a Unix socket: end-of-file) */
    SCRIPTED_HANG,   /* no answer; the connection stays open until the client or _drop closes it */
    SCRIPTED_STREAM, /* a chunked answer with body as its first chunk, left open: the test goes on
                        with scripted_http_push and scripted_http_finish */
};

/* Everything is copied. Zero means the default, so name only what matters. */
struct scripted_step {
    const char *method;  /* NULL: any */
    const char *path;    /* as on the request line, with the query; a final '*' matches any rest;
                            NULL: any */
    int status;          /* 0: 200 */
    const char *headers; /* "Name: value\r\n" lines; a Content-Length or Transfer-Encoding in here
                            replaces the right one */
    const char *body;    /* NULL: empty */
    size_t body_len;     /* 0: strlen(body) */
    const char *raw;     /* instead of status, headers and body: these very bytes */
    size_t raw_len;      /* 0: strlen(raw) */
    size_t cut;          /* HALF: bytes to send; 0: the head and half of the body */
    int64_t delay_ms;    /* before anything of this step happens */
    bool chunked;        /* body in chunks instead of Content-Length */
    bool repeat;         /* not used up by a request */
    enum scripted_action action;
};

struct scripted_request {
    unsigned connection; /* 1 for the first connection accepted */
    const char *method;
    const char *path;    /* as on the request line */
    const char *headers; /* all lines, "Name: value\r\n" each */
    const char *body;    /* decoded when it came in chunks; NUL-terminated */
    size_t body_len;
};

struct scripted_http *scripted_http_new(struct cw_loop *loop, enum scripted_transport transport);
/* Closes everything and removes the socket. Accepts NULL. */
void scripted_http_free(struct scripted_http *peer);
/* "http://127.0.0.1:<port>", or "http://localhost" for a Unix socket. */
const char *scripted_http_url(const struct scripted_http *peer);
uint16_t scripted_http_port(const struct scripted_http *peer);         /* 0 for a Unix socket */
const char *scripted_http_unix_path(const struct scripted_http *peer); /* NULL for TCP */

void scripted_http_expect(struct scripted_http *peer, const struct scripted_step *step);

/* Complete requests received so far. */
size_t scripted_http_count(const struct scripted_http *peer);
/* Borrowed until the peer is freed; i < count. */
const struct scripted_request *scripted_http_request(const struct scripted_http *peer, size_t i);
/* Value of the first header of that name (case ignored) into buf; NULL when absent. */
const char *scripted_http_header(const struct scripted_request *req, const char *name, char *buf,
                                 size_t size);
/* Requests that no step fitted. */
size_t scripted_http_unexpected(const struct scripted_http *peer);
/* Steps no request has used (repeating ones not counted). */
size_t scripted_http_unused(const struct scripted_http *peer);
/* Connections accepted so far / open now. */
unsigned scripted_http_accepted(const struct scripted_http *peer);
size_t scripted_http_open(const struct scripted_http *peer);

/* One more chunk on every connection that STREAM left open; returns on how many. */
size_t scripted_http_push(struct scripted_http *peer, const void *p, size_t n);
/* Ends those answers properly; the connections stay open for the next request. */
void scripted_http_finish(struct scripted_http *peer);
/* Closes every open connection, as a server that restarts does. */
void scripted_http_drop(struct scripted_http *peer);
