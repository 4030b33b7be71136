"""Which ack is sent when, and what is in it."""

import secrets
import time

import pytest

from harness.code import NODE_ECHO, NODE_LOG, NODE_SLEEP
from harness.controller import Controller
from harness.couch import compact

RECORD_KEYS = {"namespace", "name", "subject", "activationId", "start", "end", "duration", "response", "logs", "version", "publish",
               "annotations"}


@pytest.fixture(scope="module")
def logging(controller, invoker):
    return controller.put("acks/logging", "nodejs:20", NODE_LOG)


@pytest.fixture(scope="module")
def quiet(controller, invoker):
    return controller.put("acks/quiet", "nodejs:20", NODE_ECHO, limits={"logs": 0})


def test_blocking_with_logs_is_a_result_then_a_completion(invoker, controller, logging):
    activation = controller.invoke(invoker, logging, {})
    record = activation.finished()
    result, completion = sorted(activation.acks(), key=lambda a: a.offset)
    assert set(result.json) == {"transid", "response"}
    assert completion.json == {"transid": activation.transid, "activationId": activation.id, "isSystemError": False,
                               "instance": controller.pings(invoker)[0].json["name"]}
    assert result.json["transid"] == activation.transid
    assert set(result.json["response"]) == RECORD_KEYS
    assert result.json["response"]["logs"] == [] and len(record["logs"]) == 2


def test_result_ack_and_record_tell_the_same(invoker, controller, logging):
    activation = controller.invoke(invoker, logging, {})
    acked, record = activation.result().json["response"], activation.record()
    for key in RECORD_KEYS - {"logs", "annotations"}:
        assert acked[key] == record[key], key
    assert sorted(map(str, acked["annotations"])) == sorted(map(str, record["annotations"]))


def test_non_blocking_with_logs_is_one_completion(invoker, controller, logging):
    activation = controller.invoke(invoker, logging, {}, blocking=False)
    activation.finished()
    assert [set(a.json) for a in activation.acks()] == [{"transid", "activationId", "isSystemError", "instance"}]


def test_blocking_without_logs_is_one_combined_ack(invoker, controller, quiet):
    activation = controller.invoke(invoker, quiet, {"n": 1})
    record = activation.finished()
    [combined] = activation.acks()
    assert set(combined.json) == {"transid", "response", "isSystemError", "instance"}
    assert set(combined.json["response"]) == RECORD_KEYS and combined.json["isSystemError"] is False
    assert combined.json["response"]["response"] == {"statusCode": 0, "result": {"n": 1}, "size": 7}
    assert record["logs"] == []


def test_non_blocking_without_logs_is_one_completion(invoker, controller, quiet):
    activation = controller.invoke(invoker, quiet, {}, blocking=False)
    activation.finished()
    assert [set(a.json) for a in activation.acks()] == [{"transid", "activationId", "isSystemError", "instance"}]


def test_fetch_failure_is_combined_and_shrunk_when_nobody_waits(invoker, controller, quiet, ns):
    missing = controller.put(f"{ns}/gone", "nodejs:20", NODE_ECHO)
    controller.couch.delete(controller.couch.whisks, missing.path)
    waited, unwaited = (controller.invoke(invoker, missing, blocking=b) for b in (True, False))
    assert waited.completion().json["response"]["activationId"] == waited.id
    shrunk = unwaited.completion().json
    assert set(shrunk) == {"transid", "response", "isSystemError", "instance"} and shrunk["response"] == unwaited.id
    assert waited.record() and unwaited.record()


@pytest.mark.parametrize("transid", [
    '["Wq3xyz",1700000000123]', '["Wq3xyz",1700000000123,true]', '["c1",1700000000200,["Wq3xyz",1700000000123]]',
    '["c1",1700000000200,true,["Wq3xyz",1700000000123,true]]', '["c2",3,["c1",2,["ä\\u0001",1]]]'])
def test_transid_is_echoed_as_it_was(invoker, controller, quiet, transid):
    message = controller.message(quiet, {})
    message["transid"] = "@"
    text = compact(message).replace('"@"', transid)
    controller.kafka.send(invoker.topic, text)
    records = controller.reader.wait(controller.completed, lambda r: message["activationId"] in r.raw, what="ack")
    assert f'"transid":{transid}' in records[0].raw


def test_acks_go_to_the_controller_that_sent(invoker, controller, kafka, couch, quiet):
    other = Controller(kafka, couch, f"u.{secrets.token_hex(4)}-x")
    try:
        mine, theirs = controller.invoke(invoker, quiet, {}), other.invoke(invoker, quiet, {})
        theirs.completion()
        mine.completion()
        assert other.reader.select(other.completed, mine.concerns) == []
        assert controller.reader.select(controller.completed, theirs.concerns) == []
    finally:
        other.close()


def test_result_too_large_for_a_message_is_acked_shrunk_and_recorded(invoker, controller, ns):
    action = controller.put(f"{ns}/quotes", "nodejs:20", "const main = () => ({s: '\\\"'.repeat(500000)});")
    activation = controller.invoke(invoker, action)
    record = activation.finished()
    assert record["response"]["result"] == {"s": '"' * 500000} and record["response"]["size"] == 1000008
    assert activation.result().json["response"]["response"]["result"] == record["response"]["result"]
    # The same with its truncated text, which escaping pushes over the limit.
    action = controller.put(f"{ns}/more", "nodejs:20", "const main = () => ({s: '\\\"'.repeat(900000)});")
    activation = controller.invoke(invoker, action)
    assert activation.result().json["response"] == activation.id
    record = activation.finished()
    assert record["response"]["statusCode"] == 1 and record["response"]["size"] == 1800008
    assert "1800008 > 1048576 bytes" in record["response"]["result"]["error"]


def test_shrunk_combined_ack_of_a_large_result_without_logs(invoker, controller, ns):
    action = controller.put(f"{ns}/more", "nodejs:20", "const main = () => ({s: '\\\"'.repeat(900000)});", limits={"logs": 0})
    activation = controller.invoke(invoker, action)
    combined = activation.completion().json
    assert combined["response"] == activation.id and combined["isSystemError"] is False
    assert activation.record()["response"]["statusCode"] == 1


def test_each_activation_frees_its_slot_exactly_once(invoker, controller, logging, quiet):
    sent = [controller.invoke(invoker, action, {}, blocking=b) for _ in range(5) for action in (logging, quiet) for b in (True, False)]
    for activation in sent:
        activation.finished(40)
    for activation in sent:
        assert len([a for a in activation.acks() if "instance" in a.json]) == 1
        assert len([a for a in activation.acks() if "response" in a.json]) == (1 if activation.blocking else 0)


def test_malformed_messages_are_skipped(invoker, controller, kafka, quiet):
    good = controller.message(quiet, {"n": 1})
    for broken in ("not json", "{}", '{"transid":["x",1],"action":{"name":"a"}}', "[" * 100000, '"\ud83d"'.encode("utf-8", "surrogatepass"),
                   compact({**good, "activationId": "short"}), compact({**good, "content": 7})):
        kafka.send(invoker.topic, broken)
    assert controller.invoke(invoker, quiet, {"n": 2}).response()["result"] == {"n": 2}
    assert invoker.process.poll() is None


def test_message_of_the_scheduler_path_is_named_in_the_log(invoker, controller, kafka, quiet):
    creation = {**controller.message(quiet), "creationId": "0123456789abcdef0123456789abcdef", "invocationNamespace": "acks",
                "whiskActionMetaData": {}, "rootSchedulerIndex": {"asString": "0"}, "schedulerHost": "s", "rpcPort": 13001, "retryCount": 0}
    for key in ("activationId", "user", "rootControllerIndex", "blocking", "initArgs", "lockedArgs"):
        del creation[key]
    kafka.send(invoker.topic, compact(creation))
    assert controller.invoke(invoker, quiet, {}).response()["statusCode"] == 0
    [line] = [line for line in invoker.log().splitlines() if "[ERROR]" in line and "whisk.spi.LoadBalancerProvider" in line]
    assert "whisk.spi.EntitlementSpiProvider" in line


def test_offset_is_committed_while_the_work_is_still_under_way(make_invoker, controller, kafka, ns):
    invoker = make_invoker().start(controller)
    action = controller.put(f"{ns}/slow", "nodejs:20", NODE_SLEEP)
    controller.invoke(invoker, action).finished()
    slow = controller.invoke(invoker, action, {"ms": 3000})
    deadline = time.monotonic() + 2.5
    while kafka.committed(invoker.topic, invoker.topic) < 2:
        assert time.monotonic() < deadline
    assert slow.acks() == []
    slow.completion()
