"""Trials in a row: one fault each, or two at once; what came of each."""

import json
import random
import time
from dataclasses import asdict, dataclass

from .faults import FAULTS
from .ledger import Account
from .trial import Trial

INSTANT_PAUSE = 2.0  # seconds between two kills, at most


@dataclass
class Outcome:
    names: tuple
    times: int
    account: Account
    recoveries: list
    first_runs: list
    restarts: int
    seconds: float
    in_flight: list
    data_dir: bool = True
    hold: float = 0
    trouble: str = ""
    log: str = ""

    @property
    def key(self):
        return self.names, self.data_dir

    def dump(self):
        """One line of JSON."""
        return json.dumps({**asdict(self), "log": ""})

    @classmethod
    def load(cls, line):
        fields = json.loads(line)
        return cls(**{**fields, "names": tuple(fields["names"]), "account": Account(**fields["account"])})

    @property
    def sound(self):
        return self.account.sound and not self.trouble


def begin(faults):
    for fault in faults:
        fault.begin()


def end(faults):
    """Each one, whatever becomes of the others; → the first trouble."""
    trouble = None
    for fault in faults:
        try:
            fault.end()
        except Exception as error:  # pylint: disable=broad-except
            trouble = trouble or error
    if trouble:
        raise trouble


def round_of(trial, faults, outcome, hold):
    """All faults once. What is instant happens first, in the middle and before the end of what lasts."""
    outcome.in_flight.append(trial.ledger.in_flight())
    lasting, instant = [f for f in faults if not f.instant], [f for f in faults if f.instant]
    try:
        begin(lasting)
        begin(instant)
        if lasting:
            time.sleep(hold / 2)
            begin(instant)
            time.sleep(hold / 2)
            begin(instant)
    finally:
        end(lasting)
    moment = time.monotonic() if lasting else max(f.restarted() for f in instant)
    trial.note_recovery(moment)


def run(world, options, names, times=None):
    """One trial with these faults; → Outcome."""
    kinds = FAULTS[names[0]].kinds() if len(names) == 1 else None
    started = time.monotonic()
    trial = Trial(world, options, kinds)
    faults = [FAULTS[name](trial) for name in names]
    instant = all(f.instant for f in faults)
    outcome = Outcome(names, times or (options.kills if instant else 1), Account(), trial.recoveries, trial.first_runs, 0, 0, [],
                      options.data_dir, 0 if instant else options.hold)
    chance = random.Random(options.seed)
    try:
        for f in faults:
            f.prepare()
            trial.invoker.env.update(f.env)
        trial.start()
        for number in range(outcome.times):
            round_of(trial, faults, outcome, options.hold)
            if outcome.times > 1 and (number + 1) % 10 == 0:
                options.say(f"    {number + 1} of {outcome.times}: {trial.ledger.account().activations} sent, "
                            f"longest recovery {max(trial.recoveries):.2f} s")
            time.sleep(chance.uniform(0, INSTANT_PAUSE) if instant else 2)
        outcome.account = trial.finish()
    except Exception as error:  # pylint: disable=broad-except
        outcome.trouble = f"{type(error).__name__}: {error}"
        outcome.account = trial.ledger.account()
    finally:
        outcome.log = trial.invoker.log()
        try:
            trial.close()
        except AssertionError as error:
            outcome.trouble = outcome.trouble or str(error)
        for f in faults:
            f.close()
    outcome.restarts, outcome.seconds = trial.restarts, time.monotonic() - started
    return outcome
