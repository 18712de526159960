"""Registries: in all pairings with stock, and what netref's do in this process."""

import socket
import threading
import time

import pytest

import netref
import registry_scenarios
from netref.core import brine
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
    server, registrar = start()
    registrar.register(("a", "b"), 1)
    registrar.register(("a",), 1)
    registrar.register(("a",), 2)
    registrar.unregister(1)
    registrar.discover("a")  # when it is answered, the registry has done all of that
    assert server.seen == [("added", "A", 1), ("added", "B", 1), ("added", "A", 2), ("removed", "A", 1), ("removed", "B", 1)]


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
