"""Faults on the lines to the services, and the proxy that makes them."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.code import NODE_ECHO
from harness.couch import Couch
from harness.faults import FaultProxy
from harness.wait import wait_until

PROGRAM = Path(__file__).resolve().parents[1] / "testbed" / "fault_proxy.py"


@pytest.fixture
def echo():
    """A service that answers with what it hears, for as many callers as come."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(link):
        with link:
            try:
                while data := link.recv(65536):
                    link.sendall(data)
            except OSError:
                pass

    def accept():
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(link,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def proxy(echo):
    proxy = FaultProxy(echo)
    yield proxy
    proxy.close()


def call(proxy, data=b"hello", timeout=5):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout) as link:
        link.sendall(data)
        got = b""
        while len(got) < len(data):
            more = link.recv(65536)
            if not more:
                break
            got += more
        return got


def test_proxy_passes_and_remembers_what_was_said(proxy):
    assert call(proxy) == b"hello" and proxy.said() == b"hello"


def test_proxy_delays(proxy):
    proxy.delay(60)
    began = time.monotonic()
    assert call(proxy) == b"hello" and time.monotonic() - began >= 0.12


def test_proxy_garbles_answers_only_and_repeatably(echo):
    got = []
    for _ in range(2):
        proxy = FaultProxy(echo, seed=7)
        proxy.garble(0.5)
        got.append(call(proxy, b"x" * 1000))
        assert proxy.said() == b"x" * 1000
        proxy.close()
    assert len(got[0]) == 1000 and got[0] != b"x" * 1000 and got[0] == got[1]


def test_proxy_stalls_and_goes_on(proxy):
    proxy.stall()
    with pytest.raises(TimeoutError):
        call(proxy, timeout=0.1)
    threading.Timer(0.1, proxy.stall, [False]).start()
    assert call(proxy) == b"hello"


def test_proxy_cuts_after_so_many_bytes(proxy):
    proxy.cut_after(3)
    assert call(proxy) == b"hel"


def test_proxy_answers_in_the_stead_of_an_http_service(proxy):
    proxy.status(503)
    request = b"POST /db HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    assert call(proxy, request).startswith(b"HTTP/1.1 503 ")
    proxy.status(0)
    assert call(proxy) == b"hello"


def test_proxy_cuts_refuses_and_mends(proxy):
    link = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    link.sendall(b"a")
    assert link.recv(1) == b"a" and proxy.lines() == 1
    proxy.cut()
    assert link.recv(1) == b""
    with pytest.raises((ConnectionResetError, AssertionError)):  # closed, whether it has read or not
        assert call(proxy) == b"hello"
    proxy.mend()
    assert call(proxy) == b"hello"


def test_proxy_resets(proxy):
    link = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    link.sendall(b"a")
    assert link.recv(1) == b"a"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        link.recv(1)
    assert call(proxy) == b"hello"


def test_proxy_program_obeys_and_names_what_it_does_not_know(echo):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    commands = "delay 5\ndelay x\nlines\nexplode\ngo\n"
    ran = subprocess.run([sys.executable, PROGRAM, f"127.0.0.1:{port}", f"{echo[0]}:{echo[1]}"], input=commands,
                         capture_output=True, text=True, timeout=20, check=True)
    up, *answers = ran.stdout.splitlines()
    assert up.startswith("fault proxy up") and answers[0] == "ok" and answers[2] == "0" and answers[4] == "ok"
    assert answers[1] == "delay: 'x' is not a number" and answers[3].startswith("'explode' is not a command; known: lines, ")


@pytest.fixture
def far_store(couch):
    proxy = FaultProxy((couch.host, couch.port))
    yield proxy, Couch(f"http://{couch.username}:{couch.password}@127.0.0.1:{proxy.port}")
    proxy.close()


def test_slow_store_delays_records_but_not_answers(far_store, make_invoker, controller, ns):
    proxy, store = far_store
    invoker = make_invoker(store=store).start(controller)
    proxy.delay(150)
    action = controller.put(f"{ns}/slow", "nodejs:20", NODE_ECHO)
    sent = [controller.invoke(invoker, action, {"n": n}) for n in range(3)]
    for n, activation in enumerate(sent):
        assert activation.response()["result"] == {"n": n}
        assert activation.record()["response"]["result"] == {"n": n}


def test_store_that_answers_garbage_gets_its_records_later(far_store, make_invoker, controller, ns):
    proxy, store = far_store
    invoker = make_invoker(store=store).start(controller)
    action = controller.put(f"{ns}/known", "nodejs:20", NODE_ECHO)
    controller.invoke(invoker, action).finished()
    proxy.garble(0.2)
    sent = [controller.invoke(invoker, action, {"n": n}) for n in range(3)]
    for activation in sent:
        assert activation.response()["statusCode"] == 0
        activation.completion()
    proxy.garble(0)
    for n, activation in enumerate(sent):
        assert activation.record(60)["response"]["result"] == {"n": n}
        assert len([a for a in activation.acks() if "instance" in a.json]) == 1


def test_store_whose_lines_break_in_the_middle_of_answers_gets_its_records(far_store, make_invoker, controller, ns):
    proxy, store = far_store
    invoker = make_invoker(store=store).start(controller)
    action = controller.put(f"{ns}/known", "nodejs:20", NODE_ECHO)
    controller.invoke(invoker, action).finished()
    proxy.cut_after(40)
    proxy.reset()
    activation = controller.invoke(invoker, action, {"n": 1})
    assert activation.response()["statusCode"] == 0
    activation.completion()
    proxy.cut_after(-1)
    assert activation.record(60)["response"]["result"] == {"n": 1}


@pytest.fixture
def far_engine(docker, tmp_path):
    proxy = FaultProxy(docker.path, str(tmp_path / "engine.sock"))
    yield proxy, str(tmp_path / "engine.sock")
    proxy.close()


def test_stalled_engine_does_not_stop_warm_containers(far_engine, make_invoker, controller, ns):
    proxy, path = far_engine
    invoker = make_invoker({"CWHISK_DOCKER_SOCKET": path, "CONFIG_whisk_docker_client_timeouts_run": "2 s"}).start(controller)
    warm = controller.put(f"{ns}/warm", "nodejs:20", NODE_ECHO)
    controller.invoke(invoker, warm).finished()
    proxy.stall()
    cold = controller.invoke(invoker, controller.put(f"{ns}/cold", "nodejs:20", NODE_ECHO))
    assert controller.invoke(invoker, warm, {"n": 1}).response()["result"] == {"n": 1}
    response = cold.response(60)
    assert (response["statusCode"], response["result"]) == (3, {"error": "Failed to provision resources to run the action."})
    proxy.stall(False)
    wait_until(lambda: len(invoker.containers()) == 1, what="what the failed start left is removed")
