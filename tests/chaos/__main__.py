"""Injects faults while 200 activations are in flight, and accounts for every one of them. See README.md."""

import argparse
import os
import secrets
import signal
import sys
import time
from pathlib import Path

from harness import invoker as invoker_module
from harness.controller import Controller
from harness.couch import Couch
from harness.docker import Docker
from harness.kafka import Kafka

from . import session, table
from .faults import FAULTS, PAIRS
from .trial import Options, World

SHORT = ["kill", "kill-twice", "term", "overlap", "kafka-hangs", "couch-gone", "couch-5xx", "docker-hangs", "container-killed"]
BEGAN = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - BEGAN:6.1f} s] {text}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="tests/chaos/run", description=__doc__)
    parser.add_argument("--faults", metavar="A,B+C,…", help=f"these, two at once as A+B (default: {','.join(SHORT)})")
    parser.add_argument("--list", action="store_true", help="list the faults, and end")
    parser.add_argument("--full", action="store_true", help="every fault, and pairs; 100 kills, and what lasts lasts 60 s")
    parser.add_argument("--kills", type=int, metavar="N", help="times that a kill is repeated (10; with --full 100, other instant faults 10)")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long a fault lasts (8; with --full 60)")
    parser.add_argument("--in-flight", type=int, default=200, metavar="N", help="activations kept in flight (200)")
    parser.add_argument("--no-data-dir", action="store_true", help="the invoker has no data directory: the negative control")
    parser.add_argument("--seed", type=int, default=1, help="of what happens by chance (1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there, as Markdown")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep results there; the table has those of earlier runs, too")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of the invokers there")
    return parser.parse_args()


def chosen(args):
    """Tuples of names; ends with a message when one is unknown."""
    if args.faults:
        found = [tuple(word.split("+")) for word in args.faults.split(",")]
    elif args.full:
        found = [(name,) for name in FAULTS] + PAIRS
    else:
        found = [(name,) for name in SHORT]
    unknown = sorted({n for names in found for n in names} - set(FAULTS))
    if unknown:
        sys.exit(f"no fault named {', '.join(unknown)}; known: {', '.join(FAULTS)}")
    return found


def services():
    missing = [v for v in ("CW_TEST_KAFKA", "CW_TEST_COUCH", "CW_TEST_DOCKER") if v not in os.environ]
    if missing:
        sys.exit(f"{', '.join(missing)} not set: start this with tests/chaos/run")
    if not os.access(invoker_module.binary(), os.X_OK):
        sys.exit(f"{invoker_module.binary()} does not exist (build it, or set CWHISK_BIN)")
    kafka, couch, docker = Kafka(os.environ["CW_TEST_KAFKA"]), Couch(os.environ["CW_TEST_COUCH"]), Docker(os.environ["CW_TEST_DOCKER"])
    couch.setup()
    return kafka, couch, docker


def show(outcome, logs):
    verdict = "sound" if outcome.sound else "NOT SOUND"
    again = f", {outcome.restarts} times ended by itself" if outcome.restarts else ""
    say(f"  {table.name(outcome)}: {verdict}: {outcome.account.text()}; next answer after {table.seconds(outcome.recoveries)}{again}")
    for line in [outcome.trouble, *outcome.account.examples(), *(f"{n} × {text}" for text, n in outcome.account.errors.items())]:
        if line:
            print(f"             {line.partition(chr(10))[0]}", flush=True)
    if logs:
        logs.mkdir(parents=True, exist_ok=True)
        (logs / f"{'+'.join(outcome.names)}.log").write_text(outcome.log, encoding="utf-8")


def publish(args, outcomes):
    """After each trial: a run that is broken off has its results, too."""
    everything = {}
    if args.results and args.results.exists():
        everything = {o.key: o for o in map(session.Outcome.load, args.results.read_text(encoding="utf-8").splitlines())}
    everything.update((o.key, o) for o in outcomes)
    if args.results:
        args.results.write_text("".join(o.dump() + "\n" for o in everything.values()), encoding="utf-8")
    if args.out:
        args.out.write_text(table.markdown(list(everything.values())), encoding="utf-8")


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupted)  # so that what was started is ended
    args = arguments()
    if args.list:
        print("\n".join(f"{name:20} {cls.text}" for name, cls in FAULTS.items()))
        return 0
    todo = chosen(args)
    kafka, couch, docker = services()
    controller = Controller(kafka, couch, f"c{secrets.token_hex(4)}")
    world = World(kafka, couch, docker, controller)
    outcomes = []
    for number, names in enumerate(todo):
        kills = args.kills or (100 if args.full and names == ("kill",) else 10)
        options = Options(in_flight=args.in_flight, hold=args.seconds or (60 if args.full else 8), kills=kills, seed=args.seed + number,
                          data_dir=not args.no_data_dir, say=say)
        say(f"{number + 1} of {len(todo)}: {' + '.join(names)}: {'; '.join(FAULTS[n].text for n in names)}")
        outcomes.append(session.run(world, options, names))
        show(outcomes[-1], args.logs)
        publish(args, outcomes)
    controller.close()
    print("\n" + table.plain(outcomes) + "\n")
    bad = [table.name(o) for o in outcomes if not o.sound]
    print(f"NOT SOUND: {', '.join(bad)}" if bad else "Nothing lost, nothing run twice.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
