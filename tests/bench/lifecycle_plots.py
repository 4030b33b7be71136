"""Tables and plots of tests/bench/restart and tests/bench/stopped_memory. usage: lifecycle_plots.py --self-test"""

import statistics
import sys
import xml.dom.minidom

OPERATIONS = ["create", "connect", "start", "die", "disconnect", "destroy"]
COLOURS = {"create": "#2471a3", "connect": "#48c9b0", "start": "#58d68d", "die": "#c0392b", "disconnect": "#e59866", "destroy": "#8e44ad"}
# papers.md S2: medians in seconds, Raspberry Pi 2, Docker 18.06
PAPER = {"idle": 10.788, "cpu": 13.65, "memory": 16.077, "disk": 37.072}
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


def restart_table(results):
    """results: {way: {load: [round in µs]}}"""
    lines = ["| way | load | restarts | median | p99 | against idle | paper's |", "|---|---|---|---|---|---|---|"]
    for way, loads in results.items():
        idle = statistics.median(row["total"] for row in loads["idle"])
        for load, rounds in loads.items():
            totals = [row["total"] for row in rounds]
            paper = f"{PAPER[load]} s ({change(PAPER[load], PAPER['idle'])})" if way == next(iter(results)) else ""
            lines.append(f"| {way} | {load} | {len(totals)} | {ms(statistics.median(totals))} | {ms(quantile(totals, 99))} | "
                         f"{change(statistics.median(totals), idle)} | {paper} |")
    return "\n".join(lines) + "\n"


def share_table(loads):
    lines = ["| load | " + " | ".join(OPERATIONS) + " |", "|---" * (len(OPERATIONS) + 1) + "|"]
    for load, rounds in loads.items():
        parts = shares(rounds)
        lines.append(f"| {load} | " + " | ".join(f"{parts[name] * 100:.1f}%" if name in parts else "–" for name in OPERATIONS) + " |")
    return "\n".join(lines) + "\n"


def svg(height, title, body):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', f'<text x="10" y="20" font-size="14">{title}</text>', *body,
                      "</svg>"]) + "\n"


def bars_plot(loads, title):
    """One bar for each load, of its operations' medians, in milliseconds."""
    medians = {load: {name: statistics.median(row[name] for row in rounds if name in row) / 1e3 for name in shares(rounds)}
               for load, rounds in loads.items()}
    most = max(sum(parts.values()) for parts in medians.values())
    body, y = [], 60
    for i, name in enumerate(OPERATIONS):
        body.append(f'<rect x="{LEFT + i * 90}" y="32" width="10" height="10" fill="{COLOURS[name]}"/>'
                    f'<text x="{LEFT + 14 + i * 90}" y="41">{name}</text>')
    for load, parts in medians.items():
        x = LEFT
        body.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{load}</text>')
        for name, value in parts.items():
            width = value / most * (WIDTH - LEFT - 90)
            body.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[name]}"><title>{name} {value:.1f} ms</title></rect>')
            x += width
        body.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{sum(parts.values()):.0f} ms</text>')
        y += BAR + GAP
    return svg(y + 10, title, body)


def relative_plot(results, title):
    """How much longer a restart takes under each load, each way beside the paper: idle is 1."""
    rows = [("paper", {load: PAPER[load] / PAPER["idle"] for load in PAPER})]
    for way, loads in results.items():
        idle = statistics.median(row["total"] for row in loads["idle"])
        rows.append((way, {load: statistics.median(row["total"] for row in rounds) / idle for load, rounds in loads.items()}))
    most = max(max(values.values()) for _, values in rows)
    colours = ["#999", "#2471a3", "#c0392b", "#58d68d", "#8e44ad", "#e59866"]
    body, y = [], 40
    for load in dict.fromkeys(load for _, values in rows for load in values):
        body.append(f'<text x="10" y="{y + 14}">{load}</text>')
        for i, (way, values) in enumerate(rows):
            if load not in values:
                continue
            width = values[load] / most * (WIDTH - LEFT - 90)
            body.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{way}</text><rect x="{LEFT}" y="{y}" width="{width:.1f}" '
                        f'height="{BAR - 4}" fill="{colours[i % len(colours)]}"/><text x="{LEFT + width + 6:.1f}" y="{y + 13}">× {values[load]:.2f}</text>')
            y += BAR
        y += GAP
    return svg(y + 10, title, body)


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
    slow = [{name: value * 2 for name, value in row.items()} for row in rounds]
    results = {"a": {"idle": rounds, "disk": slow}, "b": {"idle": rounds}}
    assert abs(sum(shares(rounds).values()) - 1) < 1e-9 and abs(shares(rounds)["start"] - 0.25) < 1e-9
    assert quantile([1, 2, 3], 99) == 3 and quantile([1, 2, 3, 4], 50) == 2
    table = restart_table(results)
    assert "| a | disk | 3 | 400 ms | 600 ms | +100.0% | 37.072 s (+243.6%) |" in table and table.count("\n") == 5
    assert "| disk | 25.0% | 12.5% | 25.0% |" in share_table(results["a"])
    rows = [(0, 0, 0, {"kernel": 0}), (5, 5, 50, {"kernel": 10}), (5, 0, 30, {"kernel": 6})]
    assert "| 5 | 5 | 50 MB | 10 MB |" in memory_table(rows, "paused")
    for plot in (bars_plot(results["a"], "t"), relative_plot(results, "t"), memory_plot({"paused": rows}, "t")):
        xml.dom.minidom.parseString(plot)
    print("lifecycle_plots: fine")


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        raise SystemExit(__doc__)
    self_test()
