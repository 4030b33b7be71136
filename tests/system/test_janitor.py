"""What an operator sees of containers: their operations, their events, and what is cleaned up."""

import json
import os
import re
import subprocess

from harness.code import NODE_ECHO
from harness.invoker import binary
from harness.wait import PATIENCE, wait_until

OPERATIONS = ["create", "connect", "start", "die", "disconnect", "destroy"]


def ctl(invoker, *words):
    done = subprocess.run([str(binary()), "ctl", "--url", f"http://127.0.0.1:{invoker.port}", *words],
                          env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60 * PATIENCE)
    return done.returncode, done.stdout, done.stderr


def ctl_json(invoker, *words):
    status, out, err = ctl(invoker, "--json", *words)
    assert status == 0, err
    return json.loads(out)


def counts(invoker):
    """{operation: how many were timed}"""
    found = re.findall(r'^cwhisk_container_operation_seconds_count\{operation="(\w+)"\} (\d+)$', invoker.http("/metrics").text, re.M)
    return {name: int(value) for name, value in found}


def test_operations_are_timed_and_told_in_order(make_invoker, controller, ns):
    invoker = make_invoker({"CONFIG_whisk_containerProxy_timeouts_idleContainer": "300 ms",
                            "CONFIG_whisk_containerProxy_timeouts_pauseGrace": "50 ms"}).start(controller)
    action = controller.put(f"{ns}/lived", "nodejs:20", NODE_ECHO)
    assert controller.invoke(invoker, action, {"a": 1}).finished()
    wait_until(lambda: counts(invoker).get("destroy") == 1, what=lambda: f"the container's end is timed: {counts(invoker)}")
    assert counts(invoker) == {**dict.fromkeys(OPERATIONS, 1), "attach": 0}
    events = ctl_json(invoker, "events")["events"]
    assert [event["event"] for event in events if event["event"] in OPERATIONS] == OPERATIONS
    assert all(event["tookUs"] >= 0 and event["container"].startswith(invoker.prefix) for event in events)
    assert next(event for event in events if event["event"] == "die")["detail"] == "exit code 137"
    status, table, _ = ctl(invoker, "events")
    assert status == 0 and len(table.splitlines()) == len(events) + 1 and table.split()[:2] == ["TIME", "EVENT"]
