/* tests/support/scripted_action.h -- an action container played by a function of the test.
 *
 * A raw TCP server on 127.0.0.1. Each connection runs the script on a thread of its own, with
 * blocking calls, so that a script reads like the story of the test; the connection is closed when
 * the script returns. Everything that came in is recorded. Thread: any, except where noted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scripted_action;
struct scripted_conn;

typedef void scripted_fn(struct scripted_conn *conn, void *arg);

/* NULL fn: every request gets 200 and {}. Aborts when there is no port. */
struct scripted_action *scripted_action_new(scripted_fn *fn, void *arg);
/* Owns a port that refuses connections until scripted_action_listen. */
struct scripted_action *scripted_action_new_closed(scripted_fn *fn, void *arg);
void scripted_action_listen(struct scripted_action *s);
/* Cuts all connections and waits for the scripts to return. Accepts NULL. */
void scripted_action_free(struct scripted_action *s);
uint16_t scripted_action_port(const struct scripted_action *s);

/* Connections accepted so far; those whose script has not returned yet. */
unsigned scripted_action_connections(struct scripted_action *s);
unsigned scripted_action_open_connections(struct scripted_action *s);
/* POSTs whose header block came, by path. */
unsigned scripted_action_posts(struct scripted_action *s, const char *path);
/* Header block and body of the i-th request (from 0), NUL-terminated copies; free() them. The body
 * is what had been read by then. NULL when there was no such request. */
char *scripted_action_head(struct scripted_action *s, unsigned i);
char *scripted_action_body(struct scripted_action *s, unsigned i);

/* For scripts, on their thread. Writes ignore that the peer is gone. */
unsigned scripted_index(const struct scripted_conn *conn); /* 0 for the first connection */
/* Header block and body; false when the connection ended before. */
bool scripted_read_request(struct scripted_conn *conn);
/* The header block only. */
bool scripted_read_head(struct scripted_conn *conn);
/* The rest of the body; false when it did not come whole. */
bool scripted_read_body(struct scripted_conn *conn);
void scripted_send(struct scripted_conn *conn, const char *text);
void scripted_send_bytes(struct scripted_conn *conn, const char *p, size_t n);
/* Content-Length and body; keeps the connection. */
void scripted_answer(struct scripted_conn *conn, int status, const char *body);
/* Byte by byte with a pause before each; stops early when the server is freed. */
void scripted_drip(struct scripted_conn *conn, const char *text, unsigned gap_ms);
/* Until the peer closes or the server is freed. */
void scripted_hang(struct scripted_conn *conn);
/* End of file for the peer; reading goes on. */
void scripted_finish(struct scripted_conn *conn);
/* The script's end will send RST instead of FIN. */
void scripted_reset(struct scripted_conn *conn);
