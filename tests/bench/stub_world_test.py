#!/usr/bin/env python3
"""stub_world against what the invoker will ask of it. usage: stub_world_test.py STUB_WORLD"""

import http.client
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(connection, method, path, body=None):
    """→ status, decoded body."""
    connection.request(method, path, body)
    reply = connection.getresponse()
    text = reply.read()
    return reply.status, json.loads(text) if text else None


class StubWorld(unittest.TestCase):
    def setUp(self):
        self.begin()

    def begin(self, *options):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        path = f"{self.folder.name}/docker.sock"
        self.process = subprocess.Popen([PROGRAM, "--docker", path, "--logs", self.folder.name, "--net", str(random.randrange(2, 255)),
                                         *options], stdout=subprocess.PIPE)
        self.addCleanup(self.stop, self.process)
        port = json.loads(self.process.stdout.readline())["couch"]
        self.docker, self.couch = UnixConnection(path), http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.addCleanup(self.docker.close)
        self.addCleanup(self.couch.close)

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)
        process.stdout.close()

    def engine(self, method, path, body=None):
        return ask(self.docker, method, f"/v1.41/containers{path}", body)

    def start(self, name="wsk0_1"):
        """→ id, connection to the action, log file."""
        status, created = self.engine("POST", f"/create?name={name}", "{}")
        self.assertEqual(status, 201)
        self.assertEqual(self.engine("POST", f"/{created['Id']}/start"), (204, None))
        _, seen = self.engine("GET", f"/{created['Id']}/json")
        self.assertTrue(seen["State"]["Running"])
        action = http.client.HTTPConnection(seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"], 8080, timeout=10)
        self.addCleanup(action.close)
        return created["Id"], action, Path(seen["LogPath"])

    def test_engine_names_its_version(self):
        status, version = ask(self.docker, "GET", "/version")
        self.assertEqual((status, version["ApiVersion"]), (200, "1.41"))

    def test_action_runs_after_init_on_one_connection_and_leaves_log_lines(self):
        _, action, log = self.start()
        self.assertEqual(ask(action, "POST", "/run", "{}")[0], 403)
        self.assertEqual(ask(action, "POST", "/init", "{}"), (200, {"ok": True}))
        for _ in range(2):
            self.assertEqual(ask(action, "POST", "/run", json.dumps({"value": {"name": "x" * 100000}})), (200, {"ok": True}))
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        self.assertEqual([(x["stream"], x["log"] == SENTINEL) for x in lines],
                         [("stdout", False), ("stdout", True), ("stderr", True)] * 2)
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")

    def sentinels(self):
        self.couch.request("GET", "/_stub/sentinels")
        return self.couch.getresponse().read().decode().splitlines()[1:]

    def test_moment_of_the_last_sentinel_is_told_by_activation(self):
        _, action, _ = self.start()
        ask(action, "POST", "/init", "{}")
        before = time.monotonic_ns() // 1000
        for i in range(2):
            ask(action, "POST", "/run", json.dumps({"activation_id": f"{i:032x}"}, separators=(",", ":")))
        rows = [row.split(",") for row in self.sentinels()]
        self.assertEqual([row[0] for row in rows], [f"{i:032x}" for i in range(2)])
        self.assertTrue(before <= int(rows[0][1]) <= int(rows[1][1]) <= time.monotonic_ns() // 1000)

    def test_log_lines_may_come_after_the_answer(self):
        self.begin("--log-delay", "300000")
        _, action, log = self.start()
        ask(action, "POST", "/init", "{}")
        asked = time.monotonic_ns() // 1000
        ask(action, "POST", "/run", json.dumps({"activation_id": "a" * 32}, separators=(",", ":")))
        while not (rows := self.sentinels()):
            time.sleep(0.01)
        self.assertGreaterEqual(int(rows[0].split(",")[1]), asked + 300000)
        self.assertEqual(len(log.read_text().splitlines()), 3)

    def test_log_lines_of_a_removed_container_are_not_written(self):
        self.begin("--log-delay", "100000")
        removed, action, _ = self.start()
        _, other, log = self.start("wsk0_2")
        for connection, name in ((action, "a"), (other, "b")):
            ask(connection, "POST", "/init", "{}")
            ask(connection, "POST", "/run", json.dumps({"activation_id": name * 32}, separators=(",", ":")))
        self.engine("DELETE", f"/{removed}?force=true&v=true")
        while not (rows := self.sentinels()):
            time.sleep(0.01)
        self.assertEqual([row.split(",")[0] for row in rows], ["b" * 32])
        self.assertEqual(len(log.read_text().splitlines()), 3)

    def test_paused_container_does_not_run(self):
        name, action, _ = self.start()
        ask(action, "POST", "/init", "{}")
        self.assertEqual(self.engine("POST", f"/{name}/pause")[0], 204)
        self.assertEqual(ask(action, "POST", "/run", "{}")[0], 503)
        self.assertEqual(self.engine("POST", f"/{name}/unpause")[0], 204)
        self.assertEqual(ask(action, "POST", "/run", "{}")[0], 200)

    def test_removed_container_is_gone_with_its_port_and_log(self):
        name, action, log = self.start()
        self.assertEqual(self.engine("POST", "/create?name=wsk0_1", "{}")[0], 409)
        self.assertEqual([c["Names"] for c in self.engine("GET", "/json?all=true")[1]], [["/wsk0_1"]])
        self.assertEqual(self.engine("DELETE", f"/{name}?force=true&v=true"), (204, None))
        self.assertEqual(self.engine("GET", "/json?all=true"), (200, []))
        self.assertEqual(self.engine("GET", f"/{name}/json")[0], 404)
        self.assertFalse(log.exists())
        with self.assertRaises(ConnectionRefusedError):
            ask(action, "POST", "/init", "{}")

    def test_couch_has_every_action_and_counts_records(self):
        status, action = ask(self.couch, "GET", "/whisks/guest%2Fhello")
        self.assertEqual((status, action["_id"], action["exec"]["kind"]), (200, "guest/hello", "nodejs:20"))
        self.assertEqual(ask(self.couch, "GET", "/whisks/guest%2Fx-python")[1]["exec"]["kind"], "python:3.11")
        docs = [{"_id": f"guest/{i:032x}", "logs": ["x" * 1000]} for i in range(500)]
        status, rows = ask(self.couch, "POST", "/activations/_bulk_docs", json.dumps({"docs": docs}))
        self.assertEqual((status, [row["id"] for row in rows]), (201, [doc["_id"] for doc in docs]))
        self.assertTrue(all(row["ok"] and re.match("1-[0-9a-f]{32}$", row["rev"]) for row in rows))
        self.assertEqual(ask(self.couch, "POST", "/activations/_bulk_docs", '{"docs":[{}]}')[0], 400)
        stats = ask(self.couch, "GET", "/_stub/stats")[1]
        self.assertEqual((stats["records"], stats["reads"], stats["batches"]), (500, 2, 2))


if __name__ == "__main__":
    unittest.main()
