"""What a service offers, and when it hears of its connections."""

import threading

import pytest

import netref


class Recorder:
    """Remembers calls, and lets a test wait for them."""

    def __init__(self):
        self.calls = []
        self._changed = threading.Condition()

    def __call__(self, *args):
        with self._changed:
            self.calls.append(args)
            self._changed.notify_all()

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, 10), self.calls
        return self.calls


class Counting(netref.Service):
    def __init__(self, step=1):
        self.step = step
        self.count = 0

    def exposed_up(self):
        self.count += self.step
        return self.count


def test_class_makes_an_instance_for_each_connection(serve, connect):
    server = serve(Counting)
    first, second = connect(server), connect(server)
    assert [first.root.up(), first.root.up(), second.root.up()] == [1, 2, 1]


def test_instance_is_shared(serve, connect):
    server = serve(Counting())
    first, second = connect(server), connect(server)
    assert [first.root.up(), first.root.up(), second.root.up()] == [1, 2, 3]


def test_classpartial(serve, connect):
    server = serve(netref.classpartial(Counting, step=5))
    assert connect(server).root.up() == 5
    assert connect(server).root.up() == 5
    assert netref.classpartial(Counting, 3)().step == 3
    assert netref.classpartial(Counting).__name__ == "Counting"


def test_connect_and_disconnect_are_heard_once(serve):
    connected, disconnected = Recorder(), Recorder()

    class Heard(netref.Service):
        def on_connect(self, conn):
            connected(conn)

        def on_disconnect(self, conn):
            disconnected(conn, conn.closed)

    server = serve(Heard)
    for _ in range(3):
        netref.connect("127.0.0.1", server.port).close()
    assert len(connected.wait_for(3)) == 3
    ended = disconnected.wait_for(3)
    assert {id(conn) for conn, _ in ended} == {id(conn) for (conn,) in connected.calls}
    assert all(closed for _, closed in ended)
    server.close()
    assert len(disconnected.calls) == 3


@pytest.mark.parametrize("end", ["close", "drop", "server"])
def test_client_service_hears_of_the_end_too(serve, end):
    heard = Recorder()

    class Heard(netref.Service):
        def on_disconnect(self, conn):
            heard()

    server = serve(Counting)
    conn = netref.connect("127.0.0.1", server.port, service=Heard)
    conn.root.up()
    if end == "close":
        conn.close()
    elif end == "server":
        server.close()
    else:
        conn._channel.stream.close()  # the socket is taken away underneath
    assert heard.wait_for(1) == [()]
    conn.close()
    assert heard.calls == [()]


class Exposing(netref.Service):
    exposed_value = 7
    hidden = 8

    def exposed_method(self):
        return "method"

    def not_exposed(self):
        return "never"

    @staticmethod
    def exposed_static(x):
        return ("static", x)

    @classmethod
    def exposed_class_method(cls, x):
        return (cls.__name__, x)

    @property
    def exposed_property(self):
        return "property"

    class exposed_Nested:
        def __init__(self, x):
            self.x = x

        def exposed_get(self):
            return self.x


@pytest.mark.parametrize("prefix", ["", "exposed_"])
def test_exposed_prefix(serve, connect, prefix):
    root = connect(serve(Exposing)).root
    get = lambda name: getattr(root, prefix + name)  # noqa: E731
    assert get("value") == 7
    assert get("method")() == "method"
    assert get("static")(1) == ("static", 1)
    assert get("class_method")(2) == ("Exposing", 2)
    assert get("property") == "property"
    assert get("Nested")(3).get() == 3
    for name in ("hidden", "not_exposed", "_conn", "__dict__", "__class_getitem__"):
        with pytest.raises(AttributeError, match=name):
            get(name)


@netref.service
class Decorated(netref.Service):
    @netref.exposed
    def method(self):
        return "method"

    @netref.exposed("special_")
    def other(self):
        return "other"

    @netref.exposed
    @staticmethod
    def static(x):
        return ("static", x)

    @staticmethod
    @netref.exposed
    def other_static(x):
        return ("other static", x)

    @netref.exposed
    @classmethod
    def class_method(cls):
        return cls.__name__

    @netref.exposed
    @property
    def prop(self):
        return "property"

    @property
    @netref.exposed
    def other_prop(self):
        return "other property"

    @netref.exposed
    class Nested:
        @netref.exposed
        def inner(self):
            return "inner"

        def outer(self):
            return "never"

    def hidden(self):
        return "never"


def test_exposed_decorator(serve, connect):
    conn = connect(serve(Decorated))
    root = conn.root
    assert root.method() == "method"
    assert root.static(4) == ("static", 4)
    assert root.other_static(4) == ("other static", 4)
    assert root.class_method() == "Decorated"
    assert (root.prop, root.other_prop) == ("property", "other property")
    nested = root.Nested()
    assert nested.inner() == "inner"
    for obj, name in ((nested, "outer"), (root, "hidden"), (root, "other"), (root, "special_other")):
        with pytest.raises(AttributeError, match=name):
            getattr(obj, name)
    assert Decorated().method() == "method"  # here it is what it was
    assert Decorated().special_other() == "other"


def test_exposed_takes_callables_and_descriptors_only():
    with pytest.raises(TypeError, match="expects a callable"):
        netref.exposed(5)


def test_service_names():
    class MathService(netref.Service):
        pass

    class Named(netref.Service):
        ALIASES = ["one", "Two"]

    assert MathService.get_service_name() == "MATH"
    assert Named.get_service_aliases() == ("ONE", "TWO")


def test_service_names_for_peers(root):
    assert root.get_service_name() == "EVERYDAY"
    assert root.get_service_aliases() == ("EVERYDAY",)


def test_service_cannot_be_changed_by_a_peer(serve, connect):
    conn = connect(serve(Exposing, protocol_config={"allow_setattr": True, "allow_delattr": True, "allow_public_attrs": True}))
    with pytest.raises(AttributeError, match="access denied"):
        conn.root.value = 1
    with pytest.raises(AttributeError, match="access denied"):
        del conn.root.value


def test_service_of_the_client(pair):
    class Client(netref.Service):
        def exposed_name(self):
            return "client"

    class Server(netref.Service):
        def exposed_name(self):
            return "server"

    client, server = pair(Server, client_service=Client)
    assert client.root.name() == "server"
    assert server.root.name() == "client"


def test_protocol_and_connect_overridden(serve, connect):
    class LoudConnection(netref.Connection):
        greeting = "loud"

    class Loud(netref.Service):
        _protocol = LoudConnection

        @classmethod
        def _connect(cls, channel, config={}):
            conn = super()._connect(channel, dict(config, connid="my own"))
            assert isinstance(conn, LoudConnection)
            return conn

    assert connect(serve(Loud)).ping() is None
    conn = connect(serve(Counting), service=Loud)
    assert (conn.greeting, conn._config["connid"]) == ("loud", "my own")
    assert conn.root.up() == 1
