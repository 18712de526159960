"""Names that smoothed over the differences between Pythons, and that programs still import."""

import pickle
import select
import struct
import sys
import time

maxint = sys.maxsize
BYTES_LITERAL = lambda text: bytes(text, "utf8")  # noqa: E731
Struct = struct.Struct
select_error = select.error
get_exc_errno = lambda exc: getattr(exc, "errno", exc.args[0] if exc.args else None)  # noqa: E731
execute = exec
callable = callable
next = next
TimeoutError = TimeoutError


def acquire_lock(lock, blocking, timeout):
    """Acquires ``lock``, waiting until a :class:`netref.lib.Timeout` is over."""
    if blocking and timeout.finite:
        deadline = timeout.timeleft()
        return lock.acquire(True, deadline)
    return lock.acquire(blocking)


__all__ = ["BYTES_LITERAL", "Struct", "TimeoutError", "acquire_lock", "execute", "get_exc_errno", "maxint", "pickle", "select_error", "time"]
