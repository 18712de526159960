"""Limits on time: of calls, of blocks of calls, of connecting."""

import contextlib
import socket
import threading
import time

import pytest

import netref
from netref.utils import factory


class Slow(netref.Service):
    def __init__(self):
        self.gate = threading.Event()

    def exposed_wait(self):
        return [self.gate.wait(30)]

    def exposed_call(self, function):
        return function()

    def exposed_number(self):
        return 1


@pytest.fixture
def slow(serve):
    service = Slow()
    service.server = serve(service)
    yield service
    service.gate.set()


@contextlib.contextmanager
def expires(words, within=5):
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=words) as caught:
        yield caught
    assert time.monotonic() - started < within


def test_error_names_call_limit_connection_and_setting(slow, connect):
    conn = connect(slow.server, config={"sync_request_timeout": 0.1, "connid": "the lab"})
    wait = conn.root.wait
    with expires("result expired") as caught:
        wait()
    text = str(caught.value)
    for word in ("call", "0.1 s", "the lab", f"127.0.0.1:{slow.server.port}", "sync_request_timeout"):
        assert word in text
    assert isinstance(caught.value, netref.AsyncResultTimeout)
    assert conn.root.number() == 1


def test_block_with_a_limit(slow, connect):
    conn = connect(slow.server)
    wait, number = conn.root.wait, conn.root.number
    with netref.timeout(0.1):
        with expires(r"0\.1 s.*netref\.timeout"):
            wait()
        with netref.timeout(30):
            assert number() == 1
        with netref.timeout(0.05), expires(r"0\.05 s"):
            wait()
        with expires(r"0\.1 s"):
            wait()
    slow.gate.set()
    assert wait()[0]


def test_block_without_a_limit(slow, connect):
    conn = connect(slow.server, config={"sync_request_timeout": 0.1})
    wait = conn.root.wait
    threading.Timer(0.5, slow.gate.set).start()
    with netref.timeout(None):
        assert wait()[0]


def test_block_concerns_its_thread_alone(slow, connect):
    wait = connect(slow.server).root.wait
    results = []
    with netref.timeout(0.05):
        thread = threading.Thread(target=lambda: results.append(wait()))
        thread.start()
        with expires("expired"):
            wait()
    slow.gate.set()
    thread.join(10)
    assert len(results) == 1


@pytest.mark.parametrize("seconds", [-1, "1", float("nan")])
def test_block_with_a_limit_that_is_none(seconds):
    with pytest.raises(ValueError, match="number of seconds"):
        netref.timeout(seconds)


def test_limit_of_less_than_the_usual_is_kept_while_a_callback_runs(slow, connect):
    """Its thread runs none; with the usual limit it does, as a program may need that."""
    call = connect(slow.server).root.call
    leave = threading.Event()
    with netref.timeout(0.3), expires("expired"):
        call(lambda: leave.wait(30))
    leave.set()
    with netref.timeout(29):
        assert call(threading.get_ident) != threading.get_ident()
    assert call(threading.get_ident) == threading.get_ident()
    with netref.timeout(None):
        assert call(threading.get_ident) == threading.get_ident()


def test_callbacks_of_a_call_with_a_short_limit_belong_to_it(slow, connect):
    """They can call back themselves, however deep."""
    call = connect(slow.server).root.call

    def dive(depth):
        return threading.get_ident() if depth == 0 else call(lambda: dive(depth - 1))

    with netref.timeout(20):
        assert dive(10) != threading.get_ident()


@pytest.fixture
def silent(cleanup):
    """A server that takes connections and says nothing."""
    return cleanup.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]


def test_connecting_to_a_server_that_says_nothing(silent):
    with expires(r"no connection to 127\.0\.0\.1.*within 0\.3 s.*timeout.*root"):
        netref.connect("127.0.0.1", silent, timeout=0.3)


def test_connecting_with_tls_to_a_server_that_says_nothing(silent):
    with expires(r"no connection.*within 0\.3 s.*handshake"):
        netref.ssl_connect("127.0.0.1", silent, timeout=0.3)


def test_connecting_with_tls_to_a_server_that_goes_on_for_ever(cleanup):
    """It sends a byte of its handshake now and then, so no single wait for one is long."""
    listener = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
    over = threading.Event()
    cleanup.callback(over.set)

    def trickle():
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            sock.sendall(b"\x16\x03\x03\x40\x00")
            while not over.wait(0.05):
                sock.sendall(b"\x00")

    threading.Thread(target=trickle, daemon=True).start()
    with expires("handshake"):
        netref.ssl_connect("127.0.0.1", listener.getsockname()[1], timeout=0.5)


def test_connecting_in_time(slow, tmp_path, serve):
    with netref.connect("127.0.0.1", slow.server.port, timeout=20) as conn:
        before = conn.stats()["round_trips"]
        assert before >= 1, "the root is there"
        assert conn.root.number() == 1
    serve(Slow, socket_path=str(tmp_path / "socket"))
    with factory.unix_connect(str(tmp_path / "socket"), timeout=20) as conn:
        assert conn.root.number() == 1


def test_nobody_to_connect_to(tmp_path):
    with pytest.raises(OSError, match="socket") as caught:
        factory.unix_connect(str(tmp_path / "socket"), timeout=5)
    assert not isinstance(caught.value, TimeoutError)
