/* What deployments hand their invoker, whole: nothing of it is unknown, and what has no effect is
 * not among the settings. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "invoker/foreign_settings.h"
#include "invoker/settings.h"

enum { TEXT_MAX_BYTES = 1 << 16 };

/* The official chart, docker factory, with everything switched on that it knows (openwhisk helm.md
 * 4); the value of the encoded text is the chart's own file. */
static const char *const HELM[] = {
    "PORT=8080",
    "WHISK_API_HOST_PROTO=http",
    "WHISK_API_HOST_PORT=80",
    "WHISK_API_HOST_NAME=ow-nginx.ns.svc.cluster.local",
    "CONFIG_whisk_docker_containerFactory_useRunc=false",
    "CONFIG_whisk_containerPool_userMemory=2048m",
    "CONFIG_whisk_containerFactory_containerArgs_dnsServers_0=10.0.0.10",
    "CONFIG_whisk_containerFactory_containerArgs_dnsSearch_0=ns.svc.cluster.local",
    "CONFIG_whisk_containerFactory_containerArgs_dnsSearch_1=svc.cluster.local",
    "CONFIG_whisk_containerFactory_containerArgs_dnsOptions_0=ndots:5",
    "CONFIG_whisk_containerFactory_containerArgs_network=bridge",
    "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0=__OW_ALLOW_CONCURRENT=false",
    "CONFIG_whisk_containerFactory_runtimesRegistry_url=",
    "INVOKER_NAME=ow-invoker-0",
    "JAVA_OPTS=-Xmx512M -XX:+UseG1GC",
    "CONFIG_whisk_scheduler_dataManagementService_retryInterval=1 second",
    "CONFIG_whisk_invoker_containerCreation_maxPeek=500",
    "KUBERNETES_SERVICE_HOST=10.0.0.1",
    ("INVOKER_OPTS= -Dkubernetes.master=https://$KUBERNETES_SERVICE_HOST "
     "-Dwhisk.spi.ContainerFactoryProvider=org.apache.openwhisk.core.containerpool.docker."
     "DockerContainerFactoryProvider"),
    "RUNTIMES_MANIFEST={\"runtimes\":{}}",
    "LIMITS_ACTIONS_INVOKES_PERMINUTE=60",
    "LIMITS_ACTIONS_INVOKES_CONCURRENT=30",
    "LIMITS_TRIGGERS_FIRES_PERMINUTE=60",
    "LIMITS_ACTIONS_SEQUENCE_MAXLENGTH=50",
    "CONFIG_whisk_timeLimit_min=100ms",
    "CONFIG_whisk_timeLimit_max=5m",
    "CONFIG_whisk_timeLimit_std=1m",
    "CONFIG_whisk_memory_min=128m",
    "CONFIG_whisk_memory_max=512m",
    "CONFIG_whisk_memory_std=256m",
    "CONFIG_whisk_concurrencyLimit_min=1",
    "CONFIG_whisk_concurrencyLimit_max=1",
    "CONFIG_whisk_concurrencyLimit_std=1",
    "CONFIG_whisk_logLimit_min=0m",
    "CONFIG_whisk_logLimit_max=10m",
    "CONFIG_whisk_logLimit_std=10m",
    "CONFIG_whisk_activation_payload_max=1048576",
    "WHISK_LOGS_DIR=",
    "CONFIG_whisk_info_date=2022-10-14T02:55:09Z",
    "CONFIG_whisk_couchdb_username=whisk_admin",
    "CONFIG_whisk_couchdb_password=some_passw0rd",
    "CONFIG_whisk_couchdb_port=5984",
    "CONFIG_whisk_couchdb_protocol=http",
    "CONFIG_whisk_couchdb_provider=CouchDB",
    "CONFIG_whisk_couchdb_host=ow-couchdb.ns.svc.cluster.local",
    "CONFIG_whisk_couchdb_databases_WhiskActivation=test_activations",
    "CONFIG_whisk_couchdb_databases_WhiskEntity=test_whisks",
    "CONFIG_whisk_couchdb_databases_WhiskAuth=test_subjects",
    "KAFKA_HOSTS=ow-kafka-0.ow-kafka.ns.svc.cluster.local:9092",
    "CONFIG_whisk_kafka_replicationFactor=1",
    "CONFIG_whisk_kafka_topics_prefix=",
    "CONFIG_whisk_kafka_topics_cacheInvalidation_retentionBytes=1073741824",
    "CONFIG_whisk_kafka_topics_completed_retentionMs=3600000",
    "CONFIG_whisk_kafka_topics_events_segmentBytes=536870912",
    "CONFIG_whisk_kafka_topics_health_retentionMs=3600000",
    "CONFIG_whisk_kafka_topics_invoker_retentionMs=172800000",
    "CONFIG_whisk_kafka_topics_scheduler_retentionMs=86400000",
    "CONFIG_whisk_kafka_topics_creationAck_retentionMs=3600000",
    "CONFIG_whisk_cluster_name=whisk",
    "CONFIG_whisk_etcd_hosts=ow-etcd.ns.svc.cluster.local:2379",
    "CONFIG_whisk_etcd_lease_timeout=1",
    "CONFIG_whisk_etcd_pool_threads=10",
    "ZOOKEEPER_HOSTS=ow-zookeeper-0.ow-zookeeper.ns.svc.cluster.local:2181",
    ("OPENWHISK_ENCODED_CONFIG="
     "aW5jbHVkZSBjbGFzc3BhdGgoImFwcGxpY2F0aW9uLmNvbmYiKQp3aGlzayB7CiAgbWV0cmljcyB7CiAgICBwcm9tZX"
     "RoZXVzLWVuYWJsZWQgPSB0cnVlCiAgfQp9Cg=="),
    "METRICS_KAMON=true",
    "METRICS_KAMON_TAGS=true",
    "CONFIG_whisk_userEvents_enabled=true",
    "CONFIG_logback_log_level=INFO",
    "CONFIG_whisk_activationStore_elasticsearch_protocol=http",
    "CONFIG_whisk_helm_release=ow",
    "CONFIG_akka_coordinatedShutdown_phases_actorSystemTerminate_timeout=30 s",
    "CONFIG_whisk_runtime_delete_timeout=30 seconds",
    NULL,
};

/* Ansible, with every optional variable given a value. */
static const char *const ANSIBLE[] = {
    "JAVA_OPTS=-Xmx2g -XX:+CrashOnOutOfMemoryError -XX:ErrorFile=/logs/java_error.log",
    "INVOKER_OPTS=-Dconfig.x=1",
    "JMX_REMOTE=false",
    "OPENWHISK_ENCODED_CONFIG=",
    "PORT=8080",
    "TZ=UTC",
    "KAFKA_HOSTS=172.17.0.1:9072",
    "CONFIG_whisk_kafka_topics_invoker_retentionBytes=1073741824",
    "CONFIG_whisk_kakfa_topics_invoker_segmentBytes=536870912",
    "CONFIG_whisk_kafka_topics_userEvent_prefix=ow-",
    "ZOOKEEPER_HOSTS=172.17.0.1:2181",
    "CONFIG_whisk_couchdb_protocol=http",
    "CONFIG_whisk_couchdb_host=172.17.0.1",
    "CONFIG_whisk_couchdb_port=5984",
    "CONFIG_whisk_couchdb_username=u",
    "CONFIG_whisk_couchdb_password=p",
    "CONFIG_whisk_couchdb_provider=CouchDB",
    "CONFIG_whisk_couchdb_databases_WhiskAuth=s",
    "CONFIG_whisk_couchdb_databases_WhiskEntity=w",
    "CONFIG_whisk_couchdb_databases_WhiskActivation=a",
    "DB_WHISK_ACTIONS=w",
    "CONFIG_whisk_db_subjectsDdoc=subjects.v2.0.0",
    "CONFIG_whisk_db_actionsDdoc=whisks.v2.1.0",
    "CONFIG_whisk_db_activationsDdoc=whisks.v2.1.0",
    "CONFIG_whisk_db_activationsFilterDdoc=whisks-filters.v2.1.1",
    "WHISK_API_HOST_NAME=172.17.0.1",
    "CONFIG_whisk_containerFactory_userImagesRegistry_url=registry:5000",
    "RUNTIMES_MANIFEST={\"runtimes\":{}}",
    "INVOKER_CONTAINER_POLICY=",
    "CONFIG_whisk_containerPool_userCpus=4",
    "CONFIG_whisk_docker_client_parallelRuns=5",
    "METRICS_LOG=false",
    "CONFIG_kamon_statsd_hostname=",
    "CONFIG_kamon_statsd_port=8125",
    ("CONFIG_whisk_spi_LogStoreProvider=org.apache.openwhisk.core.containerpool.logging."
     "DockerToActivationLogStoreProvider"),
    "CONFIG_whisk_spi_InvokerProvider=org.apache.openwhisk.core.invoker.InvokerReactive",
    "CONFIG_whisk_spi_InvokerServerProvider=org.apache.openwhisk.core.invoker.DefaultInvokerServer",
    "CONFIG_whisk_namespaceDefaultLimit_memory_min=128m",
    "CONFIG_whisk_namespaceDefaultLimit_memory_max=256m",
    "CONFIG_whisk_namespaceDefaultLimit_timeLimit_min=100ms",
    "CONFIG_whisk_namespaceDefaultLimit_timeLimit_max=1m",
    "CONFIG_whisk_namespaceDefaultLimit_concurrencyLimit_min=1",
    "CONFIG_whisk_namespaceDefaultLimit_concurrencyLimit_max=1",
    "CONFIG_whisk_transactions_header=X-Request-ID",
    "CONFIG_whisk_containerPool_pekkoClient=false",
    "CONFIG_whisk_containerPool_akkaClient=false",
    "CONFIG_whisk_invoker_resource_tags= '' ",
    "CONFIG_whisk_invoker_dedicated_namespaces= '' ",
    "CONFIG_whisk_containerProxy_timeouts_idleContainer=10 minutes",
    "CONFIG_whisk_containerProxy_timeouts_pauseGrace=10 seconds",
    "CONFIG_whisk_containerProxy_timeouts_keepingDuration=10 minutes",
    "CONFIG_whisk_containerPool_prewarmExpirationCheckInitDelay=10 minutes",
    "CONFIG_whisk_containerPool_prewarmExpirationCheckInterval=10 minutes",
    "CONFIG_whisk_containerPool_prewarmExpirationCheckIntervalVariance=10 seconds",
    "CONFIG_whisk_containerPool_prewarmPromotion=false",
    "CONFIG_whisk_containerPool_prewarmMaxRetryLimit=5",
    "CONFIG_whisk_containerPool_memorySyncInterval=1 second",
    "CONFIG_whisk_containerPool_batchDeletionSize=10",
    "CONFIG_whisk_invoker_username=invoker.user",
    "CONFIG_whisk_invoker_password=invoker.pass",
    "CONFIG_whisk_cluster_name=whisk",
    "CONFIG_whisk_etcd_hosts=e:2379",
    "CONFIG_whisk_mongodb_uri=mongodb://x",
    NULL,
};

struct notes {
    struct cw_str unknown, includes;
};

static void on_note(void *arg, enum cw_conf_note what, const char *text, const char *origin)
{
    struct notes *n = arg;

    (void)origin;
    cw_str_addf(what == CW_CONF_INCLUDE ? &n->includes : &n->unknown, "%s ", text);
}

static void load(const char *const *env, struct inv_settings *s, struct notes *n)
{
    struct cw_err err = {0};

    cw_str_init(&n->unknown, TEXT_MAX_BYTES);
    cw_str_init(&n->includes, TEXT_MAX_BYTES);
    if (cw_conf_load(inv_settings_table(), (char *const *)env, NULL, on_note, n, s, &err) != 0)
        fail_msg("%s", err.msg);
}

static void done(struct inv_settings *s, struct notes *n)
{
    cw_str_done(&n->unknown);
    cw_str_done(&n->includes);
    cw_conf_free(inv_settings_table(), s);
}

static void everything_of_the_chart_is_known(void **state)
{
    struct inv_settings s;
    struct notes n;

    (void)state;
    load(HELM, &s, &n);
    assert_string_equal(n.unknown.p, "");
    assert_string_equal(n.includes.p, "application.conf ");
    assert_true(s.prometheus);
    assert_true(s.user_events);
    assert_string_equal(s.dns_search[1], "svc.cluster.local");
    assert_string_equal(s.dns_options[0], "ndots:5");
    assert_non_null(strstr(s.container_factory_provider, ".DockerContainerFactoryProvider"));
    assert_int_equal(s.payload_max_bytes, 1048576);
    done(&s, &n);
}

static void everything_of_ansible_is_known(void **state)
{
    struct inv_settings s;
    struct notes n;

    (void)state;
    load(ANSIBLE, &s, &n);
    assert_string_equal(n.unknown.p, "");
    assert_null(s.tags[0]);
    assert_null(s.dedicated_namespaces[0]);
    assert_true(s.ns_memory_max_bytes.set);
    assert_int_equal(s.ns_memory_max_bytes.value, 256 << 20);
    assert_int_equal(s.ns_time_max_ms.value, 60000);
    assert_false(s.ns_log_max_bytes.set);
    assert_true(s.user_cpus == 4);
    done(&s, &n);
}

static void no_setting_is_called_without_effect(void **state)
{
    const struct cw_conf_table *t = inv_settings_table();

    (void)state;
    for (const struct cw_conf_no_effect *e = INV_FOREIGN_SETTINGS; e->key; e++) {
        assert_true(e->why && e->why[strlen(e->why) - 1] == '.');
        assert_true(e[1].key == NULL || strcmp(e->key, e[1].key) < 0);
        for (size_t i = 0; i < t->count; i++)
            if (strcmp(t->items[i].key, e->key) == 0 ||
                (t->items[i].alias && strcmp(t->items[i].alias, e->key) == 0))
                fail_msg("%s is a setting; take it out of foreign_settings.c", e->key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_of_the_chart_is_known),
        cmocka_unit_test(everything_of_ansible_is_known),
        cmocka_unit_test(no_setting_is_called_without_effect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
