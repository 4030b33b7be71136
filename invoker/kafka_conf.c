#include "invoker/kafka_conf.h"

#include <stdio.h>

#include "common/base/err.h"

static const struct key_map {
    const char *java, *ours; /* ours NULL: meaningless here, silently dropped */
} KEYS[] = {
    {"acks", "acks"},
    {"auto-offset-reset", "auto.offset.reset"},
    {"client-id", "client.id"},
    {"enable-auto-commit", NULL}, /* commits are made by hand */
    {"fetch-max-wait-ms", "fetch.wait.max.ms"},
    {"fetch-min-bytes", "fetch.min.bytes"},
    {"heartbeat-interval-ms", "heartbeat.interval.ms"},
    {"key-deserializer", NULL},
    {"key-serializer", NULL},
    {"linger-ms", "linger.ms"},
    {"max-poll-interval-ms", "max.poll.interval.ms"},
    {"max-poll-records", NULL}, /* credits bound what is taken */
    {"max-request-size", NULL}, /* follows the payload limit */
    {"metadata-max-age-ms", "metadata.max.age.ms"},
    {"request-timeout-ms", "request.timeout.ms"},
    {"sasl-mechanism", "sasl.mechanism"},
    {"security-protocol", "security.protocol"},
    {"session-timeout-ms", "session.timeout.ms"},
    {"socket-timeout-ms", "socket.timeout.ms"},
    {"ssl-ca-location", "ssl.ca.location"},
    {"ssl-endpoint-identification-algorithm", "ssl.endpoint.identification.algorithm"},
    {"value-deserializer", NULL},
    {"value-serializer", NULL},
};

static const struct key_map *find_key(const char *java)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(KEYS); i++)
        if (strcmp(KEYS[i].java, java) == 0)
            return &KEYS[i];
    return NULL;
}

static size_t count_pairs(char *const *pairs)
{
    size_t n = 0;

    while (pairs && pairs[n])
        n += 2;
    return n;
}

const char *const *inv_kafka_properties(char *const *pairs, const char *prefix,
                                        struct cw_arena *arena,
                                        void (*ignored)(const char *prefix, const char *key))
{
    size_t n = count_pairs(pairs), at = 0;
    const char **out = cw_arena_alloc(arena, (n + 1) * sizeof(*out));

    for (size_t i = 0; i < n; i += 2) {
        const struct key_map *key = find_key(pairs[i]);

        if (!key) {
            if (ignored)
                ignored(prefix, pairs[i]);
        } else if (key->ours) {
            out[at++] = key->ours;
            out[at++] = pairs[i + 1];
        }
    }
    return out;
}

/* retention-ms → retention.ms */
static char *dotted(const char *key, struct cw_arena *arena)
{
    char *text = cw_arena_dup(arena, cw_slice_of(key));

    for (char *p = text; *p; p++)
        if (*p == '-')
            *p = '.';
    return text;
}

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
            set_pair(out, &n, dotted(pairs[i], arena), pairs[i + 1]);
        else if (strcmp(pairs[i + 1], "1") != 0)
            return cw_fail(err, CW_INVALID,
                           "whisk.kafka.topics.invoker.partitions: \"%s\"; accepted: 1 (order and "
                           "offsets need it)",
                           pairs[i + 1]);
    }
    *ret = out;
    return 0;
}
