"""Actions that bring their own image. 127.0.0.1:1 is a registry that refuses every connection at once."""

import json

import pytest

from harness.code import BASH_ECHO, NODE_ECHO, annotations, texts
from harness.invoker import NATIVE_IMAGE

REGISTRY = "127.0.0.1:1/local"


@pytest.fixture
def tagged(docker):
    """tagged(image, repository, tag): an image that is present under a name of the unreachable registry."""
    def tag(image, repository, name):
        docker.tag(image, repository, name)
        return f"{repository}:{name}"
    return tag


def run(controller, invoker, ns, code, image, content=None):
    activation = controller.invoke(invoker, controller.put(f"{ns}/black", "blackbox", code, image=image), content)
    activation.finished(40)
    return activation


def test_image_that_is_here_runs_though_it_cannot_be_pulled(invoker, controller, tagged, ns):
    activation = run(controller, invoker, ns, BASH_ECHO, tagged(NATIVE_IMAGE, f"{REGISTRY}/native", "1"), {"x": 1})
    assert activation.response()["result"] == {"x": 1}
    assert annotations(activation.record())["kind"] == "blackbox"


def test_image_that_is_not_here_and_cannot_be_pulled(invoker, controller, ns):
    activation = run(controller, invoker, ns, None, f"{REGISTRY}/none:1")
    assert activation.response() == {"statusCode": 2, "result": {"error": f"Failed to pull container image '{REGISTRY}/none:1'."}}
    assert [("instance" in a.json, "response" in a.json) for a in activation.acks()] == [(True, True)]
    record = activation.record()
    notes = annotations(record)
    assert record["duration"] == 0 and record["start"] == record["end"] and record["logs"] == []
    assert "initTime" not in notes and notes["timeout"] is False and notes["kind"] == "blackbox" and notes["limits"]["memory"] == 256


@pytest.mark.parametrize("tag", ["latest", None])
def test_latest_must_be_pulled_even_if_it_is_here(invoker, controller, tagged, ns, tag):
    tagged(NATIVE_IMAGE, f"{REGISTRY}/native", "latest")
    image = f"{REGISTRY}/native" + (f":{tag}" if tag else "")
    activation = run(controller, invoker, ns, BASH_ECHO, image)
    assert activation.response()["result"] == {"error": f"Failed to pull container image '{image}'."}


def test_image_without_its_program(invoker, controller, docker, ns):
    image, name = f"{REGISTRY}/noexec:1", f"noexec-{ns}"
    docker.call("POST", f"/containers/create?name={name}", {"Image": NATIVE_IMAGE, "Cmd": ["/does/not/exist"]})
    try:
        docker.call("POST", f"/commit?container={name}&repo={REGISTRY}/noexec&tag=1", {})
        activation = run(controller, invoker, ns, None, image)
        assert activation.response() == {"statusCode": 2, "result": {"error": f"executable file not found in image {image}"}}
    finally:
        docker.remove(name)


def test_image_that_ends_at_once(invoker, controller, docker, ns):
    image, name = f"{REGISTRY}/brief:1", f"brief-{ns}"
    docker.call("POST", f"/containers/create?name={name}", {"Image": NATIVE_IMAGE, "Cmd": ["/bin/true"]})
    try:
        docker.call("POST", f"/commit?container={name}&repo={REGISTRY}/brief&tag=1", {})
        action = controller.put(f"{ns}/black", "blackbox", None, image=image, limits={"timeout": 2000})
        activation = controller.invoke(invoker, action)
        activation.finished(40)
        assert activation.response()["statusCode"] in (2, 3)
    finally:
        docker.remove(name)


def test_managed_image_as_blackbox_takes_code(invoker, controller, tagged, ns):
    activation = run(controller, invoker, ns, NODE_ECHO, tagged("whisk/action-nodejs-v20:local", f"{REGISTRY}/nodejs", "1"), {"n": 1})
    assert activation.response()["result"] == {"n": 1}


def test_native_image_of_the_manifest_is_not_pulled_and_its_logs_are_complete(invoker, controller, ns):
    activation = run(controller, invoker, ns, "#!/bin/bash\nfor i in 1 2 3; do echo $i; done\necho '{}'\n", NATIVE_IMAGE)
    assert texts(activation.record()) == [("stdout", "1"), ("stdout", "2"), ("stdout", "3")]


def test_local_images_may_bypass_the_pull(make_invoker, controller, docker, ns):
    docker.tag(NATIVE_IMAGE, "own/tool", "latest")
    invoker = make_invoker({"CONFIG_whisk_runtimes_bypassPullForLocalImages": "true", "CONFIG_whisk_runtimes_localImagePrefix": "own"}).start(controller)
    assert run(controller, invoker, ns, BASH_ECHO, "own/tool", {"x": 1}).response()["result"] == {"x": 1}


def test_manifest_image_that_cannot_be_had_is_a_whisk_error(make_invoker, controller, ns):
    manifest = {"runtimes": {"nodejs": [{"kind": "nodejs:20", "image": {"registry": "127.0.0.1:1", "name": "no-such-image", "tag": "local"},
                                         "attached": {"attachmentName": "codefile", "attachmentType": "text/plain"}}]}, "blackboxes": []}
    invoker = make_invoker({"RUNTIMES_MANIFEST": json.dumps(manifest)}).start(controller)
    activation = controller.invoke(invoker, controller.put(f"{ns}/managed", "nodejs:20", NODE_ECHO))
    assert activation.response() == {"statusCode": 3, "result": {"error": "Failed to provision resources to run the action."}}
    assert activation.completion().json["isSystemError"] is True
