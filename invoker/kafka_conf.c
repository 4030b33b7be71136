/* Two tables say everything: the one here has what clients of both kinds are tuned with, the other
 * (kafka_security.c) what connections are secured with. */
#include "invoker/kafka_conf.h"

#include <stdio.h>

#include "common/base/err.h"
#include "invoker/kafka_conf_priv.h"

static const char COMMON_PREFIX[] = "whisk.kafka.common.";

enum scope { BOTH, PRODUCER, CONSUMER };

enum shape {
    AS_IS,
    OR_ZERO, /* a negative number stands for "the system's", which is 0 there */
    IN_KIB,  /* bytes → KiB */
    RESET,   /* "none" is "error" there */
};

static const struct key_map {
    const char *java, *ours; /* ours NULL: meaningless here, silently dropped */
    enum scope scope;
    enum shape shape;
} KEYS[] = {
    {"acks", "acks", PRODUCER, AS_IS},
    {"auto-offset-reset", "auto.offset.reset", CONSUMER, RESET},
    {"batch-size", "batch.size", PRODUCER, AS_IS},
    {"buffer-memory", "queue.buffering.max.kbytes", PRODUCER, IN_KIB},
    {"check-crcs", "check.crcs", CONSUMER, AS_IS},
    {"client-id", "client.id", BOTH, AS_IS},
    {"client-rack", "client.rack", BOTH, AS_IS},
    {"compression-type", "compression.type", PRODUCER, AS_IS},
    {"connections-max-idle-ms", "connections.max.idle.ms", BOTH, OR_ZERO},
    {"delivery-timeout-ms", "delivery.timeout.ms", PRODUCER, AS_IS},
    {"enable-auto-commit", NULL, BOTH, AS_IS}, /* commits are made by hand */
    {"enable-idempotence", "enable.idempotence", PRODUCER, AS_IS},
    {"fetch-max-bytes", "fetch.max.bytes", CONSUMER, AS_IS},
    {"fetch-max-wait-ms", "fetch.wait.max.ms", CONSUMER, AS_IS},
    {"fetch-min-bytes", "fetch.min.bytes", CONSUMER, AS_IS},
    {"heartbeat-interval-ms", "heartbeat.interval.ms", CONSUMER, AS_IS},
    {"isolation-level", "isolation.level", CONSUMER, AS_IS},
    {"key-deserializer", NULL, BOTH, AS_IS},
    {"key-serializer", NULL, BOTH, AS_IS},
    {"linger-ms", "linger.ms", PRODUCER, AS_IS},
    {"max-in-flight-requests-per-connection", NULL, BOTH, AS_IS}, /* one, for the order */
    {"max-partition-fetch-bytes", NULL, BOTH, AS_IS},             /* follows the payload limit */
    {"max-poll-interval-ms", "max.poll.interval.ms", CONSUMER, AS_IS},
    {"max-poll-records", NULL, BOTH, AS_IS}, /* credits bound what is taken */
    {"max-request-size", NULL, BOTH, AS_IS}, /* follows the payload limit */
    {"metadata-max-age-ms", "metadata.max.age.ms", BOTH, AS_IS},
    {"receive-buffer-bytes", "socket.receive.buffer.bytes", BOTH, OR_ZERO},
    {"reconnect-backoff-max-ms", "reconnect.backoff.max.ms", BOTH, AS_IS},
    {"reconnect-backoff-ms", "reconnect.backoff.ms", BOTH, AS_IS},
    {"request-timeout-ms", "socket.timeout.ms", BOTH, AS_IS},
    {"request-timeout-ms", "request.timeout.ms", PRODUCER, AS_IS},
    {"retries", "retries", PRODUCER, AS_IS},
    {"retry-backoff-ms", "retry.backoff.ms", PRODUCER, AS_IS},
    {"send-buffer-bytes", "socket.send.buffer.bytes", BOTH, OR_ZERO},
    {"session-timeout-ms", "session.timeout.ms", CONSUMER, AS_IS},
    {"socket-connection-setup-timeout-ms", "socket.connection.setup.timeout.ms", BOTH, AS_IS},
    {"socket-timeout-ms", "socket.timeout.ms", BOTH, AS_IS},
    {"value-deserializer", NULL, BOTH, AS_IS},
    {"value-serializer", NULL, BOTH, AS_IS},
};

static size_t count_pairs(char *const *pairs)
{
    size_t n = 0;

    while (pairs && pairs[n])
        n += 2;
    return n;
}

/* security.protocol ↔ security-protocol */
static const char *respelled(const char *key, char from, char to, struct cw_arena *arena)
{
    char *text = cw_arena_dup(arena, cw_slice_of(key));

    for (char *p = text; (p = strchr(p, from));)
        *p = to;
    return text;
}

/* The last value of a key counts. */
static void set_pair(const char **out, size_t *n, const char *key, const char *value)
{
    for (size_t i = 0; i < *n; i += 2)
        if (strcmp(out[i], key) == 0) {
            out[i + 1] = value;
            return;
        }
    out[(*n)++] = key;
    out[(*n)++] = value;
}

/* ---- the settings of one client ---- */

/* Java's own spelling, with dots, must not slip through. */

static void lay_over(struct kafka_translation *t, char *const *pairs, const char *prefix)
{
    for (; pairs && *pairs; pairs += 2) {
        const char *key = respelled(pairs[0], '.', '-', t->arena);
        struct kafka_setting *s = t->settings;

        while (s < t->settings + t->count && strcmp(s->key, key) != 0)
            s++;
        if (s == t->settings + t->count)
            t->count++;
        *s = (struct kafka_setting){.key = key, .value = pairs[1], .prefix = prefix};
    }
}

const struct kafka_setting *kafka_setting_of(const struct kafka_translation *t, const char *key)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->settings[i].key, key) == 0)
            return t->settings[i].value[0] ? &t->settings[i] : NULL;
    return NULL;
}

void kafka_put(struct kafka_translation *t, const char *key, const char *value)
{
    set_pair(t->out, &t->out_count, key, value);
}

static void kafka_ignore(const struct kafka_translation *t, const struct kafka_setting *s)
{
    cw_auto_str struct cw_str key;

    cw_str_init(&key, 4096);
    cw_str_addf(&key, "%s%s", s->prefix, s->key);
    if (t->ignored)
        t->ignored(key.p);
}

/* ---- tuning ---- */

static int reshape(struct kafka_translation *t, const struct key_map *map,
                   const struct kafka_setting *s, const char **ret, struct cw_err *err)
{
    char what[128], text[24];
    int64_t n;

    *ret = s->value;
    if (map->shape == RESET && strcmp(s->value, "none") == 0)
        *ret = "error";
    if (map->shape == AS_IS || map->shape == RESET)
        return 0;
    (void)snprintf(what, sizeof(what), "%s%s", s->prefix, s->key);
    if (cw_parse_i64(cw_slice_of(s->value), what, -1, INT64_MAX, &n, err) != 0)
        return -1;
    if (map->shape == IN_KIB)
        n = n > 1024 ? n / 1024 : 1;
    (void)snprintf(text, sizeof(text), "%lld", (long long)(n < 0 ? 0 : n));
    *ret = cw_arena_dup(t->arena, cw_slice_of(text));
    return 0;
}

static int translate_one(struct kafka_translation *t, const struct kafka_setting *s,
                         enum inv_kafka_client client, struct cw_err *err)
{
    enum scope other = client == INV_KAFKA_PRODUCER ? CONSUMER : PRODUCER;
    bool known = false;

    for (size_t i = 0; i < CW_ARRAY_LEN(KEYS); i++) {
        const char *value;

        if (strcmp(KEYS[i].java, s->key) != 0)
            continue;
        known = true;
        if (!KEYS[i].ours || KEYS[i].scope == other)
            continue;
        if (reshape(t, &KEYS[i], s, &value, err) != 0)
            return -1;
        kafka_put(t, KEYS[i].ours, value);
    }
    if (!known)
        kafka_ignore(t, s);
    return 0;
}

int inv_kafka_properties(const struct inv_kafka_settings *settings, enum inv_kafka_client client,
                         struct cw_arena *arena, void (*ignored)(const char *key),
                         const char *const **ret, struct cw_err *err)
{
    bool producer = client == INV_KAFKA_PRODUCER;
    char *const *own = producer ? settings->producer : settings->consumer;
    size_t most = (count_pairs(settings->common) + count_pairs(own)) / 2;
    struct kafka_translation t = {
        .arena = arena,
        .settings = cw_arena_alloc(arena, (most + 1) * sizeof(*t.settings)),
        /* a key gives two pairs at most */
        .out = cw_arena_alloc(arena, (4 * most + 2 * KAFKA_SECURITY_MAX + 1) * sizeof(*t.out)),
    };

    lay_over(&t, settings->common, COMMON_PREFIX);
    lay_over(&t, own, producer ? "whisk.kafka.producer." : "whisk.kafka.consumer.");
    for (size_t i = 0; i < t.count; i++) {
        const struct kafka_setting *s = &t.settings[i];

        /* Common ones are told about once. */
        t.ignored = producer || s->prefix != COMMON_PREFIX ? ignored : NULL;
        if (s->value[0] && !kafka_security_owns(s->key) && translate_one(&t, s, client, err) != 0)
            return -1;
    }
    if (kafka_security_translate(&t, err) != 0)
        return -1;
    *ret = t.out;
    return 0;
}

/* ---- topics ---- */

int inv_topic_config(char *const *pairs, int64_t max_message_bytes, struct cw_arena *arena,
                     const char *const **ret, struct cw_err *err)
{
    size_t count = count_pairs(pairs), n = 0;
    const char **out = cw_arena_alloc(arena, (count + 9) * sizeof(*out));
    char bytes[24];

    (void)snprintf(bytes, sizeof(bytes), "%lld", (long long)max_message_bytes);
    set_pair(out, &n, "retention.ms", "172800000");
    set_pair(out, &n, "retention.bytes", "1073741824");
    set_pair(out, &n, "segment.bytes", "536870912");
    set_pair(out, &n, "max.message.bytes", cw_arena_dup(arena, cw_slice_of(bytes)));
    for (size_t i = 0; i < count; i += 2) {
        if (strcmp(pairs[i], "partitions") != 0)
            set_pair(out, &n, respelled(pairs[i], '-', '.', arena), pairs[i + 1]);
        else if (strcmp(pairs[i + 1], "1") != 0)
            return cw_fail(err, CW_INVALID,
                           "whisk.kafka.topics.invoker.partitions: \"%s\"; accepted: 1 (order and "
                           "offsets need it)",
                           pairs[i + 1]);
    }
    *ret = out;
    return 0;
}
