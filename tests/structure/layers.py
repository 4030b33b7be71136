#!/usr/bin/env python3
"""Fails when an #include goes against the arrows between the folders.

usage: layers.py [ROOT]      checks the tree (default: the one this file is in)
       layers.py --self-test checks that each kind of violation is caught

base <- loop, json, tls <- http, model, conf, obs <- bus, store, kv, driver, cgroup, zk <- daemons <- cmd. A folder may include itself
and what is below it, never its neighbours or what is above. Daemons never include each other. Pure parts (PURE_PATHS) are
numbers in, decision out: they may include base, json and model only, and each other. Tests may include everything, and
nothing includes tests."""

import pathlib
import re
import sys
import tempfile

LEVELS = [
    ["base"],
    ["loop", "json", "tls"],
    ["http", "model", "conf", "obs"],
    ["bus", "store", "kv", "driver", "cgroup", "zk"],
]
DAEMONS = ["invoker", "fnmanager", "preopt"]
MAIN = "cmd"  # picks a daemon and runs it
PURE_PATHS = ("invoker/id_plan.", "invoker/janitor/rules.", "invoker/placement/", "invoker/pool/", "invoker/resize/solver")
PURE_MAY_INCLUDE = ["base", "json", "model"]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
SYSTEM_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>]+)>", re.MULTILINE)
# A pure file does not reach around our folders either.
IMPURE_HEADERS = {"fcntl.h", "poll.h", "pthread.h", "sys/epoll.h", "sys/socket.h", "time.h", "sys/time.h", "unistd.h"}


def level_of(module):
    """0 for base, rising; None when the folder is not in the map."""
    return next((i for i, names in enumerate(LEVELS) if module in names), None)


def module_of(path):
    """("common", "http") of common/http/client.h, ("invoker", None) of invoker/pool/pool.h."""
    parts = path.split("/")
    return (parts[0], parts[1] if parts[0] == "common" and len(parts) > 2 else None)


def is_pure(path):
    return path.startswith(PURE_PATHS)


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = {}
        for top in ["common", MAIN, *DAEMONS]:
            for path in sorted((self.root / top).rglob("*.[ch]")):
                self.files[path.relative_to(self.root).as_posix()] = path.read_text(encoding="utf-8")

    def violations(self):
        for path, text in self.files.items():
            for included in INCLUDE.findall(text):
                problem = self.judge(path, included)
                if problem:
                    yield f'{path}: #include "{included}": {problem}'
            if is_pure(path):
                for included in IMPURE_HEADERS.intersection(SYSTEM_INCLUDE.findall(text)):
                    yield f"{path}: #include <{included}>: {path} is pure"

    def judge(self, path, included):
        """What is wrong with this include, or None."""
        if included not in self.files:
            if (self.root / included).exists():
                return "product code does not include this folder"
            return "not found from the root of the tree (includes are rooted)"
        if included.endswith("_priv.h") and pathlib.PurePath(path).parent != pathlib.PurePath(included).parent:
            return "private to its folder"
        if is_pure(path) and not self.pure_may_include(included):
            return f"{path} is pure"
        return self.judge_arrow(module_of(path), module_of(included))

    @staticmethod
    def pure_may_include(included):
        return module_of(included)[1] in PURE_MAY_INCLUDE or is_pure(included)

    @staticmethod
    def judge_arrow(source, target):
        (source_top, source_module), (target_top, target_module) = source, target
        if source_top == MAIN or source == target:
            return None
        if target_top != "common":
            return "daemons never include each other" if source_top in DAEMONS else f"{target_top} is above {source_top}"
        if level_of(target_module) is None:
            return f"common/{target_module} has no place in the map of layers.py"
        if source_top in DAEMONS:
            return None
        if level_of(source_module) is None:
            return f"common/{source_module} has no place in the map of layers.py"
        if level_of(target_module) < level_of(source_module):
            return None
        return f"{target_module} is not below {source_module}"


# path: (text, what the one violation must say; "" for none)
SAMPLES = {
    "common/base/str.h": ("", ""),
    "common/loop/loop.h": ('#include "common/base/str.h"\n', ""),
    "common/json/doc.h": ('#include "common/loop/loop.h"\n', "loop is not below json"),
    "common/base/up.c": (' #  include "common/loop/loop.h"\n', "loop is not below base"),
    "common/http/client.h": ('#include <time.h>\n#include "common/base/str.h"\n', ""),
    "common/http/client_priv.h": ("", ""),
    "common/bus/bus.c": ('#include "common/http/client_priv.h"\n', "private to its folder"),
    "common/bus/bus.h": ('#include "common/http/client.h"\n', ""),
    "common/store/store.c": ('#include "common/bus/bus.h"\n', "bus is not below store"),
    "common/kv/kv.c": ('#include "invoker/job.h"\n', "invoker is above common"),
    "common/misc/x.h": ("", ""),
    "common/kv/redis.c": ('#include "common/misc/x.h"\n', "has no place in the map"),
    "invoker/job.h": ('#include "common/bus/bus.h"\n', ""),
    "invoker/near.c": ('#include "job.h"\n', "includes are rooted"),
    "invoker/test.c": ('#include "tests/support/x.h"\n', "does not include this folder"),
    "invoker/gone.c": ('#include "common/base/gone.h"\n', "not found"),
    "preopt/guard.c": ('#include "invoker/job.h"\n', "daemons never include each other"),
    "cmd/main.c": ('#include "invoker/job.h"\n', ""),
    "invoker/pool/pool.h": ('#include "common/base/str.h"\n', ""),
    "invoker/pool/pool.c": ('#include "invoker/pool/pool.h"\n#include "common/bus/bus.h"\n', "invoker/pool/pool.c is pure"),
    "invoker/pool/clock.h": ("#include <time.h>\n", "<time.h>: invoker/pool/clock.h is pure"),
    "invoker/placement/policy.c": ('#include "common/loop/loop.h"\n', "invoker/placement/policy.c is pure"),
    "invoker/placement/table2.c": ('#include "invoker/pool/pool.h"\n', ""),
    "invoker/placement/tasks.c": ('#include "invoker/job.h"\n', "invoker/placement/tasks.c is pure"),
}


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, (text, _) in {**SAMPLES, "tests/support/x.h": ("", "")}.items():
            file = pathlib.Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        found = list(Tree(root).violations())
    failed = 0
    for path, (_, expected) in SAMPLES.items():
        lines = [line for line in found if line.startswith(f"{path}: ")]
        if len(lines) != bool(expected) or not all(expected in line for line in lines):
            print(f"{path}: expected {expected or 'nothing'!r}, got {lines}")
            failed += 1
    print(f"{len(SAMPLES)} samples, {failed} failed")
    return failed


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test() != 0
    tree = Tree(arguments[0] if arguments else pathlib.Path(__file__).resolve().parents[2])
    violations = list(tree.violations())
    print(*violations, sep="\n", end="\n" if violations else "")
    print(f"{len(tree.files)} files, {len(violations)} includes against the arrows")
    return bool(violations) or not tree.files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
