"""The end of a process: orderly, impatient, and sudden."""

import signal
import time

from harness.code import NODE_ID, NODE_SLEEP
from harness.wait import wait_until


def running(make_invoker, controller, docker, ns, ms, overrides=None):
    """An invoker in the middle of a run of that length."""
    invoker = make_invoker(overrides).start(controller)
    action = controller.put(f"{ns}/long", "nodejs:20", NODE_SLEEP.replace("const n", "console.log('started'); const n"))
    controller.invoke(invoker, action, {"ms": 0}).finished()
    activation = controller.invoke(invoker, action, {"ms": ms})
    [name] = invoker.containers()
    wait_until(lambda: docker.logs(name).count("started") == 2, what="the run has started")
    return invoker, action, activation


def test_sigterm_while_idle_ends_cleanly(make_invoker, controller, ns):
    invoker = make_invoker().start(controller)
    controller.invoke(invoker, controller.put(f"{ns}/idle", "nodejs:20", NODE_ID)).finished()
    assert invoker.containers()
    started = time.monotonic()
    assert invoker.terminate() == 0
    assert time.monotonic() - started < 8 and not invoker.containers()
    assert controller.pings(invoker)[-1].json["isEnabled"] is False


def test_sigterm_finishes_what_runs(make_invoker, controller, docker, ns):
    invoker, _, activation = running(make_invoker, controller, docker, ns, 2000)
    invoker.process.send_signal(signal.SIGTERM)
    assert activation.response()["statusCode"] == 0
    record = activation.finished()
    assert [line[31:] for line in record["logs"]] == ["stdout: started"]
    assert invoker.wait_exit() == 0 and not invoker.containers()


def test_sigint_is_like_sigterm(make_invoker, controller):
    invoker = make_invoker().start(controller)
    invoker.process.send_signal(signal.SIGINT)
    assert invoker.wait_exit() == 0


def test_second_sigterm_ends_at_once_and_removes_containers(make_invoker, controller, docker, ns):
    invoker, _, _ = running(make_invoker, controller, docker, ns, 7000)
    invoker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: controller.pings(invoker)[-1].json["isEnabled"] is False, what="the last ping")
    started = time.monotonic()
    invoker.process.send_signal(signal.SIGTERM)
    invoker.wait_exit()
    assert time.monotonic() - started < 4


def test_new_process_of_the_same_name_removes_what_a_killed_one_left(make_invoker, controller, docker, ns):
    invoker, action, _ = running(make_invoker, controller, docker, ns, 7000)
    invoker.kill()
    left = invoker.containers()
    assert left
    successor = make_invoker(number=invoker.number, unique=invoker.unique).start(controller)
    wait_until(lambda: not set(successor.containers()) & set(left), what="the left-over containers are removed")
    # The broker lets go of the dead member after its session has timed out.
    assert controller.invoke(successor, action, {"ms": 0}).response(60)["statusCode"] == 0


def test_work_sent_after_sigterm_waits_for_the_successor(make_invoker, controller, docker, ns):
    invoker, action, _ = running(make_invoker, controller, docker, ns, 1500)
    invoker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: controller.pings(invoker)[-1].json["isEnabled"] is False, what="the last ping")
    late = controller.invoke(invoker, action, {"ms": 0})
    assert invoker.wait_exit() == 0
    make_invoker(number=invoker.number, unique=invoker.unique).start(controller)
    assert late.finished(60)["response"]["statusCode"] == 0
    assert len([a for a in late.acks() if "instance" in a.json]) == 1


def test_paused_containers_are_removed_at_the_end(make_invoker, controller, docker, ns):
    invoker = make_invoker({"CONFIG_whisk_containerProxy_timeouts_pauseGrace": "50 ms"}).start(controller)
    controller.invoke(invoker, controller.put(f"{ns}/paused", "nodejs:20", NODE_ID)).finished()
    [name] = invoker.containers()
    wait_until(lambda: docker.is_frozen(name), what="the container is paused")
    assert invoker.terminate() == 0 and not invoker.containers()


def test_what_runs_longer_than_the_drain_limit_is_answered_and_does_not_count_against_health(make_invoker, controller, docker, ns):
    invoker, _, activation = running(make_invoker, controller, docker, ns, 30000, {"CWHISK_DRAIN_TIMEOUT": "300 ms"})
    assert invoker.terminate() == 0
    assert activation.response()["statusCode"] == 3 and activation.response()["result"]["error"]
    assert activation.completion().json["isSystemError"] is False
    assert activation.record()["response"] == activation.response() and not invoker.containers()


def test_topic_that_was_deleted_and_made_anew_does_not_hold_up_the_end(make_invoker, controller, kafka, ns):
    invoker = make_invoker().start(controller)
    action = controller.put(f"{ns}/again", "nodejs:20", NODE_ID)
    controller.invoke(invoker, action).finished()
    kafka.admin.delete_topics([invoker.topic])[invoker.topic].result(15)
    wait_until(lambda: "Unknown topic or partition" in invoker.log(), what="the invoker misses its topic")
    kafka.create(invoker.topic)
    controller.invoke(invoker, action).finished(60)
    assert invoker.terminate() == 0
