"""Code in all its forms, arguments, environment."""

import time

import pytest

from harness.code import BASH_ECHO, NODE_ECHO, NODE_ENV, NODE_ID, OFFICIAL, PYTHON_ECHO, annotations, texts
from harness.controller import identity
from harness.couch import Action
from harness.invoker import NATIVE_IMAGE
from harness.proxies import zip_base64

NODE_ZIP = {"package.json": '{"main":"src.js"}', "src.js": "exports.main = (a) => ({hi: require('./lib').word, ...a});",
            "lib.js": "exports.word = 'zipped';"}
PYTHON_ZIP = {"__main__.py": "from lib import word\ndef main(a):\n    return {'hi': word, **a}\n", "lib.py": "word = 'zipped'\n"}
NATIVE_ZIP = {"exec": ("#!/bin/bash\necho \"{\\\"hi\\\":\\\"$(cat word)\\\",\\\"x\\\":1}\"\n", 0o100755), "word": "zipped"}


@pytest.mark.parametrize("storage", ["inline", "mem", "couch"])
@pytest.mark.parametrize("kind, code", [("nodejs:20", NODE_ECHO), ("python:3.11", PYTHON_ECHO)])
def test_text_code(invoker, controller, ns, kind, code, storage):
    action = controller.put(f"{ns}/text", kind, code, storage=storage)
    activation = controller.invoke(invoker, action, {"a": {"b": [1, None, True]}})
    answered = '{"a":{"b":[1,null,true]}}'
    if kind.startswith("python"):
        answered = '{"a": {"b": [1, null, true]}}' + ("\n" if OFFICIAL else "")
    assert activation.response() == {"statusCode": 0, "result": {"a": {"b": [1, None, True]}}, "size": len(answered)}
    assert annotations(activation.record())["kind"] == kind


@pytest.mark.parametrize("storage", ["inline", "mem", "couch"])
@pytest.mark.parametrize("kind, files", [("nodejs:20", NODE_ZIP), ("python:3.11", PYTHON_ZIP)])
def test_zipped_code(invoker, controller, ns, kind, files, storage):
    action = controller.put(f"{ns}/zipped", kind, zip_base64(files), storage=storage, binary=True)
    assert controller.invoke(invoker, action, {"x": 1}).response()["result"] == {"hi": "zipped", "x": 1}


def test_code_larger_than_an_inline_attachment(invoker, controller, ns):
    action = controller.put(f"{ns}/large", "nodejs:20", "// " + "x" * 2000000 + "\n" + NODE_ECHO, storage="couch")
    assert controller.invoke(invoker, action, {"n": 1}).response()["result"] == {"n": 1}


@pytest.mark.parametrize("member, attachment", [("code", "codefile"), ("jar", "jarfile")])
def test_attachments_of_old_documents(invoker, controller, ns, member, attachment):
    """Without a scheme; of Java once in "jar" and without the flag. (The kind's image is that of nodejs here.)"""
    action = Action(f"{ns}/old", "java:8", zip_base64(NODE_ZIP), storage="couch", binary=True, main="main")
    action.attachment = attachment
    document = action.document()
    del document["exec"]["code"]
    document["exec"][member] = {"attachmentName": attachment, "attachmentType": action.content_type()}
    if member == "jar":
        del document["exec"]["binary"]
    action.document = lambda: document
    assert controller.invoke(invoker, controller.put(action), {"x": 1}).response()["result"] == {"hi": "zipped", "x": 1}


def test_inline_base64_is_binary_whatever_the_flag_says(invoker, controller, ns):
    action = controller.put(f"{ns}/flag", "nodejs:20", zip_base64(NODE_ZIP), storage="inline", binary=True)
    document = controller.couch.get(controller.couch.whisks, action.path)
    document["exec"]["binary"] = False
    action.revision = controller.couch.put(controller.couch.whisks, document)
    assert controller.invoke(invoker, action, {"x": 1}).response()["result"] == {"hi": "zipped", "x": 1}


@pytest.mark.parametrize("storage", ["inline", "mem", "couch"])
def test_native_code_as_text(invoker, controller, ns, storage):
    action = controller.put(f"{ns}/native", "blackbox", BASH_ECHO, image=NATIVE_IMAGE, storage=storage)
    activation = controller.invoke(invoker, action, {"x": 1})
    assert activation.response()["result"] == {"x": 1}
    record = activation.finished()
    assert texts(record) == [("stdout", 'got {"x": 1}' if OFFICIAL else 'got {"x":1}')] and annotations(record)["kind"] == "blackbox"


def test_native_code_as_zip(invoker, controller, ns):
    action = controller.put(f"{ns}/native", "blackbox", zip_base64(NATIVE_ZIP), image=NATIVE_IMAGE, storage="couch", binary=True)
    assert controller.invoke(invoker, action, {"x": 1}).response()["result"] == {"hi": "zipped", "x": 1}


def test_native_image_without_code_runs_its_own_program(invoker, controller, ns):
    action = controller.put(f"{ns}/stub", "blackbox", None, image=NATIVE_IMAGE)
    response = controller.invoke(invoker, action).response()
    assert response["statusCode"] == 1 and "stub action" in response["result"]["error"]


def test_main_of_the_action_is_called(invoker, controller, ns):
    action = controller.put(f"{ns}/named", "nodejs:20", "function handler() { return {main: 'handler'}; }", main="handler")
    assert controller.invoke(invoker, action).response()["result"] == {"main": "handler"}


def test_names_with_every_allowed_character(invoker, controller, ns):
    action = controller.put(f"{ns}/a b@c.d&e-f_9", "nodejs:20", NODE_ENV, storage="couch")
    activation = controller.invoke(invoker, action)
    assert activation.response()["result"]["init"]["__OW_ACTION_NAME"] == f"/{ns}/a b@c.d&e-f_9"
    assert annotations(activation.record())["path"] == action.path


def test_array_arguments_and_results(invoker, controller, ns):
    action = controller.put(f"{ns}/array", "nodejs:20", NODE_ECHO)
    activation = controller.invoke(invoker, action, [1, {"two": 2}, "drei"])
    assert activation.response() == {"statusCode": 0, "result": [1, {"two": 2}, "drei"], "size": 20}
    assert activation.record()["response"]["result"] == [1, {"two": 2}, "drei"]


def test_absent_content_is_an_empty_object(invoker, controller, ns):
    action = controller.put(f"{ns}/nothing", "nodejs:20", NODE_ECHO)
    assert controller.invoke(invoker, action).response()["result"] == {}


def test_parameters_of_the_document_are_not_merged_again(invoker, controller, ns):
    action = controller.put(f"{ns}/params", "nodejs:20", NODE_ECHO, parameters=[{"key": "greeting", "value": "from the document"}])
    assert controller.invoke(invoker, action, {"n": 1}).response()["result"] == {"n": 1}


def test_init_arguments_are_environment_and_not_arguments(invoker, controller, ns):
    action = controller.put(f"{ns}/init", "nodejs:20", NODE_ENV)
    content = {"DB_URL": "x://y", "NUMBER": 1.50, "FLAG": True, "NULL": None, "TREE": {"a": [1, 2]}, "name": "Ann"}
    result = controller.invoke(invoker, action, content, initArgs=["DB_URL", "NUMBER", "FLAG", "NULL", "TREE", "ABSENT"]).response()["result"]
    assert result["args"] == {"name": "Ann"}
    assert {k: result["init"].get(k) for k in ("DB_URL", "NUMBER", "FLAG", "NULL", "TREE", "ABSENT")} == {
        "DB_URL": "x://y", "NUMBER": "1.5", "FLAG": "true", "NULL": "", "TREE": '{"a":[1,2]}', "ABSENT": None}


def test_context_wins_over_init_arguments_of_the_same_name(invoker, controller, ns):
    action = controller.put(f"{ns}/clash", "nodejs:20", NODE_ENV)
    result = controller.invoke(invoker, action, {"__OW_NAMESPACE": "forged"}, initArgs=["__OW_NAMESPACE"]).response()["result"]
    assert result["init"]["__OW_NAMESPACE"] == ns


def test_environment_of_an_action(invoker, controller, ns):
    action = controller.put(f"{ns}/pkg/env", "nodejs:20", NODE_ENV, version="1.2.3", limits={"timeout": 30000})
    before = time.time() * 1000
    activation = controller.invoke(invoker, action)
    result = activation.response()["result"]
    after = time.time() * 1000
    for phase in ("init", "run"):
        env = result[phase]
        assert {k: v for k, v in env.items() if k.startswith("__OW_") and k != "__OW_DEADLINE"} == {
            "__OW_NAMESPACE": ns, "__OW_ACTION_NAME": f"/{ns}/pkg/env", "__OW_ACTION_VERSION": "1.2.3",
            "__OW_ACTIVATION_ID": activation.id, "__OW_TRANSACTION_ID": activation.transid[0],
            "__OW_API_HOST": "https://api.example.org", "__OW_ALLOW_CONCURRENT": "true"}
        assert before + 29000 < int(env["__OW_DEADLINE"]) <= after + 30000
    assert int(result["run"]["__OW_DEADLINE"]) >= int(result["init"]["__OW_DEADLINE"])
    again = controller.invoke(invoker, action)
    result = again.response()["result"]
    assert result["run"]["__OW_ACTIVATION_ID"] == again.id and result["init"]["__OW_ACTIVATION_ID"] == activation.id


def test_action_of_another_namespace_runs_for_the_caller(invoker, controller, ns):
    action = controller.put(f"{ns}/shared", "nodejs:20", NODE_ENV, publish=True)
    caller = f"{ns}c"
    activation = controller.invoke(invoker, action, user=identity(caller))
    result = activation.response()["result"]
    assert (result["init"]["__OW_NAMESPACE"], result["init"]["__OW_ACTION_NAME"]) == (caller, f"/{action.path}")
    record = activation.record()
    assert record["namespace"] == caller and record["_id"] == f"{caller}/{activation.id}" and annotations(record)["path"] == action.path


@pytest.mark.parametrize("annotation, provided", [(None, True), (True, True), (False, False), (0, False), (1, True), ("", False),
                                                  ("yes", True), ({}, True)])
def test_api_key_is_provided_unless_the_annotation_says_no(invoker, controller, ns, annotation, provided):
    action = controller.put(f"{ns}/key", "nodejs:20", NODE_ENV, annotations={"provide-api-key": annotation})
    user = identity(ns)
    user["authkey"]["token"] = "other"
    result = controller.invoke(invoker, action, user=user).response()["result"]
    for phase in ("init", "run"):
        assert result[phase].get("__OW_API_KEY") == (user["authkey"]["api_key"] if provided else None)
        assert result[phase].get("__OW_TOKEN") == ("other" if provided else None)


def test_null_annotation_withholds_the_api_key(invoker, controller, ns):
    action = controller.put(f"{ns}/key", "nodejs:20", NODE_ENV)
    document = controller.couch.get(controller.couch.whisks, action.path)
    document["annotations"] = [{"key": "provide-api-key", "value": None}]
    action.revision = controller.couch.put(controller.couch.whisks, document)
    assert "__OW_API_KEY" not in controller.invoke(invoker, action).response()["result"]["run"]


def test_container_is_made_as_stock_makes_it(invoker, controller, docker, ns):
    action = controller.put(f"{ns}/con.tainer", "nodejs:20", NODE_ID)
    controller.invoke(invoker, action).finished()
    [(name, summary)] = [(n, c) for n, c in invoker.containers().items() if n.endswith(f"_{ns}_container")]
    assert name.removeprefix(invoker.prefix).split("_")[0].isdigit()
    host = docker.inspect(summary["Id"])["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["CpuShares"]) == (256 << 20, 256 << 20, 128)
    assert host["PidsLimit"] == 1024 and set(host["CapDrop"]) >= {"NET_RAW", "NET_ADMIN"}
    assert [(u["Name"], u["Soft"], u["Hard"]) for u in host["Ulimits"]] == [("nofile", 1024, 1024)]
    assert host["LogConfig"]["Type"] == "json-file"


def test_newest_version_runs_when_the_revision_is_old_or_null(invoker, controller, ns):
    action = controller.put(f"{ns}/moving", "nodejs:20", "const main = () => ({v: 1});")
    old = action.revision
    assert controller.invoke(invoker, action).response()["result"] == {"v": 1}
    action = controller.put(f"{ns}/moving", "nodejs:20", "const main = () => ({v: 2});", version="0.0.2")
    assert controller.invoke(invoker, action, revision=action.revision).response()["result"] == {"v": 2}
    assert controller.invoke(invoker, action, revision=None).response()["result"] == {"v": 2}
    assert controller.invoke(invoker, action, revision="7-0123456789abcdef0123456789abcdef").response()["result"] == {"v": 2}
    assert controller.invoke(invoker, action, revision=old).response()["result"]["v"] in (1, 2)  # cached by revision, or newest
