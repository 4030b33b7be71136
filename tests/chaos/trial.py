"""One trial: an invoker of its own with its data directory, 200 activations in flight, faults, and the account at the end."""

import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.controller import RETENTION
from harness.couch import Couch
from harness.faults import FaultProxy
from harness.invoker import Invoker
from harness.kafka import MAX_MESSAGE
from harness.proxies import free_port

from . import actions
from .counter import Counter
from .flow import Answers, Flow
from .ledger import Ledger
from .services import Broker, Engine


class World:
    """The services, and what trials share."""

    def __init__(self, kafka, couch, docker, controller):
        self.kafka, self.couch, self.docker, self.controller = kafka, couch, docker, controller
        self.broker, self.engine = Broker(kafka.hosts), Engine(docker.path)
        actions.build_garbage(docker)

    def gateway(self):
        """Where containers reach this machine."""
        return self.docker.call("GET", "/networks/bridge")["IPAM"]["Config"][0]["Gateway"]


@dataclass
class Options:
    in_flight: int = 200
    hold: float = 8          # seconds that a fault lasts
    kills: int = 10          # repetitions of those that are over at once
    settle: float = 120      # so long answers and records are waited for at the end, each,
    quiet: float = 45        # unless nothing at all comes for so long
    data_dir: bool = True
    seed: int = 1
    env: dict = field(default_factory=dict)
    say: object = print


class Trial:
    def __init__(self, world, options, kinds=None, number=None):
        self.world, self.options = world, options
        self.folder = Path(tempfile.mkdtemp(prefix="cwchaos."))
        self.data = self.folder / "data"
        self.data.mkdir()
        self.mounted = False
        self.ledger = Ledger()
        self.counter = Counter(world.gateway(), self.ledger.ran)
        self.kinds = kinds or actions.mixture()
        actions.store(world.controller, self.kinds)
        self.store_proxy = FaultProxy((world.couch.host, world.couch.port))
        self.number = number or 20000 + secrets.randbelow(10000)
        self.invoker = Invoker(world.kafka, self.far_store(), world.docker, self.folder, self.number, f"c{secrets.token_hex(3)}", self.env())
        self.others = []         # invokers that have no flow of their own
        self.completed = f"completed{world.controller.name}"
        self.answers = self.flow = None
        self.recoveries = []     # seconds from the end of each fault, or from each restart, to the next answer
        self.first_runs = []     # the same to the next run
        self.restarts = 0        # by the supervisor: the process ended by itself
        self.expected = set()    # processes that somebody here has ended
        self.lock = threading.RLock()
        self.supervising = threading.Event()

    def far_store(self):
        couch = self.world.couch
        return Couch(f"http://{couch.username}:{couch.password}@127.0.0.1:{self.store_proxy.port}",
                     couch.whisks.removesuffix("whisks"))

    def env(self):
        data = {"CWHISK_DATA_DIR": str(self.data)} if self.options.data_dir else {}
        return {**data, "CONFIG_whisk_docker_client_timeouts_run": "20 s", "CONFIG_whisk_containerPool_userMemory": "1536 m",
                **self.options.env}

    def add_other(self, **env):
        """One more invoker beside the one that is tried; started with it, and ended by whoever wants to."""
        data = self.folder / f"data{len(self.others)}"
        data.mkdir()
        number = self.number + 1 + len(self.others)
        self.others.append(Invoker(self.world.kafka, self.far_store(), self.world.docker, self.folder, number, f"c{secrets.token_hex(3)}",
                                   {**self.env(), "CWHISK_DATA_DIR": str(data), **env}))

    # ---- the invoker ----

    def spawn(self):
        with self.lock:
            self.invoker.env["PORT"] = str(free_port())  # one that waits beside its predecessor has its own
            self.invoker.spawn()

    def end(self, how):
        """Ends the process and waits for that; → exit status."""
        with self.lock:
            process = self.invoker.process
            self.expected.add(process)
        process.send_signal(how)
        return process.wait(60)

    def kill_and_restart(self):
        """→ the moment of the restart."""
        with self.lock:
            self.end(signal.SIGKILL)
            self.spawn()
            return time.monotonic()

    def supervise(self):
        """What a deployment does for a process that ends: starts it again."""
        while not self.supervising.wait(0.05):
            with self.lock:
                process = self.invoker.process
                if process.poll() is not None and process not in self.expected:
                    self.restarts += 1
                    self.options.say(f"    the invoker ended with status {process.returncode}, and is started again")
                    self.spawn()

    # ---- its life ----

    def start(self):
        kafka = self.world.kafka
        kafka.create(self.completed, **RETENTION, max_message_bytes=MAX_MESSAGE)
        self.answers = Answers(kafka.hosts, self.completed, self.ledger, kafka.end(self.completed))
        for invoker in (self.invoker, *self.others):
            invoker.start(self.world.controller)
        self.watcher = threading.Thread(target=self.supervise, daemon=True)
        self.watcher.start()
        self.flow = Flow(self.world.controller, self.invoker.topic, self.kinds, self.counter, self.ledger, self.options.in_flight,
                         self.options.hold + self.options.quiet, self.options.seed)
        self.flow.start()
        # The flow is at its height, and each kind has run.
        began = time.monotonic()
        warm = self.ledger.wait(lambda: self.ledger.peak >= self.options.in_flight and len(self.ledger.kinds_run) == len(self.kinds), 120)
        assert warm, f"{self.ledger.account().text()} within 120 s of the start:\n{self.invoker.tail()}"
        self.options.say(f"    {self.options.in_flight} in flight, and each action has run, after {time.monotonic() - began:.1f} s")
        return self

    def note_recovery(self, moment, timeout=60):
        """Waits for an answer behind the moment, and notes how long it took."""
        seconds = self.ledger.wait_answer(moment, timeout)
        self.recoveries.append(float("inf") if seconds is None else seconds)
        return seconds

    def finish(self):
        """Sends nothing more, waits for what is due; → the account."""
        self.options.say(f"    the end: {len(self.ledger.entries)} sent, {self.ledger.in_flight()} in flight")
        self.flow.pause()
        self.wait_while_it_goes_on(lambda: not self.ledger.waiting)
        self.wait_while_it_goes_on(self.look_for_records)
        time.sleep(2)  # what is answered or run a second time comes late
        self.look_for_records()
        return self.ledger.account()

    def wait_while_it_goes_on(self, done):
        """Until done(), or until nothing has come for `quiet` seconds, or for `settle` seconds in all: the account tells."""
        began = last = time.monotonic()
        seen = None
        while not done():
            now = time.monotonic()
            if seen != (seen := self.ledger.progress()):
                last = now
            if now - last > self.options.quiet or now - began > self.options.settle:
                return
            time.sleep(0.3)

    def look_for_records(self):
        """Asks the store itself for what is not known to be there; → whether all that was answered is."""
        couch, missing = self.world.couch, self.ledger.unrecorded()
        namespace = self.kinds[0].action.namespace
        for i in range(0, len(missing), 500):
            keys = [f"{namespace}/{activation_id}" for activation_id, _ in missing[i:i + 500]]
            rows = couch.request("POST", couch.activations, "_all_docs", params={"include_docs": "true"}, json={"keys": keys}).json()["rows"]
            for row in rows:
                if row.get("doc"):
                    self.ledger.record(row["key"].rpartition("/")[2], row["doc"])
        return not any(entry.answered() for _, entry in self.ledger.unrecorded())

    def close(self):
        self.supervising.set()
        for part in (self.flow, self.answers):
            if part:
                part.close()
        try:
            for invoker in (self.invoker, *self.others):
                invoker.discard()
        finally:
            self.counter.close()
            self.store_proxy.close()
            if self.mounted:
                subprocess.run(["umount", "-l", self.data], check=True)
            shutil.rmtree(self.folder, ignore_errors=True)
