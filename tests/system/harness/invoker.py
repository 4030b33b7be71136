"""The program under test, started as a deployment starts it."""

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import requests

from .proxies import free_port
from .wait import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = {
    "runtimes": {
        "nodejs": [{"kind": "nodejs:20", "default": True, "deprecated": False,
                    "image": {"prefix": "whisk", "name": "action-nodejs-v20", "tag": "local"},
                    "attached": {"attachmentName": "codefile", "attachmentType": "text/plain"}}],
        "python": [{"kind": "python:3.11", "default": True, "deprecated": False,
                    "image": {"prefix": "whisk", "name": "action-python-v3.11", "tag": "local"},
                    "attached": {"attachmentName": "codefile", "attachmentType": "text/plain"}}],
        "java": [{"kind": "java:8", "default": True, "requireMain": True,
                  "image": {"prefix": "whisk", "name": "action-nodejs-v20", "tag": "local"},
                  "attached": {"attachmentName": "jarfile", "attachmentType": "application/java-archive"}}],
    },
    "blackboxes": [{"prefix": "whisk", "name": "dockerskeleton", "tag": "local"}],
}
NATIVE_IMAGE = "whisk/dockerskeleton:local"

INSTRUMENTED = "CW_TEST_INSTRUMENTED" in os.environ  # by run --build: its memory says nothing
WRAPPER = shlex.split(os.environ.get("CW_TEST_WRAPPER", ""))
# What sanitizers and a quiet valgrind say.
FINDING = re.compile(r"^==\d+==|(Address|Leak|Thread)Sanitizer: |: runtime error: ", re.MULTILINE)


def binary():
    return Path(os.environ.get("CWHISK_BIN", ROOT / "build/ci/cmd/cwhisk"))


class Invoker:
    """One invoker process. overrides: environment on top of a usual deployment's (None removes)."""

    def __init__(self, kafka, couch, docker, folder, number, unique, overrides=None, args=None):
        self.kafka, self.docker = kafka, docker
        self.number, self.unique = number, unique
        self.topic = f"invoker{number}"
        self.port = free_port()
        self.log_path = Path(folder) / f"invoker{number}-{unique}.log"
        self.process = None
        self.args = ["--id", str(number), "--uniqueName", unique] if args is None else args
        self.env = {k: v for k, v in {**self.usual(couch), **(overrides or {})}.items() if v is not None}

    def usual(self, couch):
        return {
            "PATH": os.environ["PATH"], "PORT": str(self.port), "KAFKA_HOSTS": self.kafka.hosts,
            "WHISK_API_HOST_NAME": "api.example.org", "RUNTIMES_MANIFEST": json.dumps(MANIFEST),
            "CONFIG_whisk_couchdb_protocol": couch.protocol, "CONFIG_whisk_couchdb_host": couch.host,
            "CONFIG_whisk_couchdb_port": str(couch.port), "CONFIG_whisk_couchdb_username": couch.username,
            "CONFIG_whisk_couchdb_password": couch.password, "CONFIG_whisk_couchdb_provider": "CouchDB",
            "CONFIG_whisk_couchdb_databases_WhiskEntity": couch.whisks,
            "CONFIG_whisk_couchdb_databases_WhiskActivation": couch.activations,
            "CONFIG_whisk_couchdb_databases_WhiskAuth": couch.subjects,
            "CONFIG_whisk_containerPool_userMemory": "2048 m", "CONFIG_whisk_memory_max": "512 m",
            "CONFIG_whisk_concurrencyLimit_max": "50",
            "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0": "__OW_ALLOW_CONCURRENT=true",
            "CWHISK_DOCKER_SOCKET": self.docker.path,
            "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1",
            "TSAN_OPTIONS": "ignore_noninstrumented_modules=1",  # libraries are not: it does not see their locks
        }

    @property
    def prefix(self):
        """How names of its containers start."""
        return f"wsk{self.unique}{self.number}_"

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*WRAPPER, str(binary()), "invoker", *self.args], env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        return self

    def start(self, controller, timeout=20):
        """Starts, and returns when the first ping has arrived."""
        before = len(controller.pings(self))
        self.spawn()

        def up():
            assert self.process.poll() is None, f"the invoker ended with status {self.process.returncode}:\n{self.tail()}"
            return len(controller.pings(self)) > before
        wait_until(up, timeout=timeout, what=lambda: f"first ping of {self.topic}:\n{self.tail()}")
        return self

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def http(self, path, method="GET", auth=None):
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", auth=auth, timeout=10)

    def containers(self):
        return self.docker.containers(self.prefix)

    def wait_exit(self, timeout=20):
        try:
            return self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the invoker has not ended within {timeout} s:\n{self.tail()}") from None

    def terminate(self, timeout=20):
        """SIGTERM; → exit status."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(timeout) if self.process is not None else None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def discard(self):
        """At the end of a test, whatever state it is in: no process, no containers."""
        try:
            if self.process is not None:
                self.terminate()
        except AssertionError:
            self.kill()
            raise
        finally:
            for container in self.containers():
                self.docker.remove(container)
        found = FINDING.search(self.log())
        assert not found, f"{self.topic}:\n{self.log()[found.start():][:8000]}"
