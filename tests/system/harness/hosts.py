"""Several hosts in one machine, by tests/testbed/hosts-up: each a network namespace with an address, an engine and limits of its own."""

import ctypes
import os
import subprocess
import threading
from pathlib import Path

import requests

from .docker import Docker
from .invoker import ROOT, WRAPPER, Invoker, binary

TESTBED = ROOT / "tests/testbed"
CGROUPS = Path("/sys/fs/cgroup")
CLONE_NEWNET = 0x40000000


class Host:
    """number: 1 and so on. cores, memory_mb: what its containers may use together."""

    def __init__(self, bed, number, cores, memory_mb):
        self.bed, self.number, self.cores, self.memory_mb = bed, number, cores, memory_mb
        self.folder = bed.folder / str(number)
        self.docker = Docker(str(self.folder / "docker.sock"))
        self.group = f"{bed.name}/{number}/containers"

    def command(self, *words):
        """Words that run this on the host, in the place of their process."""
        return [str(TESTBED / "hosts-up"), "--on", str(self.number), *words]

    def inside(self, call):
        """What call() returns on a thread that is on the host's net; works also while that is cut off."""
        answer = {}

        def run():
            try:
                with open(f"/run/netns/{self.bed.name}-{self.number}", "rb") as net:
                    if ctypes.CDLL(None, use_errno=True).setns(net.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                answer["value"] = call()
            except Exception as error:  # pylint: disable=broad-except
                answer["error"] = error
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if "error" in answer:
            raise answer["error"]
        return answer["value"]

    def link(self, state):
        """"down": nothing comes or goes; "up"."""
        subprocess.run(["ip", "link", "set", f"{self.bed.name}v{self.number}", state], check=True)

    def fail(self):
        """Everything on it ends at once, as when the power fails: invoker, engine, containers."""
        self.bed.script("hosts-down", "--host", str(self.number))

    def engine_up(self):
        """After fail()."""
        done = subprocess.run(self.command(str(TESTBED / "docker-up")), env={
            **self.bed.env, "DOCKER_RUN": str(self.folder), "DOCKER_BRIDGE": "docker1", "DOCKER_SUBNET": f"10.250.{self.number}.1/24",
            "DOCKER_SETTINGS": (self.folder / "daemon.json").read_text()}, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


class Hosts:
    """A context: up within, whatever happens down afterwards (and if this process is killed, by the next one)."""

    def __init__(self, folder, limits, ports, images_of):
        """limits: [(cores, memory in MB)], one for each host; ports: of services on 127.0.0.1; images_of: an engine's socket."""
        self.folder, self.limits = Path(folder), limits
        self.env = {**os.environ, "HOSTS_RUN": str(self.folder), "HOSTS": str(len(limits)), "HOSTS_OWNER": str(os.getpid()),
                    "HOSTS_CORES": " ".join(str(c) for c, _ in limits), "HOSTS_MEMORY_MB": " ".join(str(m) for _, m in limits),
                    "HOSTS_PORTS": " ".join(str(p) for p in ports), "HOSTS_ENGINE": images_of}
        self.name, self.gateway, self.hosts = None, None, []

    def script(self, *words):
        done = subprocess.run([str(TESTBED / words[0]), *words[1:]], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=300, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"

    def __enter__(self):
        try:
            self.script("hosts-up")
        except BaseException:
            self.script("hosts-down")
            raise
        self.name, self.gateway = ((self.folder / n).read_text().strip() for n in ("name", "gateway"))
        self.hosts = [Host(self, i + 1, *limit) for i, limit in enumerate(self.limits)]
        return self

    def __exit__(self, *_):
        self.env["HOSTS_WIPE"] = "1"
        self.script("hosts-down")


class HostInvoker(Invoker):
    """An invoker on a host."""

    def __init__(self, kafka, couch, docker, folder, number, unique, overrides=None, args=None, *, host):
        super().__init__(kafka, couch, docker, folder, number, unique, overrides, args)
        self.host = host
        self.env |= {"HOSTS_RUN": str(host.bed.folder), "TESTBED_DIR": str(host.bed.folder)}  # of the command that takes it there

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.host.command(*WRAPPER, str(binary()), "invoker", *self.args), env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        return self

    def http(self, path, method="GET", auth=None):
        return self.host.inside(lambda: requests.request(method, f"http://127.0.0.1:{self.port}{path}", auth=auth, timeout=10))

    def containers(self):
        """None, once nobody can be asked: they go with the host."""
        return super().containers() if os.path.exists(self.docker.path) else {}
