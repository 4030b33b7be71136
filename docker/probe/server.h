/* docker/probe/server.h -- answers questions over TCP, beside the action and without disturbing it.
 *
 * Never waits: a client that is slow, silent or endless costs one of few places, for seconds, and
 * when all are taken the oldest one that has not shown the token goes. Connections that are opened
 * faster than they can be of use wait in the kernel. Between questions nothing runs. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/probe_wire.h"
#include "docker/probe/figures.h"

enum {
    PB_CLIENTS = 8,
    PB_TRUSTED = 4,        /* of these, at most so many that have shown the token */
    PB_PATIENCE_MS = 2000, /* for a first question */
    PB_ACCEPTS = 64,       /* connections, and */
    PB_QUESTIONS = 256,    /* questions, in each */
    PB_ACCEPT_MS = 1000,   /* of these spans */
    PB_POLLED = PB_CLIENTS + 1,
};

struct pb_client {
    int fd; /* -1: free */
    bool trusted;
    int64_t since_ns; /* accepted, or trusted and last asked */
    size_t n;
    char line[CW_PROBE_REQUEST_MAX];
};

struct pb_server {
    int fd; /* -1: nothing is served */
    const char *token;
    struct pb_figures *figures;
    int64_t span_ns; /* the current one began */
    unsigned accepted, asked;
    struct pb_client clients[PB_CLIENTS];
};

/* Both are borrowed. Nothing is served yet. */
void pb_server_init(struct pb_server *s, const char *token, struct pb_figures *figures);
/* Listens on all addresses, IPv6's too where there are any. false: it cannot. */
bool pb_server_listen(struct pb_server *s, uint16_t port);
/* Who is to be polled, PB_POLLED of them; how long at most: ms, -1 for ever. */
int pb_server_poll(const struct pb_server *s, int64_t now_ns, struct pollfd fds[PB_POLLED]);
void pb_server_turn(struct pb_server *s, int64_t now_ns, const struct pollfd fds[PB_POLLED]);
