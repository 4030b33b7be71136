"""cwhisk agent beside a real engine, which it does not ask."""

import re
import subprocess

import requests

from harness.code import NODE_ECHO
from harness.invoker import binary
from harness.wait import wait_until

MIB = 1 << 20


def test_the_agent_sees_what_an_engines_containers_use(invoker, controller, docker, ns, tmp_path):
    action = controller.put(f"{ns}/seen", "nodejs:20", NODE_ECHO, limits={"memory": 256})
    controller.invoke(invoker, action, {}).response()
    [name] = [n for n in invoker.containers() if "seen" in n]
    folder = docker.call("GET", "/info")["DockerRootDir"] + "/containers"
    with open(tmp_path / "log", "wb") as log:
        agent = subprocess.Popen([binary(), "agent", "--port", "0", "--containers-dir", folder, "--name-prefix", invoker.prefix,
                                  "--scan-interval", "200 ms"], stdout=log, stderr=subprocess.STDOUT)
    try:
        port = wait_until(lambda: re.search(r"port (\d+)", (tmp_path / "log").read_text()), what="the agent's port")[1]

        def seen():
            page = requests.get(f"http://127.0.0.1:{port}/containers", timeout=10).json()
            return {c["name"]: c for c in page["containers"]}
        c = wait_until(lambda: seen().get(name), what="the container")
        assert set(seen()) <= set(invoker.containers())
        assert c["memoryLimit"] == 256 * MIB and c["id"] == docker.inspect(name)["Id"]
        assert 5 * MIB < c["usage"]["workingSetBytes"] < 256 * MIB and c["usage"]["cpuNs"] > 1e6 and c["usage"]["pids"] > 1
        docker.remove(name)
        wait_until(lambda: name not in seen(), what="its end is noticed")
    finally:
        agent.terminate()
        assert agent.wait(20) == 0
