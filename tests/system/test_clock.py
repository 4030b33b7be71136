"""The wall clock is set by an hour, ahead and back, under a working invoker."""

import os
from pathlib import Path

import pytest

from harness.code import NODE_LOG, NODE_SLEEP, annotations
from harness.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
SHIM = Path(os.environ.get("CW_CLOCK_SHIM", ROOT / "build/ci/tests/support/libcw_clock_shim.so"))
HOUR_MS = 3600 * 1000


@pytest.mark.parametrize("seconds", [3600, -3600], ids=["ahead", "back"])
def test_times_and_waits_survive_a_clock_that_is_set(make_invoker, controller, docker, ns, tmp_path, seconds):
    assert SHIM.exists(), f"{SHIM} does not exist (build it, or set CW_CLOCK_SHIM)"
    clock = tmp_path / "clock"
    clock.write_bytes(bytes(8))
    invoker = make_invoker({"LD_PRELOAD": str(SHIM), "CW_CLOCK_FILE": str(clock),
                            "CWHISK_STALE_WORK": "answer",  # fresh work is not taken for old work
                            "ASAN_OPTIONS": "detect_leaks=1:verify_asan_link_order=0"}).start(controller)
    sleep = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP.replace("const n", "console.log('started'); const n"))
    log = controller.put(f"{ns}/log", "nodejs:20", NODE_LOG)
    before = controller.invoke(invoker, sleep, {"ms": 0}).finished()
    running = controller.invoke(invoker, sleep, {"ms": 2000})
    wait_until(lambda: any(docker.logs(name).count("started") == 2 for name in invoker.containers()), what="the run")

    with open(clock, "r+b", buffering=0) as file:
        file.write(seconds.to_bytes(8, "little", signed=True))
    pings = len(controller.pings(invoker))
    record = running.finished()
    assert running.response()["statusCode"] == 0 and len(record["logs"]) == 1
    assert 2000 <= record["duration"] < 60000 and record["end"] - record["start"] == record["duration"]
    assert abs(record["start"] - before["end"]) < 60000, "it began by the old time"
    wait_until(lambda: len(controller.pings(invoker)) >= pings + 2, what="pings go on")

    moved = controller.invoke(invoker, log)  # cold: creates, fetches, waits
    record = moved.finished()
    assert moved.response()["statusCode"] == 0
    assert [line.split(": ", 1)[1] for line in sorted(record["logs"])] in (["to out", "to err"], ["to err", "to out"])
    assert abs(record["start"] - before["end"] - seconds * 1000) < 120000 and 0 <= record["duration"] < 60000
    waited = annotations(record)["waitTime"]
    assert HOUR_MS <= waited < HOUR_MS + 120000 if seconds > 0 else waited == 0, "the controller's clock was not set"
    assert invoker.terminate() == 0
    assert "held up for 36" not in invoker.log(), "the watchdog went by the wall clock"
