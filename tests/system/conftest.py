"""Fixtures of the system tests. The services come from tests/system/run, which names them in the environment:
CW_TEST_KAFKA (host:port), CW_TEST_COUCH (http://user:password@host:port), CW_TEST_DOCKER (the engine's socket),
CW_TEST_ZOOKEEPER (host:port), CW_TEST_KAFKA_TLS (the first TLS listener of that broker).
Whatever is missing means skip, with the reason."""

import itertools
import os
import secrets

import pytest

from harness import invoker as invoker_module
from harness.controller import Controller
from harness.couch import Couch
from harness.docker import Docker
from harness.invoker import Invoker
from harness.kafka import Kafka
from harness.redis import Redis

NUMBERS = itertools.count(secrets.randbelow(10000) + 10)


def need(variable, what):
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{what}: {variable} is not set (tests/system/run sets it)")
    return value


@pytest.fixture(scope="session")
def kafka():
    return Kafka(need("CW_TEST_KAFKA", "no Kafka"))


@pytest.fixture(scope="session")
def couch():
    couch = Couch(need("CW_TEST_COUCH", "no CouchDB"))
    couch.setup()
    return couch


@pytest.fixture(scope="session")
def docker():
    return Docker(need("CW_TEST_DOCKER", "no Docker engine"))


@pytest.fixture(scope="session")
def zookeeper_hosts():
    return need("CW_TEST_ZOOKEEPER", "no ZooKeeper")


@pytest.fixture(scope="session")
def tls_hosts():
    return need("CW_TEST_KAFKA_TLS", "no Kafka with TLS")


@pytest.fixture(scope="session")
def cwhisk():
    path = invoker_module.binary()
    if not os.access(path, os.X_OK):
        pytest.skip(f"no invoker: {path} does not exist (build it, or set CWHISK_BIN)")
    return path


@pytest.fixture(scope="module")
def controller(kafka, couch):
    controller = Controller(kafka, couch, f"t{secrets.token_hex(4)}")
    yield controller
    controller.close()


def make(request, kafka, couch, docker, folder, overrides=None, **options):
    number = options.pop("number", None)
    unique = options.pop("unique", None)
    started = Invoker(kafka, options.pop("store", couch), docker, folder, next(NUMBERS) if number is None else number,
                      unique or f"s{secrets.token_hex(3)}", overrides, **options)
    request.node.stash.setdefault(INVOKERS, []).append(started)
    request.addfinalizer(started.discard)
    return started


INVOKERS = pytest.StashKey()


@pytest.fixture
def make_invoker(request, cwhisk, kafka, couch, docker, tmp_path):
    """make_invoker(env=None, *, args, number, unique, store) → Invoker, not started; discarded at the test's end."""
    def maker(overrides=None, **options):
        return make(request, kafka, couch, docker, tmp_path, overrides, **options)
    return maker


@pytest.fixture(scope="module")
def invoker(request, cwhisk, kafka, couch, docker, controller, tmp_path_factory):
    """A running invoker that the module's cases share; the module's INVOKER_ENV goes on top of its environment."""
    folder = tmp_path_factory.mktemp("invoker")
    shared = make(request, kafka, couch, docker, folder, getattr(request.module, "INVOKER_ENV", None))
    return shared.start(controller)


@pytest.fixture
def redis(tmp_path):
    """A Redis of the test's own."""
    server = Redis(tmp_path).start()
    yield server
    server.kill()


@pytest.fixture
def ns():
    """A namespace that no other case uses."""
    return f"n{secrets.token_hex(4)}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the log of the invokers it dealt with."""
    report = (yield).get_result()
    if report.failed:
        for node in item.listchain():
            for started in node.stash.get(INVOKERS, []):
                report.sections.append((f"log of {started.topic} ({started.log_path})", started.tail(80)))
