#!/usr/bin/env python3
"""Fails when a scope can be left before one of its cleanup variables is set up: what its destructor then gets is whatever
the stack held. Compilers do not warn, since they see the variable only as an address that is given away.

usage: cleanups.py [ROOT]      checks the tree (default: the one this file is in)
       cleanups.py --self-test checks that violations are caught

Looks at declarations `cw_auto_… name;` without an initializer. Before the first return, goto, break or continue behind it
there must be an assignment to the name, or a call that gets its address."""

import pathlib
import re
import sys

DECLARATION = re.compile(r"^\s*(?:struct \w+ )?cw_auto_\w+\s[^=(]*?\**(\w+(?:\[\w*\])?(?:,\s*\**\w+)*);")
WAY_OUT = re.compile(r"\b(?:return|goto|break|continue)\b")
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def code_lines(text):
    """The lines without comments and without what is in strings."""
    text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)
    return [STRING.sub('""', line).split("//")[0] for line in text.split("\n")]


def is_set_up(name, line):
    return re.search(rf"(?<![\w.>]){name} = |&{name}\b(?!\.)", line)


def first_misuse(lines, at, name):
    """Number of the line that may leave the scope too early, None when all is well."""
    for i in range(at + 1, len(lines)):
        if is_set_up(name, lines[i]):
            return None
        if WAY_OUT.search(lines[i]) or lines[i].startswith("}"):
            return i + 1
    return len(lines)


def violations(text):
    """Pairs of a line number and a name."""
    lines = code_lines(text)
    for at, line in enumerate(lines):
        found = DECLARATION.match(line)
        for name in re.split(r",\s*", found.group(1)) if found else []:
            name = name.strip("* ").split("[")[0]
            out = first_misuse(lines, at, name)
            if out:
                yield at + 1, out, name


def check(root):
    failed = count = 0
    for top in ["common", "invoker", "cmd", "fnmanager", "preopt", "tests", "docker"]:
        for path in sorted((root / top).rglob("*.c")):
            text = path.read_text(encoding="utf-8")
            count += text.count("cw_auto_")
            for at, out, name in violations(text):
                print(f"{path.relative_to(root)}:{at}: {name} is not set up when line {out} leaves its scope")
                failed = 1
    if not count:
        print(f"no cleanup variables under {root}: is it the right folder?")
    return failed or not count


GOOD = [
    "void f(void)\n{\n    cw_auto_str struct cw_str s;\n\n    cw_str_init(&s, 1);\n    return;\n}",
    "void f(void)\n{\n    cw_auto_free char *p = NULL;\n\n    return;\n}",
    "int f(void)\n{\n    cw_auto_free char *p;\n\n    p = g();\n    return 1;\n}",
    'int f(void)\n{\n    cw_auto_str struct cw_str a, b;\n\n    log("return"); /* or return */\n'
    "    cw_str_init(&a, 1);\n    cw_str_init(&b, 1);\n    return 0;\n}",
    "int f(void)\n{\n    cw_auto_json struct cw_doc d;\n\n    if (parse(x, &d) != 0)\n        return -1;\n    return 0;\n}",
]
BAD = [
    "void f(int x)\n{\n    cw_auto_str struct cw_str s;\n\n    if (x)\n        return;\n    cw_str_init(&s, 1);\n}",
    "void f(void)\n{\n    for (;;) {\n        cw_auto_str struct cw_str s;\n\n        if (g())\n            continue;\n"
    "        cw_str_init(&s, 1);\n    }\n}",
    "void f(void)\n{\n    cw_auto_free char *p;\n}",
    "int f(int x)\n{\n    cw_auto_str struct cw_str a, b;\n\n    cw_str_init(&a, 1);\n    if (x)\n        return 1;\n"
    "    cw_str_init(&b, 1);\n    return 0;\n}",
    "int f(struct x *o)\n{\n    cw_auto_free char *name;\n\n    o->name = NULL;\n    return 0;\n}",
]


def self_test():
    for text in GOOD:
        assert not list(violations(text)), text
    for text in BAD:
        assert len(list(violations(text))) == 1, text


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    return check(pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[2])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
