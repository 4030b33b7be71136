/* tests/bench/stub_docker.h -- a Docker Engine API without containers behind it.
 *
 * Knows what the invoker's driver asks for: version, create, start, inspect, pause, unpause,
 * remove, list, and pulls that find everything. A started container is a listener on
 * 127.<net>.x.y:8080 that answers /init and /run at once and logs what stub_logs.h says.
 * Thread: one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cw_err;
struct stub_docker;
struct stub_logs;
struct stub_server;

struct stub_docker_stats {
    uint64_t created, removed, inits, runs, pauses, refused;
    size_t containers;
};

/* log_dir: an existing folder for the containers' logs; net: 1..254. Both borrowed or copied. */
struct stub_docker *stub_docker_new(struct stub_server *server, struct stub_logs *logs,
                                    const char *socket_path, const char *log_dir, unsigned net,
                                    struct cw_err *err) __attribute__((warn_unused_result));
/* Accepts NULL. The containers go with it, their logs too. */
void stub_docker_free(struct stub_docker *d);
struct stub_docker_stats stub_docker_stats(const struct stub_docker *d);
