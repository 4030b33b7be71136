"""A file system on a disk that is as slow as a memory card: a file behind a loop device, which the kernel throttles."""

import contextlib
import os
import subprocess
from pathlib import Path

SIZE = 12 << 30  # sparse
# As a good memory card; that of the paper's machine is not known.
LIMITS = {"write_bps": 20_000_000, "read_bps": 40_000_000, "write_iops": 400, "read_iops": 2000}
DIRTY = 16 << 20  # bytes that wait to be written: of a machine with little memory
GROUP = Path("/sys/fs/cgroup/blkio")


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout.strip()


class SlowDisk:
    """Fast until limit(). Throttled is the root group: all writes out of the page cache, the journal's, and the engine's own."""

    def __init__(self, device):
        number = os.stat(device).st_rdev
        self.number = f"{os.major(number)}:{os.minor(number)}"

    def set(self, value_of):
        for name in LIMITS:
            (GROUP / f"blkio.throttle.{name}_device").write_text(f"{self.number} {value_of(name)}\n")

    def limit(self):
        self.set(LIMITS.get)
        for name, value in (("strict_limit", 1), ("max_bytes", DIRTY)):
            Path("/sys/class/bdi", self.number, name).write_text(f"{value}\n")

    def unlimit(self):
        self.set(lambda _: 0)


@contextlib.contextmanager
def slow_disk(folder):
    """folder: becomes a symbolic link to it."""
    if not (GROUP / "blkio.throttle.write_bps_device").exists():
        raise SystemExit("a slow disk needs the block I/O controller of cgroup v1: version 2 throttles no root group")
    if not Path("/sys/class/bdi/7:0/max_bytes").exists():
        raise SystemExit("a slow disk needs Linux 6.2, which bounds what waits to be written to one disk")
    image, mounted = folder.parent.parent / "disk.img", folder.parent.parent / "disk"
    folder.parent.mkdir(parents=True, exist_ok=True)
    mounted.mkdir()
    with open(image, "wb") as file:
        file.truncate(SIZE)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", image)
    device = run("losetup", "--find", "--show", image)
    try:
        run("mount", device, mounted)
        try:
            folder.symlink_to(mounted)
            yield SlowDisk(device)
        finally:
            run("umount", mounted)
    finally:
        run("losetup", "--detach", device)
