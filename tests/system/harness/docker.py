"""The Docker engine through its socket: only what tests look at."""

import http.client
import io
import json
import socket
import tarfile
from pathlib import Path
from urllib.parse import quote


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Docker:
    def __init__(self, path):
        self.path = path.removeprefix("unix://")

    def connection(self):
        """To path: a socket, or tcp://HOST:PORT."""
        if self.path.startswith("tcp://"):
            return http.client.HTTPConnection(self.path.removeprefix("tcp://"), timeout=60)
        return UnixConnection(self.path)

    def call(self, method, path, body=None, expect=(200, 201, 204, 304)):
        connection = self.connection()
        try:
            archive = isinstance(body, bytes)
            connection.request(method, path, body if archive or body is None else json.dumps(body),
                               {"Content-Type": "application/x-tar" if archive else "application/json"})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
        assert response.status in expect, f"{method} {path}: {response.status} {text[:300]}"
        return json.loads(text) if text.strip().startswith(("{", "[")) else text

    def containers(self, name_prefix):
        """All containers, running or not, whose name starts so: name → summary."""
        found = {}
        for item in self.call("GET", "/containers/json?all=1"):
            for name in item["Names"]:
                if name[1:].startswith(name_prefix):
                    found[name[1:]] = item
        return found

    def inspect(self, container):
        return self.call("GET", f"/containers/{container}/json")

    def logs(self, container):
        return self.call("GET", f"/containers/{container}/logs?stdout=1&stderr=1")

    def run(self, image, name):
        self.call("POST", f"/containers/create?name={name}", {"Image": image})
        self.call("POST", f"/containers/{name}/start")

    def kill(self, container):
        self.call("POST", f"/containers/{container}/kill")

    def pause(self, container):
        self.call("POST", f"/containers/{container}/pause")

    def is_frozen(self, container):
        """Do its processes stand still? By the engine or by the kernel's files, of which the engine does not know."""
        inspected = self.inspect(container)
        if inspected["State"]["Paused"]:
            return True
        for tell, frozen in (("/sys/fs/cgroup/freezer/docker/{}/freezer.state", "FROZEN"),
                             ("/sys/fs/cgroup/docker/{}/cgroup.events", "frozen 1"),
                             ("/sys/fs/cgroup/system.slice/docker-{}.scope/cgroup.events", "frozen 1")):
            path = Path(tell.format(inspected["Id"]))
            if path.exists():
                return frozen in path.read_text()
        return False

    def remove(self, container):
        self.call("DELETE", f"/containers/{container}?force=1", expect=(204, 404, 409))

    def tag(self, image, repository, tag):
        self.call("POST", f"/images/{quote(image, safe='')}/tag?repo={quote(repository, safe='')}&tag={tag}")

    def derive(self, base, image, file, command):
        """Makes `image` (repository:tag) of `base` with one more file, /<its name>, and another command."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(file, arcname=file.name)
        container = self.call("POST", "/containers/create", {"Image": base})["Id"]
        repository, tag = image.split(":")
        try:
            self.call("PUT", f"/containers/{container}/archive?path=/", archive.getvalue())
            self.call("POST", f"/commit?container={container}&repo={quote(repository, safe='')}&tag={tag}", {"Cmd": command})
        finally:
            self.remove(container)
