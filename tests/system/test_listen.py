"""New containers that do not listen yet: the image asks the test what to do first."""

import json
import socket
import threading
from contextlib import contextmanager

from harness.code import PYTHON_ID
from harness.invoker import MANIFEST
from harness.wait import PATIENCE, wait_until

BASE = "whisk/action-python-v3.11:local"
ENTRY = """import os, socket, time
with socket.create_connection(('{host}', {port}), 30) as link:
    word = link.recv(10)
if word == b'sleep':
    time.sleep(3600)
until = time.monotonic() + ({seconds} if word == b'work' else 0)
while time.monotonic() < until:
    pass
os.execv('/usr/bin/python3.11', ['/usr/bin/python3.11', '/proxy.py'])
"""
LIMIT_MS = 3000


@contextmanager
def image(docker, tmp_path, *words):
    """An image whose first containers get these words, further ones the last; → its name without the tag."""
    gateway = docker.call("GET", "/networks/bridge")["IPAM"]["Config"][0]["Gateway"]
    server = socket.create_server((gateway, 0))
    left = list(words)

    def serve():
        try:
            while True:
                link, _ = server.accept()
                with link:
                    link.sendall((left.pop(0) if len(left) > 1 else left[0]).encode())
        except OSError:
            pass
    threading.Thread(target=serve, daemon=True).start()
    entry, name = tmp_path / "entry.py", f"listen/{tmp_path.name.replace('_', '-')}"
    entry.write_text(ENTRY.format(host=gateway, port=server.getsockname()[1], seconds=1.5 * LIMIT_MS / 1000))
    docker.derive(BASE, f"{name}:local", entry, ["/usr/bin/python3.11", "/entry.py"])
    try:
        yield name
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def settings(name, **more):
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["runtimes"]["python"][0]["image"].update(prefix=name.split("/")[0], name=name.split("/")[1])
    return {"RUNTIMES_MANIFEST": json.dumps(manifest), "CWHISK_LISTEN_TIMEOUT": f"{int(2000 * PATIENCE)} ms", **more}


def unheard(invoker, reason):
    lines = [line for line in invoker.http("/metrics").text.splitlines() if line.startswith("cwhisk_containers_unheard_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'reason="{reason}"' in line)


def test_container_that_does_nothing_is_replaced_and_nobody_notices(make_invoker, controller, docker, ns, tmp_path):
    with image(docker, tmp_path, "sleep", "go") as name:
        invoker = make_invoker(settings(name)).start(controller)
        activation = controller.invoke(invoker, controller.put(f"{ns}/a", "python:3.11", PYTHON_ID, limits={"timeout": 60000}))
        record = activation.finished(60)
        assert record["response"]["statusCode"] == 0
        assert unheard(invoker, "silent") == 1
        assert "takes no connection and does nothing" in invoker.log()
        wait_until(lambda: len(invoker.containers()) == 1, 60, "the first one is removed")


def test_runtime_that_works_for_longer_than_the_limit_is_waited_for(make_invoker, controller, docker, ns, tmp_path):
    with image(docker, tmp_path, "work") as name:
        invoker = make_invoker(settings(name, CWHISK_LISTEN_TIMEOUT="30 s")).start(controller)
        action = controller.put(f"{ns}/a", "python:3.11", PYTHON_ID, limits={"timeout": LIMIT_MS})
        record = controller.invoke(invoker, action).finished(90)
        assert record["response"]["statusCode"] == 0, record
        assert unheard(invoker, "late") == 1
        assert unheard(invoker, "silent") == 0


def test_users_image_that_never_listens_ends_with_the_error_it_always_had(make_invoker, controller, docker, ns, tmp_path):
    with image(docker, tmp_path, "sleep") as name:
        invoker = make_invoker(settings(name)).start(controller)
        action = controller.put(f"{ns}/a", "blackbox", None, image=f"{name}:local", limits={"timeout": LIMIT_MS})
        record = controller.invoke(invoker, action).finished(60)
        assert record["response"]["statusCode"] == 2
        assert record["response"]["result"]["error"] == \
            f"The action exceeded its time limits of {LIMIT_MS} milliseconds during initialization."
        assert unheard(invoker, "silent") <= 1
