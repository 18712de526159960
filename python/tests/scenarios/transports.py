"""Servers of all kinds, and ways to reach them."""

import contextlib
import os
import pathlib
import socket
import ssl
import tempfile
import threading

from scenarios.host import raises

CERTS = pathlib.Path(__file__).parent.parent / "certs"


def _service(rpyc):
    class Where(rpyc.Service):
        def on_connect(self, conn):
            self.conn = conn

        def exposed_where(self):
            return os.getpid(), threading.get_ident()

        def exposed_echo(self, value):
            return value

        def exposed_credentials(self):
            return self.conn._config["credentials"]

        def exposed_call(self, function, *args):
            return function(*args)

    return Where


def _serve_kind(side, kind, config={}):
    server = getattr(side.rpyc.utils.server, kind)
    return side.serve(_service(side.rpyc), server, protocol_config=config)


def kinds_of_servers(side):
    for kind in ("ThreadedServer", "ThreadPoolServer", "ForkingServer", "OneShotServer"):
        port = side.far(_serve_kind, kind)
        with contextlib.closing(side.rpyc.connect("127.0.0.1", port)) as conn:
            assert conn.root.echo(kind) == kind
            assert conn.root.call(lambda x: x + 1, 1) == 2
            raises(TypeError, conn.root.echo)
            assert conn.root.echo(b"x" * 300_000) == b"x" * 300_000


def many_clients(side):
    for kind in ("ThreadedServer", "ThreadPoolServer", "ForkingServer"):
        port = side.far(_serve_kind, kind)
        conns = [side.connect(port) for _ in range(5)]
        wheres = [conn.root.where() for conn in conns]
        assert [conn.root.echo(number) for number, conn in enumerate(conns)] == list(range(5))
        if kind == "ForkingServer":
            assert len({pid for pid, _ in wheres}) == 5
        for conn in conns:
            conn.close()


def _serve_at(side, path):
    side.serve(_service(side.rpyc), socket_path=path)


def unix_sockets(side):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        side.far(_serve_at, path)
        conn = side.rpyc.utils.factory.unix_connect(path)
        assert conn.root.echo("unix") == "unix"
        assert conn.root.call(lambda: "back") == "back"
        conn.close()


def _serve_v6(side):
    return side.serve(_service(side.rpyc), hostname="::1", ipv6=True)


def ipv6(side):
    if not socket.has_ipv6:
        return
    conn = side.rpyc.connect("::1", side.far(_serve_v6), ipv6=True, keepalive=True)
    assert conn.root.echo(6) == 6
    conn.close()


def _serve_ssl(side):
    authenticator = side.rpyc.utils.authenticators.SSLAuthenticator(str(CERTS / "key.pem"), str(CERTS / "cert.pem"))
    return side.serve(_service(side.rpyc), authenticator=authenticator)


def encrypted_connections(side):
    conn = side.rpyc.ssl_connect("127.0.0.1", side.far(_serve_ssl))
    assert conn.root.echo("secret") == "secret"
    assert conn.root.echo(b"x" * 200_000) == b"x" * 200_000
    assert conn.root.call(lambda x: x, 5) == 5
    assert isinstance(conn._channel.stream.sock, ssl.SSLSocket)
    conn.close()


def _serve_password(side):
    def authenticate(sock):
        if sock.recv(6) != b"letmei":
            raise side.rpyc.utils.authenticators.AuthenticationError("wrong password")
        sock.sendall(b"ok")
        return sock, "somebody"

    return side.serve(_service(side.rpyc), authenticator=authenticate)


def passwords_on_the_socket(side):
    port = side.far(_serve_password)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"wrong!")
        assert sock.recv(10) == b""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(b"letmei")
    assert sock.recv(2) == b"ok"
    conn = side.rpyc.connect_stream(side.rpyc.SocketStream(sock))
    assert conn.root.credentials() == "somebody"
    conn.close()


def _serve_handshake(side):
    """A channel by itself, before the connection is made on it."""
    rpyc = side.rpyc
    listener = socket.create_server(("127.0.0.1", 0))
    side.cleanup.callback(listener.close)

    def serve():
        sock, _ = listener.accept()
        channel = rpyc.Channel(rpyc.SocketStream(sock))
        name = rpyc.core.brine.load(channel.recv())
        channel.send(rpyc.core.brine.dump(("hello", name)))
        conn = _service(rpyc)()._connect(channel, {"credentials": name})
        conn.serve_all()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def handshakes_over_a_channel(side):
    rpyc = side.rpyc
    channel = rpyc.Channel(rpyc.SocketStream.connect("127.0.0.1", side.far(_serve_handshake)))
    channel.send(rpyc.core.brine.dump("me"))
    assert channel.poll(10) and rpyc.core.brine.load(channel.recv()) == ("hello", "me")
    conn = rpyc.connect_channel(channel, rpyc.VoidService, {"allow_public_attrs": True})
    assert conn.root.credentials() == "me"
    assert conn._config["allow_public_attrs"]
    conn.close()


def options_of_connections(side):
    rpyc = side.rpyc
    port = side.far(_serve_kind, "ThreadedServer")
    stream = rpyc.SocketStream.connect("127.0.0.1", port, timeout=5, nodelay=True, keepalive=True)
    conn = rpyc.connect_stream(stream, rpyc.VoidService, {"sync_request_timeout": 20})
    sock = conn._channel.stream.sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) and sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getpeername() == ("127.0.0.1", port)
    assert conn._channel is not None and conn._channel.stream.fileno() == sock.fileno() == conn.fileno()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert conn.root.echo(1) == 1
    assert not conn._channel.closed and not stream.closed
    conn.close()
    assert conn._channel.closed and stream.closed
    unused = socket.create_server(("127.0.0.1", 0))
    free = unused.getsockname()[1]
    unused.close()
    raises(ConnectionRefusedError, rpyc.connect, "127.0.0.1", free)
    raises(OSError, rpyc.connect, "no.such.host.invalid", 1)


def _serve_subclass(side):
    class Server(side.rpyc.ThreadedServer):
        seen = []

        def _authenticate_and_serve_client(self, sock):
            self.seen.append("authenticate")
            super()._authenticate_and_serve_client(sock)

        def _serve_client(self, sock, credentials):
            self.seen.append("serve")
            self.protocol_config["allow_public_attrs"] = True
            super()._serve_client(sock, credentials)

        def _accept_method(self, sock):
            self.seen.append("accept")
            super()._accept_method(sock)

    class Seen(side.rpyc.Service):
        def exposed_seen(self):
            return tuple(Server.seen)

        def public(self):
            return "public"

        def exposed_clients(self):
            return len(SERVERS[-1].clients)

    server = Server(Seen, hostname="127.0.0.1")
    SERVERS.append(server)
    side.cleanup.callback(server.close)
    server.listener.listen()
    threading.Thread(target=server.start, daemon=True).start()
    return server.port


SERVERS = []


def servers_of_ones_own(side):
    port = side.far(_serve_subclass)
    root = side.connect(port).root
    assert root.seen() == ("accept", "authenticate", "serve")
    assert root.public() == "public"
    other = side.connect(port)
    assert other.root.clients() == 2


def a_client_that_vanishes(side):
    for kind in ("ThreadedServer", "ThreadPoolServer"):
        port = side.far(_serve_kind, kind)
        for _ in range(3):
            conn = side.rpyc.connect("127.0.0.1", port)
            conn.root.echo(1)
            conn._channel.stream.sock.shutdown(socket.SHUT_RDWR)
            raises(EOFError, lambda conn=conn: [conn.root.echo(1) for _ in range(100)])
            conn.close()
        socket.create_connection(("127.0.0.1", port)).close()
        assert side.connect(port).root.echo("still there") == "still there"


def streams_of_ones_own(side):
    """Without a file descriptor, as over a web socket."""
    rpyc = side.rpyc
    port = side.far(_serve_kind, "ThreadedServer")

    class Own(rpyc.core.stream.Stream):
        MAX_IO_CHUNK = 8000  # stock's channel asks for it

        def __init__(self):
            self.sock = socket.create_connection(("127.0.0.1", port))
            self.written = 0

        @property
        def closed(self):
            return self.sock is None

        def close(self):
            if self.sock is not None:
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
                self.sock.close()
                self.sock = None

        def poll(self, timeout):
            import select

            if self.sock is None:
                raise EOFError("closed")
            left = timeout.timeleft() if hasattr(timeout, "timeleft") else timeout
            return bool(select.select([self.sock], [], [], left)[0])

        def read(self, count):
            data = b""
            while len(data) < count:
                part = self.sock.recv(count - len(data))
                if not part:
                    raise EOFError("ended")
                data += part
            return data

        def write(self, data):
            self.written += len(data)
            self.sock.sendall(data)

    stream = Own()
    conn = rpyc.connect_stream(stream)
    assert conn.root.echo("own") == "own"
    assert conn.root.call(lambda x: x * 2, 4) == 8
    assert stream.written > 0
    assert conn.root.echo(b"x" * 100_000) == b"x" * 100_000
    conn.close()
