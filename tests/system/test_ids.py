"""Ids that ZooKeeper keeps for names (openwhisk invoker.md 1.1, helm.md 7)."""

import itertools
import re
import secrets
import socket
import struct
import threading

import pytest
from kazoo.client import KazooClient

from harness.code import NODE_ID
from harness.faults import FaultProxy
from harness.wait import wait_until

ROOT = "/invokers/idAssignment"
NOT_HERE = {"CWHISK_HTTP_ADDRESS": "203.0.113.1"}  # not of this machine: the start ends right behind the id
WIDTHS = [(0, b"\0"), (127, b"\x7f"), (128, b"\0\x80"), (200, b"\0\xc8"), (255, b"\0\xff"), (256, b"\x01\0")]


class Folder:
    """A folder of ZooKeeper that belongs to one test, used as the root of what invokers see."""

    def __init__(self, client, hosts):
        self.client, self.path = client, f"/t{secrets.token_hex(4)}"
        self.hosts = f"{hosts}{self.path}"
        client.create(self.path)

    def set(self, name, data):
        self.client.ensure_path(f"{self.path}{ROOT}/mapping")
        path = f"{self.path}{ROOT}/{name}"
        self.client.set(path, data) if self.client.exists(path) else self.client.create(path, data)

    def fill(self, count):
        """As stock leaves it after so many invokers."""
        self.set("counter", struct.pack(">i", count))
        together = self.client.transaction()
        for n in range(count):
            together.create(f"{self.path}{ROOT}/mapping/old{n}", n.to_bytes(n.bit_length() // 8 + 1, "big"))
        together.commit()

    def get(self, name):
        path = f"{self.path}{ROOT}/{name}"
        return self.client.get(path)[0] if self.client.exists(path) else None

    def names(self):
        path = f"{self.path}{ROOT}/mapping"
        return {name: int.from_bytes(self.get(f"mapping/{name}"), "big") for name in self.client.get_children(path)} \
            if self.client.exists(path) else {}


@pytest.fixture(scope="session")
def zookeeper(zookeeper_hosts):
    client = KazooClient(hosts=zookeeper_hosts)
    client.start(timeout=20)
    yield client
    client.stop()
    client.close()


@pytest.fixture
def folder(zookeeper, zookeeper_hosts):
    return Folder(zookeeper, zookeeper_hosts)


@pytest.fixture
def start(make_invoker, folder):
    """start(name, *options, **environment) → Invoker that ends behind the assignment of its id."""
    def starter(name, *options, hosts=None, **env):
        invoker = make_invoker({"ZOOKEEPER_HOSTS": folder.hosts if hosts is None else hosts, **NOT_HERE, **env},
                               unique=name, args=["--uniqueName", name, *options])
        return invoker.spawn()
    return starter


def id_of(invoker):
    """Waits for the end."""
    assert invoker.wait_exit() == 1
    found = re.findall(r"invokerReg: invoker (\S+) was assigned (?:its previous )?invokerId (\d+)", invoker.log())
    assert [name for name, _ in found] == [invoker.unique], invoker.tail()
    return int(found[0][1])


def error_of(invoker):
    assert invoker.wait_exit() == 1
    lines = [line for line in invoker.log().splitlines() if "[ERROR]" in line]
    assert len(lines) == 1, invoker.tail()
    return lines[0]


def sessions(hosts):
    """Ids of those that the server knows now."""
    host, port = hosts.split(":")
    with socket.create_connection((host, int(port))) as link:
        link.sendall(b"dump")
        text = b"".join(iter(lambda: link.recv(65536), b"")).decode()
    return set(re.findall(r"^\t(0x[0-9a-f]+)$", text, re.MULTILINE))


# ---- names and their ids ----

def test_new_names_get_the_next_id_and_keep_it(start, folder):
    assert [id_of(start(name)) for name in ("a", "b", "a", "c", "b")] == [0, 1, 0, 2, 1]
    assert folder.names() == {"a": 0, "b": 1, "c": 2}
    assert folder.get("counter") == struct.pack(">i", 3)


@pytest.mark.parametrize("number, stored", WIDTHS, ids=[str(n) for n, _ in WIDTHS])
def test_ids_are_stored_as_stock_stores_them(start, folder, number, stored):
    folder.fill(number)
    assert id_of(start("new")) == number
    assert folder.get("mapping/new") == stored and folder.get("counter") == struct.pack(">i", number + 1)
    assert id_of(start("new")) == number


def test_names_that_start_at_the_same_time_get_dense_distinct_ids(start, folder):
    invokers = [start(f"p{n}") for n in range(12)]
    assert sorted(id_of(invoker) for invoker in invokers) == list(range(12))
    assert sorted(folder.names().values()) == list(range(12)) and folder.get("counter") == struct.pack(">i", 12)


def test_one_name_that_starts_twice_at_the_same_time_has_one_id(start, folder):
    folder.fill(3)
    assert {id_of(invoker) for invoker in [start("twin") for _ in range(4)]} == {3}
    assert len(folder.names()) == 4


def test_id_that_is_taken_is_not_given_again(start, folder):
    """--overwriteId leaves holes; the number of names is then somebody's id, which stock gives twice."""
    folder.set("mapping/x", b"\x02")
    folder.set("mapping/y", b"\x01")
    folder.set("counter", struct.pack(">i", 2))
    assert id_of(start("new")) == 0


def test_name_that_another_invoker_has_announced_is_waited_for(start, folder):
    """Stock raises the counter first and writes its name afterwards."""
    folder.fill(1)
    folder.set("counter", struct.pack(">i", 2))
    invoker = start("new")
    wait_until(lambda: "no prior assignment of id for invoker new" in invoker.log())
    folder.set("mapping/stock", b"\x01")
    assert id_of(invoker) == 2


def test_announced_name_that_never_comes_holds_nobody_up(start, folder):
    folder.set("counter", struct.pack(">i", 7))
    assert id_of(start("new")) == 0 and folder.get("counter") == struct.pack(">i", 1)


def test_node_that_holds_no_id_is_an_error(start, folder):
    folder.set("mapping/odd", b"10.0.0.7")
    assert f"{ROOT}/mapping/odd holds no id" in error_of(start("odd"))


# ---- --overwriteId ----

def test_overwrite_gives_the_id_and_forgets_who_had_it(start, folder):
    folder.fill(3)
    assert id_of(start("new", "--overwriteId", "1")) == 1
    assert folder.names() == {"old0": 0, "new": 1, "old2": 2}
    assert folder.get("counter") == struct.pack(">i", 3)


def test_overwrite_moves_a_name_that_has_an_id(start, folder):
    folder.fill(3)
    assert id_of(start("old2", "--overwriteId", "0")) == 0
    assert folder.names() == {"old1": 1, "old2": 0}
    assert id_of(start("old2")) == 0


def test_overwrite_up_to_the_number_of_names(start, folder):
    folder.fill(2)
    assert "invokerReg: cannot assign 3 to new: not enough invokers" in error_of(start("new", "--overwriteId", "3"))
    assert folder.names() == {"old0": 0, "old1": 1}
    assert id_of(start("new", "--overwriteId", "2")) == 2
    assert folder.names() == {"old0": 0, "old1": 1, "new": 2}


def test_overwrite_works_where_nobody_was_before(start, folder):
    assert id_of(start("first", "--overwriteId", "0")) == 0 and folder.names() == {"first": 0}


# ---- options ----

def test_id_wins_over_zookeeper(make_invoker):
    invoker = make_invoker({"ZOOKEEPER_HOSTS": "127.0.0.1:1", **NOT_HERE}, args=["--uniqueName", "x", "--overwriteId", "4", "--id", "3"])
    assert invoker.spawn().wait_exit() == 1
    assert "invokerReg: using proposedInvokerId 3" in invoker.log() and "zkClient" not in invoker.log()


@pytest.mark.parametrize("args", [[], ["--uniqueName", " "], ["--displayedName", "x"]], ids=["none", "blank", "other"])
def test_neither_id_nor_name_is_an_error(make_invoker, args):
    assert "Either --id or --uniqueName must be configured with correct values" in error_of(make_invoker(args=args).spawn())


@pytest.mark.parametrize("args", [["0"], ["--uniqueName"], ["--id", "x"], ["--overwriteId", "1.5"], ["--id", "0", "--verbose"]],
                         ids=" ".join)
def test_other_arguments_are_an_error(make_invoker, args):
    invoker = make_invoker(args=args).spawn()
    assert invoker.wait_exit() == 1 and len(invoker.log().splitlines()) == 1
    assert args[-1] in invoker.log()


@pytest.mark.parametrize("name", ["a/b", "..", "a\tb"])
def test_name_that_cannot_be_a_node_is_an_error(make_invoker, name):
    assert "--uniqueName" in error_of(make_invoker({"ZOOKEEPER_HOSTS": "127.0.0.1:1"}, args=["--uniqueName", name]).spawn())


@pytest.mark.parametrize("hosts", ["", ":2181", "zk:", "zk:port"])
def test_hosts_that_are_none_are_an_error(start, hosts):
    assert "Must provide valid zookeeper host and port to use dynamicId assignment (" + hosts in error_of(start("x", hosts=hosts))


def test_path_that_does_not_exist_is_an_error(start, folder):
    assert "does not exist" in error_of(start("x", hosts=f"{folder.hosts}/none"))


def test_no_id_is_taken_for_an_invoker_that_cannot_start(start, folder):
    assert "RUNTIMES_MANIFEST" in error_of(start("x", RUNTIMES_MANIFEST='{"runtimes":{}}'))
    assert folder.names() == {}


# ---- a server that fails ----

class LosesAnswer:
    """In front of ZooKeeper: the first connection ends instead of its answer number `lost` (1 is the handshake's)."""

    def __init__(self, target, lost):
        self.target, self.lost = target, lost
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                client, _ = self.server.accept()
                upstream = socket.create_connection(self.target)
                lost, self.lost = self.lost, None
                for work in (self.requests, client, upstream), (self.answers, upstream, client, lost):
                    threading.Thread(target=work[0], args=work[1:], daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def requests(client, upstream):
        try:
            while data := client.recv(65536):
                upstream.sendall(data)
        except OSError:
            pass
        upstream.close()

    @staticmethod
    def answers(upstream, client, lost):
        reader = upstream.makefile("rb")
        try:
            for count in itertools.count(1):
                head = reader.read(4)
                if len(head) < 4 or count == lost:
                    break
                client.sendall(head + reader.read(struct.unpack(">i", head)[0]))
        except (OSError, ValueError):
            pass
        for link in (client, upstream):
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        client.close()

    def close(self):
        self.server.close()


@pytest.fixture
def target(zookeeper_hosts):
    host, port = zookeeper_hosts.split(":")
    return host, int(port)


@pytest.fixture
def proxy(request, target):
    """proxy(kind, …) → what stands before ZooKeeper."""
    def maker(kind, *args):
        made = kind(target, *args)
        request.addfinalizer(made.close)
        return made
    return maker


def test_connection_lost_at_any_step_gives_one_id(start, zookeeper, zookeeper_hosts, proxy):
    folders = {lost: Folder(zookeeper, zookeeper_hosts) for lost in range(1, 12)}  # the transaction's answer is the 11th
    for folder in folders.values():
        folder.fill(2)
    invokers = {lost: start(f"lost{lost}", hosts=f"127.0.0.1:{proxy(LosesAnswer, lost).port}{folder.path}") for lost, folder in folders.items()}
    for lost, folder in folders.items():
        assert id_of(invokers[lost]) == 2 and (lost == 1 or "trying again" in invokers[lost].log())
        assert folder.names() == {"old0": 0, "old1": 1, f"lost{lost}": 2} and folder.get("counter") == struct.pack(">i", 3)


def test_server_that_does_not_answer_is_an_error_in_time(start, proxy):
    mute = proxy(FaultProxy)
    mute.stall()
    line = error_of(start("x", hosts=f"127.0.0.1:{mute.port}", CWHISK_ZOOKEEPER_TIMEOUT="700 ms"))
    assert "no id for x from ZOOKEEPER_HOSTS 127.0.0.1:" in line and "no answer in time" in line


def test_server_that_is_down_is_an_error_after_retries(start):
    line = error_of(start("x", hosts="127.0.0.1:1", CWHISK_ZOOKEEPER_TIMEOUT="700 ms"))
    assert "no id for x from ZOOKEEPER_HOSTS 127.0.0.1:1" in line and "Connection refused" in line


def test_server_that_comes_up_later_is_found(start, folder, proxy):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        invoker = start("late", hosts=f"127.0.0.1:{port}{folder.path}")
        wait_until(lambda: "creating zkClient" in invoker.log())
    proxy(FaultProxy, ("127.0.0.1", port))
    assert id_of(invoker) == 0


def test_second_server_is_used_when_the_first_is_down(start, folder, zookeeper_hosts):
    assert id_of(start("x", hosts=f"127.0.0.1:1,{zookeeper_hosts}{folder.path}")) == 0


def test_stop_signal_ends_the_waiting(start, proxy):
    mute = proxy(FaultProxy)
    mute.stall()
    invoker = start("x", hosts=f"127.0.0.1:{mute.port}", CWHISK_ZOOKEEPER_TIMEOUT="10 minutes")
    wait_until(lambda: "creating zkClient" in invoker.log())
    assert invoker.terminate() == 0


# ---- the whole invoker ----

def test_invoker_with_only_a_name_works_under_its_id(make_invoker, controller, folder, zookeeper, zookeeper_hosts, ns):
    before = sessions(zookeeper_hosts)
    assert hex(zookeeper.client_id[0]) in before
    invoker = make_invoker({"ZOOKEEPER_HOSTS": folder.hosts}, number=3)
    invoker.args = ["--uniqueName", invoker.unique, "--displayedName", "shown"]
    folder.fill(3)
    invoker.start(controller)
    assert controller.wait_ping(invoker)[0].json["name"] == {
        "instance": 3, "uniqueName": invoker.unique, "displayedName": "shown", "userMemory": "2147483648 B",
        "instanceType": "invoker", "tags": [], "dedicatedNamespaces": []}
    assert not sessions(zookeeper_hosts) - before
    action = controller.put(f"{ns}/id", "nodejs:20", NODE_ID)
    assert controller.invoke(invoker, action).response()["statusCode"] == 0
    assert invoker.containers() and folder.names()[invoker.unique] == 3
    assert invoker.terminate() == 0
