"""What a container is charged, and what holds new ones back."""

import re
from pathlib import Path

import pytest

from harness.code import NODE_ECHO, NODE_SLEEP
from harness.wait import wait_until

INFERRED = {"CWHISK_ADMISSION": "inferred", "CWHISK_ADMISSION_CPU_STALL": "0", "CWHISK_ADMISSION_MEMORY_STALL": "0",  # the machine is busy with other tests
            "CONFIG_whisk_containerPool_userMemory": "512 m"}
LARGE = {"memory": 512}
ROOT = Path("/sys/fs/cgroup")
PARENT = "CONFIG_whisk_containerFactory_containerArgs_extraArgs_cgroupParent_0"


@pytest.fixture
def group(ns):
    """A group of the test's own, which the engine makes; gone when its containers are."""
    name = f"cwhisk-{ns}"
    yield name
    for folder in [ROOT / name, *ROOT.glob(f"*/{name}")]:
        if folder.exists() and not folder.is_symlink():
            folder.rmdir()


def test_declared_memory_is_never_exceeded(make_invoker, controller, ns):
    invoker = make_invoker({**INFERRED, "CWHISK_ADMISSION": "declared"}).start(controller)
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP, limits=LARGE)
    runs = [controller.invoke(invoker, action, {"ms": 500, "n": n}) for n in range(3)]
    for run in runs:
        run.finished(40)
        assert len(invoker.containers()) == 1
    assert len({run.response()["result"]["id"] for run in runs}) == 1


def test_inferred_needs_let_more_run_than_was_declared(make_invoker, controller, docker, ns):
    invoker = make_invoker(INFERRED).start(controller)
    warm = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO, limits=LARGE)
    for n in range(10):
        controller.invoke(invoker, warm, {"n": n}).finished(40)
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP, limits=LARGE)
    runs = [controller.invoke(invoker, action, {"ms": 4000, "n": n}) for n in range(3)]
    wait_until(lambda: len(invoker.containers()) >= 4, 30, "containers of 512 MB beside each other")
    for run in runs:
        assert run.response(40)["statusCode"] == 0
    for container in invoker.containers():
        host = docker.inspect(container)["HostConfig"]
        assert host["Memory"] == 512 << 20  # the limit is what was declared
        assert host["OomScoreAdj"] == 500
    assert controller.pings(invoker)[-1].json["name"]["userMemory"] == "536870912 B"


def test_cold_starts_wait_for_each_other(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_ADMISSION_COLD_STARTS": "1"}).start(controller)
    actions = [controller.put(f"{ns}/echo{n}", "nodejs:20", NODE_ECHO) for n in range(4)]
    for run in [controller.invoke(invoker, action, {"n": n}) for n, action in enumerate(actions)]:
        assert run.response(60)["statusCode"] == 0
    assert "no new containers for now: cold-starts" in invoker.log()


def test_limit_of_the_group_counts_when_it_is_changed(group, make_invoker, controller, ns):
    invoker = make_invoker({**INFERRED, PARENT: f"/{group}", "CWHISK_ADMISSION_MEMORY_FLOOR": "64 m"}).start(controller)
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    controller.invoke(invoker, action).finished(40)
    limit = next(f for f in (ROOT / "memory" / group / "memory.limit_in_bytes", ROOT / group / "memory.max") if f.exists())

    def total():
        return float(re.search(r'^cwhisk_invoker_memory_bytes\{state="total"\} (\S+)$', invoker.http("/metrics").text, re.M).group(1))
    for limit_mb in (1024, 1536):
        limit.write_text(str(limit_mb << 20))
        wait_until(lambda want=(limit_mb - 64) << 20: total() == want, what=f"{limit_mb} MB less the floor")
    assert controller.invoke(invoker, action).response(40)["statusCode"] == 0
