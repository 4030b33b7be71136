"""Rounds of tests/bench/restart: kept in a file as they come (a line of JSON each), so that a run can be broken off and resumed,
and shared out over the time there is. usage: restart_rounds.py --self-test"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path

from bed import say

FEWEST = 2  # rounds of a step when the time is up: a table without a cell says less than one with a weak cell


class Rounds:
    """[{"visit": number, "load": name, "containers": n, "way": name, "total": µs, operation: µs…}], and what the machine did."""

    def __init__(self, path, settings, resume=False):
        """settings: what has to be the same when a run is resumed."""
        self.rounds, self.machine, self.file = [], {}, None
        if resume:
            self.read(path, settings)
        if path:
            self.file = open(path, "a" if resume else "w", encoding="utf-8")
            if not resume:
                self.write({"settings": settings})

    def read(self, path, settings):
        lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
        if not lines or lines[0].get("settings") != settings:
            raise SystemExit(f"{path} is of a run with other settings: {lines[0].get('settings') if lines else 'none'}")
        for line in lines[1:]:
            if "machine" in line:
                self.machine[line["visit"]] = line
            else:
                self.rounds.append(line)

    def write(self, line):
        if self.file:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def add(self, visit, way, one):
        """visit: (number, load, containers)"""
        line = {"visit": visit[0], "load": visit[1], "containers": visit[2], "way": way, **one}
        self.rounds.append(line)
        self.write(line)

    def add_machine(self, visit, seen):
        line = {"visit": visit[0], "load": visit[1], "containers": visit[2], "machine": seen}
        self.machine[visit[0]] = line
        self.write(line)

    def done(self, visit, way):
        return sum(one["visit"] == visit[0] and one["way"] == way for one in self.rounds)

    def of(self, way, load, containers):
        return [one for one in self.rounds if one["way"] == way and one["load"] == load and one["containers"] == containers]

    def machine_of(self, load, containers):
        """The last that was seen under this load, or None."""
        found = [line["machine"] for line in self.machine.values() if line["load"] == load and line["containers"] == containers]
        return found[-1] if found else None

    def ways(self):
        return list(dict.fromkeys(one["way"] for one in self.rounds))

    def cells(self):
        """[(load, containers)] of which there is something"""
        return list(dict.fromkeys((one["load"], one["containers"]) for one in self.rounds))


class Step:
    """So many rounds of one way under one load, after `until` of earlier turns. Others give way to one that must be."""

    def __init__(self, visit, way, count, guess_s, until=0, must=False):
        self.visit, self.way, self.count, self.guess_s, self.until, self.must = visit, way, count, guess_s, until, must

    def name(self):
        return f"{cell_name(*self.visit[1:])}, {self.way}"


def cell_name(load, containers):
    return f"{load} ×{containers}" if containers else load


class Budget:
    """What each step may take of the time that is left, by what such rounds took so far."""

    def __init__(self, steps, minutes, clock=time.monotonic):
        self.steps, self.clock = list(steps), clock
        self.ends = clock() + minutes * 60 if minutes else math.inf
        self.took = {}  # {way: seconds of a round, as it is now}

    def guess_s(self, step):
        return self.took.get(step.way, step.guess_s) * step.count

    def wanted_s(self, must=(True, False)):
        return sum(self.guess_s(step) for step in self.steps if step.must in must)

    def left_s(self):
        return max(0.0, min(self.ends - self.clock(), self.wanted_s()))

    def seconds_for(self, step):
        """Of the step that comes next; all it wants while there is time for all."""
        left = self.ends - self.clock() - (0 if step.must else self.wanted_s((True,)))
        wanted = self.wanted_s((step.must,))
        return math.inf if wanted <= left else max(0.0, left) * self.guess_s(step) / wanted

    def rounds_for(self, step):
        seconds = self.seconds_for(step)
        if seconds == math.inf:
            return step.count
        fewest = 0 if step.until else min(FEWEST, step.count)
        return max(fewest, min(step.count, int(seconds / max(1e-3, self.guess_s(step) / step.count))))

    def over(self, step, rounds, seconds):
        self.steps.remove(step)
        if rounds:
            before = self.took.get(step.way)
            self.took[step.way] = seconds / rounds if before is None else (before + seconds / rounds) / 2

    def tell(self, step, done):
        say(f"{step.name()}: {done} of {step.until + step.count}; some {math.ceil(self.left_s() / 60)} min left")


def self_test():
    now = [0.0]
    visit = (1, "disk", 2)
    steps = [Step(visit, "a", 10, 6), Step(visit, "a", 10, 6, 10), Step((2, "idle", 0), "b", 5, 12)]
    roomy, tight = (Budget(steps, minutes, lambda: now[0]) for minutes in (10, 1.5))
    assert roomy.wanted_s() == 180 and roomy.rounds_for(steps[0]) == 10
    assert tight.seconds_for(steps[0]) == 30 and tight.rounds_for(steps[0]) == 5
    now[0] = 30
    tight.over(steps[0], 5, 30)
    assert tight.left_s() == 60 and tight.rounds_for(steps[1]) == 5
    now[0] = 200
    assert tight.rounds_for(steps[2]) == FEWEST and tight.rounds_for(steps[1]) == 0 and tight.left_s() == 0
    now[0] = 0
    served = Budget([Step(visit, "a", 10, 6), Step(visit, "b", 10, 6, must=True)], 1.5, lambda: now[0])
    assert served.rounds_for(served.steps[0]) == 5 and served.rounds_for(served.steps[1]) == 10
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rounds.json")
        first = Rounds(path, {"grace": 1})
        first.add(visit, "a", {"total": 7})
        first.add_machine(visit, {"cpu": 0.5})
        second = Rounds(path, {"grace": 1}, resume=True)
        second.add(visit, "a", {"total": 9})
        third = Rounds(path, {"grace": 1}, resume=True)
        assert [one["total"] for one in third.of("a", "disk", 2)] == [7, 9] and third.done(visit, "a") == 2
        assert third.machine_of("disk", 2) == {"cpu": 0.5} and third.machine_of("cpu", 1) is None and third.cells() == [("disk", 2)]
        try:
            Rounds(path, {"grace": 2}, resume=True)
        except SystemExit as error:
            assert "other settings" in str(error)
        else:
            raise AssertionError("resumed with other settings")
    print("restart_rounds: fine")


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        raise SystemExit(__doc__)
    self_test()
