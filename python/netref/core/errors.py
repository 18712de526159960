"""Errors of connections themselves."""


class ConnectionLost(EOFError):
    """A connection has ended: the message says who ended it and why, and ``__cause__`` is the original error if there is one.

    Every call that waits when a connection ends fails with it, and so does every later use. To a peer it is an ``EOFError``.
    """


class ForkedConnectionError(ConnectionLost):
    """A connection of the parent process was used in a forked child, where nothing is sent over it or read from it."""


class StaleReference(ConnectionLost):
    """What was used belongs to a connection of a :class:`netref.Reconnecting` that has ended, and has to be got anew."""
