"""The recorded situations, from end to end: a real controller's messages and documents go in as they were recorded
(tests/data/samples), and what comes out has the keys, the values and the meaning of what stock wrote then."""

import json
import re
from pathlib import Path

import pytest

from harness.controller import Activation, Controller
from harness.couch import Couch, compact

SAMPLES = Path(__file__).resolve().parents[1] / "data/samples"
SLOT, RESULT = {"transid", "activationId", "isSystemError", "instance"}, {"transid", "response"}
# What the recording did not keep or what the machine of then was not able to: its record is not compared.
OTHER_THEN = {"whisk.system/invokerHealthTestAction0"}
# "version": of the document, which was updated after some of the messages.
VARIES = {"version", "start", "end", "duration", "updated", "_id", "_rev", "annotations", "logs"}


def lines(name):
    return [json.loads(line) for line in (SAMPLES / name).read_text().splitlines()]


def documents(name):
    return json.loads((SAMPLES / name).read_text())


MESSAGES = lines("kafka-invoker0.ndjson")
RECORDS = {d["activationId"]: d for d in documents("couch-activations.json") if "activationId" in d}
EVENTS = {e["body"].get("activationId"): e for e in lines("kafka-events.ndjson")}


def name_of(message):
    return f"{message['action']['path']}/{message['action']['name']}"


def store_action(couch, document):
    """As it was recorded; of attachments only the length is known."""
    body = {k: v for k, v in document.items() if k not in ("_rev", "_attachments")}
    revision = couch.put(couch.whisks, body)
    for name, stub in document.get("_attachments", {}).items():
        code = "function main(args) { return { payload: 'from the attachment' } }\n"
        couch.request("PUT", couch.whisks, body["_id"], name, params={"rev": revision}, headers={"Content-Type": stub["content_type"]},
                      data=code + "/" * 2 + "x" * (stub["length"] - len(code) - 2))


@pytest.fixture(scope="module")
def recorded(couch):
    """A store that holds what the recorded one held."""
    store = Couch(f"http://{couch.username}:{couch.password}@{couch.host}:{couch.port}", prefix="samples_")
    store.setup()
    for document in documents("couch-whisks.json"):
        if "exec" in document:
            store_action(store, document)
    return store


@pytest.fixture(scope="module")
def replayed(request, cwhisk, kafka, recorded, docker, tmp_path_factory):
    """All recorded messages, sent in their order with nothing but the controller changed: {activation id: Activation}"""
    from conftest import make
    controller = Controller(kafka, recorded, "samples")
    invoker = make(request, kafka, recorded, docker, tmp_path_factory.mktemp("samples"),
                   {"CONFIG_whisk_userEvents_enabled": "true",
                    "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0": None}).start(controller)
    sent = {}
    for message in MESSAGES:
        message = {**message, "rootControllerIndex": {"asString": controller.name, "instanceType": "controller"}}
        kafka.send(invoker.topic, compact(message))
        sent[message["activationId"]] = Activation(controller, message)
    for activation in sent.values():
        activation.finished(60)
    yield sent
    controller.close()


def ids(messages):
    return [f"{i}-{name_of(m)}" for i, m in enumerate(messages)]


@pytest.mark.parametrize("message", MESSAGES, ids=ids(MESSAGES))
def test_recorded_message_is_answered_and_recorded(replayed, message):
    activation = replayed[message["activationId"]]
    acks = activation.acks()
    assert [a.json["transid"] for a in acks] == [message["transid"]] * len(acks)
    slots = [a.json for a in acks if "instance" in a.json]
    assert len(slots) == 1 and not slots[0]["isSystemError"]
    logs = replayed_limits(activation)["logs"] > 0
    expected = [RESULT, SLOT] if message["blocking"] and logs else [SLOT] if not message["blocking"] else [SLOT - {"activationId"} | RESULT]
    assert [set(a.json) for a in acks] == expected
    record = activation.record()
    assert {a["key"] for a in record["annotations"]} >= {"path", "kind", "limits", "timeout", "waitTime"}
    assert ("sequence" if "cause" in message else None) == annotation(record, "causedBy")
    wanted = 2 if name_of(message) == "guest/shortt" else 1 if name_of(message) == "guest/apperr" else 0
    assert record["response"]["statusCode"] == wanted, record["response"]


def annotation(record, key):
    return next((a["value"] for a in record["annotations"] if a["key"] == key), None)


def replayed_limits(activation):
    return annotation(activation.record(), "limits")


def words(log):
    """A line without its time."""
    return re.sub(r"^\S+\s+", "", log)


WITH_RECORDS = [m for m in MESSAGES if m["activationId"] in RECORDS and name_of(m) not in OTHER_THEN]


@pytest.mark.parametrize("message", WITH_RECORDS, ids=ids(WITH_RECORDS))
def test_record_is_the_recorded_one(replayed, message):
    now, then = replayed[message["activationId"]].record(), RECORDS[message["activationId"]]
    assert set(now) == set(then)
    if name_of(message) != "guest/env":  # its result holds ids and times
        assert {k: v for k, v in now.items() if k not in VARIES} == {k: v for k, v in then.items() if k not in VARIES}
    else:
        assert now["response"]["result"]["a"] == then["response"]["result"]["a"]
        assert set(now["response"]["result"]["env"]) == set(then["response"]["result"]["env"])
    for key in ("path", "kind", "limits", "timeout", "causedBy", "binding"):
        assert annotation(now, key) == annotation(then, key)
    assert sorted(map(words, now["logs"])) == sorted(map(words, then["logs"]))


WITH_EVENTS = [m for m in MESSAGES if m["activationId"] in EVENTS]


@pytest.mark.parametrize("message", WITH_EVENTS, ids=ids(WITH_EVENTS))
def test_event_is_the_recorded_one(replayed, message):
    now, then = replayed[message["activationId"]].event().json, EVENTS[message["activationId"]]
    assert set(now) == set(then) and set(now["body"]) >= set(then["body"])
    same = ("name", "kind", "memory", "conductor")
    assert [now["body"][k] for k in same] == [then["body"][k] for k in same]
    assert {k: now[k] for k in ("eventType", "namespace", "subject", "userId")} == {
        k: then[k] for k in ("eventType", "namespace", "subject", "userId")}
