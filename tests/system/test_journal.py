"""Nothing is lost and nothing runs twice, whatever ends the process: the journal in the data directory, and what an
orderly end leaves to the next invoker."""

import sys
from pathlib import Path

import pytest

from harness.code import NODE_ID, NODE_SLEEP
from harness.wait import wait_until

sys.path.append(str(Path(__file__).resolve().parents[1]))
from chaos.actions import NODE as NODE_COUNT  # noqa: E402  pylint: disable=wrong-import-position
from chaos.counter import Counter  # noqa: E402  pylint: disable=wrong-import-position

INTERRUPTED = "The activation was interrupted: the invoker that ran it ended before it."


@pytest.fixture
def data(tmp_path):
    return {"CWHISK_DATA_DIR": str(tmp_path), "CONFIG_whisk_containerPool_userMemory": "512 m"}


def twin(make_invoker, first, env, *args):
    second = make_invoker(env, number=first.number, unique=first.unique)
    second.args += args
    second.log_path = second.log_path.with_suffix(".second.log")
    return second


def metric(invoker, name):
    for line in invoker.http("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return 0.0


def outcome(activation, timeout=30):
    """Response of the only slot-freeing ack, and of the record, which must agree."""
    activation.completion(timeout)
    record = activation.record(timeout)
    frees = [a for a in activation.acks() if "instance" in a.json]
    assert len(frees) == 1, f"{len(frees)} slot-freeing acks: {[a.json for a in frees]}"
    return record["response"]


def test_killed_process_loses_nothing_and_repeats_nothing(make_invoker, controller, data, ns):
    first = make_invoker(data).start(controller)
    slow = controller.put(f"{ns}/slow", "nodejs:20", NODE_SLEEP, limits={"memory": 256})
    warm = controller.invoke(first, slow, {"ms": 1})
    warm.finished()
    started = [controller.invoke(first, slow, {"ms": 30000}) for _ in range(2)]  # fill the memory
    wait_until(lambda: first.log().count("invoker_activationRun_start") == 3, what=lambda: "two run:\n" + first.tail())
    waiting = [controller.invoke(first, slow, {"ms": 1}) for _ in range(3)]
    wait_until(lambda: "no room for activation" in first.log(), what=lambda: "the others wait:\n" + first.tail())
    wait_until(lambda: metric(first, "cwhisk_journal_undone") == 5, what=lambda: "five are undone:\n" + first.tail())
    first.kill()
    second = twin(make_invoker, first, data).start(controller)
    for activation in waiting:
        assert outcome(activation)["statusCode"] == 0
    for activation in started:
        response = outcome(activation)
        assert response["statusCode"] == 3 and response["result"] == {"error": INTERRUPTED}
        assert all(not a.json.get("isSystemError") for a in activation.acks())
    assert outcome(warm)["statusCode"] == 0  # not again
    assert metric(second, "cwhisk_journal_resumed_total") == 3
    assert metric(second, "cwhisk_journal_interrupted_total") == 2
    wait_until(lambda: metric(second, "cwhisk_journal_undone") == 0, what="all is done")


def test_what_another_invoker_did_meanwhile_is_neither_repeated_nor_missed(make_invoker, controller, kafka, docker, data, ns):
    """A release is rolled back and comes again: in between, one without the data directory serves."""
    ran = []
    counter = Counter(docker.call("GET", "/networks/bridge")["IPAM"]["Config"][0]["Gateway"], ran.append)
    data["CONFIG_whisk_containerPool_userMemory"] = "256 m"
    first = make_invoker(data).start(controller)
    count = controller.put(f"{ns}/count", "nodejs:20", NODE_COUNT, limits={"memory": 256})

    def invoke(ms=1):
        message = controller.message(count)
        message["content"] = {"id": message["activationId"], "host": counter.host, "port": counter.port, "ms": ms}
        return controller.send(first, message)

    done = [invoke() for _ in range(2)]
    for activation in done:
        activation.finished()
    runs = invoke(30000)
    wait_until(lambda: runs.id in ran, what=lambda: "it runs:\n" + first.tail())
    waiting = [invoke() for _ in range(3)]
    wait_until(lambda: metric(first, "cwhisk_journal_undone") == 4, what=lambda: "four are undone:\n" + first.tail())
    wait_until(lambda: kafka.committed(first.topic, first.topic) == 6, what=lambda: "all are committed:\n" + first.tail())
    assert metric(first, "cwhisk_journal_undone") == 4  # by now it knows of that commit
    first.kill()

    second = twin(make_invoker, first, {"CONFIG_whisk_containerPool_userMemory": "256 m"}).start(controller)
    theirs = [invoke() for _ in range(3)]
    for activation in theirs:
        assert outcome(activation)["statusCode"] == 0
    assert second.terminate() == 0

    more = [invoke() for _ in range(2)]
    third = twin(make_invoker, first, data)
    third.log_path = third.log_path.with_suffix(".third.log")
    third.start(controller)
    for activation in waiting + more:
        assert outcome(activation, 60)["statusCode"] == 0
    response = outcome(runs)
    assert response["statusCode"] == 3 and response["result"] == {"error": INTERRUPTED}
    wait_until(lambda: metric(third, "cwhisk_journal_undone") == 0, what=lambda: "all is done:\n" + third.tail())
    for activation in done + theirs:
        assert outcome(activation)["statusCode"] == 0  # and no second ack
    assert "somebody else read" in third.log()
    assert sorted(ran) == sorted(a.id for a in done + [runs] + waiting + theirs + more)
    counter.close()


def test_action_that_asks_for_it_is_run_again_after_a_crash(make_invoker, controller, data, ns):
    first = make_invoker(data).start(controller)
    slow = controller.put(f"{ns}/again", "nodejs:20", NODE_SLEEP,
                          annotations={"cwhisk.retry-on-crash": True})
    activation = controller.invoke(first, slow, {"ms": 3000})
    wait_until(lambda: "invoker_activationRun_start" in first.log(), what=lambda: "it runs:\n" + first.tail())
    first.kill()
    twin(make_invoker, first, data).start(controller)
    assert outcome(activation)["statusCode"] == 0


def test_orderly_end_leaves_what_was_not_started(make_invoker, controller, data, ns):
    """To any successor: this one has no data directory, and neither had the first."""
    env = {"CONFIG_whisk_containerPool_userMemory": "256 m"}
    first = make_invoker(env).start(controller)
    slow = controller.put(f"{ns}/slow", "nodejs:20", NODE_SLEEP, limits={"memory": 256})
    runs = controller.invoke(first, slow, {"ms": 4000})
    wait_until(lambda: "invoker_activationRun_start" in first.log(), what=lambda: "it runs:\n" + first.tail())
    waiting = [controller.invoke(first, slow, {"ms": 1}) for _ in range(4)]
    wait_until(lambda: "no room for activation" in first.log(), what=lambda: "the others wait:\n" + first.tail())
    assert first.terminate() == 0
    assert outcome(runs)["statusCode"] == 0  # what runs may finish
    assert "activations that were not started are left to the next invoker" in first.log()
    assert not any(a.acks() for a in waiting)
    twin(make_invoker, first, env).start(controller)
    for activation in waiting:
        assert outcome(activation)["statusCode"] == 0


def test_final_end_answers_what_was_not_started(make_invoker, controller, ns):
    first = make_invoker({"CONFIG_whisk_containerPool_userMemory": "256 m", "CWHISK_DRAIN": "final"}).start(controller)
    slow = controller.put(f"{ns}/slow", "nodejs:20", NODE_SLEEP, limits={"memory": 256})
    runs = controller.invoke(first, slow, {"ms": 4000})
    wait_until(lambda: "invoker_activationRun_start" in first.log(), what=lambda: "it runs:\n" + first.tail())
    waiting = [controller.invoke(first, slow, {"ms": 1}) for _ in range(3)]
    wait_until(lambda: "no room for activation" in first.log(), what=lambda: "the others wait:\n" + first.tail())
    assert first.terminate() == 0
    assert outcome(runs)["statusCode"] == 0
    for activation in waiting:
        assert outcome(activation)["statusCode"] == 3
        assert all(not a.json.get("isSystemError") for a in activation.acks())


def test_topic_made_anew_is_not_taken_for_the_old_one(make_invoker, controller, kafka, data, ns):
    first = make_invoker(data).start(controller)
    echo = controller.put(f"{ns}/echo", "nodejs:20", NODE_ID)
    for _ in range(3):
        controller.invoke(first, echo).finished()
    first.kill()
    kafka.delete(first.topic)
    kafka.create(first.topic)
    second = twin(make_invoker, first, data)
    fresh = [controller.invoke(second, echo) for _ in range(5)]
    second.start(controller)
    for activation in fresh:
        assert outcome(activation)["statusCode"] == 0
    assert "it is another topic of that name" in second.log()


def test_data_directory_that_cannot_be_used_is_named(make_invoker, tmp_path):
    (tmp_path / "file").write_text("")
    invoker = make_invoker({"CWHISK_DATA_DIR": str(tmp_path / "file")}).spawn()
    assert invoker.wait_exit() == 1
    assert "cwhisk.data-dir" in invoker.log() and f"{tmp_path}/file" in invoker.log() and "Not a directory" in invoker.log()


def test_without_a_data_directory_it_is_said_once(make_invoker, controller):
    invoker = make_invoker().start(controller)
    assert invoker.log().count("no data directory (cwhisk.data-dir)") == 1
