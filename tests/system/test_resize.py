"""Limits of containers that live: CPU guarantees, new limits of warm containers, squeezing of idle ones."""

import re
from pathlib import Path

import pytest

from harness import invoker as invoker_module
from harness.code import NODE_ID, NODE_SLEEP, PYTHON_ID
from harness.wait import wait_until

ROOT = Path("/sys/fs/cgroup")
V1 = (ROOT / "cpu" / "cpu.shares").exists()
BUDGET = 10240 if V1 else 1000
WAYS = pytest.mark.parametrize("way", ["auto", "engine"])


def finish(controller, invoker, action, content=None):
    """→ the result, when the container is free again."""
    activation = controller.invoke(invoker, action, content)
    activation.finished(40)
    return activation.response()


def container_of(invoker, ns):
    [name] = [n for n in invoker.containers() if f"_{ns}_" in n]
    return name


def limits(docker, name):
    """What the kernel has for it now: (weight, quota in µs of 100 ms or None, bytes of memory)."""
    place = f"docker/{docker.inspect(name)['Id']}"

    def text(controller, file):
        return (ROOT / (controller if V1 else "") / place / file).read_text().split()[0]
    if V1:
        weight, quota, memory = text("cpu", "cpu.shares"), text("cpu", "cpu.cfs_quota_us"), text("memory", "memory.limit_in_bytes")
    else:
        weight, quota, memory = text("", "cpu.weight"), text("", "cpu.max"), text("", "memory.max")
    return int(weight), None if quota in ("-1", "max") else int(quota), int(memory)


def weight(docker, name):
    return limits(docker, name)[0]


def seen(invoker):
    """GET /resize."""
    answer = invoker.http("/resize", auth=("invoker.user", "invoker.pass"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(controller, path, kind="nodejs:20", code=NODE_ID, annotations=None, **options):
    return controller.put(path, kind, code, annotations=annotations, **options)


@WAYS
def test_guaranteed_container_has_its_part_and_the_others_share_the_rest(make_invoker, controller, docker, ns, way):
    invoker = make_invoker({"CWHISK_RESIZE": way}).start(controller)
    budget = BUDGET if way == "auto" else 10240
    for name in ("one", "two"):
        finish(controller, invoker, put(controller, f"{ns}{name}/plain", limits={"memory": 128}))
    plain = [container_of(invoker, f"{ns}{name}") for name in ("one", "two")]
    usual = [weight(docker, name) for name in plain]
    finish(controller, invoker, put(controller, f"{ns}/sure", annotations={"cwhisk.cpu-guarantee": 0.5}))
    sure = container_of(invoker, ns)
    rest = budget // 2 - budget // 2 // 8  # an eighth stays with nobody
    expected = [rest // 2, rest // 2, budget // 2]
    if way == "engine" and not V1:
        wait_until(lambda: weight(docker, plain[0]) != usual[0], what="the engine has changed it")
    else:
        wait_until(lambda: [weight(docker, n) for n in (*plain, sure)] == expected, what="weights as planned")
    told = seen(invoker)
    assert told["guaranteed"] == 0.5 and told["budget"] == budget and told["by"] == ("files" if way == "auto" else "engine")
    assert [c["weight"] for c in told["containers"] if c["name"] == sure] == [budget // 2]
    # another one comes: the guaranteed one stays where it is
    finish(controller, invoker, put(controller, f"{ns}three/plain", limits={"memory": 256}))
    wait_until(lambda: [weight(docker, n) for n in plain] == [rest // 4, rest // 4], what="the others are lowered")
    assert weight(docker, sure) == budget // 2
    # it goes: everybody has what is usual again
    docker.kill(sure)
    wait_until(lambda: [weight(docker, n) for n in plain] == usual, timeout=40, what="usual weights")
    assert seen(invoker)["guaranteed"] == 0


def test_others_are_lowered_before_a_guaranteed_container_starts(make_invoker, controller, docker, ns):
    invoker = make_invoker({"CWHISK_CPU_BUDGET": "1024", "CONFIG_logback_log_level": "DEBUG"}).start(controller)
    for name in ("one", "two", "three"):
        finish(controller, invoker, put(controller, f"{ns}{name}/plain", limits={"memory": 256}))
    finish(controller, invoker, put(controller, f"{ns}/sure", annotations={"cwhisk.cpu-guarantee": 0.5}))
    log = invoker.log()
    lowered = [m.start() for m in re.finditer(r"cpu\.(shares|weight) \d+ -> \d+", log)]
    created = log.index("running docker run for container", log.index(f"activations: 1 of max 1 action: sure namespace: {ns}"))
    assert len([at for at in lowered if at < created]) >= 3


@pytest.mark.parametrize("change", [{"timeout": 1500}, {"logs": 1}], ids=["timeout", "logs"])
def test_warm_container_goes_on_with_a_revision_of_other_limits(invoker, controller, ns, change):
    before = finish(controller, invoker, put(controller, f"{ns}/act", code=NODE_SLEEP, limits={"timeout": 60000}))["result"]
    newer = put(controller, f"{ns}/act", code=NODE_SLEEP, version="0.0.2", annotations={"cwhisk.x": 1}, limits={"timeout": 60000, **change})
    after = finish(controller, invoker, newer)["result"]
    assert (after["id"], after["n"]) == (before["id"], 2)
    if "timeout" in change:  # and the new one is in force
        assert "exceeded its time limits of 1500" in finish(controller, invoker, newer, {"ms": 30000})["result"]["error"]


@pytest.mark.parametrize("way, memory", [("auto", 128), ("engine", 512)])
def test_memory_that_the_pre_optimizer_wrote_is_given_to_the_warm_container(make_invoker, controller, docker, ns, way, memory):
    invoker = make_invoker({"CWHISK_RESIZE": way}).start(controller)
    before = finish(controller, invoker, put(controller, f"{ns}/act", limits={"memory": 256}))["result"]
    name = container_of(invoker, ns)
    newer = put(controller, f"{ns}/act", version="0.0.2", limits={"memory": memory},
                annotations={"cwhisk.limits-by": {"by": "preopt", "memory": memory}})
    after = finish(controller, invoker, newer)["result"]
    assert (after["id"], after["runs"]) == (before["id"], 2)
    assert container_of(invoker, ns) == name and limits(docker, name)[2] == memory << 20
    assert {c["memoryMB"] for c in seen(invoker)["containers"] if c["name"] == name} == {memory}
    # the user writes another: wsk keeps the annotation, which is not about this memory any more
    by_user = put(controller, f"{ns}/act", version="0.0.3", limits={"memory": 192},
                  annotations={"cwhisk.limits-by": {"by": "preopt", "memory": memory}})
    assert finish(controller, invoker, by_user)["result"]["runs"] == 1


@pytest.mark.parametrize("kind, code, runs", [("python:3.11", PYTHON_ID, 2), ("nodejs:20", NODE_ID, 1)], ids=["python", "nodejs"])
def test_memory_that_a_user_wrote_resizes_only_runtimes_that_adapt(invoker, controller, ns, kind, code, runs):
    finish(controller, invoker, put(controller, f"{ns}/act", kind, code, limits={"memory": 256}))
    newer = put(controller, f"{ns}/act", kind, code, version="0.0.2", limits={"memory": 128})
    assert finish(controller, invoker, newer)["result"]["runs"] == runs


def test_memory_in_use_is_not_taken_away_but_a_new_container_made(invoker, controller, ns):
    code = "const held = []; let runs = 0;\n" \
           "function main(a) { if (a.mb) held.push(Buffer.alloc(a.mb << 20, 1)); return {runs: ++runs}; }\n"
    finish(controller, invoker, put(controller, f"{ns}/act", code=code, limits={"memory": 512}), {"mb": 250})
    newer = put(controller, f"{ns}/act", code=code, version="0.0.2", limits={"memory": 128},
                annotations={"cwhisk.limits-by": {"by": "preopt", "memory": 128}})
    assert finish(controller, invoker, newer)["result"]["runs"] == 1


def test_every_revision_starts_anew_when_that_is_wanted(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_WARM_LIMITS": "false"}).start(controller)
    finish(controller, invoker, put(controller, f"{ns}/act", limits={"timeout": 60000}))
    newer = put(controller, f"{ns}/act", version="0.0.2", limits={"timeout": 50000})
    assert finish(controller, invoker, newer)["result"]["runs"] == 1


def test_guarantee_that_does_not_fit_waits_and_holds_up_nobody(make_invoker, controller, ns):
    invoker = make_invoker().start(controller)
    first = put(controller, f"{ns}/first", code=NODE_SLEEP, annotations={"cwhisk.cpu-guarantee": 0.6})
    second = put(controller, f"{ns}/second", code=NODE_SLEEP, annotations={"cwhisk.cpu-guarantee": 0.6})
    plain = put(controller, f"{ns}/plain", limits={"memory": 128})
    running = controller.invoke(invoker, first, {"ms": 2000})
    wait_until(lambda: seen(invoker)["guaranteed"] == 0.6, what="the first has its guarantee")
    waiting = controller.invoke(invoker, second)
    assert finish(controller, invoker, plain)["result"]["runs"] == 1
    assert not running.acks() and not waiting.acks()
    running.finished(40)
    waiting.finished(40)  # the idle container of the first was given up for it
    wait_until(lambda: not [n for n in invoker.containers() if n.endswith("_first")], what="the first's container is gone")


@pytest.mark.parametrize("key, value, says", [
    ("cwhisk.cpu-guarantee", "all", 'annotation cwhisk.cpu-guarantee: "all", accepted: a number above 0 and below 1'),
    ("cwhisk.cpu-guarantee", 1, "annotation cwhisk.cpu-guarantee: 1, accepted: a number above 0 and below 1"),
    ("cwhisk.cpu-guarantee", 0.95, "annotation cwhisk.cpu-guarantee: 0.95, more than the 0.9 that this invoker can guarantee"),
    ("cwhisk.cpus", -1, "annotation cwhisk.cpus: -1, accepted: a number, 0.01..1024"),
    ("cwhisk.io-weight", [1], "annotation cwhisk.io-weight: [1], accepted: a whole number, 10..1000"),
])
def test_annotation_without_sense_is_one_clear_answer(invoker, controller, ns, key, value, says):
    response = finish(controller, invoker, put(controller, f"{ns}/act", annotations={key: value}))
    assert (response["statusCode"], response["result"]["error"]) == (2, says)


@WAYS
def test_quota_is_given_to_new_and_to_warm_containers(make_invoker, controller, docker, ns, way):
    invoker = make_invoker({"CWHISK_RESIZE": way}).start(controller)
    finish(controller, invoker, put(controller, f"{ns}/act", annotations={"cwhisk.cpus": 0.5}))
    name = container_of(invoker, ns)
    assert limits(docker, name)[1] == 50000
    newer = put(controller, f"{ns}/act", version="0.0.2", annotations={"cwhisk.cpus": 0.25, "cwhisk.io-weight": 200})
    assert finish(controller, invoker, newer)["result"]["runs"] == 2
    assert limits(docker, name)[1] == 25000
    without = finish(controller, invoker, put(controller, f"{ns}/act", version="0.0.3"))
    if way == "auto":
        assert without["result"]["runs"] == 3 and limits(docker, name)[1] is None
    else:  # an engine does not take a quota away: another container
        assert without["result"]["runs"] == 1
        wait_until(lambda: name not in invoker.containers(), what="the old one has gone")
        assert limits(docker, container_of(invoker, ns))[1] is None


def test_weight_that_somebody_else_wrote_is_set_again(make_invoker, controller, docker, ns):
    invoker = make_invoker().start(controller)
    finish(controller, invoker, put(controller, f"{ns}/sure", annotations={"cwhisk.cpu-guarantee": 0.5}))
    name = container_of(invoker, ns)
    docker.call("POST", f"/containers/{name}/update", {"CpuShares": 100})
    assert weight(docker, name) != BUDGET // 2
    wait_until(lambda: weight(docker, name) == BUDGET // 2, what="the weight is set again")
    assert seen(invoker)["reasserted"] >= 1


# Mounted read-only, in a mount namespace of the invoker's own.
READ_ONLY = ["unshare", "-m", "sh", "-c",
             "set -e; for m in $(awk '$2 ~ \"^/sys/fs/cgroup\" && $3 ~ \"^cgroup\" { print $2 }' /proc/mounts); do "
             "mount --bind $m $m; mount -o remount,bind,ro $m; done; exec \"$@\"", "sh"]


def test_with_read_only_groups_the_engine_changes_limits_and_freezes(make_invoker, controller, docker, monkeypatch, ns):
    monkeypatch.setattr(invoker_module, "WRAPPER", [*READ_ONLY, *invoker_module.WRAPPER])
    invoker = make_invoker({"CONFIG_whisk_containerProxy_timeouts_pauseGrace": "50 ms"}).start(controller)
    plain, sure = put(controller, f"{ns}one/plain", limits={"memory": 128}), \
        put(controller, f"{ns}/sure", annotations={"cwhisk.cpu-guarantee": 0.5})
    finish(controller, invoker, plain)
    name = container_of(invoker, f"{ns}one")
    usual = weight(docker, name)
    finish(controller, invoker, sure)
    wait_until(lambda: weight(docker, name) not in (usual, None), timeout=60, what="the engine has lowered it")
    assert invoker.log().count("Read-only file system") == 1  # one line, not one for each container
    # measured as ever, and paused by the engine, which knows of it then
    assert [c for c in invoker.http("/containers", auth=("invoker.user", "invoker.pass")).json()["containers"] if "usage" in c]
    wait_until(lambda: docker.inspect(name)["State"]["Paused"], timeout=60, what="paused by the engine")
    assert finish(controller, invoker, plain)["result"]["runs"] == 2


def test_idle_container_gives_back_memory_and_runs_again(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_SQUEEZE_AFTER": "500 ms"}).start(controller)
    code = "const fs = require('fs'); let runs = 0;\n" \
           "function main(a) { if (a.mb) { fs.writeFileSync('/tmp/x', Buffer.alloc(a.mb << 20, 1)); fs.readFileSync('/tmp/x'); }\n" \
           "  return {runs: ++runs}; }\n"
    action = put(controller, f"{ns}/act", code=code, limits={"memory": 512})
    finish(controller, invoker, action, {"mb": 40})
    wait_until(lambda: [c["squeezes"] for c in seen(invoker)["containers"]] == [1], what="it is squeezed")
    [container] = seen(invoker)["containers"]
    assert container["squeezedBytes"] > 1 << 20 and container["kernel"]["memoryLimit"] == 512 << 20
    assert finish(controller, invoker, action)["result"]["runs"] == 2
    assert f"cwhisk_resize_squeezed_bytes_total {seen(invoker)['squeezedBytes']}" in invoker.http("/metrics").text
