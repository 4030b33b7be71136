"""Three hosts, each with a net, an engine, limits and an invoker of its own; one Kafka, one Redis, one CouchDB. What is
forwarded, who answers for it, and what becomes of it when a host is lost, is cut off, or has another time."""

import os
import secrets
import signal
import time
from pathlib import Path

import pytest

from conftest import INVOKERS, NUMBERS
from harness.hosts import HostInvoker, Hosts
from harness.invoker import ROOT
from harness.redis import Redis
from harness.wait import wait_until

SHIM = Path(os.environ.get("CW_CLOCK_SHIM", ROOT / "build/ci/tests/support/libcw_clock_shim.so"))
CREDENTIALS = ("invoker.user", "invoker.pass")
ARGS = "CONFIG_whisk_containerFactory_containerArgs_extraArgs_"
LIMITS = [(1, 700), (0.75, 640), (1.5, 600)]  # cores, MB
SLOTS = 2  # containers of 256 MB each
PATIENCE = 60
# Notes each run in a folder of the host's before it does anything else, and tells which container it was.
CODE = """const fs = require('fs');
const box = Math.random().toString(36).slice(2);
function main(a) {
  fs.appendFileSync('/runs/' + a.id, box + '\\n');
  return new Promise((done) => setTimeout(() => done({id: a.id, box}), a.ms || 0));
}
"""


class Cluster:
    """The bed with an invoker on each host."""

    def __init__(self, bed, invokers, redis, controller, folder):
        self.bed, self.invokers, self.redis, self.controller, self.folder = bed, invokers, redis, controller, folder
        self.action = None

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
        """The invoker knows of the other as it is from now on, or was before what has just ended."""
        begin = time.monotonic()

        def told():
            [host] = [h for h in self.hosts_of(invoker) if h["invoker"] == other.number]
            return host["idle"] and not host["running"] and host["ageMs"] < (time.monotonic() - begin) * 1000
        wait_until(told, PATIENCE, f"{invoker.topic} hears of {other.topic}", 0.05)

    def send(self, invoker, count, ms=0, action=None):
        """→ {id: Activation}"""
        sent = {}
        for _ in range(count):
            key = secrets.token_hex(8)
            sent[key] = self.controller.invoke(invoker, action or self.action, {"id": key, "ms": ms})
        return sent

    def runs(self, key):
        """→ [(host, container)] of one activation, as the action has noted them."""
        found = []
        for number in range(1, len(self.invokers) + 1):
            note = self.folder / "runs" / str(number) / key
            if note.exists():
                found += [(number, box) for box in note.read_text().split()]
        return found

    def account(self, sent, origin, late=False):
        """Each was answered in the origin's name, has a record, and did not run twice; → {id: status code}. late: a host that was
        given up may answer, too."""
        codes = {}
        for key, activation in sent.items():
            assert activation.completion(PATIENCE).json["instance"]["instance"] == origin.number
            codes[key] = activation.response(PATIENCE)["statusCode"]
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
        return [host for key in sent for host, _ in self.runs(key)]


def metric(invoker, name):
    lines = [line for line in invoker.http("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.fixture(scope="module")
def built(request, cwhisk, kafka, couch, docker, controller, tmp_path_factory):
    assert SHIM.exists(), f"{SHIM} does not exist (build it, or set CW_CLOCK_SHIM)"
    folder = tmp_path_factory.mktemp("hosts")
    redis = Redis(folder).start()
    request.addfinalizer(redis.kill)
    ports = [kafka.hosts.rpartition(":")[2], couch.port, redis.port]
    with Hosts(folder / "bed", LIMITS, ports, docker.path) as bed:
        invokers = []
        for host in bed.hosts:
            runs = folder / "runs" / str(host.number)
            runs.mkdir(parents=True)
            (folder / f"clock{host.number}").write_bytes(bytes(8))
            invokers.append(HostInvoker(kafka, couch, host.docker, folder, next(NUMBERS), f"s{secrets.token_hex(3)}", {
                "CWHISK_REDIS_HOSTS": redis.hosts, "CWHISK_CLUSTER": controller.name, "CWHISK_DATA_DIR": str(folder / f"data{host.number}"),
                "CONFIG_whisk_containerPool_userMemory": f"{256 * SLOTS} m", f"{ARGS}volume_0": f"{runs}:/runs",
                "LD_PRELOAD": str(SHIM), "CW_CLOCK_FILE": str(folder / f"clock{host.number}"),
                "ASAN_OPTIONS": "detect_leaks=1:verify_asan_link_order=0"}, host=host))
        request.node.stash[INVOKERS] = invokers
        for invoker in invokers:
            invoker.spawn()
        for invoker in invokers:
            controller.wait_ping(invoker, timeout=PATIENCE)
        yield Cluster(bed, invokers, redis, controller, folder)
        for invoker in invokers:  # all at the same time
            invoker.process.send_signal(signal.SIGTERM)
        for invoker in invokers:
            invoker.discard()


@pytest.fixture
def cluster(built, ns):
    """All hosts up and at rest, and an action that none of them knows."""
    built.whole()
    built.rest()
    built.action = built.controller.put(f"{ns}/work", "nodejs:20", CODE, limits={"memory": 256})
    return built


def test_an_action_goes_where_it_is_warm(cluster):
    first, second, _ = cluster.invokers
    cluster.account(cluster.send(second, 1), second)
    boxes = set()
    for _ in range(3):
        cluster.news(first, second)
        [key] = sent = cluster.send(first, 1)
        cluster.account(sent, first)
        boxes.update(cluster.runs(key))
    assert len(boxes) == 1 and {host for host, _ in boxes} == {second.host.number}, boxes


def test_what_has_no_room_on_a_host_runs_on_the_others_in_its_name(cluster):
    for origin in cluster.invokers[:2]:
        sent = cluster.send(origin, 3 * SLOTS, 1500)
        assert set(cluster.account(sent, origin).values()) == {0}
        assert set(cluster.where(sent)) == {1, 2, 3}
    for invoker in cluster.invokers:
        wait_until(lambda i=invoker: metric(i, "cwhisk_forwarded_activations") == 0, PATIENCE, f"reports to {invoker.topic}")


def assert_lost_where(cluster, codes, host):
    """What ran there, or had only arrived, was answered with an error; everything else has ended well."""
    for key, code in codes.items():
        where = cluster.where([key])
        assert code == (3 if where in ([], [host.number]) else 0), f"{key} on {where}: {code}"


def test_what_a_lost_host_had_is_answered_and_what_waited_for_it_runs_later(cluster):
    first, second, _ = cluster.invokers
    ours = cluster.send(first, 3 * SLOTS, 4000)
    wait_until(lambda: second.host.number in cluster.where(ours), PATIENCE, "work of the first on the second")
    its = cluster.send(second, 4)
    second.host.fail()
    second.process.wait()
    waiting = cluster.send(second, 3)
    codes = cluster.account(ours, first)
    assert_lost_where(cluster, codes, second.host)
    cluster.whole()
    assert set(cluster.account(its, second).values()) <= {0, 3}  # what had been started there is not repeated
    assert set(cluster.account(waiting, second).values()) == {0}


def test_a_host_that_is_cut_off_is_given_up_and_answers_for_its_own_when_it_is_back(cluster):
    first, _, third = cluster.invokers
    ours = cluster.send(first, 3 * SLOTS, 4000)
    wait_until(lambda: third.host.number in cluster.where(ours), PATIENCE, "work of the first on the third")
    its = cluster.send(third, 2)
    wait_until(lambda: committed(cluster, third), PATIENCE, "the third has taken its own")
    third.host.link("down")
    waiting = cluster.send(third, 2)
    codes = cluster.account(ours, first)
    assert_lost_where(cluster, codes, third.host)
    wait_until(lambda: cluster.alive(third) == 1, PATIENCE, "alone")
    third.host.link("up")
    assert third.process.poll() is None
    for own in (its, waiting):
        assert set(cluster.account(own, third, late=True).values()) == {0}
    cluster.whole()
    cluster.account(ours, first, late=True)


def committed(cluster, invoker):
    kafka = cluster.controller.kafka
    return kafka.committed(invoker.topic, invoker.topic) == kafka.end(invoker.topic)


def test_without_redis_each_host_works_for_itself_and_afterwards_together_again(cluster):
    first = cluster.invokers[0]
    away = cluster.send(first, 3 * SLOTS, 1500)
    wait_until(lambda: len(set(cluster.where(away))) == 3, PATIENCE, "work on all hosts")
    with cluster.redis.down():
        for invoker in cluster.invokers:
            wait_until(lambda i=invoker: cluster.alive(i) == 1, PATIENCE, "alone")
        assert set(cluster.account(away, first).values()) == {0}
        alone = cluster.send(first, SLOTS + 1)
        assert set(cluster.account(alone, first).values()) == {0} and set(cluster.where(alone)) == {1}
    cluster.whole()
    again = cluster.send(first, 3 * SLOTS, 1500)
    assert set(cluster.account(again, first).values()) == {0} and len(set(cluster.where(again))) == 3


@pytest.fixture
def skewed(cluster):
    """The second host's clock is two seconds ahead, the third's two behind."""
    clocks = {2: 2, 3: -2}
    for number, seconds in clocks.items():
        set_clock(cluster, number, seconds)
    yield cluster
    for number in clocks:
        set_clock(cluster, number, 0)


def set_clock(cluster, number, seconds):
    with open(cluster.folder / f"clock{number}", "r+b", buffering=0) as file:
        file.write(seconds.to_bytes(8, "little", signed=True))


def test_clocks_that_are_two_seconds_off_change_nothing(skewed):
    before = [invoker.log().count("is gone") for invoker in skewed.invokers]
    for origin in skewed.invokers[1:]:
        sent = skewed.send(origin, 3 * SLOTS, 1500)
        assert set(skewed.account(sent, origin).values()) == {0}
        assert set(skewed.where(sent)) == {1, 2, 3}
    for invoker, count in zip(skewed.invokers, before):
        assert skewed.alive(invoker) == 3
        assert invoker.log().count("is gone") == count
