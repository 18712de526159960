"""Programs that replace steps of a connection, or extend brine. Each gets the package and the port of an everyday server."""

import enum
import importlib
import threading


class Seen(list):
    """What happened, in order."""

    def names(self):
        return [name for name, *_ in self]


def _connect(api, port, connection, config={}):
    """A connection of a class of one's own."""

    class Service(api.VoidService):
        _protocol = connection

    stream = api.SocketStream.connect("127.0.0.1", int(port))
    return api.connect_stream(stream, Service, config)


def sync_request_of_ones_own(api, port):
    seen = Seen()

    class Counting(api.Connection):
        def sync_request(self, handler, *args):
            seen.append((handler, len(args)))
            return super().sync_request(handler, *args)

    consts = importlib.import_module(f"{api.__name__}.core.consts")
    with _connect(api, port, Counting) as conn:
        assert conn.root.add(2, 3) == 5
        handlers = [handler for handler in seen.names() if handler != consts.HANDLE_INSPECT]
        assert handlers == [consts.HANDLE_GETROOT, consts.HANDLE_GETATTR, consts.HANDLE_CALL]
        assert len(conn.root.make("list")) == 3
        assert seen[-1] == (consts.HANDLE_CALLATTR, 4)


def boxes_and_proxies_of_ones_own(api, port):
    """As modin does: what crosses is looked at, and proxies are made by the program."""
    seen = Seen()

    class Watching(api.Connection):
        def _box(self, obj):
            seen.append(("box", obj))
            return super()._box(obj)

        def _unbox(self, package):
            seen.append(("unbox", package[0]))
            return super()._unbox(package)

        def _netref_factory(self, id_pack):
            seen.append(("proxy", id_pack[0]))
            return super()._netref_factory(id_pack)

        def _send(self, msg, seq, args):
            seen.append(("send", msg))
            return super()._send(msg, seq, args)

        def async_request(self, handler, *args, **kwargs):
            seen.append(("async", handler))
            return super().async_request(handler, *args, **kwargs)

    with _connect(api, port, Watching) as conn:
        made = conn.root.make("plain")
        proxies = [name for kind, name in seen if kind == "proxy"]
        assert proxies[0].endswith("EverydayService")
        assert proxies[-1].endswith("Plain")
        assert made.double() == 0
        assert conn.root.call(lambda a, b: (a, [b]), 1, (2, 3))[1][0] == (2, 3)
        assert ("box", "double") in seen
        assert {"box", "unbox", "proxy", "send", "async"} <= set(seen.names())
        later = api.async_(conn.root.add)(1, 1)
        assert later.value == 2
        try:
            getattr(conn.root, "raise")("ValueError", "why")
        except ValueError as error:
            assert "why" in str(error)
        else:
            raise AssertionError("nothing was raised")


def wrapped_proxies(api, port):
    """A factory may return something else than a proxy, and the same thing for the same object."""

    class Wrapper:
        def __init__(self, proxy):
            self.proxy = proxy
            self.____refcount__ = 1

    class Wrapping(api.Connection):
        def _netref_factory(self, id_pack):
            proxy = super()._netref_factory(id_pack)
            return Wrapper(proxy) if id_pack[0] == "builtins.list" else proxy

    with _connect(api, port, Wrapping) as conn:
        wrapper = conn.root.make("list")
        assert type(wrapper) is Wrapper
        assert list(wrapper.proxy) == [1, 2, 3]


def dispatch_of_ones_own(api, port):
    """As qmt-rpyc does: requests of the peer are seen, and put off, before they are carried out."""
    seen = Seen()

    class Dispatching(api.Connection):
        def _dispatch_request(self, seq, raw_args):
            with self._sendlock:
                seen.append((raw_args[0], threading.current_thread()))
            assert not self._send_queue
            super()._dispatch_request(seq, raw_args)

    with _connect(api, port, Dispatching) as conn:
        assert conn.root.call(lambda x: x + 1, 41) == 42
        consts = importlib.import_module(f"{api.__name__}.core.consts")
        assert consts.HANDLE_CALL in seen.names()


def handlers_of_ones_own(api, port):
    """A sandbox: every request of the peer is carried out by the program, or refused."""
    consts = importlib.import_module(f"{api.__name__}.core.consts")

    class Refused(Exception):
        pass

    def refuse(conn, *args):
        raise Refused("by the sandbox")

    with _connect(api, port, api.Connection) as conn:
        original = conn._HANDLERS[consts.HANDLE_CALL]
        conn._HANDLERS = dict.fromkeys(conn._HANDLERS, refuse)
        conn._HANDLERS[consts.HANDLE_CALL] = lambda conn, obj, args, kwargs=(): original(conn, obj, args, kwargs) * 2
        assert conn.root.call(lambda x: x + 1, 1) == 4
        try:
            conn.root.call(str, [])  # the peer cannot look at the list
        except Exception as error:
            assert "sandbox" in str(error) or "Refused" in str(error), error


def handle_methods_of_ones_own(api, port):
    seen = Seen()

    class Handling(api.Connection):
        def _handle_getattr(self, obj, name):
            seen.append(("getattr", name))
            return super()._handle_getattr(obj, name)

        def _handle_inspect(self, id_pack):
            seen.append(("inspect", id_pack[0]))
            return super()._handle_inspect(id_pack)

        def _check_attr(self, obj, name, perm):
            seen.append(("check", perm))
            return super()._check_attr(obj, name, perm)

    class Mine:
        exposed_number = 7

    with _connect(api, port, Handling) as conn:
        assert conn.root.get(Mine(), "number") == 7
    assert ("getattr", "number") in seen
    assert ("check", "allow_getattr") in seen
    assert any(kind == "inspect" and name.endswith("Mine") for kind, name in seen)


def attribute_policy_of_ones_own(api, port):
    class Open(api.Connection):
        def _access_attr(self, obj, name, args, overrider, param, default):
            return default(obj, name, *args)

    class Mine:
        hidden = 7

    with _connect(api, port, Open) as conn:
        assert conn.root.get(Mine(), "hidden") == 7


def callback_of_a_request(api, port):
    """The protocol's own way to send a request, with a function for its reply."""
    consts = importlib.import_module(f"{api.__name__}.core.consts")
    got = []
    with _connect(api, port, api.Connection) as conn:
        root = conn.root
        conn._async_request(consts.HANDLE_GETATTR, (root, "add"), lambda is_exc, obj: got.append((is_exc, obj)))
        while not got:
            conn.serve(1)
        assert got[0][0] is False
        assert got[0][1](1, 2) == 3
        got.clear()
        conn._async_request(consts.HANDLE_GETATTR, (root, "nothing"), lambda is_exc, obj: got.append((is_exc, obj)))
        while not got:
            conn.serve(1)
        assert got[0][0] is True
        assert isinstance(got[0][1], AttributeError)


def result_made_by_the_program(api, port):
    consts = importlib.import_module(f"{api.__name__}.core.consts")
    with _connect(api, port, api.Connection) as conn:
        result = api.AsyncResult(conn)
        called = []
        result.add_callback(called.append)
        conn._async_request(consts.HANDLE_PING, ("data",), result)
        assert result.value == "data"
        assert called == [result]
        by_hand = api.AsyncResult(conn)
        by_hand(False, 5)
        assert by_hand.ready and by_hand.value == 5
        failed = api.AsyncResult(conn)
        failed(True, KeyError("x"))
        assert failed.error
        late = api.AsyncResult(conn)
        late.set_expiry(0.01)
        try:
            late.wait()
        except api.AsyncResultTimeout:
            pass
        else:
            raise AssertionError("it did not expire")


def serve_of_ones_own(api, port):
    """As pwntools does: messages are worked on where the program wants that, here in a thread of its own."""
    where = []

    class Elsewhere(api.Connection):
        def serve(self, *args, **kwargs):
            where.append(threading.current_thread())
            return super().serve(*args, **kwargs)

    conn = _connect(api, port, Elsewhere)
    keeper = threading.Thread(target=conn.serve_all)
    ran_on = []
    conn.root.later(lambda: ran_on.append(threading.current_thread()) or done.set(), 0.05)
    done = threading.Event()
    keeper.start()
    assert done.wait(10)
    assert ran_on == [keeper]
    assert keeper in where
    conn.close()
    keeper.join(10)
    assert not keeper.is_alive()


def close_of_ones_own(api, port):
    """As nspyre does: the connection is said to be closed before the peer is asked for a last time."""
    consts = importlib.import_module(f"{api.__name__}.core.consts")

    class Polite(api.Connection):
        def close(self):
            if not self._closed:
                self._closed = True
                self.sync_request(consts.HANDLE_PING, "goodbye")
                self.async_request(consts.HANDLE_CLOSE)
                self._cleanup(_anyway=True)

    conn = _connect(api, port, Polite)
    assert not conn._closed
    assert conn.root.add(2, 3) == 5
    conn.close()
    conn.close()
    assert conn.closed


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


def extended_brine(api, port):
    """As nspyre does: values of the program's own classes travel by value, if both sides know how."""
    brine = importlib.import_module(f"{api.__name__}.core.brine")
    extend_brine(brine)
    colour = importlib.import_module("override_scenarios").Colour  # this file may be run under another name
    assert brine.dumpable((colour.RED, 1))
    assert brine.load(brine.dump((colour.RED, frozenset([colour.GREEN]), 1.5, "x", b"yz", None, 1 << 70, slice(1, 2)))) == (
        colour.RED,
        frozenset([colour.GREEN]),
        1.5,
        "x",
        b"yz",
        None,
        1 << 70,
        slice(1, 2),
    )
    with api.connect("127.0.0.1", int(port)) as conn:
        assert conn.root.call(lambda value: value is colour.RED, colour.RED)
        back = conn.root.call(lambda *args: args, colour.GREEN, (colour.RED, [colour.GREEN]))
        assert back[0] is colour.GREEN
        assert back[1][0] is colour.RED
        assert list(back[1][1]) == [colour.GREEN]


def extend_brine(brine):
    """What a program does to have colours travel by value."""
    tag = b"\x1f"
    colour = importlib.import_module("override_scenarios").Colour

    @brine.register(brine._dump_registry, colour)
    def dump(obj, stream):
        stream.append(tag)
        brine._dump(obj.name, stream)

    @brine.register(brine._load_registry, tag)
    def load(stream):
        return colour[brine._load(stream)]

    brine.simple_types = frozenset([*brine.simple_types, colour])
