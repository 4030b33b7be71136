"""What a container is charged, and what holds new ones back."""

from harness.code import NODE_ECHO, NODE_SLEEP
from harness.wait import wait_until

INFERRED = {"CWHISK_ADMISSION": "inferred", "CWHISK_ADMISSION_CPU_STALL": "0", "CWHISK_ADMISSION_MEMORY_STALL": "0",  # the machine is busy with other tests
            "CONFIG_whisk_containerPool_userMemory": "512 m"}
LARGE = {"memory": 512}


def test_declared_memory_is_never_exceeded(make_invoker, controller, ns):
    invoker = make_invoker({**INFERRED, "CWHISK_ADMISSION": "declared"}).start(controller)
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP, limits=LARGE)
    runs = [controller.invoke(invoker, action, {"ms": 500, "n": n}) for n in range(3)]
    for run in runs:
        run.finished(40)
        assert len(invoker.containers()) == 1
    assert len({run.response()["result"]["id"] for run in runs}) == 1


def test_inferred_needs_let_more_run_than_was_declared(make_invoker, controller, docker, ns):
    invoker = make_invoker(INFERRED).start(controller)
    warm = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO, limits=LARGE)
    for n in range(10):
        controller.invoke(invoker, warm, {"n": n}).finished(40)
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP, limits=LARGE)
    runs = [controller.invoke(invoker, action, {"ms": 4000, "n": n}) for n in range(3)]
    wait_until(lambda: len(invoker.containers()) >= 4, 30, "containers of 512 MB beside each other")
    for run in runs:
        assert run.response(40)["statusCode"] == 0
    for container in invoker.containers():
        host = docker.inspect(container)["HostConfig"]
        assert host["Memory"] == 512 << 20  # the limit is what was declared
        assert host["OomScoreAdj"] == 500
    assert controller.pings(invoker)[-1].json["name"]["userMemory"] == "536870912 B"


def test_cold_starts_wait_for_each_other(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_ADMISSION_COLD_STARTS": "1"}).start(controller)
    actions = [controller.put(f"{ns}/echo{n}", "nodejs:20", NODE_ECHO) for n in range(4)]
    for run in [controller.invoke(invoker, action, {"n": n}) for n, action in enumerate(actions)]:
        assert run.response(60)["statusCode"] == 0
    assert "no new containers for now: cold-starts" in invoker.log()
