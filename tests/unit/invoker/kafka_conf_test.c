/* OpenWhisk's Kafka settings as librdkafka's. */
#include "tests/support/cmocka_all.h"

#include <librdkafka/rdkafka.h>

#include "common/base/err.h"
#include "invoker/kafka_conf.h"

#define STORE(name) (CW_TEST_DATA "/tls/" name)

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

static void on_ignored(const char *key)
{
    ignored++;
    (void)snprintf(last_ignored, sizeof(last_ignored), "%s", key);
}

/* As the settings hold them. */
#define PAIRS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})

static const char *const *translate_all(const struct inv_kafka_settings *settings,
                                        enum inv_kafka_client client)
{
    const char *const *got = NULL;
    struct cw_err err = {0};

    if (inv_kafka_properties(settings, client, &arena, on_ignored, &got, &err) != 0)
        fail_msg("%s", err.msg);
    return got;
}

static const char *const *translate(char *const *common)
{
    return translate_all(&(struct inv_kafka_settings){.common = common}, INV_KAFKA_PRODUCER);
}

static void expect_refused(char *const *common, const char *why)
{
    const struct inv_kafka_settings settings = {.common = common};
    const char *const *got = NULL;
    struct cw_err err = {0};

    if (inv_kafka_properties(&settings, INV_KAFKA_PRODUCER, &arena, NULL, &got, &err) == 0)
        fail_msg("accepted, but expected: %s", why);
    if (!strstr(err.msg, why))
        fail_msg("\"%s\" lacks \"%s\"", err.msg, why);
    assert_null(strstr(err.msg, "geheim"));
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

/* librdkafka takes it all. */
static void expect_usable(const char *const *pairs, rd_kafka_type_t type)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[512];
    rd_kafka_t *rk;

    (void)rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* that no broker is named */
    for (; *pairs; pairs += 2)
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            fail_msg("%s: %s", pairs[0], why);
    rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (!rk)
        fail_msg("%s", why);
    rd_kafka_destroy(rk);
}

/* ---- tuning ---- */

static void nothing_set_is_plain_text(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *const *got = translate(i ? NULL : PAIRS(NULL));

        assert_int_equal(count(got), 1);
        assert_string_equal(value_of(got, "security.protocol"), "plaintext");
    }
    assert_int_equal(ignored, 0);
}

static void keys_get_the_names_that_librdkafka_knows(void **state)
{
    /* clang-format off */
    static const struct {
        const char *java, *value, *ours, *becomes;
        char scope; /* producers, consumers, both */
    } ROWS[] = {
        {"acks", "1", "acks", "1", 'p'},
        {"auto-offset-reset", "earliest", "auto.offset.reset", "earliest", 'c'},
        {"auto-offset-reset", "none", "auto.offset.reset", "error", 'c'},
        {"batch-size", "16384", "batch.size", "16384", 'p'},
        {"buffer-memory", "33554432", "queue.buffering.max.kbytes", "32768", 'p'},
        {"buffer-memory", "100", "queue.buffering.max.kbytes", "1", 'p'},
        {"check-crcs", "true", "check.crcs", "true", 'c'},
        {"client-id", "x", "client.id", "x", 'b'},
        {"client-rack", "r1", "client.rack", "r1", 'b'},
        {"compression-type", "lz4", "compression.type", "lz4", 'p'},
        {"connections-max-idle-ms", "540000", "connections.max.idle.ms", "540000", 'b'},
        {"connections-max-idle-ms", "-1", "connections.max.idle.ms", "0", 'b'},
        {"delivery-timeout-ms", "120000", "delivery.timeout.ms", "120000", 'p'},
        {"fetch-max-bytes", "52428800", "fetch.max.bytes", "52428800", 'c'},
        {"fetch-max-wait-ms", "500", "fetch.wait.max.ms", "500", 'c'},
        {"fetch-min-bytes", "1", "fetch.min.bytes", "1", 'c'},
        {"heartbeat-interval-ms", "5000", "heartbeat.interval.ms", "5000", 'c'},
        {"isolation-level", "read_committed", "isolation.level", "read_committed", 'c'},
        {"linger-ms", "5", "linger.ms", "5", 'p'},
        {"max-poll-interval-ms", "1800000", "max.poll.interval.ms", "1800000", 'c'},
        {"metadata-max-age-ms", "15000", "metadata.max.age.ms", "15000", 'b'},
        {"receive-buffer-bytes", "65536", "socket.receive.buffer.bytes", "65536", 'b'},
        {"receive-buffer-bytes", "-1", "socket.receive.buffer.bytes", "0", 'b'},
        {"reconnect-backoff-max-ms", "1000", "reconnect.backoff.max.ms", "1000", 'b'},
        {"reconnect-backoff-ms", "50", "reconnect.backoff.ms", "50", 'b'},
        {"request-timeout-ms", "30000", "request.timeout.ms", "30000", 'p'},
        {"request-timeout-ms", "30000", "socket.timeout.ms", "30000", 'b'},
        {"retries", "3", "retries", "3", 'p'},
        {"retry-backoff-ms", "100", "retry.backoff.ms", "100", 'p'},
        {"send-buffer-bytes", "-1", "socket.send.buffer.bytes", "0", 'b'},
        {"session-timeout-ms", "10000", "session.timeout.ms", "10000", 'c'},
        {"socket-connection-setup-timeout-ms", "10000", "socket.connection.setup.timeout.ms", "10000", 'b'},
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(ROWS); i++) {
        const struct inv_kafka_settings s = {.common = PAIRS(ROWS[i].java, ROWS[i].value)};

        for (int client = 0; client < 2; client++) {
            const char *const *got = translate_all(&s, (enum inv_kafka_client)client);
            const char *value = value_of(got, ROWS[i].ours);
            bool meant =
                ROWS[i].scope == 'b' || ROWS[i].scope == (client == INV_KAFKA_PRODUCER ? 'p' : 'c');

            if (!meant)
                assert_null(value);
            else if (!value || strcmp(value, ROWS[i].becomes) != 0)
                fail_msg("%s=%s: %s", ROWS[i].java, ROWS[i].value, value ? value : "absent");
            expect_usable(got,
                          client == INV_KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER);
        }
    }
    assert_int_equal(ignored, 0);
}

static void a_client_s_own_map_wins(void **state)
{
    const struct inv_kafka_settings s = {
        .common = PAIRS("client-id", "all", "retry-backoff-ms", "7", "metric-reporters", "x"),
        .producer = PAIRS("client-id", "mine", "interceptor-classes", "x"),
        .consumer = PAIRS("client.id", "dotted", "group-instance-id", "x"),
    };
    const char *const *got = translate_all(&s, INV_KAFKA_PRODUCER);

    (void)state;
    assert_string_equal(value_of(got, "client.id"), "mine");
    assert_string_equal(value_of(got, "retry.backoff.ms"), "7");
    assert_int_equal(ignored, 2);
    got = translate_all(&s, INV_KAFKA_CONSUMER);
    assert_string_equal(value_of(got, "client.id"), "dotted");
    assert_int_equal(ignored, 3); /* metric-reporters was told about */
    assert_string_equal(last_ignored, "whisk.kafka.consumer.group-instance-id");
}

static void keys_that_java_needs_pass_silently(void **state)
{
    (void)state;
    assert_int_equal(
        count(translate(PAIRS("enable-auto-commit", "false", "key-deserializer", "x",
                              "key-serializer", "x", "value-deserializer", "x", "value-serializer",
                              "x", "max-poll-records", "8", "max-request-size", "1054644"))),
        1);
    assert_int_equal(ignored, 0);
}

static void keys_without_a_meaning_are_reported(void **state)
{
    (void)state;
    assert_int_equal(count(translate(PAIRS("metric-reporters", "x.Y"))), 1);
    assert_int_equal(ignored, 1);
    assert_string_equal(last_ignored, "whisk.kafka.common.metric-reporters");
}

static void numbers_that_are_none_are_named(void **state)
{
    (void)state;
    expect_refused(PAIRS("buffer-memory", "lots"), "whisk.kafka.common.buffer-memory");
}

/* ---- TLS ---- */

/* As ansible sets them whatever the protocol is; the file need not exist. */
static void stores_do_not_matter_without_tls(void **state)
{
    const char *const *got = translate(
        PAIRS("security-protocol", "PLAINTEXT", "ssl-truststore-location", "/conf/none.jks",
              "ssl-truststore-password", "geheim", "ssl-keystore-location", "/conf/none.jks",
              "ssl-keystore-password", "geheim", "ssl-engine-factory-class", "x"));

    (void)state;
    assert_int_equal(count(got), 1);
    assert_int_equal(ignored, 0);
}

static void tls_alone_trusts_the_system_and_compares_no_names(void **state)
{
    const char *const *got = translate(PAIRS("security-protocol", "ssl"));

    (void)state;
    assert_int_equal(count(got), 2);
    assert_string_equal(value_of(got, "security.protocol"), "ssl");
    assert_string_equal(value_of(got, "ssl.endpoint.identification.algorithm"), "none");
    got = translate(PAIRS("security-protocol", "SSL", "ssl-endpoint-identification-algorithm", ""));
    assert_string_equal(value_of(got, "ssl.endpoint.identification.algorithm"), "none");
    got = translate(
        PAIRS("security-protocol", "SSL", "ssl-endpoint-identification-algorithm", "HTTPS"));
    assert_string_equal(value_of(got, "ssl.endpoint.identification.algorithm"), "https");
    expect_refused(
        PAIRS("security-protocol", "SSL", "ssl-endpoint-identification-algorithm", "LDAP"),
        "whisk.kafka.common.ssl-endpoint-identification-algorithm: \"LDAP\" is not supported; "
        "accepted: https, or nothing");
}

static size_t occurrences(const char *text, const char *of)
{
    size_t n = 0;

    for (; text && (text = strstr(text, of)); text++)
        n++;
    return n;
}

#define CERTIFICATE "-----BEGIN CERTIFICATE-----"

static void trust_stores_of_every_type_are_handed_over(void **state)
{
    static const char *const STORES[] = {STORE("trust.jks"), STORE("trust.p12"), STORE("root.pem")};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(STORES); i++) {
        const char *const *got =
            translate(PAIRS("security-protocol", "SSL", "ssl-truststore-location", STORES[i],
                            "ssl-truststore-password", "geheim"));

        assert_int_equal(occurrences(value_of(got, "ssl.ca.pem"), CERTIFICATE), 1);
        assert_null(value_of(got, "ssl.ca.location"));
        expect_usable(got, RD_KAFKA_PRODUCER);
        expect_usable(got, RD_KAFKA_CONSUMER);
    }
}

static void client_keys_bring_their_chain_and_no_root(void **state)
{
    const char *const *got = translate(
        PAIRS("security-protocol", "SSL", "ssl-truststore-location", STORE("stranger.pem"),
              "ssl-keystore-location", STORE("legacy.p12"), "ssl-keystore-password", "geheim"));

    (void)state;
    assert_int_equal(occurrences(value_of(got, "ssl.certificate.pem"), CERTIFICATE), 1);
    assert_int_equal(occurrences(value_of(got, "ssl.key.pem"), "-----BEGIN PRIVATE KEY-----"), 1);
    /* the stranger and the intermediate, but not the root behind it */
    assert_int_equal(occurrences(value_of(got, "ssl.ca.pem"), CERTIFICATE), 2);
    assert_null(value_of(got, "ssl.ca.location"));
    expect_usable(got, RD_KAFKA_CONSUMER);
}

static void client_key_without_a_trust_store_keeps_the_system_s(void **state)
{
    const char *const *got =
        translate(PAIRS("security-protocol", "SSL", "ssl-keystore-location", STORE("server.p12"),
                        "ssl-keystore-password", "geheim"));

    (void)state;
    assert_int_equal(occurrences(value_of(got, "ssl.ca.pem"), CERTIFICATE), 1);
    assert_non_null(value_of(got, "ssl.ca.location"));
    expect_usable(got, RD_KAFKA_PRODUCER);
}

static char *text_of(const char *path)
{
    char bytes[1 << 14];
    FILE *f = fopen(path, "rbe");
    size_t n;

    assert_non_null(f);
    n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    return cw_memdup(bytes, n);
}

static void stores_may_be_given_as_text(void **state)
{
    cw_auto_free char *root = text_of(STORE("root.pem"));
    cw_auto_free char *key = text_of(STORE("encrypted.pem"));
    char *chain = strstr(key, CERTIFICATE);
    const char *const *got;

    (void)state;
    assert_non_null(chain);
    chain = cw_strdup(chain);
    *strstr(key, CERTIFICATE) = '\0';
    got = translate(PAIRS("security-protocol", "SSL", "ssl-truststore-type", "PEM",
                          "ssl-truststore-certificates", root, "ssl-keystore-type", "PEM",
                          "ssl-keystore-key", key, "ssl-keystore-certificate-chain", chain,
                          "ssl-key-password", "geheim"));
    assert_int_equal(occurrences(value_of(got, "ssl.key.pem"), "-----BEGIN PRIVATE KEY-----"), 1);
    expect_usable(got, RD_KAFKA_PRODUCER);
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-truststore-certificates", root,
                         "ssl-truststore-location", "/x"),
                   "set together with ssl-truststore-location");
    expect_refused(
        PAIRS("security-protocol", "SSL", "ssl-keystore-key", key, "ssl-keystore-location", "/x"),
        "set together with ssl-keystore-location");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-keystore-key", key),
                   "whisk.kafka.common.ssl-keystore-key: PEM text: unreadable private key");
    free(chain);
}

static void stores_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-truststore-location", "/conf/none.jks"),
                   "whisk.kafka.common.ssl-truststore-location: /conf/none.jks: No such file");
    expect_refused(PAIRS("security-protocol", "SASL_SSL", "ssl-truststore-location",
                         STORE("trust.jks"), "ssl-truststore-password", "geheim!"),
                   "wrong password, or the JKS store was tampered with");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-keystore-location", STORE("key.jks"),
                         "ssl-keystore-password", "geheim"),
                   "keytool -importkeystore -srckeystore ");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-truststore-location", STORE("root.pem"),
                         "ssl-truststore-type", "BCFKS"),
                   "type BCFKS is not supported; accepted: JKS, PKCS12, PEM");
    expect_refused(
        PAIRS("security-protocol", "SSL", "ssl-truststore-location", STORE("server.pem")),
        "whisk.kafka.common.ssl-truststore-location: no trusted certificate in it is a "
        "root (self-signed): add the root");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-truststore-location", STORE("root.pem"),
                         "ssl-ca-location", "/x"),
                   "set together with a trust store");
}

static void what_would_weaken_a_connection_is_refused(void **state)
{
    (void)state;
    expect_refused(PAIRS("security-protocol", "TLS"),
                   "whisk.kafka.common.security-protocol: \"TLS\" is not supported; accepted: "
                   "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-engine-factory-class", "x.Y"),
                   "whisk.kafka.common.ssl-engine-factory-class is not supported");
    expect_refused(PAIRS("security-providers", "x.Y"), "whisk.kafka.common.security-providers");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-something-new", "1"),
                   "ssl-something-new is not supported");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-enabled-protocols", "TLSv1.3"),
                   "\"TLSv1.3\" is not supported; accepted: a list with TLSv1.2");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-protocol", "SSLv3"),
                   "accepted: TLS, TLSv1.2, TLSv1.3");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-cipher-suites", "TLS_NONSENSE"),
                   "no suite \"TLS_NONSENSE\" here");
    expect_refused(PAIRS("security-protocol", "SSL", "ssl-cipher-suites", "TLS_AES_128_GCM_SHA256"),
                   "accepted: a list with suites of TLS 1.2");
}

#define SUITES                                                                                     \
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,"                              \
     "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256")

static void versions_and_suites_of_tls_are_narrowed(void **state)
{
    const char *const *got = translate(
        PAIRS("security-protocol", "SSL", "ssl-protocol", "TLSv1.2", "ssl-enabled-protocols",
              "TLSv1.3, TLSv1.2", "ssl-provider", "SunJSSE", "ssl-cipher-suites", SUITES));

    (void)state;
    assert_string_equal(value_of(got, "ssl.cipher.suites"),
                        "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA256");
    expect_usable(got, RD_KAFKA_PRODUCER);
    assert_int_equal(ignored, 0);
}

/* ---- SASL ---- */

#define PLAIN_MODULE(options)                                                                      \
    ("org.apache.kafka.common.security.plain.PlainLoginModule required " options)
#define SCRAM_MODULE(options)                                                                      \
    ("org.apache.kafka.common.security.scram.ScramLoginModule required " options)

static void credentials_come_out_of_the_jaas_line(void **state)
{
    const char *const *got = translate(
        PAIRS("security-protocol", "SASL_SSL", "sasl-mechanism", "SCRAM-SHA-512",
              "sasl-jaas-config", SCRAM_MODULE("username=\"me\" password=\"ge\\\"heim\";"),
              "ssl-truststore-location", STORE("trust.jks")));

    (void)state;
    assert_string_equal(value_of(got, "security.protocol"), "sasl_ssl");
    assert_string_equal(value_of(got, "sasl.mechanism"), "SCRAM-SHA-512");
    assert_string_equal(value_of(got, "sasl.username"), "me");
    assert_string_equal(value_of(got, "sasl.password"), "ge\"heim");
    expect_usable(got, RD_KAFKA_PRODUCER);
    got = translate(PAIRS("security-protocol", "SASL_PLAINTEXT", "sasl-mechanism", "PLAIN",
                          "sasl-jaas-config", PLAIN_MODULE("username=a password=b"),
                          "ssl-truststore-location", "/none", "sasl-login-refresh-buffer-seconds",
                          "1"));
    assert_string_equal(value_of(got, "sasl.password"), "b");
    assert_null(value_of(got, "ssl.endpoint.identification.algorithm"));
    expect_usable(got, RD_KAFKA_CONSUMER);
    assert_int_equal(ignored, 0);
}

static void sasl_that_is_not_spoken_is_refused(void **state)
{
#define SASL "security-protocol", "SASL_PLAINTEXT"
    (void)state;
    expect_refused(PAIRS(SASL), "sasl-mechanism is missing (Java's default GSSAPI is not "
                                "supported); accepted: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "GSSAPI"), "\"GSSAPI\" is not supported");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "OAUTHBEARER"), "\"OAUTHBEARER\" is not");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "PLAIN"), "sasl-jaas-config is missing");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "PLAIN", "sasl-jaas-config", "geheim"),
                   "whisk.kafka.common.sasl-jaas-config: no flag behind the login module");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "PLAIN", "sasl-jaas-config",
                         "com.sun.security.auth.module.Krb5LoginModule required;"),
                   "login module Krb5LoginModule is not supported; accepted: PlainLoginModule, "
                   "ScramLoginModule");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "PLAIN", "sasl-jaas-config",
                         PLAIN_MODULE("password=\"geheim\";")),
                   "no username in it");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "SCRAM-SHA-256", "sasl-jaas-config",
                         SCRAM_MODULE("username=a password=geheim tokenauth=\"true\";")),
                   "delegation tokens are not supported");
    expect_refused(PAIRS(SASL, "sasl-mechanism", "PLAIN", "sasl-jaas-config",
                         PLAIN_MODULE("username=a password=geheim;"),
                         "sasl-client-callback-handler-class", "x"),
                   "sasl-client-callback-handler-class is not supported");
}

/* ---- topics ---- */

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
        cmocka_unit_test_setup_teardown(nothing_set_is_plain_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_get_the_names_that_librdkafka_knows, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_client_s_own_map_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_java_needs_pass_silently, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_without_a_meaning_are_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_that_are_none_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stores_do_not_matter_without_tls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls_alone_trusts_the_system_and_compares_no_names, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trust_stores_of_every_type_are_handed_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(client_keys_bring_their_chain_and_no_root, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(client_key_without_a_trust_store_keeps_the_system_s, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(stores_may_be_given_as_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stores_that_cannot_be_used_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_would_weaken_a_connection_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(versions_and_suites_of_tls_are_narrowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credentials_come_out_of_the_jaas_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sasl_that_is_not_spoken_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_has_the_defaults_of_stock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_settings_replace_and_add, set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_has_one_partition, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
