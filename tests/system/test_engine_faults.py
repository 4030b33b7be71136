"""A container engine of the test's own is killed, restarted, and made to hang."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.code import PYTHON_ID
from harness.docker import Docker
from harness.invoker import ROOT
from harness.wait import wait_until

TESTBED = ROOT / "tests/testbed"
SLEEP = "import time\nID = str(id(object())) + str(time.time())\nruns = 0\ndef main(args):\n    global runs\n    runs += 1\n" \
        "    time.sleep(args.get('s', 0))\n    return {'id': ID, 'runs': runs}\n"


def has_ended(pid):
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


class Engine:
    """dockerd, in a state folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {**os.environ, "DOCKER_RUN": str(folder), "DOCKER_BRIDGE": f"cwef{os.getpid() % 100000}",
                    "DOCKER_SUBNET": ""}
        self.docker = Docker(str(folder / "docker.sock"))

    def testbed(self, script, **env):
        subprocess.run([str(TESTBED / script)], env={**self.env, **env}, check=True, stdout=subprocess.DEVNULL)

    def up(self, settings="{}"):
        self.testbed("docker-up", DOCKER_SETTINGS=settings)

    def down(self):
        self.testbed("docker-down")
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):  # those of a killed dockerd stay
            where = line.split()[1]
            if where.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", where], check=False)
        shutil.rmtree(self.folder)

    @property
    def pid(self):
        return int((self.folder / "pid").read_text())

    def kill(self):
        """Its containerd ends with it; where nobody collects that, the next dockerd would take it for one that runs."""
        files = [self.folder / "pid", self.folder / "exec/containerd/containerd.pid"]
        pids = [int(f.read_text()) for f in files]
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: all(map(has_ended, pids)), timeout=30, what="dockerd and its containerd have ended")
        for f in files:
            f.unlink(missing_ok=True)

    def terminate(self):
        """With live-restore its containers live on."""
        pid = self.pid
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: has_ended(pid), timeout=60, what="dockerd has ended")

    @contextmanager
    def stopped(self):
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("no engine of its own: needs root and dockerd")
    engine = Engine(tmp_path_factory.mktemp("engine"))
    engine.up('{"live-restore": true}')
    try:
        subprocess.run([str(ROOT / "docker/runtimes/build"), "python3"], check=True, stdout=subprocess.DEVNULL,
                       env={**engine.env, "DOCKER_HOST": f"unix://{engine.docker.path}"})
        yield engine
    finally:
        engine.down()


@pytest.fixture
def invoker(engine, make_invoker, controller):
    invoker = make_invoker({"CWHISK_DOCKER_SOCKET": engine.docker.path})
    invoker.docker = engine.docker
    return invoker.start(controller)


def python(controller, ns, name, code=SLEEP):
    return controller.put(f"{ns}/{name}", "python:3.11", code)


def answer(activation):
    response = activation.finished(40)["response"]
    assert response["statusCode"] == 0, response
    return response["result"]


def container_of(invoker, name):
    [found] = [c for n, c in invoker.containers().items() if n.endswith(f"_{name}")]
    return found


def run_begins(controller, invoker, action, seconds):
    """An activation that runs for so long; its run has been sent."""
    activation = controller.invoke(invoker, action, {"s": seconds})
    wait_until(lambda: any(activation.transid[0] in line and "sending arguments to" in line
                           for line in invoker.log().splitlines()), what="the run is sent")
    return activation


def test_idle_container_that_ends_is_noticed_at_once(invoker, controller, engine, ns):
    answer(controller.invoke(invoker, python(controller, ns, "idle")))
    container = container_of(invoker, "idle")["Id"]
    engine.docker.kill(container)
    wait_until(lambda: not invoker.containers(), what="the dead container is removed")
    assert "has ended by itself, exit status 137" in invoker.log()


def test_run_whose_container_is_killed_is_answered_at_once(invoker, controller, engine, ns):
    action = python(controller, ns, "victim")
    answer(controller.invoke(invoker, action))
    activation = run_begins(controller, invoker, action, 50)
    engine.docker.kill(container_of(invoker, "victim")["Id"])
    response = activation.response(20)  # its time limit is a minute
    assert response["statusCode"] == 2 and "exited unexpectedly" in response["result"]["error"]
    assert activation.completion().json["isSystemError"] is False


def test_container_that_loses_its_network_is_noticed_within_seconds(invoker, controller, engine, ns):
    action = python(controller, ns, "cut")
    answer(controller.invoke(invoker, action))
    activation = run_begins(controller, invoker, action, 50)
    engine.docker.call("POST", "/networks/bridge/disconnect",
                       {"Container": container_of(invoker, "cut")["Id"], "Force": True})
    response = activation.response(30)
    assert response["statusCode"] == 2 and "exited unexpectedly" in response["result"]["error"]
    assert answer(controller.invoke(invoker, action))["runs"] == 1


def test_engine_that_is_killed_and_comes_back_keeps_what_survives(invoker, controller, engine, ns):
    """With live-restore. What runs goes on; a cold start waits for the engine."""
    warm, cold = python(controller, ns, "warm"), python(controller, ns, "cold", PYTHON_ID)
    before = answer(controller.invoke(invoker, warm))
    running = run_begins(controller, invoker, warm, 3)
    engine.kill()
    waiting = controller.invoke(invoker, cold)
    wait_until(lambda: f"activationId: {waiting.id}" in invoker.log(), what="the cold start has begun")
    engine.up('{"live-restore": true}')
    assert answer(waiting)["runs"] == 1
    assert running.response(40)["result"] == {"id": before["id"], "runs": 2}
    assert controller.invoke(invoker, warm).response(40)["result"] == {"id": before["id"], "runs": 3}
    assert len(invoker.containers()) == 2


def test_what_was_not_started_waits_for_an_engine_that_ends_and_is_started_again(invoker, controller, engine, ns):
    """Ended with SIGTERM. Warm containers work as long as they live; of the rest nothing is lost, and nothing runs twice."""
    warm = python(controller, ns, "warm")
    cold = [python(controller, ns, f"cold{n}") for n in range(2)]
    answer(controller.invoke(invoker, warm))
    engine.terminate()
    waiting = [controller.invoke(invoker, action) for action in [warm, *cold] * 7]
    wait_until(lambda: "the engine does not answer" in invoker.log(), what="the engine is missed")
    engine.up('{"live-restore": true}')
    results = [answer(a) for a in waiting]
    last = {}
    for result in results:
        last[result["id"]] = max(result["runs"], last.get(result["id"], 0))
    assert sum(last.values()) - len(results) in (0, 1), "each ran once (the first one in the warm container before)"


def test_engine_that_hangs_makes_the_host_unhealthy_until_it_is_back(invoker, controller, engine, ns):
    warm = python(controller, ns, "warm")
    before = answer(controller.invoke(invoker, warm))
    with engine.stopped():
        wait_until(lambda: invoker.http("/ready").status_code == 503, timeout=30, what="/ready says 503")
        assert controller.pings(invoker)[-1].json["isEnabled"] is False
        assert "the engine does not answer" in invoker.log()
        # What is warm still runs (its logs wait for the engine).
        assert controller.invoke(invoker, warm).response()["result"] == {"id": before["id"], "runs": 2}
    wait_until(lambda: invoker.http("/ready").status_code == 200, what="/ready says 200 again")
    wait_until(lambda: controller.pings(invoker)[-1].json["isEnabled"] is True, what="pings again")


def test_container_of_a_create_whose_answer_was_lost_is_found_and_removed(make_invoker, controller, engine, ns):
    invoker = make_invoker({"CWHISK_DOCKER_SOCKET": engine.docker.path, "CONFIG_whisk_docker_client_timeouts_run": "1 s",
                            "CONFIG_whisk_docker_client_timeouts_rm": "1 s"})
    invoker.docker = engine.docker
    invoker.start(controller)
    with engine.stopped():
        lost = controller.invoke(invoker, python(controller, ns, "lost"))
        response = lost.response(40)
        assert (response["statusCode"], response["result"]) == (3, {"error": "Failed to provision resources to run the action."})
        orphan = f"{invoker.prefix}777_{ns}_orphan"
    engine.docker.call("POST", f"/containers/create?name={orphan}", {"Image": "whisk/action-python-v3.11:local"})
    engine.kill()  # so that it comes back, whatever it has answered by now
    engine.up('{"live-restore": true}')
    wait_until(lambda: not invoker.containers(), timeout=30, what="nothing is left of it")


def test_engine_that_is_restarted_ends_its_containers_and_new_ones_take_their_place(invoker, controller, engine, ns):
    """Without live-restore. Last, since the engine is another one then."""
    action = python(controller, ns, "ended")
    before = answer(controller.invoke(invoker, action))
    running = run_begins(controller, invoker, action, 50)
    engine.kill()
    engine.up()  # finds them running, and ends them
    assert running.response(40)["statusCode"] == 2
    after = answer(controller.invoke(invoker, action))
    assert after["runs"] == 1 and after["id"] != before["id"]
    wait_until(lambda: len(invoker.containers()) == 1, timeout=30, what="only the new one is left")
