"""Names of RPyC's API that no other test uses: what they do, or what they say."""

import contextlib
import importlib
import logging
import os
import pathlib
import socket
import ssl
import sys
import threading
import time
import types

import pytest

import netref
from netref import classic
from netref.core import brine, consts, protocol, reactor, service, vinegar
from netref.core import netref as proxies
from netref.core import stream as streams
from netref.lib import colls, compat
from netref.utils import authenticators, factory, helpers, registry, server, teleportation

CERTS = pathlib.Path(__file__).parent / "certs"


class Things(netref.Service):
    def exposed_add(self, left, right=1):
        return left + right

    def exposed_list(self):
        return [1, 2, 3]


@pytest.fixture
def things(serve, connect):
    return connect(serve(Things))


# Modules


def test_names_of_the_package_are_those_of_its_modules():
    assert netref.SocketStream is netref.core.SocketStream is streams.SocketStream
    assert netref.GenericException is netref.core.GenericException is vinegar.GenericException
    assert netref.core.DEFAULT_CONFIG is protocol.DEFAULT_CONFIG is netref.utils.DEFAULT_CONFIG
    for name in ("VoidService", "SlaveService", "MasterService", "ClassicService", "Service"):
        assert getattr(netref, name) is getattr(netref.core, name) is getattr(service, name)
    for name in (
        "Channel",
        "Connection",
        "BaseNetref",
        "AsyncResult",
        "AsyncResultTimeout",
        "PipeStream",
        "TunneledSocketStream",
    ):
        assert getattr(netref, name) is getattr(netref.core, name)
    assert netref.classic is classic and netref.timed is helpers.timed
    for name in ("connect_stream", "connect_channel", "connect_pipes", "connect_stdpipes", "list_services", "discover"):
        assert getattr(netref, name) is getattr(factory, name)
    for name in ("OneShotServer", "ThreadedServer", "ThreadPoolServer", "ForkingServer"):
        assert getattr(netref, name) is getattr(server, name)


def test_async_under_its_old_names():
    assert importlib.import_module("netref.core.async").AsyncResult is netref.AsyncResult
    assert getattr(netref, "async") is getattr(helpers, "async") is netref.async_


def test_versions():
    assert netref.version.version == tuple(netref.__version__.split(".")) == ("6", "0", "2")
    assert netref.version.release_date.startswith("2024-")


# What travels


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("NONE", None), ("TRUE", True), ("FALSE", False), ("NOT_IMPLEMENTED", NotImplemented), ("ELLIPSIS", ...),
        ("EMPTY_STR", b""), ("STR1", b"1"), ("STR2", b"12"), ("STR3", b"123"), ("STR4", b"1234"), ("STR_L1", b"12345"),
        ("STR_L4", bytes(300)), ("UNICODE", "text"), ("EMPTY_TUPLE", ()), ("TUP1", (1,)), ("TUP2", (1,) * 2), ("TUP3", (1,) * 3),
        ("TUP4", (1,) * 4), ("TUP_L1", (1,) * 5), ("TUP_L4", (1,) * 300), ("INT_L1", 10**6), ("INT_L4", 10**300),
        ("FLOAT", 1.5), ("COMPLEX", 1j), ("SLICE", slice(1)), ("FSET", frozenset([1])),
    ],
)  # fmt: skip
def test_tags_are_those_of_the_bytes(tag, value):
    assert brine.dump(value)[:1] == getattr(brine, f"TAG_{tag}")


def test_numbers_in_bytes():
    for number, encoded in brine.IMM_INTS.items():
        assert brine.dump(number) == encoded and brine.IMM_INTS_LOADER[encoded] == number
    assert brine.dump(1.5)[1:] == brine.F8.pack(1.5)
    assert brine.dump(1 + 2j)[1:] == brine.C16.pack(1, 2)
    assert brine.dump(b"12345")[1:2] == brine.I1.pack(5)
    assert brine.dump(bytes(300))[1:5] == brine.I4.pack(300)
    assert brine.I8I8.size == 16


def test_simple_types_are_plain_data():
    for cls in brine.simple_types - {type(None), type(NotImplemented), type(...)}:
        assert brine.dumpable(cls())
    assert tuple not in brine.simple_types


def test_frames(cleanup):
    left, right = (cleanup.enter_context(streams.SocketStream(sock)) for sock in socket.socketpair())
    channel = netref.Channel(left)
    assert channel.stream is left and channel.compress is True and channel.fileno() == left.fileno()
    for data, compressed in ((b"x" * channel.COMPRESSION_THRESHOLD, 0), (b"x" * (channel.COMPRESSION_THRESHOLD + 1), 1)):
        channel.send(data)
        length, flag = channel.FRAME_HEADER.unpack(right.read(channel.FRAME_HEADER.size))
        assert flag == compressed
        right.read(length)
        assert right.read(len(channel.FLUSHER)) == channel.FLUSHER
    plain = netref.Channel(left, compress=False)
    plain.send(b"x" * 5000)
    assert plain.FRAME_HEADER.unpack(right.read(5)) == (5000, 0)
    assert plain.COMPRESSION_LEVEL >= 1


@pytest.fixture
def spoken(cleanup):
    """A connection, and a channel whose other end it is: the test is the peer."""
    ours, theirs = (streams.SocketStream(sock) for sock in socket.socketpair())
    channel = netref.Channel(theirs)
    cleanup.callback(channel.close)
    conn = netref.connect_stream(ours, Things, {"endpoints": ("here", "there")})  # which has it send nothing first

    def end():
        channel.close()
        conn.close()

    cleanup.callback(end)
    return conn, channel


def send(channel, kind, number, content):
    channel.send(brine.I1.pack(kind) + brine.dump((number, content)))


def receive(channel):
    data = channel.recv()
    return data[0], brine.load(data[1:])


@pytest.mark.differs("an idle side answers nobody")
def test_a_peer_that_speaks_by_the_constants(spoken):
    conn, channel = spoken

    def answered(handler, kind, content):
        result = conn.async_request(handler, "argument")
        message, (number, (asked, arguments)) = receive(channel)
        assert (message, asked) == (consts.MSG_REQUEST, handler)
        assert arguments in (
            (consts.LABEL_VALUE, ("argument",)),
            (consts.LABEL_TUPLE, ((consts.LABEL_VALUE, "argument"),)),
        )
        send(channel, kind, number, content)
        return result

    assert answered(consts.HANDLE_PING, consts.MSG_REPLY, (consts.LABEL_VALUE, 5)).value == 5
    pair = (consts.LABEL_TUPLE, ((consts.LABEL_VALUE, 1), (consts.LABEL_VALUE, 2)))
    assert answered(consts.HANDLE_GETATTR, consts.MSG_REPLY, pair).value == (1, 2)
    lent = answered(consts.HANDLE_GETROOT, consts.MSG_REPLY, (consts.LABEL_REMOTE_REF, ("builtins.list", 1, 2))).value
    assert isinstance(lent, netref.BaseNetref) and lent.____id_pack__ == ("builtins.list", 1, 2)
    with pytest.raises(StopIteration):
        _ = answered(consts.HANDLE_CALL, consts.MSG_EXCEPTION, consts.EXC_STOP_ITERATION).value

    send(channel, consts.MSG_REQUEST, 99, (consts.HANDLE_GETROOT, (consts.LABEL_TUPLE, ())))
    message, (number, (label, id_pack)) = receive(channel)
    assert (message, number, label) == (consts.MSG_REPLY, 99, consts.LABEL_REMOTE_REF)
    back = (consts.LABEL_TUPLE, ((consts.LABEL_LOCAL_REF, id_pack), (consts.LABEL_VALUE, "get_service_name")))
    send(channel, consts.MSG_REQUEST, 100, (consts.HANDLE_GETATTR, back))
    message, (number, _) = receive(channel)
    assert (message, number) == (consts.MSG_REPLY, 100)


HANDLERS = {
    "HANDLE_GETATTR": lambda root, far: ("add",),
    "HANDLE_CALLATTR": lambda root, far: ("add", (1, 2), ()),
    "HANDLE_REPR": lambda root, far: (),
    "HANDLE_STR": lambda root, far: (),
    "HANDLE_HASH": lambda root, far: (),
    "HANDLE_DIR": lambda root, far: (),
    "HANDLE_CMP": lambda root, far: (far, "__eq__"),
}


@pytest.mark.parametrize("name", HANDLERS)
def test_requests_by_hand(things, name):
    root = things.root
    answers = {
        "HANDLE_CALLATTR": lambda answer: answer == 3,
        "HANDLE_HASH": lambda answer: isinstance(answer, int),
        "HANDLE_DIR": lambda answer: "exposed_add" in answer,
        "HANDLE_CMP": lambda answer: answer is True or answer is NotImplemented,
        "HANDLE_GETATTR": lambda answer: answer(1) == 2,
    }
    answer = proxies.syncreq(root, getattr(consts, name), *HANDLERS[name](root, root))
    assert answers.get(name, lambda answer: "Things" in answer)(answer)


def test_requests_about_a_proxy(things):
    assert proxies.syncreq(things.root, consts.HANDLE_CALLATTR, "add", (1, 2), ()) == 3
    result = proxies.asyncreq(things.root, consts.HANDLE_CALLATTR, "add", (1,), (("right", 5),))
    assert isinstance(result, netref.AsyncResult) and result.value == 6


def test_remote_traceback_is_marked():
    assert vinegar.REMOTE_LINE.startswith(vinegar.REMOTE_LINE_START) and vinegar.REMOTE_LINE.endswith(vinegar.REMOTE_LINE_END)
    try:
        raise ValueError("far")
    except ValueError:
        loaded = vinegar.load(vinegar.dump(*sys.exc_info(), True, True), False, False, False)
    assert vinegar.REMOTE_LINE_START in str(loaded) and vinegar.REMOTE_LINE_END in str(loaded)
    assert vinegar.ClassType is type


# Proxies


def test_classes_of_proxies(things):
    assert isinstance(netref.BaseNetref, type) and issubclass(type(things.root), netref.BaseNetref)
    assert type(type(things.root)) is proxies.NetrefMetaclass
    assert repr(type(things.root)).startswith("<netref class '")
    cls = proxies.class_factory(("some.Thing", 1, 2), (("method", "what it does"), ("__len__", None)))
    assert cls.__name__ == "some.Thing" and cls.method.__doc__ == "what it does" and hasattr(cls, "__len__")


def test_class_that_a_proxy_shows():
    shown = proxies.NetrefClass(list)
    assert (shown.instance, shown.owner) == (list, type)


def test_classes_that_need_no_round_trip():
    assert issubclass(proxies.builtin_classes_cache["builtins.list"], netref.BaseNetref)
    assert proxies.builtin_id_pack_cache == {}


@pytest.mark.differs("counts with stats()")
def test_attributes_that_are_not_asked_for(things):
    assert proxies.DELETED_ATTRS < proxies.LOCAL_ATTRS
    remote_list = things.root.list()
    before = things.stats()["round_trips"]
    for name in proxies.DELETED_ATTRS:
        with pytest.raises(AttributeError):
            getattr(remote_list, name)
    assert "____conn__" in proxies.LOCAL_ATTRS and remote_list.____conn__ is things
    assert things.stats()["round_trips"] == before


# Connections and services


def test_serve_threaded_ends_with_the_connection(pair):
    client, far = pair(Things)
    thread = threading.Thread(target=client.serve_threaded, args=(3,))
    thread.start()
    assert client.root.add(1) == 2
    far.close()
    thread.join(10)
    assert not thread.is_alive()


def test_thread_that_is_not_known():
    assert protocol.UNBOUND_THREAD_ID == 0


def test_slave_by_itself():
    slave = service.Slave()
    slave.execute("x = 20")
    assert slave.eval("x + 1") == 21 and slave.namespace["x"] == 20
    assert slave.getmodule("os.path") is os.path and slave.getconn() is None


@pytest.mark.differs("asks for builtins first")
def test_namespace_of_modules():
    asked = []

    def getmodule(name):
        asked.append(name)
        return importlib.import_module(name)

    modules = service.ModuleNamespace(getmodule)
    assert modules["os.path"] is os.path and modules.os is os and modules.os is os
    assert asked == ["os.path", "os"]


def test_services_of_classic_mode(serve, cleanup):
    assert issubclass(service.ClassicService, service.MasterService) and issubclass(service.ClassicService, service.SlaveService)
    near = cleanup.enter_context(netref.connect("127.0.0.1", serve(service.SlaveService).port, service=service.MasterService))
    assert near.eval("6 * 7") == 42
    for name in ("namespace", "execute", "eval", "getmodule", "getconn"):
        assert getattr(service.FakeSlaveService, f"exposed_{name}") is None
    assert issubclass(service.ClassicClient, service.FakeSlaveService)
    assert netref.VoidService.ALIASES == () and netref.VoidService.get_service_aliases() == ("VOID",)


# Streams


def test_base_of_streams():
    stream = streams.Stream()
    for use in (stream.close, stream.fileno, lambda: stream.read(1), lambda: stream.write(b""), lambda: stream.closed):
        with pytest.raises(NotImplementedError):
            use()


def test_streams_of_windows():
    """They can be named and asked for, and not made, as in RPyC on this system."""
    windows, named = streams.Win32PipeStream, streams.NamedPipeStream
    assert issubclass(named, windows) and issubclass(windows, streams.Stream) and not issubclass(streams.PipeStream, windows)
    makers = [lambda: windows(0, 1), windows.from_std, windows.create_pair, lambda: named(0, True)]
    for make in (*makers, lambda: named.create_server("pipe"), lambda: named.create_client("pipe")):
        with pytest.raises(ImportError):
            make()
    for make in (named.from_std, named.create_pair):
        with pytest.raises(NotImplementedError):
            make()


@pytest.mark.differs("adding to it always raises")
def test_the_reactor(cleanup):
    class Ending(socket.socket):
        def close(self):
            super().close()
            it._active = False

    near, far = socket.socketpair()
    it = reactor.SelectReactor()
    it.register_read(cleanup.enter_context(Ending(fileno=near.detach())))
    far.sendall(b"nobody wants this")
    far.close()
    it.run()
    assert not it._readfds
    with pytest.raises(ValueError, match="already started"):
        reactor.start_reactor()


def test_streams_over_sockets_and_pipes(cleanup):
    assert streams.SocketStream.MAX_IO_CHUNK == streams.PipeStream.MAX_IO_CHUNK == consts.STREAM_CHUNK
    assert BlockingIOError(streams.retry_errnos[0], "again").errno in streams.retry_errnos
    left, right = (cleanup.enter_context(stream) for stream in streams.PipeStream.create_pair())
    left.write(b"by pipe")
    assert right.poll(5) and right.read(7) == b"by pipe"
    assert right.fileno() == right.incoming.fileno() and left.outgoing.fileno() != left.incoming.fileno()
    near, far = socket.socketpair()
    tunnelled = streams.TunneledSocketStream(near)
    tunnelled.tun = types.SimpleNamespace(close=lambda: closed.append(True))
    closed = []
    assert tunnelled.sock is near
    tunnelled.close()
    assert closed and tunnelled.closed
    far.close()


@pytest.mark.differs("leaves file descriptors as sys.stdin and sys.stdout")
def test_pipe_stream_of_standard_input_and_output(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading))
    monkeypatch.setattr(sys, "stdout", os.fdopen(writing, "w"))
    with streams.PipeStream.from_std() as stream:
        with sys.stdin, sys.stdout:
            print("goes nowhere")
        stream.write(b"round")
        assert stream.read(5) == b"round"


# Library


def test_modules_that_may_be_missing():
    from netref.lib import MissingModule, safe_import

    assert safe_import("os") is os
    missing = safe_import("no_such_module")
    assert isinstance(missing, MissingModule) and not missing
    with pytest.raises(ImportError, match="no_such_module"):
        _ = missing.anything


@pytest.mark.parametrize(("quiet", "level"), [(False, logging.DEBUG), (True, logging.ERROR)])
def test_logger(tmp_path, monkeypatch, quiet, level):
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    logger = netref.setup_logger(quiet, str(tmp_path / "log"), "part")
    try:
        assert logger.name == "rpyc.part" and logging.root.level == level
    finally:
        for handler in logging.root.handlers:
            handler.close()


def test_hybrid_method():
    class Both:
        @netref.lib.hybridmethod
        def me(self):
            return self

    both = Both()
    assert Both.me() is Both and both.me() is both
    with pytest.raises(AttributeError):
        both.me = 1
    assert callable(vars(Both)["me"].func)


def test_attribute_without_running_code():
    class Dynamic:
        here = 1

        def __getattr__(self, name):
            raise AssertionError("code ran")

    assert netref.lib.hasattr_static(Dynamic(), "here") and not netref.lib.hasattr_static(Dynamic(), "missing")


def test_threads_by_name():
    seen = []
    thread = netref.spawn(lambda *args, **kwargs: seen.append((args, kwargs)), 1, func=2)
    thread.join(10)
    assert seen == [((1,), {"func": 2})]
    assert thread.daemon and thread.name.startswith(netref.lib.SPAWN_THREAD_PREFIX)
    thread, made = netref.lib.spawn_waitready(lambda: "ready", lambda: seen.append("main"))
    thread.join(10)
    assert made == "ready" and seen[-1] == "main"


def test_time_limits():
    limit = netref.lib.Timeout(60)
    assert limit.finite and limit.tmax > time.time() and not limit.expired() and 0 < limit.timeleft() <= 60
    assert netref.lib.Timeout(limit).tmax == limit.tmax
    endless = netref.lib.Timeout(None)
    assert not endless.finite and endless.tmax is None and endless.timeleft() is None and not endless.expired()
    over = netref.lib.Timeout(0)
    over.sleep(60)
    assert over.expired()


def test_connecting_with_patience():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = socket.AF_INET, socket.SOCK_STREAM, 0, listener.getsockname(), 5, 3
        with netref.lib.socket_backoff_connect(*arguments) as sock:
            assert sock.getpeername() == listener.getsockname()
    assert all(0 <= netref.lib.exp_backoff(failures) <= 1 for failures in range(20))


def test_methods_of_an_object():
    methods = dict(netref.lib.get_methods(frozenset(["append"]), []))
    assert "append" not in methods and "extend" in methods and "__len__" in methods


@pytest.mark.differs("cannot be iterated over")
def test_weak_values():
    class Thing:
        pass

    entries, kept = colls.WeakValueDict(), Thing()
    entries["kept"], entries["gone"] = kept, Thing()
    assert entries.get("kept") is kept and entries.get("gone", 5) == 5
    assert list(entries.keys()) == list(entries.iterkeys()) == ["kept"]
    assert entries.values() == list(entries.itervalues()) == [kept]
    assert entries.items() == list(entries.iteritems()) == [("kept", kept)]
    entries.clear()
    assert len(entries) == 0


def test_counted_references():
    held = colls.RefCountingColl()
    held.add("key", "thing")
    held.add("key", "thing")
    held.decref("key")
    assert held["key"] == "thing"
    held.decref("key")
    with pytest.raises(KeyError):
        held["key"]
    held.add("key", "thing")
    held.clear()
    with pytest.raises(KeyError):
        held["key"]


def test_compatibility():
    assert compat.is_py_3k and compat.is_py_gte37 and compat.is_py_gte38 and compat.is_py_gte310
    assert compat.is_py_gte311 == (sys.version_info >= (3, 11))
    assert compat.BYTES_LITERAL("text") == b"text" and compat.maxint == netref.lib.maxint == sys.maxsize
    assert compat.next(iter([5])) == 5 and compat.callable(len) and compat.TimeoutError is TimeoutError
    assert compat.get_exc_errno(OSError(7, "")) == 7 and compat.select_error is OSError

    class Meta(type):
        pass

    class Derived(compat.with_metaclass(Meta, dict)):
        pass

    assert type(Derived) is Meta and Derived.__bases__ == (dict,)
    lock = threading.Lock()
    assert compat.acquire_lock(lock, True, netref.lib.Timeout(5)) and not compat.acquire_lock(lock, True, netref.lib.Timeout(0))


def test_polling():
    assert compat.poll is compat.PollingPoll
    near, far = socket.socketpair()
    with near, far:
        poll = compat.PollingPoll()
        poll.register(near.fileno(), "r")
        assert poll.poll(0) == []
        far.send(b"x")
        assert poll.poll(5) == [(near.fileno(), "r")]
        poll.modify(near.fileno(), "w")
        assert poll.poll(5) == [(near.fileno(), "w")]
        poll.unregister(near.fileno())
        assert poll.poll(0) == []


# Utilities


def test_attributes_of_the_ssl_authenticator():
    key, cert = CERTS / "key.pem", CERTS / "cert.pem"
    made = authenticators.SSLAuthenticator(key, cert, ciphers="HIGH")
    assert (made.keyfile, made.certfile, made.ca_certs, made.ciphers) == (str(key), str(cert), None, "HIGH")
    assert made.cert_reqs == ssl.CERT_NONE and made.ssl_version is None
    assert authenticators.SSLAuthenticator(key, cert, ca_certs=cert).cert_reqs == ssl.CERT_REQUIRED
    assert issubclass(authenticators.AuthenticationError, Exception)


def test_ways_to_a_classic_server(serve, cleanup):
    assert (classic.DEFAULT_SERVER_PORT, classic.DEFAULT_SERVER_SSL_PORT) == (18812, 18821)
    port = serve(service.SlaveService).port
    by_channel = classic.connect_channel(netref.Channel(netref.SocketStream.connect("127.0.0.1", port)))
    by_stream = classic.connect_stream(netref.SocketStream.connect("127.0.0.1", port))
    by_thread = classic.connect_thread()
    while not hasattr(by_thread.root.getconn(), "teleport"):
        time.sleep(0.01)  # the other side is still at its own on_connect
    for conn in (by_channel, by_stream, by_thread):
        with conn:
            assert conn.eval("1 + 1") == 2
    assert classic.SlaveService is netref.ClassicService
    assert classic.MockClassicConnection().root.eval("2 + 2") == 4


def test_classic_server_over_tls(serve):
    key, cert = str(CERTS / "key.pem"), str(CERTS / "cert.pem")
    port = serve(service.SlaveService, authenticator=authenticators.SSLAuthenticator(key, cert), hostname="localhost").port
    with classic.ssl_connect("localhost", port, ca_certs=cert) as conn:
        assert conn.eval("3 + 3") == 6


@pytest.mark.differs("an idle side answers nobody")
def test_classic_server_over_pipes(cleanup):
    left, right = streams.PipeStream.create_pair()
    far = cleanup.enter_context(netref.connect_stream(left, service.SlaveService, {"endpoints": ("here", "there")}))
    with classic.connect_pipes(right.incoming, right.outgoing) as conn:
        assert conn.eval("5 + 5") == 10
    far.close()


@pytest.mark.differs("an idle side answers nobody")
def test_classic_server_over_standard_pipes(cleanup, monkeypatch):
    (stdin, far_out), (far_in, stdout) = os.pipe(), os.pipe()
    far_stream = streams.PipeStream(os.fdopen(far_in, "rb"), os.fdopen(far_out, "wb"))
    far = cleanup.enter_context(netref.connect_stream(far_stream, service.SlaveService, {"endpoints": ("here", "there")}))
    monkeypatch.setattr(sys, "stdin", os.fdopen(stdin))
    monkeypatch.setattr(sys, "stdout", os.fdopen(stdout, "w"))
    with classic.connect_stdpipes() as conn, sys.stdin, sys.stdout:
        assert conn.eval("7 + 7") == 14
    far.close()


def test_classic_server_through_a_tunnel(serve):
    class Machine:
        """Has the interface of plumbum's machines. The tunnel is a server at its near end."""

        @staticmethod
        def tunnel(local_port, remote_port):
            assert remote_port == 4711
            return serve(service.SlaveService, port=local_port)

    with classic.ssh_connect(Machine, 4711) as conn:
        assert conn.eval("9 + 9") == 18


def test_directories_and_files_by_their_functions(serve, tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_bytes(b"content")
    with classic.connect("127.0.0.1", serve(service.SlaveService).port) as conn:
        classic.upload_dir(conn, str(tmp_path / "from"), str(tmp_path / "there"))
        classic.download_dir(conn, str(tmp_path / "there"), str(tmp_path / "back"))
        classic.download_file(conn, str(tmp_path / "there" / "file"), str(tmp_path / "single"))
    assert (tmp_path / "back" / "file").read_bytes() == (tmp_path / "single").read_bytes() == b"content"


def test_parts_of_a_timed_function(things):
    slow = netref.timed(things.root.add, 5)
    assert slow.timeout == 5 and slow.proxy(1).value == 2 and slow(2).value == 3
    assert netref.timed(proxy=things.root.add, timeout=5)(1).value == 2


def test_thread_that_serves(things):
    assert (helpers.BgServingThread.SERVE_INTERVAL, helpers.BgServingThread.SLEEP_INTERVAL) == (0.0, 0.1)
    thread = helpers.BgServingThread(things)
    assert things.root.add(1) == 2
    thread.stop()


def test_errors_of_discovery():
    assert issubclass(factory.DiscoveryError, Exception) and issubclass(factory.ForbiddenError, Exception)

    class Nobody:
        def discover(self, name):
            return ()

        def list(self, filter_host=None):
            return None

    with pytest.raises(factory.DiscoveryError):
        factory.discover("anything", registrar=Nobody())
    with pytest.raises(factory.ForbiddenError):
        factory.list_services(registrar=Nobody())


@pytest.mark.parametrize("cls", [registry.UDPRegistryServer, registry.TCPRegistryServer])
def test_commands_of_a_registry(cls):
    made = cls("127.0.0.1", port=0, pruning_timeout=9, allow_listing=True)
    with made.sock:
        assert (made.pruning_timeout, made.allow_listing, made.active) == (9, True, False)
        assert made.port == made.sock.getsockname()[1] and isinstance(made.logger, logging.Logger) and cls.TIMEOUT > 0
        assert made.cmd_register("host", ["a", "B"], 5) == "OK"
        assert set(made.services) == {"A", "B"}
        assert made.cmd_query("host", "a") == (("host", 5),)
        assert set(made.cmd_list("host", (None,))) == {"A", "B"}
        assert made.cmd_unregister("host", 5) == "OK"
        assert made.cmd_query("host", "a") == ()
    assert registry.DEFAULT_PRUNING_TIMEOUT == 240


def test_attributes_of_registry_clients():
    assert (registry.REGISTRY_PORT, registry.MAX_DGRAM_SIZE) == (18811, 1500)
    client = registry.UDPRegistryClient()
    assert (client.ip, client.port, client.timeout, client.bcast) == ("255.255.255.255", 18811, 2, True)
    assert client.sock_family == socket.AF_INET and isinstance(client.logger, logging.Logger)
    assert registry.UDPRegistryClient("::1", ipv6=True).sock_family == socket.AF_INET6
    named = logging.getLogger("named")
    client = registry.TCPRegistryClient("127.0.0.1", port=1, timeout=3, logger=named)
    assert (client.ip, client.port, client.timeout, client.logger) == ("127.0.0.1", 1, 3, named)
    assert isinstance(client, registry.RegistryClient) and client.REREGISTER_INTERVAL == 60


def test_attributes_of_servers(serve):
    logger = logging.getLogger("served")
    made = serve(Things, backlog=7, logger=logger, protocol_config={"allow_public_attrs": True})
    assert made.backlog == 7 and made.logger is logger and made.service is Things and made.authenticator is None
    assert made.protocol_config["allow_public_attrs"] is True and made.active and made.clients == set()
    assert made.listener.getsockname() == (made.host, made.port)


def test_threads_of_a_pool(serve):
    pool = serve(Things, server.ThreadPoolServer, nbThreads=2)
    assert pool.polling_thread.is_alive() and pool.fd_to_conn == {}
    workers = list(pool.workers)
    pool.close()
    for thread in (pool.polling_thread, *workers):
        thread.join(10)
        assert not thread.is_alive()


def test_gevent_server_is_a_server():
    assert issubclass(server.GeventServer, server.Server)


def test_code_within_functions_is_marked():
    def function(x):
        return lambda: x

    assert teleportation.CODEOBJ_MAGIC in repr(teleportation.export_function(function))


@pytest.mark.differs("has no tunnels to the local machine")
def test_script_and_machines_of_a_deployment(cleanup):
    plumbum = pytest.importorskip("plumbum")
    from netref.utils import zerodeploy

    for placeholder in ("$SERVER_MODULE$", "$SERVER_CLASS$", "$SERVICE_MODULE$", "$SERVICE_CLASS$", "$EXTRA_SETUP$"):
        assert placeholder in zerodeploy.SERVER_SCRIPT
    machines = [plumbum.local]
    deployment = cleanup.enter_context(contextlib.closing(zerodeploy.MultiServerDeployment(machines)))
    assert list(deployment.remote_machines) == machines and len(deployment.servers) == 1
    (deployed,) = deployment.servers
    assert deployed.remote_machine is plumbum.local and deployed.proc.poll() is None
    assert deployed.local_port or deployed.remote_port
    with deployed.connect(), deployed.classic_connect() as conn:
        assert conn.eval("8 * 8") == 64
