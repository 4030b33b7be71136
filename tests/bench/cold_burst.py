"""Bursts of cold starts: where their time goes, on an idle machine and beside processes that burn CPU.

Each round is an invoker of its own with nothing in it, and one activation of each of so many actions (Python and Node.js in turn)
sent at once; GET /trace tells when each took each of its steps. With several binaries the rounds take turns:

    tests/system/run --exec /usr/bin/python3 ../bench/cold_burst.py --starts 20 --load 0,6 build/ci/cmd/cwhisk other/cwhisk"""

import argparse
import csv
import io
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from harness.controller import Controller  # noqa: E402  pylint: disable=wrong-import-position
from harness.couch import Couch  # noqa: E402  pylint: disable=wrong-import-position
from harness.docker import Docker  # noqa: E402  pylint: disable=wrong-import-position
from harness.invoker import ROOT, Invoker  # noqa: E402  pylint: disable=wrong-import-position
from harness.kafka import Kafka  # noqa: E402  pylint: disable=wrong-import-position
from harness.wait import wait_until  # noqa: E402  pylint: disable=wrong-import-position

CODE = {"python:3.11": "def main(a):\n    return {'id': a['id']}\n", "nodejs:20": "function main(a) { return {id: a.id}; }\n"}
STEPS = (("create", "placed", "created"), ("init", "init_sent", "inited"), ("run", "run_sent", "replied"), ("all", "taken", "replied"))
CREDENTIALS = ("invoker.user", "invoker.pass")
TICK = os.sysconf("SC_CLK_TCK")


def burners(count):
    """Each a session of its own, so that the kernel's grouping by session weighs it like a container's group."""
    return [subprocess.Popen(["/usr/bin/python3", "-c", "while True: pass"], start_new_session=True) for _ in range(count)]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def one_round(world, binary, starts, timeout_ms, folder):
    """→ {step: [milliseconds]}, CPU seconds of the invoker, number of errors."""
    kafka, couch, docker, controller = world
    os.environ["CWHISK_BIN"] = str(binary)
    namespace = f"burst{secrets.token_hex(3)}"
    kinds = list(CODE)
    actions = [controller.put(f"{namespace}/a{i}", kinds[i % len(kinds)], CODE[kinds[i % len(kinds)]],
                              limits={"timeout": timeout_ms, "memory": 128, "logs": 0}) for i in range(starts)]
    invoker = Invoker(kafka, couch, docker, folder, 30000 + secrets.randbelow(10000), f"u{secrets.token_hex(3)}",
                      {"CONFIG_whisk_containerPool_userMemory": f"{128 * starts} m"})
    try:
        invoker.start(controller)
        before = cpu_seconds(invoker.process.pid)
        sent = [controller.invoke(invoker, action, {"id": action.path}) for action in actions]
        answers = [activation.response(timeout_ms / 1000 * 6)["statusCode"] for activation in sent]
        used = cpu_seconds(invoker.process.pid) - before
        trace = {row["activation"]: row for row in csv.DictReader(io.StringIO(invoker.http("/trace", auth=CREDENTIALS).text))}
    finally:
        invoker.discard()
    found = {name: [] for name, _, _ in STEPS}
    first = min(int(row["taken"]) for row in trace.values())
    for activation in sent:
        row = trace[activation.id]
        for name, begin, end in STEPS:
            if row[begin] and row[end]:
                found[name].append((int(row[end]) - (first if name == "all" else int(row[begin]))) / 1000)
    for line in invoker.log().splitlines():
        if "first connection" in line or "takes no connection" in line:
            print("   ", line[:200], flush=True)
    return found, used, sum(1 for status in answers if status != 0)


def cell(values):
    values = sorted(values)
    return f"{statistics.median(values):.0f} / {values[-1]:.0f}" if values else "–"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="*", type=Path, default=[ROOT / "build/ci/cmd/cwhisk"])
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", default="0", metavar="N,M", help="processes that burn CPU meanwhile")
    parser.add_argument("--timeout", type=int, default=30000, metavar="MS", help="of the actions")
    return parser.parse_args()


def main():
    args = arguments()
    kafka, couch, docker = Kafka(os.environ["CW_TEST_KAFKA"]), Couch(os.environ["CW_TEST_COUCH"]), Docker(os.environ["CW_TEST_DOCKER"])
    couch.setup()
    controller = Controller(kafka, couch, f"b{secrets.token_hex(4)}")
    print(f"{args.starts} cold starts at once; milliseconds, median / longest\n")
    print("| load | invoker | " + " | ".join(name for name, _, _ in STEPS) + " | first answer | its CPU, s | errors |")
    print("| ---: | --- | " + "---: | " * (len(STEPS) + 3))
    for load in map(int, args.load.split(",")):
        total = {binary: ({name: [] for name, _, _ in STEPS}, [], [], []) for binary in args.binaries}
        for _ in range(args.rounds):
            for binary in args.binaries:
                running = burners(load)
                try:
                    with tempfile.TemporaryDirectory(prefix="cwburst.") as folder:
                        found, used, errors = one_round((kafka, couch, docker, controller), binary.resolve(), args.starts, args.timeout,
                                                        folder)
                finally:
                    for process in running:
                        process.kill()
                        process.wait()
                for name, values in found.items():
                    total[binary][0][name] += values
                total[binary][1].append(used)
                total[binary][2].append(errors)
                total[binary][3].append(min(found["all"]))
                wait_until(lambda: not docker.containers("wsku"), 60, "containers are gone")
        for binary, (steps, used, errors, first) in total.items():
            print(f"| {load} | {binary} | " + " | ".join(cell(steps[name]) for name, _, _ in STEPS)
                  + f" | {statistics.median(first):.0f} | {statistics.median(used):.2f} | {sum(errors)} |", flush=True)
    controller.close()


if __name__ == "__main__":
    main()
