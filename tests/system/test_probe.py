"""Actions under cwhisk-probe, on a host whose control groups the invoker is told that it cannot see."""

import os
import socket
from pathlib import Path

import pytest

from harness.code import NODE_ENV, NODE_LOG, OFFICIAL, texts
from harness.invoker import NATIVE_IMAGE, ROOT
from harness.wait import wait_until
# What actions do is the same with the probe: some of their cases once more, with this module's invoker.
from test_actions import test_native_code_as_zip, test_text_code  # noqa: F401
from test_monitor import AUTH, BURN, MIB, container_of, run

PROBE = Path(os.environ.get("CW_PROBE", ROOT / "build/ci/docker/probe/cwhisk-probe"))
HIDDEN = {"CWHISK_CGROUP_ROOT": "/does/not/exist", "CWHISK_PROBE_PATH": str(PROBE)}
INVOKER_ENV = HIDDEN
MASKED = {**HIDDEN, "CONFIG_whisk_containerFactory_containerArgs_extraArgs_tmpfs_0": "/sys/fs/cgroup"}


def inspect(invoker, c):
    return invoker.docker.inspect(c["id"])


def ask(invoker, c, token=None):
    """The container's probe itself → pairs, or None."""
    about = inspect(invoker, c)
    variables = dict(v.split("=", 1) for v in about["Config"]["Env"])
    address = about["NetworkSettings"]["IPAddress"]
    with socket.create_connection((address, int(variables["CWHISK_PROBE_PORT"])), timeout=20) as s:
        s.sendall(f"cwhisk-probe/1 {token or variables['CWHISK_PROBE_TOKEN']}\n".encode())
        text = s.makefile().readline()
    return dict(pair.split("=", 1) for pair in text.split()[1:]) if text else None


def has_told(invoker, action, cpu_ns):
    c = container_of(invoker, action)
    return c if c.get("usage", {}).get("cpuNs", 0) >= cpu_ns and "lastRun" in c else None


def burn(invoker, controller, ns, **params):
    """→ the container, when what it has done has been told."""
    action = controller.put(f"{ns}/burn", "python:3.11", BURN, limits={"memory": 256})
    run(invoker, controller, action)
    run(invoker, controller, action, **params)
    return wait_until(lambda: has_told(invoker, action, 0.9e9 * params["cpu"]), what="the probe's word")


def assert_sane(c):
    usage = c["usage"]
    assert usage["untrusted"] and c["lastRun"]["untrusted"]
    assert 0.45e9 <= usage["cpuNs"] <= 5e9
    assert 5 * MIB <= usage["workingSetBytes"] <= usage["peakBytes"] <= 256 * MIB
    assert usage["peakBytes"] >= 64 * MIB
    assert usage["pids"] >= 2


def test_a_container_with_hidden_control_groups_tells_what_it_uses(make_invoker, controller, ns):
    invoker = make_invoker(MASKED).start(controller)
    c = burn(invoker, controller, ns, cpu=0.5, bytes=64 * MIB)
    assert_sane(c)
    told = ask(invoker, c)
    assert told["source"] == "proc" and set(told["estimated"].split(",")) == {"cpu", "memory", "peak"}
    assert ask(invoker, c, "0" * 32) is None
    rows = {row["of"]: row for row in invoker.http(f"/profile?action={ns}/burn", auth=AUTH).json()["profile"]}
    assert rows["told"]["runs"] >= 1 and rows["need"]["memoryBytes"] < rows["limit"]["memoryBytes"]
    assert rows["charge"]["memoryBytes"] == rows["limit"]["memoryBytes"] == 256 * MIB  # a container's own word admits nobody


def test_a_container_that_sees_its_own_groups_tells_the_kernels_figures(invoker, controller, ns):
    c = burn(invoker, controller, ns, cpu=0.5, bytes=64 * MIB)
    assert_sane(c)
    told = ask(invoker, c)
    assert told["source"].startswith("cgroup") and told["estimated"] == "-"
    assert int(told["cpu_ns"]) >= 0.45e9 and int(told["oom_kills"]) == 0


def test_actions_see_nothing_of_the_probe(invoker, controller, ns):
    action = controller.put(f"{ns}/env", "nodejs:20", NODE_ENV)
    result = controller.invoke(invoker, action).response()["result"]
    assert not [key for key in [*result["init"], *result["run"]] if "PROBE" in key]


def test_logs_and_their_sentinels_are_untouched(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "nodejs:20", NODE_LOG)
    for _ in range(2):
        assert sorted(texts(controller.invoke(invoker, action).finished())) == [("stderr", "to err"), ("stdout", "to out")]


@pytest.mark.skipif(OFFICIAL, reason="these images have another command")
def test_what_runs_is_the_images_own_command(invoker, controller, ns):
    action = controller.put(f"{ns}/own", "blackbox", None, image=NATIVE_IMAGE)
    controller.invoke(invoker, action).response()
    about = inspect(invoker, container_of(invoker, action))
    assert about["Config"]["Entrypoint"] == ["/.cwhisk-probe", "--"] and about["Config"]["Cmd"] == ["/proxy"]
    assert [m["Source"] for m in about["Mounts"]] == [str(PROBE)] and not about["Mounts"][0]["RW"]


def test_without_the_probe_on_the_host_actions_run_and_it_is_said_once(make_invoker, controller, ns):
    invoker = make_invoker({**HIDDEN, "CWHISK_PROBE_PATH": "/does/not/exist/probe"}).start(controller)
    for n in range(2):
        action = controller.put(f"{ns}/plain{n}", "nodejs:20", NODE_ENV)
        assert controller.invoke(invoker, action).response()["statusCode"] == 0
    assert invoker.log().count("is not on the engine's host: containers run without probes") == 1


def test_where_groups_are_seen_there_is_no_probe(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_PROBE_PATH": str(PROBE)}).start(controller)
    action = controller.put(f"{ns}/seen", "nodejs:20", NODE_ENV)
    controller.invoke(invoker, action).response()
    c = container_of(invoker, action)
    assert not inspect(invoker, c)["Mounts"] and "untrusted" not in c["usage"]
    assert invoker.http("/containers", auth=AUTH).status_code == 200


def test_a_probe_that_is_always_there_is_not_asked_where_groups_are_seen(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_PROBE": "always", "CWHISK_PROBE_PATH": str(PROBE)}).start(controller)
    action = controller.put(f"{ns}/both", "python:3.11", BURN)
    run(invoker, controller, action, cpu=0.2)
    c = container_of(invoker, action)
    assert inspect(invoker, c)["Config"]["Entrypoint"][0] == "/.cwhisk-probe"
    assert "untrusted" not in c["usage"] and "untrusted" not in c["lastRun"]
