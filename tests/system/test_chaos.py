"""A few of the faults of tests/chaos, short: nothing is lost, nothing runs twice, whatever fails."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from chaos import session  # noqa: E402  pylint: disable=wrong-import-position
from chaos.trial import Options, World  # noqa: E402  pylint: disable=wrong-import-position

SLOWEST_ANSWER = 30  # seconds; three on a machine that does nothing else, see docs/faults.md


@pytest.fixture(scope="module")
def world(cwhisk, kafka, couch, docker, controller):
    return World(kafka, couch, docker, controller)


def examine(world, *names, **options):
    outcome = session.run(world, Options(**options), names)
    print(outcome.account.text(), outcome.account.examples(), outcome.recoveries, outcome.log[-6000:], sep="\n")
    assert outcome.sound, outcome.trouble or outcome.account.text()
    assert max(outcome.recoveries) < SLOWEST_ANSWER
    return outcome


def test_ten_kills_lose_nothing_and_repeat_nothing(world):
    outcome = examine(world, "kill", kills=10)
    assert outcome.account.system_errors == 0  # or controllers would hold the kills against the successor


def test_successor_that_waits_takes_over_while_containers_die(world):
    outcome = examine(world, "overlap", "container-killed", kills=2)
    assert outcome.account.failed < outcome.account.activations / 2


def test_store_and_broker_that_fail_for_a_while_lose_nothing(world):
    examine(world, "couch-5xx", "kafka-hangs", hold=6)


def test_engine_that_hangs_loses_nothing(world):
    examine(world, "docker-hangs", hold=4)
