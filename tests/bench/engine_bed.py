"""A private Docker engine with images out of this machine's files, for benches of the engine itself."""

import contextlib
import http.client
import json
import os
import random
import socket
import subprocess

from bed import ROOT, TESTBED, say


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    SERVICE = "whisk/action-nodejs-v20:local"
    # As the paper's service on node:8-slim: process 1 takes no notice of SIGTERM, since it has no handler for it. (The action proxy has.)
    STUBBORN = ["node", "-e", "require('http').createServer((request, answer) => answer.end('here')).listen(8080)"]
    STRESS = "cwbench-stress:local"
    LAYERED = "cwbench-layers:local"

    def __init__(self, folder):
        self.folder = folder
        self.run = folder / "docker"
        self.socket = str(self.run / "docker.sock")
        self.env = {**os.environ, "DOCKER_RUN": str(self.run), "DOCKER_BRIDGE": f"cwlife{random.randrange(10000)}",
                    "DOCKER_HOST": f"unix://{self.socket}"}

    def script(self, *command):
        done = subprocess.run([str(word) for word in command], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{command[0]} failed:\n{done.stdout[-2000:]}")
        return done.stdout

    @contextlib.contextmanager
    def up(self, stress=False):
        self.script(TESTBED / "docker-install")
        say("starting docker")
        try:
            self.script(TESTBED / "docker-up")
            say("building images")
            self.script(ROOT / "docker/runtimes/build", "nodejs")
            if stress:
                self.stress_image()
            yield self
        finally:
            self.env["DOCKER_WIPE"] = "1"
            self.script(TESTBED / "docker-down")

    def stress_image(self):
        self.script("bash", "-c", f". {TESTBED}/common.sh ''; tb_apt stress-ng")
        rootfs = self.folder / "stress"
        self.script(TESTBED / "rootfs-make", rootfs, "--pkg", "stress-ng")
        self.script("bash", "-c", f"tar -C {rootfs} -c . | docker import --change 'WORKDIR /tmp' - {self.STRESS}")

    def layered_image(self, count):
        """The service, with so many layers on top."""
        context = self.folder / "layers"
        context.mkdir()
        lines = [f"FROM {self.SERVICE}"]
        for i in range(count):
            (context / f"file{i}").write_text(f"layer {i}\n")
            lines.append(f"COPY file{i} /layers/file{i}")
        (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        self.script("docker", "build", "-q", "-t", self.LAYERED, context)

    def call(self, method, path, body=None):
        connection = Connection(self.socket)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text.startswith(("{", "[")) else text

    def create(self, name, image, command=None, **more):
        body = {"Image": image, **({"Cmd": command} if command else {}), **more}
        return self.call("POST", f"/containers/create?name={name}", body)["Id"]

    def start(self, name):
        self.call("POST", f"/containers/{name}/start")

    def remove(self, name):
        self.call("DELETE", f"/containers/{name}?force=1&v=1")

    def pid(self):
        return int((self.run / "pid").read_text())
