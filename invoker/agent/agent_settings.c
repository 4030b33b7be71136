#include "invoker/agent/agent_settings.h"

#include <stddef.h>

#include "common/base/mem.h"

#define FIELD(f) .offset = offsetof(struct inv_agent_settings, f)

/* clang-format off */
static const struct cw_conf_item ITEMS[] = {
    {.section = "Identity", .key = "cwhisk.agent.name", .env = "CWHISK_AGENT_NAME", .cli = "name", .type = CW_CONF_STRING, FIELD(name), .def = "",
     .help = "Name of this host among the agents; [a-zA-Z0-9_.-]. Empty: the machine's."},
    {.section = "HTTP", .key = "cwhisk.agent.address", .env = "CWHISK_AGENT_ADDRESS", .cli = "address", .type = CW_CONF_STRING, FIELD(address), .def = "127.0.0.1",
     .help = "Numeric address to listen at; 0.0.0.0 or :: for all."},
    {.section = "HTTP", .key = "cwhisk.agent.port", .env = "CWHISK_AGENT_PORT", .cli = "port", .type = CW_CONF_INT, FIELD(port), .def = "8085", .min = "0", .max = "65535",
     .help = "Port of /metrics, /containers and /ping; 0 takes any free one."},
    {.section = "HTTP", .key = "cwhisk.agent.user", .env = "CWHISK_AGENT_USER", .type = CW_CONF_STRING, FIELD(user), .def = "",
     .help = "User for /containers (basic authentication). Empty: whoever reaches the port may read it."},
    {.section = "HTTP", .key = "cwhisk.agent.password", .env = "CWHISK_AGENT_PASSWORD", .type = CW_CONF_STRING, .flags = CW_CONF_SECRET, FIELD(password), .def = "",
     .help = "Password of that user."},
    {.section = "Containers", .key = "cwhisk.cgroup-root", .cli = "cgroup-root", .type = CW_CONF_STRING, FIELD(cgroup_root), .def = "/sys/fs/cgroup",
     .help = "Where the host's control groups are mounted, version 1 or 2."},
    {.section = "Containers", .key = "cwhisk.agent.containers-dir", .env = "CWHISK_AGENT_CONTAINERS_DIR", .cli = "containers-dir", .type = CW_CONF_STRING, FIELD(containers_dir), .def = "/var/lib/docker/containers",
     .help = "Docker's files of its containers, which tell names and limits. Where they cannot be read, containers have their ids as names."},
    {.section = "Containers", .key = "cwhisk.agent.name-prefix", .env = "CWHISK_AGENT_NAME_PREFIX", .cli = "name-prefix", .type = CW_CONF_STRING, FIELD(name_prefix), .def = "",
     .help = "Only containers whose name starts so; wsk: OpenWhisk's. Empty: all."},
    {.section = "Containers", .key = "cwhisk.monitor-interval", .env = "CWHISK_MONITOR_INTERVAL", .cli = "interval", .type = CW_CONF_DURATION, FIELD(interval_ms), .def = "1 second", .min = "5 ms", .max = "1 hour",
     .help = "How often each container is looked at."},
    {.section = "Containers", .key = "cwhisk.agent.scan-interval", .env = "CWHISK_AGENT_SCAN_INTERVAL", .cli = "scan-interval", .type = CW_CONF_DURATION, FIELD(scan_ms), .def = "5 seconds", .min = "100 ms", .max = "1 hour",
     .help = "How often new containers are looked for."},
    {.section = "Cluster", .key = "cwhisk.cluster", .type = CW_CONF_STRING, FIELD(cluster), .def = "",
     .help = "Name of the deployment; part of the names in Redis."},
    {.section = "Cluster", .key = "cwhisk.redis.hosts", .env = "CWHISK_REDIS_HOSTS", .type = CW_CONF_STRING, FIELD(redis.hosts), .def = "",
     .help = "Redis servers to which the host's state is told each second; as of cwhisk invoker. Empty: none."},
    INV_REDIS_ITEMS(struct inv_agent_settings),
    {.section = "Operation", .key = "logback.log.level", .cli = "log-level", .type = CW_CONF_CHOICE, FIELD(log_level), .def = "INFO", .choices = "ERROR|WARN|INFO|DEBUG",
     .help = "Least severe log lines that are written."},
    {.section = "Operation", .key = "cwhisk.log-format", .env = "CWHISK_LOG_FORMAT", .cli = "log-format", .type = CW_CONF_CHOICE, FIELD(log_format), .def = "whisk", .choices = "whisk|json",
     .help = "Log lines in OpenWhisk's shape, or JSON objects."},
};
/* clang-format on */

const struct cw_conf_table *inv_agent_settings_table(void)
{
    static const struct cw_conf_table TABLE = {
        .program = "cwhisk agent",
        .items = ITEMS,
        .count = CW_ARRAY_LEN(ITEMS),
        .struct_size = sizeof(struct inv_agent_settings),
    };

    return &TABLE;
}
