"""Crafted messages, documents and container answers: the same comes back as from Apache's invoker, whose answers are recorded
in tests/data/drill. Where cwhisk answers differently, the case says what and why ("cwhisk")."""

import json
import re

import pytest

from harness import drill
from harness.invoker import MANIFEST

INVOKER_ENV = {
    "RUNTIMES_MANIFEST": json.dumps(drill.manifest(MANIFEST)),
    "CONFIG_whisk_userEvents_enabled": "true",
    "CONFIG_whisk_timeLimit_max": "5 m",
    "CONFIG_whisk_containerPool_userMemory": "4096 m",
}


@pytest.fixture(scope="module")
def run(invoker, docker, kafka, couch):
    drill.make_image(docker)
    run = drill.Drill(kafka, couch, invoker.number)
    yield run
    run.close()


def unreadable(invoker):
    return int(float(re.search(r"^cwhisk_messages_unreadable_total (\S+)$", invoker.http("/metrics").text, re.M)[1]))


def expected(case):
    return case["cwhisk"]["answer"] if "cwhisk" in case else case["stock"]


@pytest.mark.parametrize("name", [file.stem for file in sorted(drill.FOLDER.glob("*.json"))])
def test_answers_are_those_of_stock(invoker, run, name):
    content = drill.load([name])[name]
    before = unreadable(invoker)
    answers = drill.replay(run, content)
    differing = {case["name"]: (answer, expected(case)) for case, answer in answers if answer != expected(case)}
    assert not differing, json.dumps(differing, indent=1)
    dropped = sum(len(case["send"]) for case in content["cases"] if not expected(case)["acks"])
    assert unreadable(invoker) - before == dropped


def test_deviations_are_deliberate():
    cases = [case for content in drill.load().values() for case in content["cases"]]
    assert len(cases) > 500
    assert all(re.match(r"(better|same): \S", case["cwhisk"]["why"]) for case in cases if "cwhisk" in case)
    assert all(case["cwhisk"]["answer"] != case["stock"] for case in cases if "cwhisk" in case)
