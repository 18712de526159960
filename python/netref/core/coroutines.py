"""Coroutines: those that wait for a peer, and those of this side that a peer calls. Imported where there are any."""

import asyncio
import atexit
import collections
import os
import threading

from netref import _netref

# ---- coroutines that wait for a peer


async def wait(result):
    """The value of an :class:`~netref.core.async_.AsyncResult`, or its exception, once it is known."""
    arrival = _Arrival()
    result._when_known(arrival)
    return await _outcome(result, arrival)


async def request(conn, handler, *args):
    """Sends a request and waits for its result. Nothing blocks the event loop. One round trip."""
    arrival = _Arrival()
    while (result := _netref.post(conn, handler, args, arrival)) is None:
        await _mailbox().room(conn)
    try:
        return await _outcome(result, arrival)
    except asyncio.CancelledError:
        # Whoever keeps the exception keeps this frame, but not what a late reply refers to.
        result._give_up()
        raise
    finally:
        del result  # of which an exception is part, which refers to this frame


async def _outcome(result, arrival):
    left = result._time_left()
    timer = None if left is None else arrival.expire_after(left)
    try:
        in_time = await arrival
        if not in_time:
            raise result._expired_error()
        return result.value
    except StopIteration:
        # Which no coroutine may raise.
        raise StopAsyncIteration from None
    finally:
        # A wait that is cancelled leaves nothing behind.
        result._forget(arrival)
        if timer is not None:
            timer.cancel()
        del result  # see above


class _Arrival:
    """What a coroutine waits for: a result's becoming known, which any thread may tell by calling this."""

    __slots__ = ("_future", "_mailbox")

    def __init__(self):
        self._mailbox = _mailbox()
        self._future = self._mailbox.loop.create_future()

    def __call__(self, result):
        self._mailbox.put(self._future)

    def __await__(self):
        return self._future.__await__()

    def expire_after(self, seconds):
        return self._mailbox.loop.call_later(seconds, _set, self._future, False)


class _Mailbox:
    """Tells the coroutines of an event loop what has come for them, however much it is, by waking the loop once."""

    def __init__(self, loop):
        self.loop = loop
        self._arrived = collections.deque()
        self._is_woken = False
        self._rooms = {}

    def put(self, future):
        """Completes a future of the loop's, from any thread."""
        self._arrived.append(future)
        if not self._is_woken:
            self._is_woken = True
            try:
                self.loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                pass  # the loop is closed, and with it all that waited there

    def _deliver(self):
        # First of all: what comes from now on wakes the loop again.
        self._is_woken = False
        while self._arrived:
            _set(self._arrived.popleft(), True)

    def room(self, conn):
        """A future for when more may be sent over a connection. All who wait share one thread that watches."""
        future = self._rooms.get(conn)
        if future is None:
            future = self._rooms[conn] = self.loop.create_future()
            future.add_done_callback(lambda future: self._rooms.pop(conn))
            _netref.when_there_is_room(conn, lambda: self.put(future))
        return asyncio.shield(future)


def _set(future, value):
    if not future.done():
        future.set_result(value)


_local = threading.local()


def _mailbox():
    """The mailbox of the event loop that runs in this thread."""
    loop = asyncio.get_running_loop()
    mailbox = getattr(_local, "mailbox", None)
    if mailbox is None or mailbox.loop is not loop:
        mailbox = _local.mailbox = _Mailbox(loop)
    return mailbox


class Awaited:
    """What stands for a proxy in coroutines, and crosses as it: the base of ``netref.aio.Remote``."""

    __slots__ = ("__weakref__", "_netref_proxy")


def unwrap(remote):
    """The proxy in a :class:`~netref.aio.Remote`, for code that blocks. Anything else is returned as it is; so are the items of a
    tuple."""
    if isinstance(remote, Awaited):
        return remote._netref_proxy
    if type(remote) is tuple:
        return tuple(map(unwrap, remote))
    return remote


# ---- coroutines that a peer calls

#: The tasks of each connection. An event loop would forget a task that nobody else knows.
_tasks = {}


def serve(served, is_awaited_here):
    """Has a coroutine that a peer has called run on the connection's event loop.

    :param served: a ``_netref.Served``
    :param is_awaited_here: whether this thread cannot go on before some call of its own is answered
    """
    loop = served.connection._config.get("loop") or _own.get()
    if is_awaited_here and _runs_here(loop):
        raise RuntimeError(
            "a peer called a coroutine whose event loop is blocked by a call that waits for this peer: "
            "await that call instead (netref.aio), or make it in another thread"
        )
    loop.call_soon_threadsafe(_begin, loop, served)


def _runs_here(loop):
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _cancel_all(conn, reason):
    for task in tuple(_tasks.get(conn, ())):
        try:
            task.get_loop().call_soon_threadsafe(task.cancel, reason)
        except RuntimeError:
            pass  # the loop is closed


def _begin(loop, served):
    conn = served.connection
    if _cancel_all not in conn._when_ended:
        conn._when_ended.append(_cancel_all)
    task = loop.create_task(_carry_out(served))
    tasks = _tasks.setdefault(conn, set())
    tasks.add(task)
    task.add_done_callback(lambda task: _finish(conn, served, task))
    if conn.closed:
        task.cancel()


async def _carry_out(served):
    try:
        value = await served
    except asyncio.CancelledError:
        raise
    except StopAsyncIteration:
        # What ends a loop of the peer's.
        served.fail(StopIteration())
    except BaseException as error:
        # The peer's to hear, whatever it is: nothing that it makes happen ends this side's loop.
        served.fail(error)
    else:
        served.answer(unwrap(value))


def _finish(conn, served, task):
    if task.cancelled():
        served.close()
        served.fail(RuntimeError("the coroutine was cancelled by its own side"))
    tasks = _tasks.get(conn)
    if tasks is not None:
        tasks.discard(task)
        if not tasks:
            _tasks.pop(conn, None)


class Stream:
    """An asynchronous generator as its peer sees it, which iterates over it like over anything."""

    def __init__(self, items):
        self._items = items

    def __iter__(self):
        return self

    async def __next__(self):
        return await self._items.__anext__()

    async def _take(self, count):
        """The next items: fewer than asked for only at the end."""
        taken = []
        while len(taken) < count:
            try:
                taken.append(await self._items.__anext__())
            except StopAsyncIteration:
                break
        return tuple(taken)


# ---- the event loop for connections of programs that have none


class _OwnLoop:
    """An event loop in a thread of its own, from the first use on."""

    def __init__(self):
        self._lock = threading.Lock()
        self._loop = self._thread = None

    def get(self):
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="netref-loop", daemon=True)
                self._thread.start()
            return self._loop

    def stop(self):
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            # One that does not come to an end is left behind, as threads of the driver are.
            self._thread.join(0.25)


_own = _OwnLoop()
atexit.register(lambda: _own.stop())


def _begin_anew():
    """In a forked child, which has no other thread than its own, and whose parent's loop is not for it."""
    global _own
    _own = _OwnLoop()
    _tasks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
