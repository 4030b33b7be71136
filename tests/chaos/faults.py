"""The faults. Each one begins, lasts, and ends; what is over at once (a kill) has nothing to end. Two at once: begin both, end both."""

import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

from confluent_kafka.admin import NewTopic
from harness.proxies import free_port
from harness.redis import Redis
from harness.wait import wait_until

from . import actions

FAULTS = {}


def fault(name, text, **options):
    """Registers a class of faults under its name."""
    def register(cls):
        FAULTS[name] = type(cls.__name__, (cls,), {"name": name, "text": text, **options})
        return cls
    return register


class Fault:
    instant = False   # over at once: is repeated instead of lasting
    own = False       # breaks services that others might use at the same time: only for services of our own
    env = {}          # of the invoker
    name = text = None

    def __init__(self, trial):
        self.trial, self.world = trial, trial.world
        self.random = random.Random(trial.options.seed)

    @classmethod
    def kinds(cls):
        """Actions of the trial."""
        return actions.mixture()

    def prepare(self):
        """Before the invoker starts."""

    def begin(self):
        raise NotImplementedError

    def end(self):
        """Services are as before."""

    def close(self):
        """After the trial, whatever became of it."""

    def restarted(self):
        """The moment since when an answer may be expected."""
        return time.monotonic()


# ---- the invoker's process ----

class Restarting(Fault):
    instant = True

    def restarted(self):
        return self.moment


@fault("none", "nothing: the flow alone")
class Nothing(Fault):
    def begin(self):
        pass


@fault("kill", "SIGKILL of the invoker, restarted at once")
class Kill(Restarting):
    def begin(self):
        self.moment = self.trial.kill_and_restart()


@fault("kill-twice", "SIGKILL, and again while it starts")
class KillTwice(Restarting):
    def begin(self):
        self.trial.kill_and_restart()
        time.sleep(self.random.uniform(0.02, 1))
        self.moment = self.trial.kill_and_restart()


@fault("term", "SIGTERM, the successor started when it has ended")
class Term(Restarting):
    def begin(self):
        with self.trial.lock:
            self.status = self.trial.end(signal.SIGTERM)
            self.trial.spawn()
            self.moment = time.monotonic()
        assert self.status == 0, f"it ended with status {self.status}"


@fault("overlap", "SIGTERM while the successor waits already")
class Overlap(Restarting):
    def begin(self):
        trial = self.trial
        with trial.lock:
            first = trial.invoker.process
            trial.expected.add(first)
            trial.spawn()
        time.sleep(self.random.uniform(0, 1))
        first.send_signal(signal.SIGTERM)
        status = first.wait(60)
        self.moment = time.monotonic()
        assert status == 0, f"the first one ended with status {status}"


@fault("overlap-kill", "SIGKILL while the successor waits already")
class OverlapKill(Restarting):
    def begin(self):
        trial = self.trial
        with trial.lock:
            first = trial.invoker.process
            trial.expected.add(first)
            trial.spawn()
        time.sleep(self.random.uniform(0, 1))
        first.kill()
        first.wait(60)
        self.moment = time.monotonic()


@fault("freeze", "SIGSTOP of the invoker")
class Freeze(Fault):
    def begin(self):
        self.process = self.trial.invoker.process
        self.process.send_signal(signal.SIGSTOP)

    def end(self):
        self.process.send_signal(signal.SIGCONT)


@fault("peer-kill", "SIGKILL of one of three invokers of a cluster: of the one that is asked, or of one that has work of it")
class PeerKill(Restarting):
    """The one that is asked has room for a part of the flow only. Restarted at once, like all."""

    def prepare(self):
        self.redis = Redis(self.trial.folder).start()
        env = {"CWHISK_REDIS_HOSTS": self.redis.hosts, "CWHISK_CLUSTER": self.trial.invoker.unique,
               "CONFIG_whisk_containerPool_userMemory": "1024 m"}
        self.trial.invoker.env.update(env)
        for _ in range(2):
            self.trial.add_other(**env)

    def begin(self):
        victim = self.random.choice((self.trial.invoker, *self.trial.others))
        if victim is self.trial.invoker:
            self.moment = self.trial.kill_and_restart()
            return
        victim.kill()
        victim.env["PORT"] = str(free_port())
        victim.spawn()
        self.moment = time.monotonic()

    def close(self):
        self.redis.kill()


class Hang(Fault):
    """A service is stopped, and goes on."""

    def begin(self):
        self.pid = self.service().pid()
        os.kill(self.pid, signal.SIGSTOP)

    def end(self):
        os.kill(self.pid, signal.SIGCONT)


# ---- Kafka ----

@fault("kafka-hangs", "SIGSTOP of the broker")
class KafkaHangs(Hang):
    def service(self):
        return self.world.broker


@fault("kafka-killed", "SIGKILL of the broker, restarted later", own=True)
class KafkaKilled(Fault):
    def begin(self):
        self.world.broker.kill()

    def end(self):
        self.world.broker.up()


class TopicFault(Fault):
    def delete(self, topic):
        admin = self.world.kafka.admin
        admin.delete_topics([topic])[topic].result(30)

    def create(self, topic):
        """The broker may have it again already: clients that ask for a topic make it."""
        def made():
            try:
                self.world.kafka.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
            except Exception as error:  # pylint: disable=broad-except
                if "already exists" not in str(error) and "TOPIC_ALREADY_EXISTS" not in str(error):
                    return False
            return topic in self.world.kafka.topics()
        wait_until(made, 30, f"topic {topic}", 0.2)


@fault("topic-deleted", "the invoker's topic deleted while all that it held runs, and made anew")
class InvokerTopicDeleted(TopicFault):
    """What nobody had read is deleted with the topic, and is no loss of the invoker's. So the flow pauses, what waits is taken,
    and long runs are on when it goes."""

    def begin(self):
        flow, invoker = self.trial.flow, self.trial.invoker
        flow.pause()
        self.trial.ledger.wait(lambda: not self.trial.ledger.waiting, 60)
        slow = [k for k in self.trial.kinds if k.ms]
        for _ in range(12):
            flow.send(self.random.choice(slow), ms=6000)
        flow.producer.flush(30)
        kafka = self.world.kafka
        wait_until(lambda: kafka.committed(invoker.topic, invoker.topic) == kafka.end(invoker.topic), 30, "everything is taken", 0.05)
        self.delete(invoker.topic)

    def end(self):
        self.create(self.trial.invoker.topic)
        self.trial.flow.reopen()
        self.trial.flow.start()


@fault("completed-deleted", "the controller's completed topic deleted, and made anew")
class CompletedDeleted(TopicFault):
    """What the topic holds is read before it goes: the invoker stands still for that moment."""

    def begin(self):
        self.topic, answers = self.trial.completed, self.trial.answers
        process = self.trial.invoker.process
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.3)  # what was on its way to the broker
            wait_until(lambda: answers.position >= self.world.kafka.end(self.topic), 30, "all answers are read")
            answers.close()
            self.delete(self.topic)
        finally:
            process.send_signal(signal.SIGCONT)

    def end(self):
        self.create(self.topic)
        self.trial.answers.open()


# ---- CouchDB ----

class StoreFault(Fault):
    def begin(self):
        self.set(self.trial.store_proxy)

    def set(self, proxy):
        raise NotImplementedError

    def end(self):
        proxy = self.trial.store_proxy
        proxy.garble(0)
        proxy.delay(0)
        proxy.status(0)
        proxy.stall(False)
        proxy.mend()
        proxy.reset()


@fault("couch-gone", "CouchDB refuses connections")
class StoreGone(StoreFault):
    def set(self, proxy):
        proxy.cut()


@fault("couch-hangs", "CouchDB takes requests and never answers")
class StoreHangs(StoreFault):
    def set(self, proxy):
        proxy.stall()


@fault("couch-slow", "CouchDB answers a second late")
class StoreSlow(StoreFault):
    def set(self, proxy):
        proxy.delay(500)


@fault("couch-5xx", "CouchDB answers 503")
class StoreFails(StoreFault):
    def set(self, proxy):
        proxy.status(503)


@fault("couch-409", "CouchDB answers 409")
class StoreConflicts(StoreFault):
    def set(self, proxy):
        proxy.status(409)


@fault("couch-garbage", "a tenth of the bytes of CouchDB's answers changed")
class StoreGarbage(StoreFault):
    def set(self, proxy):
        proxy.garble(0.1)


# ---- Docker ----

@fault("docker-hangs", "SIGSTOP of dockerd")
class DockerHangs(Hang):
    def service(self):
        return self.world.engine


@fault("docker-killed", "SIGKILL of dockerd, restarted later; containers end with it", own=True)
class DockerKilled(Fault):
    settings = "{}"

    def begin(self):
        self.world.engine.configure(self.settings)
        self.world.engine.kill()

    def end(self):
        self.world.engine.up(DOCKER_SETTINGS=self.settings)


@fault("docker-killed-live", "the same with live-restore: containers survive", own=True)
class DockerKilledLive(DockerKilled):
    settings = '{"live-restore": true}'


@fault("docker-restarted", "dockerd ended with SIGTERM, restarted later: it ends all containers", own=True)
class DockerRestarted(Fault):
    def begin(self):
        self.world.engine.terminate()

    def end(self):
        self.world.engine.up()


class ContainerFault(Fault):
    instant = True

    def containers(self):
        return [c for c in self.trial.invoker.containers().values() if c["State"] == "running"]

    def pid(self, container):
        return self.world.docker.inspect(container["Id"])["State"]["Pid"]

    def begin(self):
        for container in self.random.sample(found := self.containers(), min(2, len(found))):
            try:
                self.harm(container)
            except (AssertionError, OSError):
                pass  # it was on its way out

    def harm(self, container):
        raise NotImplementedError


@fault("container-killed", "two running containers killed")
class ContainerKilled(ContainerFault):
    def harm(self, container):
        self.world.docker.kill(container["Id"])


@fault("container-hangs", "the first process of two running containers stopped")
class ContainerHangs(ContainerFault):
    def harm(self, container):
        pid = self.pid(container)
        if pid:
            os.kill(pid, signal.SIGSTOP)


@fault("container-garbage", "containers that answer with garbage")
class ContainerGarbage(Fault):
    @classmethod
    def kinds(cls):
        return [*actions.mixture(), actions.garbage(3)]

    def begin(self):
        pass


# ---- the machine ----

@fault("disk-full", "no space left in the data directory")
class DiskFull(Fault):
    def prepare(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "chaos", self.trial.data], check=True)
        self.trial.mounted = True

    def begin(self):
        with open(self.trial.data / "filler", "wb", buffering=0) as file:
            try:
                for size in (65536, 512):
                    while True:
                        try:
                            file.write(bytes(size))
                        except OSError:
                            break
            except OSError:
                pass

    def end(self):
        (self.trial.data / "filler").unlink()


@fault("fds", "no file descriptor left")
class Descriptors(Fault):
    def begin(self):
        self.pid = self.trial.invoker.process.pid
        self.before = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{self.pid}/fd"))
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (used, self.before[1]))

    def end(self):
        if Path(f"/proc/{self.pid}").exists():
            resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self.before)


@fault("memory", "the process may have half of the memory that it has")
class Memory(Fault):
    """A control group of version 1 or 2; the kernel reclaims what it can, else it kills the process."""

    ROOTS = [(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")]

    def begin(self):
        pid = self.trial.invoker.process.pid
        root, limit = next((r, f) for r, f in self.ROOTS if (r / "cgroup.procs").exists())
        self.home = root / self.current(pid, root).lstrip("/")
        self.group = root / f"cwchaos-{os.getpid()}"
        self.group.mkdir(exist_ok=True)
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
        (self.group / "cgroup.procs").write_text(str(pid), encoding="utf-8")
        (self.group / limit).write_text(str(pages * os.sysconf("SC_PAGESIZE") // 2), encoding="utf-8")

    @staticmethod
    def current(pid, root):
        wanted = "memory" if root.name == "memory" else ""
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if wanted in controllers.split(","):
                return path
        return "/"

    def end(self):
        for pid in (self.group / "cgroup.procs").read_text(encoding="utf-8").split():
            (self.home / "cgroup.procs").write_text(pid, encoding="utf-8")
        wait_until(lambda: not (self.group / "cgroup.procs").read_text(encoding="utf-8").strip(), what="the group is empty")
        self.group.rmdir()


class ClockJump(Fault):
    seconds = 0

    def prepare(self):
        self.file = self.trial.folder / "clock"
        self.file.write_bytes(bytes(8))
        self.trial.invoker.env.update({"LD_PRELOAD": str(shim()), "CW_CLOCK_FILE": str(self.file)})

    def begin(self):
        self.jump(self.seconds)

    def end(self):
        self.jump(0)

    def jump(self, seconds):
        with open(self.file, "r+b", buffering=0) as file:
            file.write(int(seconds).to_bytes(8, "little", signed=True))


@fault("clock-ahead", "the wall clock jumps an hour ahead, and back")
class ClockAhead(ClockJump):
    seconds = 3600


@fault("clock-back", "the wall clock jumps an hour back, and ahead")
class ClockBack(ClockJump):
    seconds = -3600


def shim():
    path = Path(os.environ.get("CW_CLOCK_SHIM", actions.ROOT / "build/ci/tests/support/libcw_clock_shim.so"))
    assert path.exists(), f"{path} does not exist (build it, or set CW_CLOCK_SHIM)"
    return path


# ---- two at once ----

PAIRS = [("kill", "couch-gone"), ("kill", "kafka-hangs"), ("kill", "docker-hangs"), ("kill", "container-killed"),
         ("kill", "disk-full"), ("kill", "clock-ahead"), ("kafka-hangs", "couch-gone"), ("kafka-killed", "docker-killed"),
         ("docker-killed", "couch-5xx"), ("term", "kafka-hangs"), ("term", "couch-gone"), ("overlap", "container-hangs"),
         ("couch-gone", "disk-full"), ("kill", "kafka-killed"), ("kill", "docker-killed"), ("kill", "fds")]
