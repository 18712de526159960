"""Names of RPyC's API that no other test uses: what they do, or what they say."""

import importlib
import logging
import multiprocessing
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


@pytest.mark.parametrize(
    "name",
    ["rpyc", "rpyc.cli", "rpyc.core", "rpyc.lib", "rpyc.utils"]
    + [f"rpyc.core.{name}" for name in "async_ brine channel consts netref protocol reactor service stream vinegar".split()]
    + [f"rpyc.lib.{name}" for name in ("colls", "compat")]
    + [
        f"rpyc.utils.{name}" for name in "authenticators classic factory helpers registry server teleportation zerodeploy".split()
    ],
)
def test_modules(name):
    if name.endswith("zerodeploy"):
        pytest.importorskip("plumbum")
    module = importlib.import_module(name.replace("rpyc", "netref", 1))
    assert module.__name__.split(".")[1:] == name.split(".")[1:]


def test_async_under_its_old_names():
    assert importlib.import_module("netref.core.async").AsyncResult is netref.AsyncResult
    assert getattr(netref, "async") is getattr(helpers, "async") is netref.async_


def test_versions():
    assert netref.version.version == tuple(netref.__version__.split(".")) == ("6", "0", "2")
    assert netref.version.release_date.startswith("2024-")


def listening(use):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return use(listener.getsockname()[1])


def near_stream():
    return streams.SocketStream(socket.socketpair()[0])


@pytest.mark.parametrize(
    ("kind", "use"),
    [
        (TypeError, lambda: netref.connect()),
        (OSError, lambda: netref.connect("127.0.0.1", -1)),
        (OSError, lambda: netref.connect("no.such.host.invalid", 1)),
        (AttributeError, lambda: listening(lambda port: netref.connect("127.0.0.1", port, service=None))),
        (TypeError, lambda: listening(lambda port: netref.connect("127.0.0.1", port, config=None))),
        (TypeError, lambda: listening(lambda port: netref.connect("127.0.0.1", port, config=5))),
        (TypeError, lambda: listening(lambda port: netref.connect("127.0.0.1", port, bogus=1))),
        (ValueError, lambda: listening(lambda port: netref.SocketStream.connect("127.0.0.1", port, timeout=-1))),
        (FileNotFoundError, lambda: factory.unix_connect("/no/such/path")),
        (TypeError, lambda: factory.unix_connect(None)),
        (FileNotFoundError, lambda: factory.connect_subproc("/no/such/path")),
        (TypeError, lambda: authenticators.SSLAuthenticator()),
        (TypeError, lambda: server.ThreadedServer()),
        (TypeError, lambda: server.ThreadedServer(Things, hostname="127.0.0.1", bogus=1)),
        (TypeError, lambda: server.ThreadedServer(Things, hostname="127.0.0.1", protocol_config=5)),
        (OSError, lambda: server.ThreadedServer(Things, hostname="no.such.host.invalid")),
        (FileNotFoundError, lambda: server.ThreadedServer(Things, socket_path="/no/such/path")),
        (ValueError, lambda: server.ThreadedServer(Things, socket_path="/no/such/path", port=1)),
        (OSError, lambda: registry.UDPRegistryServer("127.0.0.1", port=-1)),
        (NotImplementedError, lambda: server.Server(Things, hostname="127.0.0.1")._accept_method(None)),
        (TypeError, lambda: netref.async_(None)),
        (TypeError, lambda: netref.timed(len, 1)),
        (ValueError, lambda: list(netref.buffiter([], factor=0))),
        (TypeError, lambda: brine.dump([])),
        (UnicodeEncodeError, lambda: brine.dump("\udcff")),
        (AttributeError, lambda: teleportation.export_function(5)),
        (TypeError, lambda: netref.lib.Timeout("x")),
        (KeyError, lambda: colls.RefCountingColl().decref("x")),
        (TypeError, lambda: near_stream().write("text")),
        (TypeError, lambda: near_stream().read("x")),
    ],
)
def test_wrong_arguments(kind, use):
    with pytest.raises(kind) as raised:
        use()
    assert kind is OSError or raised.type is kind


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


# Proxies


def test_class_that_a_proxy_shows():
    shown = proxies.NetrefClass(list)
    assert (shown.instance, shown.owner) == (list, type)


def test_classes_that_need_no_round_trip():
    assert issubclass(proxies.builtin_classes_cache["builtins.list"], netref.BaseNetref)
    assert proxies.builtin_id_pack_cache == {}


# Services


def test_services_of_classic_mode():
    for name in ("namespace", "execute", "eval", "getmodule", "getconn"):
        assert getattr(service.FakeSlaveService, f"exposed_{name}") is None
    assert netref.VoidService.ALIASES == () and netref.VoidService.get_service_aliases() == ("VOID",)
    assert classic.SlaveService is netref.ClassicService
    assert (classic.DEFAULT_SERVER_PORT, classic.DEFAULT_SERVER_SSL_PORT) == (18812, 18821)


def test_thread_that_is_not_known():
    assert protocol.UNBOUND_THREAD_ID == 0


def test_slave_by_itself():
    slave = service.Slave()
    slave.execute("x = 20")
    assert slave.eval("x + 1") == 21 and slave.namespace["x"] == 20
    assert slave.getmodule("os.path") is os.path and slave.getconn() is None


def test_namespace_of_modules():
    asked = []

    def getmodule(name):
        asked.append(name)
        return importlib.import_module(name)

    modules = service.ModuleNamespace(getmodule)
    assert modules["os.path"] is os.path and modules.os is os and modules.os is os
    assert asked[-2:] == ["os.path", "os"] and asked.count("os") == 1


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


def weak_values():
    class Thing:
        pass

    entries, kept = colls.WeakValueDict(), Thing()
    entries["kept"], entries["gone"] = kept, Thing()
    return entries, kept


def test_weak_values():
    entries, kept = weak_values()
    assert entries.get("kept") is kept and entries.get("gone", 5) == 5
    assert list(entries.keys()) == list(entries.iterkeys()) == ["kept"]
    entries.clear()
    assert len(entries) == 0


@pytest.mark.differs("a TypeError")
def test_iterating_over_weak_values():
    entries, kept = weak_values()
    assert entries.values() == list(entries.itervalues()) == [kept]
    assert entries.items() == list(entries.iteritems()) == [("kept", kept)]


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


@pytest.mark.parametrize(
    ("connect", "options"),
    [(classic.connect_multiprocess, {}), (factory.connect_multiprocess, {"remote_service": netref.SlaveService})],
)
def test_processes_of_ones_own(connect, options):
    """Both ends of one implementation: the child is forked."""
    shared = multiprocessing.Array("i", 3)
    with connect(args={"shared": shared, "given": 5}, **options) as conn:
        conn.root.execute("import os; shared[1] = given")
        assert conn.root.eval("os.getpid()") != os.getpid()
    assert list(shared) == [0, 5, 0]


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
    assert made.listener.getsockname() == (made.host, made.port) and made.fileno() == made.listener.fileno()
    assert made.auto_register is False and isinstance(made.registrar, registry.UDPRegistryClient)


def test_gevent_server_is_a_server():
    assert issubclass(server.GeventServer, server.Server)


@pytest.mark.differs("an UnboundLocalError")
def test_decoding():
    assert ("RETURN_VALUE", None) in [*teleportation.decode_codeobj((lambda x: x).__code__)]


def test_code_that_travels():
    def function(x):
        return lambda: x

    assert teleportation.CODE_HAVEARG_SIZE == 3
    assert teleportation.CODEOBJ_MAGIC in repr(teleportation.export_function(function))
