"""The container engine goes away and comes back."""

import pytest

from harness.code import NODE_ID
from harness.faults import FaultProxy


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


def test_cold_start_without_the_engine_is_a_whisk_error_and_the_next_one_works(invoker, controller, cuttable, ns):
    relay, _ = cuttable
    action = controller.put(f"{ns}/cold", "nodejs:20", NODE_ID)
    relay.cut()
    failed = controller.invoke(invoker, action)
    response = failed.response(40)
    assert response == {"statusCode": 3, "result": {"error": "Failed to provision resources to run the action."}}
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
