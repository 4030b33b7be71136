"""A Redis of a test's own, which it may end and start again."""

import contextlib
import subprocess

from .proxies import free_port
from .wait import wait_until


class Redis:
    """In memory, on 127.0.0.1. The server is Debian's redis-check-rdb under its other name, from redis-tools: a package without a service."""

    def __init__(self, folder):
        self.port = free_port()
        self.folder = folder
        self.process = None

    @property
    def hosts(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--protected-mode", "no", "--save", "", "--appendonly", "no",
                                         "--dir", str(self.folder), "--logfile", str(self.folder / "redis.log")],
                                        executable="/usr/bin/redis-check-rdb", stdin=subprocess.DEVNULL)
        wait_until(lambda: self.cli("ping") == "PONG", what="Redis answers")
        return self

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.strip()

    @contextlib.contextmanager
    def down(self):
        """Away within the block, and empty afterwards."""
        self.kill()
        yield
        self.start()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None
