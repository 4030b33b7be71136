"""Arithmetic of tests/bench/restart, table and plot of tests/bench/stopped_memory. usage: lifecycle_plots.py --self-test"""

import math
import statistics
import sys
import xml.dom.minidom

OPERATIONS = ["create", "connect", "start", "die", "disconnect", "destroy"]
COLOURS = {"create": "#2471a3", "connect": "#48c9b0", "start": "#58d68d", "die": "#c0392b", "disconnect": "#e59866", "destroy": "#8e44ad"}
WIDTH, LEFT, BAR, GAP = 760, 210, 20, 8


def change(value, base):
    return f"{(value / base - 1) * 100:+.1f}%"


def shares(rounds):
    """Each operation's part of the sum of the medians."""
    medians = {name: statistics.median(row[name] for row in rounds if name in row) for name in OPERATIONS if any(name in row for row in rounds)}
    whole = sum(medians.values())
    return {name: value / whole for name, value in medians.items()}


def quantile(values, percent):
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


def ms(value_us):
    return f"{value_us / 1e3:.0f} ms" if value_us >= 10000 else f"{value_us / 1e3:.2f} ms"


def svg(height, title, body):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', f'<text x="10" y="20" font-size="14">{title}</text>', *body,
                      "</svg>"]) + "\n"


def memory_table(rows, state):
    """rows: [(running, left, MB held, {part: MB}, memory groups more)]; the last one after the janitor."""
    parts = list(rows[0][3])
    lines = [f"| running | {state} | held | " + " | ".join(parts) + " | memory groups |", "|---" * (len(parts) + 4) + "|"]
    for running, left, held, detail, groups in rows:
        lines.append(f"| {running} | {left} | {held:.0f} MB | " + " | ".join(f"{detail[part]:.0f} MB" for part in parts) + f" | {groups:+.0f} |")
    return "\n".join(lines) + "\n"


def slope(rounds):
    """rounds: [[(x, y)]], each with a level of its own → (slope, half of its 95% interval); infinite where the points do not say."""
    points, moved = 0, []
    for one in rounds:
        x0, y0 = (statistics.mean(point[i] for point in one) for i in (0, 1))
        moved += [(x - x0, y - y0) for x, y in one]
        points += len(one)
    squares = sum(x * x for x, _ in moved)
    found = sum(x * y for x, y in moved) / squares
    errors = sum((y - found * x) ** 2 for x, y in moved)
    free = points - len(rounds) - 1
    return found, student95(free) * math.sqrt(errors / free / squares) if free > 0 else math.inf


def student95(free):
    """Of Student's distribution, both sides: a table, and Cornish and Fisher's first terms above it."""
    table = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
    z = 1.959964
    return table[free - 1] if free <= len(table) else z + (z ** 3 + z) / (4 * free)


def slope_table(rounds):
    """rounds: [{containers left: {part: MB}}]; for each part: the slope, and how far apart single rounds are."""
    parts = list(next(iter(rounds[0].values())))
    lines = ["| for each one left | " + " | ".join(parts) + " |", "|---" * (len(parts) + 1) + "|"]
    found = {part: slope([[(x, y[part]) for x, y in one.items()] for one in rounds]) for part in parts}
    single = {part: [(one[max(one)][part] - one[0][part]) / max(one) for one in rounds] for part in parts}
    lines.append("| slope ± 95% interval | " + " | ".join(f"{value:.2f} ± {error:.2f} MB" for value, error in found.values()) + " |")
    lines.append("| all left against none: median (least – most) | " + " | ".join(
        f"{statistics.median(values):.2f} ({min(values):.2f} – {max(values):.2f}) MB" for values in single.values()) + " |")
    return "\n".join(lines) + "\n"


def memory_plot(tables, title):
    """tables: {state: rows}"""
    bars = [(state, *row[:3]) for state, rows in tables.items() for row in rows[1:]]
    most = max(max(bar[3] for bar in bars), 1)
    body, y = [], 40
    for state, running, left, held in bars:
        width = max(held, 0) / most * (WIDTH - LEFT - 90)
        body.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{running} running, {left} {state}</text>'
                    f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{"#58d68d" if not left else "#c0392b"}"/>'
                    f'<text x="{LEFT + width + 6:.1f}" y="{y + 14}">{held:.0f} MB</text>')
        y += BAR + GAP
    return svg(y + 10, title, body)


def self_test():
    rounds = [{"total": t, "create": t // 4, "connect": t // 8, "start": t // 4, "die": t // 8, "disconnect": t // 8, "destroy": t // 8}
              for t in (100000, 200000, 300000)]
    assert abs(sum(shares(rounds).values()) - 1) < 1e-9 and abs(shares(rounds)["start"] - 0.25) < 1e-9
    assert quantile([1, 2, 3], 99) == 3 and quantile([1, 2, 3, 4], 50) == 2
    rows = [(0, 0, 0, {"kernel": 0}, 0), (5, 5, 50, {"kernel": 10}, 20), (5, 0, 30, {"kernel": 6}, 10)]
    assert "| 5 | 5 | 50 MB | 10 MB | +20 |" in memory_table(rows, "paused")
    assert slope([[(0, 1), (2, 5)], [(0, 11), (2, 15)]]) == (2, 0) and slope([[(0, 1), (2, 5)]]) == (2, math.inf)
    value, error = slope([[(0, 0), (1, 3), (2, 2)], [(0, 0), (1, -1), (2, 2)]])
    assert abs(value - 1) < 1e-9 and abs(error - 3.182 * math.sqrt(16 / 3 / 3 / 4)) < 1e-9, error
    assert abs(student95(30) - 2.042) < 0.01
    assert "| slope ± 95% interval | 2.00 ± 0.00 MB |" in slope_table([{0: {"held": 1}, 1: {"held": 3}, 2: {"held": 5}}])
    xml.dom.minidom.parseString(memory_plot({"paused": rows}, "t"))
    print("lifecycle_plots: fine")


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        raise SystemExit(__doc__)
    self_test()
