"""What action containers are made with: flags of docker run, labels."""

import re
import secrets

import pytest

from harness.code import NODE_ECHO, NODE_ID

ARGS = "CONFIG_whisk_containerFactory_containerArgs_extraArgs_"
INVOKER_ENV = {
    f"{ARGS}label_0": "team=blue", f"{ARGS}label_1": "tier=2", f"{ARGS}env_0": "FLAVOUR=mild", f"{ARGS}capDrop_0": "MKNOD",
    f"{ARGS}ulimit_0": "nofile=512:600", f"{ARGS}shmSize_0": "16m", f"{ARGS}tmpfs_0": "/scratch:size=1m",
    f"{ARGS}addHost_0": "db.example:10.9.8.7", f"{ARGS}init_0": "true", f"{ARGS}dns_0": "10.9.8.6",
    "CONFIG_whisk_containerFactory_containerArgs_dnsServers_0": "10.9.8.5", "CWHISK_CLUSTER": "test-blue",
    "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_1": "BARE", "CONFIG_whisk_docker_containerFactory_useRunc": "true",
}
LOOK = """const fs = require('fs'), read = (p) => fs.readFileSync(p, 'utf8');
function main() { return {env: process.env.FLAVOUR, bare: process.env.BARE, hosts: read('/etc/hosts'), mounts: read('/proc/mounts'),
    limits: read('/proc/self/limits'), resolv: read('/etc/resolv.conf')}; }"""


def container_of(invoker, ns):
    return next(c for name, c in invoker.containers().items() if f"_{ns}_" in name)


def test_flags_of_docker_run_reach_the_container(invoker, controller, docker, ns):
    seen = controller.invoke(invoker, controller.put(f"{ns}/look", "nodejs:20", LOOK)).response()["result"]
    assert seen["env"] == "mild" and seen["bare"] == ""
    assert re.search(r"^10\.9\.8\.7\s+db\.example$", seen["hosts"], re.M)
    assert re.search(r"^tmpfs /scratch tmpfs .*size=1024k", seen["mounts"], re.M)
    assert re.search(r"^Max open files\s+\d+\s+600", seen["limits"], re.M)  # Node raises the soft one
    assert re.search(r"^nameserver 10\.9\.8\.5\nnameserver 10\.9\.8\.6$", seen["resolv"], re.M)
    host = docker.inspect(container_of(invoker, ns)["Id"])["HostConfig"]
    assert host["CapDrop"] == ["MKNOD"] and host["ShmSize"] == 16 << 20 and host["Init"] is True
    assert host["SecurityOpt"] == ["no-new-privileges"] and host["PidsLimit"] == 1024


def test_containers_are_labelled_with_cluster_invoker_and_action(invoker, controller, docker, ns):
    controller.invoke(invoker, controller.put(f"{ns}/marked", "nodejs:20", NODE_ECHO)).finished()
    labels = container_of(invoker, ns)["Labels"]
    assert labels["team"] == "blue" and labels["tier"] == "2"
    assert labels["org.cwhisk.cluster"] == "test-blue" and labels["org.cwhisk.action"] == f"{ns}/marked"
    assert labels["org.cwhisk.invoker"] == f"invoker{invoker.number}/{invoker.unique}"
    assert labels["org.cwhisk.instance"] == str(invoker.number) and labels["org.cwhisk.namespace"] == ns
    assert int(labels["org.cwhisk.boot"], 16) > 0


@pytest.mark.parametrize("flag, value, said", [
    ("publish", "8080:8080", "flag --publish of docker run is not supported"),
    ("frobnicate", "1", "flag --frobnicate of docker run is not supported"),
    ("ulimit", "nofile", 'flag --ulimit: "nofile": expected name=soft[:hard]')])
def test_other_flags_end_the_start(make_invoker, flag, value, said):
    invoker = make_invoker({f"{ARGS}{flag}_0": value}).spawn()
    assert invoker.wait_exit() == 1
    lines = invoker.log().splitlines()
    assert f"whisk.container-factory.container-args.extra-args: {said}" in lines[-1]
    assert any("add-host, blkio-weight" in line and "workdir" in line for line in lines)


@pytest.mark.parametrize("env, said", [
    ({"CONFIG_whisk_containerFactory_containerArgs_network": "host"}, 'container-args.network: "host" gives containers no address'),
    ({"CWHISK_DOCKER_SOCKET": None, "DOCKER_HOST": "ssh://engine"}, 'DOCKER_HOST: "ssh://engine" is not supported'),
    ({"CWHISK_DOCKER_SOCKET": None, "DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1"}, "DOCKER_TLS_VERIFY: TLS")])
def test_engines_and_networks_that_cannot_work_end_the_start(make_invoker, env, said):
    invoker = make_invoker(env).spawn()
    assert invoker.wait_exit() == 1 and said in invoker.log()


def test_containers_live_in_the_configured_network(make_invoker, controller, docker, ns):
    name = f"cw-{ns}"
    docker.call("POST", "/networks/create", {"Name": name, "IPAM": {"Config": [{"Subnet": f"10.{200 + secrets.randbelow(50)}.77.0/24"}]}})
    try:
        invoker = make_invoker({"CONFIG_whisk_containerFactory_containerArgs_network": name, f"{ARGS}networkAlias_0": "fn"}).start(controller)
        assert controller.invoke(invoker, controller.put(f"{ns}/net", "nodejs:20", NODE_ECHO), {"x": 1}).response()["result"] == {"x": 1}
        networks = docker.inspect(container_of(invoker, ns)["Id"])["NetworkSettings"]["Networks"]
        assert list(networks) == [name] and "fn" in networks[name]["Aliases"]
        invoker.terminate()
    finally:
        docker.call("DELETE", f"/networks/{name}")


def test_left_overs_of_another_cluster_stay(make_invoker, controller, docker, ns):
    action = controller.put(f"{ns}/id", "nodejs:20", NODE_ID)
    first = make_invoker({"CWHISK_CLUSTER": "blue"}).start(controller)
    controller.invoke(first, action).finished()
    first.kill()
    left, = first.containers().values()
    for cluster, stays in (("green", True), ("blue", False)):
        later = make_invoker({"CWHISK_CLUSTER": cluster}, number=first.number, unique=first.unique).start(controller)
        # Work is handed out behind the clean-up; another namespace, for the first name is taken.
        controller.invoke(later, controller.put(f"{ns}{cluster}/id", "nodejs:20", NODE_ID)).finished(40)
        assert (left["Id"] in [c["Id"] for c in later.containers().values()]) == stays
        later.terminate()
