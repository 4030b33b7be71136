/* tests/component/kv/redis_server.h -- a real Redis on 127.0.0.1, in memory, which dies with the
 * test.
 *
 * Thread: any. Aborts when the program (Debian: redis-tools) is not there. */
#pragma once

#include <stdint.h>

struct redis_server;

/* A port that is free. */
uint16_t redis_free_port(void);
/* words: further options, NULL-terminated. It may not listen yet. */
struct redis_server *redis_server_start(uint16_t port, const char *const *words);
/* As a crash; its data is gone. Accepts NULL. */
void redis_server_kill(struct redis_server *s);
