"""Failures of actions, documents and limits: status, text, ack and record of each."""

import pytest

from harness.code import NODE_ECHO, NODE_SLEEP, OFFICIAL, annotations, texts
from harness.controller import identity
from harness.couch import Action
from harness.invoker import NATIVE_IMAGE

APPLICATION, DEVELOPER, WHISK = 1, 2, 3
UNEXPECTED = "The action did not produce a valid response and exited unexpectedly."


def outcome(activation):
    """(statusCode, error) as the caller sees it, after checking that ack, system error mark and record agree."""
    response = activation.response()
    assert activation.completion().json["isSystemError"] is (response["statusCode"] == WHISK)
    assert activation.record()["response"] == response
    return response["statusCode"], response["result"]["error"]


def run(controller, invoker, path, kind, code, content=None, **options):
    return controller.invoke(invoker, controller.put(path, kind, code, **options), content)


def test_error_field_is_an_application_error_and_the_rest_is_dropped(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/err", "nodejs:20", "const main = () => ({error: 'app failed', code: 42});")
    assert activation.response() == {"statusCode": APPLICATION, "result": {"error": "app failed"}, "size": 32}
    assert outcome(activation) == (APPLICATION, "app failed")


def test_error_field_may_be_any_json(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/err", "nodejs:20", "const main = () => ({error: {statusCode: 404, list: [1, null]}});")
    assert outcome(activation) == (APPLICATION, {"statusCode": 404, "list": [1, None]})


def test_rejected_promise_and_python_exception_are_application_errors(invoker, controller, ns):
    assert outcome(run(controller, invoker, f"{ns}/js", "nodejs:20", "const main = () => Promise.reject('no');")) == (APPLICATION, "no")
    assert outcome(run(controller, invoker, f"{ns}/py", "python:3.11", "def main(a):\n    raise ValueError('no')\n")) == (APPLICATION, "no")


def test_thrown_error_is_a_developer_error(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/throw", "nodejs:20", "function main() { throw new Error('boom'); }")
    assert outcome(activation) == (DEVELOPER, "An error has occurred: Error: boom")
    record = activation.record()
    assert record["response"]["size"] == len('{"error":"An error has occurred: Error: boom"}')
    assert texts(record)[-1] == ("stderr", "The action did not initialize or run as expected. Log data might be missing.")


@pytest.mark.parametrize("kind, code", [("nodejs:20", "function main() { process.exit(3); }"),
                                        ("python:3.11", "import os\ndef main(a):\n    os._exit(3)\n")])
def test_exit_in_the_middle_of_a_run(invoker, controller, ns, kind, code):
    activation = run(controller, invoker, f"{ns}/exit", kind, code)
    answers = OFFICIAL and kind.startswith("python")  # its HTTP server is another process
    assert outcome(activation) == (DEVELOPER, "command exited" if answers else UNEXPECTED)
    assert ("size" in activation.record()["response"]) == answers
    assert annotations(activation.record())["timeout"] is False


def test_exit_while_initializing(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/exit", "nodejs:20", "process.exit(1);")
    assert outcome(activation) == (DEVELOPER, "The action did not initialize and exited unexpectedly.")


@pytest.mark.parametrize("kind, code", [("nodejs:20", "function main(a){ return {\n"), ("python:3.11", "def main(a:\n")])
def test_syntax_error(invoker, controller, ns, kind, code):
    activation = run(controller, invoker, f"{ns}/syntax", kind, code)
    status, error = outcome(activation)
    record = activation.record()
    if OFFICIAL and kind.startswith("python"):
        assert error == "The action failed to generate or locate a binary. See logs for details." and texts(record)[:-1]
    else:
        assert error.startswith("Initialization has failed due to: ") and "SyntaxError" in error
    assert status == DEVELOPER
    assert record["duration"] == annotations(record)["initTime"] and annotations(record)["timeout"] is False
    assert texts(record)[-1] == ("stderr", "The action did not initialize or run as expected. Log data might be missing.")


def test_text_instead_of_json_from_a_program(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/text", "blackbox", "#!/bin/bash\necho no json\n", image=NATIVE_IMAGE)
    assert outcome(activation) == (DEVELOPER, "The action did not return a dictionary or array.")


def test_timeout_of_a_run(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/slow", "nodejs:20", NODE_SLEEP, {"ms": 60000}, limits={"timeout": 5000})
    assert outcome(activation) == (DEVELOPER, "The action exceeded its time limits of 5000 milliseconds.")
    record = activation.record()
    assert annotations(record)["timeout"] is True and "initTime" in annotations(record)
    assert 5000 <= record["end"] - record["start"] == record["duration"]


def test_timeout_while_initializing(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/slow", "python:3.11", "import time\ntime.sleep(20)\ndef main(a):\n    return {}\n",
                     limits={"timeout": 1500})
    assert outcome(activation) == (DEVELOPER, "The action exceeded its time limits of 1500 milliseconds during initialization.")
    record = activation.record()
    assert annotations(record)["timeout"] is True and 1500 <= annotations(record)["initTime"]


def test_init_and_run_have_the_full_timeout_each(invoker, controller, ns):
    code = "import time\ntime.sleep(3)\ndef main(a):\n    time.sleep(3)\n    return {'done': True}\n"
    activation = run(controller, invoker, f"{ns}/both", "python:3.11", code, limits={"timeout": 5000})
    assert activation.response()["result"] == {"done": True}
    assert activation.record()["duration"] >= 6000 and annotations(activation.record())["timeout"] is False


@pytest.mark.parametrize("kind, code", [("nodejs:20", "const main = () => ({n: Buffer.alloc(900 << 20, 1).length});"),
                                        ("python:3.11", "def main(a):\n    return {'n': len(bytearray(900 << 20))}\n")])
def test_exhausted_memory(invoker, controller, ns, kind, code):
    activation = run(controller, invoker, f"{ns}/hungry", kind, code, limits={"memory": 128})
    answers = OFFICIAL and kind.startswith("python")  # only the action's process dies, and a container that answers is not asked
    assert outcome(activation) == (DEVELOPER, "command exited" if answers else "The action exhausted its memory and was aborted.")


def test_result_over_the_payload_limit_is_truncated(invoker, controller, ns):
    activation = run(controller, invoker, f"{ns}/big", "nodejs:20", "const main = () => ({s: 'y'.repeat(1200000)});")
    record = activation.finished()
    assert record["response"]["statusCode"] == APPLICATION and record["response"]["size"] == 1200008
    assert record["response"]["result"]["error"] == (
        "The action produced a response that exceeded the allowed length: 1200008 > 1048576 bytes. "
        "The truncated response was: " + ('{"s":"' + "y" * 1200000)[:1048576])


def test_payload_limits_of_the_namespace(invoker, controller, ns):
    action = controller.put(f"{ns}/big", "nodejs:20", "const main = () => ({s: 'y'.repeat(2000)});")
    user = identity(ns, maxPayloadSize="1 KB", truncationSize="10 B")
    assert outcome(controller.invoke(invoker, action, user=user)) == (
        APPLICATION, "The action produced a response that exceeded the allowed length: 2008 > 1024 bytes. "
                     'The truncated response was: {"s":"yyyy')


def unrunnable(controller, invoker, action, **options):
    """Outcome, and that the record is one of an activation that never ran."""
    activation = controller.invoke(invoker, action, **options)
    result = outcome(activation)
    record = activation.record()
    assert (record["duration"], record["start"]) == (0, record["end"]) and record["logs"] == []
    assert annotations(record) == {"path": action.path, "kind": "unknown"}
    assert len(activation.acks()) == 1
    return result


def test_deleted_action(invoker, controller, ns):
    action = controller.put(f"{ns}/gone", "nodejs:20", NODE_ECHO)
    controller.couch.delete(controller.couch.whisks, action.path)
    assert unrunnable(controller, invoker, action) == (APPLICATION, "Action could not be found or may have been deleted.")


def test_deleted_attachment(invoker, controller, ns):
    action = controller.put(f"{ns}/halfgone", "nodejs:20", NODE_ECHO)
    document = controller.couch.get(controller.couch.whisks, action.path)
    document["exec"]["code"] = {"attachmentName": "couch:5f1c7a1e-0000-4000-8000-000000000000", "attachmentType": "text/plain"}
    action.revision = controller.couch.put(controller.couch.whisks, document)
    assert unrunnable(controller, invoker, action) == (APPLICATION, "Action could not be found or may have been deleted.")


@pytest.mark.parametrize("limits, text", [
    ({"maxActionTimeout": 1000}, "requirement failed: duration 60000 milliseconds exceeds allowed threshold of 1000 milliseconds"),
    ({"minActionTimeout": 90000}, "requirement failed: duration 60000 milliseconds below allowed threshold of 90000 milliseconds"),
    ({"maxActionMemory": 128}, "requirement failed: memory size 256 MB exceeds allowed threshold of 128 MB"),
    ({"minActionMemory": 512}, "requirement failed: memory size 256 MB below allowed threshold of 512 MB"),
    ({"maxActionLogs": 5}, "requirement failed: log size 10 MB exceeds allowed threshold of 5 MB"),
    ({"maxActionConcurrency": 1}, "requirement failed: concurrency 2 exceeds allowed threshold of 1"),
    ({"maxActionTimeout": 1000, "maxActionMemory": 128},
     "requirement failed: duration 60000 milliseconds exceeds allowed threshold of 1000 milliseconds")])
def test_limits_of_the_namespace(invoker, controller, ns, limits, text):
    action = controller.put(f"{ns}/limited", "nodejs:20", NODE_ECHO, limits={"concurrency": 2})
    assert unrunnable(controller, invoker, action, user=identity(ns, **limits)) == (APPLICATION, text)


def corrupted(controller, ns, change):
    action = controller.put(f"{ns}/corrupt", "nodejs:20", NODE_ECHO, storage="inline")
    document = controller.couch.get(controller.couch.whisks, action.path)
    change(document)
    action.revision = controller.couch.put(controller.couch.whisks, document)
    return action


@pytest.mark.parametrize("change", [
    lambda d: d.pop("limits"), lambda d: d["limits"].pop("memory"), lambda d: d["exec"].update(kind="cobol:60"),
    lambda d: (d.update(entityType="trigger"), d.pop("exec")), lambda d: d.update(parameters=[{"key": "k"}]), lambda d: d.pop("version"),
    lambda d: d["limits"].update(timeout="soon"), lambda d: d["exec"].update(kind="java:8")],
    ids=["no limits", "no memory", "unknown kind", "other type", "parameter without value", "no version", "timeout is text",
         "java without main"])
def test_document_that_is_no_usable_action(invoker, controller, ns, change):
    assert unrunnable(controller, invoker, corrupted(controller, ns, change)) == (
        WHISK, "Action version is not compatible and cannot be invoked.")


@pytest.mark.parametrize("name", ["s3:5f1c7a1e-0000-4000-8000-000000000000", "az:5f1c7a1e-0000-4000-8000-000000000000", "mem:%%%"],
                         ids=["s3", "az", "broken mem"])
def test_code_that_cannot_be_had(invoker, controller, ns, name):
    code = {"attachmentName": name, "attachmentType": "text/plain"}
    assert unrunnable(controller, invoker, corrupted(controller, ns, lambda d: d["exec"].update(code=code))) == (
        WHISK, "Action could not be fetched.")


def test_sequence_is_refused(invoker, controller, ns):
    action = Action(f"{ns}/seq", "sequence")
    body = {**action.document(), "exec": {"kind": "sequence", "components": [f"/{ns}/a", f"/{ns}/b"]}}
    action.revision = controller.couch.put(controller.couch.whisks, body)
    assert unrunnable(controller, invoker, action) == (WHISK, "Action could not be fetched.")


def test_cause_of_a_failed_fetch_is_kept(invoker, controller, ns):
    action = controller.put(f"{ns}/gone", "nodejs:20", NODE_ECHO)
    controller.couch.delete(controller.couch.whisks, action.path)
    activation = controller.invoke(invoker, action, cause="fedcba98765432100123456789abcdef")
    record = activation.finished()
    assert record["cause"] == "fedcba98765432100123456789abcdef" and annotations(record)["causedBy"] == "sequence"


def test_a_failed_run_does_not_spoil_the_next(invoker, controller, ns):
    action = controller.put(f"{ns}/moody", "nodejs:20", "function main(a) { if (a.bad) process.exit(1); return {fine: true}; }")
    for bad, status in ((False, 0), (True, 2), (False, 0), (True, 2), (False, 0)):
        assert controller.invoke(invoker, action, {"bad": bad}).response()["statusCode"] == status
