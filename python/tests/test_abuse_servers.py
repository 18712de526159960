"""What hurts a server as a whole: no files, no threads, too many clients, handshakes that never end, logs; and its end."""

import contextlib
import logging
import os
import pathlib
import random
import resource
import socket
import ssl
import struct
import threading
import time

import pytest

import netref
from abuse import MIB, PYTHON_SERVERS, RUST_SERVERS, Target, eventually, stock, stock_survives
from hostile import (
    EXCEPTION,
    REQUEST,
    Hostile,
    Refused,
    boxed_tuple,
    by_value,
    compressed,
    frame,
    message,
    of_peer,
    of_server,
    request,
)
from netref.core import brine, consts
from netref.utils.server import ThreadedServer, ThreadPoolServer
from netref.utils.vigilance import LineBudget
from peer_process import HERE

CERTS = HERE / "certs"
SERVERS = [ThreadedServer, ThreadPoolServer]


@contextlib.contextmanager
def running(*args, **options):
    target = Target(*args, **options)
    try:
        yield target
    finally:
        target.kill()


def served(target):
    """Whether an honest client is let in and answered, however long that takes."""

    def ask():
        with contextlib.suppress(OSError, EOFError, Refused), Hostile(target.port) as peer:
            peer.sock.settimeout(2)
            peer.ping()
            return True
        return False

    eventually(ask)
    return target.alive


@pytest.mark.parametrize("name", [*PYTHON_SERVERS, *stock("stock")])
def test_no_file_descriptors_left(name):
    """200 sockets, where there are files for 100: accepting goes on once they are gone."""
    with running(name, files=100) as target:
        peers = []
        with contextlib.suppress(OSError):
            for _ in range(200):
                peer = Hostile(target.port)
                peer.send_raw(b"\0")
                peers.append(peer)
        time.sleep(0.5)  # for the server to run into it; nothing depends on how far it gets
        assert target.alive
        for peer in peers:
            peer.close()
        assert served(target)


@pytest.mark.parametrize("name", RUST_SERVERS)
def test_no_file_descriptors_left_for_rust(name):
    with running(name) as target:
        resource.prlimit(target.process.pid, resource.RLIMIT_NOFILE, (60, 60))
        peers = [Hostile(target.port) for _ in range(150)]
        time.sleep(0.5)
        assert target.alive
        for peer in peers:
            peer.close()
        assert served(target)


@pytest.mark.parametrize("name", ["threaded", "pool", *stock("stock")])
def test_no_threads_left(name):
    """A thread that cannot be started hurts that client alone. With room for some 100 threads."""
    with running(name, memory=(3 if name == "pool" else 1) << 30, config={"limits": "compat"}) as target:
        peers = []
        with contextlib.suppress(OSError):
            for _ in range(400):
                peers.append(Hostile(target.port))
        time.sleep(0.5)
        assert target.alive
        for peer in peers:
            peer.close()
        assert served(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to become a user whose threads can be counted")
@pytest.mark.parametrize("name", RUST_SERVERS)
def test_no_threads_left_for_rust(name):
    """Neither for clients nor for their calls, which call back and wait."""
    nobody = ["prlimit", "--nproc=12", "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    with running(name, prefix=nobody) as target:
        peers = [Hostile(target.port) for _ in range(30)]
        for peer in peers:
            peer.sock.settimeout(0.1)
            with contextlib.suppress(OSError, EOFError):
                call = (of_server(peer.root()), by_value("call"), boxed_tuple(of_peer(("function", 77, 78))), by_value(()))
                peer.send(request(1, consts.HANDLE_CALLATTR, *call))
        assert target.alive and target.status("Threads") <= 12
        for peer in peers:
            peer.close()
        assert served(target)


MEMORY_TAKERS = {
    "unfinished": struct.pack("!LB", 60 * MIB, 0) + bytes(55 * MIB),
    "unfinished_zlib": struct.pack("!LB", 60 * MIB, 1) + bytes(55 * MIB),
    "bomb": compressed(request(7, consts.HANDLE_PING, by_value(bytes(55 * MIB)))),
    "bytes": frame(request(7, consts.HANDLE_PING, by_value(random.Random(5).randbytes(40 * MIB)))),
    "str": frame(request(7, consts.HANDLE_PING, by_value("x\u00e9" * 10 * MIB))),
    "tuples": compressed(request(7, consts.HANDLE_PING, by_value(((1,),) * MIB))),
}


@pytest.mark.parametrize("taker", MEMORY_TAKERS)
@pytest.mark.parametrize("name", ["threaded", "pool", *RUST_SERVERS])
def test_no_memory_left(name, taker):
    """Within all limits, but more than there is: who asks for it is told, or hung up on. It ended every one of these servers."""
    with running(name, config={"limits": "default"}) as target:
        with Hostile(target.port) as peer:
            peer.ping()  # for the server to have all that it needs to serve
        limit = target.status("VmSize") + 160 * MIB
        resource.prlimit(target.process.pid, resource.RLIMIT_AS, (limit, limit))
        peers = [Hostile(target.port) for _ in range(4)]
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.send_raw(MEMORY_TAKERS[taker])
        for peer in peers:
            if not taker.startswith("unfinished"):
                try:
                    peer.answer_to(7)
                except Refused as refused:
                    assert refused.name == "MemoryError"
                except (EOFError, ConnectionError):
                    pass
            assert target.alive
            peer.close()
        assert served(target)


FLOODS = {
    "pings": frame(request(7, consts.HANDLE_PING, by_value("let me in"))),
    "unfinished": struct.pack("!LB", 60 * MIB, 0) + bytes(30_000),
}


@stock_survives  # more often than not
@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("name", ["threaded", "pool", *RUST_SERVERS])
def test_more_clients_than_there_is_memory_for(name, flood):
    """They are hung up on, or wait; who is there already is served, and so is who comes when they are gone. Rust's servers ended
    with the first small thing that there was no memory for, tokio's on a busy machine with threads that started together, and the
    pool's clients were served no more."""
    with running(name, config={"limits": "default"}) as target, netref.connect("127.0.0.1", target.port) as honest:
        honest.ping()
        limit = target.status("VmSize") + 160 * MIB
        resource.prlimit(target.process.pid, resource.RLIMIT_AS, (limit, limit))
        peers = []
        with contextlib.suppress(TimeoutError):  # once as many wait as may
            for _ in range(500):
                peer = socket.create_connection(("127.0.0.1", target.port), 0.5)
                peers.append(peer)
                with contextlib.suppress(OSError):
                    peer.sendall(FLOODS[flood])
        honest.ping()
        for peer in peers:
            peer.close()
        assert served(target)
        honest.ping()


#: What the server holds until its call of the peer is answered, which is most of a mebibyte.
HELD = boxed_tuple(of_peer(("function", 77, 78)), by_value((300,) * 12_000))


@pytest.mark.parametrize("name", ["threaded", *RUST_SERVERS])
def test_more_requests_than_there_is_memory_for(name):
    """None is large enough to be refused by itself; together they were the end of a server of Rust's."""
    with running(name, config={"limits": "default"}) as target, netref.connect("127.0.0.1", target.port) as honest:
        honest.ping()
        with contextlib.ExitStack() as leaving:
            peers = [leaving.enter_context(Hostile(target.port)) for _ in range(300)]
            asked = [request(7, consts.HANDLE_CALLATTR, of_server(p.root()), by_value("call"), HELD, by_value(())) for p in peers]
            limit = target.status("VmSize") + 160 * MIB
            resource.prlimit(target.process.pid, resource.RLIMIT_AS, (limit, limit))
            for peer, payload in zip(peers, asked, strict=True):
                peer.send(payload)
            answers = [peer.receive() for peer in peers]
            refused = [body[0] for kind, _, body in answers if kind == EXCEPTION]
            assert set(refused) == {("builtins", "MemoryError")}
            assert 0 < len(refused) < len(peers)
            honest.ping()
        assert served(target)
        eventually(lambda: not refuses(honest, (300,) * 12_000))


def refuses(conn, value):
    try:
        return conn.root.echo(value) != value
    except MemoryError:
        return True


@pytest.mark.parametrize("server_class", SERVERS)
def test_most_connections(serve, connect, server_class):
    server = serve(netref.VoidService, server_class, protocol_config={"max_connections": 3})
    connections = [connect(server) for _ in range(3)]
    for conn in connections:
        conn.ping()
    with Hostile(server.port) as peer:
        peer.wait_for_the_end()
    assert server.stats()["refused"] == 1
    connections.pop().close()
    eventually(lambda: server.stats()["clients"] == 2)
    connect(server).ping()


# ---- handshakes


@pytest.mark.parametrize("name", ["threaded", "pool", *stock("stock", "stock_pool")])
def test_tls_handshake_that_never_ends(name):
    """Ten silent clients hold nobody up, and are gone after two seconds. So is one that goes on byte by byte."""
    with running(name, certs=CERTS, config={"handshake_timeout": 2}) as target:
        peers = [Hostile(target.port) for _ in range(10)]
        with netref.ssl_connect("127.0.0.1", target.port, cert_reqs=ssl.CERT_NONE) as conn:
            conn.ping()
            began = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() < began + 20:
                    peers[0].send_raw(b"\x16")
                    time.sleep(0.02)
            assert time.monotonic() < began + 10
            for peer in peers:
                peer.wait_for_the_end()
                peer.close()
            conn.ping()
        # Garbage is an error of TLS's, silence one of time.
        eventually(lambda: target.stats()["failed"] + target.stats()["rejected"] == 10)
        assert target.stats()["failed"] >= 9


@pytest.mark.parametrize("name", ["pool", *stock("stock_pool")])
def test_pool_whose_clients_stop_in_a_header(name):
    """A byte from more clients than the pool has threads."""
    with running(name, config={"header_timeout": None}) as target:
        peers = [Hostile(target.port) for _ in range(25)]
        for peer in peers:
            peer.send_raw(b"\0")
        with Hostile(target.port) as peer:
            peer.ping()
        for peer in peers:
            peer.close()


@pytest.mark.parametrize("server_class", SERVERS)
def test_authenticator_that_waits_for_a_silent_client(serve, server_class):
    def authenticator(sock):
        return sock, sock.recv(1)

    server = serve(netref.VoidService, server_class, authenticator=authenticator, protocol_config={"handshake_timeout": 1})
    with Hostile(server.port) as peer:
        peer.wait_for_the_end()
    with Hostile(server.port) as peer:
        peer.send_raw(b"!")
        peer.ping()


# ---- time


@pytest.mark.parametrize("server_class", SERVERS)
def test_idle_clients_are_hung_up_on(serve, server_class):
    server = serve(netref.VoidService, server_class, protocol_config={"idle_timeout": 1})
    with Hostile(server.port) as peer, Hostile(server.port) as silent:
        peer.ping()
        peer.wait_for_the_end()
        silent.wait_for_the_end()


@pytest.mark.parametrize("server_class", SERVERS)
def test_client_that_waits_for_its_answer_is_not_idle(serve, connect, server_class):
    over = threading.Event()

    class Slow(netref.Service):
        def exposed_wait(self):
            return over.wait(20)

    server = serve(Slow, server_class, protocol_config={"idle_timeout": 0.3})
    conn = connect(server)
    waiting = netref.async_(conn.root.wait)()
    time.sleep(1)
    assert not waiting.ready and not conn.closed
    over.set()
    assert waiting.value is True


def test_sockets_ask_whether_the_peer_is_there(serve, connect):
    server = serve(netref.VoidService, protocol_config={"keepalive": 7, "keepalive_interval": 2})
    conn = connect(server, config={"keepalive": None})
    conn.ping()
    (accepted,) = server.clients
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 2
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
    assert conn._channel.stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    asked = connect(server, keepalive=99)
    assert asked._channel.stream.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 99, "the program's own wish"


# ---- services


@pytest.mark.parametrize("server_class", SERVERS)
def test_on_connect_that_fails_hurts_that_client_alone(serve, connect, server_class, caplog):
    refusing = threading.Event()
    refusing.set()

    class Moody(netref.Service):
        def on_connect(self, conn):
            if refusing.is_set():
                raise SystemExit("not today")

    server = serve(Moody, server_class)
    for _ in range(3):
        with Hostile(server.port) as peer:
            peer.wait_for_the_end()
    refusing.clear()
    connect(server).ping()
    assert server.stats()["failed"] == 3


# ---- the log


@pytest.mark.parametrize("server_class", SERVERS)
def test_log_stays_short(serve, connect, server_class, caplog):
    """300 hostile clients: ten lines in a second, none of them a traceback, and exact counters."""
    caplog.set_level(logging.INFO)
    server = serve(netref.VoidService, server_class)
    began = time.monotonic()
    for _ in range(300):
        with Hostile(server.port) as peer:
            peer.send(b"\xff" * 50)
            peer.wait_for_the_end()
    eventually(lambda: server.stats()["served"] + server.stats()["failed"] == 300)
    lines = [record for record in caplog.records if record.name == server.logger.name]
    assert len(lines) <= 10 * (time.monotonic() - began + 2) + 5
    assert not [record for record in lines if record.exc_info]
    assert server.stats()["accepted"] == 300


def test_lines_that_are_not_written_leave_room_for_those_that_are(caplog):
    """Clients who came and went, of whom a server says nothing at the level WARNING, kept it from logging what went wrong."""
    caplog.set_level(logging.WARNING)
    budget, logger = LineBudget(1), logging.getLogger("budget")
    for _ in range(3):
        budget.log(logger, logging.INFO, "served a client")
    budget.log(logger, logging.WARNING, "something went wrong")
    assert caplog.messages == ["something went wrong"]


@pytest.mark.parametrize("name", PYTHON_SERVERS)
def test_log_of_a_process_stays_short(name, tmp_path):
    """The same of server processes, and of those that a server forks: they share what they may log."""
    path = tmp_path / "log"
    with open(path, "wb") as log, running(name, log=log) as target:
        began = time.monotonic()
        for number in range(60):
            with Hostile(target.port) as peer:
                if number % 2:
                    peer.send(b"\xff" * 50)
                    peer.wait_for_the_end()
                else:
                    with contextlib.suppress(Refused):
                        peer.method(peer.root(), "interrupt")
        eventually(lambda: target.stats()["served"] + target.stats()["failed"] == 60)
        assert target.stats()["accepted"] == 60
        text = path.read_text()
        assert "Traceback" not in text
        assert 1 <= len(text.splitlines()) <= 10 * (time.monotonic() - began + 2) + 5


@pytest.mark.parametrize("name", RUST_SERVERS)
def test_rust_servers_log_nothing(name, tmp_path):
    """They count, and tell the service why a connection ended."""
    path = tmp_path / "log"
    with open(path, "wb") as log, running(name, log=log) as target:
        for number in range(60):
            with Hostile(target.port) as peer:
                peer.send(b"\xff" * 50 if number % 2 else message(9, 1, b"\x51"))
                peer.wait_for_the_end()
        assert served(target)
        assert path.read_text() == ""


@pytest.mark.parametrize("server_class", SERVERS)
def test_names_and_texts_of_a_client_are_no_lines(serve, server_class, caplog):
    """Nor do they carry out anything on the terminal: the class, the argument and the traceback of what it raises."""

    class Asking(netref.Service):
        def on_connect(self, conn):
            conn.root.greet()

    caplog.set_level(logging.INFO)
    server = serve(Asking, server_class)
    hostile = "\nroot logged in\x1b[2J\r"
    with Hostile(server.port) as peer:
        kind, seq, _ = peer.receive()
        assert kind == REQUEST
        names = (hostile + "module", hostile + "Class")
        peer.send(message(EXCEPTION, seq, brine.dump((names, (hostile,), (), hostile))))
        peer.wait_for_the_end()
    lines = [text for text in caplog.messages if "logged in" in text]
    assert lines and all(text.isprintable() for text in lines)


def test_address_of_a_client_is_no_line(serve, caplog, tmp_path):
    """At a unix socket, it is a path of the client's choice."""
    caplog.set_level(logging.INFO)
    server = serve(netref.VoidService, socket_path=str(tmp_path / "server"))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "client\nroot logged in"))
        sock.connect(server.port)
    eventually(lambda: [text for text in caplog.messages if "logged in" in text])
    assert all(text.isprintable() for text in caplog.messages)


def test_line_of_a_client(serve, connect, caplog):
    def lines():
        return [text for text in caplog.messages if "127.0.0.1'," in text]

    caplog.set_level(logging.INFO)
    server = serve(netref.VoidService)
    with connect(server) as conn:
        conn.root.get_service_name()
    eventually(lines)  # which comes a moment after the client is counted
    (line,) = lines()
    assert "requests" in line and "the peer closed the connection" in line


# ---- the end


class Lasting(netref.Service):
    """A service whose calls last until they are let go."""

    def __init__(self):
        self.begun = threading.Event()
        self.over = threading.Event()
        self.server = None

    def exposed_wait(self):
        self.begun.set()
        return self.over.wait(20)

    def exposed_stop(self):
        self.server.close(grace=20)
        return "stopped"

    def exposed_hello(self):
        return "hello"


def is_shutting_down(call):
    with contextlib.suppress(EOFError):
        try:
            call()
        except RuntimeError as error:
            return "shutting down" in str(error)
    return False


@pytest.mark.parametrize("server_class", SERVERS)
def test_graceful_end(serve, server_class):
    """What is under way is answered, what is new is told, and then the connections end."""
    service = Lasting()
    server = serve(service, server_class)
    busy, idle = netref.connect("127.0.0.1", server.port), netref.connect("127.0.0.1", server.port)
    root, hello = busy.root, idle.root.hello
    waiting = netref.async_(root.wait)()
    assert service.begun.wait(10)
    closing = threading.Thread(target=server.close, kwargs={"grace": 20})
    closing.start()

    eventually(lambda: is_shutting_down(hello))
    assert not waiting.ready and closing.is_alive()
    with pytest.raises(OSError):
        netref.connect("127.0.0.1", server.port)
    service.over.set()
    assert waiting.value is True
    closing.join(10)
    assert not closing.is_alive()
    with pytest.raises(EOFError):
        hello()


@pytest.mark.parametrize("server_class", SERVERS)
def test_server_runs_until_the_grace_is_over(server_class):
    """The program ends when ``start`` does, and with it what is under way."""
    service = Lasting()
    service.server = server = server_class(service, hostname="127.0.0.1", port=0)
    server._listen()
    was_over = []

    def run():
        server.start()
        was_over.append(service.over.is_set())

    running = threading.Thread(target=run)
    running.start()
    busy, idle = netref.connect("127.0.0.1", server.port), netref.connect("127.0.0.1", server.port)
    root, hello = idle.root, idle.root.hello
    waiting = netref.async_(busy.root.wait)()
    assert service.begun.wait(10)
    assert root.stop() == "stopped"

    eventually(lambda: is_shutting_down(hello))
    service.over.set()
    assert waiting.value is True
    running.join(20)
    assert was_over == [True]


@pytest.mark.parametrize("server_class", SERVERS)
def test_grace_has_an_end(serve, server_class):
    service = Lasting()
    server = serve(service, server_class)
    conn = netref.connect("127.0.0.1", server.port)
    waiting = netref.async_(conn.root.wait)()
    assert service.begun.wait(10)
    server.close(grace=0.2)
    with pytest.raises(EOFError):
        _ = waiting.value
    service.over.set()


@pytest.mark.parametrize("server_class", SERVERS)
def test_request_that_stops_the_server_is_answered(serve, server_class):
    service = Lasting()
    service.server = server = serve(service, server_class)
    conn = netref.connect("127.0.0.1", server.port)
    assert conn.root.stop() == "stopped"
    eventually(lambda: conn.closed or not _pings(conn))
    assert not server.active


def _pings(conn):
    try:
        conn.ping()
    except EOFError:
        return False
    return True


def test_counters_of_a_connection(pair):
    client, _ = pair()
    client.ping()
    stats = client.stats()
    assert {"malformed": 0, "refused": 0, "unanswered": 0, "queued_bytes": 0}.items() <= stats.items()


def test_profiles_by_name(pair):
    client, _ = pair(client_config={"limits": "strict", "max_frame": None})
    limits = netref.limits(client._config)
    assert limits["max_depth"] == 64 and limits["max_frame"] is None
    assert client._config["sync_request_timeout"] == 10
    with pytest.raises(ValueError, match='"compat", "default" or "strict"'):
        netref.limits({"limits": "loose"})
    with pytest.raises(ValueError, match=r"max_frame.*number of bytes"):
        netref.limits({"max_frame": -1})
    with pytest.raises(ValueError, match=r"header_timeout.*seconds"):
        netref.limits({"header_timeout": "soon"})


def test_memory_is_freed_where_it_was_taken():
    """What 20 clients took for unfinished requests is not there any more when they are gone."""
    with running("threaded", config={"limits": "compat"}) as target:
        peers = [Hostile(target.port) for _ in range(20)]
        for peer in peers:
            peer.send_raw(b"\x00\x40\x00\x00\x00" + bytes(3 << 20))
        eventually(lambda: target.status("VmRSS") > 60 << 20)
        for peer in peers:
            peer.close()
        eventually(lambda: target.status("VmRSS") < 80 << 20)
        assert pathlib.Path(f"/proc/{target.process.pid}").exists() and served(target)
