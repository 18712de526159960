"""Calls that do not wait, iteration in chunks, and other things built on connections."""

import itertools

from netref._netref import start_call
from netref.core import consts
from netref.core.netref import BaseNetref, syncreq
from netref.lib import spawn


def buffiter(obj, chunk=10, max_chunk=1000, factor=2):
    """Iterates over a remote iterable, fetching many items in one round trip.

    :param chunk: items of the first round trip
    :param max_chunk: most items of one round trip
    :param factor: by how much each is larger than the one before
    """
    if factor < 1:
        raise ValueError(f"factor must be >= 1, got {factor!r}")
    iterator = iter(obj)
    count = chunk
    while True:
        items = syncreq(iterator, consts.HANDLE_BUFFITER, int(count))
        if not items:
            return
        yield from items
        count = min(count * factor, max_chunk)


def restricted(obj, attrs, wattrs=None):
    """Shows some attributes of an object to a peer, or to anybody else, and no others.

    :param obj: the object
    :param attrs: names that can be read
    :param wattrs: names that can be assigned to; the same if not given
    """
    writable = attrs if wattrs is None else wattrs

    class Restricted:
        def _rpyc_getattr(self, name):
            if name not in attrs:
                raise AttributeError(name)
            return getattr(obj, name)

        def _rpyc_setattr(self, name, value):
            if name not in writable:
                raise AttributeError(name)
            setattr(obj, name, value)

        __getattr__ = _rpyc_getattr
        __setattr__ = _rpyc_setattr

    return Restricted()


class _Async:
    """Calls a remote object without waiting: each call returns an AsyncResult."""

    __slots__ = ("__weakref__", "proxy")

    def __init__(self, proxy):
        self.proxy = proxy

    def __call__(self, *args, **kwargs):
        return start_call(self.proxy, args, kwargs)

    def __repr__(self):
        return f"async_({self.proxy!r})"


def async_(proxy):
    """A version of a remote function that does not wait for its result.

    :param proxy: the remote function, or an async one, which is returned as it is
    :returns: a function that returns an :class:`~netref.core.async_.AsyncResult`
    """
    if isinstance(proxy, _Async):
        return proxy
    if not isinstance(proxy, BaseNetref):
        raise TypeError("'proxy' must be a Netref")
    if not callable(proxy):
        raise TypeError(f"'proxy' must be callable: {proxy!r}")
    return _Async(proxy)


globals()["async"] = async_  # what it was called before that was a keyword


class timed:
    """A remote function whose results expire.

    :param proxy: the remote function
    :param timeout: seconds
    """

    __slots__ = ("__weakref__", "proxy", "timeout")

    def __init__(self, proxy, timeout):
        self.proxy = async_(proxy)
        self.timeout = timeout

    def __call__(self, *args, **kwargs):
        result = self.proxy(*args, **kwargs)
        result.set_expiry(self.timeout)
        return result

    def __repr__(self):
        return f"timed({self.proxy.proxy!r}, {self.timeout!r})"


class BgServingThread:
    """A thread that serves a connection. Not needed: a connection that nobody waits on is served anyway.

    :param conn: the connection
    :param callback: called with no arguments when the connection has ended
    """

    SERVE_INTERVAL = 0.0
    SLEEP_INTERVAL = 0.1
    _ids = itertools.count(1)

    def __init__(self, conn, callback=None, serve_interval=SERVE_INTERVAL, sleep_interval=SLEEP_INTERVAL):
        self._conn = conn
        self._active = True
        self._callback = callback
        self._serve_interval = serve_interval
        self._sleep_interval = sleep_interval
        self._thread = spawn(self._bg_server)

    def __del__(self):
        if self._active:
            self.stop()

    def _bg_server(self):
        try:
            while self._active:
                self._conn.serve(0.1)
        except Exception:
            if self._active:
                self._active = False
                if self._callback is None:
                    raise
                self._callback()

    def stop(self):
        """Ends the thread and waits for it. The connection stays open."""
        if not self._active:
            raise AssertionError("the thread was stopped already")
        self._active = False
        self._thread.join()
        self._conn = None


def classpartial(*args, **kwargs):
    """A service class that is made with the given arguments for each connection: ``classpartial(MyService, 1, name="x")``."""
    cls, args = args[0], args[1:]

    class Partial(cls):
        def __init__(self):
            super().__init__(*args, **kwargs)

    Partial.__name__ = cls.__name__
    Partial.__qualname__ = cls.__qualname__
    Partial.__module__ = cls.__module__
    return Partial
