"""Names that smoothed over the differences between Pythons, and that programs still import."""

import pickle
import select as select_module
import struct
import sys
import time
from io import BytesIO
from select import select

is_py_3k = True
is_py_gte37 = True
is_py_gte38 = True
is_py_gte310 = True
is_py_gte311 = sys.version_info >= (3, 11)

maxint = sys.maxsize
Struct = struct.Struct
select_error = select_module.error
execute = exec
callable = callable
next = next
TimeoutError = TimeoutError

#: As the kernel has it; Python has no name for it everywhere.
_POLLRDHUP = 0x2000


def BYTES_LITERAL(text):
    """Text as bytes."""
    return bytes(text, "utf8")


def get_exc_errno(exc):
    """An exception's error number."""
    return exc.errno if hasattr(exc, "errno") else exc.args[0]


def acquire_lock(lock, blocking, timeout):
    """Acquires ``lock``, waiting until a :class:`netref.lib.Timeout` is over."""
    if blocking and timeout.finite:
        return lock.acquire(True, timeout.timeleft())
    return lock.acquire(blocking)


def with_metaclass(meta, *bases):
    """A class to derive from, so that the derived class has the bases and the metaclass."""

    class Intermediate(type):
        def __new__(cls, name, _, namespace):
            return meta(name, bases, namespace)

    return type.__new__(Intermediate, "temporary_class", (), {})


class PollingPoll:
    """``select.poll`` with letters for events (``r``, ``w``, ``e``, ``h``, ``n``) and seconds for time-outs."""

    def __init__(self):
        self._poll = select_module.poll()

    def register(self, fd, mode):
        flags = 0
        if "r" in mode:
            flags |= select_module.POLLIN | select_module.POLLPRI
        if "w" in mode:
            flags |= select_module.POLLOUT
        if "e" in mode:
            flags |= select_module.POLLERR
        if "h" in mode:
            flags |= select_module.POLLHUP | select_module.POLLNVAL | _POLLRDHUP
        self._poll.register(fd, flags)

    modify = register

    def unregister(self, fd):
        self._poll.unregister(fd)

    def poll(self, timeout=None):
        """Pairs of file descriptor and letters of what can be done with it."""
        letters = [
            ("r", select_module.POLLIN | select_module.POLLPRI),
            ("w", select_module.POLLOUT),
            ("e", select_module.POLLERR),
            ("h", select_module.POLLHUP),
            ("n", select_module.POLLNVAL),
        ]
        return [
            (fd, "".join(letter for letter, mask in letters if events & mask))
            for fd, events in self._poll.poll(timeout * 1000 if timeout else timeout)
        ]


class SelectingPoll:
    """The same with ``select``, for systems without ``poll``."""

    def __init__(self):
        self.rlist = set()
        self.wlist = set()

    def register(self, fd, mode):
        if "r" in mode:
            self.rlist.add(fd)
        if "w" in mode:
            self.wlist.add(fd)

    modify = register

    def unregister(self, fd):
        self.rlist.discard(fd)
        self.wlist.discard(fd)

    def poll(self, timeout=None):
        """Pairs of file descriptor and letter of what can be done with it."""
        if not self.rlist and not self.wlist:
            time.sleep(timeout)
            return []
        readable, writable, _ = select(self.rlist, self.wlist, (), timeout)
        return [(fd, "r") for fd in readable] + [(fd, "w") for fd in writable]


poll = PollingPoll if hasattr(select_module, "poll") else SelectingPoll

__all__ = [
    "BYTES_LITERAL",
    "BytesIO",
    "PollingPoll",
    "SelectingPoll",
    "Struct",
    "TimeoutError",
    "acquire_lock",
    "callable",
    "execute",
    "get_exc_errno",
    "is_py_3k",
    "is_py_gte37",
    "is_py_gte38",
    "is_py_gte310",
    "is_py_gte311",
    "maxint",
    "next",
    "pickle",
    "poll",
    "select",
    "select_error",
    "select_module",
    "with_metaclass",
]
