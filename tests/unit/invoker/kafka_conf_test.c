/* OpenWhisk's Kafka settings as librdkafka's. */
#include "tests/support/cmocka_all.h"

#include <librdkafka/rdkafka.h>

#include "common/base/err.h"
#include "invoker/kafka_conf.h"

static struct cw_arena arena;
static char last_ignored[256];
static unsigned ignored;

static int set_up(void **state)
{
    (void)state;
    cw_arena_init(&arena);
    ignored = 0;
    last_ignored[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cw_arena_done(&arena);
    return 0;
}

static void on_ignored(const char *prefix, const char *key)
{
    ignored++;
    (void)snprintf(last_ignored, sizeof(last_ignored), "%s%s", prefix, key);
}

/* As the settings hold them. */
#define PAIRS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})

static const char *const *translate(char *const *pairs)
{
    return inv_kafka_properties(pairs, "whisk.kafka.common.", &arena, on_ignored);
}

/* Value of a key, NULL when absent; a key that is there twice fails. */
static const char *value_of(const char *const *pairs, const char *key)
{
    const char *found = NULL;

    for (; *pairs; pairs += 2) {
        if (strcmp(pairs[0], key) == 0) {
            assert_null(found);
            found = pairs[1];
        }
    }
    return found;
}

static size_t count(const char *const *pairs)
{
    size_t n = 0;

    while (pairs[2 * n])
        n++;
    return n;
}

static void nothing_set_is_nothing_translated(void **state)
{
    (void)state;
    assert_null(translate(NULL)[0]);
    assert_null(translate((char *const *)(const char *const[]){NULL})[0]);
    assert_int_equal(ignored, 0);
}

static void keys_get_the_names_that_librdkafka_knows(void **state)
{
    /* clang-format off */
    static const char *const KEYS[] = {
        "acks", "1",
        "auto-offset-reset", "earliest",
        "client-id", "x",
        "fetch-max-wait-ms", "500",
        "fetch-min-bytes", "1",
        "heartbeat-interval-ms", "10000",
        "linger-ms", "5",
        "max-poll-interval-ms", "1800000",
        "metadata-max-age-ms", "15000",
        "request-timeout-ms", "30000",
        "sasl-mechanism", "PLAIN",
        "security-protocol", "SSL",
        "session-timeout-ms", "30000",
        "socket-timeout-ms", "60000",
        "ssl-ca-location", "/conf/ca.pem",
        "ssl-endpoint-identification-algorithm", "https",
        NULL,
    };
    /* clang-format on */
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const *got = translate((char *const *)KEYS);
    size_t i = 0;
    char why[512];

    (void)state;
    assert_int_equal(ignored, 0);
    for (; got[i]; i += 2) {
        assert_string_equal(got[i + 1], KEYS[i + 1]);
        if (rd_kafka_conf_set(conf, got[i], got[i + 1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            fail_msg("%s: %s", KEYS[i], why);
    }
    assert_null(KEYS[i]);
    rd_kafka_conf_destroy(conf);
}

static void keys_that_java_needs_pass_silently(void **state)
{
    (void)state;
    assert_null(
        translate(PAIRS("enable-auto-commit", "false", "key-deserializer", "x", "key-serializer",
                        "x", "value-deserializer", "x", "value-serializer", "x", "max-poll-records",
                        "8", "max-request-size", "1054644"))[0]);
    assert_int_equal(ignored, 0);
}

static void keys_without_a_meaning_are_reported(void **state)
{
    const char *const *got =
        translate(PAIRS("ssl-truststore-location", "/conf/t.jks", "security-protocol", "SSL"));

    (void)state;
    assert_int_equal(ignored, 1);
    assert_string_equal(last_ignored, "whisk.kafka.common.ssl-truststore-location");
    assert_int_equal(count(got), 1);
    assert_string_equal(value_of(got, "security.protocol"), "SSL");
    assert_null(inv_kafka_properties(PAIRS("x", "y"), "p.", &arena, NULL)[0]); /* nobody to tell */
}

static const char *const *topic(char *const *pairs)
{
    const char *const *got = NULL;
    struct cw_err err = {0};

    if (inv_topic_config(pairs, 1054644, &arena, &got, &err) != 0)
        fail_msg("%s", err.msg);
    return got;
}

static void topic_has_the_defaults_of_stock(void **state)
{
    const char *const *got = topic(NULL);

    (void)state;
    assert_int_equal(count(got), 4);
    assert_string_equal(value_of(got, "retention.ms"), "172800000");
    assert_string_equal(value_of(got, "retention.bytes"), "1073741824");
    assert_string_equal(value_of(got, "segment.bytes"), "536870912");
    assert_string_equal(value_of(got, "max.message.bytes"), "1054644");
}

static void topic_settings_replace_and_add(void **state)
{
    const char *const *got = topic(PAIRS("retention-ms", "1", "max-message-bytes", "2",
                                         "cleanup-policy", "delete", "min.insync.replicas", "2"));

    (void)state;
    assert_int_equal(count(got), 6);
    assert_string_equal(value_of(got, "retention.ms"), "1");
    assert_string_equal(value_of(got, "max.message.bytes"), "2");
    assert_string_equal(value_of(got, "segment.bytes"), "536870912");
    assert_string_equal(value_of(got, "cleanup.policy"), "delete");
    assert_string_equal(value_of(got, "min.insync.replicas"), "2");
}

static void topic_has_one_partition(void **state)
{
    const char *const *got = topic(PAIRS("partitions", "1"));
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(count(got), 4); /* not a property of the broker's */
    assert_null(value_of(got, "partitions"));
    assert_int_equal(inv_topic_config(PAIRS("partitions", "3"), 1, &arena, &got, &err), -1);
    assert_int_equal(err.code, CW_INVALID);
    assert_non_null(strstr(err.msg, "whisk.kafka.topics.invoker.partitions"));
    assert_non_null(strstr(err.msg, "\"3\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_set_is_nothing_translated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_get_the_names_that_librdkafka_knows, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(keys_that_java_needs_pass_silently, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_without_a_meaning_are_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_has_the_defaults_of_stock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_settings_replace_and_add, set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_has_one_partition, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
