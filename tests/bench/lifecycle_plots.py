"""Arithmetic of tests/bench/restart, table and plot of tests/bench/stopped_memory. usage: lifecycle_plots.py --self-test"""

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
    """rows: [(running, left, MB held, {part: MB})]; the last one after the janitor."""
    parts = list(rows[0][3])
    lines = [f"| running | {state} | held | " + " | ".join(parts) + " |", "|---" * (len(parts) + 3) + "|"]
    for running, left, held, detail in rows:
        lines.append(f"| {running} | {left} | {held:.0f} MB | " + " | ".join(f"{detail[part]:.0f} MB" for part in parts) + " |")
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
    rows = [(0, 0, 0, {"kernel": 0}), (5, 5, 50, {"kernel": 10}), (5, 0, 30, {"kernel": 6})]
    assert "| 5 | 5 | 50 MB | 10 MB |" in memory_table(rows, "paused")
    xml.dom.minidom.parseString(memory_plot({"paused": rows}, "t"))
    print("lifecycle_plots: fine")


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        raise SystemExit(__doc__)
    self_test()
