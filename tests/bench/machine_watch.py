"""What this machine did for a while: processors, the disk below a folder, pressure."""

import os
import re
import time
from pathlib import Path

SECTOR = 512


def disk_of(folder):
    """Its folder in sysfs, or None where there is no disk of its own (a file system in memory, say)."""
    device = os.stat(folder).st_dev
    found = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    return found if (found / "stat").exists() else None


def pressure(name):
    """Microseconds in which something waited for it; None without PSI."""
    try:
        text = Path("/proc/pressure", name).read_text()
    except OSError:
        return None
    return int(re.search(r"^some .*total=(\d+)", text).group(1))


class Watch:
    def __init__(self, folder):
        self.disk = disk_of(folder)
        self.began = self.look()

    def look(self):
        words = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        disk = [int(word) for word in (self.disk / "stat").read_text().split()] if self.disk else None
        return {"at": time.monotonic(), "idle": words[3] + words[4], "all": sum(words), "disk": disk,
                **{name: pressure(name) for name in ("cpu", "io", "memory")}}

    def seen(self):
        """Since it was made: parts of 1, but for what names its unit."""
        before, now = self.began, self.look()
        seconds = now["at"] - before["at"]
        ticks = max(1, now["all"] - before["all"])
        found = {"cpu": 1 - (now["idle"] - before["idle"]) / ticks}
        for name in ("cpu", "io", "memory"):
            if now[name] is not None:
                found[f"{name}_waits"] = (now[name] - before[name]) / 1e6 / seconds
        if now["disk"]:
            read, read_bytes, written, written_bytes, write_ms, busy_ms = (now["disk"][i] - before["disk"][i] for i in (0, 2, 4, 6, 7, 9))
            found |= {"disk_busy": busy_ms / 1e3 / seconds, "written_mb_s": written_bytes * SECTOR / 1e6 / seconds, "writes_s": written / seconds,
                      "write_ms": write_ms / max(1, written), "read_mb_s": read_bytes * SECTOR / 1e6 / seconds, "reads_s": read / seconds}
        return found
