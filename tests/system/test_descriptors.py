"""File descriptors run out under a working invoker, and come back."""

import os
import resource
import socket

from harness.code import NODE_ECHO, NODE_SLEEP
from harness.wait import wait_until

TICKS = os.sysconf("SC_CLK_TCK")


def open_files(invoker):
    return len(os.listdir(f"/proc/{invoker.process.pid}/fd"))


def cpu_seconds(invoker):
    with open(f"/proc/{invoker.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def set_limit(invoker, soft):
    """→ the limits before."""
    _, hard = resource.prlimit(invoker.process.pid, resource.RLIMIT_NOFILE)
    return resource.prlimit(invoker.process.pid, resource.RLIMIT_NOFILE, (soft, hard))


def lowest_free(invoker):
    used = {int(name) for name in os.listdir(f"/proc/{invoker.process.pid}/fd")}
    return next(n for n in range(1 << 20) if n not in used)


def metric(invoker, name):
    [line] = [line for line in invoker.http("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(line.split()[1])


def test_limit_is_raised_at_the_start(make_invoker, controller):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        invoker = make_invoker().start(controller)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(invoker.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def test_without_descriptors_what_runs_goes_on_and_new_work_waits(make_invoker, controller, docker, ns):
    invoker = make_invoker().start(controller)
    echo = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    sleep = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP.replace("const n", "console.log('started'); const n"))
    controller.invoke(invoker, echo, {"n": 0}).finished()
    controller.invoke(invoker, sleep, {"ms": 0}).finished()
    running = controller.invoke(invoker, sleep, {"ms": 4000})
    wait_until(lambda: any(docker.logs(name).count("started") == 2 for name in invoker.containers()), what="the long run")

    before = set_limit(invoker, lowest_free(invoker) + 2)
    wait_until(lambda: "file descriptors are left (Too many open files" in invoker.log(), what="the shortage is told")
    waiting = [controller.invoke(invoker, echo, {"n": n}) for n in range(1, 4)]
    callers = [socket.create_connection(("127.0.0.1", invoker.port), timeout=5) for _ in range(20)]  # nobody can accept them
    began = cpu_seconds(invoker)
    assert running.response()["statusCode"] == 0
    pings = len(controller.pings(invoker))
    wait_until(lambda: len(controller.pings(invoker)) >= pings + 2, what="pings go on")
    assert cpu_seconds(invoker) - began < 2, "the loop spins"
    assert not any(activation.acks() for activation in waiting)
    assert invoker.log().count("file descriptors are left") == 1

    set_limit(invoker, before[0])
    for n, activation in enumerate(waiting, 1):
        assert activation.response()["result"] == {"n": n}
        activation.finished()
    running.finished()
    for caller in callers:
        caller.close()
    wait_until(lambda: invoker.http("/ping").status_code == 200, what="callers are heard again")
    assert metric(invoker, "cwhisk_descriptors_short") == 0 and metric(invoker, "cwhisk_descriptors_short_total") == 1
    assert "there are file descriptors again" in invoker.log()
    assert open_files(invoker) < 200
