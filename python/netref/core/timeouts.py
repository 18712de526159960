"""Limits on how long calls wait."""

import contextvars

from netref import _netref

#: The limit of the innermost block, in a tuple; or None outside of any.
_limit = contextvars.ContextVar("netref.timeout", default=None)


class timeout:
    """Limits how long each call in a block waits for its reply, in place of its connection's ``sync_request_timeout``::

        with netref.timeout(600):
            conn.root.analyse(data)

    It holds for all connections, in this thread (in asyncio, this task) alone. Results of ``async_`` functions have an expiry of
    their own.

    :param seconds: None for no limit
    """

    def __init__(self, seconds):
        if seconds is not None and not (isinstance(seconds, (int, float)) and seconds >= 0):
            raise ValueError(f"a timeout is a number of seconds, or None, not {seconds!r}")
        self.seconds = seconds
        self._tokens = []

    def __enter__(self):
        _netref.watch_limits(_limit)
        self._tokens.append(_limit.set((self.seconds,)))
        return self

    def __exit__(self, typ, val, tb):
        _limit.reset(self._tokens.pop())

    def __repr__(self):
        return f"timeout({self.seconds!r})"
