"""Invokers of one cluster see each other through Redis."""

import json
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from harness.code import NODE_ECHO
from harness.invoker import binary
from harness.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
SHIM = Path(os.environ.get("CW_CLOCK_SHIM", ROOT / "build/ci/tests/support/libcw_clock_shim.so"))
CREDENTIALS = ("invoker.user", "invoker.pass")


@pytest.fixture
def make_cluster(make_invoker, controller, redis):
    """make_cluster(*environments) → started invokers of one cluster, one for each."""
    def maker(*environments):
        cluster = f"c{secrets.token_hex(3)}"
        common = {"CWHISK_REDIS_HOSTS": redis.hosts, "CWHISK_CLUSTER": cluster}
        return [make_invoker({**common, **more}).start(controller) for more in environments]
    return maker


def page(invoker):
    return invoker.http("/hosts", auth=CREDENTIALS).json()


def states(invoker):
    """→ {number: state} as that invoker sees it."""
    return {host["invoker"]: host["state"] for host in page(invoker)["hosts"]}


def seen_of_others(*invokers):
    return [host for invoker in invokers for host in page(invoker)["hosts"] if not host["self"]]


def wait_states(invoker, expected, what):
    wait_until(lambda: states(invoker) == expected, timeout=20, what=lambda: f"{what}: {states(invoker)}")


def all_up(*invokers):
    return {invoker.number: "up" for invoker in invokers}


def test_three_see_each_other_and_miss_the_one_that_is_killed(make_cluster, controller, ns):
    a, b, c = make_cluster({}, {"CONFIG_whisk_containerPool_userMemory": "1024 m"}, {})
    for invoker in (a, b, c):
        wait_states(invoker, all_up(a, b, c), "all are up")
    host = next(h for h in page(a)["hosts"] if h["invoker"] == b.number)
    assert host["memoryTotal"] == 1 << 30 and host["topic"] == f"cwhisk{b.number}"
    assert [h["invoker"] for h in page(a)["hosts"] if h["self"]] == [a.number]

    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    controller.invoke(b, action).finished()
    wait_until(lambda: sum(h["idle"] == 1 and h["warmPairs"] == 1 for h in seen_of_others(a, b, c)) == 2,
               what="the other two learn of the warm container, wherever it is")

    c.kill()
    for invoker in (a, b):
        wait_states(invoker, {**all_up(a, b), c.number: "dead"}, "the killed one is dead")
    assert f"host {c.number} is gone" in a.log()
    assert b.terminate() == 0
    wait_until(lambda: b.number not in states(a), what="who ends in order is forgotten")
    assert f"host {b.number} has left" in a.log()


def test_without_redis_an_invoker_is_on_its_own_and_goes_on(make_cluster, controller, redis, ns):
    a, b = make_cluster({}, {})
    wait_states(a, all_up(a, b), "both are up")
    redis.kill()
    wait_states(a, {a.number: "up", b.number: "dead"}, "alone")
    assert page(a)["up"] is False
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    activation = controller.invoke(a, action, {"x": 1})
    assert activation.finished()["response"]["result"] == {"x": 1}
    assert a.log().count("no other hosts are seen until redis is there") == 1
    redis.start()
    for invoker in (a, b):
        wait_states(invoker, all_up(a, b), "together again")


def test_an_invoker_starts_and_works_while_redis_is_away(make_invoker, controller, redis, ns):
    redis.kill()
    invoker = make_invoker({"CWHISK_REDIS_HOSTS": redis.hosts}).start(controller)
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    assert controller.invoke(invoker, action, {"x": 1}).finished()["response"]["result"] == {"x": 1}
    assert page(invoker) | {"hosts": None} == {"hosts": None, "members": 1, "kv": "redis", "up": False}
    assert invoker.terminate() == 0


def test_clocks_on_the_wall_do_not_matter(make_cluster, tmp_path):
    assert SHIM.exists(), f"{SHIM} does not exist (build it, or set CW_CLOCK_SHIM)"
    environments = []
    for seconds in (2, -2):
        clock = tmp_path / f"clock{seconds}"
        clock.write_bytes(seconds.to_bytes(8, "little", signed=True))
        environments.append({"LD_PRELOAD": str(SHIM), "CW_CLOCK_FILE": str(clock),
                             "ASAN_OPTIONS": "detect_leaks=1:verify_asan_link_order=0"})
    a, b, c = make_cluster(*environments, {})
    for invoker in (a, b, c):
        wait_states(invoker, all_up(a, b, c), "all are up")
    last = {}

    def each_is_heard_again():
        for invoker in (a, b, c):
            for host in page(invoker)["hosts"]:
                assert host["state"] == "up"
                if not host["self"]:
                    last.setdefault((invoker.number, host["invoker"]), []).append(host["ageMs"])
        return len(last) == 6 and all(any(later < earlier for earlier, later in zip(ages, ages[1:])) for ages in last.values())
    wait_until(each_is_heard_again, what=lambda: f"new states of all: {last}", interval=0.1)
    for invoker in (a, b, c):
        assert "is gone" not in invoker.log()


def test_what_others_write_is_not_believed(make_cluster, redis):
    a, b = make_cluster({}, {})
    wait_states(a, all_up(a, b), "both are up")
    cluster = a.env["CWHISK_CLUSTER"]
    redis.cli("hset", f"cw:{cluster}:host:900001", "v", "2", "topic", "x")
    redis.cli("hset", f"cw:{cluster}:host:900002", "v", "1", "cpuTotal", "-5")
    redis.cli("set", f"cw:{cluster}:host:900003", "no hash")
    redis.cli("hset", f"cw:{cluster}:warm:{b.number}", "zzzz", "many")
    redis.cli("set", f"cw:{cluster}:warm:{a.number}", "no hash")
    for name in ("host:900001", "host:900002", "host:900003", "host:x", "else"):
        redis.cli("sadd", f"cw:{cluster}:hosts", f"cw:{cluster}:{name}")
    for number in (900001, 900002, 900003):
        wait_until(lambda n=number: f"host {n} is ignored" in a.log(), what=f"the line about {number}")
    wait_until(lambda: page(a)["members"] == 5, what="the index was read")
    wait_states(a, all_up(a, b), "the real ones")
    assert a.log().count("is ignored") == 3, "one line each"
    wait_until(lambda: b.log().count(f"warm containers of host {a.number} are not known") == 1, what="a line about these")
    before = page(b)["hosts"]
    wait_until(lambda: page(b)["hosts"] != before, what="they are read again")
    assert b.log().count(f"warm containers of host {a.number} are not known") == 1


def test_ctl_shows_the_hosts(make_cluster):
    a, b = make_cluster({}, {})
    wait_states(a, all_up(a, b), "both are up")
    environment = {"PATH": os.environ["PATH"], "CWHISK_CTL_URL": f"http://127.0.0.1:{a.port}"}
    table = subprocess.run([str(binary()), "ctl", "hosts"], env=environment, capture_output=True, text=True, timeout=20, check=True).stdout
    rows = table.splitlines()
    assert rows[0].split()[:3] == ["INVOKER", "STATE", "RUNNING"] and len(rows) == 3
    assert {row.split()[0] for row in rows[1:]} == {str(a.number), str(b.number)}
    text = subprocess.run([str(binary()), "ctl", "--json", "hosts"], env=environment, capture_output=True, text=True, timeout=20, check=True).stdout
    assert {host["invoker"] for host in json.loads(text)["hosts"]} == {a.number, b.number}


def test_settings_of_redis_that_make_no_sense_end_the_start(make_invoker):
    for value, part in (("a:0", "a server's port"), (":1", "1..16 servers"), ("x,,y", "1..16 servers"), ("::1", "is no server")):
        invoker = make_invoker({"CWHISK_REDIS_HOSTS": value}).spawn()
        assert invoker.wait_exit() == 1
        assert "cwhisk.redis" in invoker.log() and part in invoker.log(), invoker.tail()
