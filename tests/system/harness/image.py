"""The invoker image, and containers of it as deployments start them."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from .invoker import ROOT, Invoker, binary

NAME = "cwhisk/invoker:test"


def docker(engine, *args, check=True):
    """The command line client, as operators use it; → completed process with text."""
    done = subprocess.run(["docker", *map(str, args)], env={**os.environ, "DOCKER_HOST": f"unix://{engine.path}"},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"docker {' '.join(map(str, args))}: {done.stderr}"
    return done


def build(engine):
    subprocess.run([ROOT / "docker/invoker/build", NAME], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "DOCKER_HOST": f"unix://{engine.path}", "CWHISK_BIN": str(binary())})
    return NAME


class ImageInvoker(Invoker):
    """An invoker in a container of the image. command: what the deployment runs; options: more of `docker run`."""

    def __init__(self, kafka, couch, engine, folder, number, unique, command, overrides=None, options=()):
        # The socket is where the deployments mount it, so ours is not named.
        super().__init__(kafka, couch, engine, folder, number, unique, {"CWHISK_DOCKER_SOCKET": None, "PATH": None, **(overrides or {})}, [])
        self.command, self.options = command, list(options)
        self.name = f"cwtest-{unique}"

    def mounts(self):
        """Of both deployments (openwhisk invoker.md 2.2, helm.md 6)."""
        root = docker(self.docker, "info", "-f", "{{.DockerRootDir}}").stdout.strip()
        return {self.docker.path: "/var/run/docker.sock", f"{root}/containers": "/containers", "/run/runc": "/run/runc",
                "/sys/fs/cgroup": "/sys/fs/cgroup"}

    def spawn(self):
        with tempfile.NamedTemporaryFile("w", suffix=".env") as env:
            env.write("".join(f"{k}={v}\n" for k, v in self.env.items()))
            env.flush()
            volumes = [word for source, target in self.mounts().items() for word in ("-v", f"{source}:{target}")]
            docker(self.docker, "run", "-d", "--name", self.name, "--network", "host", "--env-file", env.name, *volumes,
                   *self.options, NAME, *self.command)
        self.process = self
        return self

    def discard(self):
        docker(self.docker, "stop", self.name, check=False)  # so that it leaves its consumer group
        docker(self.docker, "rm", "-f", self.name, check=False)
        for container in self.containers():
            self.docker.remove(container)

    # What Invoker.start and the report of a failure ask of a process.
    def poll(self):
        state = self.docker.inspect(self.name)["State"]
        return None if state["Running"] else state["ExitCode"]

    @property
    def returncode(self):
        return self.poll()

    def log(self):
        done = docker(self.docker, "logs", self.name, check=False)
        return done.stdout + done.stderr

    def stop(self):
        """`docker stop` with its 10 seconds; → exit status, 137 when it had to be killed."""
        docker(self.docker, "stop", self.name)
        return self.poll()

    def processes(self):
        """Command lines inside, the first one first."""
        return [line.split(maxsplit=1)[1] for line in docker(self.docker, "top", self.name, "-o", "pid,args").stdout.splitlines()[1:]]


def inspect(engine):
    return json.loads(docker(engine, "image", "inspect", NAME).stdout)[0]


def recipe():
    """The Dockerfile's lines, continued ones joined: [(instruction, rest)]."""
    text = (Path(ROOT) / "docker/invoker/Dockerfile").read_text().replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip() and not line.startswith("#")]

