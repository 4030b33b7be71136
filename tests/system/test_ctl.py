"""`cwhisk ctl` against a scripted invoker: tables, changes, JSON, exit statuses."""

import base64
import fcntl
import json
import os
import pty
import ssl
import struct
import subprocess
import termios
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.invoker import ROOT, binary
from harness.wait import PATIENCE, wait_until

RIGHT = "Basic " + base64.b64encode(b"invoker.user:invoker.pass").decode()
STORES = ROOT / "tests/data/tls"
CONTAINERS = {"containers": [
    {"name": "wsk0_1_guest_hello", "state": "running", "action": "guest/hello", "jobs": 2, "memoryLimit": 268435456},
    {"name": "wsk0_2_guest_idle", "state": "paused", "action": "guest/\u001b[31m\u009bdle", "jobs": 0, "idleMs": 1500, "memoryLimit": 1 << 30}]}


class Stub(ThreadingHTTPServer):
    """Answers what `answers` has: {(method, path): function of nothing → (status, JSON value or text)}."""

    daemon_threads = True

    def __init__(self):
        self.answers, self.asked = {}, []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_):
        """Whoever asked may have gone: `ctl --watch` is ended in the middle."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        self.server.asked.append((self.command, self.path))
        if self.headers.get("Authorization") != RIGHT:
            status, answer = 401, {"error": "no"}
        else:
            status, answer = self.server.answers.get((self.command, path), lambda: (404, {"error": "not found"}))()
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def stub():
    server = Stub()
    yield server
    server.shutdown()
    server.server_close()


def environment(**more):
    return {"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=1", **more}


def ctl(*words, env=None):
    return subprocess.run([str(binary()), "ctl", *words], env=env or environment(), capture_output=True, text=True,
                          timeout=30 * PATIENCE)


def test_list_is_a_table_with_aligned_columns_and_no_control_characters(stub):
    stub.answers["GET", "/containers"] = lambda: (200, CONTAINERS)
    done = ctl("--url", stub.url, "containers")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and lines[0].split()[:3] == ["ACTION", "STATE", "JOBS"] and lines[0].endswith("  NAME")
    assert lines[1].index("running") == lines[2].index("paused") == lines[0].index("STATE")
    assert "256.0 MiB" in lines[1] and "1.0 GiB" in lines[2] and "1.500 s" in lines[2]
    assert "\x1b" not in done.stdout and "\x9b" not in done.stdout and "?[31m?dle" in lines[2]


def on_terminal(stub, columns, *words):
    """What it prints on a terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    done = subprocess.run([str(binary()), "ctl", "--url", stub.url, *words], env=environment(), stdout=slave, timeout=30 * PATIENCE, check=True)
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # all is read
        pass
    os.close(master)
    assert done.returncode == 0
    return shown.decode().replace("\r", "").splitlines()


@pytest.mark.parametrize("columns, titles, last", [
    (200, "ACTION JOBS LIMIT NAME", "_guest_hello"), (60, "ACTION JOBS LIMIT", "256.0 MiB"), (30, "ACTION JOBS", "2")])
def test_columns_that_find_no_room_are_left_out_whole(stub, columns, titles, last):
    stub.answers["GET", "/containers"] = lambda: (200, CONTAINERS)
    lines = on_terminal(stub, columns, "containers")
    assert all(len(line) <= columns for line in lines) and set(titles.split()) <= set(lines[0].split())
    assert lines[1].rstrip().endswith(last) and ("LIMIT" in lines[0]) == (columns > 30)


def test_text_at_the_end_is_cut_and_says_so(stub):
    why = "blend: 71.3 MiB, 118 millicores; 40.0 runs of the action, 0.0 of its image"
    stub.answers["GET", "/profile"] = lambda: (200, {"profile": [{"of": "need", "memoryBytes": 74763469, "cpuMillis": 118, "runs": 40, "why": why}]})
    lines = on_terminal(stub, 80, "profile", "guest/hello")
    assert [len(line) for line in lines[1:]] == [80] and lines[1].endswith("…") and "71.3 MiB  0.12" in lines[1]
    assert ctl("--url", stub.url, "profile", "guest/hello").stdout.splitlines()[1].endswith(why)


def test_json_is_what_the_invoker_said(stub):
    stub.answers["GET", "/containers"] = lambda: (200, CONTAINERS)
    done = ctl("containers", "--json", env=environment(CWHISK_CTL_URL=stub.url + "/"))
    assert json.loads(done.stdout) == CONTAINERS and done.stdout.count("\n") == 1


@pytest.mark.parametrize("what, answer, status, says", [
    ("hosts", None, 5, "has no /hosts"),
    ("profile", (404, {"error": "nothing is known of this action"}), 5, "nothing is known of this action"),
    ("containers", (503, {"error": "the invoker is starting"}), 1, "the invoker is starting"),
    ("containers", (500, "<html>oops"), 1, "status 500: <html>oops"),
    ("containers", (200, "not JSON"), 1, "/containers"),
    ("containers", (200, {"else": []}), 1, 'no list "containers"'),
], ids=["unknown", "no action", "refusal", "strange", "garbage", "foreign"])
def test_exit_status_says_what_went_wrong(stub, what, answer, status, says):
    if answer:
        stub.answers["GET", f"/{what}"] = lambda: answer
    done = ctl("--url", stub.url, what, *(["a/b"] if what == "profile" else []))
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("cwhisk ctl: ") and says in done.stderr and done.stderr.count("\n") == 1


def test_nobody_there_and_wrong_credentials(stub, tmp_path):
    url = stub.url
    stub.answers["GET", "/containers"] = lambda: (200, CONTAINERS)
    done = ctl("--url", url, "containers", env=environment(CONFIG_whisk_invoker_password="wrong"))
    assert done.returncode == 4 and "--credentials" in done.stderr and "wrong" not in done.stderr
    secret = tmp_path / "secret"
    secret.write_text("invoker.user:invoker.pass\n")
    assert ctl("--url", url, "--credentials", str(secret), "containers").returncode == 0
    assert ctl("--url", url, "--credentials", str(secret), "--", "containers").returncode == 0
    secret.write_text("nothing\nuser:password\n")
    assert ctl("--url", url, "--credentials", str(secret), "containers").returncode == 2
    done = ctl("--url", "http://127.0.0.1:9", "containers")
    assert done.returncode == 3 and "--url or CWHISK_CTL_URL" in done.stderr


@pytest.mark.parametrize("words", [[], ["what"], ["clean", "x"], ["containers", "x"], ["profile"], ["profile", "a", "b"],
                                   ["--watch=0", "hosts"], ["--timeout", "soon", "hosts"], ["hosts", "--no"], ["--watch", "clean"],
                                   ["--url", "ftp://x", "hosts"]])
def test_wrong_usage_is_status_2(words):
    done = ctl(*words)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_wrong_usage_names_what_is_wrong():
    assert "--no: unknown option" in ctl("hosts", "--no").stderr and "--url: its value is missing" in ctl("hosts", "--url").stderr
    assert '"host"; accepted: hosts, containers, profile, events, clean' in ctl("host").stderr


def test_an_argument_is_encoded(stub):
    stub.answers["GET", "/profile"] = lambda: (200, {"profile": []})
    assert ctl("--url", stub.url, "profile", "ns/a b&c").returncode == 0
    assert stub.asked == [("GET", "/profile?action=ns%2Fa%20b%26c")]


def test_https_with_certificates_of_both_ends(stub):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(STORES / "server.pem")
    context.load_verify_locations(STORES / "root.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    stub.socket = context.wrap_socket(stub.socket, server_side=True)
    stub.answers["GET", "/containers"] = lambda: (200, CONTAINERS)
    url, pem, root = stub.url.replace("http:", "https:").replace("127.0.0.1", "localhost"), str(STORES / "server.pem"), str(STORES / "root.pem")
    assert ctl("--url", url, "--ca", root, "--cert", pem, "--key", pem, "containers").returncode == 0
    assert ctl("--url", url, "--insecure", "--cert", pem, "--key", pem, "containers").returncode == 0
    assert ctl("--url", url, "--cert", pem, "--key", pem, "containers").returncode == 3  # the authority is not the system's
    assert ctl("--url", url, "--ca", root, "containers").returncode == 3


def watching(stub, *words):
    return subprocess.Popen([str(binary()), "ctl", "--url", stub.url, "--watch=0.05", *words], env=environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_watch_in_a_pipe_tells_each_change_once(stub):
    state = {"rows": CONTAINERS["containers"]}
    stub.answers["GET", "/containers"] = lambda: (200, {"containers": state["rows"]})
    process = watching(stub, "containers")
    first = [process.stdout.readline().split(" ", 2) for _ in range(2)]
    assert [line[1] for line in first] == ["+", "+"] and "NAME=wsk0_1_guest_hello" in first[0][2]
    paused = {**CONTAINERS["containers"][0], "state": "paused", "jobs": 0, "memoryUsed": 1, "cpuMillis": 1, "idleMs": 1}
    state["rows"] = [paused]
    changes = sorted(process.stdout.readline().split(" ", 2)[1:] for _ in range(2))
    assert changes[0][0] == "-" and "wsk0_2_guest_idle" in changes[0][1]
    assert changes[1][0] == "~" and "STATE=paused" in changes[1][1]
    state["rows"] = [{**paused, "jobs": 3}]
    assert " JOBS=3 " in process.stdout.readline(), "what is counted is told of"
    state["rows"] = [{**paused, "jobs": 3, "memoryUsed": 12345, "cpuMillis": 17, "idleMs": 99}]
    asked = len(stub.asked)
    wait_until(lambda: len(stub.asked) > asked + 3, what="further looks")
    process.terminate()
    assert process.communicate()[0] == ""


def test_watch_waits_for_an_invoker_that_is_away(stub):
    answer = [(200, CONTAINERS)]
    stub.answers["GET", "/containers"] = lambda: answer[0]
    process = watching(stub, "containers", "--json")
    assert {json.loads(process.stdout.readline())["change"] for _ in range(2)} == {"added"}
    answer[0] = (503, {"error": "restarting"})
    assert "restarting" in process.stderr.readline()
    answer[0] = (200, {"containers": CONTAINERS["containers"][1:]})
    gone = json.loads(process.stdout.readline())
    assert (gone["change"], gone["row"]["name"]) == ("removed", "wsk0_1_guest_hello")
    process.terminate()
    assert process.communicate()[1] == ""


def test_watch_on_a_terminal_draws_in_place(stub):
    stub.answers["GET", "/containers"] = lambda: (200, CONTAINERS)
    master, slave = pty.openpty()
    process = subprocess.Popen([str(binary()), "ctl", "--url", stub.url, "--watch=0.05", "containers"], env=environment(),
                               stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    while seen.count(b"wsk0_1_guest_hello") < 3:
        seen += os.read(master, 65536)
    process.terminate()
    process.wait()
    os.close(master)
    assert seen.startswith(b"\x1b[2J\x1b[H") and b"\x1b[H\x1b[J" in seen


def test_a_watched_table_is_not_longer_than_the_terminal(stub):
    stub.answers["GET", "/containers"] = lambda: (200, {"containers": [{"name": f"c{n}", "state": "ready"} for n in range(100)]})
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 120, 0, 0))
    process = subprocess.Popen([str(binary()), "ctl", "--url", stub.url, "--watch=0.05", "containers"], env=environment(), stdout=slave)
    os.close(slave)
    seen = b""
    while seen.count(b"\x1b[H") < 3:
        seen += os.read(master, 65536)
    process.terminate()
    process.wait()
    os.close(master)
    drawn = seen.split(b"\x1b[H")[1]
    assert drawn.count(b"\n") == 9 and b"c4" in drawn and b"c5" not in drawn and "… and 95 more".encode() in drawn


def test_events_go_on_from_where_they_were(stub):
    event = {"time": "2026-01-01T00:00:00.000Z", "event": "start", "container": "wsk0_1_x", "tookUs": 1500}
    answers = iter([{"events": [{**event, "seq": 1}], "next": 1}, {"events": [{**event, "seq": 2, "event": "die"}], "next": 2}])
    hang = threading.Event()

    def answer():
        if (found := next(answers, None)) is None:
            hang.wait(60)
            return 200, {"events": [], "next": 2}
        return 200, found
    stub.answers["GET", "/events"] = answer
    process = watching(stub, "events")
    assert process.stdout.readline().startswith("TIME=2026-01-01T00:00:00.000Z EVENT=start CONTAINER=wsk0_1_x TOOK=1.500 ms")
    assert "EVENT=die" in process.stdout.readline()
    wait_until(lambda: len(stub.asked) == 3, what="the third question")
    assert [path for _, path in stub.asked] == ["/events?since=0&wait=0", "/events?since=1&wait=20", "/events?since=2&wait=20"]
    process.terminate()
    process.wait()
    hang.set()


def test_clean_asks_only_or_acts(stub):
    row = {"name": "wsk0_1_x", "reason": "stopped", "state": "exited", "ageMs": 61000, "memoryBytes": 0}
    stub.answers["GET", "/clean"] = lambda: (200, {"containers": [row], "seen": 4, "freedBytes": 0, "dryRun": True})
    stub.answers["POST", "/clean"] = lambda: (200, {"containers": [], "seen": 3, "freedBytes": 0, "dryRun": False})
    done = ctl("--url", stub.url, "clean", "--dry-run")
    assert done.returncode == 0 and "1 of 4 containers would be removed" in done.stdout and "stopped" in done.stdout
    done = ctl("--url", stub.url, "clean")
    assert done.stdout == "0 of 3 containers removed, 0.0 MiB\n"
    assert stub.asked == [("GET", "/clean?dry-run"), ("POST", "/clean")]
