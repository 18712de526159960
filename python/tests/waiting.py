"""Waiting for what another thread or process does in its own time."""

import time


def until(condition, seconds=20):
    """Waits until the condition holds, looking often."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.002)
