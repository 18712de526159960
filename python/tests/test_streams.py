"""Connections over everything that is not a plain socket."""

import queue
import socket
import threading

import pytest

import netref
from netref.core.stream import ClosedFile, PipeStream, SocketStream, Stream, TunneledSocketStream
from netref.core.transport import transport_of
from netref.lib import Timeout


class Twice(netref.Service):
    def exposed_twice(self, value):
        return value * 2

    def exposed_apply(self, function, *args):
        return function(*args)

    release = threading.Event()

    def exposed_wait(self):
        self.release.wait(30)


class QueueStream(Stream):
    """A stream within the process, without a file descriptor."""

    def __init__(self, incoming, outgoing):
        self._incoming, self._outgoing = incoming, outgoing
        self._rest = b""
        self._closed = False

    @classmethod
    def pair(cls):
        there, back = queue.Queue(), queue.Queue()
        return cls(there, back), cls(back, there)

    def close(self):
        self._closed = True
        self._outgoing.put(None)

    @property
    def closed(self):
        return self._closed

    def poll(self, timeout):
        if not self._rest:
            try:
                self._take(Timeout(timeout).timeleft())
            except queue.Empty:
                return False
        return True

    def read(self, count):
        while len(self._rest) < count:
            self._take(None)
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def _take(self, timeout):
        chunk = self._incoming.get(timeout=timeout)
        if chunk is None:
            self.close()
            raise EOFError("the other side closed")
        self._rest += chunk

    def write(self, data):
        assert isinstance(data, bytes)
        self._outgoing.put(data)


class PatchedStream(SocketStream):
    """Notes what passes."""

    passed = 0

    def read(self, count):
        data = super().read(count)
        type(self).passed += len(data)
        return data


def socket_pair(cls=SocketStream):
    return tuple(cls(sock) for sock in socket.socketpair())


PAIRS = {
    "queues": QueueStream.pair,
    "pipes": PipeStream.create_pair,
    "sockets": socket_pair,
    "subclass": lambda: socket_pair(PatchedStream),
    "tunnel": lambda: socket_pair(TunneledSocketStream),
}


@pytest.fixture(params=PAIRS)
def streams(request):
    return PAIRS[request.param]()


@pytest.fixture
def ends(streams, cleanup):
    """Both ends of a connection: the first serves :class:`Twice`, the second uses it."""
    return connect_both(streams, cleanup)


def connect_both(streams, cleanup, channel=netref.Channel):
    left, right = (channel(stream) for stream in streams)
    server = cleanup.enter_context(netref.connect_channel(left, Twice, {"endpoints": ("here", "there")}))
    client = cleanup.enter_context(netref.connect_channel(right))
    return server, client


def test_calls(ends):
    _, client = ends
    assert client.root.twice(21) == 42
    assert client.root.apply(lambda text: text + "!", "callback") == "callback!"


def test_large_values_both_ways(ends):
    _, client = ends
    payload = bytes(range(256)) * 20_000
    assert client.root.apply(lambda data: data[::-1], payload) == payload[::-1]


def test_both_write_at_the_same_time(ends):
    """Neither reads what it is sent unless reading does not wait for writing."""
    _, client = ends
    payload = b"x" * 3_000_000
    echo = netref.async_(client.root.twice)
    results = [echo(payload) for _ in range(6)]
    for result in results:
        assert len(result.value) == 2 * len(payload)


def test_idle_side_answers(ends):
    server, client = ends
    answered = threading.Event()
    apply = client.root.apply
    later = []
    apply(later.append, 1)
    assert list(later) == [1]
    timer = netref.async_(client.root.apply)(lambda: answered.set() or "done")
    assert answered.wait(10)
    assert timer.value == "done"
    assert not server.closed


def test_closing_one_end_ends_the_other(ends):
    server, client = ends
    client.root.twice(1)
    client.close()
    server.serve_all()
    assert server.closed and client.closed
    with pytest.raises(EOFError):
        client.root.twice(1)


def test_stream_dropped_without_farewell(streams, cleanup):
    left, right = streams
    server = cleanup.enter_context(netref.connect_stream(left, Twice, {"endpoints": ("here", "there")}))
    right.close()
    server.serve_all()
    assert server.closed


def test_timeout_holds(ends):
    _, client = ends
    client._config["sync_request_timeout"] = 0.2
    Twice.release.clear()
    with pytest.raises(TimeoutError):
        client.root.wait()
    Twice.release.set()
    client._config["sync_request_timeout"] = 10
    assert client.root.twice(3) == 6


def test_overridden_methods_are_called(cleanup):
    PatchedStream.passed = 0
    _, client = connect_both(socket_pair(PatchedStream), cleanup)
    assert client.root.twice("x" * 1000) == "x" * 2000
    assert PatchedStream.passed > 3000


def test_patched_class_is_called(cleanup, monkeypatch):
    written = []
    original = SocketStream.write
    monkeypatch.setattr(SocketStream, "write", lambda self, data: written.append(len(data)) or original(self, data))
    _, client = connect_both(socket_pair(), cleanup)
    assert client.root.twice(2) == 4
    assert sum(written) > 20


def test_channel_that_does_something_of_its_own(cleanup):
    class Masked(netref.Channel):
        def send(self, data):
            super().send(bytes(byte ^ 0x55 for byte in data))

        def recv(self):
            return bytes(byte ^ 0x55 for byte in super().recv())

    _, client = connect_both(socket_pair(), cleanup, Masked)
    assert client.root.twice("secret" * 2000) == "secret" * 4000


def test_native_where_nothing_was_changed():
    for make, kind in [
        ("sockets", "socket"),
        ("tunnel", "socket"),
        ("pipes", "pipes"),
        ("subclass", "stream"),
        ("queues", "stream"),
    ]:
        streams = PAIRS[make]()
        assert transport_of(netref.Channel(streams[0]))[0][0] == kind
        for stream in streams:
            stream.close()


def test_error_of_a_stream_ends_the_connection(cleanup):
    class Broken(QueueStream):
        def read(self, count):
            raise ValueError("out of order")

    left, right = QueueStream.pair()
    broken = Broken(right._incoming, right._outgoing)
    cleanup.enter_context(netref.connect_stream(left, Twice, {"endpoints": ("here", "there")}))
    client = netref.connect_stream(broken)
    with pytest.raises(EOFError, match="out of order"):
        client.root.twice(1)


def test_stream_is_a_context_manager_and_tells_that_it_is_closed(streams):
    with streams[0] as stream:
        assert not stream.closed
    assert stream.closed
    streams[1].close()


def test_closed_streams_raise_eof_error():
    left, right = socket_pair()
    left.close()
    assert left.sock is ClosedFile
    for use in (lambda: left.read(1), lambda: left.write(b"x"), left.fileno, lambda: left.poll(0)):
        with pytest.raises(EOFError):
            use()
    with pytest.raises(EOFError):
        right.read(1)


def test_stream_poll_and_exact_reads(streams):
    left, right = streams
    assert left.poll(0) is False
    right.write(b"abc")
    right.write(b"def")
    assert left.poll(Timeout(5)) is True
    assert left.read(4) == b"abcd"
    assert left.read(2) == b"ef"
    left.close()
    right.close()


def test_channel_by_itself(streams):
    """For a handshake before a connection."""
    left, right = (netref.Channel(stream) for stream in streams)
    for payload in (b"", b"small", b"z" * 20_000):
        left.send(payload)
        assert right.poll(5)
        assert right.recv() == payload
    assert not left.closed
    left.close()
    assert left.closed
    with pytest.raises(EOFError):
        right.recv()
    right.close()


def test_handshake_on_the_channel_then_a_connection(cleanup, streams):
    left, right = (netref.Channel(stream) for stream in streams)
    right.send(b"password")
    assert left.recv() == b"password"
    cleanup.enter_context(netref.connect_channel(left, Twice, {"endpoints": ("here", "there")}))
    client = cleanup.enter_context(netref.connect_channel(right))
    assert client.root.twice(4) == 8


def test_patched_connect_is_honoured(serve, monkeypatch):
    server = serve(Twice)
    calls = []
    original = SocketStream.__dict__["_connect"].__func__

    def connect(cls, *args, **kwargs):
        calls.append(kwargs)
        return original(cls, *args, **kwargs)

    monkeypatch.setattr(SocketStream, "_connect", classmethod(connect))
    with netref.connect("127.0.0.1", server.port) as conn:
        assert conn.root.twice(1) == 2
    assert len(calls) == 1
