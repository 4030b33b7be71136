"""What runs used is learned, shared through Redis, and kept."""

import os
import secrets
import subprocess

import pytest

from harness.code import NODE_ECHO
from harness.invoker import binary
from harness.redis import Redis
from harness.wait import wait_until

CREDENTIALS = ("invoker.user", "invoker.pass")
MIB = 1 << 20


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path).start()
    yield server
    server.kill()


def profile(invoker, action):
    """→ {of: row}, empty when nothing is known."""
    answer = invoker.http(f"/profile?action={action.path}", auth=CREDENTIALS)
    if answer.status_code == 404:
        return {}
    assert answer.status_code == 200, answer.text
    return {row["of"]: row for row in answer.json()["profile"]}


def wait_runs(invoker, action, runs):
    wait_until(lambda: profile(invoker, action).get("action", {}).get("runs") == runs, timeout=20,
               what=lambda: f"{runs} runs: {profile(invoker, action)}")
    return profile(invoker, action)


def test_runs_of_all_invokers_are_counted_and_seen_by_all(make_invoker, controller, redis, ns):
    common = {"CWHISK_REDIS_HOSTS": redis.hosts, "CWHISK_CLUSTER": f"c{secrets.token_hex(3)}",
              "CWHISK_PLACEMENT_FORWARD": "false"}  # each runs what it is sent
    a, b, c = (make_invoker(common).start(controller) for _ in range(3))
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    for invoker, times in ((a, 3), (b, 4)):
        for _ in range(times):
            controller.invoke(invoker, action).finished()
    for invoker in (a, b):
        rows = wait_runs(invoker, action, 7)
        assert rows["image"]["runs"] == 7 and rows["kind"]["runs"] == 7
        assert MIB < rows["action"]["memoryBytes"] < 256 * MIB
        assert MIB < rows["need"]["memoryBytes"] < 256 * MIB and rows["need"]["why"].startswith("blend: ")
    elsewhere = wait_runs(c, action, 7)
    assert {of: row["memoryBytes"] for of, row in elsewhere.items()} == {of: row["memoryBytes"] for of, row in rows.items()}
    assert elsewhere["kind"]["runs"] == elsewhere["image"]["runs"] == 7, "c has not run it"
    assert redis.cli("ttl", f"cw:{common['CWHISK_CLUSTER']}:profile:action:{action.path}") != "-1"

    environment = {"PATH": os.environ["PATH"], "CWHISK_CTL_URL": f"http://127.0.0.1:{a.port}"}
    table = subprocess.run([str(binary()), "ctl", "profile", action.path], env=environment, capture_output=True, text=True, timeout=20,
                           check=True).stdout.splitlines()
    assert [row.split()[0] for row in table] == ["OF", "limit", "need", "action", "image", "kind"]


def test_redis_away_loses_no_evidence(make_invoker, controller, redis, ns):
    invoker = make_invoker({"CWHISK_REDIS_HOSTS": redis.hosts}).start(controller)
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    redis.kill()
    wait_until(lambda: not invoker.http("/hosts", auth=CREDENTIALS).json()["up"], what="Redis is missed")
    for _ in range(3):
        controller.invoke(invoker, action).finished()
    wait_runs(invoker, action, 3)
    redis.start()
    wait_until(lambda: redis.cli("exists", f"cw:default:profile:action:{action.path}") == "1", what="it is told to Redis")
    wait_runs(invoker, action, 3)


def test_without_redis_a_restart_does_not_forget(make_invoker, controller, tmp_path, ns):
    first = make_invoker({"CWHISK_DATA_DIR": str(tmp_path / "data")})
    (tmp_path / "data").mkdir()
    first.start(controller)
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    controller.invoke(first, action).finished()
    wait_runs(first, action, 1)
    assert first.terminate() == 0
    first.start(controller)
    wait_runs(first, action, 1)
    controller.invoke(first, action).finished()
    assert wait_runs(first, action, 2)["need"]["runs"] == 2


def test_an_action_that_never_ran_is_thought_to_need_what_its_kind_does(invoker, controller, ns):
    silent = controller.put(f"{ns}/silent", "nodejs:20", NODE_ECHO + "// another code", limits={"memory": 512})
    rows = profile(invoker, silent)
    assert rows["limit"]["memoryBytes"] == 512 * MIB and rows["action"]["runs"] == rows["image"]["runs"] == 0
    assert rows["action"]["why"] == f"{silent.path}: no run was measured of late"
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    before = rows["kind"]["runs"]
    for _ in range(3):
        controller.invoke(invoker, action).finished()
    rows = wait_until(lambda: p if (p := profile(invoker, silent))["kind"]["runs"] >= before + 3 else None, what="its kind was seen")
    assert rows["need"]["runs"] == 0 and rows["kind"]["memoryBytes"] < rows["need"]["memoryBytes"] < 512 * MIB


def test_what_is_asked_wrongly_is_refused(invoker):
    assert invoker.http("/profile", auth=CREDENTIALS).status_code == 400
    nobody = invoker.http("/profile?action=guest/nobody", auth=CREDENTIALS)
    assert nobody.status_code == 404 and "could not be found" in nobody.json()["error"]
    assert invoker.http("/profile?action=guest/nobody").status_code == 401
