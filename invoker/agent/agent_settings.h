/* invoker/agent/agent_settings.h -- the settings of cwhisk agent, one table. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/conf/conf.h"
#include "invoker/redis_settings.h"

struct inv_agent_settings {
    char *name; /* never NULL or "" once the agent runs */
    char *address, *user, *password;
    int64_t port;
    char *cgroup_root, *containers_dir, *name_prefix;
    int64_t interval_ms, scan_ms;
    char *cluster;
    struct inv_redis_settings redis;
    int log_level, log_format; /* enum cw_log_level, enum cw_log_format */
};

const struct cw_conf_table *inv_agent_settings_table(void);
