/* The table of settings: OpenWhisk's defaults (openwhisk invoker.md 2.1), and what deployments
 * set. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/obs/log.h"
#include "invoker/settings.h"
#include "tests/support/jobs.h"

enum { TEXT_MAX_BYTES = 1 << 20, MAX_WORDS = 256, REQUIRED_COUNT = 10 };

static const int64_t MB = 1 << 20, SECOND = 1000, MINUTE = 60000;

/* key of the table, variable with a value */
static const struct {
    const char *key, *variable;
} REQUIRED[REQUIRED_COUNT] = {
    {"kafka.hosts", "KAFKA_HOSTS=k:9092"},
    {"whisk.couchdb.protocol", "CONFIG_whisk_couchdb_protocol=http"},
    {"whisk.couchdb.host", "CONFIG_whisk_couchdb_host=db"},
    {"whisk.couchdb.port", "CONFIG_whisk_couchdb_port=5984"},
    {"whisk.couchdb.username", "CONFIG_whisk_couchdb_username=whisk"},
    {"whisk.couchdb.password", "CONFIG_whisk_couchdb_password=secret"},
    {"whisk.couchdb.databases.WhiskEntity", "CONFIG_whisk_couchdb_databases_WhiskEntity=whisks"},
    {"whisk.couchdb.databases.WhiskActivation",
     "CONFIG_whisk_couchdb_databases_WhiskActivation=activations"},
    {"runtimes.manifest", "RUNTIMES_MANIFEST={\"runtimes\":{}}"},
    {"whisk.api.host.name", "WHISK_API_HOST_NAME=api.example"},
};

static void free_settings(struct inv_settings *s)
{
    cw_conf_free(inv_settings_table(), s);
}

/* ---- defaults ---- */

static void identity_and_network_have_the_defaults_of_stock(void **state)
{
    struct inv_settings s;

    (void)state;
    test_settings(NULL, &s);
    assert_int_equal(s.id, -1);
    assert_null(s.unique_name);
    assert_null(s.displayed_name);
    assert_int_equal(s.overwrite_id, -1);
    assert_null(s.zookeeper_hosts);
    assert_int_equal(s.zookeeper_ms, 10 * SECOND);
    assert_null(s.tags[0]);
    assert_null(s.dedicated_namespaces[0]);
    assert_int_equal(s.port, 8080);
    assert_string_equal(s.http_address, "0.0.0.0");
    assert_string_equal(s.http_username, "invoker.user");
    assert_string_equal(s.http_password, "invoker.pass");
    assert_string_equal(s.topic_prefix, "");
    assert_string_equal(s.user_event_prefix, "");
    assert_int_equal(s.replication_factor, 1);
    assert_null(s.kafka_common[0]);
    assert_null(s.kafka_consumer[0]);
    assert_null(s.kafka_producer[0]);
    assert_null(s.topic_invoker[0]);
    assert_false(s.user_events);
    free_settings(&s);
}

static void pool_and_limits_have_the_defaults_of_stock(void **state)
{
    struct inv_settings s;

    (void)state;
    test_settings(NULL, &s);
    assert_int_equal(s.user_memory_bytes, 1024 * MB);
    assert_true(s.user_cpus == 0);
    assert_true(s.concurrent_peek_factor == 0.5);
    assert_int_equal(s.idle_container_ms, 10 * MINUTE);
    assert_int_equal(s.pause_grace_ms, 10 * SECOND);
    assert_int_equal(s.memory_min_bytes, 128 * MB);
    assert_int_equal(s.memory_max_bytes, 512 * MB);
    assert_int_equal(s.time_min_ms, 100);
    assert_int_equal(s.time_max_ms, 5 * MINUTE);
    assert_int_equal(s.log_min_bytes, 0);
    assert_int_equal(s.log_max_bytes, 10 * MB);
    assert_int_equal(s.log_std_bytes, 10 * MB);
    assert_int_equal(s.concurrency_min, 1);
    assert_int_equal(s.concurrency_max, 1);
    assert_int_equal(s.concurrency_std, 1);
    assert_int_equal(s.payload_max_bytes, MB);
    assert_int_equal(s.truncation_bytes, MB);
    assert_int_equal(s.serdes_overhead_bytes, 6068);
    free_settings(&s);
}

static void documents_have_the_defaults_of_stock(void **state)
{
    struct inv_settings s;

    (void)state;
    test_settings(NULL, &s);
    assert_string_equal(s.couch_provider, "CouchDB");
    assert_string_equal(s.db_subjects, "");
    assert_string_equal(s.store_blocking, "STORE_ALWAYS");
    assert_int_equal(s.store_non_blocking, INV_STORE_ALWAYS);
    assert_false(s.disable_store_result);
    assert_false(s.unstored_logs);
    assert_int_equal(s.blacklist_poll_ms, 5 * MINUTE);
    assert_string_equal(s.param_scheme, "off");
    assert_string_equal(s.param_aes_128, "");
    assert_string_equal(s.param_aes_256, "");
    assert_int_equal(s.time_std_ms, MINUTE);
    assert_int_equal(s.stale_work, INV_STALE_RUN);
    free_settings(&s);
}

static void containers_have_the_defaults_of_stock(void **state)
{
    struct inv_settings s;

    (void)state;
    test_settings(NULL, &s);
    assert_string_equal(s.runtimes_registry, "");
    assert_string_equal(s.user_images_registry, "");
    assert_false(s.bypass_pull_for_local_images);
    assert_string_equal(s.local_image_prefix, "whisk");
    assert_string_equal(s.api_host_proto, "https");
    assert_int_equal(s.api_host_port, 443);
    assert_string_equal(s.network, "bridge");
    assert_null(s.dns_servers[0]);
    assert_null(s.dns_search[0]);
    assert_null(s.dns_options[0]);
    assert_null(s.extra_env[0]);
    assert_int_equal(s.docker_parallel_runs, 10);
    assert_int_equal(s.docker_run_ms, MINUTE);
    assert_int_equal(s.docker_rm_ms, MINUTE);
    assert_int_equal(s.docker_pull_ms, 10 * MINUTE);
    assert_int_equal(s.docker_ps_ms, MINUTE);
    assert_int_equal(s.docker_inspect_ms, MINUTE);
    assert_int_equal(s.docker_pause_ms, 10 * SECOND);
    assert_int_equal(s.docker_unpause_ms, 10 * SECOND);
    assert_int_equal(s.docker_version_ms, 10 * SECOND);
    free_settings(&s);
}

static void operation_has_its_defaults(void **state)
{
    struct inv_settings s;

    (void)state;
    test_settings(NULL, &s);
    assert_int_equal(s.log_level, CW_LOG_INFO);
    assert_int_equal(s.log_format, CW_LOG_WHISK);
    assert_true(s.log_markers);
    assert_true(s.prometheus); /* stock: off; docs/compatibility.md */
    assert_int_equal(s.drain_ms, 8 * SECOND);
    free_settings(&s);
}

static void choices_have_the_order_of_their_enums(void **state)
{
    static const char *const LEVELS[] = {
        "CONFIG_logback_log_level=ERROR", "CONFIG_logback_log_level=WARN",
        "CONFIG_logback_log_level=INFO", "CONFIG_logback_log_level=DEBUG"};
    struct inv_settings s;

    (void)state;
    for (int i = 0; i < 4; i++) {
        test_settings((const char *const[]){LEVELS[i], NULL}, &s);
        assert_int_equal(s.log_level, CW_LOG_ERROR + i);
        free_settings(&s);
    }
    test_settings((const char *const[]){"CWHISK_LOG_FORMAT=json",
                                        "CONFIG_whisk_activation_storeBlockingResultLevel="
                                        "STORE_FAILURES",
                                        "CONFIG_whisk_activation_storeNonBlockingResultLevel="
                                        "STORE_FAILURES_NOT_APPLICATION_ERRORS",
                                        NULL},
                  &s);
    assert_int_equal(s.log_format, CW_LOG_JSON);
    assert_string_equal(s.store_blocking, "STORE_FAILURES");
    assert_int_equal(s.store_non_blocking, INV_STORE_FAILURES_NOT_APPLICATION_ERRORS);
    free_settings(&s);
}

/* ---- what must be set, and wrong values ---- */

static int load_required_but(size_t left_out, const char *more, struct inv_settings *s,
                             struct cw_err *err)
{
    const char *env[REQUIRED_COUNT + 2] = {NULL};
    size_t n = 0;

    for (size_t i = 0; i < REQUIRED_COUNT; i++)
        if (i != left_out)
            env[n++] = REQUIRED[i].variable;
    env[n] = more;
    return cw_conf_load(inv_settings_table(), (char *const *)env, NULL, NULL, NULL, s, err);
}

static void what_is_required_is_named_when_it_is_missing(void **state)
{
    struct inv_settings s;
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(load_required_but(REQUIRED_COUNT, NULL, &s, &err),
                     0); /* and nothing else is */
    free_settings(&s);
    for (size_t i = 0; i < REQUIRED_COUNT; i++) {
        char variable[64];

        (void)snprintf(variable, sizeof(variable), "%.*s", (int)strcspn(REQUIRED[i].variable, "="),
                       REQUIRED[i].variable);
        assert_int_equal(load_required_but(i, NULL, &s, &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        if (strncmp(err.msg, REQUIRED[i].key, strlen(REQUIRED[i].key)) != 0 ||
            !strstr(err.msg, variable))
            fail_msg("\"%s\" does not name %s and %s", err.msg, REQUIRED[i].key, variable);
    }
}

static void wrong_values_are_named_with_what_is_accepted(void **state)
{
    static const struct {
        const char *variable, *key, *text;
    } CASES[] = {
        {"PORT=65536", "port ", "0..65535"},
        {"CONFIG_whisk_containerPool_userMemory=lots", "whisk.container-pool.user-memory ", "lots"},
        {"CONFIG_whisk_containerPool_userMemory=0", "whisk.container-pool.user-memory ",
         "1 m..1024 t"},
        {"CONFIG_whisk_containerPool_concurrentPeekFactor=2",
         "whisk.container-pool.concurrent-peek-factor ", "0..1"},
        {"CONFIG_whisk_containerProxy_timeouts_pauseGrace=soon",
         "whisk.container-proxy.timeouts.pause-grace ", "soon"},
        {"CONFIG_whisk_activation_storeNonBlockingResultLevel=NEVER",
         "whisk.activation.store-non-blocking-result-level ", "STORE_FAILURES"},
        {"CONFIG_whisk_userEvents_enabled=perhaps", "whisk.user-events.enabled ", "perhaps"},
        {"CONFIG_whisk_couchdb_port=0", "whisk.couchdb.port ", "1..65535"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct inv_settings s;
        struct cw_err err = {0};
        /* the port of the database is among the required ones */
        size_t left_out = strstr(CASES[i].variable, "couchdb_port") ? 3 : REQUIRED_COUNT;

        assert_int_equal(load_required_but(left_out, CASES[i].variable, &s, &err), -1);
        if (strncmp(err.msg, CASES[i].key, strlen(CASES[i].key)) != 0 ||
            !strstr(err.msg, CASES[i].text))
            fail_msg("%s: \"%s\"", CASES[i].variable, err.msg);
    }
}

static void blocking_level_that_is_none_yields_to_the_deprecated_switch(void **state)
{
    static const struct {
        const char *level, *disable;
        enum inv_store_level want;
        bool deprecated;
    } CASES[] = {
        {"store_failures", "false", INV_STORE_FAILURES, false},
        {"STORE_FAILURES_NOT_APPLICATION_ERRORS", "true", INV_STORE_FAILURES_NOT_APPLICATION_ERRORS,
         false},
        {"STORE_ALWAYS", "true", INV_STORE_ALWAYS, false},
        {"NEVER", "true", INV_STORE_FAILURES, true},
        {"NEVER", "false", INV_STORE_ALWAYS, true},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct inv_settings s;
        char level[96], disable[96];
        bool deprecated;

        (void)snprintf(level, sizeof(level), "CONFIG_whisk_activation_storeBlockingResultLevel=%s",
                       CASES[i].level);
        (void)snprintf(disable, sizeof(disable), "CONFIG_whisk_activation_disableStoreResult=%s",
                       CASES[i].disable);
        test_settings((const char *const[]){level, disable, NULL}, &s);
        assert_int_equal(inv_settings_blocking_level(&s, &deprecated), CASES[i].want);
        assert_int_equal(deprecated, CASES[i].deprecated);
        free_settings(&s);
    }
}

/* ---- deployments ---- */

struct unknown {
    struct cw_str keys; /* " a b c " */
};

static void on_note(void *arg, enum cw_conf_note what, const char *key, const char *origin)
{
    struct unknown *u = arg;

    (void)origin;
    assert_int_equal(what, CW_CONF_UNKNOWN_KEY);
    cw_str_addf(&u->keys, "%s ", key);
}

/* What ansible gives its invoker 0, with its defaults; the certificates are those of TLS to
 * Kafka. */
static const char *const ANSIBLE[] = {
    "JAVA_OPTS=-Xmx2g -XX:+CrashOnOutOfMemoryError -XX:ErrorFile=/logs/java_error.log",
    "INVOKER_OPTS=-Dwhisk.container-pool.concurrent-peek-factor=0.25 -Xss1m",
    "JMX_REMOTE=false",
    "OPENWHISK_ENCODED_CONFIG=",
    "PORT=8080",
    "TZ=UTC",
    "KAFKA_HOSTS=172.17.0.1:9072",
    "CONFIG_whisk_kafka_replicationFactor=1",
    "CONFIG_whisk_kafka_topics_invoker_retentionBytes=1073741824",
    "CONFIG_whisk_kafka_topics_invoker_retentionMs=3600000",
    "CONFIG_whisk_kakfa_topics_invoker_segmentBytes=536870912",
    "CONFIG_whisk_kafka_topics_prefix=ow-",
    "CONFIG_whisk_kafka_topics_userEvent_prefix=ow-",
    "CONFIG_whisk_kafka_common_securityProtocol=SSL",
    "CONFIG_whisk_kafka_common_sslTruststoreLocation=/conf/kafka-keystore.jks",
    "CONFIG_whisk_kafka_common_sslTruststorePassword=trustsecret",
    "CONFIG_whisk_userEvents_enabled=false",
    "ZOOKEEPER_HOSTS=172.17.0.1:2181",
    "CONFIG_whisk_couchdb_protocol=http",
    "CONFIG_whisk_couchdb_host=172.17.0.1",
    "CONFIG_whisk_couchdb_port=5984",
    "CONFIG_whisk_couchdb_username=whisk_local_invoker0",
    "CONFIG_whisk_couchdb_password=some_passw0rd",
    "CONFIG_whisk_couchdb_provider=CouchDB",
    "CONFIG_whisk_couchdb_databases_WhiskAuth=whisk_local_subjects",
    "CONFIG_whisk_couchdb_databases_WhiskEntity=whisk_local_whisks",
    "CONFIG_whisk_couchdb_databases_WhiskActivation=whisk_local_activations",
    "DB_WHISK_ACTIONS=whisk_local_whisks",
    "CONFIG_whisk_db_subjectsDdoc=",
    "WHISK_API_HOST_PROTO=https",
    "WHISK_API_HOST_PORT=443",
    "WHISK_API_HOST_NAME=172.17.0.1",
    "CONFIG_whisk_containerFactory_runtimesRegistry_url=",
    "CONFIG_whisk_containerFactory_userImagesRegistry_url=",
    "RUNTIMES_MANIFEST={\"runtimes\":{}}",
    "CONFIG_whisk_runtimes_bypassPullForLocalImages=true",
    "CONFIG_whisk_runtimes_localImagePrefix=whisk",
    "CONFIG_whisk_containerFactory_containerArgs_network=bridge",
    "INVOKER_CONTAINER_POLICY=",
    "CONFIG_whisk_containerPool_userMemory=2048m",
    "CONFIG_whisk_containerPool_userCpus=",
    "CONFIG_whisk_docker_client_parallelRuns=",
    "CONFIG_whisk_docker_containerFactory_useRunc=false",
    "METRICS_KAMON=false",
    "METRICS_KAMON_TAGS=false",
    "METRICS_LOG=false",
    "CONFIG_kamon_statsd_hostname=",
    ("CONFIG_whisk_spi_ContainerFactoryProvider="
     "org.apache.openwhisk.core.containerpool.docker.DockerContainerFactoryProvider"),
    "CONFIG_whisk_spi_LoadBalancerProvider=x",
    "CONFIG_logback_log_level=DEBUG",
    "CONFIG_whisk_memory_min=",
    "CONFIG_whisk_memory_max=1024m",
    "CONFIG_whisk_timeLimit_max=10 m",
    "CONFIG_whisk_concurrencyLimit_max=500",
    "CONFIG_whisk_activation_payload_max=2 m",
    "CONFIG_whisk_transactions_header=X-Request-ID",
    "CONFIG_whisk_containerPool_pekkoClient=false",
    "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0=__OW_ALLOW_CONCURRENT=true",
    "CONFIG_whisk_invoker_protocol=https",
    "CONFIG_whisk_invoker_resource_tags= '' ",
    "CONFIG_whisk_invoker_dedicated_namespaces= 'alice,bob' ",
    "CONFIG_whisk_containerProxy_timeouts_idleContainer=10 minutes",
    "CONFIG_whisk_containerProxy_timeouts_pauseGrace=50 milliseconds",
    "CONFIG_whisk_containerProxy_timeouts_keepingDuration=10 minutes",
    "CONFIG_whisk_containerPool_prewarmExpirationCheckInterval=10 minutes",
    "CONFIG_whisk_invoker_username=admin",
    "CONFIG_whisk_invoker_password=hush",
    "CONFIG_whisk_cluster_name=whisk",
    NULL,
};

static void load_ansible(struct inv_settings *s, struct unknown *u)
{
    static const char *const ARGV[] = {"invoker", "--id", "0", "--uniqueName", "0", NULL};
    struct cw_err err = {0};

    cw_str_init(&u->keys, TEXT_MAX_BYTES);
    cw_str_addc(&u->keys, ' ');
    if (cw_conf_load(inv_settings_table(), (char *const *)ANSIBLE, (char *const *)ARGV, on_note, u,
                     s, &err) != 0)
        fail_msg("%s", err.msg);
}

/* Value of a map's key. */
static const char *value_of(char *const *map, const char *key)
{
    for (; *map; map += 2)
        if (strcmp(map[0], key) == 0)
            return map[1];
    fail_msg("%s is not there", key);
    return NULL;
}

static void environment_of_ansible_is_understood(void **state)
{
    struct inv_settings s;
    struct unknown u;

    (void)state;
    load_ansible(&s, &u);
    assert_int_equal(s.id, 0);
    assert_string_equal(s.unique_name, "0");
    assert_string_equal(s.kafka_hosts, "172.17.0.1:9072");
    assert_string_equal(s.topic_prefix, "ow-");
    assert_string_equal(s.user_event_prefix, "ow-");
    assert_string_equal(value_of(s.topic_invoker, "retention-ms"), "3600000");
    assert_string_equal(value_of(s.topic_invoker, "retention-bytes"), "1073741824");
    assert_null(s.topic_invoker[4]);
    assert_string_equal(value_of(s.kafka_common, "security-protocol"), "SSL");
    assert_string_equal(value_of(s.kafka_common, "ssl-truststore-password"), "trustsecret");
    assert_string_equal(s.couch_username, "whisk_local_invoker0");
    assert_int_equal(s.couch_port, 5984);
    assert_string_equal(s.db_activations, "whisk_local_activations");
    assert_string_equal(s.db_subjects, "whisk_local_subjects");
    assert_true(s.bypass_pull_for_local_images);
    assert_int_equal(s.user_memory_bytes, 2048 * MB);
    assert_true(s.concurrent_peek_factor == 0.25);
    assert_int_equal(s.docker_parallel_runs, 10); /* empty: not given */
    assert_false(s.log_markers);
    assert_int_equal(s.log_level, CW_LOG_DEBUG);
    assert_int_equal(s.memory_min_bytes, 128 * MB);
    assert_int_equal(s.memory_max_bytes, 1024 * MB);
    assert_int_equal(s.time_max_ms, 10 * MINUTE);
    assert_int_equal(s.concurrency_max, 500);
    assert_int_equal(s.payload_max_bytes, 2 * MB);
    assert_string_equal(s.extra_env[0], "__OW_ALLOW_CONCURRENT=true");
    assert_null(s.extra_env[1]);
    assert_null(s.tags[0]);
    assert_string_equal(s.dedicated_namespaces[0], "alice");
    assert_string_equal(s.dedicated_namespaces[1], "bob");
    assert_null(s.dedicated_namespaces[2]);
    assert_int_equal(s.pause_grace_ms, 50);
    assert_string_equal(s.http_username, "admin");
    assert_string_equal(s.http_password, "hush");
    cw_str_done(&u.keys);
    free_settings(&s);
}

static void nothing_of_ansible_is_reported_as_unknown(void **state)
{
    struct inv_settings s;
    struct unknown u;

    (void)state;
    load_ansible(&s, &u);
    assert_string_equal(u.keys.p, " ");
    cw_str_done(&u.keys);
    free_settings(&s);
}

/* ---- --print-config ---- */

/* "key = value" lines of text as -Dkey=value words; returns their number. */
static size_t words_of(char *text, char **words)
{
    size_t n = 0;
    char *rest = NULL;

    words[n++] = strdup("invoker");
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strstr(line, " =");

        if (line[0] == '#')
            continue;
        if (!equals)
            fail_msg("\"%s\" is no setting", line);
        if (equals[2] == '\0')
            continue;
        assert_int_equal(equals[2], ' ');
        assert_true(n < MAX_WORDS - 1);
        *equals = '\0';
        assert_true(asprintf(&words[n++], "-D%s=%s", line, equals + 3) > 0);
    }
    words[n] = NULL;
    return n;
}

static void printed_settings_load_as_the_same(void **state)
{
    struct inv_settings s;
    struct unknown u;
    struct cw_err err = {0};
    struct cw_str printed, again;
    char *words[MAX_WORDS], *copy;
    size_t n;

    (void)state;
    cw_str_init(&printed, TEXT_MAX_BYTES);
    cw_str_init(&again, TEXT_MAX_BYTES);
    load_ansible(&s, &u);
    cw_conf_print(inv_settings_table(), &s, &printed);
    free_settings(&s);
    cw_str_reset(&u.keys);
    copy = strdup(printed.p);
    n = words_of(copy, words);
    if (cw_conf_load(inv_settings_table(), NULL, words, on_note, &u, &s, &err) != 0)
        fail_msg("%s", err.msg);
    cw_conf_print(inv_settings_table(), &s, &again);
    assert_string_equal(again.p, printed.p);
    assert_int_equal(u.keys.n, 0);
    assert_true(n > 30);
    free_settings(&s);
    while (n)
        free(words[--n]);
    free(copy);
    cw_str_done(&u.keys);
    cw_str_done(&again);
    cw_str_done(&printed);
}

static void secrets_are_not_printed(void **state)
{
    struct inv_settings s;
    struct unknown u;
    struct cw_str printed;

    (void)state;
    cw_str_init(&printed, TEXT_MAX_BYTES);
    load_ansible(&s, &u);
    cw_conf_print(inv_settings_table(), &s, &printed);
    assert_null(strstr(printed.p, "some_passw0rd"));
    assert_null(strstr(printed.p, "hush"));
    assert_null(strstr(printed.p, "trustsecret"));
    assert_non_null(strstr(printed.p, "whisk.couchdb.password = ******\n"));
    free_settings(&s);
    cw_str_done(&u.keys);
    cw_str_done(&printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocking_level_that_is_none_yields_to_the_deprecated_switch),
        cmocka_unit_test(identity_and_network_have_the_defaults_of_stock),
        cmocka_unit_test(pool_and_limits_have_the_defaults_of_stock),
        cmocka_unit_test(documents_have_the_defaults_of_stock),
        cmocka_unit_test(containers_have_the_defaults_of_stock),
        cmocka_unit_test(operation_has_its_defaults),
        cmocka_unit_test(choices_have_the_order_of_their_enums),
        cmocka_unit_test(what_is_required_is_named_when_it_is_missing),
        cmocka_unit_test(wrong_values_are_named_with_what_is_accepted),
        cmocka_unit_test(environment_of_ansible_is_understood),
        cmocka_unit_test(nothing_of_ansible_is_reported_as_unknown),
        cmocka_unit_test(printed_settings_load_as_the_same),
        cmocka_unit_test(secrets_are_not_printed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
