"""What programs replace inside RPyC, one by one, as those do that are known for it."""

import contextlib
import importlib
import socket
import types

from scenarios.host import raises


@contextlib.contextmanager
def _replaced(thing, name, value):
    """Has an attribute replaced meanwhile. Class methods stay what they are."""
    original = vars(thing)[name]
    setattr(thing, name, value)
    try:
        yield original
    finally:
        setattr(thing, name, original)


def _module(side, name):
    return importlib.import_module(f"{side.name}.{name}")


def _service(side):
    class Everything(side.rpyc.Service):
        def exposed_add(self, left, right=1):
            return left + right

        def exposed_list(self):
            return [1, 2, 3]

        def exposed_divide(self, by):
            return 1 // by

        def exposed_call(self, function, *args):
            return function(*args)

        def exposed_big(self, size):
            return b"x" * size

    return Everything


def _serve(side):
    return side.serve(_service(side))


def classes_of_proxies(side):
    """ev3devrpyc has every class of proxies made by a function of its own, modin every method of one."""
    proxies = _module(side, "core.netref")
    made, methods = [], []

    def class_factory(id_pack, described):
        cls = original(id_pack, described)
        cls.mark = "marked"
        made.append(id_pack[0])
        return cls

    def make_method(name, doc):
        methods.append(name)
        return original_method(name, doc)

    with (
        _replaced(proxies, "class_factory", class_factory) as original,
        _replaced(proxies, "_make_method", make_method) as original_method,
    ):
        conn = side.connect(side.far(_serve))
        root = conn.root
        assert root.add(1) == 2 and type(root).mark == "marked"
        assert made[0].endswith(".Everything") and "exposed_add" in methods
        assert list(root.list()) == [1, 2, 3]


def what_proxies_are_made_of(side):
    proxies = _module(side, "core.netref")
    root = side.connect(side.far(_serve)).root
    cls = type(root)
    assert issubclass(cls, side.rpyc.BaseNetref) and type(cls) is proxies.NetrefMetaclass
    assert repr(cls).startswith("<netref class '") and cls.__name__.endswith(".Everything")
    made = proxies.class_factory(("some.Thing", 1, 2), (("method", "what it does"), ("__len__", None)))
    assert made.__name__ == "some.Thing" and made.method.__doc__ == "what it does" and hasattr(made, "__len__")
    assert isinstance(root.list(), proxies.builtin_classes_cache["builtins.list"])


def _serve_curious(side):
    ASKED.clear()

    class Curious(side.rpyc.Service):
        def _rpyc_getattr(self, name):
            ASKED.append(name)
            return object.__getattribute__(self, name)

    return side.serve(Curious)


ASKED = []


def _asked(side):
    return ASKED


def attributes_that_are_not_asked_for(side):
    proxies = _module(side, "core.netref")
    conn = side.connect(side.far(_serve_curious))
    root = conn.root
    assert proxies.DELETED_ATTRS < proxies.LOCAL_ATTRS
    for name in proxies.DELETED_ATTRS:
        raises(AttributeError, getattr, root, name)
    for name in ("____conn__", "____id_pack__", "____refcount__", "__class__", "__weakref__", "__slots__", "__module__"):
        assert name in proxies.LOCAL_ATTRS
        getattr(root, name, None)
    assert root.get_service_name  # asked for, and not there
    asked = side.far(_asked)
    assert asked[-1:] == ["get_service_name"] and not proxies.LOCAL_ATTRS & set(asked), asked


def sockets_set_up_by_the_program(side):
    """LightLLM sets options of every socket that it connects with, and of every one that is accepted."""
    seen = []

    def connect(cls, *args, **kwargs):
        sock = original.__func__(cls, *args, **kwargs)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        seen.append(kwargs.get("nodelay"))
        return sock

    port = side.far(_serve_with_accept_replaced)
    with _replaced(side.rpyc.SocketStream, "_connect", classmethod(connect)) as original:
        conn = side.connect(port)
        assert conn.root.add(1, 2) == 3 and len(seen) == 1
    assert side.far(_accepted) == 1
    assert len(conn.root.big(3_000_000)) == 3_000_000


ACCEPTED = []


def _serve_with_accept_replaced(side):
    ACCEPTED.clear()
    server_class = type("Server", (side.rpyc.ThreadedServer,), {"accept": _accept})
    return side.serve(_service(side), server_class)


def _accept(self):
    while self.active:
        try:
            sock, _ = self.listener.accept()
            break
        except TimeoutError:
            pass
    if self.active:
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ACCEPTED.append(sock)
        self.clients.add(sock)
        self._accept_method(sock)


def _accepted(side):
    return len(ACCEPTED)


def exceptions_of_the_programs_own(side):
    """NVDA has exceptions looked up in a module of its own."""
    vinegar = _module(side, "core.vinegar")

    class Divided(ZeroDivisionError):
        pass

    own = types.ModuleType("builtins")
    own.ZeroDivisionError = Divided
    conn = side.connect(side.far(_serve))
    raises(ZeroDivisionError, conn.root.divide, 0)
    with _replaced(vinegar, "exceptions_module", own):
        assert isinstance(raises(Divided, conn.root.divide, 0), ZeroDivisionError)
        assert isinstance(raises(Exception, conn.root.add, None), vinegar.GenericException)


def bytes_made_by_the_program(side):
    """ghpythonremote has what is sent pass through a function of its own."""
    brine = _module(side, "core.brine")
    dumped, loaded = [], []

    def dump(obj):
        dumped.append(obj)
        return original(obj)

    def load(data):
        loaded.append(data)
        return original_load(data)

    port = side.far(_serve)
    with _replaced(brine, "dump", dump) as original, _replaced(brine, "load", load) as original_load:
        conn = side.connect(port)
        assert conn.root.add(20, 22) == 42
        assert "add" in repr(dumped) and loaded
        assert conn.root.call(lambda x: x + 1, 1) == 2
        conn.close()
    conn = side.connect(port)
    seen = len(dumped)
    assert conn.root.add(1) == 2 and len(dumped) == seen


def larger_chunks(side):
    """pyaedt has more read and written at a time."""
    consts, stream = _module(side, "core.consts"), _module(side, "core.stream")
    with _replaced(consts, "STREAM_CHUNK", 1 << 28), _replaced(stream.SocketStream, "MAX_IO_CHUNK", 1 << 28):
        conn = side.connect(side.far(_serve))
        assert len(conn.root.big(5_000_000)) == 5_000_000
        assert conn.root.call(len, b"y" * 5_000_000) == 5_000_000


def _become(side, version):
    module = _module(side, "version")
    was, module.__version__ = module.__version__, version
    return was


def versions_in_exceptions(side):
    """The version is looked up when an exception is sent."""
    conn = side.connect(side.far(_serve))
    was = side.far(_become, "6.99.1")
    try:
        assert raises(ZeroDivisionError, conn.root.divide, 0)._remote_version == "6.99.1"
    finally:
        side.far(_become, was)
    error = raises(ZeroDivisionError, conn.root.divide, 0)
    assert error._remote_version == was and "divide" in error._remote_tb


def names_that_begin_with_an_underscore(side):
    server = side.rpyc.ThreadedServer(_service(side), hostname="127.0.0.1", port=0)
    thread = server._start_in_thread()
    conn = side.rpyc.connect("127.0.0.1", server.port)
    root = conn.root
    assert root.____conn__ is conn and root.____refcount__ == 1 and conn.root is root
    name, cls, instance = root.____id_pack__
    assert name.endswith(".Everything") and cls and instance
    assert side.rpyc.BaseNetref.__bases__ == (object,)
    assert not server._closed
    server.close()
    assert server._closed
    raises(EOFError, lambda: root.add(1))
    conn.close()
    thread.join(20)
    assert not thread.is_alive()
