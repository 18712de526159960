"""The end of a connection, and who hears of it."""

import contextlib
import os
import signal
import socket
import threading
import time

import pytest

import netref
from hostile import by_value, message, request
from netref import async_
from netref.core import brine, consts
from netref.core.stream import PipeStream, SocketStream
from peer_process import STOCK6, PeerProcess, interpreter


class Waits(netref.Service):
    def __init__(self):
        self.gate = threading.Event()
        self.conns, self.ended = [], []

    def on_connect(self, conn):
        self.conns.append(conn)

    def on_disconnect(self, conn):
        self.ended.append(conn)

    def exposed_wait(self):
        self.gate.wait(30)


@pytest.fixture
def waits(serve):
    service = Waits()
    service.server = serve(service)
    yield service
    service.gate.set()


@pytest.fixture(params=["netref", pytest.param("rpyc", marks=STOCK6)])
def process(request, cleanup):
    process = PeerProcess(interpreter(request.param), request.param, "hard")
    cleanup.callback(process.stop)
    return process


def everybody_who_waits(conn, call):
    """Starts threads that call, and results with callbacks. Returns what they have come to, so far."""
    heard = {"calls": [], "results": []}

    def wait():
        try:
            call()
        except BaseException as error:
            heard["calls"].append(error)

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    results = [async_(call)() for _ in range(4)]
    for result in results:
        result.add_callback(heard["results"].append)
    heard["threads"] = threads
    return heard, results


def check_that_all_have_heard(heard, results, words):
    for thread in heard["threads"]:
        thread.join(20)
        assert not thread.is_alive()
    deadline = time.monotonic() + 10
    while len(heard["results"]) < len(results) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert sorted(map(id, heard["results"])) == sorted(map(id, results)), "each callback is called once"
    errors = list(heard["calls"])
    for result in results:
        with pytest.raises(netref.ConnectionLost) as caught:
            _ = result.value
        errors.append(caught.value)
    assert len(errors) == 8
    for error in errors:
        assert type(error) is netref.ConnectionLost
        assert words in str(error)
    assert issubclass(netref.ConnectionLost, EOFError)


def test_peer_is_killed(process):
    conn = netref.connect("127.0.0.1", process.port, config={"sync_request_timeout": None})
    heard, results = everybody_who_waits(conn, conn.root.sleep_long)
    process.kill()
    check_that_all_have_heard(heard, results, "peer")


def test_this_side_closes(waits, connect):
    conn = connect(waits.server)
    heard, results = everybody_who_waits(conn, conn.root.wait)
    conn.close()
    check_that_all_have_heard(heard, results, "this side closed the connection")


def test_this_side_closes_when_a_callback_says_so(serve, connect):
    """Often all that a callback does is to wake the thread that closes. Its caller gets the reply all the same."""

    class Caller(netref.Service):
        def __init__(self):
            self.outcome, self.over = None, threading.Event()

        def exposed_call_later(self, function):
            def call():
                try:
                    self.outcome = function()
                except Exception as error:
                    self.outcome = error
                self.over.set()

            threading.Thread(target=call).start()

    caller = Caller()
    conn = connect(serve(caller))
    woken = threading.Event()

    def callback():
        woken.set()
        deadline = time.monotonic() + 0.2  # more than closing takes that does not wait for this
        while not conn.closed and time.monotonic() < deadline:
            time.sleep(0.001)
        return 7

    conn.root.call_later(callback)
    woken.wait()
    conn.close()
    assert caller.over.wait(10)
    assert caller.outcome == 7


def test_a_request_may_close_its_connection(pair):
    """It does not wait for itself to be answered, which would take half of the setting."""

    class Closes(netref.Service):
        def on_connect(self, conn):
            self.conn = conn

        def exposed_close(self):
            self.conn.close()

    client, server = pair(Closes, {"close_timeout": 120, "sync_request_timeout": 20})
    with pytest.raises(EOFError, match="closed"):
        client.root.close()
    assert client.closed
    server.serve_all()
    assert server.closed


def test_peer_closes(waits, connect):
    conn = connect(waits.server)
    heard, results = everybody_who_waits(conn, conn.root.wait)
    waits.conns[0].close()
    check_that_all_have_heard(heard, results, "the peer closed the connection")


def test_cause_is_the_original_error(cleanup):
    """A peer that resets the connection."""
    listener = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
    conn = netref.connect("127.0.0.1", listener.getsockname()[1])
    accepted, _ = listener.accept()
    result = conn.async_request(1)
    accepted.recv(1)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    accepted.close()
    with pytest.raises(netref.ConnectionLost, match="transport failed") as caught:
        _ = result.value
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert caught.value.__cause__.errno is not None


class Breaks(SocketStream):
    """Fails in its own way once it is told to."""

    def poll(self, timeout):
        if getattr(self.sock, "timeout", None) == 7:
            raise LookupError("broken by the test")
        return super().poll(timeout)


def test_cause_is_what_a_stream_raised(waits):
    conn = netref.connect_stream(Breaks.connect("127.0.0.1", waits.server.port))
    result = async_(conn.root.wait)()
    conn._channel.stream.sock.settimeout(7)
    with pytest.raises(netref.ConnectionLost, match="broken by the test") as caught:
        _ = result.value
    assert isinstance(caught.value.__cause__, LookupError)


def test_peer_breaks_the_protocol(cleanup):
    listener = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
    conn = netref.connect("127.0.0.1", listener.getsockname()[1])
    accepted, _ = listener.accept()
    result = conn.async_request(1)
    accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(netref.ConnectionLost, match="RPyC") as caught:
        _ = result.value
    assert isinstance(caught.value.__cause__, ValueError)


def test_to_a_peer_it_is_an_eof_error(waits, serve, connect):
    """Which a stock peer knows, too."""

    class Middle(netref.Service):
        def exposed_fail(self):
            conn = netref.connect("127.0.0.1", waits.server.port)
            wait = conn.root.wait
            conn.close()
            wait()

    with pytest.raises(EOFError) as caught:
        connect(serve(Middle)).root.fail()
    assert type(caught.value).__name__ == "EOFError"
    assert not isinstance(caught.value, netref.ConnectionLost)


def test_on_disconnect_is_called_once(waits, connect):
    """Though the end has many witnesses."""
    conns = [connect(waits.server) for _ in range(8)]
    everybody = [everybody_who_waits(conn, conn.root.wait) for conn in conns]
    for conn in conns:
        threading.Thread(target=conn.close).start()
        with contextlib.suppress(OSError, EOFError):  # the other thread may be faster
            conn._channel.stream.sock.shutdown(socket.SHUT_RDWR)
    waits.gate.set()
    for heard, results in everybody:
        for thread in heard["threads"]:
            thread.join(20)
        for result in results:
            try:
                result.wait()
                _ = result.value
            except EOFError:
                pass
    deadline = time.monotonic() + 10
    while len(waits.ended) < len(conns) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(set(map(id, waits.ended))) == len(waits.ended) == len(conns)


@pytest.mark.parametrize("stopped", [True, False], ids=["frozen", "idle"])
def test_heartbeat(cleanup, stopped):
    """It tells a frozen peer from an idle one."""
    process = PeerProcess(interpreter("netref"), "netref", "hard")
    cleanup.callback(process.stop)
    conn = netref.connect("127.0.0.1", process.port, config={"heartbeat": 0.2, "sync_request_timeout": None})
    cleanup.callback(conn.close)
    sleep = conn.root.sleep
    started = time.monotonic()
    result = async_(sleep)(1)
    if stopped:
        os.kill(process.process.pid, signal.SIGSTOP)
        cleanup.callback(os.kill, process.process.pid, signal.SIGCONT)
        with pytest.raises(netref.ConnectionLost, match=r"silent.*heartbeat = 0\.2 s"):
            _ = result.value
        assert 0.3 < time.monotonic() - started < 5
    else:
        assert result.value[0] == 1
        conn.ping()


def test_heartbeat_of_a_connection_that_nobody_reads(cleanup, serve):
    """With ``serve="manual"`` what the peer says lies there until somebody looks, which the heartbeat does."""
    server = serve(netref.VoidService)
    conn = netref.connect("127.0.0.1", server.port, config={"heartbeat": 0.1, "serve": "manual"})
    cleanup.callback(conn.close)
    conn.ping()
    time.sleep(0.5)  # five intervals, in which nobody reads
    conn.ping()


@pytest.mark.parametrize("value", [0, -1, "often"])
def test_heartbeat_that_is_none(value, serve):
    server = serve(netref.VoidService)
    with pytest.raises(ValueError, match="heartbeat"):
        netref.connect("127.0.0.1", server.port, config={"heartbeat": value})


class Unclosed(SocketStream):
    """Can still be read when it can no more be written."""

    def write(self, data):
        self.sock.sendall(data)


def socket_pair(cls):
    return tuple(map(cls, socket.socketpair()))


@pytest.mark.parametrize("kind", ["sockets", "pipes", "streams"])
def test_last_words_of_a_peer_that_takes_nothing_any_more(kind):
    """They are read before a failure to write ends the connection: a reply is not lost, and the reason is the peer's own. It was
    that the pipe is broken."""
    ours, theirs = {
        "sockets": lambda: socket_pair(SocketStream),
        "pipes": PipeStream.create_pair,
        "streams": lambda: socket_pair(Unclosed),
    }[kind]()
    conn = netref.connect_stream(ours, config={"serve": "manual"})
    result = conn.async_request(consts.HANDLE_PING, "asked")
    peer = netref.Channel(theirs)
    while True:
        seq, (handler, _) = brine.load(peer.recv()[1:])
        if handler == consts.HANDLE_PING:
            break
    peer.send(message(consts.MSG_REPLY, seq, by_value("answered")))
    peer.send(request(1, consts.HANDLE_CLOSE))
    peer.close()
    with pytest.raises(netref.ConnectionLost, match="the peer closed the connection"):
        conn.ping()
    assert result.value == "answered"
