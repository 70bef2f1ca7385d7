"""Waiting, always for a condition and never for longer than a deadline. There is one deadline for all tests. It passes only when
something is broken, however busy the machine is. Under sanitizers it is longer still (CARILLON_TEST_SLOWDOWN)."""
import os
import threading
import time

SLOWDOWN = float(os.environ.get("CARILLON_TEST_SLOWDOWN", "1"))
DEADLINE_S = 120 * SLOWDOWN
TOOL_S = 5 * DEADLINE_S  # for a program that computes for seconds: a compiler, a validator, a whole load
_never = threading.Event()


class Deadline:
    """A point in time from which remaining() counts down, and raises TimeoutError when it has passed."""

    def __init__(self, seconds=DEADLINE_S, what="it"):
        self.at = time.monotonic() + seconds
        self.seconds = seconds
        self.what = what

    def remaining(self):
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self.what} did not happen within {self.seconds:g} s")
        return left


def until(condition, what, seconds=DEADLINE_S):
    """Calls condition until it returns something true, and returns that."""
    deadline = Deadline(seconds, what)
    while True:
        result = condition()
        if result:
            return result
        _never.wait(min(0.01, deadline.remaining()))
