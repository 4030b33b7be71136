"""What runs take, as the invoker measures it, against what they did."""

import os
import re

from harness.code import NODE_ECHO
from harness.faults import FaultProxy
from harness.wait import wait_until

AUTH = ("invoker.user", "invoker.pass")
MIB = 1 << 20
BURN = """import time
def main(args):
    start = time.process_time()
    data = b'x' * args.get('bytes', 0)
    while time.process_time() - start < args.get('cpu', 0):
        pass
    return {'cpu': time.process_time() - start, 'bytes': len(data)}
"""


def page(invoker):
    return invoker.http("/containers", auth=AUTH).json()


def container_of(invoker, action):
    [found] = [c for c in page(invoker)["containers"] if c.get("action") == action.path]
    return found


def run(invoker, controller, action, **params):
    """→ the container, once its run has been counted."""
    before = [c["runs"] for c in page(invoker)["containers"] if c.get("action") == action.path]
    result = controller.invoke(invoker, action, params).response()["result"]
    wait_until(lambda: container_of(invoker, action)["runs"] > (before[0] if before else 0), what="the run is measured")
    return result, container_of(invoker, action)


def test_cpu_time_and_memory_of_a_run_are_what_it_took(invoker, controller, ns):
    action = controller.put(f"{ns}/burn", "python:3.11", BURN, limits={"memory": 256})
    run(invoker, controller, action)
    took, c = run(invoker, controller, action, cpu=0.5, bytes=64 * MIB)
    last = c["lastRun"]
    assert 0.95 * took["cpu"] <= last["cpuNs"] / 1e9 <= took["cpu"] + 0.3
    assert last["wallNs"] >= 0.95 * last["cpuNs"]
    assert 64 * MIB <= last["workingSetBytes"] <= 64 * MIB + 100 * MIB
    assert last["workingSetBytes"] <= last["peakBytes"] <= 256 * MIB
    assert last["oomKills"] == 0 and not last["overlapped"] and not last["partial"]
    assert c["memoryLimit"] == 256 * MIB and c["kind"] == "python:3.11" and c["usage"]["pids"] >= 1
    _, c = run(invoker, controller, action)
    assert c["lastRun"]["cpuNs"] < 0.3e9  # what the last one took is not this one's
    if c["lastRun"]["peakOfRun"]:
        assert c["lastRun"]["peakBytes"] < last["peakBytes"]


def test_throttled_time_of_a_run_is_reported(make_invoker, controller, ns):
    invoker = make_invoker({"CONFIG_whisk_containerFactory_containerArgs_extraArgs_cpus_0": "0.05"}).start(controller)
    action = controller.put(f"{ns}/held", "python:3.11", BURN)
    _, c = run(invoker, controller, action, cpu=0.05)
    last = c["lastRun"]
    starved = last["cpuNs"] < 0.05 * last["wallNs"]  # by others on this machine: it never got as far as its quota
    assert last["throttledNs"] > 0 or starved
    assert last["wallNs"] > 2 * last["cpuNs"]
    assert c["usage"]["throttledPeriods"] <= c["usage"]["periods"]


def test_paused_containers_rest_and_metrics_are_by_kind(make_invoker, controller, ns):
    invoker = make_invoker({"CONFIG_whisk_containerProxy_timeouts_pauseGrace": "50 ms"}).start(controller)
    action = controller.put(f"{ns}/calm", "nodejs:20", NODE_ECHO)
    run(invoker, controller, action)
    wait_until(lambda: container_of(invoker, action)["state"] == "paused", what="paused")
    assert container_of(invoker, action)["cpuMillis"] == 0
    text = invoker.http("/metrics").text
    assert 'cwhisk_run_cpu_seconds_count{kind="nodejs:20"} ' in text and 'cwhisk_containers{kind="nodejs:20"} 1\n' in text
    assert ns not in "".join(line for line in text.splitlines() if line.startswith(("cwhisk_run_", "cwhisk_container_")))


def samples(invoker):
    return float(re.search(r"^cwhisk_monitor_samples_total (\S+)$", invoker.http("/metrics").text, re.M).group(1))


def test_the_engine_is_not_asked_for_what_containers_use(make_invoker, controller, docker, ns, tmp_path):
    engine = FaultProxy(docker.path, str(tmp_path / "engine.sock"))
    invoker = make_invoker({"CWHISK_DOCKER_SOCKET": str(tmp_path / "engine.sock"),
                            "CONFIG_whisk_containerProxy_timeouts_pauseGrace": "10 minutes"}).start(controller)
    action = controller.put(f"{ns}/seen", "python:3.11", BURN)
    run(invoker, controller, action)
    wait_until(lambda: b"/start" in engine.said(), what="the container was made through the proxy")
    said, looks = len(engine.said()), samples(invoker)
    _, c = run(invoker, controller, action, cpu=0.1)
    assert c["lastRun"]["cpuNs"] > 0.09e9
    wait_until(lambda: samples(invoker) >= looks + 20, what="twenty more looks")
    asked = set(re.findall(rb"^([A-Z]+ \S+) HTTP", engine.said()[said:], re.M))
    assert asked <= {b"GET /_ping"}, asked  # whether it is there at all
    engine.close()


def test_host_totals_are_the_machines(invoker):
    wait_until(lambda: "cpuMillis" in page(invoker)["host"], what="the host was read")
    host = page(invoker)["host"]
    assert host["cores"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert host["memoryTotal"] == int(open("/proc/meminfo").readline().split()[1]) * 1024
    assert ("pressureMemory" in host) == os.path.exists("/proc/pressure/memory")


def test_without_sight_of_groups_actions_run_all_the_same(make_invoker, controller, ns, tmp_path):
    invoker = make_invoker({"CWHISK_CGROUP_ROOT": str(tmp_path)}).start(controller)
    _, c = run(invoker, controller, controller.put(f"{ns}/unseen", "nodejs:20", NODE_ECHO))
    assert "usage" not in c and "lastRun" not in c
    assert invoker.log().count("what it uses is not measured") == 1
