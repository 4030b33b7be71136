/* tests/component/kv/redis_peer.h -- what answers in Redis' place: bytes that the test chose.
 *
 * Listens on 127.0.0.1, on the test's loop. The first thing that each connection sends (its
 * greeting) gets the first step, the next thing the next one; when there are no more, silence.
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_loop;
struct redis_peer;

struct redis_step {
    struct cw_slice say; /* borrowed */
    bool close;          /* after that */
    bool pour;           /* say it again and again, as long as it is taken */
};
enum { REDIS_STEPS_MAX = 6 };

struct redis_script {
    struct redis_step steps[REDIS_STEPS_MAX]; /* the rest: silence */
};

/* The i-th connection plays scripts[i], those behind the last that one. Borrowed. */
struct redis_peer *redis_peer_new(struct cw_loop *loop, const struct redis_script *scripts,
                                  size_t count);
/* Accepts NULL. */
void redis_peer_free(struct redis_peer *p);
uint16_t redis_peer_port(const struct redis_peer *p);
/* Connections so far. */
size_t redis_peer_count(const struct redis_peer *p);
/* All that has been said to it. */
const char *redis_peer_heard(const struct redis_peer *p);
