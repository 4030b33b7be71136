/* invoker/daemon.h -- `cwhisk invoker`: all parts, started in order and stopped in order.
 *
 * Start (openwhisk invoker.md 5): Kafka topic and container engine in parallel, left-over
 * containers away, then consume, ping, serve. Stop on SIGTERM or SIGINT: last ping disabled, take
 * nothing more, finish what was taken within the drain limit, answer what is left with an error,
 * remove containers, store records, flush acks. A second signal ends the waiting. Thread: loop. */
#pragma once

#include "common/base/mem.h"

struct cw_err;
struct cw_loop;
struct inv_daemon;
struct inv_settings;

/* What is wrong with the settings, as far as it shows without the id and without connections; so
 * that no id is taken from ZooKeeper for an invoker that could not start. */
int inv_daemon_check(const struct inv_settings *settings, struct cw_err *err) CW_MUST_CHECK;
/* Builds the parts and begins to start; settings (checked, with an id) are borrowed. NULL with *err
 * naming what is wrong. */
struct inv_daemon *inv_daemon_new(struct cw_loop *loop, const struct inv_settings *settings,
                                  struct cw_err *err) CW_MUST_CHECK;
/* Exit status once the loop has stopped: 0 orderly, 1 the start failed (logged). */
int inv_daemon_status(const struct inv_daemon *d);
/* Accepts NULL. */
void inv_daemon_free(struct inv_daemon *d);
