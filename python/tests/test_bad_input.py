"""What goes wrong, and whether the error says what it was and what to do."""

import contextlib
import socket
import struct
import threading

import pytest

import netref
from netref import async_, classic
from netref.core import SocketStream, brine
from peer_process import STOCK5, STOCK6, PeerProcess, interpreter


@contextlib.contextmanager
def speaking(answer, wait_for_more=True):
    """A server that reads something, answers with those bytes, and hangs up; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(answer)
                if wait_for_more:
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(1000):
                        pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()
    thread.join(10)


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_nobody_listens(tmp_path):
    port = closed_port()
    for connect in (netref.connect, classic.connect):
        with pytest.raises(ConnectionRefusedError, match=rf"127\.0\.0\.1 port {port}: nothing listens there; check the port"):
            connect("127.0.0.1", port)
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        netref.factory.unix_connect(str(tmp_path / "nothing_here"))


def test_no_such_host():
    with pytest.raises(OSError, match=r"no-such-host\.invalid"):
        netref.connect("no-such-host.invalid", 1)


def test_peer_speaks_http():
    with speaking(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html></html>\r\n") as port:
        conn = netref.connect("127.0.0.1", port)
        with pytest.raises(EOFError, match=r"not RPyC frames.*check that an RPyC server.*listens"):
            _ = conn.root
        assert conn.closed
        conn.close()


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x03\x00\x02\x02\x28", b"220 smtp ready\r\n" * 9])
def test_peer_speaks_something_else(banner):
    with speaking(banner) as port:
        conn = netref.connect("127.0.0.1", port, config={"sync_request_timeout": 10})
        with pytest.raises(EOFError, match="closed") as caught:
            _ = conn.root
        assert len(str(caught.value)) > 30
        conn.close()


def test_client_speaks_http(serve, connect):
    """It is hung up on, and nobody else is."""
    server = serve(netref.VoidService)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.settimeout(20)
        with contextlib.suppress(ConnectionError):
            while sock.recv(1000):
                pass
    connect(server).ping()


@STOCK5
def test_v6_client_of_a_v5_server():
    server = PeerProcess(interpreter("rpyc5"), "rpyc5", "everyday")
    try:
        conn = netref.connect("127.0.0.1", server.port)
        with pytest.raises(EOFError, match=r'the peer speaks the RPyC 5 .*"v5".*set `wire` to match'):
            _ = conn.root
        conn.close()
        with netref.connect("127.0.0.1", server.port, config={"wire": "v5"}) as conn:
            assert conn.root.add(1, 2) == 3
    finally:
        server.stop()


@STOCK6
def test_v5_client_of_a_v6_server(peer_processes):
    conn = netref.connect("127.0.0.1", peer_processes("rpyc").port, config={"wire": "v5"})
    with pytest.raises(EOFError, match=r'the peer speaks the RPyC 6 .*"v6".*set `wire` to match'):
        _ = conn.root
    conn.close()


def test_v5_client_of_a_netref_server(serve, connect):
    class Hello(netref.Service):
        def exposed_hello(self):
            return "hello"

    assert connect(serve(Hello), config={"wire": "v5"}).root.hello() == "hello"


def test_peer_dies_in_the_middle_of_a_call():
    server = PeerProcess(interpreter("netref"), "netref", "everyday")
    try:
        conn = netref.connect("127.0.0.1", server.port)
        root = conn.root

        def kill():
            server.kill()

        with pytest.raises(EOFError, match=r"connection closed.*(process|reset)"):
            root.call(kill)
        with pytest.raises(EOFError, match="connection closed"):
            root.echo(1)
        with pytest.raises(EOFError, match="connection closed"):
            async_(root.echo)(1)
        conn.close()
    finally:
        server.stop()


def test_peer_closes_in_the_middle_of_a_call(pair):
    class Leaves(netref.Service):
        def on_connect(self, conn):
            self._conn = conn

        def exposed_leave(self):
            threading.Thread(target=self._conn.close).start()
            threading.Event().wait(20 if not self._conn.closed else 0)

    client, _ = pair(Leaves)
    with pytest.raises(EOFError, match="the peer closed the connection"):
        client.root.leave()


def test_stream_ends_in_the_middle_of_a_message():
    with speaking(struct.pack("!LB", 1000, 0) + b"only the beginning") as port:
        conn = netref.connect("127.0.0.1", port)
        with pytest.raises(EOFError, match="middle of a message"):
            _ = conn.root
        conn.close()


def test_frame_that_is_too_long_is_refused_before_it_is_read():
    with speaking(struct.pack("!LB", 0xFFFFFFF0, 0) + b"x" * 100) as port:
        conn = netref.connect("127.0.0.1", port)
        with pytest.raises(EOFError, match=r"limit|middle"):
            _ = conn.root
        conn.close()


def frame(payload):
    return struct.pack("!LB", len(payload), 0) + payload + b"\n"


@pytest.mark.parametrize("payload", [b"", b"\x07", b"\xff" * 20, b"\x02" + b"\x07", b"\x02" + brine.dump((1, 2, 3))])
def test_messages_that_make_no_sense_end_that_connection_with_a_reason(serve, connect, payload):
    server = serve(netref.VoidService)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(frame(payload))
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(20)
        with contextlib.suppress(ConnectionError):
            while sock.recv(1000):
                pass
    connect(server).ping()


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda root: root.no_such_thing, AttributeError, "no_such_thing.*exposed"),
        (lambda root: root.secret, AttributeError, "secret.*exposed"),
        (lambda root: root._conn, AttributeError, "_conn.*exposed"),
        (lambda root: root.add(), TypeError, r"add\(\) missing 1 required positional argument: 'a'"),
        (lambda root: root.add(1, 2, 3), TypeError, r"add\(\) takes from 2 to 3 positional arguments but 4 were given"),
        (lambda root: root.add(1, c=3), TypeError, r"add\(\) got an unexpected keyword argument 'c'"),
        (lambda root: root.add(1, "two"), TypeError, "unsupported operand"),
        (lambda root: root(), TypeError, "not callable"),
        (lambda root: root.number(), TypeError, "not callable"),
        (lambda root: root.make("nothing"), KeyError, "nothing"),
        (lambda root: setattr(root, "number", 1), AttributeError, "access denied"),
    ],
    ids=lambda part: getattr(part, "__name__", None) if isinstance(part, type) else None,
)
def test_misuse_is_an_error_of_that_call_alone(connect, serve, peer_processes, use, error, words):
    conn = connect(peer_processes("netref"))
    with pytest.raises(error, match=words):
        use(conn.root)
    assert conn.root.add(1, 2) == 3


def test_unknown_request(conn):
    with pytest.raises(Exception, match="99"):
        conn.sync_request(99, 1)
    conn.ping()


def test_proxy_of_another_connection_is_lent_on(pair, connect, peer_processes):
    class Uses(netref.Service):
        def exposed_length(self, value):
            return len(value)

    client, _ = pair(Uses)
    other = connect(peer_processes("netref"))
    assert client.root.length(other.root.make("list")) == 3


def test_stream_that_is_closed_already():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = SocketStream.connect("127.0.0.1", listener.getsockname()[1])
        stream.close()
        with pytest.raises(EOFError, match="closed"):
            netref.connect_stream(stream)


def test_id_packs_that_were_never_lent(conn):
    with pytest.raises(Exception, match=r"lent|no object|KeyError|not") as caught:
        conn.sync_request(netref.core.consts.HANDLE_INSPECT, ("builtins.list", 12345, 67890))
    assert not isinstance(caught.value, EOFError)
    conn.ping()
