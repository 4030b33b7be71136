"""Tables and plots of tests/bench/restart. usage: restart_text.py --self-test"""

import os
import statistics
import sys
import types
import xml.dom.minidom

from lifecycle_plots import COLOURS, OPERATIONS, change, ms, quantile, shares, svg
from restart_rounds import Rounds, cell_name

PLAIN, FAST, ONE = "docker restart", "docker restart -t 0", "docker restart, one at a time"
REPLACE, OVERLAP, PREWARMED = "driver: replace", "driver: overlap", "driver: prewarmed"
# papers.md S2: medians in seconds, Raspberry Pi 2, Docker 18.06
PAPER = {"idle": 10.788, "cpu": 13.65, "memory": 16.077, "disk": 37.072}
PAPER_SHARES = {"create": "20.9–27.1% (idle – disk)", "connect": "4.9–19.5% (idle – disk)", "start": "30–39%", "disconnect": "9.7–14.4% (idle – disk)"}
LOAD_COLOURS = {"cpu": "#2471a3", "memory": "#229954", "disk": "#c0392b"}
WIDTH, LEFT, TOP, HIGH = 760, 60, 50, 260


def totals(rounds, way, load, containers):
    return [one["total"] for one in rounds.of(way, load, containers)]


def median(rounds, way, load, containers):
    values = totals(rounds, way, load, containers)
    return statistics.median(values) if values else None


def seconds(value_us):
    return f"{value_us / 1e6:.3f} s"


def against(value, base):
    return change(value, base) if value is not None and base else "–"


def row_of(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return "\n".join([row_of(head), "|---" * len(head) + "|", *map(row_of, rows)]) + "\n"


# ---- the paper's way ----

def paper_table(rounds, grace):
    """One row for each load; PLAIN, the same less its grace, and FAST."""
    rows, idle = [], {way: median(rounds, way, "idle", 0) for way in (PLAIN, FAST)}
    for cell in rounds.cells():
        values, fast = totals(rounds, PLAIN, *cell), totals(rounds, FAST, *cell)
        middle = statistics.median(values) if values else None
        less = middle and ms(max(0, middle - grace * 1e6))
        rows.append([cell_name(*cell), str(len(values)),
                     *([seconds(middle), seconds(quantile(values, 99)), against(middle, idle[PLAIN]), less] if values else ["–"] * 4),
                     against(middle and middle - grace * 1e6, idle[PLAIN] and idle[PLAIN] - grace * 1e6),
                     *([f"{ms(statistics.median(fast))} / {ms(quantile(fast, 99))}", against(statistics.median(fast), idle[FAST])] if fast else ["–"] * 2),
                     f"{PAPER[cell[0]]} s ({change(PAPER[cell[0]], PAPER['idle'])})"])
    return table(["load", "restarts", "median", "p99", "against idle", f"less the {grace} s", "against idle", "`-t 0`: median / p99", "against idle", "paper's"],
                 rows)


def lanes_text(rounds, together):
    """Whether lanes change anything, and how many restarts met."""
    lines = []
    for cell in rounds.cells():
        alone, lanes = totals(rounds, ONE, *cell), totals(rounds, PLAIN, *cell)
        if alone and lanes:
            a, b = statistics.median(alone), statistics.median(lanes)
            lines.append(f"{cell_name(*cell)} {seconds(a)} one at a time ({len(alone)}), {seconds(b)} in lanes ({(b - a) / 1e3:+.0f} ms)")
    whole = sum(len(totals(rounds, PLAIN, *cell)) for cell in rounds.cells())
    share = sum(together.values()) / whole if whole else 0
    return (f"The waits of restarts overlap, their working parts do not but for {share:.0%} of them. Medians: " + "; ".join(lines) + ".\n") if lines else ""


# ---- the other ways ----

def most_loaded(rounds):
    """idle, and each load at its most containers"""
    most = {}
    for load, containers in rounds.cells():
        most[load] = max(containers, most.get(load, 0))
    return [("idle", 0), *((load, n) for load, n in most.items() if load != "idle")]


def ways_table(rounds):
    cells = most_loaded(rounds)
    rows = []
    for way in [way for way in rounds.ways() if way not in (PLAIN, ONE)]:
        row = [way]
        for cell in cells:
            values = totals(rounds, way, *cell)
            if not values:
                row.append("–")
                continue
            more = "" if cell[0] == "idle" else f" ({against(statistics.median(values), median(rounds, way, 'idle', 0))})"
            row.append(f"{ms(statistics.median(values))} / {ms(quantile(values, 99))}{more}")
        rows.append([*row, str(min(len(totals(rounds, way, *cell)) for cell in cells))])
    return table(["median / p99 (against idle)", *(cell_name(*cell) for cell in cells), "restarts of each, at least"], rows)


def share_table(rounds):
    rows = []
    for cell in rounds.cells():
        if found := rounds.of(REPLACE, *cell):
            parts = shares(found)
            rows.append([cell_name(*cell), *(f"{parts[name]:.1%}" if name in parts else "–" for name in OPERATIONS)])
    rows.append(["paper", *(PAPER_SHARES.get(name, "–") for name in OPERATIONS)])
    return table(["load", *OPERATIONS], rows)


def machine_table(rounds):
    """What the loads did to the machine."""
    rows = []
    for cell in rounds.cells():
        if seen := rounds.machine_of(*cell):
            disk = [f"{seen['disk_busy']:.0%}", f"{seen['written_mb_s']:.0f} MB/s, {seen['writes_s']:.0f}/s", f"{seen['write_ms']:.1f} ms"] \
                if "disk_busy" in seen else ["–"] * 3
            rows.append([cell_name(*cell), f"{seen['cpu']:.0%}", *disk, *(f"{seen[name]:.0%}" if name in seen else "–" for name in ("cpu_waits", "io_waits"))])
    return table(["load", "processors busy", "disk busy", "written", "a write takes", "something waits for a processor", "for the disk"], rows)


def restart_text(rounds, args, before, together):
    where = " on a disk as slow as a memory card" if args.slow_disk else ""
    return "\n".join([
        f"{os.cpu_count()} cores{where}; other work had a load average of {before:.1f} when it began. `docker restart`, the paper's way:\n",
        paper_table(rounds, args.grace), lanes_text(rounds, together), "All ways:\n", ways_table(rounds),
        "Each operation's share of the driver's replace (medians), and in the paper:\n", share_table(rounds),
        "What the machine did meanwhile, restarts included:\n", machine_table(rounds)])


# ---- plots ----

def shares_plot(rounds, title):
    """A bar of parts for each load."""
    bars = [(cell_name(*cell), shares(found)) for cell in rounds.cells() if (found := rounds.of(REPLACE, *cell))]
    left, wide, body, y = 100, WIDTH - 130, [], 60
    for i, name in enumerate(OPERATIONS):
        body.append(f'<rect x="{left + i * 95}" y="32" width="10" height="10" fill="{COLOURS[name]}"/><text x="{left + 14 + i * 95}" y="41">{name}</text>')
    for name, parts in bars:
        x = left
        body.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{name}</text>')
        for operation, part in parts.items():
            body.append(f'<rect x="{x:.1f}" y="{y}" width="{part * wide:.1f}" height="20" fill="{COLOURS[operation]}"><title>{operation} {part:.1%}</title></rect>')
            if part > 0.06:
                body.append(f'<text x="{x + part * wide / 2:.1f}" y="{y + 14}" text-anchor="middle" font-size="10">{part:.0%}</text>')
            x += part * wide
        y += 28
    body.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">paper</text><text x="{left}" y="{y + 14}">start 30–39%, create 20.9–27.1%, '
                'connect 4.9–19.5%, disconnect 9.7–14.4%</text>')
    return svg(y + 28, title, body)


def lines_of(rounds, way, less_s, load):
    """[(containers, median against idle)], less_s taken from both; from no container on."""
    idle = median(rounds, way, "idle", 0)
    if idle is None:
        return []
    points = [(n, median(rounds, way, name, n)) for name, n in rounds.cells() if name == load]
    return [(0, 1.0), *((n, (value - less_s * 1e6) / max(1, idle - less_s * 1e6)) for n, value in sorted(points, key=lambda p: p[0]) if value is not None)]


def slowdown_plot(rounds, grace, title):
    """Against the number of load containers: full lines the working part, broken ones with the grace, dots the paper's medians."""
    loads = [load for load in LOAD_COLOURS if any(name == load for name, _ in rounds.cells())]
    found = {(load, kind): lines_of(rounds, way, 0, load) for load in loads for kind, way in (("", FAST), ("6 4", PLAIN))}
    most = max([PAPER["disk"] / PAPER["idle"], *(value for points in found.values() for _, value in points)]) * 1.05
    last = max([1, *(n for points in found.values() for n, _ in points)])

    def x(n):
        return LEFT + n / last * (WIDTH - LEFT - 220)

    def y(value):
        return TOP + HIGH - value / most * HIGH
    body = [f'<path d="M{LEFT} {TOP}V{TOP + HIGH}H{x(last):.0f}" fill="none" stroke="#999"/>']
    for n in range(last + 1):
        body.append(f'<text x="{x(n):.0f}" y="{TOP + HIGH + 16}" text-anchor="middle">{n or "idle"}</text>')
    for value in range(0, int(most) + 1, max(1, int(most) // 8)):
        body.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.0f}" text-anchor="end">×{value}</text><path d="M{LEFT} {y(value):.1f}H{x(last):.0f}" stroke="#eee"/>')
    for (load, dashes), points in found.items():
        at = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in points)
        body.append(f'<polyline points="{at}" fill="none" stroke="{LOAD_COLOURS[load]}" stroke-width="2" stroke-dasharray="{dashes or "none"}"/>')
    for load in loads:
        value = PAPER[load] / PAPER["idle"]
        body.append(f'<path d="M{LEFT} {y(value):.1f}H{x(last):.0f}" stroke="{LOAD_COLOURS[load]}" stroke-dasharray="1 5"/>'
                    f'<text x="{x(last) + 8:.0f}" y="{y(value) + 4:.0f}" fill="{LOAD_COLOURS[load]}">paper, {load} ×{value:.2f}</text>')
    for i, (load, text) in enumerate([*((load, f"{load}: -t 0") for load in loads), *((load, f"{load}: {grace} s of grace (broken)") for load in loads)]):
        body.append(f'<text x="{LEFT + 12}" y="{TOP + 14 * (i + 1)}" fill="{LOAD_COLOURS[load]}">{text}</text>')
    body.append(f'<text x="{x(last / 2):.0f}" y="{TOP + HIGH + 34}" text-anchor="middle">load containers</text>')
    return svg(TOP + HIGH + 44, title, body)


def self_test():
    rounds = Rounds(None, {})
    for visit, slow in (((0, "idle", 0), 1), ((1, "disk", 1), 2), ((2, "disk", 4), 4)):
        for part in (0.5, 1, 1.5):
            rounds.add(visit, PLAIN, {"total": int(10e6 + slow * part * 1e6)})
            rounds.add(visit, ONE, {"total": int(10e6 + slow * part * 1e6)})
            rounds.add(visit, FAST, {"total": int(slow * part * 1e5)})
            rounds.add(visit, REPLACE, {"total": 8000, **{name: 1000 for name in OPERATIONS}, "start": 3000})
        rounds.add_machine(visit, {"cpu": 0.5, "cpu_waits": 0.25, "io_waits": 1.0, "disk_busy": 0.9, "written_mb_s": 10.0, "writes_s": 99.6, "write_ms": 2.0})
    args = types.SimpleNamespace(grace=10, slow_disk=False)
    text = restart_text(rounds, args, 0.1, {("disk", 4): 3})
    assert "| disk ×4 | 3 | 14.000 s | 16.000 s | +27.3% | 4000 ms | +300.0% | 400 ms / 600 ms | +300.0% | 37.072 s (+243.6%) |" in text, text
    assert "| driver: replace | 8.00 ms / 8.00 ms | 8.00 ms / 8.00 ms (+0.0%) | 3 |" in text, text
    assert "do not but for 33% of them" in text and "disk ×1 12.000 s one at a time (3), 12.000 s in lanes (+0 ms)" in text
    assert "| disk ×1 | 12.5% | 12.5% | 37.5% |" in text and "| idle | 50% | 90% | 10 MB/s, 100/s | 2.0 ms | 25% | 100% |" in text
    assert lines_of(rounds, FAST, 0, "disk") == [(0, 1.0), (1, 2.0), (4, 4.0)]
    some = Rounds(None, {})  # interrupted early
    some.add((0, "idle", 0), FAST, {"total": 5})
    for one in (rounds, some):
        restart_text(one, args, 0, {})
        for plot in (shares_plot(one, "t"), slowdown_plot(one, 10, "t")):
            xml.dom.minidom.parseString(plot)
    print("restart_text: fine")


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        raise SystemExit(__doc__)
    self_test()
