"""Registries: in all pairings with stock, and what netref's do in this process."""

import contextlib
import logging
import resource
import socket
import threading
import time

import pytest

import netref
import registry_scenarios
from netref.core import brine
from netref.utils import registry
from netref.utils.registry import (
    RegistryServer,
    TCPRegistryClient,
    TCPRegistryServer,
    UDPRegistryClient,
    UDPRegistryServer,
)
from pairings import PAIRINGS, run_scenario, scenarios
from peer_process import HERE, Program, interpreter

KINDS = {"UDP": (UDPRegistryServer, UDPRegistryClient), "TCP": (TCPRegistryServer, TCPRegistryClient)}


class Echo(netref.Service):
    def exposed_echo(self, value):
        return value


@pytest.fixture(scope="module")
def registry_processes():
    running = {}

    def start(implementation, kind):
        if (implementation, kind) not in running:
            program = Program(interpreter(implementation), HERE / "registry_program.py", implementation, kind)
            running[implementation, kind] = program, int(program.read_line())
        return running[implementation, kind][1]

    yield start
    for program, _ in running.values():
        program.stop()


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("module", "scenario"), scenarios(registry_scenarios))
def test_scenario(registry_processes, client, server, kind, module, scenario):
    run_scenario(client, module, scenario, kind, registry_processes(server, kind))


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def start(kind, cleanup):
    """Starts a registry in a thread: ``start(**options)`` returns it and a client of it. Its ``seen`` lists events."""

    class Watched(KINDS[kind][0]):
        TIMEOUT = 0.2  # after which RPyC's notice that they are to close

        def on_service_added(self, name, addrinfo):
            self.seen.append(("added", name, addrinfo[1]))

        def on_service_removed(self, name, addrinfo):
            self.seen.append(("removed", name, addrinfo[1]))

    def start(**options):
        server = Watched("127.0.0.1", port=0, **options)
        server.seen = []
        thread = threading.Thread(target=server.start, daemon=True)
        thread.start()
        registrar = KINDS[kind][1]("127.0.0.1", port=server.port)
        assert registrar.discover("anything") == ()  # it runs

        def stop():
            if server.active:
                server.close()
            thread.join(10)
            assert not thread.is_alive()

        cleanup.callback(stop)
        return server, registrar

    return start


def test_events(start):
    names = tuple(f"N{i}" for i in range(8))  # as many as are in the same order by chance once in 40,320 runs
    server, registrar = start()
    registrar.register(names, 1)
    registrar.register(("N0",), 1)
    registrar.register(("N0",), 2)
    registrar.unregister(1)
    registrar.discover("a")  # when it is answered, the registry has done all of that
    assert server.seen == [*(("added", name, 1) for name in names), ("added", "N0", 2), *(("removed", name, 1) for name in names)]


def test_event_handlers_that_fail_do_no_harm(start, caplog):
    server, registrar = start()
    server.on_service_added = None
    assert registrar.register(("a",), 1) in (True, False)
    assert registrar.discover("a") == (("127.0.0.1", 1),)


def test_servers_that_do_not_register_again_are_forgotten(start):
    server, registrar = start(pruning_timeout=100)
    registrar.register(("a", "b"), 1)
    registrar.register(("a",), 2)
    server.services["A"]["127.0.0.1", 1] -= 200
    server.services["B"]["127.0.0.1", 1] -= 200
    assert registrar.discover("a") == (("127.0.0.1", 2),)
    assert registrar.discover("b") == ()
    assert server.seen[-2:] == [("removed", "A", 1), ("removed", "B", 1)]


@pytest.mark.differs("they are listed")
def test_services_whose_servers_are_forgotten_are_not_listed(start):
    server, registrar = start(pruning_timeout=100, allow_listing=True)
    registrar.register(("a", "b"), 1)
    server.services["B"]["127.0.0.1", 1] -= 200
    assert registrar.list() == ("A",)
    assert server.seen[-1] == ("removed", "B", 1)


def test_listing_has_to_be_allowed(start):
    _, registrar = start()
    assert registrar.list() is None
    with pytest.raises(netref.utils.factory.ForbiddenError):
        netref.list_services(registrar=registrar)


@pytest.mark.differs("it ends the registry")
def test_nonsense_gets_no_answer_and_does_no_harm(start, kind, cleanup):
    server, registrar = start()
    nonsense = [
        b"",
        b"\xff\x00 no brine",
        brine.dump(("OTHER", "QUERY", ("a",))),
        brine.dump(("RPYC", "NO_SUCH_COMMAND", ())),
        brine.dump(("RPYC", 7, ())),
        brine.dump(("RPYC", "QUERY", (1, 2, 3))),
        brine.dump(("RPYC", "REGISTER", (5, 6))),
        brine.dump(7),
    ]
    for data in nonsense:
        if kind == "UDP":
            sock = cleanup.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.sendto(data, ("127.0.0.1", server.port))
        else:
            sock = cleanup.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(10)
            assert sock.recv(1) == b""
    assert registrar.register(("a",), 1)
    assert registrar.discover("a") == (("127.0.0.1", 1),)
    if kind == "TCP":
        assert not server._connected_sockets


@pytest.mark.differs("it stops the registry")
def test_tcp_client_that_says_nothing_is_dropped(cleanup):
    server = TCPRegistryServer("127.0.0.1", port=0)
    server.TIMEOUT = 0.2
    threading.Thread(target=server.start, daemon=True).start()
    silent = cleanup.enter_context(socket.create_connection(("127.0.0.1", server.port)))
    assert TCPRegistryClient("127.0.0.1", port=server.port, timeout=10).register(("a",), 1)
    silent.settimeout(10)
    assert silent.recv(1) == b""
    server.close()


@pytest.fixture
def many_silent(cleanup):
    """Connects to a port, over and over, and says nothing."""

    def connect(port, count):
        return [cleanup.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]

    return connect


@pytest.mark.differs("they stop the registry")
def test_tcp_clients_that_say_nothing_hold_nobody_up(many_silent, cleanup):
    """However many they are: who has been silent for longest makes room for who comes."""
    server = TCPRegistryServer("127.0.0.1", port=0)
    server.TIMEOUT, server._MAX_CLIENTS = 1000, 5
    thread = threading.Thread(target=server.start, daemon=True)
    thread.start()
    silent = many_silent(server.port, 30)
    registrar = TCPRegistryClient("127.0.0.1", port=server.port, timeout=20)
    assert registrar.register(("a",), 1)
    assert registrar.discover("a") == (("127.0.0.1", 1),)
    silent[0].settimeout(20)
    assert silent[0].recv(1) == b""
    server.close()
    thread.join(20)
    silent[-1].settimeout(20)
    assert silent[-1].recv(1) == b""


def test_tcp_registry_without_file_descriptors(many_silent, cleanup):
    program = Program(interpreter("netref"), HERE / "registry_program.py", "netref", "TCP")
    cleanup.callback(program.stop)
    port = int(program.read_line())
    resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (20, 20))
    many_silent(port, 60)
    registrar = TCPRegistryClient("127.0.0.1", port=port, timeout=20)
    assert registrar.register(("a",), 1)
    assert registrar.discover("a") == (("127.0.0.1", 1),)


@pytest.mark.differs("any is taken")
@pytest.mark.parametrize("port", [70000, -1, True, None, 1.5, (1,), b"1"])
def test_ports_that_are_none(start, port):
    _, registrar = start()
    registrar.timeout = 0.2
    assert registrar.register(("a",), port) is False
    assert registrar.discover("a") == ()


@pytest.mark.differs("nothing is bounded")
def test_most_that_is_registered(start, monkeypatch):
    """A host fills no more than its part, and all of them no more than there is. Who is there stays; who is gone makes room."""
    monkeypatch.setattr(registry, "_MOST_OF_HOST", 5)
    monkeypatch.setattr(registry, "_MOST", 8)
    server, registrar = start(pruning_timeout=100)
    registrar.timeout = 0.2
    assert not registrar.register([f"name{number}" for number in range(20)], 1)
    assert sum(map(len, server.services.values())) == 5
    for number in range(3):
        server.cmd_register(f"host{number}", ("other",), 1)
    with pytest.raises(MemoryError):
        server.cmd_register("host4", ("other",), 1)
    registrar.timeout = 20
    assert registrar.register(("name3", "name4"), 1)
    server._pruned_all -= 10
    server.services["NAME0"]["127.0.0.1", 1] -= 200
    assert registrar.register(("name5",), 1)
    registrar.unregister(1)
    assert registrar.discover("name4") == ()
    assert registrar.discover("other") == tuple((f"host{number}", 1) for number in range(3))
    for number in range(3):
        server.cmd_unregister(f"host{number}", 1)
    assert (server.services, server._of_host, server._count) == ({}, {}, 0)


@pytest.mark.differs("no answer comes")
def test_answers_are_no_longer_than_clients_take(start):
    server, registrar = start(allow_listing=True)
    registrar.timeout = 20
    for number in range(8000):
        server.cmd_register(f"10.0.{number >> 8}.{number & 255}", ("a", f"name{number}"), 12345)
    servers, names = registrar.discover("a"), registrar.list()
    assert 2000 < len(servers) < 8000 and servers[:2] == (("10.0.0.0", 12345), ("10.0.0.1", 12345))
    assert 2000 < len(names) < 8000 and names[:2] == ("A", "NAME0")


@pytest.mark.differs("a traceback for each")
def test_log_of_nonsense_stays_short(kind, caplog, cleanup):
    server = KINDS[kind][0]("127.0.0.1", port=0)
    cleanup.callback(server.sock.close)
    caplog.set_level(logging.DEBUG)
    text = "x\n\x1b[2J" * 90
    for message in ((text, "QUERY", ()), ("RPYC", text, ()), ("RPYC", "REGISTER", (7, text)), ("RPYC", "QUERY", (text,))):
        for _ in range(500):
            server._answer(brine.dump(message), "127.0.0.1")
    assert 3 < len(caplog.records) < 500
    for record in caplog.records:
        line = record.getMessage()
        assert line.isprintable() and len(line) < 600 and not record.exc_info


@pytest.mark.differs("takes effect after a time-out")
def test_closing(monkeypatch, kind, start):
    monkeypatch.setattr(KINDS[kind][0], "TIMEOUT", 60)  # it does not wait for a time-out
    server, _ = start()
    server.close()
    deadline = time.monotonic() + 20
    while server.sock is not None:
        assert time.monotonic() < deadline, "it still waits"
        threading.Event().wait(0.01)
    with pytest.raises(ValueError, match="not running"):
        server.close()
    with pytest.raises(ValueError, match="disposed"):
        server.start()


def test_starting_twice(start):
    server, _ = start()
    with pytest.raises(ValueError, match="already running"):
        server.start()


def test_registrar_without_registry(kind):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening, so nobody gets the port
        registrar = KINDS[kind][1]("127.0.0.1", port=unused.getsockname()[1], timeout=0.2)
        assert registrar.register(("a",), 1) is False
        registrar.unregister(1)
        if kind == "UDP":
            assert registrar.discover("a") == registrar.list() == ()
        else:
            with pytest.raises(ConnectionRefusedError):
                registrar.discover("a")


@pytest.mark.differs("an error of any kind, or what was sent")
@pytest.mark.parametrize(
    ("answer", "found"),
    [(7, ()), (None, ()), ((1, None, (), ("host",), ("host", 1, 2), (7, 8), ("host", 1)), (("host", 1),)), ("text", ())],
)
def test_hostile_registry(kind, cleanup, answer, found):
    """What it says is what it was asked for, or nothing."""
    registrar = hostile_registry(kind, cleanup, brine.dump(answer))
    assert registrar.discover("a") == found
    assert registrar.list() in (None, ())
    assert registrar.register(("a",), 1) is False


@pytest.mark.differs("a UnicodeError")
def test_registry_that_lists_what_are_no_addresses(kind, cleanup, serve):
    server = serve(Echo)
    none = (("127.0.0.1", 99999), ("a..b", 1), ("127.0.0.1", "a\0"), ("127.0.0.1", -5), (7, 8))
    registrar = hostile_registry(kind, cleanup, brine.dump((*none, ("127.0.0.1", server.port))))
    conn = cleanup.enter_context(netref.connect_by_service("echo", registrar=registrar))
    assert conn.root.echo(5) == 5


@pytest.mark.differs("hangs")
def test_tcp_registry_that_drips(cleanup):
    over = threading.Event()
    cleanup.callback(over.set)
    listener = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))

    def drip():
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            while not over.wait(0.02):
                sock.sendall(b"x")

    threading.Thread(target=drip, daemon=True).start()
    assert TCPRegistryClient("127.0.0.1", port=listener.getsockname()[1], timeout=0.3).discover("a") == ()


def hostile_registry(kind, cleanup, answer):
    """A client of a registry that answers all with the same."""
    if kind == "UDP":
        sock = cleanup.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.bind(("127.0.0.1", 0))
    else:
        sock = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                if kind == "UDP":
                    sock.sendto(answer, sock.recvfrom(1500)[1])
                else:
                    with sock.accept()[0] as client:
                        client.recv(1500)
                        client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return KINDS[kind][1]("127.0.0.1", port=sock.getsockname()[1], timeout=0.3)


def test_first_server_that_is_there_is_connected_to(start, serve, cleanup):
    _, registrar = start()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        registrar.register(("echo",), unused.getsockname()[1])
        server = serve(Echo)
        registrar.register(("echo",), server.port)
        conn = cleanup.enter_context(netref.connect_by_service("echo", registrar=registrar))
        assert conn.root.echo(5) == 5


def test_registry_that_fails_disturbs_no_server(serve, connect, caplog):
    asked = threading.Event()

    class Broken(UDPRegistryClient):
        def register(self, aliases, port, interface=""):
            asked.set()
            raise RuntimeError("no way to register")

        def unregister(self, port):
            raise RuntimeError("no way to unregister")

    server = serve(Echo, registrar=Broken())
    assert asked.wait(10)
    assert connect(server).root.echo(1) == 1
    server.close()


@pytest.mark.differs("it stays registered")
def test_server_closed_while_it_registers_leaves_no_registration(start, serve):
    _, registrar = start()
    inside, proceed, done = threading.Event(), threading.Event(), threading.Event()
    register, unregister = registrar.register, registrar.unregister

    def slow_register(*args, **kwargs):
        inside.set()
        assert proceed.wait(10)
        return register(*args, **kwargs)

    def noticed_unregister(port):
        unregister(port)
        if proceed.is_set():
            done.set()

    registrar.register, registrar.unregister = slow_register, noticed_unregister
    server = serve(Echo, registrar=registrar)
    assert inside.wait(10)
    server.close()
    proceed.set()
    assert done.wait(10)
    assert registrar.discover("echo") == ()


def test_base_class_has_no_transport():
    with socket.socket() as sock, pytest.raises(NotImplementedError):
        RegistryServer(sock)
