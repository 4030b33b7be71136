"""A machine of its own, with version 2 of control groups and a Docker engine, where an invoker runs (tests/testbed/vm-engine)."""

import os
import shlex
import signal
import socket
import subprocess
import time

from .docker import Docker
from .invoker import ROOT, Invoker, binary
from .proxies import free_port, native_proxy
from .wait import wait_until

TESTBED = ROOT / "tests" / "testbed"
PROGRAM = "/bin/cwhisk"  # there; where it is here may be hidden there, below /tmp


class Machine:
    """Starts at once; ready() returns when its engine answers, with `image` in it."""

    def __init__(self, folder, services, *images):
        self.log_path = folder / "machine.log"
        self.shell_port, self.engine_port, self.invoker_port = free_port(), free_port(), free_port()
        self.docker = Docker(f"tcp://127.0.0.1:{self.engine_port}")
        self.images = images
        env = {**os.environ, "VM_ENGINE_PORT": str(self.engine_port), "VM_SHELL_PORT": str(self.shell_port),
               "VM_PORTS": str(self.invoker_port), "VM_SERVICES": " ".join(str(p) for p in services)}
        subprocess.run([TESTBED / "vm-install"], check=True, stdout=subprocess.DEVNULL)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([TESTBED / "vm-engine", "--bin", str(binary()), "--add", f"{binary()}:{PROGRAM}"], env=env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def ready(self):
        def up():
            text = self.log_path.read_text(errors="replace")
            assert self.process.poll() is None, f"the machine ended with status {self.process.returncode}:\n{text}"
            return "engine up" in text
        wait_until(up, timeout=180, what="the machine's engine answers", interval=0.2)
        # Not the one with a sanitizer: it ends at the first request there.
        env = {"CW_NATIVE_PROXY": native_proxy(("ci", "dev")) or "", **os.environ, "DOCKER_HOST": f"tcp://127.0.0.1:{self.engine_port}"}
        subprocess.run([ROOT / "docker/runtimes/build", *self.images], env=env, check=True, stdout=subprocess.DEVNULL, timeout=300)
        return self

    def sh(self, command, check=True):
        """What a command says there (both streams)."""
        with socket.create_connection(("127.0.0.1", self.shell_port), timeout=120) as s:
            s.sendall(f"exec 2>&1; {command}\necho; echo STATUS=$?\n".replace("\necho; echo STATUS=$?", "\nrc=$?; echo; echo STATUS=$rc").encode())
            s.shutdown(socket.SHUT_WR)
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode(errors="replace")
        said, _, status = text.rpartition("\nSTATUS=")
        assert not check or status.strip() == "0", f"{command}: status {status.strip()}: {said}"
        return said

    def read(self, path):
        return self.sh(f"cat {shlex.quote(path)}").strip()

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)


class Process:
    """A process there, with what Invoker wants of subprocess.Popen."""

    def __init__(self, machine, pid):
        self.machine, self.pid, self.returncode = machine, pid, None
        self.look_at = 0

    def poll(self):
        """As it was a second ago at the most: each look is a process there."""
        if self.returncode is None and time.monotonic() >= self.look_at:
            status = self.machine.sh(f"cat /run/{self.pid}.status 2>/dev/null", check=False).strip()
            self.returncode = int(status) if status else None
            self.look_at = time.monotonic() + 1
        return self.returncode

    def send_signal(self, number):
        self.machine.sh(f"kill -{int(number)} {self.pid}", check=False)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout=60):
        wait_until(lambda: self.poll() is not None, timeout, f"the end of process {self.pid}", interval=0.2)
        return self.returncode


class MachineInvoker(Invoker):
    """An invoker that runs on a machine. One at a time."""

    def __init__(self, machine, kafka, couch, *args, **kwargs):
        self.machine = machine
        super().__init__(kafka, couch, machine.docker, *args, **kwargs)
        self.port = machine.invoker_port
        self.env = {**self.env, "PORT": str(self.port), "CWHISK_DOCKER_SOCKET": "/run/docker.sock", "PATH": "/bin:/usr/bin:/usr/sbin"}
        self.log_file = f"/var/log/{self.topic}-{self.unique}"

    def spawn(self):
        env = " ".join(shlex.quote(f"{k}={v}") for k, v in self.env.items())
        args = " ".join(map(shlex.quote, self.args))
        pid = self.machine.sh(f"{{ env -i {env} {PROGRAM} invoker {args} >>{self.log_file} 2>&1 </dev/null & "
                              "pid=$!; echo $pid >/run/invoker.pid; wait $pid; echo $? >/run/$pid.status; } >/dev/null 2>&1 & "
                              "while ! [ -s /run/invoker.pid ]; do sleep 0.05; done; cat /run/invoker.pid; rm /run/invoker.pid")
        self.process = Process(self.machine, int(pid))
        return self

    def log(self):
        return self.machine.sh(f"cat {self.log_file}", check=False)
