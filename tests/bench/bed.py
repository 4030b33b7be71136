"""What the benchmarks stand on: Kafka, stand-ins for everything else, and an invoker between them."""

import base64
import contextlib
import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTBED = ROOT / "tests/testbed"
CI, RELEASE = ROOT / "build/ci", ROOT / "build/release"
MANIFEST = {
    "runtimes": {
        "nodejs": [{"kind": "nodejs:20", "default": True, "image": {"prefix": "whisk", "name": "action-nodejs-v20", "tag": "local"}}],
        "python": [{"kind": "python:3.11", "default": True, "image": {"prefix": "whisk", "name": "action-python-v3.11", "tag": "local"}}],
    },
    "blackboxes": [],
}
CREDENTIALS = base64.b64encode(b"invoker.user:invoker.pass").decode()


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def free_ports(count):
    """That many ports in a row that nothing uses now."""
    while True:
        first = random.randrange(20000, 32000)
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


def stop(process, what, limit=20):
    """SIGTERM; the exit status must be 0."""
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SystemExit(f"{what} has not ended within {limit} s") from None
    if status != 0:
        raise SystemExit(f"{what} ended with status {status}")


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.read().decode()


def put_into(document, mark, text):
    """Replaces what is between <!-- mark --> and <!-- /mark --> in docs/<document>."""
    path = ROOT / "docs" / document
    before, found, rest = path.read_text().partition(f"<!-- {mark} -->\n")
    _, ended, after = rest.partition(f"<!-- /{mark} -->\n")
    if not found or not ended:
        raise SystemExit(f"{path}: no place for {mark}")
    path.write_text(f"{before}{found}{text}{ended}{after}")


def build(given_binary):
    """Driver and stand-ins, and the invoker as it is released unless one is given → its path."""
    say("building")
    log = ROOT / "build/bench.log"
    log.parent.mkdir(exist_ok=True)
    commands = [["cmake", "--preset", "ci"], ["cmake", "--build", "--preset", "ci", "--target", "stub_world", "bench_load"]]
    if not given_binary:
        commands += [["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "--target", "cwhisk"]]
    with open(log, "wb") as out:
        for command in commands:
            if subprocess.run(command, cwd=ROOT, stdout=out, stderr=out, check=False).returncode != 0:
                raise SystemExit(f"{' '.join(command)} failed, see {log}")
    return Path(given_binary).resolve() if given_binary else RELEASE / "cmd/cwhisk"


class Stub:
    """One stub_world; a context."""

    def __init__(self, folder, log_delay_us=0):
        self.logs = folder / f"logs-{log_delay_us}"
        self.socket = folder / f"stub-{log_delay_us}.sock"
        self.log_delay_us = log_delay_us

    def __enter__(self):
        self.logs.mkdir()
        self.process = subprocess.Popen(
            [str(CI / "tests/bench/stub_world"), "--docker", str(self.socket), "--logs", str(self.logs),
             "--net", str(random.randrange(2, 255)), "--log-delay", str(self.log_delay_us)], stdout=subprocess.PIPE, text=True)
        self.couch_port = json.loads(self.process.stdout.readline())["couch"]
        return self

    def __exit__(self, *_):
        stop(self.process, "stub_world")
        self.process.stdout.close()

    def stats(self):
        return json.loads(get(f"http://127.0.0.1:{self.couch_port}/_stub/stats"))

    def sentinels(self):
        """→ {activation id: when its last sentinel was written, µs}"""
        rows = csv.DictReader(get(f"http://127.0.0.1:{self.couch_port}/_stub/sentinels").splitlines())
        return {row["activation"]: int(row["sentinel"]) for row in rows}


def end_in_order():
    """SIGTERM as ^C: what was started is stopped on the way out."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class Testbed:
    """Kafka and, when asked for, a Docker engine with our runtime images."""

    def __init__(self, folder, real=False):
        self.folder, self.real = folder, real
        self.kafka_port = free_ports(2)
        self.brokers = f"127.0.0.1:{self.kafka_port}"
        self.env = {**os.environ, "KAFKA_PORT": str(self.kafka_port), "KAFKA_RUN": str(folder / "kafka"),
                    "KAFKA_HEAP": os.environ.get("KAFKA_HEAP", "512m"), "DOCKER_RUN": str(folder / "docker"),
                    "DOCKER_BRIDGE": f"cwbench{os.getpid() % 10000}",
                    "DOCKER_HOST": f"unix://{folder}/docker/docker.sock"}
        self.docker_socket = folder / "docker/docker.sock"

    def script(self, path, *args):
        log = self.folder / "testbed.log"
        with open(log, "ab") as out:
            done = subprocess.run([str(path), *args], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
        if done.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise SystemExit(f"{path} failed:\n{tail}")

    @contextlib.contextmanager
    def service(self, name):
        self.script(TESTBED / f"{name}-install")
        say(f"starting {name}")
        try:
            self.script(TESTBED / f"{name}-up")
            yield
        finally:
            self.script(TESTBED / f"{name}-down")

    @contextlib.contextmanager
    def up(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.service("kafka"))
            if self.real:
                stack.enter_context(self.service("docker"))
                say("building runtime images")
                self.script(ROOT / "docker/runtimes/build", "nodejs", "python3")
            yield self

    def pid(self, service):
        return int((self.folder / service / "pid").read_text())

    def load_command(self, mode, processes, **options):
        """processes: {name: pid} whose processor time is to be told."""
        command = [str(CI / "tests/bench/bench_load"), mode, "--brokers", self.brokers]
        for key, value in options.items():
            command += [f"--{key}", str(value)]
        for name, pid in {"kafka": self.pid("kafka"), **processes}.items():
            command += ["--cpu", f"{name}={pid}"]
        return command

    def echo(self, count, warmup):
        done = subprocess.run(self.load_command("echo", {}, count=count, warmup=warmup), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench_load echo: {done.stderr.strip()}")
        return json.loads(done.stdout.splitlines()[-1])["echo_us"]


class Invoker:
    """One invoker process, a context; counts what it was given, to be compared with what it stored."""

    def __init__(self, bed, stub, binary, containers=8, real=False, trace=1000, **env):
        self.bed, self.stub, self.binary, self.real = bed, stub, binary, real
        self.log = bed.folder / "invoker.log"
        self.port = free_ports(1)
        self.env = {
            "PATH": os.environ["PATH"], "PORT": str(self.port), "CWHISK_HTTP_ADDRESS": "127.0.0.1", "KAFKA_HOSTS": bed.brokers,
            "RUNTIMES_MANIFEST": json.dumps(MANIFEST), "WHISK_API_HOST_NAME": "api.example.org",
            "CWHISK_DOCKER_SOCKET": str(bed.docker_socket if real else stub.socket),
            "CWHISK_DATA_DIR": str(bed.folder / "data"), "CWHISK_TRACE_ACTIVATIONS": str(trace),
            "CONFIG_whisk_couchdb_protocol": "http", "CONFIG_whisk_couchdb_host": "127.0.0.1",
            "CONFIG_whisk_couchdb_port": str(stub.couch_port), "CONFIG_whisk_couchdb_username": "bench",
            "CONFIG_whisk_couchdb_password": "bench", "CONFIG_whisk_couchdb_databases_WhiskEntity": "whisks",
            "CONFIG_whisk_couchdb_databases_WhiskActivation": "activations", "CONFIG_whisk_couchdb_databases_WhiskAuth": "subjects",
            "CONFIG_whisk_containerPool_userMemory": f"{containers * 256} m", **env,
        }

    def __enter__(self):
        """Starts; self.ping_s and self.healthy_s tell when it was there."""
        (self.bed.folder / "data").mkdir(exist_ok=True)
        self.before = self.stub.stats()
        command = self.bed.load_command("startup", {}, timeout=60)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
            if not watcher.stdout.readline():
                raise SystemExit(watcher.stderr.read())
            with open(self.log, "ab") as log:
                began = time.monotonic()  # the same clock as the driver's
                self.process = subprocess.Popen([str(self.binary), "invoker", "--id", "0", "--uniqueName", "bench"], env=self.env,
                                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            line = watcher.stdout.readline()
            if not line:
                self.process.kill()
                raise SystemExit(f"{watcher.stderr.read().strip()}\n{self.tail()}")
        seen = json.loads(line)
        self.ping_s = seen["first_ping_at_us"] / 1e6 - began
        self.healthy_s = seen["healthy_at_us"] / 1e6 - began
        self.activations = 1
        return self

    def driver(self, count, warmup, window, **options):
        """Starts bench_load; its end is drive's."""
        processes = {"invoker": self.process.pid, "stub": self.stub.process.pid}
        if self.real:
            processes["docker"] = self.bed.pid("docker")
        command = self.bed.load_command("activations", processes, count=count, warmup=warmup, window=window, **options)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def driven(self, driver, activations):
        """Waits for the driver's end → its last line."""
        out, err = driver.communicate()
        if driver.returncode != 0:
            raise SystemExit(f"bench_load: {err.strip()}\n{self.tail()}")
        self.activations += activations
        return json.loads(out.splitlines()[-1])

    def drive(self, count, warmup, window, **options):
        return self.driven(self.driver(count, warmup, window, **options), count + warmup)

    def trace(self, count):
        """The last activations' moments: [{name: µs or None}]."""
        rows = csv.DictReader(get(f"http://127.0.0.1:{self.port}/trace", Authorization=f"Basic {CREDENTIALS}").splitlines())
        read = [{k: v if k == "activation" else int(v) if v else None for k, v in row.items()} for row in rows]
        if len(read) < count:
            raise SystemExit(f"the trace has {len(read)} activations, expected {count}")
        return read[-count:]

    def rss_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
            self.process.wait()
            return
        stop(self.process, "the invoker")
        after = self.stub.stats()
        stored = after["records"] - self.before["records"]
        ran = after["runs"] - self.before["runs"]
        if stored != self.activations or (not self.real and ran != self.activations):
            raise SystemExit(f"{self.activations} activations, but {stored} records and {ran} runs")

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
