"""User events, when they are switched on."""

import json
import time

from harness.code import NODE_ECHO, NODE_ID, annotations

INVOKER_ENV = {"CONFIG_whisk_userEvents_enabled": "true"}


def test_event_of_a_run(invoker, controller, ns):
    action = controller.put(f"{ns}/pkg/told", "nodejs:20", NODE_ECHO)
    before = int(time.time() * 1000)
    activation = controller.invoke(invoker, action, {"a": 1})
    record = activation.finished()
    event = activation.event().json
    notes = annotations(record)
    assert before <= event.pop("timestamp") <= int(time.time() * 1000)
    user = controller.message(action)["user"]
    assert event == {
        "source": f"invoker{invoker.number}", "subject": user["subject"], "namespace": ns, "userId": user["namespace"]["uuid"],
        "eventType": "Activation",
        "body": {"name": action.path, "activationId": activation.id, "statusCode": 0, "duration": record["duration"],
                 "waitTime": notes["waitTime"], "initTime": notes["initTime"], "kind": "nodejs:20", "conductor": False, "memory": 256,
                 "size": 7}}


def test_event_of_a_warm_run_has_init_time_zero(invoker, controller, ns):
    action = controller.put(f"{ns}/told", "nodejs:20", NODE_ID)
    controller.invoke(invoker, action).finished()
    assert controller.invoke(invoker, action).event().json["body"]["initTime"] == 0


def test_event_of_a_failure_has_the_users_status_code(invoker, controller, ns):
    codes = {"const main = () => ({error: {statusCode: 404}});": 404, "const main = () => ({statusCode: 201});": 201,
             "const main = () => ({statusCode: 'x'});": 400, "const main = () => ({});": None}
    for n, (code, expected) in enumerate(codes.items()):
        body = controller.invoke(invoker, controller.put(f"{ns}/told{n}", "nodejs:20", code)).event().json["body"]
        assert body.get("userDefinedStatusCode") == expected, code


def test_event_names_its_cause_and_conductor(invoker, controller, ns):
    action = controller.put(f"{ns}/told", "nodejs:20", NODE_ECHO)
    body = controller.invoke(invoker, action, cause="fedcba98765432100123456789abcdef", blocking=False).event().json["body"]
    assert body["causedBy"] == "sequence"


def test_event_of_an_action_that_could_not_be_fetched(invoker, controller, ns):
    action = controller.put(f"{ns}/gone", "nodejs:20", NODE_ECHO)
    controller.couch.delete(controller.couch.whisks, action.path)
    body = controller.invoke(invoker, action).event().json["body"]
    assert (body["statusCode"], body["kind"], body["memory"], body["duration"]) == (1, "unknown", 0, 0)


def test_no_events_unless_switched_on(make_invoker, invoker, controller, ns):
    silent = make_invoker().start(controller)
    action = controller.put(f"{ns}/told", "nodejs:20", NODE_ECHO)
    untold = controller.invoke(silent, action)
    untold.finished()
    controller.invoke(invoker, action).event()
    assert controller.reader.select(controller.events, lambda r: untold.id in json.dumps(r.json)) == []
