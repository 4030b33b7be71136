/* The invoker's own table of settings and what is made of it for Kafka: whatever the environment
 * and the command line say, the start ends with one line, or the settings are within their bounds,
 * secrets are not printed, and the client gets pairs of texts.
 *
 * Input: entries end in NUL; those that start with '-' are words of the command line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "invoker/kafka_conf.h"
#include "invoker/settings.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "x8Kq-fuzz-secret"

enum { WORDS_MAX = 64, PRINT_MAX = 1 << 22, MAX_MESSAGE = 1 << 20 };

static void check_error(const struct cw_err *err)
{
    require(err->code != CW_OK && err->msg[0] && !strchr(err->msg, '\n'));
    require(!strstr(err->msg, SECRET));
}

static void check_pairs(const char *const *pairs)
{
    for (size_t i = 0; pairs[i]; i += 2)
        require(pairs[i][0] && pairs[i + 1]);
}

static void check_kafka(const struct inv_settings *s)
{
    const struct inv_kafka_settings settings = {
        .common = s->kafka_common, .producer = s->kafka_producer, .consumer = s->kafka_consumer};
    const char *const *pairs = NULL;
    struct cw_err err = {0};
    struct cw_arena arena;

    cw_arena_init(&arena);
    for (int client = INV_KAFKA_PRODUCER; client <= INV_KAFKA_CONSUMER; client++) {
        if (inv_kafka_properties(&settings, (enum inv_kafka_client)client, &arena, NULL, &pairs,
                                 &err) == 0)
            check_pairs(pairs);
        else
            check_error(&err);
    }
    if (inv_topic_config(s->topic_invoker, MAX_MESSAGE, &arena, &pairs, &err) == 0)
        check_pairs(pairs);
    else
        check_error(&err);
    cw_arena_done(&arena);
}

static void check_settings(const struct inv_settings *s)
{
    cw_auto_str struct cw_str printed;
    bool deprecated;

    require(s->id >= -1 && s->port >= 0 && s->port <= 65535 && s->couch_port <= 65535);
    require(s->user_memory_bytes > 0 && s->memory_max_bytes > 0 && s->payload_max_bytes > 0);
    require(s->concurrency_max >= 1 && s->time_max_ms > 0 && s->drain_ms >= 0);
    require(inv_settings_blocking_level(s, &deprecated) <=
            INV_STORE_FAILURES_NOT_APPLICATION_ERRORS);
    cw_str_init(&printed, PRINT_MAX);
    cw_conf_print(inv_settings_table(), s, &printed);
    require(!printed.failed && !strstr(printed.p, SECRET));
    check_kafka(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char password[] = "CONFIG_whisk_couchdb_password=" SECRET;
    char *block = cw_memdup(data, size);
    char *env[WORDS_MAX + 2] = {password}, *argv[WORDS_MAX + 2] = {block};
    size_t env_count = 1, argv_count = 1;
    struct inv_settings settings;
    struct cw_err err = {0};

    if (memmem(data, size, SECRET, strlen(SECRET) / 2)) { /* the fuzzer knows it */
        free(block);
        return 0;
    }
    for (size_t at = 0; at < size && env_count < WORDS_MAX && argv_count < WORDS_MAX;
         at += strlen(block + at) + 1) {
        if (block[at] == '-')
            argv[argv_count++] = block + at;
        else
            env[env_count++] = block + at;
    }
    if (cw_conf_load(inv_settings_table(), env, argv, NULL, NULL, &settings, &err) == 0)
        check_settings(&settings);
    else
        check_error(&err);
    cw_conf_free(inv_settings_table(), &settings);
    free(block);
    return 0;
}
