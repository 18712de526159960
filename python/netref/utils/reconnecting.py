"""A root that outlives its connection."""

import collections
import functools
import logging
import random
import threading
import time
import weakref

from netref.core.errors import ConnectionLost

#: A connection that ends sooner than after as many seconds is no better than none.
_SHORT = 1.0


class Reconnecting:
    """A peer's root over whatever connection there is at present; the next use after a loss makes a new one::

        server = netref.Reconnecting(lambda: netref.connect("localhost", 18861), on_state=print)
        server.root.add(1, 2)

    A call that is under way when the connection is lost fails with :class:`~netref.ConnectionLost`, and is never repeated. So
    does every use of what was got over a lost connection, with :class:`~netref.StaleReference`: it never reaches another object.
    Threads may share the handle.

    Attempts to connect that fail with an ``OSError`` or ``EOFError`` are repeated, after a pause that doubles from one to the
    next, less up to half of it by chance. Other errors go to whoever needed the connection.

    :param dial: makes a connection
    :param on_state: called with each new state, and with what led to it or None; with nothing locked, and in order. The states
        are ``"connecting"``, ``"connected"``, ``"waiting"`` (to try again), ``"disconnected"`` and ``"closed"``
    :param timeout: seconds that a use waits for a connection; None for ever
    :param first_pause: seconds after the first failure
    :param last_pause: most seconds between two attempts
    """

    def __init__(self, dial, on_state=None, *, timeout=30, first_pause=0.1, last_pause=30):
        self._dial = dial
        self._on_state = on_state
        self._timeout = timeout
        self._pauses = first_pause, last_pause
        self._changed = threading.Condition()
        self._state = "disconnected"
        self._conn = None
        self._since = 0.0
        self._is_dialling = False
        self._failures = 0
        self._error = None
        self._next_attempt = 0.0
        self._news = collections.deque()
        self._is_telling = False
        self._root = _Root(self)

    def __enter__(self):
        return self

    def __exit__(self, typ, val, tb):
        self.close()

    def __repr__(self):
        return f"<netref.Reconnecting ({self._state})>"

    @property
    def root(self):
        """The root of the present connection, whichever that is at each use: it can be kept."""
        return self._root

    @property
    def state(self):
        """The present state."""
        return self._state

    @property
    def connection(self):
        """The present connection. Makes one if there is none.

        :raises ConnectionLost: if there is none in time, or the handle is closed
        """
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while True:
            conn = self._present_or_turn_to_dial(deadline)
            if conn is None:
                conn = self._connect()
            self._tell()
            if conn is not None and not conn.closed:
                return conn

    def close(self):
        """Closes the connection, if there is one, and ends every wait for one."""
        with self._changed:
            conn, self._conn = self._conn, None
            if self._state != "closed":
                self._enter("closed")
        if conn is not None:
            conn.close()
        self._tell()

    def _present_or_turn_to_dial(self, deadline):
        """The present connection, or None if it is for this thread to make one."""
        while True:
            self._notice_loss()
            with self._changed:
                now = time.monotonic()
                if self._state == "closed":
                    raise ConnectionLost("the reconnecting handle is closed")
                if self._conn is not None:
                    return self._conn
                if not self._is_dialling and now >= self._next_attempt:
                    self._is_dialling = True
                    self._enter("connecting")
                    return None
                if deadline is not None and now >= deadline:
                    error = self._error
                    raise ConnectionLost(f"no connection within {self._timeout} s; the last attempt: {error}") from error
                # Whoever dials, or closes the handle, wakes this thread.
                limits = [deadline, None if self._is_dialling else self._next_attempt]
                self._changed.wait(min((limit - now for limit in limits if limit is not None), default=None))

    def _connect(self):
        """Makes a connection. None if that fails in a way that may pass."""
        self._tell()
        conn = error = None
        try:
            conn = self._dial()
            conn._expect_successor()
        except (OSError, EOFError) as failure:
            error = failure
        finally:
            with self._changed:
                self._is_dialling = False
                is_unwanted = self._state == "closed"
                if conn is not None and not is_unwanted:
                    self._conn, self._since = conn, time.monotonic()
                    self._enter("connected")
                elif not is_unwanted:
                    self._failures += 1
                    self._pause(error)
                    self._enter("waiting", error)
                self._changed.notify_all()
        if conn is None or is_unwanted:
            if conn is not None:
                conn.close()
            return None
        # An end before this is noticed by the next use.
        conn._when_ended.append(functools.partial(_lose, weakref.ref(self)))
        return conn

    def _notice_loss(self):
        conn = self._conn
        if conn is not None and conn.closed:
            self._lose(conn, conn._end_reason or "it belongs to the parent process")
            self._tell()

    def _lose(self, conn, reason):
        with self._changed:
            if self._conn is not conn:
                return
            self._conn = None
            was_short = time.monotonic() - self._since < _SHORT
            self._failures = self._failures + 1 if was_short else 0
            error = ConnectionLost(f"connection lost: {reason}")
            self._pause(error)
            self._enter("disconnected", error)
        self._tell()

    def _pause(self, error):
        """Has the next attempt wait, the longer the more have failed."""
        self._error = error
        first, last = self._pauses
        pause = min(last, first * 2 ** min(self._failures - 1, 64)) if self._failures else 0
        self._next_attempt = time.monotonic() + random.uniform(pause / 2, pause)

    def _enter(self, state, error=None):
        self._state = state
        self._news.append((state, error))
        self._changed.notify_all()

    def _tell(self):
        """Calls ``on_state`` for all that is new, unless another thread is at it, which will see it."""
        while self._news:
            with self._changed:
                if self._is_telling:
                    return
                self._is_telling = True
            try:
                while self._news:
                    state, error = self._news.popleft()
                    if self._on_state is not None:
                        self._on_state(state, error)
            except Exception:
                logging.getLogger("rpyc").exception("on_state of a reconnecting root failed")
            finally:
                with self._changed:
                    self._is_telling = False


def _lose(handle, conn, reason):
    handle = handle()
    if handle is not None:
        handle._lose(conn, reason)


class _Root:
    """The root of a :class:`Reconnecting`'s present connection."""

    __slots__ = ("_Root__handle", "__weakref__")

    def __init__(self, handle):
        object.__setattr__(self, "_Root__handle", handle)

    def __getattr__(self, name):
        return getattr(self.__handle.connection.root, name)

    def __setattr__(self, name, value):
        setattr(self.__handle.connection.root, name, value)

    def __delattr__(self, name):
        delattr(self.__handle.connection.root, name)

    def __dir__(self):
        return dir(self.__handle.connection.root)

    def __repr__(self):
        return f"<root of {self.__handle!r}>"
