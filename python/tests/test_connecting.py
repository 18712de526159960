"""Connecting, servers, and who gets in."""

import logging
import os
import socket
import threading

import pytest

import netref
from netref.core import SocketStream
from netref.utils.authenticators import AuthenticationError
from netref.utils.factory import connect_channel, unix_connect
from netref.utils.server import OneShotServer, ThreadedServer


class Greeter(netref.Service):
    def exposed_greet(self, name):
        return f"hello {name}"


def test_connect_and_close(serve):
    server = serve(Greeter)
    conn = netref.connect("127.0.0.1", server.port)
    assert conn.root.greet("you") == "hello you"
    assert not conn.closed
    conn.close()
    assert conn.closed
    conn.close()  # once more does nothing
    with pytest.raises(EOFError, match="closed"):
        conn.ping()


def test_connection_is_a_context_manager(serve):
    with netref.connect("localhost", serve(Greeter).port) as conn:
        assert conn.root.greet("x") == "hello x"
    assert conn.closed


def test_connect_stream_and_channel(serve):
    server = serve(Greeter)
    for connect in (
        lambda stream: netref.connect_stream(stream),
        lambda stream: connect_channel(netref.Channel(stream)),
        lambda stream: netref.connect_stream(SocketStream(stream.sock), config={"connid": "mine"}),
    ):
        stream = SocketStream.connect("127.0.0.1", server.port)
        with connect(stream) as conn:
            assert conn.root.greet("stream") == "hello stream"
            assert conn._channel.stream.sock.getpeername()[1] == server.port


def test_socket_made_elsewhere(serve):
    sock = socket.create_connection(("127.0.0.1", serve(Greeter).port))
    with netref.connect_stream(SocketStream(sock)) as conn:
        assert conn.root.greet("s") == "hello s"


def test_unix_socket(serve, tmp_path):
    path = str(tmp_path / "socket")
    server = serve(Greeter, socket_path=path)
    with unix_connect(path) as conn:
        assert conn.root.greet("u") == "hello u"
    server.close()
    assert os.path.exists(path)  # as in RPyC: whoever closes the server may well remove it


def test_unix_socket_excludes_an_address(tmp_path):
    with pytest.raises(ValueError, match="mutually exclusive"):
        ThreadedServer(Greeter, socket_path=str(tmp_path / "s"), port=1)


def test_ipv6(serve):
    server = serve(Greeter, hostname="::1", ipv6=True)
    with netref.connect("::1", server.port, ipv6=True) as conn:
        assert conn.root.greet("6") == "hello 6"


def test_keepalive(serve):
    with netref.connect("127.0.0.1", serve(Greeter).port, keepalive=True) as conn:
        assert conn._channel.stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_port_0_is_a_free_port(serve):
    first, second = serve(Greeter), serve(Greeter)
    assert first.port != second.port
    assert 0 not in (first.port, second.port)


def test_many_clients_at_once(serve, connect):
    server = serve(Greeter)
    conns = [connect(server) for _ in range(20)]
    assert [conn.root.greet(n) for n, conn in enumerate(conns)] == [f"hello {n}" for n in range(20)]
    assert len(server.clients) == 20


def test_closing_a_server_ends_its_connections(serve, connect):
    server = serve(Greeter)
    conn = connect(server)
    assert conn.root.greet("x") == "hello x"
    server.close()
    server.close()  # once more does nothing
    with pytest.raises(EOFError):
        conn.root.greet("x")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port))
    assert not server.clients


def test_start_returns_when_the_server_is_closed():
    server = ThreadedServer(Greeter, hostname="127.0.0.1")
    thread = server._start_in_thread()
    server.close()
    thread.join(10)
    assert not thread.is_alive()


def test_oneshot_server_serves_one_client(serve, connect):
    server = serve(Greeter, server_class=OneShotServer)
    conn = connect(server)
    assert conn.root.greet("only") == "hello only"
    conn.close()
    with pytest.raises(OSError):
        while True:  # it closes its listener as soon as it has seen the end of the first
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()


def password(sock):
    if sock.recv(6) != b"sesame":
        raise AuthenticationError("wrong password")
    return sock, "the password holder"


def authenticated(server, word):
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall(word)
    return netref.connect_stream(SocketStream(sock))


def test_authenticator(serve):
    class Whoami(netref.Service):
        def on_connect(self, conn):
            self._credentials = conn._config["credentials"]

        def exposed_whoami(self):
            return self._credentials

    server = serve(Whoami, authenticator=password)
    with authenticated(server, b"sesame") as conn:
        assert conn.root.whoami() == "the password holder"


def test_authentication_error_refuses_that_client_alone(serve, caplog):
    server = serve(Greeter, authenticator=password)
    with authenticated(server, b"please") as refused, pytest.raises(EOFError, match="closed"):
        refused.root.greet("x")
    with authenticated(server, b"sesame") as conn:
        assert conn.root.greet("y") == "hello y"


@pytest.mark.differs("says nothing of it")
def test_authenticator_that_breaks_hurts_that_client_alone(serve, caplog):
    def broken(sock):
        if sock.recv(6) == b"sesame":
            return sock, None
        raise ZeroDivisionError("in the authenticator")

    server = serve(Greeter, authenticator=broken)
    with authenticated(server, b"please") as refused, pytest.raises(EOFError):
        refused.root.greet("x")
    with authenticated(server, b"sesame") as conn:
        assert conn.root.greet("y") == "hello y"
    assert "in the authenticator" in caplog.text


def test_on_connect_that_raises_hurts_that_connection_alone(serve, connect, caplog):
    class Moody(netref.Service):
        visits = 0

        def on_connect(self, conn):
            type(self).visits += 1
            if self.visits == 1:
                raise RuntimeError("not in the mood")

        def on_disconnect(self, conn):
            raise RuntimeError("even less now")

        def exposed_hello(self):
            return "hello"

    server = serve(Moody)
    with pytest.raises(EOFError):
        connect(server).root.hello()
    assert connect(server).root.hello() == "hello"
    assert "not in the mood" in caplog.text


def test_opened_and_dropped_at_once(serve, connect, caplog):
    caplog.set_level(logging.CRITICAL)
    server = serve(Greeter)
    for _ in range(20):
        socket.create_connection(("127.0.0.1", server.port)).close()
    assert connect(server).root.greet("z") == "hello z"


def test_connections_made_and_dropped_leave_no_threads(serve):
    server = serve(Greeter)
    before = threading.active_count()
    for _ in range(30):
        with netref.connect("127.0.0.1", server.port) as conn:
            conn.root.greet("x")
    gone = threading.Event()
    for _ in range(500):
        if threading.active_count() <= before + 1 and not server.clients:
            break
        gone.wait(0.02)
    assert threading.active_count() <= before + 1
    assert not server.clients
