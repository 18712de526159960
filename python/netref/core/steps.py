"""What happens to each message of a connection, one step after the other, for programs that replace some of the steps.

Natively all of it is done at once. A connection whose class overrides a method of :class:`Steps`, or that is given one of its
own, leaves the native path: from then on its messages go through the methods here, and so through the program's. So does one that
is made when :mod:`netref.core.brine` has been extended. All other connections go on as before.

Frames, sequence numbers and the tables of references stay native, and so do DEL, CLOSE and a PING with plain data, which whoever
reads answers at once.
"""

import os
import threading

from netref import _netref
from netref.core import brine, consts
from netref.core.transport import ChannelStream
from netref.lib.colls import WeakValueDict


class Steps:
    """The steps, as methods of a connection. A connection that is on the native path calls none of them."""

    # ---- objects in boxes

    def _box(self, obj):
        """The pair (label, value) that an object travels as. An object of this side that is not plain data is lent by it."""
        if brine.dumpable(obj):
            return consts.LABEL_VALUE, self._extension.hide(obj) if self._extension else obj
        if type(obj) is tuple:
            return consts.LABEL_TUPLE, tuple(map(self._box, obj))
        label, id_pack = reference = _netref.refer(self, obj)
        if label == consts.LABEL_REMOTE_REF:
            _lent_for_message(self).append(id_pack)
        return reference

    def _unbox(self, package):
        """The object that a pair (label, value) of the peer's stands for."""
        label, value = package
        if label == consts.LABEL_VALUE:
            return self._extension.reveal(value) if self._extension else value
        if label == consts.LABEL_TUPLE:
            return tuple(map(self._unbox, value))
        if label == consts.LABEL_LOCAL_REF:
            return self._local_objects[value]
        if label != consts.LABEL_REMOTE_REF:
            raise ValueError(f"invalid label {label!r}")
        proxy = self._proxy_cache.get(value)
        if proxy is not None:
            proxy.____refcount__ += 1
            return proxy
        proxy = _netref.received(self, value)  # one from before the native path was left
        if proxy is None:
            proxy = self._proxy_cache[value] = self._netref_factory(value)
        return proxy

    def _netref_factory(self, id_pack):
        """A new proxy for the peer's object that the id pack names. One round trip if its class was not met before."""
        return _netref.make_proxy(self, id_pack)

    # ---- requests of this side

    def _get_seq_id(self):
        return _netref.take_number(self)

    def _async_request(self, handler, args=(), callback=lambda is_exc, obj: None):
        """Sends a request. ``callback`` is called with its result, or with True and its exception."""
        seq = self._get_seq_id()
        self._request_callbacks[seq] = callback
        try:
            with _Message(self):
                self._send(consts.MSG_REQUEST, seq, (handler, self._box(args)))
        except BaseException:
            self._request_callbacks.pop(seq, None)
            raise

    def _seq_request_callback(self, msg, seq, is_exc, obj):
        callback = self._request_callbacks.pop(seq, None)
        if callback is not None:
            callback(is_exc, obj)

    def _send(self, msg, seq, args):
        """Sends a message of any kind: a request's handler and box, a result's box, or an exception's data."""
        _netref.send(self, msg, seq, args, _lent_for_message(self))

    # ---- requests of the peer

    def _dispatch_request(self, seq, raw_args):
        """Carries out a request of the peer, and answers it."""
        try:
            handler, args = raw_args
            result = self._HANDLERS[handler](self, *self._unbox(args))
        except BaseException as error:
            self._answer_with(seq, error)
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                raise
            return
        try:
            with _Message(self):
                self._send(consts.MSG_REPLY, seq, self._box(result))
        except Exception as error:
            self._answer_with(seq, error)

    def _answer_with(self, seq, error):
        with _Message(self):
            self._send(consts.MSG_EXCEPTION, seq, self._box_exc(type(error), error, error.__traceback__))

    @classmethod
    def _request_handlers(cls):
        """What carries out each request: functions of the connection and the request's arguments, by the request's number."""
        return {
            consts.HANDLE_PING: cls._handle_ping,
            consts.HANDLE_CLOSE: cls._handle_close,
            consts.HANDLE_GETROOT: cls._handle_getroot,
            consts.HANDLE_GETATTR: cls._handle_getattr,
            consts.HANDLE_DELATTR: cls._handle_delattr,
            consts.HANDLE_SETATTR: cls._handle_setattr,
            consts.HANDLE_CALL: cls._handle_call,
            consts.HANDLE_CALLATTR: cls._handle_callattr,
            consts.HANDLE_REPR: cls._handle_repr,
            consts.HANDLE_STR: cls._handle_str,
            consts.HANDLE_CMP: cls._handle_cmp,
            consts.HANDLE_HASH: cls._handle_hash,
            consts.HANDLE_DIR: cls._handle_dir,
            consts.HANDLE_PICKLE: cls._handle_pickle,
            consts.HANDLE_DEL: cls._handle_del,
            consts.HANDLE_INSPECT: cls._handle_inspect,
            consts.HANDLE_BUFFITER: cls._handle_buffiter,
            consts.HANDLE_OLDSLICING: cls._handle_oldslicing,
            consts.HANDLE_CTXEXIT: cls._handle_ctxexit,
            consts.HANDLE_INSTANCECHECK: cls._handle_instancecheck,
        }

    @property
    def _HANDLERS(self):
        """This connection's :meth:`_request_handlers`, which may be changed. Whoever asks for them is taken to do so."""
        self._leave_native_path(True)
        if "_handlers" not in vars(self):
            vars(self)["_handlers"] = self._request_handlers()
        return vars(self)["_handlers"]

    @_HANDLERS.setter
    def _HANDLERS(self, handlers):
        self._leave_native_path(True)
        vars(self)["_handlers"] = handlers

    def _check_attr(self, obj, name, perm):
        """The name of the attribute that a peer reaches by ``name``.

        :raises AttributeError: if it reaches none
        """
        return _netref.check_attr(self, obj, name, perm)

    def _access_attr(self, obj, name, args, overrider, param, default):
        """Does to an attribute what a peer asked for: by the object's own rules if it has any, else by the configuration."""
        if type(name) is bytes:
            name = name.decode("utf8")
        elif type(name) is not str:
            raise TypeError("name must be a string")
        accessor = getattr(type(obj), overrider, None)
        if accessor is None:
            return default(obj, self._check_attr(obj, name, param), *args)
        return accessor(obj, name, *args)

    def _handle_ping(self, data):
        return data

    def _handle_close(self):
        self._hang_up()

    def _handle_getroot(self):
        return self._local_root

    def _handle_del(self, obj, count=1):
        """Not called for a DEL of the peer's, which takes effect when it is read."""

    def _handle_getattr(self, obj, name):
        return _netref.perform(self, consts.HANDLE_GETATTR, obj, name)

    def _handle_delattr(self, obj, name):
        return _netref.perform(self, consts.HANDLE_DELATTR, obj, name)

    def _handle_setattr(self, obj, name, value):
        return _netref.perform(self, consts.HANDLE_SETATTR, obj, name, value)

    def _handle_call(self, obj, args, kwargs=()):
        return _netref.perform(self, consts.HANDLE_CALL, obj, args, kwargs)

    def _handle_callattr(self, obj, name, args, kwargs=()):
        return self._handle_call(self._handle_getattr(obj, name), args, kwargs)

    def _handle_repr(self, obj):
        return _netref.perform(self, consts.HANDLE_REPR, obj)

    def _handle_str(self, obj):
        return _netref.perform(self, consts.HANDLE_STR, obj)

    def _handle_cmp(self, obj, other, op="__cmp__"):
        return _netref.perform(self, consts.HANDLE_CMP, obj, other, op)

    def _handle_hash(self, obj):
        return _netref.perform(self, consts.HANDLE_HASH, obj)

    def _handle_dir(self, obj):
        return _netref.perform(self, consts.HANDLE_DIR, obj)

    def _handle_pickle(self, obj, proto):
        return _netref.perform(self, consts.HANDLE_PICKLE, obj, proto)

    def _handle_inspect(self, id_pack):
        return _netref.perform(self, consts.HANDLE_INSPECT, id_pack)

    def _handle_buffiter(self, obj, count):
        return _netref.perform(self, consts.HANDLE_BUFFITER, obj, count)

    def _handle_oldslicing(self, obj, attempt, fallback, start, stop, args):
        return _netref.perform(self, consts.HANDLE_OLDSLICING, obj, attempt, fallback, start, stop, args)

    def _handle_ctxexit(self, obj, exc):
        return _netref.perform(self, consts.HANDLE_CTXEXIT, obj, exc)

    def _handle_instancecheck(self, obj, other_id_pack):
        return _netref.perform(self, consts.HANDLE_INSTANCECHECK, obj, other_id_pack)

    # ---- what steps of a program's own may want to look at

    @property
    def _local_objects(self):
        """What is lent to the peer, by id pack."""
        return _LentObjects(self)

    @property
    def _request_callbacks(self):
        """What to call with the replies that are awaited, by sequence number. Those of results are kept elsewhere."""
        return vars(self).setdefault("_callbacks", {})

    @property
    def _proxy_cache(self):
        """Proxies that :meth:`_netref_factory` has made, by id pack, as long as they live."""
        cache = vars(self).get("_proxies")
        if cache is None:
            cache = vars(self)["_proxies"] = WeakValueDict()
        return cache

    @property
    def _sendlock(self):
        """A lock for steps of a program's own. Sending needs none."""
        return vars(self).setdefault("_lock", threading.Lock())

    @property
    def _send_queue(self):
        """Always empty: what is to be sent is queued natively."""
        return []

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name in STEPS:
            self._leave_native_path(name != "sync_request")


#: Names of the methods with which a program replaces a step.
STEPS = frozenset(
    [name for name, value in vars(Steps).items() if name[0] == "_" and callable(getattr(Steps, name)) and name[1] != "_"]
    + ["async_request", "sync_request"]
) - {"_answer_with"}


def replaced_steps(cls):
    """The names of the steps that a class of connections has of its own."""
    names = set()
    for base in cls.__mro__:
        if base is Steps:
            break
        if not STEPS.isdisjoint(vars(base)):
            names |= STEPS & vars(base).keys()
    return names


class _Message:
    """A message that the thread is making: the references that its boxes lend are taken back if it is not sent.

    Between being boxed and being sent they belong to nobody else: a step of the program's own can fail there.
    """

    __slots__ = ("conn", "lent")

    def __init__(self, conn):
        self.conn = conn
        self.lent = []

    def __enter__(self):
        _making.messages.append(self)

    def __exit__(self, kind, error, traceback):
        _making.messages.pop()
        if kind is not None and self.lent:
            _netref.take_back(self.conn, self.lent)


class _Making(threading.local):
    """What the thread is making, the innermost message last: one can be read, and answered, while another waits to be sent."""

    def __init__(self):
        self.messages = []


_making = _Making()


def _lent_for_message(conn):
    """The id packs of the references lent for the message that the thread is making. A list that nobody looks at, if it boxes
    something outside of one."""
    messages = _making.messages
    return messages[-1].lent if messages and messages[-1].conn is conn else []


class _LentObjects:
    """What a connection lends, by id pack."""

    __slots__ = ("_conn",)

    def __init__(self, conn):
        self._conn = conn

    def __getitem__(self, id_pack):
        return _netref.lent(self._conn, id_pack)

    def __len__(self):
        return self._conn.stats()["objects_lent"]


class Extension:
    """Values of classes that a program has taught :mod:`netref.core.brine`, on their way through the native part.

    That part sees a plain value in place of each, which nobody else can make.
    """

    def __init__(self):
        self._mark = os.urandom(16)
        self._hidden = {}
        self._lock = threading.Lock()

    def hide(self, value):
        """A plain value that stands for the one given, wherever in it there are values of such classes."""
        if type(value) in (tuple, frozenset):
            return type(value)(map(self.hide, value))
        if type(value) in brine._SIMPLE_TYPES or type(value) is slice:
            return value
        with self._lock:
            number = len(self._hidden)
            while number in self._hidden:
                number += 1
            self._hidden[number] = value
        return self._mark, number

    def reveal(self, value):
        """The value that a plain one stands for."""
        if type(value) is tuple and len(value) == 2 and value[0] == self._mark:
            with self._lock:
                return self._hidden.pop(value[1])
        if type(value) in (tuple, frozenset):
            return type(value)(map(self.reveal, value))
        return value


class ExtendedStream(ChannelStream):
    """Messages as :mod:`netref.core.brine` writes and reads them, of a connection with an :class:`Extension`."""

    __slots__ = ("_extension", "_has_threads")

    def __init__(self, channel, extension, has_threads):
        super().__init__(channel)
        self._extension = extension
        self._has_threads = has_threads

    def _received(self, payload):
        head, body = self._split(payload)
        return head + _netref.dump(self._extension.hide(brine.load(body)))

    def _to_send(self, payload):
        head, body = self._split(payload)
        return head + brine.dump(self._extension.reveal(_netref.load(body)))

    def _split(self, payload):
        """What comes before the brine, and that. RPyC 5 has the kind of the message in it, RPyC 6 before it."""
        start = 16 if self._has_threads else 0
        if payload[start : start + 1] in (b"\x01", b"\x02", b"\x03"):
            start += 1
        return payload[:start], payload[start:]
