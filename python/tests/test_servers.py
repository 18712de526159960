"""Servers of every kind, with clients of each implementation."""

import logging
import os
import socket
import subprocess
import threading

import pytest

import netref
from clients import IMPLEMENTATIONS, run_program
from netref.utils.authenticators import AuthenticationError
from netref.utils.server import ForkingServer, OneShotServer, Server, ThreadedServer, ThreadPoolServer

CLIENT = """
    conn = rpyc.connect("127.0.0.1", int(sys.argv[1]))
    assert conn.root.echo("x" * 100_000) == "x" * 100_000
    assert conn.root.apply(lambda value: value + 1, 41) == 42
    print(conn.root.pid())
    conn.close()
"""


class Service(netref.Service):
    def exposed_echo(self, value):
        return value

    def exposed_apply(self, function, value):
        return function(value)

    def exposed_pid(self):
        return os.getpid()

    def exposed_thread(self):
        return threading.get_ident()


@pytest.fixture(params=[ThreadedServer, ThreadPoolServer, ForkingServer, OneShotServer])
def server_class(request):
    return request.param


@pytest.fixture(params=[ThreadedServer, ThreadPoolServer, ForkingServer])
def lasting_class(request):
    """Servers that go on after their first client."""
    return request.param


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_clients(implementation, serve, server_class):
    server = serve(Service, server_class)
    pid = int(run_program(implementation, CLIENT, server.port))
    assert (pid == os.getpid()) == (server_class is not ForkingServer)


def test_many_clients_one_after_the_other_and_at_once(serve, connect, lasting_class):
    server = serve(Service, lasting_class)
    conns = [connect(server) for _ in range(30)]
    for number, conn in enumerate(conns):
        assert conn.root.echo(number) == number
    for conn in conns:
        conn.close()
    assert connect(server).root.echo("still") == "still"


def test_client_that_leaves_at_once_stops_nobody(serve, connect, lasting_class):
    class Hostile(Service):
        def on_connect(self, conn):
            conn.root.nothing

        def on_disconnect(self, conn):
            raise ValueError("nor does this matter")

    server = serve(Hostile, lasting_class, logger=quiet())
    for _ in range(20):
        socket.create_connection(("127.0.0.1", server.port)).close()
    server.service = Service
    assert connect(server).root.echo(1) == 1


def quiet():
    logger = logging.getLogger("netref.tests.quiet")
    logger.disabled = True
    return logger


def test_clients_are_forgotten_when_they_leave(serve):
    gone = threading.Event()

    class Noting(Service):
        def on_disconnect(self, conn):
            gone.set()

    server = serve(Noting, ThreadPoolServer)
    with netref.connect("127.0.0.1", server.port) as conn:
        assert conn.root.echo(1) == 1
        assert len(server.clients) == len(server.fd_to_conn) == 1
    assert gone.wait(10)
    with netref.connect("127.0.0.1", server.port) as conn:
        assert conn.root.echo(1) == 1
        assert len(server.fd_to_conn) == 1


def test_pool_runs_requests_on_its_own_threads(serve, connect):
    server = serve(Service, ThreadPoolServer, nbThreads=3, requestBatchSize=2)
    assert (server.nbthreads, server.request_batch_size, len(server.workers)) == (3, 2, 3)
    workers = {worker.ident for worker in server.workers}
    conns = [connect(server) for _ in range(8)]
    assert {conn.root.thread() for conn in conns for _ in range(4)} <= workers


def test_pool_has_callbacks_and_nested_calls(serve, connect):
    server = serve(Service, ThreadPoolServer, nbThreads=1)
    conn = connect(server)
    assert conn.root.apply(lambda value: conn.root.apply(lambda inner: inner * 2, value) + 1, 5) == 11


def test_pool_serves_others_while_one_is_busy(serve, connect):
    release = threading.Event()

    class Slow(Service):
        def exposed_wait(self):
            release.wait(30)

    server = serve(Slow, ThreadPoolServer, nbThreads=2)
    slow, quick = connect(server), connect(server)
    waiting = netref.async_(slow.root.wait)()
    assert quick.root.echo("meanwhile") == "meanwhile"
    release.set()
    waiting.wait()


def test_pool_answers_many_requests_sent_at_once(serve, connect):
    conn = connect(serve(Service, ThreadPoolServer, requestBatchSize=3))
    echo = netref.async_(conn.root.echo)
    results = [echo(number) for number in range(200)]
    assert [result.value for result in results] == list(range(200))


def test_authenticator(serve, connect, lasting_class):
    def ask(sock):
        word = sock.recv(5)
        if word != b"magic":
            raise AuthenticationError("wrong word")
        return sock, word.decode()

    class Telling(Service):
        def on_connect(self, conn):
            self._conn = conn

        def exposed_credentials(self):
            return self._conn._config["credentials"]

    server = serve(Telling, lasting_class, authenticator=ask, logger=quiet())
    for word in (b"wrong", b"magic"):
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(word)
        conn = netref.connect_stream(netref.SocketStream(sock))
        if word == b"magic":
            assert conn.root.credentials() == "magic"
        else:
            with pytest.raises(EOFError):
                conn.root.credentials()
        conn.close()


def test_forking_server_collects_its_children_and_no_others(serve):
    server = serve(Service, ForkingServer, listener_timeout=0.01)
    other = subprocess.Popen(["true"])
    children = set()
    for _ in range(5):
        with netref.connect("127.0.0.1", server.port) as conn:
            children.add(conn.root.pid())
    assert len(children) == 5 and os.getpid() not in children
    assert other.wait(10) == 0
    # Accepting collects; that is all that this needs to wait for.
    deadline = threading.Event()
    for _ in range(500):
        if not server._children:
            break
        deadline.wait(0.01)
    assert not server._children


def test_patched_accept_is_called(serve, connect, monkeypatch):
    """As a program does that sets options on every socket that it accepts."""
    accepted = []

    def accept(self):
        sock, _ = self.listener.accept()
        sock.settimeout(None)
        self.clients.add(sock)
        accepted.append(sock)
        self._accept_method(sock)

    monkeypatch.setattr(Server, "accept", accept)
    server = serve(Service, listener_timeout=None)
    assert connect(server).root.echo(1) == 1
    assert len(accepted) == 1


def test_registers_where_it_is_told_to(cleanup):
    events = []
    registered = threading.Event()

    class Registrar:
        REREGISTER_INTERVAL = 60

        def register(self, aliases, port, interface=""):
            events.append(("register", aliases, port, interface))
            registered.set()
            return True

        def unregister(self, port):
            events.append(("unregister", port))

    server = ThreadedServer(Service, hostname="127.0.0.1", registrar=Registrar())
    cleanup.callback(server.close)
    assert server.auto_register
    server._start_in_thread()
    assert registered.wait(10)
    server.close()
    assert events[:2] == [("register", ("",), server.port, "127.0.0.1"), ("unregister", server.port)]


def test_socket_path_goes_alone(tmp_path):
    with pytest.raises(ValueError, match="mutually exclusive"):
        ThreadedServer(Service, hostname="127.0.0.1", socket_path=str(tmp_path / "socket"))
