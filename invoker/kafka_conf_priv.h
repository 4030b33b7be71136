/* invoker/kafka_conf_priv.h -- what kafka_conf.c and kafka_security.c share.
 *
 * Thread: any. */
#pragma once

#include <stdbool.h>

#include "common/base/arena.h"

struct cw_err;

/* One setting as it stands after the client's map was laid over the common one. */
struct kafka_setting {
    const char *key;    /* "ssl-truststore-location" */
    const char *value;  /* "" is absent, as Java's clients mostly see it */
    const char *prefix; /* "whisk.kafka.common." */
};

struct kafka_translation {
    struct kafka_setting *settings;
    size_t count;
    struct cw_arena *arena;
    const char **out; /* key, value, …; has room */
    size_t out_count;
    void (*ignored)(const char *key); /* NULL: nobody wants to know now */
};

/* NULL when absent or empty. */
const struct kafka_setting *kafka_setting_of(const struct kafka_translation *t, const char *key);
void kafka_put(struct kafka_translation *t, const char *key, const char *value);

/* Does this key belong to kafka_security.c? */
bool kafka_security_owns(const char *key);
/* Protocol, TLS and SASL. Puts at most KAFKA_SECURITY_MAX pairs. */
enum { KAFKA_SECURITY_MAX = 16 };
int kafka_security_translate(struct kafka_translation *t, struct cw_err *err) CW_MUST_CHECK;
