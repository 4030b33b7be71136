"""What an operator sees of containers: their operations, their events, and what is cleaned up."""

import json
import os
import re
import subprocess

from harness.code import NODE_ECHO
from harness.invoker import binary
from harness.wait import PATIENCE, wait_until

IMAGE = "whisk/action-nodejs-v20:local"
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


def test_operations_are_timed_and_told_in_order(make_invoker, controller, ns, tmp_path):
    invoker = make_invoker({"CWHISK_EVENTS_FILE": str(tmp_path / "events.json"),
                            "CONFIG_whisk_containerProxy_timeouts_idleContainer": "300 ms",
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
    lines = wait_until(lambda: found if len(found := (tmp_path / "events.json").read_text().splitlines()) >= len(events) else None,
                       60, "the events are in the file, too")
    assert [json.loads(line) for line in lines[:len(events)]] == events


def test_containers_are_shown_with_what_they_use(make_invoker, controller, ns):
    invoker = make_invoker().start(controller)
    action = controller.put(f"{ns}/used", "nodejs:20", NODE_ECHO)
    assert controller.invoke(invoker, action, {"a": 1}).finished()
    row = wait_until(lambda: next((row for row in ctl_json(invoker, "containers")["containers"] if "memoryUsed" in row), None),
                     what="the container's memory is known")
    assert row["name"] in invoker.containers() and row["action"].endswith("/used") and row["memoryLimit"] == 256 << 20
    status, table, _ = ctl(invoker, "containers")
    assert status == 0 and table.startswith("ACTION") and row["name"] in table and "256.0 MiB" in table
    needed = wait_until(lambda: next((row for row in ctl_json(invoker, "containers")["containers"] if "memoryNeed" in row), None),
                        60, "the run is in the profile")
    assert 0 < needed["cpuNeed"] and 1 << 20 < needed["memoryNeed"] <= 256 << 20
    assert [row["of"] for row in ctl_json(invoker, "profile", action.path)["profile"]] == ["limit", "need", "action", "image", "kind"]
    status, _, says = ctl(invoker, "profile", "a/b")
    assert status == 5 and "nothing is known of this action" in says


def lay_out(docker, invoker, cluster="blue"):
    """Containers that somebody left: → (names that are ours, names that are not)"""
    def create(name, start=False, **labels):
        docker.call("POST", f"/containers/create?name={name}",
                    {"Image": IMAGE, "Labels": {f"org.cwhisk.{key}": value for key, value in labels.items()}})
        if start:
            docker.call("POST", f"/containers/{name}/start")
        return name
    ours = [create(f"{invoker.prefix}901_guest_stopped", cluster=cluster, action="guest/stopped"),
            create(f"{invoker.prefix}902_guest_runs", start=True, cluster=cluster),
            create(f"{invoker.prefix}903_stock", start=True)]
    docker.pause(ours[2])
    foreign = [create(f"{invoker.prefix}x_guest_hello", start=True, cluster=cluster), create(f"{invoker.prefix}904", cluster=cluster),
               create(f"my-{invoker.prefix}905_guest_hello", start=True), create(f"{invoker.prefix}906_guest_hello", cluster="green")]
    return ours, foreign


def removed(invoker):
    """{reason: how many}"""
    found = re.findall(r'^cwhisk_janitor_removed_total\{reason="(\w+)"\} (\d+)$', invoker.http("/metrics").text, re.M)
    return {reason: int(value) for reason, value in found if value != "0"}


def test_clean_removes_what_is_ours_and_only_that(make_invoker, controller, docker, ns):
    invoker = make_invoker().start(controller)
    action = controller.put(f"{ns}/held", "nodejs:20", NODE_ECHO)
    assert controller.invoke(invoker, action, {"a": 1}).finished()
    held = list(invoker.containers())
    ours, foreign = lay_out(docker, invoker, "")
    try:
        shown = ctl_json(invoker, "clean", "--dry-run")
        assert {row["name"]: row["reason"] for row in shown["containers"]} == dict(zip(ours, ["stopped", "orphaned", "orphaned"]))
        assert shown["dryRun"] and [row["result"] for row in shown["containers"]] == ["would be removed"] * 3
        assert removed(invoker) == {} and all(docker.inspect(name) for name in ours)
        status, table, err = ctl(invoker, "clean")
        assert status == 0, err
        assert "3 of " in table and table.count(" removed") == 4 and "guest/stopped" in table
        left = docker.containers("")
        assert set(foreign) | set(held) <= set(left) and not set(ours) & set(left)
        assert removed(invoker) == {"stopped": 1, "orphaned": 2}
        running = next(row for row in shown["containers"] if row["name"] == ours[1])
        assert running["memoryBytes"] > 0 and running["ageMs"] >= 0
        cleaned = [event for event in ctl_json(invoker, "events")["events"] if event["event"] == "clean"]
        assert sorted(event["container"] for event in cleaned) == sorted(ours)
        assert ctl_json(invoker, "clean")["containers"] == []
    finally:
        for name in [*ours, *foreign]:
            docker.remove(name)


def test_rounds_clean_by_themselves_and_a_dry_run_only_says_so(make_invoker, controller, docker):
    invoker = make_invoker({"CWHISK_JANITOR_INTERVAL": "300 ms", "CWHISK_JANITOR_DRY_RUN": "true"}).start(controller)
    ctl(invoker, "clean", "--dry-run")  # answered when the clean-up of the start, which is no dry run, is over
    ours, foreign = lay_out(docker, invoker, "")
    try:
        wait_until(lambda: f"{ours[0]} (stopped, stopped) would be removed" in invoker.log(), what="the round says what it would do")
        assert set(ours) <= set(docker.containers(""))
        invoker.terminate()
        second = make_invoker({"CWHISK_JANITOR_INTERVAL": "300 ms"}, number=invoker.number, unique=invoker.unique).start(controller)
        wait_until(lambda: not set(ours) & set(docker.containers("")), what="the start removes them")
        docker.run(IMAGE, ours[0])
        wait_until(lambda: ours[0] not in docker.containers(""), what="a round removes it")
        assert set(foreign) <= set(docker.containers(""))
        assert removed(second)["orphaned"] >= 1
    finally:
        for name in [*ours, *foreign]:
            docker.remove(name)


def test_containers_of_a_killed_invoker_go_and_those_of_a_living_one_stay(make_invoker, controller, docker, ns):
    cluster = {"CWHISK_JANITOR_OTHERS": "true", "CWHISK_JANITOR_OTHERS_AFTER": "1 s", "CWHISK_JANITOR_INTERVAL": "500 ms",
               "CONFIG_whisk_kafka_consumer_sessionTimeoutMs": "6000", "CONFIG_whisk_kafka_consumer_heartbeatIntervalMs": "1000"}
    named = {"INVOKER_OPTS": f"-Dcwhisk.cluster={ns}"}
    plain = {key: value for key, value in cluster.items() if "JANITOR" not in key}
    killed, living, other = (make_invoker({**env, **named}) for env in (plain, cluster, plain))
    for invoker in (killed, other, living):
        invoker.start(controller)
        action = controller.put(f"{ns}/of{invoker.number}", "nodejs:20", NODE_ECHO)
        assert controller.invoke(invoker, action, {"a": 1}).finished()
    killed.kill()
    wait_until(lambda: not killed.containers(), timeout=40, what=lambda: f"its containers go:\n{living.tail()}")
    assert len(other.containers()) == 1 and len(living.containers()) == 1
    assert removed(living) == {"orphaned": 1}
    assert "cwhisk.janitor.others: needs cwhisk.cluster" in refusal(make_invoker(cluster))


def refusal(invoker):
    invoker.spawn()
    assert invoker.wait_exit() == 1
    return invoker.log()
