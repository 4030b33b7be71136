"""One process per invoker id: who comes second waits or refuses, and who died is succeeded at once."""

from harness.code import NODE_ID, NODE_SLEEP
from harness.wait import wait_until

WAITS = "another process is at work as this invoker"


def twin(make_invoker, first, *args, env=None):
    second = make_invoker(env, number=first.number, unique=first.unique)
    second.args += ["--displayedName", "second", *args]
    second.log_path = second.log_path.with_suffix(".second.log")
    return second


def pings_of(controller, invoker, name):
    return [p for p in controller.pings(invoker) if p.json["name"].get("displayedName") == name]


def warm(controller, invoker, ns):
    action = controller.put(f"{ns}/kept", "nodejs:20", NODE_ID)
    controller.invoke(invoker, action).finished()
    return action


def ids(invoker):
    return {name: container["Id"] for name, container in invoker.containers().items()}


def test_second_process_waits_without_touching_anything_and_then_takes_over(make_invoker, controller, ns):
    first = make_invoker().start(controller)
    action = warm(controller, first, ns)
    kept = ids(first)
    second = twin(make_invoker, first).spawn()
    wait_until(lambda: WAITS in second.log(), what=lambda: "the second process says that it waits:\n" + second.tail())
    assert controller.invoke(first, action).response()["statusCode"] == 0
    assert ids(first) == kept and not pings_of(controller, first, "second")
    assert first.terminate() == 0
    wait_until(lambda: pings_of(controller, first, "second"), what=lambda: "the second process pings:\n" + second.tail())
    assert controller.invoke(second, action).response()["statusCode"] == 0


def test_second_process_refuses_when_told_to(make_invoker, controller, ns):
    first = make_invoker().start(controller)
    warm(controller, first, ns)
    second = twin(make_invoker, first, "--takeover", "refuse").spawn()
    assert second.wait_exit() == 1
    assert "start failed: another process is at work as this invoker: " in second.log()
    assert f"process {first.process.pid} of this machine" in second.log()


def test_foreign_member_of_the_group_is_waited_for(make_invoker, controller, kafka):
    invoker = make_invoker()
    kafka.create(invoker.topic)
    with kafka.member(invoker.topic, client_id="stock-invoker"):
        invoker.spawn()
        wait_until(lambda: WAITS in invoker.log(), what=lambda: "it waits:\n" + invoker.tail())
        assert "stock-invoker" in invoker.log() and not controller.pings(invoker)
    controller.wait_ping(invoker)


def test_killed_process_is_succeeded_before_its_session_ends(make_invoker, controller, ns):
    first = make_invoker().start(controller)
    action = warm(controller, first, ns)
    first.kill()
    second = twin(make_invoker, first).start(controller)
    assert controller.invoke(second, action).response(20)["statusCode"] == 0  # the session lasts 30 s
    assert "from a predecessor that ended without leaving" in second.log() and WAITS not in second.log()


def test_orderly_end_leaves_the_group(make_invoker, controller, kafka, ns):
    invoker = make_invoker().start(controller)
    warm(controller, invoker, ns)
    assert kafka.members(invoker.topic)
    assert invoker.terminate() == 0
    assert kafka.members(invoker.topic) == []


def test_lock_file_keeps_a_second_process_out_of_the_data_directory(make_invoker, controller, tmp_path, ns):
    env = {"CWHISK_DATA_DIR": str(tmp_path)}
    first = make_invoker(env).start(controller)
    warm(controller, first, ns)
    assert int((tmp_path / f"{first.topic}.lock").read_text()) == first.process.pid
    first.kill()
    twin(make_invoker, first, env=env).start(controller)


def test_data_directory_that_cannot_be_written_is_refused_by_name(make_invoker):
    invoker = make_invoker({"CWHISK_DATA_DIR": "/proc/nowhere"}).spawn()
    assert invoker.wait_exit() == 1
    assert "cwhisk.data-dir" in invoker.log() and "/proc/nowhere" in invoker.log()


def test_process_whose_place_is_taken_finishes_and_ends_with_an_error(make_invoker, controller, kafka, ns):
    invoker = make_invoker().start(controller)
    action = controller.put(f"{ns}/slow", "nodejs:20", NODE_SLEEP)
    running = controller.invoke(invoker, action, {"ms": 1500})
    wait_until(lambda: invoker.containers(), what="the activation runs")
    with kafka.member(invoker.topic, client_id="usurper", instance_id=f"cwhisk-{invoker.topic}"):
        assert invoker.wait_exit() == 1
        assert running.response()["statusCode"] == 0
        assert f"topic {invoker.topic} is lost" in invoker.log()
