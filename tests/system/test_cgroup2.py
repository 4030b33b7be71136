"""Version 2 of control groups: an invoker and an engine in a machine of their own, which has nothing else. What the invoker
measures there and what it changes, against what that machine's kernel says."""

import re
import secrets

import pytest

from harness import wait
from harness.invoker import NATIVE_IMAGE
from harness.machine import Machine, MachineInvoker

AUTH = ("invoker.user", "invoker.pass")
MIB = 1 << 20
PATIENT = 180  # it is emulated
ACTION = """#!/bin/bash
number() { sed -n 's/.*"'$1'": *\\([0-9]*\\).*/\\1/p' <<<"$args"; }
args=$1
if ms=$(number burn) && [ -n "$ms" ]; then
    end=$((${EPOCHREALTIME/./} + ms * 1000))
    while [ ${EPOCHREALTIME/./} -lt $end ]; do :; done
fi
if mb=$(number hold) && [ -n "$mb" ]; then head -c ${mb}m /dev/zero | tail | wc -c >/dev/null; fi
if mb=$(number file) && [ -n "$mb" ]; then head -c ${mb}m /dev/urandom >/tmp/x; sync; cat /tmp/x >/dev/null; fi
if mb=$(number eat) && [ -n "$mb" ]; then exec tail /dev/zero; fi
if ms=$(number sleep) && [ -n "$ms" ]; then sleep $((ms / 1000)); fi
[ -e /tmp/id ] || echo $RANDOM$RANDOM >/tmp/id
echo '{"id": "'$(cat /tmp/id)'"}'
"""


def wait_until(condition, what):
    """Not too often: each look is a process there."""
    return wait.wait_until(condition, PATIENT, what, 0.5)


@pytest.fixture(scope="module")
def machine(cwhisk, kafka, couch, tmp_path_factory):
    machine = Machine(tmp_path_factory.mktemp("machine"), [int(kafka.hosts.rpartition(":")[2]), couch.port], "native")
    yield machine.ready()
    machine.stop()


@pytest.fixture(scope="module")
def invoker(machine, kafka, couch, controller, tmp_path_factory):
    number, unique = 77, f"s{secrets.token_hex(3)}"
    invoker = MachineInvoker(machine, kafka, couch, tmp_path_factory.mktemp("invoker"), number, unique, {
        "CWHISK_SQUEEZE_AFTER": "1 s", "CONFIG_whisk_containerProxy_timeouts_pauseGrace": "200 ms",
        "CONFIG_whisk_docker_client_timeouts_run": f"{PATIENT} seconds"}).start(controller, timeout=PATIENT)
    yield invoker
    invoker.discard()


def put(controller, path, annotations=None, **options):
    return controller.put(path, "blackbox", ACTION, image=NATIVE_IMAGE, annotations=annotations, **options)


def run(controller, invoker, action, **content):
    activation = controller.invoke(invoker, action, content)
    activation.finished(PATIENT)
    return activation.response()


def container(invoker, action):
    """Of GET /containers."""
    found = [c for c in invoker.http("/containers", auth=AUTH).json()["containers"] if c.get("action") == action.path]
    assert len(found) == 1, found
    return found[0]


def last_run(invoker, action, before):
    wait_until(lambda: container(invoker, action)["runs"] > before, "the run is measured")
    return container(invoker, action)


def member(invoker, name):
    """Of GET /resize."""
    [found] = [c for c in invoker.http("/resize", auth=AUTH).json()["containers"] if c["name"] == name]
    return found


class Group:
    """The kernel's files of a container."""

    def __init__(self, machine, container):
        self.machine, self.place = machine, f"/sys/fs/cgroup/docker/{container['id']}"

    def text(self, file):
        return self.machine.read(f"{self.place}/{file}")

    def number(self, file):
        first = self.text(file).split()[0]
        return None if first == "max" else int(first)

    def fields(self, file):
        return dict(line.split(None, 1) for line in self.text(file).splitlines())

    def write(self, file, text):
        self.machine.sh(f"echo {text} >{self.place}/{file}")


@pytest.fixture(scope="module")
def worker(invoker, controller):
    """worker(version, **of the action) → the action: revisions of one whose warm container goes on with all of them, since
    making another takes its time here."""
    ns = f"n{secrets.token_hex(4)}"

    def revision(version, **options):
        return put(controller, f"{ns}/work", version=version, **options)
    answer = run(controller, invoker, revision("0.0.1"))
    assert "id" in answer["result"], answer
    return revision


def test_figures_of_a_run_are_the_kernels(machine, invoker, controller, worker):
    action = worker("0.0.2")
    before = container(invoker, action)
    group = Group(machine, before)
    cpu_us = int(group.fields("cpu.stat")["usage_usec"])
    run(controller, invoker, action, burn=1000, hold=40, file=10)
    c = last_run(invoker, action, before["runs"])
    last, used_ns = c["lastRun"], (int(group.fields("cpu.stat")["usage_usec"]) - cpu_us) * 1000
    assert 0.1e9 < last["cpuNs"] <= used_ns and last["wallNs"] >= 1e9
    assert 40 * MIB <= last["peakBytes"] <= group.number("memory.peak") <= 256 * MIB
    assert last["workingSetBytes"] <= last["peakBytes"] and not last["partial"] and not last["overlapped"]
    assert not last["peakOfRun"]  # from Linux 6.12 it can be reset
    assert c["memoryLimit"] == group.number("memory.max") == 256 * MIB
    assert c["usage"]["pids"] >= 1 and last["oomKills"] == 0


def test_memory_of_a_container_at_work_is_protected(machine, invoker, controller, worker):
    action = worker("0.0.3")
    group = Group(machine, container(invoker, action))
    running = controller.invoke(invoker, action, {"sleep": 8000})
    wait_until(lambda: group.number("memory.low"), "some of it is protected")
    low = group.number("memory.low")
    assert MIB <= low <= 256 * MIB
    assert int(machine.read("/sys/fs/cgroup/docker/memory.low")) >= low  # or it would count for nothing
    running.finished(PATIENT)
    wait_until(lambda: group.number("memory.low") == 0, "it is idle")
    assert group.number("memory.high") is None


def test_throttling_by_a_quota_is_seen(machine, invoker, controller, worker):
    action = worker("0.0.4", annotations={"cwhisk.cpus": 0.2})
    before = container(invoker, action)
    run(controller, invoker, action, burn=1000)
    c = last_run(invoker, action, before["runs"])
    assert c["id"] == before["id"] and Group(machine, c).text("cpu.max") == "20000 100000"
    assert c["lastRun"]["throttledNs"] > 0 and c["lastRun"]["cpuNs"] < 0.5 * c["lastRun"]["wallNs"]
    run(controller, invoker, worker("0.0.5"))
    assert Group(machine, c).text("cpu.max") == "max 100000"


def test_memory_limit_of_a_warm_container_is_changed(machine, invoker, controller, worker):
    before = container(invoker, worker("0.0.5"))
    for version, memory in (("0.0.6", 128), ("0.0.7", 256)):
        run(controller, invoker, worker(version, limits={"memory": memory},
                                        annotations={"cwhisk.limits-by": {"by": "preopt", "memory": memory}}))
        c = container(invoker, worker(version, limits={"memory": memory}))
        assert c["id"] == before["id"] and Group(machine, c).number("memory.max") == memory * MIB


def test_block_io_weight_is_written_where_bfq_schedules(machine, invoker, controller, worker):
    assert "[bfq]" in machine.read("/sys/block/vda/queue/scheduler")
    action = worker("0.0.8", annotations={"cwhisk.io-weight": 300})
    run(controller, invoker, action)
    assert Group(machine, container(invoker, action)).text("io.bfq.weight") == "default 300"


def test_idle_container_is_frozen_squeezed_and_runs_again(machine, invoker, controller, worker):
    action = worker("0.0.9")
    before = run(controller, invoker, action, file=30)["result"]
    c = container(invoker, action)
    group = Group(machine, c)
    squeezed = member(invoker, c["name"])["squeezedBytes"]
    wait_until(lambda: group.fields("cgroup.events")["frozen"] == "1", "frozen")
    wait_until(lambda: member(invoker, c["name"])["squeezedBytes"] > squeezed + 10 * MIB, "squeezed by memory.reclaim")
    assert group.number("memory.max") == 256 * MIB and group.number("memory.high") is None
    assert not invoker.docker.inspect(c["id"])["State"]["Paused"]  # by the kernel's file, not by the engine
    assert run(controller, invoker, action)["result"] == before


def test_guarantee_is_kept_when_others_come_and_when_somebody_writes_over_it(machine, invoker, controller, worker, ns):
    plain, sure = worker("0.0.10"), put(controller, f"{ns}/sure", annotations={"cwhisk.cpu-guarantee": 0.5}, limits={"memory": 128})
    run(controller, invoker, plain)
    usual = Group(machine, container(invoker, plain)).number("cpu.weight")
    eaten = run(controller, invoker, sure, eat=1000)  # its process is killed for memory; the runtime lives, and answers
    assert eaten["statusCode"] == 2 and "error" in eaten["result"]
    wait_until(lambda: re.search(r"^cwhisk_run_oom_kills_total{[^}]*} [1-9]", invoker.http("/metrics").text, re.MULTILINE), "counted")
    run(controller, invoker, sure)
    groups = [Group(machine, container(invoker, a)) for a in (sure, plain)]
    wait_until(lambda: groups[0].number("cpu.weight") == 500, "its part of a budget of 1000")
    assert 0 < groups[1].number("cpu.weight") <= 500 - 500 // 8
    again = invoker.http("/resize", auth=AUTH).json()["reasserted"]
    groups[0].write("cpu.weight", 7)
    wait_until(lambda: groups[0].number("cpu.weight") == 500, "it is written again")
    assert invoker.http("/resize", auth=AUTH).json()["reasserted"] == again + 1
    invoker.docker.remove(container(invoker, sure)["id"])
    wait_until(lambda: groups[1].number("cpu.weight") == usual, "all as before")


def test_what_a_killed_invoker_left_frozen_is_removed_by_the_next(machine, invoker, controller, worker):
    action = worker("0.0.11")
    run(controller, invoker, action)
    c = container(invoker, action)
    wait_until(lambda: Group(machine, c).fields("cgroup.events")["frozen"] == "1", "frozen")
    invoker.kill()
    invoker.spawn()
    wait_until(lambda: c["name"] not in invoker.containers(), "removed")
    assert machine.sh(f"ls -d /sys/fs/cgroup/docker/{c['id']} 2>/dev/null", check=False).strip() == ""
