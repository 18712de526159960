"""What keeps the clients of a server from hurting it: handshakes end in time, and logs stay short."""

import collections
import contextlib
import mmap
import socket
import threading
import time

from netref.lib import spawn


class Handshakes:
    """Ends handshakes that take too long. One thread watches all of a server's, while there are any.

    :param seconds: how long one may take; None for ever
    """

    def __init__(self, seconds):
        self._seconds = seconds
        self._changed = threading.Condition()
        # All have the same time, so the first to begin is the first to end.
        self._running = collections.OrderedDict()
        self._is_watched = False

    @contextlib.contextmanager
    def bounded(self, sock):
        """Has what is done with a client's socket inside of it fail when the time is over.

        :raises TimeoutError: if it is
        """
        if self._seconds is None:
            yield
            return
        # The handshake may make another object of the socket, and close the first.
        with contextlib.closing(sock.dup()) as twin:
            self._begin(twin)
            try:
                yield
            finally:
                is_over = self._end(twin)
                if is_over:
                    raise TimeoutError(f"the handshake took more than {self._seconds} s (limit handshake_timeout)")

    def _begin(self, sock):
        with self._changed:
            self._running[sock] = time.monotonic() + self._seconds
            if not self._is_watched:
                spawn(self._watch)
                self._is_watched = True

    def _end(self, sock):
        """Whether the time was over."""
        with self._changed:
            is_over = self._running.pop(sock, None) is None
            self._changed.notify()
            return is_over

    def _watch(self):
        with self._changed:
            while self._running:
                sock, deadline = next(iter(self._running.items()))
                left = deadline - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                del self._running[sock]
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            self._is_watched = False


class LineBudget:
    """Lets so many lines through in a second, and counts the others.

    :param lines: how many; None for all
    """

    def __init__(self, lines):
        self._lines = lines
        self._lock = threading.Lock()
        # The second that it is, the lines left in it, and those left out so far.
        self._numbers = memoryview(bytearray(24)).cast("q")

    def share(self):
        """Counts together with the processes that are forked from now on. Two that log in the same instant may both."""
        self._numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")

    def log(self, logger, level, text, *args, **kwargs):
        """Logs a line about a client, unless there have been too many already. A line that the logger would not write is none."""
        dropped = self.take() if logger.isEnabledFor(level) else None
        if dropped is None:
            return
        if dropped:
            text += f" ({dropped} lines about other clients were left out)"
        logger.log(level, text, *args, **kwargs)

    def take(self):
        """None if a line must not be written now; else how many were left out before it."""
        if self._lines is None:
            return 0
        second = int(time.monotonic())
        with self._lock:
            current, left, dropped = self._numbers[:3].tolist()
            if second != current:
                left = self._lines
            if left == 0:
                self._numbers[2] = dropped + 1
                return None
            self._numbers[0], self._numbers[1], self._numbers[2] = second, left - 1, 0
            return dropped
