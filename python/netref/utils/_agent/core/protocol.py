"""Connections."""

import collections
import itertools
import struct
import threading
import types
import weakref
import zlib

from . import brine, vinegar
from .handlers import HANDLERS
from .netref import BaseNetref, builtin_type, make_class, methods_of, methods_of_class

REQUEST, REPLY, EXCEPTION = 1, 2, 3
VALUE, TUPLE, YOURS, MINE = 1, 2, 3, 4
BROKEN = 0  # in the place of an argument that cannot be had: the error
CLOSE, DEL, INSPECT = 2, 15, 16
_HEADER = struct.Struct("!LB")

DEFAULT_CONFIG = {
    "allow_all_attrs": False,
    "allow_public_attrs": False,
    "allow_exposed_attrs": True,
    "allow_safe_attrs": True,
    "exposed_prefix": "exposed_",
    "allow_getattr": True,
    "allow_setattr": False,
    "allow_delattr": False,
    "allow_pickle": False,
}


class Connection:
    """A connection to a peer.

    :param root: the service that the peer gets
    :param sock: the connected socket
    :param config: settings, which replace those of :data:`DEFAULT_CONFIG`
    """

    def __init__(self, root, sock, config):
        self._config = dict(DEFAULT_CONFIG, **config)
        self._root = root
        self._sock = sock
        self._last_traceback = None
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        # Under this condition: requests that came in, answers that are waited for, and what the peer holds.
        self._arrived = threading.Condition()
        self._requests = collections.deque()
        self._answers = {}  # number of a request of ours: None, then (kind, body)
        self._exports = {}  # id pack: [object, how often it was sent]
        self._packs = {}  # id of an object in there: its id pack
        self._class_numbers = {}  # id of a class: (the class, its number), so that no other class gets it
        self._object_numbers = itertools.count(1)
        # What this side holds.
        self._making_proxy = threading.RLock()
        self._proxies = weakref.WeakValueDictionary()
        self._proxy_classes = {}
        self.dying = collections.deque()  # (id pack, count) of proxies that are gone
        self.closed = False
        threading.Thread(target=self._receive_all, daemon=True).start()

    @property
    def root(self):
        """The peer's service."""
        return self.request(3)

    def close(self):
        """Ends the connection."""
        with self._arrived:
            self.closed = True
            self._arrived.notify_all()
        try:
            self._sock.shutdown(2)
        except OSError:
            pass  # the peer was faster

    def serve_all(self):
        """Serves the peer until the connection ends."""
        try:
            self._work_until(lambda: False)
        except EOFError:
            pass
        finally:
            self.close()
            self._last_traceback = None
            self._exports.clear()
            self._packs.clear()
            self._root.on_disconnect(self)

    def request(self, handler, *args):
        """Sends a request, and waits for the answer, working on requests of the peer meanwhile."""
        number = next(self._numbers)
        self._answers[number] = None
        try:
            self._send(_encode(REQUEST, number, (handler, self._box(args))))
            self._work_until(lambda: self._answers[number] is not None)
            kind, body = self._answers[number]
        finally:
            del self._answers[number]
        if kind == EXCEPTION:
            raise vinegar.load_exception(body)
        return self._unbox(body)

    # ---- receiving, on a thread that runs no code of anybody's ----

    def _receive_all(self):
        try:
            while True:
                self._receive(self._read_frame())
        except Exception:
            self.close()  # the peer has closed, or sent what cannot be understood

    def _read_frame(self):
        length, compressed = _HEADER.unpack(self._read(_HEADER.size))
        payload = self._read(length + 1)[:-1]
        return zlib.decompress(payload) if compressed else payload

    def _read(self, count):
        data = bytearray(count)
        view = memoryview(data)
        while view:
            received = self._sock.recv_into(view)
            if not received:
                raise EOFError("connection closed by peer")
            view = view[received:]
        return bytes(data)

    def _receive(self, payload):
        kind = payload[0]
        number, body = brine.load(payload[1:])
        with self._arrived:
            if kind == REQUEST:
                handler, box = body
                if handler == CLOSE:
                    raise EOFError("connection closed by peer")
                if handler == DEL:
                    box = self._let_go(box)
                self._requests.append((number, handler, self._pin(box)))
            elif number in self._answers:
                self._answers[number] = (kind, self._pin(body) if kind == REPLY else body)
            self._arrived.notify_all()

    def _pin(self, box):
        """A box with objects in place of references to them: those that come after it may let them go."""
        try:
            label, value = box
            if label == TUPLE:
                return label, [self._pin(item) for item in value]
            return (label, self._exports[value][0]) if label == YOURS else (label, value)
        except Exception as error:
            return BROKEN, error

    def _let_go(self, box):
        """Counts down what the peer holds. What remains to be done, dropping the object, is for a thread that may run code."""
        try:
            (_, pack), count = box[1][0], (box[1] + ((VALUE, 1),))[1][1]
            entry = self._exports[pack]
        except Exception as error:
            return BROKEN, error
        entry[1] -= count
        if entry[1] <= 0:
            del self._exports[pack], self._packs[id(entry[0])]
            self._requests.append((None, None, entry))
        return VALUE, ()

    # ---- working ----

    def _work_until(self, done):
        while True:
            with self._arrived:
                while not (self.closed or self._requests or done()):
                    self._arrived.wait()
                if done():
                    return
                if self.closed:
                    raise EOFError("the connection is closed")
                request = self._requests.popleft()
            self._work_on(*request)
            del request
            self._release_proxies()

    def _work_on(self, number, handler, box):
        if handler is None:
            return  # it was about dropping the last reference
        result = None
        try:
            result = self._handle(handler, self._unbox(box))
            answer = _encode(REPLY, number, self._box(result))
        except BaseException as error:
            self._last_traceback = error.__traceback__  # a peer may debug it
            answer = _encode(EXCEPTION, number, vinegar.dump_exception(error))
        self._send(answer)  # before the result is dropped: a proxy in it is not to be given back while it is under way

    def _handle(self, handler, args):
        if handler == DEL:
            return None
        if handler == INSPECT:
            return methods_of(self._exports[args[0]][0])
        return HANDLERS[handler](self, *args)

    def _release_proxies(self):
        while self.dying:
            try:
                pack, count = self.dying.popleft()
            except IndexError:
                return  # another thread was faster
            self._send(_encode(REQUEST, next(self._numbers), (DEL, (TUPLE, ((YOURS, pack), (VALUE, count))))))

    def _send(self, payload):
        try:
            with self._sending:
                self._sock.sendall(_HEADER.pack(len(payload), 0) + payload + b"\n")
        except OSError as error:
            self.close()
            raise EOFError(str(error)) from error

    # ---- boxing ----

    def _box(self, value):
        if brine.dumpable(value):
            return VALUE, value
        if type(value) is tuple:
            return TUPLE, tuple([self._box(item) for item in value])
        if issubclass(type(value), BaseNetref) and value.____conn__ is self:
            return YOURS, value.____id_pack__
        return MINE, self._export(value)

    def _unbox(self, box):
        label, value = box
        if label == BROKEN:
            raise value
        if label == TUPLE:
            return tuple([self._unbox(item) for item in value])
        if label == MINE:
            return self._proxy(value)
        return value

    def _export(self, obj):
        with self._arrived:
            pack = self._packs.get(id(obj))
            if pack is None:
                pack = self._packs[id(obj)] = self._name(obj)
                self._exports[pack] = [obj, 0]
            self._exports[pack][1] += 1
            return pack

    def _name(self, obj):
        cls = obj if issubclass(type(obj), type) else type(obj)
        if type(obj) is types.ModuleType:
            name = obj.__name__
        elif issubclass(cls, BaseNetref):
            name = obj.____id_pack__[0]
        else:
            name = f"{cls.__module__}.{cls.__name__}"
        _, number = self._class_numbers.setdefault(id(cls), (cls, len(self._class_numbers) + 1))
        return name, number, 0 if cls is obj else next(self._object_numbers)

    def _proxy(self, pack):
        key = pack if pack[2] == 0 else pack[:2]
        cls = self._proxy_classes.get(key)
        if cls is None:
            known = builtin_type(pack[0]) if pack[2] else None
            methods = methods_of_class(known) if known else self.request(INSPECT, pack)
            cls = self._proxy_classes[key] = make_class(pack[0], [name for name, _ in methods])
        with self._making_proxy:
            proxy = self._proxies.get(pack)
            if proxy is None:
                proxy = self._proxies[pack] = cls(self, pack)
            object.__setattr__(proxy, "____refcount__", proxy.____refcount__ + 1)
            return proxy


def _encode(kind, number, body):
    return bytes([kind]) + brine.dump((number, body))
