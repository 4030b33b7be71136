#!/usr/bin/python3
"""The Grafana dashboard (deploy/grafana/cwhisk.json) is whole: what Grafana would take without a word and show wrongly.
That the metrics in it exist is for tests/system/test_dashboard.py. --self-test: each rule finds what it is for."""

import copy
import json
import re
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "deploy/grafana/cwhisk.json"
TYPES = {"row", "stat", "table", "timeseries"}  # not: graph, singlestat, table-old, which Grafana has dropped
COLUMNS = 24
PANEL_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def all_panels(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions(board):
    """(panel's title, expression) of all."""
    return [(panel["title"], target["expr"]) for panel in all_panels(board) for target in panel.get("targets", [])]


def check_grid(panels):
    taken = {}
    for panel in panels:
        pos = panel["gridPos"]
        if pos["x"] + pos["w"] > COLUMNS:
            yield f"{panel['title']}: wider than the dashboard"
        for place in ((x, y) for x in range(pos["x"], pos["x"] + pos["w"]) for y in range(pos["y"], pos["y"] + pos["h"])):
            if taken.setdefault(place, panel["title"]) != panel["title"]:
                yield f"{panel['title']}: lies over {taken[place]}"
                break


def check_panel(panel):
    title = panel["title"]
    if panel["type"] not in TYPES:
        yield f"{title}: type {panel['type']}"
    if panel["type"] == "row":
        return
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("unit"):
        yield f"{title}: no unit"
    if not defaults.get("thresholds", {}).get("steps"):
        yield f"{title}: no thresholds"
    if not panel.get("description"):
        yield f"{title}: no description"
    targets = panel.get("targets", [])
    if not targets:
        yield f"{title}: shows nothing"
    if len({t["refId"] for t in targets}) < len(targets):
        yield f"{title}: refId twice"
    if any(source != PANEL_SOURCE for source in (panel.get("datasource"), *(t.get("datasource") for t in targets))):
        yield f"{title}: not of the chosen data source"


def check_expression(title, expr):
    if any(expr.count(opening) != expr.count(closing) for opening, closing in ("()", "{}", "[]")) or expr.count('"') % 2:
        yield f"{title}: unbalanced: {expr}"
    for selector in re.findall(r"\{[^}]*\}", expr):
        if 'job=~"$job"' not in selector or 'instance=~"$instance"' not in selector:
            yield f"{title}: not only of what was chosen: {selector}"
    if any(window != "[$__rate_interval]" for window in re.findall(r"\[[^\]]*\]", expr)):
        yield f"{title}: a window that does not follow the scrape interval: {expr}"


def problems(board):
    panels = list(all_panels(board))
    ids = [panel["id"] for panel in panels]
    titles = [panel["title"] for panel in panels]
    yield from (f"id {i} twice" for i in sorted({i for i in ids if ids.count(i) > 1}))
    yield from (f"title {t} twice" for t in sorted({t for t in titles if titles.count(t) > 1}))
    variables = {v["name"]: v for v in board["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource":
        yield "no variable for the data source"
    for name in ("job", "instance"):
        v = variables.get(name, {})
        if not (v.get("type") == "query" and v.get("multi") and v.get("includeAll") and v.get("datasource") == PANEL_SOURCE):
            yield f"variable {name}: not a choice of several, or all"
    if variables.get("job", {}).get("allValue"):
        yield "variable job: all is everything that Prometheus scrapes"  # of which up is asked
    if board.get("editable") or not board.get("uid"):
        yield "editable, or without uid"
    yield from check_grid(board["panels"])
    for panel in panels:
        yield from check_panel(panel)
    for title, expr in expressions(board):
        yield from check_expression(title, expr)


def spoil(board, how):
    spoilt = copy.deepcopy(board)
    how(spoilt)
    return spoilt


def self_test(board):
    first = next(i for i, panel in enumerate(board["panels"]) if panel["type"] == "timeseries")

    def panel(b):
        return b["panels"][first]
    cases = {
        "twice": lambda b: panel(b).update(id=b["panels"][0]["id"]),
        "type graph": lambda b: panel(b).update(type="graph"),
        "lies over": lambda b: panel(b).update(gridPos=b["panels"][first + 1]["gridPos"]),
        "no unit": lambda b: panel(b)["fieldConfig"]["defaults"].pop("unit"),
        "no thresholds": lambda b: panel(b)["fieldConfig"]["defaults"].pop("thresholds"),
        "shows nothing": lambda b: panel(b).update(targets=[]),
        "not of the chosen data source": lambda b: panel(b).update(datasource={"type": "prometheus", "uid": "abc"}),
        "not only of what was chosen": lambda b: panel(b)["targets"][0].update(expr='up{job="x"}'),
        "does not follow": lambda b: panel(b)["targets"][0].update(expr="rate(x[5m])"),
        "unbalanced": lambda b: panel(b)["targets"][0].update(expr="sum(x"),
        "variable job": lambda b: b["templating"]["list"][1].update(allValue=".+"),
        "variable instance": lambda b: b["templating"]["list"].pop(),
    }
    missed = [what for what, how in cases.items() if not any(what in p for p in problems(spoil(board, how)))]
    return [f"the rule for «{what}» does not find it" for what in missed]


def main():
    board = json.loads(FILE.read_text(encoding="utf-8"))
    found = self_test(board) if "--self-test" in sys.argv[1:] else list(problems(board))
    for line in found:
        print(f"{FILE.name}: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
