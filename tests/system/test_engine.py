"""The container engine goes away and comes back."""

import re

import pytest

from harness.code import NODE_ID
from harness.faults import FaultProxy
from harness.wait import wait_until


@pytest.fixture
def cuttable(docker, tmp_path):
    """The engine's socket behind a line that can be cut."""
    path = str(tmp_path / "d.sock")
    relay = FaultProxy(docker.path, path)
    yield relay, path
    relay.close()


@pytest.fixture
def invoker(cuttable, make_invoker, controller):
    return make_invoker({"CWHISK_DOCKER_SOCKET": cuttable[1]}).start(controller)


def held(invoker):
    return int(re.search(r"^cwhisk_activation_held_total (\d+)$", invoker.http("/metrics").text, re.M)[1])


def test_cold_starts_wait_for_the_engine_and_warm_containers_run_past_them(invoker, controller, cuttable, ns):
    relay, _ = cuttable
    warm = controller.put(f"{ns}/warm", "nodejs:20", NODE_ID)
    cold = [controller.put(f"{ns}/cold{n}", "nodejs:20", NODE_ID) for n in range(2)]
    controller.invoke(invoker, warm).finished()
    relay.cut()
    waiting = [controller.invoke(invoker, cold[n % 2]) for n in range(20)]
    wait_until(lambda: held(invoker) >= 18, what="the rest of them wait, while one or two are being created")
    assert "the engine does not answer" in invoker.log()
    assert controller.invoke(invoker, warm).finished()["response"]["result"]["runs"] == 2
    creates = invoker.log().count("[marker:invoker_docker.run_start")
    relay.mend()
    results = [a.finished(40)["response"] for a in waiting]
    assert {r["statusCode"] for r in results} == {0}
    runs = {}
    for r in results:  # a container counts its runs: as many altogether as there were activations
        runs[r["result"]["id"]] = max(r["result"]["runs"], runs.get(r["result"]["id"], 0))
    assert sum(runs.values()) == 20
    assert creates <= 5, "creates were sent to an engine that is away"


def test_cold_start_without_the_engine_ends_with_one_error_and_the_next_one_works(make_invoker, controller, cuttable, ns):
    relay, socket = cuttable
    invoker = make_invoker({"CWHISK_DOCKER_SOCKET": socket, "CWHISK_ENGINE_WAIT": "1 s"}).start(controller)
    action = controller.put(f"{ns}/cold", "nodejs:20", NODE_ID)
    relay.cut()
    failed = controller.invoke(invoker, action)
    response = failed.response(40)
    assert response["statusCode"] == 3
    assert response["result"]["error"].startswith("Failed to provision resources to run the action: the container engine was out of reach")
    assert failed.completion().json["isSystemError"] is True
    relay.mend()
    assert controller.invoke(invoker, action).finished()["response"]["result"]["runs"] == 1
    assert failed.record()["response"] == response


def test_warm_containers_run_without_the_engine(invoker, controller, cuttable, ns):
    relay, _ = cuttable
    action = controller.put(f"{ns}/warm", "nodejs:20", NODE_ID)
    controller.invoke(invoker, action).finished()
    relay.cut()
    for runs in (2, 3):
        assert controller.invoke(invoker, action).finished()["response"]["result"]["runs"] == runs
    relay.mend()


def test_container_that_could_not_be_removed_at_once_is_removed_later(invoker, controller, cuttable, ns):
    relay, _ = cuttable
    action = controller.put(f"{ns}/exit", "nodejs:20", "function main(a) { if (a.exit) process.exit(1); return a; }")
    controller.invoke(invoker, action).finished()
    relay.cut()
    assert controller.invoke(invoker, action, {"exit": True}).response()["statusCode"] == 2
    relay.mend()
    assert controller.invoke(invoker, action, {"again": 1}).finished(40)["response"]["result"] == {"again": 1}
    assert invoker.terminate() == 0 and not invoker.containers()
