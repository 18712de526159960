"""Connections."""

import atexit
import functools
import itertools
import logging
import os
import sys
import time
import types

from netref import _netref
from netref.core import brine, consts, vinegar
from netref.core.errors import ConnectionLost
from netref.core.errors import ForkedConnectionError as ForkedConnectionError
from netref.core.steps import ExtendedStream, Extension, Steps, replaced_steps
from netref.core.transport import transport_of
from netref.lib import Timeout


class PingError(Exception):
    """A ping came back changed."""


#: What a message names in place of a thread that is not known yet, with ``bind_threads``.
UNBOUND_THREAD_ID = 0

DEFAULT_CONFIG = {
    # Attributes.
    "allow_safe_attrs": True,
    "allow_exposed_attrs": True,
    "allow_public_attrs": False,
    "allow_all_attrs": False,
    "safe_attrs": set(_netref.SAFE_ATTRS),
    "exposed_prefix": "exposed_",
    "allow_getattr": True,
    "allow_setattr": False,
    "allow_delattr": False,
    # Exceptions.
    "include_local_traceback": True,
    "include_local_version": True,
    "instantiate_custom_exceptions": False,
    "import_custom_exceptions": False,
    "instantiate_oldstyle_exceptions": False,
    "propagate_SystemExit_locally": False,
    "propagate_KeyboardInterrupt_locally": True,
    "log_exceptions": True,
    # The rest.
    "allow_pickle": False,
    "connid": None,
    "credentials": None,
    "endpoints": None,
    "logger": None,
    "sync_request_timeout": 30,
    "before_closed": None,
    "close_catchall": False,
    "bind_threads": os.environ.get("RPYC_BIND_THREADS") == "true",
    # netref's own.
    "wire": "v6",
    "dispatch": "chain",
    "close_timeout": 1,
    "heartbeat": None,
    "serve": "background",
    "strict_policy": False,
    "loop": None,
    "one_trip_calls": True,
    "by_value": frozenset(),
}
"""The configuration that every connection starts from; a live dictionary, which programs may change.

``wire`` is the dialect that this side speaks if it speaks first: ``"v6"``, or ``"v5"`` for RPyC 5.3.1 and older. ``dispatch``
is ``"chain"`` to run a request of the peer on the thread that waits for the call it belongs to, or ``"pool"`` to run all of
them on threads of their own. ``serve`` is ``"background"`` to answer the peer also while nobody here waits or serves, until the
program serves by itself, see :meth:`Connection.serve`; or ``"manual"`` to leave all of it to the program, as RPyC does.
``one_trip_calls`` has ``proxy.method(x)`` be one round trip, rather than one for the look-up and one for the
call. ``by_value`` has the types whose instances cross as copies, see :func:`netref.by_value`. ``loop`` is the event loop for
coroutines that the peer calls: if None, the one that runs where the connection is made, or else one in a thread of netref's
own. ``close_timeout`` is how many seconds ``close()`` waits for the peer to take
note. ``heartbeat`` is after how many seconds of silence the peer is asked for a sign of life; if it gives none for as long again,
the connection is given up. A stock peer gives none while it is busy, or serves nobody; None, which is the default, is to ask
nothing. All other keys here are RPyC's.

``strict_policy`` has the attribute policy decide about ``repr``, ``str``, ``hash``, ``dir`` and calls of objects too, which
are open otherwise: by their special names, and for what is no function or method also ``__call__``.

What a peer can make this side do is bounded, and every bound is a key of its own; docs/limits.md has the list, and
:func:`netref.limits` what is in force. None is no limit. ``limits`` is a profile to start from: ``"compat"``, which breaks no
program of RPyC's and is the default, ``"default"``, or ``"strict"`` for a server that strangers can reach.

Keys of no meaning are ignored.
"""

#: Settings that go with a profile of limits.
_PROFILES = {"strict": {"sync_request_timeout": 10, "close_timeout": 0}}

_connection_ids = itertools.count(1)

atexit.register(_netref.prepare_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_netref.prepare_fork, after_in_child=_netref.forked)


class Settings(dict):
    """The configuration of a connection. It is live: the native part is told of each change."""

    __slots__ = ("changes",)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.changes = _netref.Changes()


def _noting(name):
    """A dictionary's method that changes it, and tells."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def change(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        finally:
            self.changes.note()

    return change


for _name in ("__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(Settings, _name, _noting(_name))
del _name


class Connection(Steps, _netref.Connection):
    """A connection to a peer, in both directions: this side uses the peer's objects, and serves its own.

    :param root: the service that the peer gets
    :param channel: the channel to run over
    :param config: settings, which replace those of :data:`DEFAULT_CONFIG`
    """

    _local_root = None
    _remote_root = None
    _last_traceback = None
    _end_reason = None
    #: That the connection belongs to; none yet while it is being made.
    _process = None
    #: For programs that wait in greenlets: set when the connection ends.
    _ended = None
    _extension = None

    def __init__(self, root, channel, config={}):
        self._began = time.monotonic()
        #: What is called with the connection and the reason when it ends.
        self._when_ended = []
        config = dict(config)
        settings = dict(DEFAULT_CONFIG)
        settings.update(_PROFILES.get(config.get("limits"), {}))
        settings.update(config)
        if settings["connid"] is None:
            settings["connid"] = f"conn{next(_connection_ids)}"
        if settings["loop"] is None:
            settings["loop"] = _running_loop()
        self._channel = channel
        self._bind_threads = settings["bind_threads"]
        # Servers say with whom they talk; who does not is the one who dialled.
        initiator = settings["endpoints"] is None
        self._process = os.getpid()
        over, compress = transport_of(channel)
        if over[0] == "green":
            self._ended = over[-1].event()
        if brine.is_extended():
            self._extension = Extension()
            over, compress = ("stream", ExtendedStream(channel, self._extension, self._bind_threads)), False
        self._local_root = root
        try:
            self._start(over, Settings(settings), initiator, compress, not self._serves_itself())
        except BaseException:
            self._local_root = None
            raise
        replaced = replaced_steps(type(self))
        if replaced or self._extension:
            self._leave_native_path(replaced != {"sync_request"})

    def __del__(self):
        if self._process != os.getpid():
            return  # the parent's business
        # The link cannot find a connection that is being collected, so the service is told from here.
        self._hang_up()
        if self._end_reason is None:
            self._on_ended("nobody on this side holds the connection any more")

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb):
        self.close()

    def __repr__(self):
        return f"<{type(self).__module__}.{type(self).__qualname__} {self._config['connid']!r} object at {id(self):#x}>"

    @property
    def root(self):
        """The peer's service. One round trip the first time, none after that."""
        if self._remote_root is None:
            self._remote_root = self.sync_request(consts.HANDLE_GETROOT)
        return self._remote_root

    def ping(self, data=None, timeout=3):
        """Checks that the peer answers. One round trip.

        :param data: what to send to and fro
        :param timeout: seconds to wait
        :raises PingError: if it comes back changed
        :raises TimeoutError: if it does not come back in time
        """
        if data is None:
            data = "abcdefghijklmnopqrstuvwxyz" * 20
        if self.async_request(consts.HANDLE_PING, data, timeout=timeout).value != data:
            raise PingError("echo mismatches sent data")

    def batch(self):
        """Many calls that do not depend on each other, sent together::

            with conn.batch() as batch:
                sums = [batch.root.add(n, 1) for n in range(1000)]
                size = batch.call(remote_function, "x")
                first = batch.on(remote_object).method()
            print(size.value, [sum.value for sum in sums])

        Each is an :class:`AsyncResult` at once. They are sent when the block ends, when some 64 KiB of them wait, or when one is
        waited for; and the peer, whatever it is, carries them out in this order, each whatever became of those before it. What is
        waited for is one round trip for all of them.
        """
        return _netref.Batch(self)

    @property
    def _closed(self):
        return vars(self).get("_closed") or self.closed

    @_closed.setter
    def _closed(self, closed):
        # Programs with a `close` of their own say so first, and go on from there.
        vars(self)["_closed"] = closed

    def fileno(self):
        """The file descriptor of the stream underneath, for `select` and the like to say when there is something to `serve`."""
        self._be_selected()
        return self._channel.fileno()

    def close(self):
        """Closes the connection. Waits until requests of the peer that run are answered, but for those that call this, and until
        the peer has taken note: at most half of ``close_timeout`` seconds for each. Does nothing in a forked child, whose parent
        goes on using it."""
        if self.closed or self._process != os.getpid():
            return
        before_closed = self._config.get("before_closed")
        try:
            if before_closed:
                before_closed(self.root)
        except EOFError:
            pass
        except Exception:
            if not self._config["close_catchall"]:
                raise
        finally:
            self._close(self._config.get("close_timeout", 1))
            if self._ended is not None:
                # Not only when the greenlet that is to do it has its turn.
                self._on_ended("this side closed the connection")

    def serve(self, timeout=1, wait_for_lock=True, waiting=lambda: True):
        """Works on one message of the peer, if one comes in time. Not needed for callbacks, which are served anyway.

        A program whose main thread calls this, `poll` or `poll_all` now and then gets what it gets from RPyC: from then on
        what the peer asks, and the callbacks of results, run on that thread while it serves or waits, since objects that are
        bound to a thread, such as windows, are to this one. (A service that calls this while it carries out a request, or in
        `on_connect`, changes nothing.)

        :param timeout: seconds to wait; None for ever
        :returns: whether there was one
        :raises EOFError: if the connection has ended or ends
        """
        if self._ended is not None:
            return self._rest(_seconds(timeout))
        # What an event loop waits for is read in the background.
        return self._serve(_seconds(timeout), _running_loop() is None)

    def poll(self, timeout=0):
        """Works on one message of the peer that has arrived, or arrives within ``timeout`` seconds.

        :returns: whether there was one
        """
        return self.serve(timeout, False)

    def poll_all(self, timeout=0):
        """Works on all messages of the peer that arrive within ``timeout`` seconds.

        :returns: whether there was one
        """
        limit = Timeout(timeout)
        served = False
        try:
            while self.poll(limit):
                served = True
                if limit.expired() and timeout:
                    break
        except EOFError:
            pass
        return served

    def serve_all(self):
        """Serves the peer until the connection ends."""
        try:
            if self._serves_itself():
                self._serve_by_one()
            elif self._ended is None:
                self._serve_all()
            else:
                self._ended.wait()
        finally:
            self.close()

    def serve_threaded(self, thread_count=10):
        """Serves the peer until the connection ends. As many requests as need be run at a time; ``thread_count`` is no limit."""
        self.serve_all()

    def _serves_itself(self):
        """Whether messages are worked on by a method of the program's own, and so where and when that is called."""
        return type(self).serve is not _SERVE

    def _serve_by_one(self):
        try:
            while not self.closed:
                self.serve(None)
        except EOFError:
            pass

    def _cleanup(self, _anyway=True):
        """Ends the connection without a word to the peer."""
        self._close(0)

    def _rest(self, timeout):
        """Lets other greenlets run, among them those of the peer's requests, until the time is over."""
        if self._ended.wait(timeout) or self.closed:
            raise ConnectionLost("the connection has ended")
        return False

    def _described(self):
        """The connection, for messages: its name, and where its peer is."""
        name = self._config["connid"]
        try:
            address = self._channel.stream.sock.getpeername()
        except Exception:
            # A stream without a socket, or one that is closed.
            return str(name)
        where = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else address
        return f"{name}, to {where}" if where else str(name)

    def _box_exc(self, typ, val, tb):
        logger = self._config["logger"]
        if logger and typ is not StopIteration:
            logger.debug("Exception caught", exc_info=(typ, val, tb))
        if self._config["allow_all_attrs"]:
            # For classic.pm(). Peers who cannot look at it shall not keep what its frames hold alive.
            self._last_traceback = tb
        return vinegar.dump(
            typ,
            val,
            tb,
            include_local_traceback=self._config["include_local_traceback"],
            include_local_version=self._config["include_local_version"],
        )

    def _unbox_exc(self, raw):
        limits = _netref.limits(self._config)
        return vinegar.load(
            vinegar.bounded(raw, limits["max_traceback"], limits["max_exception_attributes"]),
            import_custom_exceptions=self._config["import_custom_exceptions"],
            instantiate_custom_exceptions=self._config["instantiate_custom_exceptions"],
            instantiate_oldstyle_exceptions=self._config["instantiate_oldstyle_exceptions"],
        )

    def _on_ended(self, reason):
        """Called when the connection has ended for whatever reason, with no lock held. Tells the service, once."""
        vars(self).update(_end_reason=reason, _last_traceback=None, _remote_root=None)
        root = vars(self).pop("_local_root", None)
        if self._ended is not None:
            self._ended.set()
        for tell in tuple(self._when_ended):
            tell(self, reason)
        if root is not None:
            self._channel.close()
            try:
                tell_service(root.on_disconnect, self)
            except Exception:
                logger = self._config["logger"] or logging.getLogger("rpyc")
                logger.exception("on_disconnect of %s failed", type(root).__qualname__)


def tell_service(hook, conn):
    """Calls ``on_connect`` or ``on_disconnect``. A coroutine function would do nothing, and nobody would notice."""
    result = hook(conn)
    if isinstance(result, types.CoroutineType):
        result.close()
        raise TypeError(
            f"{getattr(hook, '__qualname__', hook)} must be an ordinary method, which can start coroutines: see docs/asyncio.md"
        )


#: As it was before any program replaced it.
_SERVE = Connection.serve


def _running_loop():
    """The event loop that runs in this thread, if any. Not imported to find out: a program that has one has done so."""
    events = sys.modules.get("asyncio.events")
    # It may be in the middle of being imported by another thread.
    running = getattr(events, "_get_running_loop", None)
    return None if running is None else running()


def _seconds(timeout):
    """A number of seconds or None, from that or a :class:`netref.lib.Timeout`."""
    return timeout.timeleft() if isinstance(timeout, Timeout) else timeout
