"""Activation records: their content, exactness, and when they are kept."""

import json

import pytest

from harness.code import BASH_ECHO, NODE_ECHO, NODE_ID, OFFICIAL, annotations
from harness.controller import Raw, identity
from harness.couch import Couch
from harness.invoker import NATIVE_IMAGE
from harness.faults import FaultProxy


def test_record_of_a_cold_run(invoker, controller, ns):
    action = controller.put(f"{ns}/pkg/hello", "nodejs:20", NODE_ECHO, version="0.0.7", limits={"timeout": 20000, "logs": 3})
    activation = controller.invoke(invoker, action, {"name": "Ann"})
    record = activation.finished()
    assert record.pop("_rev").startswith("1-")
    notes = annotations(record)
    assert set(record) == {"_id", "entityType", "namespace", "name", "subject", "activationId", "start", "end", "duration", "response",
                           "logs", "version", "publish", "annotations", "updated"}
    assert (record["_id"], record["entityType"], record["namespace"], record["name"]) == (f"{ns}/{activation.id}", "activation", ns, "hello")
    assert (record["subject"], record["version"], record["publish"]) == (f"{ns}-subject", "0.0.7", False)
    assert record["response"] == {"statusCode": 0, "result": {"name": "Ann"}, "size": 14}
    assert record["duration"] == record["end"] - record["start"] >= notes["initTime"] > 0
    assert record["start"] >= activation.transid[1] and record["updated"] >= record["end"]
    assert notes == {"path": action.path, "kind": "nodejs:20", "timeout": False, "initTime": notes["initTime"],
                     "waitTime": notes["waitTime"],
                     "limits": {"timeout": 20000, "memory": 256, "logs": 3, "concurrency": 1}}
    # In stock's records, too, one may be rounded up and the other down.
    assert type(notes["waitTime"]) is int and abs(notes["waitTime"] - (record["start"] - activation.transid[1])) <= 2
    assert len(record["annotations"]) == len(notes)


def test_cause_and_binding(invoker, controller, ns):
    action = controller.put(f"{ns}/pkg/hello", "nodejs:20", NODE_ECHO)
    message = controller.message(action, {}, cause="fedcba98765432100123456789abcdef")
    message["action"]["binding"] = "bob/mine"
    record = controller.send(invoker, message).finished()
    assert record["cause"] == "fedcba98765432100123456789abcdef"
    notes = annotations(record)
    assert (notes["causedBy"], notes["binding"], notes["path"]) == ("sequence", "bob/mine", action.path)


def test_size_counts_utf16_units(invoker, controller, ns):
    action = controller.put(f"{ns}/wide", "nodejs:20", "const main = () => ({t: 'ü😀'});")
    assert controller.invoke(invoker, action).response() == {"statusCode": 0, "result": {"t": "ü😀"}, "size": len('{"t":"') + 3 + 2}


def test_unicode_everywhere(invoker, controller, ns):
    action = controller.put(f"{ns}/unicode", "nodejs:20", "function main(a) { console.log(a.text); return a; }")
    text = "Grüße 世界 😀 \u0000 \u2028 \" \\ \u007f"
    activation = controller.invoke(invoker, action, {"text": text})
    assert activation.response()["result"] == {"text": text}
    assert activation.record()["response"]["result"] == {"text": text}


EXACT = '{"z":1e400,"a":0.1,"b":0.10,"c":12345678901234567890,"d":-0.0,"e":1E+2,"y":"\\u00e9\\/","x":[ 1 , 2 ],"w":{}}'


@pytest.fixture
def recorded(couch):
    """A way to the store on which everything said is kept."""
    relay = FaultProxy((couch.host, couch.port))
    yield relay, Couch(f"http://{couch.username}:{couch.password}@127.0.0.1:{relay.port}")
    relay.close()


@pytest.mark.skipif(OFFICIAL, reason="Apache's skeleton writes arguments and results anew")
def test_values_travel_byte_for_byte(make_invoker, controller, recorded, ns):
    relay, store = recorded
    invoker = make_invoker(store=store).start(controller)
    action = controller.put(f"{ns}/exact", "blackbox", BASH_ECHO, image=NATIVE_IMAGE)
    activation = controller.invoke(invoker, action, Raw(EXACT))
    record = activation.finished()
    assert f'"result":{EXACT}' in activation.result().raw
    assert f'"result":{EXACT}'.encode() in relay.said()
    assert f"got {EXACT}" in json.dumps(record["logs"], ensure_ascii=False).replace("\\\"", '"').replace("\\\\", "\\")


def test_init_argument_numbers_keep_their_text(invoker, controller, ns):
    action = controller.put(f"{ns}/exact", "nodejs:20", "function main(a) { return {n: process.env.N, m: process.env.M, a}; }")
    result = controller.invoke(invoker, action, Raw('{"N":12345678901234567890,"M":1e400,"rest":1}'), initArgs=["N", "M"]).response()["result"]
    assert result == {"n": "12345678901234567890", "m": "1e400", "a": {"rest": 1}}


def test_payload_of_a_megabyte(invoker, controller, ns):
    action = controller.put(f"{ns}/big", "nodejs:20", NODE_ECHO)
    big = {"big": "x" * 1040000}
    activation = controller.invoke(invoker, action, big)
    assert activation.response(40)["result"] == big
    assert activation.finished(40)["response"]["result"] == big


def test_many_records_in_a_burst_are_all_kept(invoker, controller, ns):
    action = controller.put(f"{ns}/burst", "nodejs:20", NODE_ID, limits={"concurrency": 20, "logs": 0})
    controller.invoke(invoker, action).finished()
    sent = [controller.invoke(invoker, action, {"n": n}, blocking=False) for n in range(100)]
    assert [a.finished(60)["response"]["result"]["args"] for a in sent] == [{"n": n} for n in range(100)]


def no_record(controller, invoker, ns, activation):
    """Waits for the ack and then for the record of a later activation, which would come after it."""
    activation.completion()
    later = controller.invoke(invoker, controller.put(f"{ns}/later", "nodejs:20", "const main = () => ({error: 'kept'});"))
    later.finished()
    return controller.couch.record(activation.namespace, activation.id) is None


def test_records_are_not_kept_for_a_namespace_that_says_so(invoker, controller, ns):
    action = controller.put(f"{ns}/private", "nodejs:20", NODE_ECHO)
    activation = controller.invoke(invoker, action, {}, user=identity(ns, storeActivations=False))
    assert activation.response()["statusCode"] == 0
    assert no_record(controller, invoker, ns, activation)


def test_extra_logging_does_not_override_the_namespace(invoker, controller, ns):
    action = controller.put(f"{ns}/private", "nodejs:20", NODE_ECHO)
    activation = controller.invoke(invoker, action, {}, user=identity(ns, storeActivations=False), transid=["x" * 32, 1700000000000, True])
    assert no_record(controller, invoker, ns, activation)


def test_store_levels(make_invoker, controller, ns):
    invoker = make_invoker({"CONFIG_whisk_activation_storeBlockingResultLevel": "STORE_FAILURES",
                            "CONFIG_whisk_activation_storeNonBlockingResultLevel": "STORE_FAILURES_NOT_APPLICATION_ERRORS"}).start(controller)
    good, bad, broken = (controller.put(f"{ns}/{name}", "nodejs:20", code) for name, code in (
        ("good", NODE_ECHO), ("bad", "const main = () => ({error: 1});"), ("broken", "function main() { throw 1; }")))
    extra = ["x" * 32, 1700000000000, True]
    kept = [controller.invoke(invoker, bad), controller.invoke(invoker, broken, blocking=False),
            controller.invoke(invoker, good, transid=extra), controller.invoke(invoker, good, blocking=False, transid=extra)]
    dropped = [controller.invoke(invoker, good), controller.invoke(invoker, good, blocking=False), controller.invoke(invoker, bad, blocking=False)]
    for activation in kept:
        activation.finished()
    for activation in dropped:
        assert no_record(controller, invoker, ns, activation)
