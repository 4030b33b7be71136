"""The Docker engine through its socket: only what tests look at."""

import http.client
import json
import socket
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

    def call(self, method, path, body=None, expect=(200, 201, 204, 304)):
        connection = UnixConnection(self.path)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
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

    def remove(self, container):
        self.call("DELETE", f"/containers/{container}?force=1", expect=(204, 404, 409))

    def tag(self, image, repository, tag):
        self.call("POST", f"/images/{quote(image, safe='')}/tag?repo={quote(repository, safe='')}&tag={tag}")
