"""Remote objects in coroutines: every operation is awaited, costs one round trip, and blocks nothing.

::

    from netref import aio

    async def main():
        async with aio.connect("localhost", 18861) as conn:
            total = await conn.root.add(1, 2)
            async for line in await conn.root.open("notes.txt"):
                print(line)

The other side may be netref or RPyC, and knows nothing of it. The same connection can be used by threads meanwhile
(:attr:`Connection.sync`), and ``await`` works on any :class:`~netref.core.async_.AsyncResult`.

Methods and callbacks of this side that are ``async def`` run on the event loop of the connection when the peer calls them, who
gets their result when they end; see the setting ``loop`` in :data:`netref.core.protocol.DEFAULT_CONFIG`.
"""

import asyncio
import contextlib
import functools

from netref.core import consts
from netref.core.coroutines import Awaited, request, unwrap
from netref.core.netref import BaseNetref
from netref.core.service import VoidService
from netref.utils import factory
from netref.utils.server import ThreadedServer

__all__ = ["Connection", "Remote", "buffiter", "connect", "over", "serve", "unwrap", "wrap"]


class connect:
    """Connects to a server: ``conn = await connect(...)``, or ``async with connect(...) as conn`` to close it in the end.

    :param host: the server's host
    :param port: the server's port
    :param service: what the server gets from this side
    :param config: settings of the connection
    :param options: further ones of :func:`netref.connect`
    :returns: a :class:`Connection`
    """

    def __init__(self, host, port, service=VoidService, config={}, **options):
        self._dial = functools.partial(factory.connect, host, port, service, **options)
        self._config = config
        self._made = None

    async def _make(self):
        config = {"loop": asyncio.get_running_loop(), **self._config}
        return await over(await _on_a_thread(self._dial, config=config))

    def __await__(self):
        return self._make().__await__()

    async def __aenter__(self):
        self._made = await self._make()
        return self._made

    async def __aexit__(self, typ, val, tb):
        await self._made.close()


async def over(conn):
    """The :class:`Connection` for a connection that was made otherwise. One round trip, unless its root is known."""
    return Connection(conn, await _on_a_thread(lambda: conn.root))


async def _on_a_thread(function, **options):
    """Runs a function that talks to a peer on another thread. Peers raise what they like, also what no future takes, which would
    then be waited for without end."""

    def run():
        try:
            return function(**options)
        except StopIteration:
            raise StopAsyncIteration from None

    return await asyncio.to_thread(run)


@contextlib.asynccontextmanager
async def serve(service, server=ThreadedServer, **options):
    """Serves while the block runs: ``async with serve(MyService, port=18861) as server``.

    Coroutines of the service run on this event loop, and other methods on threads of the server's.

    :param service: the service
    :param server: the class of the server
    :param options: options of the server
    :returns: the server, whose ``port`` it is
    """
    config = {"loop": asyncio.get_running_loop(), **options.pop("protocol_config", {})}
    running = server(service, protocol_config=config, **options)
    running._start_in_thread()
    try:
        yield running
    finally:
        await asyncio.to_thread(running.close)


class Connection:
    """A connection as coroutines see it. Made by :func:`connect` and :func:`over`."""

    def __init__(self, conn, root):
        self._conn = conn
        self._root = Remote(root)

    @property
    def root(self):
        """The peer's service, as a :class:`Remote`."""
        return self._root

    @property
    def sync(self):
        """The same connection, for threads."""
        return self._conn

    @property
    def closed(self):
        """Whether the connection has ended."""
        return self._conn.closed

    async def close(self):
        """Closes the connection."""
        await _on_a_thread(self._conn.close)

    async def __aenter__(self):
        return self

    async def __aexit__(self, typ, val, tb):
        await self.close()

    def __repr__(self):
        return f"<aio {self._conn!r}>"


class Remote(Awaited):
    """A remote object as coroutines see it. Made by :func:`wrap`; results of awaited operations are wrapped already.

    =============================  ==========================================
    ``await remote(x)``            calls it
    ``await remote.method(x)``     calls a method
    ``await remote.name``          an attribute's value
    ``await remote[key]``          an item
    ``async for x in remote``      its items, one at a time; see :func:`buffiter`
    ``async with remote as x``     enters and leaves it
    =============================  ==========================================

    Other special methods are called by name: ``await remote.__len__()``. A remote object can be passed as an argument, and be the
    result of a coroutine that a peer calls. ``==`` tells whether two are the same object, without asking the peer.
    """

    __slots__ = ()

    def __init__(self, proxy):
        self._netref_proxy = proxy

    def __getattr__(self, name):
        return _Attribute(self._netref_proxy, name)

    async def __call__(self, *args, **kwargs):
        return await _ask(self._netref_proxy, consts.HANDLE_CALL, *_arguments(args, kwargs))

    async def __getitem__(self, key):
        return await _call_method(self._netref_proxy, "__getitem__", (key,))

    # Without these, Python would ask __getitem__ for item after item, and never be told that there are no more.
    __iter__ = None
    __contains__ = None

    async def __aiter__(self):
        iterator = unwrap(await _call_method(self._netref_proxy, "__iter__"))
        while True:
            try:
                item = await _call_method(iterator, "__next__")
            except StopAsyncIteration:
                return
            yield item

    async def __aenter__(self):
        return await _call_method(self._netref_proxy, "__enter__")

    async def __aexit__(self, typ, val, tb):
        return await _ask(self._netref_proxy, consts.HANDLE_CTXEXIT, val)

    def __eq__(self, other):
        return isinstance(other, Remote) and self._netref_proxy is other._netref_proxy

    def __hash__(self):
        return id(self._netref_proxy)

    def __repr__(self):
        name, _, number = self._netref_proxy.____id_pack__
        return f"<aio.Remote of {name} {number:#x}>"


class _Attribute:
    """An attribute of a remote object, to be awaited or called."""

    __slots__ = ("_name", "_proxy")

    def __init__(self, proxy, name):
        self._proxy = proxy
        self._name = name

    def __await__(self):
        return _ask(self._proxy, consts.HANDLE_GETATTR, self._name).__await__()

    async def __call__(self, *args, **kwargs):
        return await _call_method(self._proxy, self._name, args, kwargs)

    def __getattr__(self, name):
        raise AttributeError(f"await {self._name!r} before using its {name!r}: each is a round trip")

    def __repr__(self):
        return f"<attribute {self._name!r} of a remote object, to be awaited or called>"


def wrap(proxy):
    """The :class:`Remote` for a proxy, such as a callback's argument. Anything but a proxy is returned as it is, so that
    results can be wrapped without a look; so are the items of a tuple."""
    if isinstance(proxy, BaseNetref):
        return Remote(proxy)
    if type(proxy) is tuple:
        return tuple(map(wrap, proxy))
    return proxy


async def buffiter(remote, chunk=10, max_chunk=1000, factor=2):
    """Iterates over a remote object, getting many items in one round trip: ``async for x in buffiter(remote)``.

    :param chunk: items of the first round trip
    :param max_chunk: most items of one round trip
    :param factor: by how much each is larger than the one before
    """
    if factor < 1:
        raise ValueError(f"factor must be >= 1, got {factor!r}")
    iterator = unwrap(await _call_method(unwrap(remote), "__iter__"))
    count = chunk
    while items := await _ask(iterator, consts.HANDLE_BUFFITER, int(count)):
        for item in items:
            yield item
        count = min(count * factor, max_chunk)


async def _call_method(proxy, name, args=(), kwargs={}):
    return await _ask(proxy, consts.HANDLE_CALLATTR, name, *_arguments(args, kwargs))


async def _ask(proxy, handler, *args):
    return wrap(await request(proxy.____conn__, handler, proxy, *args))


def _arguments(args, kwargs):
    """Positional and named arguments as they travel."""
    return unwrap(args), tuple((name, unwrap(value)) for name, value in kwargs.items())
