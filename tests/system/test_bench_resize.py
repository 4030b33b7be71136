"""tests/bench/resize works: each of its tables, and the plot, from a run of seconds. What the figures are is the machine's affair."""

import os
import re
import subprocess
from xml.etree import ElementTree

import pytest

from harness.invoker import ROOT

BENCH = ROOT / "tests/bench/resize"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def runs(cwhisk, kafka, couch, docker, tmp_path_factory):
    """All three at once: what they print, by name; and the plot's file."""
    plot = tmp_path_factory.mktemp("bench") / "shares.svg"
    arguments = {"demo": ["--arrive", "0.6", "--plot", str(plot)], "cost": ["--rounds", "2"], "squeeze": ["--rounds", "2"]}
    started = {what: subprocess.Popen([BENCH, what, *more], env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for what, more in arguments.items()}
    said = {what: process.communicate(timeout=300)[0] for what, process in started.items()}
    for what, process in started.items():
        assert process.returncode in ((0, 1) if what == "demo" else (0,)), said[what]  # 1: under its guarantee, on a machine with others
    return said, plot


def rows(text):
    """Of the table: its lines' cells, without the line under the head."""
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines()
            if line.startswith("|") and not line.startswith("| ---")]


def test_demo_prints_shares_and_plots_them(runs):
    said, plot = runs
    table = rows(said["demo"])
    assert [row[0] for row in table] == ["the first of four burners", "with a guarantee", "without"]
    for row in table[1:]:
        assert all(re.fullmatch(r"\d+\.\d%", cell) for cell in row[1:4]) and re.fullmatch(r"\d+ of \d+", row[4]) and row[5].endswith(" ms")
        assert int(row[4].split()[-1]) == len(re.findall(rf"^{row[0]:<18} +\d+\.\d s", said["demo"], re.MULTILINE)) > 10
    picture = ElementTree.parse(plot).getroot()
    texts = [t.text for t in picture.iter(f"{SVG}text")]
    assert len(list(picture.iter(f"{SVG}polyline"))) == 2 and {"2. comes", "3. comes", "4. comes", "50%"} <= set(texts)
    for line in picture.iter(f"{SVG}polyline"):
        points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
        assert len(points) > 10 and all(0 <= x <= 900 and 0 <= y <= 300 for x, y in points)


def test_cost_compares_the_ways_in_one_run(runs):
    table = rows(runs[0]["cost"])
    ways = [row[0] for row in table[1:5]]
    assert [way.split()[0:3] for way in ways] == [["by", "the", "kernel's"], ["by", "the", "engine's"], ["by", "the", "command"],
                                                  ["removed,", "created", "and"]]
    assert table[1][3] == "1×" and all(re.fullmatch(r"[\d,]+×", row[3]) for row in table[1:5])
    assert all(re.fullmatch(r"\d+\.\d{3} m?s", cell) for row in table[1:] for cell in row[1:3])
    assert "100 files written" in table[5][0]


def test_squeeze_tells_of_each_runtime(runs):
    table = rows(runs[0]["squeeze"])
    assert [row[0] for row in table] == ["runtime", "nodejs:20", "python:3.11"]
    assert all(re.fullmatch(r"-?\d+\.\d MB", cell) for row in table[1:] for cell in row[1:3])
    assert all(re.fullmatch(r"\d+ ms", cell) for row in table[1:] for cell in row[3:])
