"""Outcomes as a table, for people and for docs/faults.md."""

from .faults import FAULTS

COLUMNS = ["fault", "lasts", "times", "in flight", "activations", "lost", "run twice", "answered twice", "with an error", "to the next answer"]


def name(outcome):
    return " + ".join(outcome.names) + ("" if outcome.data_dir else " (no data directory)")


def seconds(values):
    """Median and longest."""
    if not values:
        return "–"
    ordered = sorted(values)
    words = [f"{v:.2f}" if v != float("inf") else "never" for v in (ordered[len(ordered) // 2], ordered[-1])]
    return f"{words[0]} s" if len(ordered) == 1 else f"{words[0]}, at most {words[1]} s"


def cells(outcome):
    a = outcome.account
    return [name(outcome), f"{outcome.hold:g} s" if outcome.hold else "–", outcome.times, max(outcome.in_flight, default=0), a.activations, len(a.lost), len(a.run_twice),
            len(a.answered_twice), a.failed, seconds(outcome.recoveries)]


def plain(outcomes):
    rows = [COLUMNS, *([str(c) for c in cells(o)] for o in outcomes)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(c.ljust(w) if i in (0, len(row) - 1) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip() for row in rows)


def meanings(outcomes):
    """The faults that occur, in words."""
    used = dict.fromkeys(n for o in outcomes for n in o.names)
    return [f"- `{n}`: {FAULTS[n].text}." for n in used]


def markdown(outcomes):
    missing = [n for n in FAULTS if n not in {n for o in outcomes for n in o.names}]
    lines = ["<!-- Written by tests/chaos/run --out. -->", "# Faults", "",
             "What became of every activation while something failed: the invoker with a real Kafka broker, a real Docker engine and "
             "PouchDB Server in CouchDB's place, 200 activations in flight. How it counts, and how to repeat it: "
             "[tests/chaos](../tests/chaos/README.md).", "",
             "Lost: no ack that frees the slot, no result for a blocking caller, or no record. Run twice: as the action itself has told "
             "a counter. With an error: mostly what had been started and could not end, because its container or its invoker was gone, and "
             "says so. The last column is from the end of the fault (of a kill: from the restart) to the next answer: median, "
             "longest. It depends on what else the machine does.", "",
             "| " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * (len(COLUMNS) - 2) + " --- |"]
    lines += ["| " + " | ".join(str(c) for c in cells(o)) + " |" for o in outcomes]
    lines += ["", "## The faults", "", *meanings(outcomes)]
    if missing:
        lines += ["", "Not run for this table: " + ", ".join(f"`{m}`" for m in missing) + "."]
    return "\n".join(lines) + "\n"
