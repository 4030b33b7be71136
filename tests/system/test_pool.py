"""Which container an activation runs in: reuse, sharing, waiting, eviction, death."""

import copy
import json
import subprocess
import time

import pytest

from harness.code import NODE_ID, NODE_SLEEP, PYTHON_ID, annotations
from harness.controller import identity
from harness.invoker import MANIFEST
from harness.wait import wait_until


def run(controller, invoker, action, content=None, **options):
    """→ result, after the container is free again."""
    activation = controller.invoke(invoker, action, content, **options)
    activation.finished(40)
    return activation.response()["result"]


@pytest.mark.parametrize("kind, code", [("nodejs:20", NODE_ID), ("python:3.11", PYTHON_ID)])
def test_second_run_is_warm(invoker, controller, ns, kind, code):
    action = controller.put(f"{ns}/warm", kind, code)
    cold, warm = controller.invoke(invoker, action), None
    cold.finished()
    warm = controller.invoke(invoker, action)
    warm.finished()
    assert [a.response()["result"]["runs"] for a in (cold, warm)] == [1, 2]
    assert cold.response()["result"]["id"] == warm.response()["result"]["id"]
    assert "initTime" in annotations(cold.record()) and "initTime" not in annotations(warm.record())


def test_a_burst_of_short_runs_waits_for_the_container_that_is_there(invoker, controller, ns):
    action = controller.put(f"{ns}/short", "nodejs:20", NODE_SLEEP)
    for _ in range(3):
        controller.invoke(invoker, action, {"ms": 5}).finished(40)
    burst = [controller.invoke(invoker, action, {"ms": 5}) for _ in range(6)]
    assert [activation.response(60)["statusCode"] for activation in burst] == [0] * 6
    [line] = [line for line in invoker.http("/metrics").text.splitlines() if line.startswith("cwhisk_activation_parked_total ")]
    assert float(line.split()[1]) >= 1


def test_namespaces_do_not_share_containers(invoker, controller, ns):
    action = controller.put(f"{ns}/shared", "nodejs:20", NODE_ID, publish=True)
    ids = [run(controller, invoker, action, user=identity(f"{ns}{suffix}"))["id"] for suffix in ("a", "b", "a", "b")]
    assert ids[0] == ids[2] != ids[1] == ids[3]


def test_actions_do_not_share_containers(invoker, controller, ns):
    one, two = (controller.put(f"{ns}/{name}", "nodejs:20", NODE_ID) for name in ("one", "two"))
    assert run(controller, invoker, one)["id"] != run(controller, invoker, two)["id"]


def test_changed_code_needs_a_new_container(invoker, controller, ns):
    action = controller.put(f"{ns}/changing", "nodejs:20", NODE_ID)
    before = run(controller, invoker, action)["id"]
    changed = controller.put(f"{ns}/changing", "nodejs:20", NODE_ID + "// changed\n")  # recreated: again version 0.0.1
    after = run(controller, invoker, changed)
    assert after["id"] != before and after["runs"] == 1


def test_identical_recreated_action_keeps_its_container(invoker, controller, ns):
    action = controller.put(f"{ns}/same", "nodejs:20", NODE_ID)
    before = run(controller, invoker, action)
    controller.couch.delete(controller.couch.whisks, action.path)
    again = controller.put(f"{ns}/same", "nodejs:20", NODE_ID)
    after = run(controller, invoker, again)
    assert (after["id"], after["runs"]) == (before["id"], 2)


def test_one_at_a_time_without_concurrency(invoker, controller, ns):
    action = controller.put(f"{ns}/single", "nodejs:20", NODE_SLEEP)
    both = [controller.invoke(invoker, action, {"ms": 1500}) for _ in range(2)]
    results = [a.response()["result"] for a in both]
    assert results[0]["id"] != results[1]["id"] and [r["n"] for r in results] == [1, 1]


MEETING = "const id = Math.random().toString(36); let here = 0; const waiting = [];\n" \
          "function main(a) { return new Promise((r) => { waiting.push(r);\n" \
          "  if (++here >= a.guests) { waiting.forEach((w) => w({id, here})); waiting.length = 0; here = 0; } }); }\n"


def test_concurrent_runs_share_one_container(invoker, controller, ns):
    action = controller.put(f"{ns}/meeting", "nodejs:20", MEETING, limits={"concurrency": 5, "timeout": 10000})
    opener = run(controller, invoker, action, {"guests": 1})
    together = [controller.invoke(invoker, action, {"guests": 5}) for _ in range(5)]
    assert [a.response()["result"] for a in together] == [{"id": opener["id"], "here": 5}] * 5
    for activation in together:
        record = activation.finished()
        assert "initTime" not in annotations(record)


def test_concurrent_runs_wait_for_one_cold_container(invoker, controller, ns):
    action = controller.put(f"{ns}/meeting", "nodejs:20", MEETING, limits={"concurrency": 4, "timeout": 10000})
    together = [controller.invoke(invoker, action, {"guests": 4}) for _ in range(4)]
    results = [a.response()["result"] for a in together]
    assert results == [{"id": results[0]["id"], "here": 4}] * 4
    assert sorted("initTime" in annotations(a.finished()) for a in together) == [False, False, False, True]


def test_runs_that_wait_for_a_container_which_fails_to_initialize_are_all_answered(invoker, controller, ns):
    code = "const t = Date.now(); while (Date.now() - t < 500);\nthrow new Error('no start');\n"
    action = controller.put(f"{ns}/doomed", "nodejs:20", code, limits={"concurrency": 4})
    together = [controller.invoke(invoker, action) for _ in range(4)]
    for activation in together:
        response = activation.response()
        assert response["statusCode"] == 2 and "no start" in response["result"]["error"]
        activation.finished()
        assert len([a for a in activation.acks() if "instance" in a.json]) == 1


@pytest.fixture
def small(make_invoker, controller):
    """Room for one container of 256 MB."""
    return make_invoker({"CONFIG_whisk_containerPool_userMemory": "256 m"}).start(controller)


def test_runs_of_one_action_wait_in_order_when_memory_is_full(small, controller, ns):
    action = controller.put(f"{ns}/queue", "nodejs:20", NODE_SLEEP)
    sent = [controller.invoke(small, action, {"ms": 100, "k": k}) for k in range(6)]
    results = [a.response(40)["result"] for a in sent]
    assert [r["n"] for r in results] == [1, 2, 3, 4, 5, 6] and len({r["id"] for r in results}) == 1


def test_idle_container_makes_room_for_another_action(small, controller, ns):
    one, two = (controller.put(f"{ns}/{name}", "nodejs:20", NODE_ID) for name in ("one", "two"))
    assert run(controller, small, one)["runs"] == run(controller, small, two)["runs"] == 1
    wait_until(lambda: [n for n in small.containers()] == [n for n in small.containers() if n.endswith("_two")],
               what="the container of the first action is removed")
    assert run(controller, small, one)["runs"] == 1


def test_actions_that_need_the_whole_memory_take_turns_in_order(small, controller, ns):
    actions = [controller.put(f"{ns}/turn{k}", "nodejs:20", NODE_SLEEP) for k in range(3)]
    for action in actions:  # known, so that none waits for the store
        run(controller, small, action)
    sent = [controller.invoke(small, actions[k % 3], {"ms": 50}) for k in range(6)]
    acks = [a.completion(60) for a in sent]
    assert [a.response()["statusCode"] for a in sent] == [0] * 6
    assert [r.offset for r in acks] == sorted(r.offset for r in acks)


def test_action_larger_than_all_memory_is_refused_and_does_not_block_others(small, controller, ns):
    """Stock creates it all the same, beyond its memory."""
    large = controller.invoke(small, controller.put(f"{ns}/large", "nodejs:20", NODE_ID, limits={"memory": 512}))
    assert run(controller, small, controller.put(f"{ns}/first", "nodejs:20", NODE_ID))["runs"] == 1
    assert large.response()["statusCode"] == 2 and "512 MB" in large.response()["result"]["error"]
    assert large.completion().json["isSystemError"] is False


def test_least_recently_used_container_is_evicted(make_invoker, controller, ns):
    invoker = make_invoker({"CONFIG_whisk_containerPool_userMemory": "512 m"}).start(controller)
    old, fresh, new = (controller.put(f"{ns}/{name}", "nodejs:20", NODE_ID) for name in ("old", "fresh", "new"))
    for action in (old, fresh, old, fresh, new):
        run(controller, invoker, action)
    assert run(controller, invoker, fresh)["runs"] == 3
    assert run(controller, invoker, old)["runs"] == 1


def test_killed_container_is_replaced_without_the_caller_noticing(invoker, controller, docker, ns):
    action = controller.put(f"{ns}/victim", "nodejs:20", NODE_ID)
    before = run(controller, invoker, action)
    [name] = [n for n in invoker.containers() if f"_{ns}_" in n]
    docker.kill(name)
    activation = controller.invoke(invoker, action)
    record = activation.finished(40)
    after = activation.response()["result"]
    assert after["id"] != before["id"] and record["response"]["statusCode"] == 0
    assert len([a for a in activation.acks() if "instance" in a.json]) == 1


def address(docker, name):
    return docker.inspect(name)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]


def neighbour(*words, check=True):
    """ip neigh …: what the host believes about addresses on the bridge."""
    subprocess.run(["ip", "neigh", *words], check=check, capture_output=True)


def bridge_of(ip):
    return json.loads(subprocess.run(["ip", "-j", "route", "get", ip], check=True, capture_output=True, text=True).stdout)[0]["dev"]


def test_container_removed_by_somebody_else_is_replaced(invoker, controller, docker, ns):
    action = controller.put(f"{ns}/victim", "nodejs:20", NODE_ID)
    before = run(controller, invoker, action)
    [name] = [n for n in invoker.containers() if f"_{ns}_" in n]
    ip = address(docker, name)
    docker.remove(name)
    neighbour("flush", "to", ip)  # the kernel forgets it by itself, but not within a fixed time
    assert run(controller, invoker, action)["id"] != before["id"]


def test_container_whose_address_has_fallen_silent_is_replaced(invoker, controller, docker, ns):
    """For up to a minute after a container is gone, the kernel may still send to its hardware address: nobody
    refuses and nobody answers."""
    action = controller.put(f"{ns}/silent", "nodejs:20", NODE_ID)
    before = run(controller, invoker, action)
    [name] = [n for n in invoker.containers() if f"_{ns}_" in n]
    ip = address(docker, name)
    bridge = bridge_of(ip)
    docker.remove(name)
    neighbour("replace", ip, "lladdr", "02:42:de:ad:be:ef", "nud", "permanent", "dev", bridge)
    try:
        activation = controller.invoke(invoker, action)
        wait_until(lambda: [n for n in invoker.containers() if f"_{ns}_" in n and n != name], what="a new container")
    finally:
        neighbour("del", ip, "dev", bridge, check=False)  # the new container may have got the address and corrected it
    activation.finished()
    assert activation.response()["statusCode"] == 0 and activation.response()["result"]["id"] != before["id"]


@pytest.mark.parametrize("kind, code", [("nodejs:20", "function main() { process.exit(1); }"),
                                        ("nodejs:20", "function main() { throw 1; }"), ("nodejs:20", "syntax error")])
def test_container_of_a_failed_run_is_removed(invoker, controller, ns, kind, code):
    controller.invoke(invoker, controller.put(f"{ns}/broken", kind, code)).finished()
    wait_until(lambda: not [n for n in invoker.containers() if f"_{ns}_" in n], what="the container is removed")


def test_container_of_an_application_error_is_kept(invoker, controller, ns):
    action = controller.put(f"{ns}/kept", "nodejs:20", "let n = 0; const main = () => ({error: ++n});")
    assert [run(controller, invoker, action)["error"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("freezer", ["auto", "engine"])
def test_paused_after_grace_and_resumed_for_the_next_run(make_invoker, controller, docker, ns, freezer):
    invoker = make_invoker({"CONFIG_whisk_containerProxy_timeouts_pauseGrace": "200 ms",
                            "CWHISK_FREEZER": freezer}).start(controller)
    action = controller.put(f"{ns}/sleepy", "nodejs:20", NODE_ID)
    before = run(controller, invoker, action)
    for round_ in (2, 3):
        [name] = [n for n in invoker.containers() if f"_{ns}_" in n]
        wait_until(lambda: docker.is_frozen(name), what="the container is paused")
        assert docker.inspect(name)["State"]["Paused"] is (freezer == "engine")
        after = run(controller, invoker, action)
        assert (after["id"], after["runs"]) == (before["id"], round_)


def test_container_that_a_killed_invoker_left_frozen_is_removed_by_the_next(make_invoker, controller, docker, ns):
    """The engine believes that it runs, and a frozen process does not take the engine's signals."""
    settings = {"CONFIG_whisk_containerProxy_timeouts_pauseGrace": "50 ms"}
    invoker = make_invoker(settings).start(controller)
    run(controller, invoker, controller.put(f"{ns}/frozen", "nodejs:20", NODE_ID))
    [name] = invoker.containers()
    wait_until(lambda: docker.is_frozen(name), what="the container is paused")
    invoker.kill()
    successor = make_invoker(number=invoker.number, unique=invoker.unique).spawn()
    wait_until(lambda: not successor.containers(), timeout=60, what="the left-over container is removed")


def test_idle_container_is_removed_after_its_time(make_invoker, controller, ns):
    invoker = make_invoker({"CONFIG_whisk_containerProxy_timeouts_pauseGrace": "100 ms",
                            "CONFIG_whisk_containerProxy_timeouts_idleContainer": "500 ms"}).start(controller)
    action = controller.put(f"{ns}/idle", "nodejs:20", NODE_ID)
    run(controller, invoker, action)
    wait_until(lambda: not invoker.containers(), what="the idle container is removed")
    assert run(controller, invoker, action)["runs"] == 1


def test_killed_while_paused_is_replaced(make_invoker, controller, docker, ns):
    invoker = make_invoker({"CONFIG_whisk_containerProxy_timeouts_pauseGrace": "100 ms"}).start(controller)
    action = controller.put(f"{ns}/victim", "nodejs:20", NODE_ID)
    run(controller, invoker, action)
    [name] = invoker.containers()
    wait_until(lambda: docker.is_frozen(name), what="the container is paused")
    docker.remove(name)
    assert run(controller, invoker, action)["runs"] == 1


def prewarming(count, memory="128 MB", reactive=None, **settings):
    manifest = copy.deepcopy(MANIFEST)
    cell = {"initialCount": count, "memory": memory, **({"reactive": reactive} if reactive else {})}
    manifest["runtimes"]["nodejs"][0]["stemCells"] = [cell]
    return {"RUNTIMES_MANIFEST": json.dumps(manifest), **{f"CONFIG_whisk_container{k}": v for k, v in settings.items()}}


def wait_prewarmed(invoker, count):
    """Until so many became ready since the start."""
    wait_until(lambda: invoker.log().count(" is prewarmed") == count, timeout=40, what=f"{count} prewarmed containers")


def prewarmed_names(invoker):
    return [n for n in invoker.containers() if n.endswith("_prewarm_nodejs20")]


def test_prewarmed_container_is_used_and_replaced(make_invoker, controller, ns):
    invoker = make_invoker(prewarming(1)).start(controller)
    wait_prewarmed(invoker, 1)
    [(name, before)] = invoker.containers().items()
    assert name.endswith("_prewarm_nodejs20")
    action = controller.put(f"{ns}/pre", "nodejs:20", NODE_ID, limits={"memory": 128})
    assert run(controller, invoker, action)["runs"] == 1
    wait_prewarmed(invoker, 2)
    both = invoker.containers()
    assert before["Id"] in [c["Id"] for c in both.values()] and all(n.endswith("_prewarm_nodejs20") for n in both)
    assert run(controller, invoker, action)["runs"] == 2
    assert "containerState: prewarmed" in invoker.log() and "containerState: cold" not in invoker.log()


def test_prewarmed_container_of_another_size_is_not_used(make_invoker, controller, ns):
    invoker = make_invoker(prewarming(1)).start(controller)
    wait_prewarmed(invoker, 1)
    action = controller.put(f"{ns}/other", "nodejs:20", NODE_ID, limits={"memory": 256})
    run(controller, invoker, action)
    assert sorted(n.split("_", 2)[2] for n in invoker.containers()) == sorted(["prewarm_nodejs20", f"{ns}_other"])


def test_prewarmed_containers_stay_within_the_memory_and_leave_with_the_invoker(make_invoker, controller):
    invoker = make_invoker(prewarming(3, Pool_userMemory="300 m")).start(controller)
    wait_prewarmed(invoker, 2)
    assert len(prewarmed_names(invoker)) == 2 and "memory limit of 300 MB" in invoker.log()
    invoker.terminate()
    assert not invoker.containers()


def test_prewarmed_container_gives_way_when_nothing_else_ever_would(make_invoker, controller, ns):
    """Stock lets the activation wait for ever."""
    invoker = make_invoker(prewarming(1, "256 MB", Pool_userMemory="256 m")).start(controller)
    wait_prewarmed(invoker, 1)
    action = controller.put(f"{ns}/other", "python:3.11", PYTHON_ID)
    assert run(controller, invoker, action)["runs"] == 1
    wait_until(lambda: not prewarmed_names(invoker), what="the prewarmed one is gone")
    assert run(controller, invoker, action)["runs"] == 2


def test_prewarmed_containers_of_a_killed_invoker_are_removed_by_the_next(make_invoker, controller):
    first = make_invoker(prewarming(1)).start(controller)
    wait_prewarmed(first, 1)
    left_over = first.containers()
    first.kill()
    second = make_invoker(prewarming(1), number=first.number, unique=first.unique).start(controller)
    wait_prewarmed(second, 2)  # the log is the first one's, continued
    assert not {c["Id"] for c in left_over.values()} & {c["Id"] for c in second.containers().values()}
    assert len(prewarmed_names(second)) == 1


def test_killed_prewarmed_container_is_replaced_when_it_is_looked_at(make_invoker, controller, docker):
    invoker = make_invoker(prewarming(1, Proxy_actionHealthCheck_enabled="true", Proxy_actionHealthCheck_checkPeriod="100 ms",
                                      Proxy_actionHealthCheck_maxFails="2")).start(controller)
    wait_prewarmed(invoker, 1)
    [name] = invoker.containers()
    docker.kill(name)
    wait_prewarmed(invoker, 2)
    wait_until(lambda: len(c := invoker.containers()) == 1 and name not in c, what="the dead one is removed")
    assert "counter_invoker_containerHealthFailed_prewarm_counter_total 1" in invoker.http("/metrics").text


def test_reactive_stem_cells_follow_cold_starts_and_expire(make_invoker, controller, ns):
    reactive = {"minCount": 0, "maxCount": 2, "ttl": "1 second", "threshold": 1, "increment": 1}
    invoker = make_invoker(prewarming(1, "256 MB", reactive, Pool_prewarmExpirationCheckInitDelay="1 s",
                                      Pool_prewarmExpirationCheckInterval="1 s",
                                      Pool_prewarmExpirationCheckIntervalVariance="0 s")).start(controller)
    wait_prewarmed(invoker, 1)
    wait_until(lambda: not invoker.containers(), what="the initial one has expired")
    run(controller, invoker, controller.put(f"{ns}/cold", "nodejs:20", NODE_ID))
    wait_prewarmed(invoker, 2)
    wait_until(lambda: not prewarmed_names(invoker), what="the one for the cold start has expired")
    metrics = invoker.http("/metrics").text
    assert "counter_containerPool_prewarmColdstart_counter_total 1" in metrics
    assert "counter_containerPool_prewarmExpired_counter_total 2" in metrics


def test_wait_time_counts_from_the_start_of_the_transaction(invoker, controller, ns):
    action = controller.put(f"{ns}/wait", "nodejs:20", NODE_ID)
    run(controller, invoker, action)
    activation = controller.invoke(invoker, action, transid=["w" * 32, int(time.time() * 1000) - 3000])
    assert 3000 <= annotations(activation.finished())["waitTime"] < 8000
