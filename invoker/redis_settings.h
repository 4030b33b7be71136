/* invoker/redis_settings.h -- which Redis, for all roles that have one. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_kv;
struct cw_loop;

struct inv_redis_settings {
    char *hosts; /* "": none */
    char *user, *password, *ca_file;
    int64_t db, ms;
    bool tls;
};

/* Rows of a table of settings for all but the hosts, whose purpose each role tells; `settings_type`
 * has a struct inv_redis_settings named redis. */
/* clang-format off */
#define INV_REDIS_ITEMS(settings_type)                                                                      \
    {.section = "Cluster", .key = "cwhisk.redis.user", .env = "CWHISK_REDIS_USER", .type = CW_CONF_STRING, .offset = offsetof(settings_type, redis.user), .def = "", \
     .help = "User of Redis' access lists; needs a password. Empty: the default user."}, \
    {.section = "Cluster", .key = "cwhisk.redis.password", .env = "CWHISK_REDIS_PASSWORD", .type = CW_CONF_STRING, .flags = CW_CONF_SECRET, .offset = offsetof(settings_type, redis.password), .def = "", \
     .help = "Password of Redis."}, \
    {.section = "Cluster", .key = "cwhisk.redis.database", .env = "CWHISK_REDIS_DATABASE", .type = CW_CONF_INT, .offset = offsetof(settings_type, redis.db), .def = "0", .min = "0", .max = "65535", \
     .help = "Number of the database in Redis."}, \
    {.section = "Cluster", .key = "cwhisk.redis.tls", .env = "CWHISK_REDIS_TLS", .type = CW_CONF_BOOL, .offset = offsetof(settings_type, redis.tls), .def = "false", \
     .help = "Speak TLS with Redis; its certificate must be valid for the name under which it is reached."}, \
    {.section = "Cluster", .key = "cwhisk.redis.ca-file", .env = "CWHISK_REDIS_CA_FILE", .type = CW_CONF_STRING, .offset = offsetof(settings_type, redis.ca_file), .def = "", \
     .help = "With TLS: file with the authorities (PEM) that may have signed Redis' certificate. Empty: the system's."}, \
    {.section = "Cluster", .key = "cwhisk.redis.timeout", .env = "CWHISK_REDIS_TIMEOUT", .type = CW_CONF_DURATION, .offset = offsetof(settings_type, redis.ms), .def = "1 second", .min = "10 ms", .max = "1 minute", \
     .help = "Redis counts as away when a command is not answered for this long, or a connection not ready within twice that."}
/* clang-format on */

/* What is wrong with them; nothing is opened. No servers: nothing is. */
int inv_redis_check(const struct inv_redis_settings *redis, struct cw_err *err) CW_MUST_CHECK;
/* cluster: its name, "": default. seed: of the random part of delays, not 0. *ret is NULL when no
 * hosts are named; else free it with cw_kv_free. Thread: loop. */
int inv_redis_open(struct cw_loop *loop, const struct inv_redis_settings *redis,
                   const char *cluster, uint64_t seed, struct cw_kv **ret,
                   struct cw_err *err) CW_MUST_CHECK;
