"""The account of all activations of one trial: what was sent, answered, recorded, and how often each one ran.

Nothing here knows of Kafka, CouchDB or HTTP: others report what they have seen, from any thread."""

import json
import re
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Entry:
    """One activation id."""
    action: str
    blocking: bool
    sent: float
    slots: int = 0      # acks that free its slot
    results: int = 0    # acks that carry its result
    runs: int = 0       # as the action itself has told
    system_error: bool = False
    alien: bool = False  # its result is not its own
    statuses: set = field(default_factory=set)  # of acks and of the record
    recorded: bool = False
    error: str = ""

    def answered(self):
        return self.slots > 0 and (self.results > 0 or not self.blocking)


@dataclass
class Account:
    """What became of them; lists of ids."""
    activations: int = 0
    unanswered: list = field(default_factory=list)      # no ack that frees the slot, or blocking and no result
    unrecorded: list = field(default_factory=list)      # answered, but without a record
    run_twice: list = field(default_factory=list)
    answered_twice: list = field(default_factory=list)  # more than one ack that frees the slot, or more than one result
    not_run: list = field(default_factory=list)         # said to have succeeded, but it never ran
    at_odds: list = field(default_factory=list)         # one answer, and the record differs; or another one's result
    strangers: list = field(default_factory=list)       # answered or run, but never sent
    failed: int = 0                                     # answered with an error
    errors: dict = field(default_factory=dict)          # text → how often
    system_errors: int = 0                              # acks that the controller holds against the invoker

    @property
    def lost(self):
        return sorted({*self.unanswered, *self.unrecorded})

    @property
    def sound(self):
        """Nothing lost, nothing run twice, no answer that is not true. Two acks are no harm to anybody: see README.md."""
        return not (self.lost or self.run_twice or self.not_run or self.at_odds or self.strangers)

    def text(self):
        parts = [f"{self.activations} activations", f"{len(self.lost)} lost"]
        if self.lost:
            parts[-1] += f" ({len(self.unanswered)} without an answer, {len(self.unrecorded)} without a record)"
        parts += [f"{len(self.run_twice)} run twice", f"{len(self.answered_twice)} answered twice", f"{self.failed} with an error"]
        for what, ids in (("said to have succeeded without having run", self.not_run), ("at odds", self.at_odds),
                          ("never sent", self.strangers)):
            if ids:
                parts.append(f"{len(ids)} {what}")
        return ", ".join(parts)

    def examples(self, most=5):
        """Lines that name ids of each kind of trouble."""
        kinds = {"without an answer": self.unanswered, "without a record": self.unrecorded, "run twice": self.run_twice,
                 "answered twice": self.answered_twice, "succeeded without having run": self.not_run, "at odds": self.at_odds,
                 "never sent": self.strangers}
        return [f"{what}: {' '.join(ids[:most])}{' …' if len(ids) > most else ''}" for what, ids in kinds.items() if ids]


class Ledger:
    def __init__(self, clock=time.monotonic):
        self.clock = clock
        self.changed = threading.Condition()
        self.entries = {}
        self.strangers = set()
        self.last_answer = self.last_run = None
        self.waiting = {}  # id → Entry: sent, and not known to be answered
        self.peak = 0      # of len(waiting)
        self.kinds_run = set()

    # ---- what others report ----

    def sent(self, activation_id, action, blocking):
        with self.changed:
            entry = Entry(action, blocking, self.clock())
            self.entries[activation_id] = self.waiting[activation_id] = entry
            self.peak = max(self.peak, len(self.waiting))

    def unsent(self, activation_id):
        """The broker never had it."""
        with self.changed:
            self.entries.pop(activation_id, None)
            self.waiting.pop(activation_id, None)
            self.changed.notify_all()

    def ran(self, activation_id):
        with self.changed:
            entry = self.entries.get(activation_id)
            if entry is None:
                self.strangers.add(activation_id)
                return
            entry.runs += 1
            self.kinds_run.add(entry.action)
            self.last_run = self.clock()
            self.changed.notify_all()

    def ack(self, text):
        """One message of the controller's completed topic."""
        body = json.loads(text)
        response = body.get("response")
        whole = response if isinstance(response, dict) else None
        activation_id = body.get("activationId") or (whole["activationId"] if whole else response)
        with self.changed:
            entry = self.entries.get(activation_id)
            if entry is None:
                self.strangers.add(str(activation_id))
                return
            if "instance" in body:
                entry.slots += 1
                entry.system_error |= body["isSystemError"]
                self.last_answer = self.clock()
            if "response" in body:
                entry.results += 1
            if whole:
                self.note_response(entry, activation_id, whole["response"])
            if entry.answered():
                self.waiting.pop(activation_id, None)
            self.changed.notify_all()

    def record(self, activation_id, document):
        with self.changed:
            entry = self.entries[activation_id]
            entry.recorded = True
            self.note_response(entry, activation_id, document["response"])

    @staticmethod
    def note_response(entry, activation_id, response):
        entry.statuses.add(response["statusCode"])
        if response["statusCode"] != 0:
            entry.error = str(response.get("result", {}).get("error"))
        if response["statusCode"] == 0 and response.get("result", {}).get("id") != activation_id:
            entry.alien = True

    # ---- looking ----

    def in_flight(self):
        with self.changed:
            return len(self.waiting)

    def in_flight_since(self, moment):
        """Those that were sent after it."""
        with self.changed:
            return sum(1 for entry in self.waiting.values() if entry.sent >= moment)

    def wait(self, condition, timeout):
        """Waits until condition() holds; → whether it does."""
        with self.changed:
            return self.changed.wait_for(condition, timeout)

    def wait_answer(self, after, timeout):
        """→ seconds from the moment `after` to the first answer behind it, or None."""
        with self.changed:
            self.changed.wait_for(lambda: self.last_answer is not None and self.last_answer >= after, timeout)
            return None if self.last_answer is None or self.last_answer < after else self.clock() - after

    def progress(self):
        """Changes whenever something was reported."""
        with self.changed:
            return sum(e.slots + e.results + e.runs + e.recorded for e in self.entries.values())

    def unrecorded(self):
        with self.changed:
            return [(i, e) for i, e in self.entries.items() if not e.recorded]

    def account(self):
        with self.changed:
            found = Account(activations=len(self.entries), strangers=sorted(self.strangers))
            for activation_id, entry in self.entries.items():
                self.judge(found, activation_id, entry)
            return found

    @staticmethod
    def judge(found, activation_id, entry):
        twice = entry.slots > 1 or entry.results > 1
        verdicts = [(not entry.answered(), found.unanswered), (not entry.recorded, found.unrecorded), (entry.runs > 1, found.run_twice),
                    (twice, found.answered_twice), (0 in entry.statuses and not entry.runs, found.not_run),
                    (entry.alien or (len(entry.statuses) > 1 and not twice), found.at_odds)]
        for holds, ids in verdicts:
            if holds:
                ids.append(activation_id)
        found.failed += bool(entry.statuses - {0})
        if entry.error:
            text = re.sub(r"[0-9a-f]{32}|\d+", "…", entry.error)[:120]
            found.errors[text] = found.errors.get(text, 0) + 1
        found.system_errors += entry.system_error
