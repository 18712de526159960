"""What connections need of gevent, in programs that it has patched."""

import sys

import gevent
import gevent.event


def is_green(sock):
    """Whether a socket is one of gevent's."""
    return isinstance(sock, sys.modules["gevent.socket"].socket)


class Hub:
    """The hub of the calling thread, for other threads to use."""

    def __init__(self):
        self._loop = gevent.get_hub().loop

    def spawn(self, function, *args):
        """Starts a greenlet."""
        self._loop.run_callback_threadsafe(gevent.spawn, function, *args)

    def event(self):
        """Something to wait for."""
        return Event()


class Event:
    """To be set by any thread, and waited for by a greenlet of the calling one."""

    def __init__(self):
        self._loop = gevent.get_hub().loop
        self._event = gevent.event.Event()

    def set(self):
        """Wakes who waits."""
        self._loop.run_callback_threadsafe(self._event.set)

    def wait(self, timeout=None):
        """Waits for at most ``timeout`` seconds. Returns whether the event was set."""
        return self._event.wait(timeout)
