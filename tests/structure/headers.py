#!/usr/bin/env python3
"""Fails when a header of ours does not compile on its own, in front of nothing and behind nothing.

usage: headers.py COMPILER... [-- FLAG...]   checks every header of the product with each of the compilers
       headers.py --self-test COMPILER       checks that a header with a missing include is caught"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["common", "invoker", "fnmanager", "preopt", "tests/support"]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Werror"]


def compile_alone(compiler, root, header, flags):
    """None, or what the compiler said. Included, not compiled: a main file with #pragma once is a warning."""
    text = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run([compiler, *FLAGS, *flags, f"-I{root}", "-x", "c", "-"], input=text, text=True, capture_output=True, check=False)
    return None if done.returncode == 0 else f"{header} ({compiler}):\n{done.stderr}"


def check(compilers, root, headers, flags):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compile_alone, c, root, h, flags) for h in headers for c in compilers]
        return [job.result() for job in jobs if job.result()]


def self_test(compiler):
    with tempfile.TemporaryDirectory() as root:
        pathlib.Path(root, "good.h").write_text("#pragma once\n#include <stdint.h>\nuint8_t good(void);\n", encoding="utf-8")
        pathlib.Path(root, "bad.h").write_text("#pragma once\nuint8_t bad(void);\n", encoding="utf-8")
        pathlib.Path(root, "twice.h").write_text("struct twice {\n    int x;\n};\n", encoding="utf-8")
        problems = check([compiler], root, ["good.h", "bad.h", "twice.h"], [])
    caught = [p.split(" ")[0] for p in problems]
    print(f"caught: {caught}")
    return caught != ["bad.h", "twice.h"]


def main(arguments):
    if arguments[:1] == ["--self-test"]:
        return self_test(arguments[1])
    end = arguments.index("--") if "--" in arguments else len(arguments)
    compilers, flags = arguments[:end], arguments[end + 1:]
    headers = [h.relative_to(ROOT).as_posix() for f in FOLDERS for h in sorted((ROOT / f).rglob("*.h"))]
    problems = check(compilers, ROOT, headers, flags)
    print(*problems, sep="\n")
    print(f"{len(headers)} headers with {', '.join(compilers)}: {len(problems)} problems")
    return bool(problems) or not headers or not compilers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
