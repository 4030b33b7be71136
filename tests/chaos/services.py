"""The services that faults happen to: found by where they listen, stopped, ended, started again."""

import os
import signal
import socket
import struct
import subprocess
import time

from harness.invoker import ROOT
from harness.wait import wait_until

TESTBED = ROOT / "tests/testbed"


def gone(pid):
    """Ended, whether somebody has reaped it or not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class Service:
    """What can be said of Kafka and of the engine alike."""

    def pid(self):
        raise NotImplementedError

    def up(self, **env):
        raise NotImplementedError

    def kill(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: gone(pid), what=f"process {pid} has ended")

    @staticmethod
    def testbed(script, **env):
        done = subprocess.run([TESTBED / script], env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"


class Broker(Service):
    def __init__(self, hosts):
        self.port = int(hosts.rpartition(":")[2])

    def pid(self):
        found = subprocess.run(["ss", "-ltnpH", f"sport = :{self.port}"], capture_output=True, text=True, check=True).stdout
        assert "pid=" in found, f"nothing listens on port {self.port}"
        return int(found.split("pid=")[1].split(",")[0])

    def up(self, **env):
        self.testbed("kafka-up", **env)


class Engine(Service):
    def __init__(self, path):
        self.path = path

    def pid(self):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(self.path)
            return struct.unpack("iII", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def terminate(self):
        pid = self.pid()
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: gone(pid), 60, f"process {pid} has ended")

    def configure(self, text):
        """Makes the running engine read other settings."""
        with open(os.path.join(os.environ["DOCKER_RUN"], "daemon.json"), "w", encoding="utf-8") as file:
            file.write(text)
        os.kill(self.pid(), signal.SIGHUP)
        time.sleep(0.5)  # it says nothing when it has read them

    def up(self, **env):
        self.testbed("docker-up", **env)
