"""The image in place of OpenWhisk's: run as the Helm chart (DaemonSet, impl docker) and as ansible run theirs (openwhisk helm.md
4 to 6 and 9, invoker.md 1 and 2.2)."""

import base64
import itertools
import os
import re
import secrets
import stat
import subprocess

import pytest
from kazoo.client import KazooClient

from harness import image as image_module
from harness.faults import FaultProxy
from harness.image import ImageInvoker, docker as run_docker
from harness.invoker import ROOT
from harness.wait import wait_until

MAX_BYTES = 80_000_000
LOGGING = "function main(a) { console.log('said', a.x); return a; }"

# What the chart mounts at /invoker-scripts/configureDNS.sh does the same in other words.
CONFIGURE_DNS = """
number() {
    let "i=0"
    for value in $2; do
        export "CONFIG_whisk_containerFactory_containerArgs_$1_$i=$value"
        let "i=i+1"
    done
}
cat /etc/resolv.conf
number dnsServers "$(grep -e ^nameserver /etc/resolv.conf | sed 's/nameserver //')"
number dnsSearch "$(grep -e ^search /etc/resolv.conf | sed 's/search //')"
number dnsOptions "$(grep -e ^option /etc/resolv.conf | sed 's/option //')"
"""
WITH_DNS = ["/bin/bash", "-c", ". /invoker-scripts/configureDNS.sh && /init.sh --uniqueName $INVOKER_NAME"]
WITHOUT_DNS = ["/bin/bash", "-c", "/init.sh --uniqueName $INVOKER_NAME"]

# Of helm.md 4 what the harness does not set anyway, empty ones included. There is no whisk.spi setting but the container
# factory, and that means the sharding protocol.
CHART = {
    "CONFIG_whisk_docker_containerFactory_useRunc": "false", "CONFIG_whisk_containerFactory_containerArgs_network": "bridge",
    "CONFIG_whisk_containerFactory_runtimesRegistry_url": "", "JAVA_OPTS": "-Xmx512M ",
    "INVOKER_OPTS": "-Dwhisk.spi.ContainerFactoryProvider=org.apache.openwhisk.core.containerpool.docker.DockerContainerFactoryProvider",
    "LIMITS_ACTIONS_INVOKES_PERMINUTE": "60", "LIMITS_ACTIONS_INVOKES_CONCURRENT": "30", "LIMITS_TRIGGERS_FIRES_PERMINUTE": "60",
    "LIMITS_ACTIONS_SEQUENCE_MAXLENGTH": "50", "CONFIG_whisk_timeLimit_min": "100ms", "CONFIG_whisk_timeLimit_max": "5m",
    "CONFIG_whisk_timeLimit_std": "1m", "CONFIG_whisk_memory_min": "128m", "CONFIG_whisk_memory_max": "512m",
    "CONFIG_whisk_memory_std": "256m", "CONFIG_whisk_concurrencyLimit_min": "1", "CONFIG_whisk_concurrencyLimit_max": "1",
    "CONFIG_whisk_concurrencyLimit_std": "1", "CONFIG_whisk_logLimit_min": "0m", "CONFIG_whisk_logLimit_max": "10m",
    "CONFIG_whisk_logLimit_std": "10m", "CONFIG_whisk_activation_payload_max": "1048576", "WHISK_LOGS_DIR": "",
    "CONFIG_whisk_info_date": "2022-10-14T02:57:36Z", "CONFIG_whisk_kafka_replicationFactor": "", "CONFIG_whisk_kafka_topics_prefix": "",
    **{f"CONFIG_whisk_kafka_topics_{topic}_{key}": "" for topic, key in itertools.product(
        ("cacheInvalidation", "completed", "events", "health", "invoker", "scheduler", "creationAck"),
        ("retentionBytes", "retentionMs", "segmentBytes"))},
    "OPENWHISK_ENCODED_CONFIG": base64.b64encode(b'include classpath("application.conf")\n'
                                                 b"whisk.metrics.prometheus-enabled = true\n").decode(),
    "METRICS_KAMON": "true", "CONFIG_logback_log_level": "INFO", "CONFIG_whisk_helm_release": "owdev",
    "CONFIG_akka_coordinatedShutdown_phases_actorSystemTerminate_timeout": "30 s", "CONFIG_whisk_runtime_delete_timeout": "30 seconds",
    "WHISK_API_HOST_PROTO": "http", "WHISK_API_HOST_PORT": "80", "WHISK_API_HOST_NAME": "owdev-nginx.ns.svc.cluster.local",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "CONFIG_whisk_containerPool_userMemory": "2048m",
}


@pytest.fixture(scope="module")
def image(docker):
    yield image_module.build(docker)
    run_docker(docker, "image", "rm", "-f", image_module.NAME)


@pytest.fixture
def make_container(request, image, kafka, couch, docker, tmp_path):
    def maker(command, overrides=None, *, number=0, options=()):
        container = ImageInvoker(kafka, couch, docker, tmp_path, number, f"i{secrets.token_hex(3)}", command, overrides, options)
        request.addfinalizer(container.discard)
        return container
    return maker


@pytest.fixture
def assigned(zookeeper_hosts):
    """ZOOKEEPER_HOSTS where the next id is 4."""
    client = KazooClient(hosts=zookeeper_hosts)
    client.start(timeout=20)
    path = f"/t{secrets.token_hex(4)}"
    for n in range(4):
        client.create(f"{path}/invokers/idAssignment/mapping/old{n}", bytes([n]), makepath=True)
    yield f"{zookeeper_hosts}{path}"
    client.stop()
    client.close()


@pytest.fixture
def as_chart(make_container, assigned, tmp_path):
    """as_chart(command, options) → container with everything that the chart gives it."""
    def maker(command, options=(), **env):
        script = tmp_path / "configureDNS.sh"
        script.write_text(CONFIGURE_DNS)
        container = make_container(command, {**CHART, "ZOOKEEPER_HOSTS": assigned, **env}, number=4,
                                   options=["-v", f"{script}:/invoker-scripts/configureDNS.sh", "--hostname", "node-1", *options])
        container.env.setdefault("INVOKER_NAME", container.unique)
        return container
    return maker


# ---- what it is made of ----

def test_image_is_small(image, docker):
    assert image_module.inspect(docker)["Size"] < MAX_BYTES


def test_image_has_what_the_deployments_call(image, docker):
    words = "for f in /init.sh /bin/sh /bin/bash /usr/bin/cat /bin/grep /bin/sed; do test -x $f || exit 1; done; /usr/bin/cwhisk --version"
    assert run_docker(docker, "run", "--rm", image, "/bin/bash", "-c", words).stdout.startswith("cwhisk ")


def test_image_trusts_the_usual_authorities(image, docker):
    """A bundle for curl, hashed links for OpenSSL."""
    words = "grep -c BEGIN.CERTIFICATE /etc/ssl/certs/ca-certificates.crt; cat /usr/lib/ssl/certs/*.0 | grep -c BEGIN.CERTIFICATE"
    counts = run_docker(docker, "run", "--rm", image, "/bin/sh", "-c", words).stdout.split()
    assert len(counts) == 2 and all(int(n) > 100 for n in counts)


def test_image_lists_its_packages_and_their_licences(image, docker):
    words = "cd /var/lib/dpkg/status.d && for p in *; do test -s /usr/share/doc/$p/copyright && grep -h ^Package: $p; done"
    listed = run_docker(docker, "run", "--rm", image, "/bin/sh", "-c", words).stdout.split()
    assert {"bash", "libc6", "libcurl4", "librdkafka1", "libssl3", "libzookeeper-st2"} <= set(listed)


def test_image_says_what_the_dockerfile_says(image, docker):
    config = image_module.inspect(docker)["Config"]
    last = list(itertools.takewhile(lambda line: line[0] != "FROM", reversed(image_module.recipe())))
    assert dict(last)["CMD"] == '["/init.sh"]' and config["Cmd"] == ["/init.sh"]
    assert config["WorkingDir"] == "/" and list(config["ExposedPorts"]) == ["8080/tcp"] and not config.get("Entrypoint")
    assert set(config["Env"]) == set(dict(last)["ENV"].split())


def test_dockerfile_makes_its_files_by_the_same_script():
    """What cannot be built here cannot differ: files come only from `rootfs`, packages only from the lists."""
    lines = image_module.recipe()
    assert [rest.split()[0] for word, rest in lines if word == "FROM"] == ["debian:bookworm-slim", "scratch"]
    last = max(n for n, (word, _) in enumerate(lines) if word == "FROM")
    assert [rest for word, rest in lines[last:] if word in ("COPY", "ADD", "RUN")] == ["--from=build /rootfs/ /"]
    assert [rest for word, rest in lines[:last] if word == "RUN"][-1] == "docker/invoker/rootfs build/release/cmd/cwhisk /rootfs"
    copied = [path for word, rest in lines[:last] if word == "COPY" for path in rest.split()[:-1]]
    assert copied == ["scripts/build-packages.txt", "docker/invoker/packages.txt", "."]
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert not {"cmd", "cmake", "common", "docker", "invoker", "scripts", "CMakeLists.txt", "CMakePresets.json"} & set(ignored)


# ---- as the Helm chart runs it ----

@pytest.mark.parametrize("command", [WITH_DNS, WITHOUT_DNS], ids=["inherits_dns", "plain"])
def test_runs_as_the_chart_runs_it(as_chart, controller, docker, ns, command):
    invoker = as_chart(command).start(controller)
    assert controller.pings(invoker)[-1].json["name"]["uniqueName"] == invoker.unique
    assert "invokerReg: invoker " + invoker.unique + " was assigned invokerId 4" in invoker.log()
    run = controller.invoke(invoker, controller.put(f"{ns}/hello", "nodejs:20", LOGGING), {"x": 1})
    record = run.finished(40)
    assert record["response"]["result"] == {"x": 1} and [line.split()[-2:] for line in record["logs"]] == [["said", "1"]]
    servers = re.findall(r"^nameserver (\S+)", open("/etc/resolv.conf", encoding="utf-8").read(), re.MULTILINE)
    [action] = invoker.containers()
    assert docker.inspect(action)["HostConfig"]["Dns"] == (servers if command is WITH_DNS else None)
    assert "histogram_invoker_activationRun_finish_seconds" in invoker.http("/metrics").text
    assert invoker.stop() == 0 and not invoker.containers()


@pytest.mark.parametrize("command", [WITH_DNS, WITHOUT_DNS], ids=["inherits_dns", "plain"])
def test_program_becomes_process_one(as_chart, controller, command):
    """So that the signals of docker and kubelet arrive."""
    invoker = as_chart(command).start(controller)
    assert invoker.processes() == [f"/usr/bin/cwhisk invoker --uniqueName {invoker.unique}"]
    assert invoker.stop() == 0


def test_stop_tells_the_controller_and_ends_before_kubelet_kills(as_chart, controller, ns):
    invoker = as_chart(WITHOUT_DNS).start(controller)
    slow = controller.invoke(invoker, controller.put(
        f"{ns}/slow", "nodejs:20", "const main = () => { console.log('began'); return new Promise((r) => setTimeout(() => r({ok: 1}), 1500)); }"))
    wait_until(invoker.containers, what="the action's container")
    assert invoker.stop() == 0
    assert slow.response()["result"] == {"ok": 1}
    wait_until(lambda: controller.pings(invoker)[-1].json["isEnabled"] is False, what="ping with isEnabled false")


def test_empty_name_is_a_clear_error(as_chart):
    invoker = as_chart(WITHOUT_DNS, INVOKER_NAME="").spawn()
    wait_until(lambda: invoker.poll() is not None)
    assert invoker.poll() == 1 and "--uniqueName: needs a value" in invoker.log()


def test_provider_that_is_not_ours_is_refused_by_name(as_chart):
    """The chart with impl kubernetes; and no id is taken for it."""
    options = "-Dkubernetes.master=https://$KUBERNETES_SERVICE_HOST " + CHART["INVOKER_OPTS"].replace("docker.Docker", "kubernetes.Kubernetes")
    invoker = as_chart(WITHOUT_DNS, INVOKER_OPTS=options).spawn()
    wait_until(lambda: invoker.poll() is not None)
    assert invoker.poll() == 1 and "invokerReg" not in invoker.log()
    assert 'whisk.spi.ContainerFactoryProvider: "KubernetesContainerFactoryProvider" is not supported' in invoker.log()


def test_kafka_that_comes_up_later_is_waited_for(as_chart, controller, kafka, ns):
    """The chart starts the pod when the controller answers; nothing is promised about the others."""
    host, port = kafka.hosts.split(":")
    proxy = FaultProxy((host, int(port)))
    proxy.cut()
    try:
        invoker = as_chart(WITHOUT_DNS, KAFKA_HOSTS=f"127.0.0.1:{proxy.port}")
        before = len(controller.pings(invoker))
        invoker.spawn()
        wait_until(lambda: "[Kafka]" in invoker.log(), what=invoker.tail)
        assert invoker.poll() is None and len(controller.pings(invoker)) == before
        proxy.mend()
        wait_until(lambda: len(controller.pings(invoker)) > before, timeout=30, what=invoker.tail)
    finally:
        proxy.close()


# ---- as ansible runs it ----

@pytest.fixture
def privileged(image, docker):
    """On a machine whose root lacks capabilities there is no such thing."""
    works = run_docker(docker, "run", "--rm", "--privileged", image, "/bin/bash", "-c", ":", check=False).returncode == 0
    return ["--privileged"] if works else []


@pytest.fixture
def as_ansible(make_container, privileged, tmp_path):
    def maker(number):
        logs, conf = tmp_path / "logs", tmp_path / "conf"
        logs.mkdir()
        conf.mkdir()
        words = f"exec /init.sh --id {number} --uniqueName {number} >> /logs/invoker{number}_logs.log 2>&1"
        container = make_container(["/bin/sh", "-c", words], {
            "ZOOKEEPER_HOSTS": "127.0.0.1:1", "JMX_REMOTE": "false", "TZ": "UTC", "WHISK_LOGS_DIR": "/var/tmp/wsklogs",
            "JAVA_OPTS": "-Xmx2g -XX:+CrashOnOutOfMemoryError -XX:+UseGCOverheadLimit -XX:ErrorFile=/logs/java_error.log",
            "CONFIG_whisk_invoker_resource_tags": " '' ", "CONFIG_whisk_kafka_common_securityProtocol": "PLAINTEXT",
            "CONFIG_whisk_docker_containerFactory_useRunc": "true", "CONFIG_whisk_kakfa_topics_invoker_segmentBytes": "536870912",
        }, number=number, options=[*privileged, "--pid", "host", "--userns", "host", "--hostname", f"invoker{number}", "-v", f"{logs}:/logs", "-v", f"{conf}:/conf"])
        container.unique = str(number)
        container.log_file = logs / f"invoker{number}_logs.log"
        return container
    return maker


def test_runs_as_ansible_runs_it(as_ansible, controller, ns):
    invoker = as_ansible(60000 + secrets.randbelow(10000))
    invoker.start(controller)
    assert controller.pings(invoker)[-1].json["name"]["uniqueName"] == str(invoker.number)
    run = controller.invoke(invoker, controller.put(f"{ns}/hello", "nodejs:20", LOGGING), {"x": 2})
    assert [line.split()[-2:] for line in run.finished(40)["logs"]] == [["said", "2"]]
    assert any(name.startswith(f"wsk{invoker.number}{invoker.number}_") for name in invoker.containers())
    assert f"takes work from {invoker.topic}" in invoker.log_file.read_text()
    assert any(line.startswith(f"/usr/bin/cwhisk invoker --id {invoker.number}") for line in invoker.processes())
    assert invoker.stop() == 0 and not invoker.containers()
    assert "[ERROR]" not in invoker.log_file.read_text()


def test_killed_container_that_is_started_again_loses_nothing(as_ansible, controller, docker, ns):
    invoker = as_ansible(60000 + secrets.randbelow(10000))
    invoker.start(controller)
    action = controller.put(f"{ns}/slow", "nodejs:20", "const main = (a) => new Promise((r) => setTimeout(() => r(a), 500));")
    runs = [controller.invoke(invoker, action, {"n": n}) for n in range(30)]
    wait_until(lambda: any(run.acks() for run in runs), 40, "the first answer")
    run_docker(docker, "kill", invoker.name)
    run_docker(docker, "start", invoker.name)
    answers = [run.response(60) for run in runs]
    assert {answer["statusCode"] for answer in answers} <= {0, 3}  # 3: it was running
    assert sum(answer["statusCode"] == 3 for answer in answers) <= 8, answers  # 2048 MB for 256 MB each
    for run in runs:
        run.finished(40)


# ---- hardened, and by hand ----

def test_works_on_a_read_only_file_system_and_as_any_user(as_chart, controller, docker, ns):
    socket_group = os.stat(docker.path).st_gid
    os.chmod(docker.path, stat.S_IMODE(os.stat(docker.path).st_mode) | 0o660)
    invoker = as_chart(WITHOUT_DNS, ["--read-only", "--user", "54321:54321", "--group-add", str(socket_group), "--cap-drop", "ALL",
                                     "--security-opt", "no-new-privileges"]).start(controller)
    run = controller.invoke(invoker, controller.put(f"{ns}/hello", "nodejs:20", LOGGING), {"x": 3})
    record = run.finished(40)  # its logs by the engine's stream: /containers is root's
    assert record["response"]["result"] == {"x": 3} and [line.split()[-2:] for line in record["logs"]] == [["said", "3"]]
    assert invoker.stop() == 0 and not invoker.containers()


def test_without_arguments_it_says_what_is_missing(make_container):
    invoker = make_container([]).spawn()
    wait_until(lambda: invoker.poll() is not None)
    assert invoker.poll() == 1 and "Either --id or --uniqueName must be configured" in invoker.log()


def test_scripts_of_the_image_are_executable():
    for name in ("init.sh", "rootfs", "build"):
        assert os.access(ROOT / "docker/invoker" / name, os.X_OK), name
    assert subprocess.run(["bash", "-n", ROOT / "docker/invoker/rootfs"], check=False).returncode == 0
