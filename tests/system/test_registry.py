"""Images that are pulled, from a registry that wants a password. An engine trusts plain HTTP on 127.0.0.1."""

import base64
import json
import os
import subprocess
from urllib.parse import quote

import pytest

from harness.code import BASH_ECHO, NODE_ECHO
from harness.docker import UnixConnection
from harness.invoker import MANIFEST, NATIVE_IMAGE, ROOT
from harness.proxies import free_port

TESTBED = ROOT / "tests/testbed"
USER, PASSWORD = "puller", "s3cret:with/colon"
NODE_IMAGE = "whisk/action-nodejs-v20:local"


def config_json(host, password=PASSWORD):
    return json.dumps({"auths": {host: {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}}})


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """host:port of a registry that refuses everything without the password."""
    port = free_port()
    env = {**os.environ, "REGISTRY_PORT": str(port), "REGISTRY_RUN": str(tmp_path_factory.mktemp("registry")),
           "REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD}
    for script in ("registry-install", "registry-up"):
        subprocess.run([TESTBED / script], env=env, check=True, stdout=subprocess.DEVNULL)
    yield f"127.0.0.1:{port}"
    subprocess.run([TESTBED / "registry-down"], env={**env, "REGISTRY_WIPE": "1"}, check=True, stdout=subprocess.DEVNULL)


def forget(docker, reference):
    docker.call("DELETE", f"/images/{quote(reference, safe='')}?force=1", expect=(200, 404))


@pytest.fixture
def pushed(docker, registry):
    """pushed(image, name, tag): the image is in the registry and no longer in the engine; → its reference."""
    references = []

    def push(image, name, tag):
        repository = f"{registry}/{name}"
        docker.tag(image, repository, tag)
        connection = UnixConnection(docker.path)
        auth = base64.urlsafe_b64encode(json.dumps({"username": USER, "password": PASSWORD}).encode()).decode()
        connection.request("POST", f"/images/{quote(repository, safe='')}/push?tag={tag}", headers={"X-Registry-Auth": auth})
        answer = connection.getresponse().read().decode()
        connection.close()
        assert "error" not in answer and "digest" in answer, answer
        references.append(f"{repository}:{tag}")
        forget(docker, references[-1])
        return references[-1]
    yield push
    for reference in references:
        forget(docker, reference)


@pytest.fixture
def with_config(make_invoker, controller, tmp_path):
    """with_config(text, overrides): an invoker whose DOCKER_CONFIG folder holds this config.json."""
    def start(text, overrides=None):
        (tmp_path / "config.json").write_text(text)
        return make_invoker({"DOCKER_CONFIG": str(tmp_path), **(overrides or {})}).start(controller)
    return start


def run(controller, invoker, ns, image, code=BASH_ECHO, kind="blackbox"):
    action = controller.put(f"{ns}/pulled", kind, code, **({"image": image} if image else {}))
    return controller.invoke(invoker, action, {"x": 1}).response(40)


def test_private_image_is_pulled_with_the_credentials_of_config_json(with_config, controller, registry, pushed, docker, ns):
    image = pushed(NATIVE_IMAGE, "private/tool", "7")
    invoker = with_config(config_json(registry))
    assert run(controller, invoker, ns, image)["result"] == {"x": 1}
    assert docker.call("GET", f"/images/{quote(image, safe='')}/json")["Id"]
    assert PASSWORD not in invoker.log()


def test_latest_is_pulled_anew_for_every_cold_start(with_config, controller, registry, pushed, docker, ns):
    image = pushed(NATIVE_IMAGE, "private/latest", "latest").removesuffix(":latest")
    invoker = with_config(config_json(registry))
    assert run(controller, invoker, ns, image)["result"] == {"x": 1}
    docker.tag(NODE_IMAGE, image, "latest")  # what is here is not what the registry has
    assert run(controller, invoker, f"{ns}b", image)["result"] == {"x": 1}


def test_private_image_without_credentials_cannot_be_pulled_until_they_are_there(with_config, controller, registry, pushed, tmp_path, ns):
    image = pushed(NATIVE_IMAGE, "private/rotated", "1")
    invoker = with_config(config_json(registry, "wrong"))
    refused = {"statusCode": 2, "result": {"error": f"Failed to pull container image '{image}'."}}
    assert run(controller, invoker, ns, image) == refused
    (tmp_path / "config.json").write_text('{"auths": {}}')
    assert run(controller, invoker, ns, image) == refused
    (tmp_path / "config.json").write_text(config_json(registry))
    assert run(controller, invoker, ns, image)["result"] == {"x": 1}


def test_user_images_come_from_the_configured_registry(with_config, controller, registry, pushed, ns):
    pushed(NATIVE_IMAGE, "team/tool", "3")
    url = {"CONFIG_whisk_containerFactory_userImagesRegistry_url": f"{registry}/"}
    invoker = with_config(config_json(registry), url)
    assert run(controller, invoker, ns, "team/tool:3")["result"] == {"x": 1}


def test_managed_image_that_is_missing_comes_from_the_runtimes_registry(with_config, controller, registry, pushed, ns):
    pushed(NODE_IMAGE, "whisk/action-nodejs-v20", "pushed")
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["runtimes"]["nodejs"][0]["image"]["tag"] = "pushed"
    invoker = with_config(config_json(registry), {
        "RUNTIMES_MANIFEST": json.dumps(manifest), "CONFIG_whisk_containerFactory_runtimesRegistry_url": registry})
    assert run(controller, invoker, ns, None, NODE_ECHO, "nodejs:20")["result"] == {"x": 1}


def test_config_that_cannot_be_read_or_used_is_told_at_start(with_config):
    invoker = with_config('{"credsStore": "desktop"}')
    assert "credentials in the store desktop are not supported" in invoker.log()
    invoker = with_config('{"auths": {"r.example": {"auth": "nonsense!"}}}')
    assert "auths.r.example.auth: expected base64 of user:password" in invoker.log() and "nonsense" not in invoker.log()
