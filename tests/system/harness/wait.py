"""Waiting on conditions, never for a while."""

import os
import time

# What an instrumented invoker, or a machine that is short of time, needs more of.
PATIENCE = float(os.environ.get("CW_TEST_PATIENCE", "1"))


def wait_until(condition, timeout=15, what=None, interval=0.02):
    """Polls until condition() is truthy and returns its value; fails after timeout seconds. `what` may
    be a function that describes the state at the end."""
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"not within {timeout} s: {text}")
        time.sleep(interval)
