"""What a bench has to reach: said one by one, and its exit status."""

import sys


class Goals:
    def __init__(self, name):
        self.name, self.missed, self.count = name, [], 0

    def check(self, reached, text):
        """text: the goal with what was measured, as `CPU 0.3% (≤ 0.5%)`."""
        self.count += 1
        if not reached:
            self.missed.append(text)
        print(f"{self.name}: {'reached' if reached else 'MISSED '}: {text}", file=sys.stderr, flush=True)

    def status(self):
        """For sys.exit."""
        return 1 if self.missed else 0
