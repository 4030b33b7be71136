#!/usr/bin/env python3
"""cwhisk agent on folders that look like control groups of version 2 and Docker's files.

usage: agent_test.py CWHISK [unittest arguments]"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

CWHISK = os.path.abspath(sys.argv[1])
PATIENCE_S = 20
A, B = "a" * 64, "b" * 64


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)
    return result


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Redis:
    """A server of its own; only what is asked here."""

    def __init__(self, folder):
        self.port = free_port()
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
                                        stdout=subprocess.DEVNULL)

    def ask(self, *words):
        request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as s:
                s.sendall(request)
                return self.read(s.makefile("rb"))
        except ConnectionRefusedError:
            return None

    def read(self, file):
        line = file.readline().decode()
        kind, rest = line[0], line[1:].strip()
        if kind == "*":
            return [self.read(file) for _ in range(int(rest))]
        if kind == "$":
            return file.read(int(rest) + 2)[:-2].decode() if rest != "-1" else None
        return int(rest) if kind == ":" else rest

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Agent(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.groups, self.docker = self.folder / "cgroup", self.folder / "containers"
        self.groups.mkdir()
        self.docker.mkdir()
        (self.groups / "cgroup.controllers").write_text("cpu memory pids\n", encoding="ascii")
        self.log = self.folder / "log"

    def container(self, identity, name, *, cpu_us=1000, memory=5000, limit=1 << 28):
        folder = self.groups / "system.slice" / f"docker-{identity}.scope"
        folder.mkdir(parents=True, exist_ok=True)
        files = {"cgroup.controllers": "cpu memory pids", "cgroup.procs": "", "cpu.stat": f"usage_usec {cpu_us}\nuser_usec 1\nsystem_usec 1",
                 "memory.current": memory, "memory.peak": memory, "memory.stat": "anon 1\nfile 1\nshmem 0\ninactive_file 1000",
                 "memory.events": "oom 0\noom_kill 0", "pids.current": 3, "io.stat": ""}
        for file, text in files.items():
            (folder / file).write_text(f"{text}\n", encoding="ascii")
        about = self.docker / identity
        about.mkdir(exist_ok=True)
        (about / "config.v2.json").write_text(json.dumps({"Name": f"/{name}"}), encoding="ascii")
        (about / "hostconfig.json").write_text(json.dumps({"Memory": limit}), encoding="ascii")
        return folder

    def start(self, *options, env=None):
        with open(self.log, "wb") as log:
            process = subprocess.Popen(
                [CWHISK, "agent", "--port", "0", "--cgroup-root", self.groups, "--containers-dir", self.docker, "--interval", "20 ms",
                 "--scan-interval", "100 ms", "--name", "here", *options], stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        found = wait_until(f"a port in {self.log}", lambda: re.search(r"port (\d+)", self.log.read_text(errors="replace")))
        self.url = f"http://127.0.0.1:{found[1]}"
        return process

    def get(self, path, headers=None):
        with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers or {}), timeout=PATIENCE_S) as answer:
            return answer.read().decode()

    def containers(self):
        return {c["name"]: c for c in json.loads(self.get("/containers"))["containers"]}

    def test_containers_are_found_measured_and_forgotten(self):
        folder = self.container(A, "wsk0_1_x", memory=5000)
        self.start()
        c = wait_until("the container", lambda: self.containers().get("wsk0_1_x"))
        self.assertEqual((c["id"], c["memoryLimit"], c["usage"]["cpuNs"], c["usage"]["workingSetBytes"]), (A, 1 << 28, 1000000, 4000))
        self.container(A, "wsk0_1_x", cpu_us=9000)
        wait_until("the new figure", lambda: self.containers()["wsk0_1_x"]["usage"]["cpuNs"] == 9000000)
        self.container(B, "another")
        wait_until("the second", lambda: "another" in self.containers())
        shutil.rmtree(folder)
        wait_until("the end of the first", lambda: list(self.containers()) == ["another"])

    def test_a_prefix_without_names_is_told_of_once(self):
        for identity in (A, B):
            self.container(identity, "wsk0_1_x")
        shutil.rmtree(self.docker)
        self.start("--name-prefix", "wsk")
        wait_until("three scans", lambda: re.search(r"\ncwhisk_agent_scans_total [3-9]", self.get("/metrics")))
        self.assertEqual(self.containers(), {})
        self.assertEqual(self.log.read_text(encoding="utf-8").count(f"cwhisk.agent.containers-dir {self.docker}: the name of container"), 1)

    def test_a_paused_container_is_shown_as_such(self):
        folder = self.container(A, "x", memory=5000)
        (folder / "cgroup.events").write_text("populated 1\nfrozen 1\n", encoding="ascii")
        self.start("-Dcwhisk.agent.prot=5")
        wait_until("paused, and measured", lambda: (c := self.containers().get("x")) and c["state"] == "paused" and c["usage"]["workingSetBytes"] == 4000)
        (folder / "cgroup.events").write_text("populated 1\nfrozen 0\n", encoding="ascii")
        wait_until("it goes on", lambda: self.containers()["x"]["state"] == "running")
        self.assertIn("settings ignored here: cwhisk.agent.prot", self.log.read_text(encoding="utf-8"))

    def test_host_and_metrics(self):
        self.container(A, "x")
        self.start()
        wait_until("the container", self.containers)
        host = wait_until("the host", lambda: json.loads(self.get("/containers"))["host"])
        self.assertGreater(host["memoryTotal"], 1 << 20)
        text = self.get("/metrics")
        self.assertIn("\ncwhisk_agent_containers 1\n", text)
        self.assertIn('cwhisk_containers{kind="unknown"} 1\n', text)
        self.assertRegex(text, r"\ncwhisk_host_cores \d+\n")
        self.assertEqual(self.get("/ping"), "pong")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.get("/nothing")
        self.assertEqual(caught.exception.code, 404)

    def test_only_names_with_the_prefix(self):
        self.container(A, "wsk0_1_x")
        self.container(B, "database")
        self.start("--name-prefix", "wsk")
        wait_until("the container", self.containers)
        self.assertEqual(list(self.containers()), ["wsk0_1_x"])

    def test_credentials_guard_the_containers(self):
        self.start(env={"CWHISK_AGENT_USER": "u", "CWHISK_AGENT_PASSWORD": "p"})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.get("/containers")
        self.assertEqual(caught.exception.code, 401)
        self.assertIn("host", self.get("/containers", {"Authorization": "Basic dTpw"}))
        self.assertIn("cwhisk_agent_containers", self.get("/metrics"))

    def test_the_hosts_state_is_told_and_ends_with_the_agent(self):
        self.container(A, "x")
        with contextlib.closing(self.redis()) as redis:
            process = self.start(env={"CWHISK_REDIS_HOSTS": f"127.0.0.1:{redis.port}", "CWHISK_CLUSTER": "c"})
            flat = wait_until("the state", lambda: redis.ask("HGETALL", "cw:c:agent:here"))
            state = dict(zip(flat[::2], flat[1::2]))
            self.assertEqual((state["v"], state["containers"]), ("1", "1"))
            self.assertGreater(int(state["memory_total"]), int(state["memory_available"]))
            wait_until("the next", lambda: redis.ask("HGET", "cw:c:agent:here", "seq") > state["seq"])
            self.assertTrue(0 < redis.ask("PTTL", "cw:c:agent:here") <= 5000)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE_S), 0)

    def redis(self):
        redis = Redis(str(self.folder))
        redis.close = redis.stop
        wait_until("redis", lambda: redis.ask("PING") == "PONG")
        return redis

    def test_what_cannot_be_is_said(self):
        shutil.rmtree(self.groups)
        self.start()
        wait_until("the line", lambda: "there are no control groups to be seen" in self.log.read_text())
        for options, text in ((["--port", "70000"], "accepted: 0..65535"), (["--name", "a/b"], "expected 1..127 of"), (["--nonsense"], "nonsense")):
            done = subprocess.run([CWHISK, "agent", *options], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(text, done.stderr)

    def test_help_names_each_option(self):
        said = subprocess.run([CWHISK, "agent", "--help"], capture_output=True, text=True, check=True).stdout
        for option in ("--name", "--port", "--cgroup-root", "--scan-interval", "--print-config"):
            self.assertIn(option, said)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
