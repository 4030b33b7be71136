"""Containers that mean no good, and names that would be something else: each gets its answer and one clear log line, costs a
bounded time and memory, and nobody else notices."""

import re
import secrets
import socket
from pathlib import Path

import pytest

from harness.code import NODE_ECHO
from harness.controller import identity
from harness.invoker import INSTRUMENTED
from harness.wait import wait_until

DEVELOPER = 2
IMAGE = "127.0.0.1:1/local/hostile:1"  # of a registry that nobody has: what is here is taken
UNEXPECTED = "The action did not produce a valid response and exited unexpectedly."
UNINITIALIZED = "The action did not initialize and exited unexpectedly."
TIMEOUT = "The action exceeded its time limits of 10000 milliseconds."

BAD_ANSWERS = {
    "headers for ever": UNEXPECTED, "one header for ever": UNEXPECTED, "headers slowly": UNEXPECTED,
    "interim answers for ever": UNEXPECTED, "body for ever": TIMEOUT, "body slowly": TIMEOUT, "chunks for ever": UNEXPECTED,
    "length too long": UNEXPECTED, "two lengths": UNEXPECTED, "negative length": UNEXPECTED, "huge length": UNEXPECTED,
    "no length": UNEXPECTED, "http 0.9": UNEXPECTED, "http 2": UNEXPECTED, "switched": UNEXPECTED, "noise": UNEXPECTED,
    "reset": UNEXPECTED, "end of file": UNEXPECTED, "silence": TIMEOUT}
BAD_INITS = ["headers for ever", "http 0.9", "chunks for ever", "reset"]


def limits(way):
    """Those that never end have as little time as a container may need to start on a busy machine, and more of the machine."""
    return {"timeout": 10000, "memory": 512} if BAD_ANSWERS.get(way) == TIMEOUT else {"timeout": 60000}


def rss_kb(invoker):
    status = Path(f"/proc/{invoker.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1])


def put(controller, ns, way):
    return controller.put(f"{ns}/{re.sub('[^a-z0-9]', '_', way)}", "blackbox", way, image=IMAGE, limits=limits(way))


@pytest.fixture(scope="module")
def hostile_image(docker):
    server = Path(__file__).parent / "harness" / "hostile_server.py"
    docker.derive("whisk/action-python-v3.11:local", "cw-hostile:1", server, ["/usr/bin/python3.11", "-B", "/hostile_server.py"])
    docker.tag("cw-hostile:1", IMAGE.rpartition(":")[0], "1")


class Crowd:
    """All ways at once, with an action among them that is as it should be."""

    def __init__(self, invoker, controller):
        self.namespace = f"n{secrets.token_hex(4)}"
        self.before_kb = rss_kb(invoker)
        self.sent = {way: controller.invoke(invoker, put(controller, self.namespace, way))
                     for way in [*BAD_ANSWERS, *(f"init: {way}" for way in BAD_INITS)]}
        good = controller.put(f"{self.namespace}/good", "nodejs:20", NODE_ECHO)
        self.neighbours = [controller.invoke(invoker, good, {"i": i}).response(120)["result"] for i in range(5)]
        for activation in self.sent.values():
            activation.finished(120)


@pytest.fixture(scope="module")
def crowd(invoker, controller, hostile_image):
    return Crowd(invoker, controller)


def trouble(invoker, activation):
    """Lines of WARN and ERROR that belong to the activation, by its transaction; not that it had to wait for others."""
    return [line for line in invoker.log().splitlines()
            if f"[#tid_{activation.transid[0]}]" in line and re.search(r"^\[[^]]*\] \[(WARN|ERROR)\]", line)
            and "no room for activation" not in line]


def check(crowd, invoker, way, error):
    activation = crowd.sent[way]
    record, response = activation.record(), activation.response()
    assert (response["statusCode"], response["result"]) == (DEVELOPER, {"error": error})
    assert record["response"] == response and record["duration"] < 2 * limits(way)["timeout"]
    assert activation.completion().json["isSystemError"] is False
    assert len([a for a in activation.acks() if "instance" in a.json]) == 1
    assert len(trouble(invoker, activation)) == 1, trouble(invoker, activation)


@pytest.mark.parametrize("way", BAD_ANSWERS)
def test_answer_of_a_hostile_container(crowd, invoker, way):
    check(crowd, invoker, way, BAD_ANSWERS[way])


@pytest.mark.parametrize("way", BAD_INITS)
def test_init_of_a_hostile_container(crowd, invoker, way):
    check(crowd, invoker, f"init: {way}", UNINITIALIZED)


def test_hostile_containers_disturb_nobody_and_leave_nothing(crowd, invoker):
    assert crowd.neighbours == [{"i": i} for i in range(5)]
    assert INSTRUMENTED or rss_kb(invoker) < crowd.before_kb + 32 * 1024
    wait_until(lambda: not [name for name in invoker.containers() if crowd.namespace in name and not name.endswith("_good")], 20,
               lambda: f"removal of all: {list(invoker.containers())}")


@pytest.mark.parametrize("way", ["length too short", "answered twice"])
def test_what_stands_behind_an_answer_is_not_the_next_one(hostile_image, invoker, controller, ns, way):
    action = put(controller, ns, way)
    for n in (1, 2, 3):
        activation = controller.invoke(invoker, action)
        assert activation.response()["result"] == {"n": n}
        activation.finished()


def lines_about(invoker, offset, what):
    return [line for line in invoker.log()[offset:].splitlines() if what in line]


BAD_NAMES = {
    "newline": "a\n[2026-01-01T00:00:00.000Z] [ERROR] [#tid_forged] [x] y", "control": "a\x1b[2J\x07", "traversal": "..",
    "slash": "../../x", "percent": "%2e%2e%2f", "query": "a?x=1#y", "too long": "n" * 65536, "direction": "a\u202eb",
    "empty": "", "quote": 'a"b\\', "nul": "a\0b"}


@pytest.mark.parametrize("field, told_as", [("action", "action.name"), ("namespace", "user.")])
def test_messages_with_hostile_names_are_told_in_a_line_each(invoker, controller, ns, field, told_as):
    before = len(invoker.log())
    action = controller.put(f"{ns}/a", "nodejs:20", NODE_ECHO)
    for name in BAD_NAMES.values():
        message = controller.message(action, user=identity(name if field == "namespace" else ns))
        if field == "action":
            message["action"]["name"] = name
        controller.send(invoker, message)
    assert controller.invoke(invoker, action, {"x": 1}).response()["result"] == {"x": 1}
    told = lines_about(invoker, before, "cannot be read")
    assert len(told) == len(BAD_NAMES) and all("[ERROR]" in line and told_as in line for line in told), told
    assert all(re.match(r"\[20..-..-..T", line) for line in invoker.log().split("\n") if line)
    assert not any(line.startswith("[2026-01-01T") for line in invoker.log().splitlines())


BAD_MESSAGES = {
    "empty": b"", "nothing": b"null", "text": b"hello", "cut": b'{"transid":["a",1],"act', "deep": b"[" * 100000,
    "deep object": b'{"a":' * 50000, "not utf-8": b'{"transid":"\xff\xfe"}', "array": b"[1,2,3]", "nul": b"\0" * 1000,
    "large": b'{"x":"' + b"y" * 1000000 + b'"}', "huge number": b'{"deadline":1e999999}', "twice": b'{"action":1,"action":2}'}


def test_messages_that_are_none_are_told_in_a_line_each(invoker, controller, ns):
    before = len(invoker.log())
    for payload in BAD_MESSAGES.values():
        controller.kafka.send(invoker.topic, payload)
    good = controller.invoke(invoker, controller.put(f"{ns}/good", "nodejs:20", NODE_ECHO), {"x": 1})
    assert good.response()["result"] == {"x": 1}
    assert len(lines_about(invoker, before, "cannot be read")) == len(BAD_MESSAGES)


def test_user_names_are_encoded_on_their_way_to_the_database_and_the_engine(invoker, controller, ns):
    """Names that are allowed and have a meaning elsewhere."""
    action = controller.put(f"{ns}/a.b @x&y-z", "nodejs:20", NODE_ECHO)
    activation = controller.invoke(invoker, action, {"x": 1})
    assert activation.response()["result"] == {"x": 1}
    assert activation.record()["name"] == "a.b @x&y-z"
    assert [name for name in invoker.containers() if name.endswith(f"_{ns}_abxyz")]


def hold_open(port, count):
    links = []
    for _ in range(count):
        link = socket.create_connection(("127.0.0.1", port), timeout=5)
        link.sendall(b"GET /ping HTTP/1.1\r\nX-Slow: ")
        links.append(link)
    return links


def test_slow_clients_of_the_http_interface_disturb_nobody(invoker, controller, ns):
    links = hold_open(invoker.port, 200)
    try:
        assert invoker.http("/ping").text == "pong"
        activation = controller.invoke(invoker, controller.put(f"{ns}/good", "nodejs:20", NODE_ECHO), {"x": 1})
        assert activation.response()["result"] == {"x": 1}
    finally:
        for link in links:
            link.close()
