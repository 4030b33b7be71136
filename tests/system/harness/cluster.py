"""A cluster on several hosts, and an account of what became of each activation."""

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from .hosts import HostInvoker, Hosts
from .invoker import ROOT
from .redis import Redis
from .wait import wait_until

SHIM = Path(os.environ.get("CW_CLOCK_SHIM", ROOT / "build/ci/tests/support/libcw_clock_shim.so"))
CREDENTIALS = ("invoker.user", "invoker.pass")
ARGS = "CONFIG_whisk_containerFactory_containerArgs_extraArgs_"
PATIENCE = 60
# Notes each run in a folder of the host's before it does anything else, and tells which container it was.
CODE = """const fs = require('fs');
const box = Math.random().toString(36).slice(2);
function main(a) {
  fs.appendFileSync('/runs/' + a.id, box + ' ' + Date.now() + '\\n');
  return new Promise((done) => setTimeout(() => done({id: a.id, box}), a.ms || 0));
}
"""


class Cluster:
    """Hosts with an invoker on each, for one controller; a context."""

    def __init__(self, folder, limits, controller, docker, numbers, settings=None):
        """limits: as of Hosts; settings: of all invokers; a path in folder is where each host's clock is moved from."""
        assert SHIM.exists(), f"{SHIM} does not exist (build it, or set CW_CLOCK_SHIM)"
        self.folder, self.controller, self.redis = Path(folder), controller, Redis(Path(folder))
        ports = [controller.kafka.hosts.rpartition(":")[2], controller.couch.port, self.redis.port]
        self.bed = Hosts(self.folder / "bed", limits, ports, docker.path)
        self.numbers, self.settings, self.invokers, self.action = numbers, settings or {}, [], None

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            undo.callback(self.redis.kill)
            self.redis.start()
            for host in undo.enter_context(self.bed).hosts:
                self.invokers.append(self.make_invoker(host))
            for invoker in self.invokers:
                invoker.spawn()
            for invoker in self.invokers:
                self.controller.wait_ping(invoker, timeout=PATIENCE)
            self.undo = undo.pop_all()
        return self

    def make_invoker(self, host):
        runs, clock = self.folder / "runs" / str(host.number), self.clock_of(host)
        runs.mkdir(parents=True)
        clock.write_bytes(bytes(8))
        return HostInvoker(self.controller.kafka, self.controller.couch, host.docker, self.folder, next(self.numbers), f"s{secrets.token_hex(3)}", {
            "CWHISK_REDIS_HOSTS": self.redis.hosts, "CWHISK_CLUSTER": self.controller.name,
            "CWHISK_DATA_DIR": str(self.folder / f"data{host.number}"), f"{ARGS}volume_0": f"{runs}:/runs",
            f"{ARGS}cgroupParent_0": host.group if host.number == 1 else None,  # the others find out
            "LD_PRELOAD": str(SHIM), "CW_CLOCK_FILE": str(clock), "ASAN_OPTIONS": "detect_leaks=1:verify_asan_link_order=0",
            **self.settings}, host=host)

    def __exit__(self, *_):
        with self.undo:
            for invoker in self.invokers:  # all at the same time
                invoker.process.send_signal(signal.SIGTERM)
            for invoker in self.invokers:
                invoker.discard()

    def clock_of(self, host):
        return self.folder / f"clock{host.number}"

    def set_clock(self, host, seconds):
        with open(self.clock_of(host), "r+b", buffering=0) as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    def hosts_of(self, invoker):
        return invoker.http("/hosts", auth=CREDENTIALS).json()["hosts"]

    def alive(self, invoker):
        return sum(host["state"] == "up" for host in self.hosts_of(invoker))

    def whole(self):
        """All are there, and see each other."""
        for invoker in self.invokers:
            invoker.host.link("up")
            if not Path(invoker.docker.path).exists():
                invoker.host.engine_up()
            if invoker.process.poll() is not None:
                invoker.start(self.controller)
        for invoker in self.invokers:
            wait_until(lambda i=invoker: self.alive(i) == len(self.invokers), PATIENCE, lambda i=invoker: f"{i.topic} sees {self.hosts_of(i)}", 0.1)

    def rest(self):
        """Nobody has anything to do."""
        def idle():
            return all(h["running"] + h["starting"] + h["queued"] == 0 for i in self.invokers for h in self.hosts_of(i) if h["state"] == "up")
        wait_until(idle, PATIENCE, "all have come to rest", 0.1)

    def news(self, invoker, other):
        """The invoker knows of the other as it is from now on, or was before what has just ended; and the cold start is not in its CPU
        use any more, for which others may be preferred to it."""
        begin = time.monotonic()

        def told():
            [host] = [h for h in self.hosts_of(invoker) if h["invoker"] == other.number]
            at_rest = host["idle"] and not host["running"] and host["cpuUsed"] * 10 < host["cpuTotal"]
            return at_rest and host["ageMs"] < (time.monotonic() - begin) * 1000
        wait_until(told, PATIENCE, f"{invoker.topic} hears of {other.topic}", 0.05)

    def send(self, invoker, count, ms=0, action=None):
        """→ {id: Activation}"""
        sent = {}
        for _ in range(count):
            key = secrets.token_hex(8)
            sent[key] = self.controller.invoke(invoker, action or self.action, {"id": key, "ms": ms})
        return sent

    def runs(self, key):
        """→ [(host, container, when in s)] of one activation, as the action has noted them."""
        found = []
        for number in range(1, len(self.invokers) + 1):
            note = self.folder / "runs" / str(number) / key
            if note.exists():
                found += [(number, box, int(ms) / 1000) for box, ms in map(str.split, note.read_text().splitlines())]
        return found

    def account(self, sent, origin, late=False):
        """Each was answered in the origin's name, has a record, and did not run twice; → {id: status code}. late: a host that was
        given up may answer, too."""
        codes = {}
        for key, activation in sent.items():
            assert activation.completion(PATIENCE).json["instance"]["instance"] == origin.number
            response = activation.response(PATIENCE)
            codes[key] = response["statusCode"]
            assert codes[key] in (0, 3), response
            activation.record(PATIENCE)
        for key, activation in sent.items():
            acks = [ack for ack in activation.acks() if "instance" in ack.json]
            assert len(acks) == 1 or late and len(acks) == 2, [ack.raw for ack in acks]
            assert {ack.json["instance"]["instance"] for ack in acks} == {origin.number}
            ran = len(self.runs(key))
            assert ran == 1 or ran == 0 and codes[key] != 0, f"{key} ran {ran} times and ended with {codes[key]}"
        return codes

    def where(self, sent):
        """→ the hosts on which these have begun."""
        return [host for key in sent for host, _, _ in self.runs(key)]
