"""TLS: with each implementation at either end."""

import os
import pathlib
import socket
import ssl
import threading

import pytest

import netref
from clients import IMPLEMENTATIONS, run_program
from hostile import hostile_server
from netref.utils.authenticators import AuthenticationError, SSLAuthenticator
from netref.utils.factory import ssl_connect
from netref.utils.server import ThreadedServer, ThreadPoolServer
from peer_process import STOCK6, Program, interpreter
from waiting import until

CERTS = pathlib.Path(__file__).parent / "certs"
#: For localhost, good for a hundred years.
KEY, CERT = str(CERTS / "key.pem"), str(CERTS / "cert.pem")

CLIENT = f"""
    from rpyc.utils.factory import ssl_connect
    conn = ssl_connect("localhost", int(sys.argv[1]), keyfile={KEY!r}, certfile={CERT!r}, ca_certs={CERT!r},
                       config={{"allow_public_attrs": True}})
    payload = bytes(range(256)) * 8000
    assert conn.root.apply(lambda data: data, payload) == payload
    assert conn.root.apply(lambda data: len(data), "small") == 5
    print(conn.root.subject())
    conn.close()
"""

SERVER = f"""
    from rpyc.utils.authenticators import SSLAuthenticator
    from rpyc.utils.server import ThreadedServer
    import logging
    logging.disable(logging.CRITICAL)

    class Service(rpyc.Service):
        def on_connect(self, conn):
            self._conn = conn
        def exposed_apply(self, function, value):
            return function(value)
        def exposed_subject(self):
            return str(self._conn._config["credentials"]["subject"])

    server = ThreadedServer(Service, hostname="localhost", authenticator=SSLAuthenticator({KEY!r}, {CERT!r}, ca_certs={CERT!r}))
    server._start_in_thread()
    print(server.port, flush=True)
    sys.stdin.read()
"""


class Service(netref.Service):
    def on_connect(self, conn):
        self._conn = conn

    def exposed_echo(self, value):
        return value

    def exposed_credentials(self):
        return str(self._conn._config["credentials"])


@pytest.fixture(params=[ThreadedServer, ThreadPoolServer])
def server_class(request):
    return request.param


@pytest.mark.parametrize("server", IMPLEMENTATIONS)
@pytest.mark.parametrize("client", IMPLEMENTATIONS)
def test_pairings(client, server, cleanup):
    import textwrap

    prelude = f"import sys, {server} as rpyc\nsys.modules.setdefault('rpyc', rpyc)\n"
    code = SERVER.replace("from rpyc.", f"from {server}.")
    program = Program(interpreter(server), "-c", prelude + textwrap.dedent(code))
    cleanup.callback(program.stop)
    port = int(program.read_line())
    assert "localhost" in run_program(client, CLIENT.replace("from rpyc.", f"from {client}."), port)


def test_many_threads_on_one_connection(serve, server_class):
    server = serve(Service, server_class, authenticator=SSLAuthenticator(KEY, CERT))
    with ssl_connect("127.0.0.1", server.port) as conn:
        failures = []

        def work(number):
            for size in (10, 50_000, 10):
                payload = bytes([number]) * size
                if conn.root.echo(payload) != payload:
                    failures.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failures and not any(thread.is_alive() for thread in threads)
        assert conn.root.credentials() == "None"


def test_both_write_at_the_same_time(serve):
    server = serve(Service, authenticator=SSLAuthenticator(KEY, CERT))
    with ssl_connect("127.0.0.1", server.port) as conn:
        echo = netref.async_(conn.root.echo)
        payload = bytes(range(251)) * 8000
        results = [echo(payload) for _ in range(6)]
        assert all(result.value == payload for result in results)


def test_client_without_a_certificate_is_refused(serve, server_class):
    server = serve(Service, server_class, authenticator=SSLAuthenticator(KEY, CERT, ca_certs=CERT))
    with pytest.raises((EOFError, ssl.SSLError, ConnectionError)):
        ssl_connect("localhost", server.port).root
    with ssl_connect("localhost", server.port, KEY, CERT) as conn:
        assert conn.root.echo(1) == 1


def test_log_says_who_failed(serve, server_class, caplog):
    """Also after a failed handshake, when the socket is closed and knows its peer no more."""
    caplog.set_level("INFO")
    server = serve(Service, server_class, authenticator=SSLAuthenticator(KEY, CERT))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        until(lambda: f"{client.getsockname()} failed to authenticate" in caplog.text)


def test_server_that_cannot_be_verified_is_refused(serve):
    server = serve(Service, authenticator=SSLAuthenticator(KEY, CERT))
    with pytest.raises(ssl.SSLError):
        ssl_connect("localhost", server.port, cert_reqs=ssl.CERT_REQUIRED)
    with ssl_connect("localhost", server.port, ca_certs=CERT, cert_reqs=ssl.CERT_REQUIRED) as conn:
        assert conn.root.echo(1) == 1
    with ssl_connect("localhost", server.port, cert_reqs=ssl.CERT_NONE, ssl_version=ssl.PROTOCOL_TLS_CLIENT) as conn:
        assert conn.root.echo(1) == 1


def test_silent_client_keeps_nobody_waiting(serve, server_class):
    """The handshake is not done by the thread that accepts."""
    server = serve(Service, server_class, authenticator=SSLAuthenticator(KEY, CERT))
    with socket.create_connection(("127.0.0.1", server.port)), ssl_connect("127.0.0.1", server.port) as conn:
        assert conn.root.echo("meanwhile") == "meanwhile"


def test_authenticator_by_itself():
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(AuthenticationError):
            SSLAuthenticator(KEY, CERT)(right)
        for key, cert in ((CERT, KEY), ("/missing", CERT)):  # which is not the client's doing
            with pytest.raises(AuthenticationError, match=f"server's own .*{key}, {cert}"):
                SSLAuthenticator(key, cert)(right)
    assert SSLAuthenticator(KEY, CERT)._context(ssl).options & ssl.OP_NO_RENEGOTIATION
    assert SSLAuthenticator(KEY, CERT).cert_reqs == ssl.CERT_NONE
    assert SSLAuthenticator(KEY, CERT, ca_certs=CERT).cert_reqs == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "sends",
    [b"no record", b"\x17\x03\x03\xff\xff" + bytes(70_000), b"\x15\x03\x03\0\x02\x02\x28", b""],
    ids=["nonsense", "too long", "alert", "end"],
)
def test_server_that_breaks_off(sends):
    """In the middle of a reply: with what is not TLS, or without a word of it."""

    def behave(peer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERT, KEY)
        secure = context.wrap_socket(peer.sock, server_side=True)
        secure.recv(1)
        secure.sendall(b"\0\0\x10\0\0 the beginning of a reply")
        os.write(secure.fileno(), sends)
        socket.socket.shutdown(secure, socket.SHUT_WR)
        while socket.socket.recv(secure, 65536):
            pass

    with hostile_server(behave) as port, ssl_connect("127.0.0.1", port) as conn:
        with pytest.raises(EOFError):
            _ = conn.root
        assert conn.closed


def test_who_does_not_speak_tls_is_told_so(serve, server_class):
    guarded = serve(Service, server_class, authenticator=SSLAuthenticator(KEY, CERT))
    with netref.connect("127.0.0.1", guarded.port) as conn, pytest.raises(EOFError, match="be no RPyC server"):
        _ = conn.root
    with pytest.raises(OSError, match="SSL"):
        ssl_connect("127.0.0.1", serve(Service, server_class).port)
    with ssl_connect("127.0.0.1", guarded.port) as conn:
        assert conn.root.echo(1) == 1


@STOCK6
def test_closing_is_noticed_by_stock(serve):
    gone = threading.Event()

    class Noting(Service):
        def on_disconnect(self, conn):
            gone.set()

    server = serve(Noting, authenticator=SSLAuthenticator(KEY, CERT))
    run_program(
        "rpyc", "from rpyc.utils.factory import ssl_connect\nssl_connect('localhost', int(sys.argv[1])).root", server.port
    )
    assert gone.wait(10)
