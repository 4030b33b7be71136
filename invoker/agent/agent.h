/* invoker/agent/agent.h -- the monitor of a host that runs no invoker.
 *
 * Finds containers by their control groups (scan.h) and samples them and the host as an invoker
 * does (invoker/monitor); serves GET /metrics, /containers and /ping; tells the host's state, with
 * kv, as hash agent:<name> (index "agents"), which expires in 5 s. No engine is asked. Thread:
 * loop. */
#pragma once

#include <stdint.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_loop;
struct inv_agent;
struct inv_agent_settings;

/* Runs when it returns. s is borrowed. */
struct inv_agent *inv_agent_new(struct cw_loop *loop, const struct inv_agent_settings *s,
                                struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. */
void inv_agent_free(struct inv_agent *a);
uint16_t inv_agent_port(const struct inv_agent *a);
