"""Restarts with a grace that only waits, several at a time: each of a service of its own, begun so far apart that the waits overlap
and the working parts (the kill and the start, after the grace) do not."""

import collections
import math
import queue
import threading
import time

APART = 1.15  # times what the longer ones of the last working parts took
NEWEST = 20
PATIENCE_S = 300


class Lanes:
    """restart(service): one restart, blocking. grace_s: how much of it is waiting."""

    def __init__(self, restart, services, grace_s, first_guess_s):
        self.restart, self.grace_s = restart, grace_s
        self.free, self.ended = queue.SimpleQueue(), queue.SimpleQueue()
        self.count = len(services)
        self.work = collections.deque([first_guess_s], NEWEST)
        for service in services:
            self.free.put(service)

    def apart_s(self):
        """Between two begins: the working parts do not meet, and a lane is free when its turn comes."""
        ranked = sorted(self.work)
        longer = ranked[math.ceil(len(ranked) * 0.9) - 1]
        return max(longer * APART, (self.grace_s + longer) / max(1, self.count - 1)) if self.count > 1 else 0

    def one(self, service):
        began = time.monotonic()
        try:
            self.restart(service)
        except BaseException as error:  # noqa: BLE001  is raised again where it can be seen
            self.ended.put((began, None, error))
        else:
            self.ended.put((began, time.monotonic(), None))
        self.free.put(service)

    def collect(self, found, wait):
        try:
            began, ended, error = self.ended.get(timeout=PATIENCE_S) if wait else self.ended.get_nowait()
        except queue.Empty:
            if wait:
                raise SystemExit("a restart does not end") from None
            return False
        if error:
            raise error
        self.work.append(max(0.0, ended - began - self.grace_s))
        found(began, ended)
        return True

    def run(self, rounds, found, over=lambda: False):
        """found(began, ended) in this thread, for each as it ends; no more are begun once over() holds."""
        begun = collected = 0
        due = time.monotonic()
        while begun < rounds and not over():
            service = self.free.get(timeout=PATIENCE_S)
            time.sleep(max(0.0, due - time.monotonic()))
            due = time.monotonic() + self.apart_s()
            threading.Thread(target=self.one, args=(service,), daemon=True).start()
            begun += 1
            while self.collect(found, wait=False):
                collected += 1
        while collected < begun:
            collected += self.collect(found, wait=True)


def met(spans, grace_s):
    """How many working parts of [(began, ended)] were beside another one."""
    parts = sorted((began + grace_s, ended) for began, ended in spans)
    together = set()
    latest = None
    for i, (began, ended) in enumerate(parts):
        if latest is not None and began < parts[latest][1]:
            together |= {latest, i}
        if latest is None or ended > parts[latest][1]:
            latest = i
    return len(together)


def self_test():
    """Restarts that only sleep: each lane's service is restarted by one at a time, and the waits overlap."""
    guard, under_way, most = threading.Lock(), set(), [0]

    def restart(service):
        with guard:
            assert service not in under_way
            under_way.add(service)
            most[0] = max(most[0], len(under_way))
        time.sleep(0.2)
        with guard:
            under_way.remove(service)

    spans = []
    Lanes(restart, range(6), 0.2, 0.02).run(12, lambda *span: spans.append(span))
    assert len(spans) == 12 and most[0] > 1
    alone = []
    Lanes(restart, range(1), 0, 0.02).run(2, lambda *span: alone.append(span))
    assert len(alone) == 2 and alone[1][0] >= alone[0][1] and met(alone, 0) == 0
    assert met([(0, 11), (0.5, 11.2), (5, 16)], 10) == 2 and met([(0, 11), (2, 13)], 10) == 0


if __name__ == "__main__":
    self_test()
    print("restart_lanes: fine")
