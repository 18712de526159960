"""What a hostile client may do with calls, to every server: floods, callbacks that it does not read, recursion, hoards."""

import contextlib
import struct
import time
import zlib

import pytest

from abuse import MIB, PYTHON_SERVERS, RUST_SERVERS, eventually, server_fixture, stock_survives
from hostile import (
    EXCEPTION,
    REPLY,
    REQUEST,
    Hostile,
    Refused,
    boxed_tuple,
    by_value,
    is_hung_up_on,
    message,
    of_peer,
    of_server,
    request,
)
from netref.core import brine, consts

#: What the hostile client lends the server to call.
FUNCTION = ("function", 77, 78)

target = server_fixture(*PYTHON_SERVERS, *RUST_SERVERS)


@pytest.fixture(params=RUST_SERVERS)
def rust(request, targets):
    """What `test_abuse_objects.py` does to Python's servers, with the objects that Rust's have."""
    return targets(request.param)


def calling(seq, root, name, *boxes):
    return request(seq, consts.HANDLE_CALLATTR, of_server(root), by_value(name), boxed_tuple(*boxes), by_value(()))


def test_zlib_bomb_of_4_gib(target):
    """As many zeros in 4 MB: one compressed piece of 64 MiB, over and over."""
    deflate = zlib.compressobj(9, wbits=-15)
    piece = deflate.compress(bytes(64 * MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    head = deflate.compress(message(REQUEST, 5, b"\x12\x53\x0f")) + deflate.flush(zlib.Z_FULL_FLUSH)
    data = b"\x78\xda" + head + piece * 63
    assert len(data) < 4 * MIB
    with target.withstands(32 * MIB), Hostile(target.port) as peer:
        peer.send_raw(struct.pack("!LB", len(data), 1) + data + b"\n")
        with contextlib.suppress(Refused, EOFError):
            peer.answer_to(5)
        peer.wait_for_the_end()


@stock_survives
def test_two_requests_with_one_number(target):
    with Hostile(target.port) as peer:
        root = peer.root()
        peer.send(calling(7, root, "echo", by_value("first")), calling(7, root, "echo", by_value("second")))
        assert {peer.answer_to(7), peer.answer_to(7)} == {"first", "second"}
        peer.ping()


@stock_survives
def test_requests_after_the_farewell(target):
    """Are not looked at: the farewell is answered, and then the server hangs up."""
    with target.withstands(honest=False), Hostile(target.port) as peer:
        peer.send(request(1, consts.HANDLE_CLOSE), *(request(seq, consts.HANDLE_GETROOT) for seq in range(2, 50)))
        answered = set()
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                answered.add(peer.receive()[1])
        assert answered <= {1}


@stock_survives
def test_connections_that_end_while_they_are_called_back(target):
    files, threads = target.files(), target.status("Threads")
    with target.withstands():
        for _ in range(100):
            with Hostile(target.port) as peer:
                root = peer.root()
                peer.send(*(calling(seq, root, "call", of_peer(FUNCTION)) for seq in range(3)))
                peer.receive()
        eventually(lambda: target.files() <= files + 2)
        eventually(lambda: target.status("Threads") <= max(threads, 100))


def test_answers_that_nobody_reads_are_given_up(target):
    """The client is hung up on when it has taken nothing for a while."""
    data = brine.dump("x" * (3 * MIB))
    with target.withstands(160 * MIB), Hostile(target.port, receive_buffer=4096) as peer:
        root = peer.root()
        with contextlib.suppress(OSError):
            for seq in range(8):
                peer.send(calling(seq, root, "echo", b"\x11\x51" + data))
        eventually(lambda: is_hung_up_on(peer))


def test_callbacks_that_nobody_reads_are_given_up(target):
    data = brine.dump("x" * (3 * MIB))
    with target.withstands(160 * MIB), Hostile(target.port, receive_buffer=4096) as peer:
        root = peer.root()
        with contextlib.suppress(OSError):
            for seq in range(8):
                peer.send(calling(seq, root, "call", of_peer(FUNCTION), b"\x11\x51" + data))
        # The server asks what it was lent before it calls it.
        with contextlib.suppress(OSError, EOFError):
            for _ in range(8):
                kind, seq, body = peer.receive()
                if kind == REQUEST and body[0] == consts.HANDLE_INSPECT:
                    peer.send(message(REPLY, seq, by_value((("__call__", None),))))
                elif kind == REQUEST and body[0] == consts.HANDLE_CALL:
                    break
        eventually(lambda: is_hung_up_on(peer))


def test_recursion_without_end_in_rust(rust):
    """A peer that does not say what its requests are part of, as stock: calls in callbacks in calls, on the same threads."""
    with rust.withstands(200 * MIB), Hostile(rust.port) as peer:
        root = peer.root()
        peer.sock.settimeout(1)
        peer.send(calling(1, root, "call", of_peer(FUNCTION)))
        with contextlib.suppress(OSError, EOFError):
            for seq in range(2, 5000):
                kind, number, body = peer.receive()
                if kind == REQUEST and body[0] == consts.HANDLE_INSPECT:
                    peer.send(message(REPLY, number, by_value((("__call__", None),))))
                elif kind == REQUEST:
                    peer.send(calling(seq, root, "call", of_peer(FUNCTION)))


def test_hoard_in_rust(rust):
    with rust.withstands(64 * MIB):
        with Hostile(rust.port) as peer:
            root = peer.root()
            refused = None
            for start in range(0, 10_500, 50):
                peer.send(*(calling(seq, root, "make", by_value("counter")) for seq in range(start, start + 50)))
                for _ in range(50):
                    kind, _, body = peer.receive()
                    if kind == EXCEPTION:
                        refused = body
            (_, name), (text,), *_ = refused
            assert name == "MemoryError" and "max_exported" in text
            peer.ping()
        with Hostile(rust.port) as peer:
            peer.method(peer.root(), "make", by_value("counter"))


def test_iterator_of_many_in_rust(rust):
    with rust.withstands(), Hostile(rust.port) as peer:
        iterator = peer.method(peer.root(), "make", by_value("iterator"), by_value(10**9))
        for count in (10**12, 2**62):
            assert len(peer.ask(consts.HANDLE_BUFFITER, of_server(iterator), by_value(count))) == 4096


@pytest.mark.parametrize(
    ("left", "operator", "right"),
    [("x", "__mul__", 10**9), ((1,), "__mul__", 10**9), (1, "__lshift__", 3 * 10**9), (7, "__pow__", 10**7)],
)
def test_small_request_for_a_large_result_in_rust(rust, left, operator, right):
    with rust.withstands(32 * MIB, honest=False), Hostile(rust.port) as peer:
        with pytest.raises(Refused) as caught:
            peer.ask(consts.HANDLE_CMP, by_value(left), by_value(right), by_value(operator))
        assert caught.value.name == "AttributeError"
        peer.ping()


def test_exceptions_of_callbacks_in_rust(rust):
    """Of any form: the server goes on, and the caller is told something."""
    from test_abuse_objects import EVIL_EXCEPTIONS

    for evil in EVIL_EXCEPTIONS.values():
        with Hostile(rust.port) as peer, pytest.raises((Refused, EOFError)):
            peer.send(calling(1, peer.root(), "call", of_peer(FUNCTION)))
            while True:
                kind, seq, body = peer.receive()
                if kind != REQUEST:
                    peer._outcome(kind, body)
                elif body[0] == consts.HANDLE_INSPECT:
                    peer.send(message(REPLY, seq, by_value((("__call__", None),))))
                else:
                    peer.send(message(EXCEPTION, seq, brine.dump(evil)))
    with Hostile(rust.port) as peer:
        peer.ping()


@stock_survives
def test_many_connections_one_after_the_other(target):
    with target.withstands(32 * MIB, honest=False):
        before = target.files(), target.status("Threads")
        began = time.monotonic()
        for _ in range(200):
            with Hostile(target.port) as peer:
                peer.ping()
        assert time.monotonic() - began < 30
        eventually(lambda: (target.files(), target.status("Threads")) <= (before[0] + 2, before[1] + 20))
