"""A trace for placement_sim from OrcBench's models of the Azure Functions trace.

Arrivals, run times and memory are OrcBench's. It knows neither declared memory nor CPU nor runtimes; those are drawn here, by
the seed, and stated in docs/placement.md:
  kind         nodejs, python, java, other: 40, 35, 15, 10% of the functions
  cold start   0.45, 0.4, 1.1, 0.7 s for these kinds, log-normal over functions (sigma 0.3)
  CPU          part of a core that a run uses: uniform over 0.05..1 between functions, +-10% between runs
  memory       OrcBench's of the function, +-10% between runs
  declared     256 MiB, OpenWhisk's default, left alone by 60% of those whom it suffices; the others ask for the power of two
               above twice to four times what they use; 2 GiB at most
Run as: python sim_orcbench.py OUT SEED MINUTES CORES     CORES: busy ones on the mean, which decides how many functions there are."""

import json
import math
import os
import random
import sys

import numpy as np
import orcbench
from orcbench.internals.run import Job, Model

KINDS = [(0.40, 450000), (0.75, 400000), (0.90, 1100000), (1.0, 700000)]
GROUP = 10  # functions that OrcBench draws together
HEADER = "at_us,function,kind,declared_mib,cold_us,run_us,cpu_millis,memory_mib"
RAMP_US = 600e6  # traffic comes up over the first ten minutes, as it does when a cluster is switched to
SHARE_MAX = 0.1  # a function that alone would be more of the load is left out: it would be the experiment


def models():
    folder = os.path.join(os.path.dirname(orcbench.__file__), "models")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            yield Model(name, json.load(file))


def declared_mib(used, rng):
    if used <= 256 and rng.random() < 0.6:
        return 256
    wanted = used * rng.uniform(2, 4)
    return min(2048, max(128, 2 ** math.ceil(math.log2(wanted))))


def function_of(number, used_mib, rng):
    drawn = rng.random()
    kind = next(i for i, (until, _) in enumerate(KINDS) if drawn < until)
    declared = declared_mib(used_mib, rng)
    return {"number": number, "kind": kind, "declared": declared, "cold": int(KINDS[kind][1] * rng.lognormvariate(0, 0.3)),
            "cpu": rng.uniform(50, 1000), "memory": min(used_mib, declared)}


def rows_of(f, events, rng):
    for at, run_ms in events:
        yield (int(at * 60e6), f["number"], f["kind"], f["declared"], f["cold"], max(int(run_ms * 1000), 100),
               max(int(f["cpu"] * rng.uniform(0.9, 1.1)), 1), max(int(f["memory"] * rng.uniform(0.9, 1.1)), 1))


def jobs_forever(rng):
    """OrcBench's groups of functions, each model as often as Azure has functions like it."""
    known = list(models())
    weights = [m.weight for m in known]
    while True:
        yield Job(rng.choices(known, weights)[0], GROUP, ids=list(range(GROUP)))


def make(out, seed, minutes, cores):
    np.random.seed(seed)
    rng = random.Random(seed)
    wanted_us, have_us, number, rows = cores * minutes * 60e6, 0, 0, []
    for job in jobs_forever(rng):
        events = {i: [] for i in range(GROUP)}
        for at, i, run_ms, _ in job.run_trace(minutes):
            events[i].append((at, min(run_ms, 60000)))  # OpenWhisk's default timeout
        for i in range(GROUP):
            f = function_of(number, job.memory[i], rng)
            mine = list(rows_of(f, events[i], rng))
            work_us = sum(row[5] * row[6] / 1000 for row in mine)
            if work_us > SHARE_MAX * wanted_us:
                continue
            rows += [row for row in mine if rng.random() < row[0] / RAMP_US]
            have_us += work_us
            number += 1
            if have_us >= wanted_us:
                rows.sort()
                with open(out, "w", encoding="ascii") as file:
                    file.write(HEADER + "\n")
                    file.writelines(",".join(map(str, row)) + "\n" for row in rows)
                return number, len(rows)


if __name__ == "__main__":
    print(*make(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
