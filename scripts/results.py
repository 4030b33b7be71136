#!/usr/bin/env python3
"""Results of test runs as lines `status<TAB>name<TAB>reason`, and their sum.

usage: results.py junit PREFIX FILE             lines of a JUnit file as ctest and pytest write it; a cmocka program's cases are
                                                taken from its output, so that each counts
       results.py total RESULTS ALLOWED_SKIPS   says what failed and was skipped, and last `N passed, N failed, N skipped`
       results.py --self-test

Exit code of total: 0 when nothing failed and something passed. With CI=true in the environment, a skip fails unless a line
of ALLOWED_SKIPS (a regular expression for the whole name; # starts a comment) covers it."""

import os
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

CASE = re.compile(r"^\[ +(OK|SKIPPED|FAILED|ERROR) +\] (?:\d+: )?(\S+)$", re.MULTILINE)
STATUS = {"OK": "passed", "SKIPPED": "skipped", "FAILED": "failed", "ERROR": "failed"}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def one_line(text):
    return " ".join(ANSI.sub("", text or "").split())[:300]


def cmocka_cases(output):
    """{name: (status, reason)}; the summary at the end repeats what failed. A skip's reason is the line before it."""
    cases = {}
    for match in CASE.finditer(output):
        before = output[:match.start()].rstrip("\n").rsplit("\n", 1)[-1]
        reason = "" if before.startswith("[") else one_line(before)
        status = STATUS[match[1]]
        if status == "failed" or cases.get(match[2], ("",))[0] != "failed":
            cases[match[2]] = (status, reason)
    return cases


def outcome(case):
    """(status, reason) of one <testcase>."""
    for tag, status in [("failure", "failed"), ("error", "failed"), ("skipped", "skipped")]:
        found = case.find(tag)
        if found is not None:
            return status, one_line(found.get("message") or found.text)
    return "passed", ""


def junit(prefix, path):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{prefix}.{case.get('name')}" if case.get("classname") in (None, "", case.get("name")) \
            else f"{prefix}.{case.get('classname')}.{case.get('name')}"
        status, reason = outcome(case)
        cases = cmocka_cases(case.findtext("system-out") or "")
        for part, (part_status, part_reason) in cases.items():
            yield part_status, f"{name}.{part}", part_reason
        # A program that died, or failed outside its cases, counts even when all that it reported was well.
        if not cases or (status == "failed" and all(s != "failed" for s, _ in cases.values())):
            yield status, name, reason


def read_patterns(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.split("#", 1)[0].strip() for line in file]
    return [re.compile(line) for line in lines if line]


def total(results_path, allowed_path, strict):
    allowed = read_patterns(allowed_path)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with open(results_path, encoding="utf-8") as file:
        for line in file:
            status, name, reason = line.rstrip("\n").split("\t")
            shown = f"{name} ({reason})" if reason else name
            if status == "skipped" and strict and not any(p.fullmatch(name) for p in allowed):
                status, shown = "failed", f"{shown}: skipped, but CI may not skip it"
            counts[status] += 1
            if status != "passed":
                print(f"{status}: {shown}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return counts["failed"] > 0 or counts["passed"] == 0


SAMPLE = """<testsuite>
<testcase name="unit.a" classname="unit.a" status="run"><system-out>[ RUN      ] x
[       OK ] x
[ RUN      ] y
skipped: no server
[  SKIPPED ] y
[==========] 2 test(s) run.
[  PASSED  ] 1 test(s).
</system-out></testcase>
<testcase name="unit.b" classname="unit.b" status="fail"><failure message="Failed"/><system-out>[  ERROR   ] --- no
[   LINE   ] --- b.c:1: error
[  FAILED  ] z
[       OK ] w
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] z
</system-out></testcase>
<testcase name="unit.crash" classname="unit.crash" status="fail"><failure message="SEGFAULT"/><system-out>[       OK ] v
</system-out></testcase>
<testcase name="unit.plain" classname="unit.plain" status="run"><system-out>3 inputs</system-out></testcase>
<testcase name="test_it" classname="test_file" time="1"><skipped message="no Docker"/></testcase>
</testsuite>"""

EXPECTED = [
    ("passed", "ci.unit.a.x", ""),
    ("skipped", "ci.unit.a.y", "skipped: no server"),
    ("failed", "ci.unit.b.z", ""),
    ("passed", "ci.unit.b.w", ""),
    ("passed", "ci.unit.crash.v", ""),
    ("failed", "ci.unit.crash", "SEGFAULT"),
    ("passed", "ci.unit.plain", ""),
    ("skipped", "ci.test_file.test_it", "no Docker"),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        def write(name, text):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return path

        found = list(junit("ci", write("junit.xml", SAMPLE)))
        two = write("two", "passed\ta\t\nskipped\tsystem.b\tno Docker\n")
        allow = write("allow", "# why\nsystem\\..*  # reason\n")
        nothing = write("nothing", "")
        codes = [total(two, nothing, False), total(two, allow, True), total(two, nothing, True), total(nothing, nothing, False)]
    for wanted, got in zip(EXPECTED, found):
        if wanted != got:
            print(f"expected {wanted}, got {got}")
    return found != EXPECTED or codes != [False, False, True, True]


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) == 3 and arguments[0] == "junit":
        for fields in junit(*arguments[1:]):
            print(*fields, sep="\t")
        return 0
    if len(arguments) == 3 and arguments[0] == "total":
        return total(arguments[1], arguments[2], os.environ.get("CI") == "true")
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
