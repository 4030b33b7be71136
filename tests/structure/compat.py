#!/usr/bin/env python3
"""Fails when docs/compatibility.md, hostile.md or memory.md names a test that is not there, or the first leaves a row undecided.

usage: compat.py [ROOT]      checks the tree (default: the one this file is in)
       compat.py --self-test checks that each kind of violation is caught

In each table with a column "state", a row says same, better, not supported or not yet; "not yet" is for Kubernetes and the FPC
path alone. A same or better row names a test. A test is `FOLDER/FILE` or `FOLDER/FILE::NAME` below tests/, FOLDER one of
FOLDERS; FILE may lack its ending, or be a folder; `::NAME` is of the file before it in the row; `fuzz_NAME` is a fuzz target. The
fifty traps are all there."""

import pathlib
import re
import sys
import tempfile

FOLDERS = ("unit", "component", "system", "structure", "fuzz")
STATES = ("same", "better", "not supported", "not yet")
UNDECIDED_MAY_BE = ("kubernetes", "fpc")
REFERENCE = re.compile(r"`((?:%s)/[\w./-]+|(?=::))(?:::([\w]+))?(?:\[[^`]*\])?`" % "|".join(FOLDERS))
TARGET = re.compile(r"`(fuzz_\w+)`")
TRAPS = 50


def files_of(tests, path):
    """The files that a reference means."""
    at = tests / path
    if at.is_dir():
        return sorted(p for p in at.rglob("*") if p.suffix in (".c", ".py"))
    candidates = [at] + [at.with_name(at.name + end) for end in (".c", ".py", "_test.c")]
    return [p for p in candidates if p.is_file()][:1]


def missing(tests, path, name):
    """What is wrong with a reference, or None."""
    files = files_of(tests, path)
    if not files:
        return f"tests/{path} is not there"
    if name and not any(re.search(rf"\b(?:def|void) {name}\(", f.read_text()) for f in files):
        return f"tests/{path} has no test {name}"
    return None


def references(line):
    """(FILE, NAME or "") of each reference in a row."""
    file = ""
    for path, name in REFERENCE.findall(line):
        file = path or file
        yield file, name


def cells_of(line):
    return [c.strip() for c in line.strip().strip("|").split(" | ")]


def check_references(root, name):
    """Only that what a document names is there."""
    document, wrong = root / "docs" / name, []
    for number, line in enumerate(document.read_text().splitlines() if document.exists() else [], 1):
        found = [missing(root / "tests", path, test) for path, test in references(line)]
        found += [missing(root / "tests", f"fuzz/{target}", "") for target in TARGET.findall(line)]
        wrong += [f"docs/{name}:{number}: {w}" for w in found if w]
    return wrong


def check(root):
    return check_rows(root) + check_references(root, "hostile.md") + check_references(root, "memory.md")


def check_rows(root):
    text = (root / "docs" / "compatibility.md").read_text()
    wrong, state_at, is_traps, traps = [], None, False, set()
    for number, line in enumerate(text.splitlines(), 1):
        where = f"docs/compatibility.md:{number}"
        wrong += [f"{where}: {w}" for path, name in references(line) if (w := missing(root / "tests", path, name))]
        if not line.startswith("|"):
            state_at = None
            continue
        cells = cells_of(line)
        if "state" in cells:
            state_at = cells.index("state")
            is_traps = cells[0] == "#"
            continue
        if state_at is None or set(line) <= set("|-: "):
            continue
        state = cells[state_at] if len(cells) > state_at else ""
        if not state.startswith(STATES):
            wrong.append(f"{where}: state {state!r}: expected one of {', '.join(STATES)}")
        if state.startswith("not yet") and not any(w in line.lower() for w in UNDECIDED_MAY_BE):
            wrong.append(f"{where}: undecided, and neither Kubernetes nor the FPC path")
        if state.startswith(("same", "better")) and not REFERENCE.search(line):
            wrong.append(f"{where}: names no test")
        if is_traps:
            traps.add(cells[0])
    if lost := {str(n) for n in range(1, TRAPS + 1)} - traps:
        wrong.append(f"docs/compatibility.md: traps without a row: {', '.join(sorted(lost, key=int))}")
    return wrong


def self_test():
    head = "| row | state | note |\n|---|---|---|\n"
    traps = "| # | trap | state | test |\n|---|---|---|---|\n" + "".join(f"| {n} | t | same | `unit/a::works` |\n" for n in range(1, TRAPS + 1))
    cases = {
        "": None,
        head + "| a | same | `unit/a_test.c::works`, `unit/a`, `unit` |\n": None,
        head + "| a | same | `unit/a`, `::works` |\n": None,
        head + "| a | same | `unit/a`, `::fails` |\n": "has no test fails",
        head + "| a | same | `unit/b` |\n": "tests/unit/b is not there",
        head + "| a | same | `unit/a::fails` |\n": "has no test fails",
        head + "| a | perhaps | `unit/a` |\n": "state 'perhaps'",
        head + "| a | not yet | later |\n": "undecided",
        head + "| Kubernetes | not yet | later |\n": None,
        head + "| a | better | quicker |\n": "names no test",
        head + "| a | not supported | refused |\n": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "docs").mkdir()
        (root / "tests" / "unit").mkdir(parents=True)
        (root / "tests" / "unit" / "a_test.c").write_text("static void works(void **state)\n{\n}\n")
        for text, expected in cases.items():
            (root / "docs" / "compatibility.md").write_text(text + "\n" + traps)
            found = check(root)
            assert (expected is None) == (not found) and (not found or expected in found[0]), (text, found)
            (root / "docs" / "hostile.md").write_text("`unit/a::works`, `fuzz_x`")
            assert "tests/fuzz/fuzz_x is not there" in check(root)[-1]
            (root / "docs" / "hostile.md").unlink()
        (root / "docs" / "compatibility.md").write_text(head)
        assert "traps without a row: 1, 2" in check(root)[0]


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    wrong = check(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
    print("\n".join(wrong) or "docs/compatibility.md: every row has its state and its tests")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
