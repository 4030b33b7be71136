"""Records in the data directory: whatever becomes of CouchDB and of the process, each is there in the end, once, in order."""

import http.server
import os
import subprocess
import threading

import pytest

from harness.code import NODE_ECHO
from harness.couch import Couch
from harness.faults import FaultProxy
from harness.wait import wait_until


class SaysNo(http.server.ThreadingHTTPServer):
    """CouchDB behind somebody who answers bulk requests himself, as `answer` (status, body) says; None: passes all."""
    daemon_threads = True

    def __init__(self, couch):
        super().__init__(("127.0.0.1", 0), Passing)
        self.couch, self.answer, self.refused = couch, None, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.answer and self.path.endswith("_bulk_docs"):
            self.server.refused += 1
            status, content = self.server.answer
        else:
            got = self.server.couch.session.request(self.command, self.server.couch.base + self.path, data=body, timeout=20,
                                                    headers={"Content-Type": "application/json"})
            status, content = got.status_code, got.content
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def relay(couch):
    proxy = FaultProxy((couch.host, couch.port))
    proxy.store = Couch(f"http://{couch.username}:{couch.password}@127.0.0.1:{proxy.port}")
    yield proxy
    proxy.close()


@pytest.fixture
def says_no(couch):
    server = SaysNo(couch)
    server.store = Couch(f"http://{couch.username}:{couch.password}@127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def metric(invoker, name):
    return next(float(line.split()[1]) for line in invoker.http("/metrics").text.splitlines() if line.startswith(f"{name} "))


def in_spool(invoker, count):
    wait_until(lambda: metric(invoker, "cwhisk_spool_records") == count, what=f"{count} records wait in the spool")


def run(controller, invoker, action, numbers):
    """Activations, one after another, all answered."""
    sent = []
    for n in numbers:
        sent.append(controller.invoke(invoker, action, {"n": n}))
        sent[-1].completion()
    return sent


def expect_all(couch, ns, sent):
    """All records are there, as they ended, each written once; → their ids in the order of writing."""
    for n, activation in enumerate(sent):
        assert activation.record(60)["response"]["result"] == {"n": n}
        assert len([a for a in activation.acks() if "instance" in a.json]) == 1
    ids = {f"{ns}/{a.id}" for a in sent}
    changes = [c for c in couch.request("GET", couch.activations, "_changes").json()["results"] if c["id"] in ids]
    assert all(c["changes"][0]["rev"].startswith("1-") for c in changes)
    return [c["id"] for c in changes]


def expect_in_order(couch, ns, sent):
    assert expect_all(couch, ns, sent) == [f"{ns}/{a.id}" for a in sent]


def begin(make_invoker, controller, store, folder, ns, **more):
    """An invoker with a data directory that knows an action; its record is stored already."""
    folder.mkdir(exist_ok=True)
    invoker = make_invoker({"CWHISK_DATA_DIR": str(folder), **more}, store=store).start(controller)
    action = controller.put(f"{ns}/known", "nodejs:20", NODE_ECHO)
    return invoker, action, run(controller, invoker, action, [0])


def test_records_survive_a_kill_while_the_store_is_away(relay, make_invoker, controller, couch, ns, tmp_path):
    invoker, action, sent = begin(make_invoker, controller, relay.store, tmp_path / "data", ns)
    sent[0].record()
    in_spool(invoker, 0)
    relay.cut()
    sent += run(controller, invoker, action, range(1, 16))
    in_spool(invoker, 15)
    invoker.kill()
    relay.mend()
    invoker.start(controller)
    assert "15 records that were not stored before the last end are stored now" in invoker.log()
    expect_in_order(couch, ns, sent)
    in_spool(invoker, 0)
    assert metric(invoker, "cwhisk_records_conflict_total") == 0


def test_kills_in_a_row_while_the_store_hangs_lose_nothing(relay, make_invoker, controller, couch, ns, tmp_path):
    invoker, action, sent = begin(make_invoker, controller, relay.store, tmp_path / "data", ns)
    sent[0].record()
    relay.stall()
    sent += run(controller, invoker, action, range(1, 4))
    in_spool(invoker, 3)
    for starts in range(1, 3):  # none of them reaches the store
        invoker.kill()
        invoker.spawn()
        wait_until(lambda: invoker.log().count("3 records that were not stored before") == starts, what="they are found")
    invoker.kill()
    relay.stall(False)
    relay.reset()
    invoker.start(controller)
    expect_in_order(couch, ns, sent)


def test_stop_while_the_store_is_away_leaves_records_to_the_next_start(relay, make_invoker, controller, couch, ns, tmp_path):
    invoker, action, sent = begin(make_invoker, controller, relay.store, tmp_path / "data", ns)
    sent[0].record()
    relay.cut()
    sent += run(controller, invoker, action, range(1, 4))
    in_spool(invoker, 3)
    assert invoker.terminate() == 0
    said = f"3 records that the store has not taken stay in {tmp_path / 'data'}"
    assert said in invoker.log() and "records lost" not in invoker.log()
    relay.mend()
    invoker.start(controller)
    expect_in_order(couch, ns, sent)


def test_stop_with_a_store_that_answers_leaves_nothing_behind(make_invoker, controller, couch, ns, tmp_path):
    invoker, action, sent = begin(make_invoker, controller, couch, tmp_path / "data", ns)
    sent += run(controller, invoker, action, range(1, 4))
    assert invoker.terminate() == 0
    assert all(couch.record(ns, a.id) for a in sent)
    invoker.start(controller)
    assert "stay in" not in invoker.log() and "are stored now" not in invoker.log()


@pytest.mark.parametrize("answer", [(503, b"<html>Service Unavailable</html>"), (201, b"[{]"),
                                    (409, b'{"error":"conflict","reason":"Document update conflict."}')], ids=["503", "garbage", "409"])
def test_refusing_store_gets_all_later(says_no, make_invoker, controller, couch, ns, tmp_path, answer):
    invoker, action, sent = begin(make_invoker, controller, says_no.store, tmp_path / "data", ns)
    sent[0].record()
    says_no.answer = answer
    sent += run(controller, invoker, action, range(1, 5))
    wait_until(lambda: says_no.refused >= 3, what="it has tried again")
    assert metric(invoker, "cwhisk_spool_records") == 4 and metric(invoker, "cwhisk_records_degraded_total") == 0
    says_no.answer = None
    expect_all(couch, ns, sent)
    assert metric(invoker, "cwhisk_records_conflict_total") == 0


def test_full_spool_stops_work_until_the_store_is_back(relay, make_invoker, controller, couch, ns, tmp_path):
    invoker, action, sent = begin(make_invoker, controller, relay.store, tmp_path / "data", ns, CWHISK_SPOOL_BYTES="16 m")
    sent[0].record()
    relay.cut()
    large = "x" * 900_000
    activations = [controller.invoke(invoker, action, {"n": n, "fill": large}) for n in range(24)]
    wait_until(lambda: "no further activations are taken" in invoker.log(), timeout=60, what="the spool is full")
    assert not all(a.acks() for a in activations)
    relay.mend()
    for n, activation in enumerate(activations):
        assert activation.record(60)["response"]["result"]["n"] == n
    in_spool(invoker, 0)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk_is_told_and_records_are_stored_all_the_same(small_disk, make_invoker, controller, couch, ns):
    invoker, action, sent = begin(make_invoker, controller, couch, small_disk, ns, CWHISK_SPOOL_BYTES="16 m")
    filler = os.open(small_disk / "filler", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(OSError, match="No space left"):
        while True:
            os.write(filler, bytes(1 << 16))
    os.close(filler)
    large = "x" * 700_000  # the segment that has its room already does not hold all of them
    sent += [controller.invoke(invoker, action, {"n": n, "fill": large}) for n in range(1, 4)]
    for n, activation in enumerate(sent):
        assert activation.record(60)["response"]["result"]["n"] == n
    said = "records are kept in memory only, and lost with this process, until they are stored"
    wait_until(lambda: said in invoker.log(), what="the full disk is told")
    assert "No space left on device" in invoker.log() and metric(invoker, "cwhisk_spool_errors_total") >= 1
    (small_disk / "filler").unlink()
    spooled = metric(invoker, "cwhisk_records_spooled_total")
    wait_until(lambda: run(controller, invoker, action, [9])[0].record() and metric(invoker, "cwhisk_records_spooled_total") > spooled,
               what="records are spooled again")
    assert "records are written to the data directory again" in invoker.log()
