"""Configuration as deployments hand it over, and starts while others are not there yet."""

import base64
import re

import pytest

from harness.code import NODE_ECHO
from harness.faults import FaultProxy
from harness.proxies import free_port
from harness.wait import wait_until

# openwhisk helm.md 4, the docker factory with everything on; what the harness sets itself is left out.
HELM = {
    "WHISK_API_HOST_PROTO": "http", "WHISK_API_HOST_PORT": "80", "WHISK_API_HOST_NAME": "ow-nginx.ns.svc.cluster.local",
    "CONFIG_whisk_docker_containerFactory_useRunc": "false", "CONFIG_whisk_containerPool_userMemory": "2048m",
    "CONFIG_whisk_containerFactory_containerArgs_network": "bridge",
    "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0": "__OW_ALLOW_CONCURRENT=false",
    "CONFIG_whisk_containerFactory_runtimesRegistry_url": "", "JAVA_OPTS": "-Xmx512M -XX:+UseG1GC",
    "INVOKER_OPTS": " -Dkubernetes.master=https://$KUBERNETES_SERVICE_HOST -Dwhisk.spi.ContainerFactoryProvider="
                    "org.apache.openwhisk.core.containerpool.docker.DockerContainerFactoryProvider",
    "LIMITS_ACTIONS_INVOKES_PERMINUTE": "60", "CONFIG_whisk_timeLimit_min": "100ms", "CONFIG_whisk_timeLimit_max": "5m",
    "CONFIG_whisk_timeLimit_std": "1m", "CONFIG_whisk_memory_min": "128m", "CONFIG_whisk_memory_max": "512m",
    "CONFIG_whisk_memory_std": "256m", "CONFIG_whisk_concurrencyLimit_min": "1", "CONFIG_whisk_concurrencyLimit_max": "1",
    "CONFIG_whisk_concurrencyLimit_std": "1", "CONFIG_whisk_logLimit_min": "0m", "CONFIG_whisk_logLimit_max": "10m",
    "CONFIG_whisk_logLimit_std": "10m", "CONFIG_whisk_activation_payload_max": "1048576", "WHISK_LOGS_DIR": "",
    "CONFIG_whisk_info_date": "2022-10-14", "CONFIG_whisk_kafka_replicationFactor": "", "CONFIG_whisk_kafka_topics_prefix": "",
    "CONFIG_whisk_kafka_topics_health_retentionMs": "", "CONFIG_whisk_kafka_topics_creationAck_retentionMs": "3600000",
    "ZOOKEEPER_HOSTS": "127.0.0.1:1", "METRICS_KAMON": "true", "METRICS_KAMON_TAGS": "true",
    "CONFIG_logback_log_level": "INFO", "CONFIG_whisk_helm_release": "ow",
    "CONFIG_akka_coordinatedShutdown_phases_actorSystemTerminate_timeout": "30 s",
    "CONFIG_whisk_runtime_delete_timeout": "30 seconds",
    "OPENWHISK_ENCODED_CONFIG": base64.b64encode(b'include classpath("application.conf")\nwhisk {\n  metrics {\n'
                                                 b'    prometheus-enabled = true\n  }\n}\n').decode(),
}
# openwhisk invoker.md 2.1 (A): ansible's deploy.yml, the optional ones with values.
ANSIBLE = {
    "JAVA_OPTS": "-Xmx2g -XX:+CrashOnOutOfMemoryError -XX:ErrorFile=/logs/java_error.log", "INVOKER_OPTS": "",
    "JMX_REMOTE": "false", "OPENWHISK_ENCODED_CONFIG": "", "TZ": "UTC", "CONFIG_whisk_kafka_replicationFactor": "1",
    "CONFIG_whisk_kafka_topics_invoker_retentionBytes": "1073741824", "CONFIG_whisk_kakfa_topics_invoker_segmentBytes": "1",
    "CONFIG_whisk_kafka_common_securityProtocol": "PLAINTEXT", "CONFIG_whisk_userEvents_enabled": "false",
    "DB_WHISK_ACTIONS": "x", "CONFIG_whisk_db_subjectsDdoc": "subjects.v2.0.0", "CONFIG_whisk_db_actionsDdoc": "whisks.v2.1.0",
    "WHISK_API_HOST_PROTO": "https", "WHISK_API_HOST_PORT": "443", "INVOKER_CONTAINER_POLICY": "",
    "CONFIG_whisk_containerFactory_userImagesRegistry_url": "", "CONFIG_whisk_runtimes_bypassPullForLocalImages": "true",
    "CONFIG_whisk_runtimes_localImagePrefix": "whisk", "CONFIG_whisk_containerPool_userCpus": "",
    "CONFIG_whisk_docker_containerFactory_useRunc": "true", "METRICS_KAMON": "false", "METRICS_LOG": "true",
    "CONFIG_kamon_statsd_port": "8125", "CONFIG_whisk_spi_InvokerProvider": "", "CONFIG_whisk_spi_InvokerServerProvider": "",
    "CONFIG_whisk_spi_LogStoreProvider": "org.apache.openwhisk.core.containerpool.logging.DockerToActivationLogStoreProvider",
    "CONFIG_logback_log_level": "INFO", "CONFIG_whisk_memory_std": "256m", "CONFIG_whisk_timeLimit_std": "1 m",
    "CONFIG_whisk_namespaceDefaultLimit_memory_min": "128m", "CONFIG_whisk_namespaceDefaultLimit_memory_max": "192m",
    "CONFIG_whisk_transactions_header": "X-Request-ID", "CONFIG_whisk_containerPool_pekkoClient": "false",
    "CONFIG_whisk_invoker_resource_tags": " '' ", "CONFIG_whisk_invoker_dedicated_namespaces": " '' ",
    "CONFIG_whisk_invoker_protocol": "http", "CONFIG_whisk_containerProxy_timeouts_keepingDuration": "10 minutes",
    "CONFIG_whisk_containerPool_prewarmExpirationCheckInterval": "10 minutes",
    "CONFIG_whisk_containerPool_prewarmPromotion": "false", "CONFIG_whisk_containerPool_prewarmMaxRetryLimit": "5",
    "CONFIG_whisk_containerPool_memorySyncInterval": "1 second", "CONFIG_whisk_containerPool_batchDeletionSize": "10",
    "CONFIG_whisk_cluster_name": "whisk",
}


def refused(invoker):
    """The one line of a start that fails with status 1."""
    assert invoker.spawn().wait_exit(20) == 1, invoker.tail()
    lines = [line for line in invoker.log().splitlines() if line]
    assert len(lines) == 1, lines
    return lines[0]


def test_environment_of_the_chart(make_invoker, controller, ns):
    invoker = make_invoker(HELM).start(controller)
    assert "settings ignored" not in invoker.log()
    assert 'built-in defaults stand for them: "application.conf" (OPENWHISK_ENCODED_CONFIG)' in invoker.log()
    assert invoker.http("/metrics").status_code == 200
    action = controller.put(f"{ns}/helm", "nodejs:20", "const main = () => ({host: process.env.__OW_API_HOST, "
                                                       "concurrent: process.env.__OW_ALLOW_CONCURRENT});")
    assert controller.invoke(invoker, action).response()["result"] == {
        "host": "http://ow-nginx.ns.svc.cluster.local", "concurrent": "false"}


def test_environment_of_ansible_and_namespace_defaults(make_invoker, controller, ns):
    invoker = make_invoker(ANSIBLE).start(controller)
    assert "settings ignored" not in invoker.log()
    assert controller.pings(invoker)[0].json["name"]["tags"] == []
    large = controller.put(f"{ns}/large", "nodejs:20", NODE_ECHO, limits={"memory": 256})
    assert controller.invoke(invoker, large).response()["result"] == {
        "error": "requirement failed: memory size 256 MB exceeds allowed threshold of 192 MB"}


def test_text_is_configuration_below_all_other_sources(make_invoker, controller):
    text = """
        include "application.conf"
        whisk { # as people write it
          container-pool.user-memory = ${POOL} m, invoker.resource.tags = "gpu,ssd"
          invoker { username : admin, password = "from the text" }
          newly.invented = 1
        }"""
    invoker = make_invoker({"OPENWHISK_CONFIG": text, "POOL": "1536", "CONFIG_whisk_containerPool_userMemory": None,
                            "CONFIG_whisk_invoker_password": "from the variable"}).start(controller)
    name = controller.pings(invoker)[0].json["name"]
    assert name["userMemory"] == "1610612736 B" and name["tags"] == ["gpu", "ssd"]
    assert invoker.http("/isEnabled", auth=("admin", "from the variable")).status_code == 200
    assert re.findall(r"settings ignored here: (.*)", invoker.log()) == ["whisk.newly.invented"]


@pytest.mark.parametrize("env, said", [
    ({"OPENWHISK_CONFIG": "whisk {\n  metrics { = true }\n}"}, 'OPENWHISK_CONFIG: 2:13: expected a key, found "="'),
    ({"OPENWHISK_ENCODED_CONFIG": base64.b64encode(b"a = ${NOWHERE}").decode()},
     "OPENWHISK_ENCODED_CONFIG: 1:5: ${NOWHERE} stands for nothing that is set"),
    ({"OPENWHISK_ENCODED_CONFIG": "%%%"}, "OPENWHISK_ENCODED_CONFIG: "),
    ({"OPENWHISK_CONFIG": "whisk.log-limit.max = lots"}, 'whisk.log-limit.max (OPENWHISK_CONFIG line 1): "lots" is not a size'),
    ({"CONFIG_whisk_timeLimit_max": "5 fortnights"}, 'whisk.time-limit.max (CONFIG_whisk_timeLimit_max): "5 fortnights" is not'),
    ({"JAVA_OPTS": "-Dwhisk.log-limit.max=x"}, "whisk.log-limit.max (-Dwhisk.log-limit.max in JAVA_OPTS)"),
    ({"KAFKA_HOSTS": ""}, "kafka.hosts: required, but not set; set KAFKA_HOSTS"),
    ({"RUNTIMES_MANIFEST": "{"}, "RUNTIMES_MANIFEST: "),
    ({"CONFIG_whisk_spi_ActivationStoreProvider": "x.ElasticSearchActivationStoreProvider"}, "ElasticSearchActivationStoreProvider"),
    ({"CONFIG_whisk_namespaceDefaultLimit_memory_min": "128m", "CONFIG_whisk_namespaceDefaultLimit_memory_max": "1g"},
     "whisk.namespace-default-limit.memory.max is above the system's, whisk.memory.max"),
], ids=["text", "encoded", "base64", "text_value", "variable", "word", "missing", "manifest", "provider", "limits"])
def test_mistakes_end_the_start_with_one_line(make_invoker, env, said):
    assert said in refused(make_invoker(env))


def test_refusal_of_the_schedulers_protocol_names_both_settings_of_controllers(make_invoker):
    line = refused(make_invoker({"CONFIG_whisk_spi_InvokerProvider": "org.apache.openwhisk.core.invoker.FPCInvokerReactive"}))
    for word in ("FPCInvokerReactive", "LoadBalancerProvider", "EntitlementSpiProvider"):
        assert word in line


def test_errors_of_activations_are_logged_when_asked_for(make_invoker, controller, ns):
    prefix = "CONFIG_whisk_containerProxy_logActivationErrors_"
    invoker = make_invoker({prefix + "developerErrors": "true"}).start(controller)
    broken = controller.put(f"{ns}/broken", "nodejs:20", "const main = () => { throw new Error('my fault'); };")
    failing = controller.put(f"{ns}/failing", "nodejs:20", "const main = () => ({error: 'as designed'});")
    bad = controller.invoke(invoker, controller.put(f"{ns}/nothing", "nodejs:20", "syntax error("))
    assert bad.response()["statusCode"] == 2
    assert controller.invoke(invoker, failing).response()["statusCode"] == 1
    controller.invoke(invoker, broken).finished()
    assert re.search(rf"activation {bad.id} in container \S+ returned an? action developer error: \{{", invoker.log())
    assert "as designed" not in invoker.log()


def test_kafka_that_comes_later_is_waited_for(make_invoker, controller, kafka):
    host, _, port = kafka.hosts.partition(":")
    line = FaultProxy((host, int(port)))
    line.cut()
    try:
        invoker = make_invoker({"KAFKA_HOSTS": f"127.0.0.1:{line.port}"}).spawn()
        wait_until(lambda: "Kafka is not there yet, waiting for it at most" in invoker.log(), timeout=30, what="a line about it")
        assert invoker.process.poll() is None
        line.mend()
        controller.wait_ping(invoker, timeout=30)
    finally:
        line.close()


def test_kafka_that_does_not_come_ends_the_start(make_invoker):
    invoker = make_invoker({"KAFKA_HOSTS": f"127.0.0.1:{free_port()}", "CWHISK_START_TIMEOUT": "1 s"}).spawn()
    assert invoker.wait_exit(30) == 1
    assert f"start failed: topic {invoker.topic}: " in invoker.log()
