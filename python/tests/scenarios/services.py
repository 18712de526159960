"""Services in all their forms, and what they let peers reach."""

import socket
import threading

from scenarios.host import raises


def _counting(rpyc):
    class CountingService(rpyc.Service):
        """Counts."""

        ALIASES = ["counter", "Counting"]
        exposed_limit = 10
        hidden = "hidden"

        def __init__(self, step=1):
            self.count = 0
            self.step = step

        def exposed_up(self):
            self.count += self.step
            return self.count

        def private(self):
            return "private"

        @property
        def exposed_doubled(self):
            return self.count * 2

        @staticmethod
        def exposed_static(x):
            return x

        @classmethod
        def exposed_named(cls):
            return cls.__name__

        class exposed_Inner:
            def __init__(self, value):
                self.value = value

            def exposed_get(self):
                return self.value

    return CountingService


def _serve_class(side):
    return side.serve(_counting(side.rpyc))


def _serve_instance(side):
    return side.serve(_counting(side.rpyc)(step=2))


def _serve_partial(side):
    return side.serve(side.rpyc.utils.helpers.classpartial(_counting(side.rpyc), step=5))


def forms_of_a_service(side):
    for serve, expected in [(_serve_class, [1, 2, 1]), (_serve_instance, [2, 4, 6]), (_serve_partial, [5, 10, 5])]:
        port = side.far(serve)
        first, second = side.connect(port), side.connect(port)
        assert [first.root.up(), first.root.up(), second.root.up()] == expected, serve


def what_is_exposed(side):
    root = side.connect(side.far(_serve_class)).root
    assert root.up() == root.exposed_up() - 1 == 1
    assert root.doubled == root.exposed_doubled == 4
    assert root.limit == 10 and root.static("x") == "x" and root.named() == "CountingService"
    assert root.Inner(7).get() == 7
    assert root.get_service_name() == "COUNTER" and root.get_service_aliases() == ("COUNTER", "COUNTING")
    assert root.__doc__ == "Counts."
    for name in ("hidden", "private", "count", "_conn", "__dict__", "__globals__", "missing"):
        error = raises(AttributeError, getattr, root, name)
        assert name in str(error), error
    raises(AttributeError, getattr, root.up, "__func__")
    for change in (lambda: setattr(root, "limit", 11), lambda: setattr(root, "fresh", 1), lambda: delattr(root, "limit")):
        raises(AttributeError, change)
    raises(TypeError, root.up, 1)
    raises(TypeError, root)
    assert "exposed_up" in dir(root)
    assert ("hidden" in dir(root)) is side.expected("whether dir() lists what is not exposed", True)
    assert isinstance(root, side.rpyc.BaseNetref) and "CountingService" in repr(root) and "CountingService" in str(type(root))


def _serve_decorated(side):
    rpyc = side.rpyc

    @rpyc.service
    class Decorated(rpyc.Service):
        @rpyc.exposed
        def plain(self):
            return "plain"

        @rpyc.exposed("other_")
        def prefixed(self):
            return "prefixed"

        def exposed_by_name(self):
            return "by name"

        @rpyc.exposed
        class Inner:
            @rpyc.exposed
            def inner(self):
                return "inner"

        def hidden(self):
            return "hidden"

    return side.serve(Decorated, protocol_config={"exposed_prefix": "exposed_"})


def exposed_by_a_decorator(side):
    root = side.connect(side.far(_serve_decorated)).root
    assert (root.plain(), root.exposed_plain(), root.by_name()) == ("plain", "plain", "by name")
    assert root.Inner().inner() == "inner"
    for name in ("hidden", "prefixed", "other_prefixed"):
        raises(AttributeError, getattr, root, name)


HEARD = []


def _serve_listening(side):
    HEARD.clear()

    class Listening(side.rpyc.Service):
        def on_connect(self, conn):
            HEARD.append("connect")
            self.conn = conn

        def on_disconnect(self, conn):
            HEARD.append(f"disconnect {conn is self.conn}")
            HEARD_CHANGED.set()

        def exposed_ask(self):
            return self.conn.root.name()

        def exposed_endpoints(self):
            return self.conn._config["endpoints"]

        def exposed_connid(self):
            return self.conn._config["connid"]

    return side.serve(Listening)


HEARD_CHANGED = threading.Event()


def _heard(side):
    assert HEARD_CHANGED.wait(10)
    HEARD_CHANGED.clear()
    return HEARD


def coming_and_going_of_connections(side):
    class Client(side.rpyc.Service):
        def on_connect(self, conn):
            seen.append(("connect", conn.closed))

        def on_disconnect(self, conn):
            seen.append(("disconnect", conn.closed))

        def exposed_name(self):
            return "client"

    seen = []
    conn = side.connect(side.far(_serve_listening), service=Client)
    assert conn.root.ask() == "client"
    ours, theirs = conn._channel.stream.sock.getsockname(), conn._channel.stream.sock.getpeername()
    assert conn.root.endpoints() == (theirs, ours)
    assert isinstance(conn.root.connid(), str) and conn.root is conn.root
    assert not conn.closed and not conn._closed
    conn.close()
    conn.close()
    assert conn.closed and conn._closed and seen[0][0] == "connect" and seen[1:] == [("disconnect", True)]
    assert side.far(_heard) == ["connect", "disconnect True"]
    raises(EOFError, conn.ping)
    raises(EOFError, lambda: conn.root)


def leaving_by_the_end_of_a_with_block(side):
    with side.rpyc.connect("127.0.0.1", side.far(_serve_class)) as conn:
        root = conn.root
        assert root.up() == 1
        up = root.up
    assert conn.closed
    raises(EOFError, up)
    raises(EOFError, getattr, root, "up")


def _serve_gatekeeper(side):
    class Guarded:
        exposed_open = "open"
        secret = "secret"

        def _rpyc_getattr(self, name):
            if name == "secret":
                raise AttributeError("no access")
            return ("asked for", name)

        def _rpyc_setattr(self, name, value):
            if name == "closed":
                raise AttributeError("not that")
            self.__dict__[name + "_set"] = value

        def _rpyc_delattr(self, name):
            del self.__dict__[name + "_set"]

        def __call__(self):
            return tuple(sorted(self.__dict__.items()))

    class Gatekeeper(side.rpyc.Service):
        exposed_guarded = Guarded()

        def _rpyc_getattr(self, name):
            if name.startswith("dynamic_"):
                return lambda *args: (name, args)
            return super()._rpyc_getattr(name) if hasattr(super(), "_rpyc_getattr") else getattr(self, "exposed_" + name)

    return side.serve(Gatekeeper)


def objects_that_decide_for_themselves(side):
    root = side.connect(side.far(_serve_gatekeeper)).root
    assert root.dynamic_call(1, 2) == ("dynamic_call", (1, 2))
    guarded = root.guarded
    assert guarded.anything == ("asked for", "anything") and guarded._private == ("asked for", "_private")
    raises(AttributeError, getattr, guarded, "secret")
    guarded.x = 5
    raises(AttributeError, setattr, guarded, "closed", 1)
    assert guarded() == (("x_set", 5),)
    del guarded.x
    assert guarded() == ()


def _serve_wary(side):
    class Wary:
        def __init__(self, may):
            self._may = may

        def _rpyc_getattr(self, name):
            if not self._may(name):
                raise AttributeError(name)
            return object.__getattribute__(self, name) if name.startswith("__") else f"the {name}"

        def exposed_method(self):
            """Something for a list of its methods."""

    class Lender(side.rpyc.Service):
        def exposed_lend(self, may):
            return Wary(may)

    return side.serve(Lender)


def objects_that_ask_their_user(side):
    """netref asks an object with `_rpyc_getattr` already for the list of its methods; it answers by a call to who wants them."""
    wary = side.connect(side.far(_serve_wary)).root.lend(lambda name: name != "secret")
    assert (wary.name, wary.other) == ("the name", "the other")
    raises(AttributeError, getattr, wary, "secret")


def _serve_meeting(side):
    class Server(side.rpyc.Service):
        def on_connect(self, conn):
            self.name = None
            self.name = conn.root.name()

        def exposed_dial(self, port):
            self.dialled = socket.create_connection(("127.0.0.1", port), timeout=20)

        def exposed_met(self):
            return self.name

        def on_disconnect(self, conn):
            self.dialled.close()

    return side.serve(Server)


def waiting_for_each_other_in_on_connect(side):
    """The server's waits in calls; the client's in a call, and then otherwise for what the server does."""

    class Client(side.rpyc.Service):
        def on_connect(self, conn):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(20)
                dial = side.rpyc.async_(conn.root.dial)
                dialled = dial(listener.getsockname()[1])
                listener.accept()[0].close()
            dialled.wait()

        def exposed_name(self):
            return "client"

    port = side.far(_serve_meeting)
    for _ in range(10):
        conn = side.connect(port, service=Client)
        # A stock client answers the server only while it waits for something.
        while (name := conn.root.met()) is None:
            pass
        assert name == "client"
        conn.close()


def _serve_with_overrides(side):
    rpyc = side.rpyc

    class Connection(rpyc.Connection):
        marked = "marked"

    class Overriding(rpyc.Service):
        _protocol = Connection

        def _connect(self, channel, config={}):
            config = dict(config, allow_public_attrs=True)
            conn = super()._connect(channel, config)
            conn.extra = "extra"
            return conn

        def on_connect(self, conn):
            self.conn = conn

        def exposed_look(self):
            return (
                type(self.conn).__name__,
                self.conn.marked,
                getattr(self.conn, "extra", None),
                isinstance(self.conn, rpyc.Connection),
            )

        def visible(self):
            return "visible"

    return side.serve(Overriding())


def connections_of_ones_own(side):
    root = side.connect(side.far(_serve_with_overrides)).root
    assert root.look() == ("Connection", "marked", "extra", True)
    assert root.visible() == "visible"


def _serve_void(side):
    return side.serve(side.rpyc.VoidService)


def a_service_with_nothing(side):
    conn = side.connect(side.far(_serve_void))
    assert conn.root.get_service_name() == "VOID"
    conn.ping()
    conn.ping("some data", timeout=5)
    raises(AttributeError, lambda: conn.root.anything)


def services_of_both_sides(side):
    """One calls the other, which calls back, and so on."""

    class Client(side.rpyc.Service):
        def exposed_bounce(self, partner, depth):
            return [depth] if depth == 0 else [depth, *partner(depth - 1)]

    conn = side.connect(side.far(_serve_bouncing), service=Client)
    assert list(conn.root.bounce(6)) == [6, 5, 4, 3, 2, 1, 0]


def _serve_bouncing(side):
    class Bouncing(side.rpyc.Service):
        def on_connect(self, conn):
            self.conn = conn

        def exposed_bounce(self, depth):
            return [depth] if depth == 0 else [depth, *self.conn.root.bounce(self.exposed_bounce, depth - 1)]

    return side.serve(Bouncing)
