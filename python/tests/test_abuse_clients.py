"""What a hostile server may do to a client: silence, drips, bombs, answers without end. The client's timeout holds through it."""

import contextlib
import struct
import threading
import time

import pytest

import netref
from abuse import stock_survives
from hostile import (
    EXCEPTION,
    REPLY,
    REQUEST,
    VALUE,
    boxed_tuple,
    by_value,
    compressed,
    frame,
    hostile_server,
    message,
    of_peer,
    of_server,
    request,
)
from netref.core import brine, consts
from peer_process import STOCK6

MIB = 1 << 20
#: With which a netref client begins, see docs/protocol.md.
HELLO, AHEAD = 0x6E72, 0x6E73
#: Seconds that calls may take, and by when they have to have given up.
TIMEOUT, AT_MOST = 0.5, 5


@contextlib.contextmanager
def client_of(behave, **config):
    config = {"sync_request_timeout": TIMEOUT, "close_timeout": TIMEOUT, **config}
    with hostile_server(behave) as port:
        conn = netref.connect("127.0.0.1", port, config=config)
        began = time.monotonic()
        yield conn
        conn.close()
        assert time.monotonic() - began < AT_MOST, "the client was held up"


def read_request(peer):
    """The number of the client's first request that is none of its own affairs."""
    while True:
        _, seq, body = peer.receive()
        if body[0] != HELLO and body[0] != consts.HANDLE_DEL:
            return seq


def silence(peer):
    while True:
        peer.receive()


def long_header(peer):
    read_request(peer)
    peer.send_raw(b"\xff\xff\xff\xf0\0")
    silence(peer)


def cut_header(peer):
    read_request(peer)
    peer.send_raw(b"\0\0")
    silence(peer)


def drip(peer):
    seq = read_request(peer)
    peer.send_raw(struct.pack("!LB", 1000, 0))
    for byte in message(REPLY, seq, by_value("x" * 900)):
        peer.send_raw(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize("behave", [pytest.param(silence, marks=stock_survives), cut_header, drip])
def test_timeout_holds(behave):
    with client_of(behave) as conn, pytest.raises(TimeoutError, match="result expired"):
        _ = conn.root


def test_header_that_claims_4_gib():
    with client_of(long_header) as conn, pytest.raises(EOFError, match="limit max_frame"):
        _ = conn.root


def test_peer_that_stops_in_a_message_is_given_up():
    """Although no call waits for it any more."""
    with client_of(cut_header, header_timeout=1) as conn:
        with pytest.raises(TimeoutError):
            _ = conn.root
        deadline = time.monotonic() + 10
        while not conn.closed:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(EOFError, match="limit header_timeout"):
            _ = conn.root


@stock_survives
def test_close_that_nobody_answers():
    with client_of(silence) as conn:
        began = time.monotonic()
        conn.close()
        assert time.monotonic() - began < AT_MOST


@pytest.mark.parametrize(("limit", "size"), [("max_reply", 3 * MIB), ("max_inflated_reply", 50 * MIB)])
def test_reply_that_is_too_large(limit, size):
    def behave(peer):
        seq = read_request(peer)
        if limit == "max_reply":
            peer.send(message(REPLY, seq, by_value(b"x" * size)))
        else:
            peer.send_raw(
                compressed(bytes([REPLY]) + b"\x11" + brine.dump(seq) + b"\x11\x51\x0f" + struct.pack("!L", size) + bytes(size))
            )

    config = {"max_frame": MIB, "max_reply": 2 * MIB, "max_inflated": MIB, "max_inflated_reply": 2 * MIB}
    with (
        client_of(behave, sync_request_timeout=20, **config) as conn,
        pytest.raises(EOFError, match=f"limit {limit}|limit max_frame"),
    ):
        _ = conn.root


@pytest.mark.differs("stock's close() waits for an answer for as long as calls may take")
def test_long_reply_that_is_waited_for():
    """The limit for requests is not the limit for replies."""

    def behave(peer):
        seq = read_request(peer)
        peer.send(message(REPLY, seq, by_value(b"x" * 3 * MIB)))
        silence(peer)

    with client_of(behave, sync_request_timeout=20, max_frame=MIB, max_reply=4 * MIB) as conn:
        assert len(conn.root) == 3 * MIB


def test_long_reply_that_nobody_waits_for():
    def behave(peer):
        seq = read_request(peer)
        peer.send_raw(struct.pack("!LB", 3 * MIB, 0) + message(REPLY, seq + 7, by_value(b"x" * 1000)))
        silence(peer)

    config = {"sync_request_timeout": 20, "max_frame": MIB, "max_reply": 4 * MIB}
    with client_of(behave, **config) as conn, pytest.raises(EOFError, match="limit max_frame"):
        _ = conn.root


@pytest.mark.parametrize(
    "body", [b"\x08\x0a\xff", b"\xff", b"\x51", b"\x11\x59\0", b"\x11\x53" + brine.dump(("never lent", 5, 6))]
)
@pytest.mark.differs("stock's error is any, and ends the connection")
def test_reply_that_cannot_be_read(body):
    """Fails that call and no other."""

    def behave(peer):
        peer.send(message(REPLY, read_request(peer), body))
        peer.send(message(REPLY, read_request(peer), by_value("good")))
        silence(peer)

    with client_of(behave) as conn:
        with pytest.raises(ValueError, match=r"reply cannot be read|is none|not"):
            _ = conn.root
        assert conn.root == "good"


@stock_survives
def test_reply_that_comes_twice():
    def behave(peer):
        seq = read_request(peer)
        peer.send(message(REPLY, seq, by_value("first")), message(REPLY, seq, by_value("second")))
        silence(peer)

    with client_of(behave) as conn:
        assert conn.root == "first"


@stock_survives
def test_flood_of_requests_while_a_call_waits():
    """They are answered, or refused, and the call's timeout holds."""

    def behave(peer):
        read_request(peer)
        ping = frame(message(REQUEST, 1, brine.dump((consts.HANDLE_PING, (VALUE, ("x" * 500,))))))
        while True:
            peer.send_raw(ping * 100)

    with client_of(behave) as conn, pytest.raises((TimeoutError, EOFError)):
        _ = conn.root


@stock_survives
def test_iteration_without_end():
    """A remote iterator's items, prefetched in chunks that are larger than what was asked for."""

    def behave(peer):
        while True:
            _, seq, body = peer.receive()
            handler = body[0]
            if handler == consts.HANDLE_GETROOT:
                peer.send(message(REPLY, seq, of_peer(("builtins.list_iterator", 1, 2))))
            elif handler == consts.HANDLE_BUFFITER:
                peer.send(message(REPLY, seq, by_value(tuple(range(1000)))))
            else:
                peer.send(message(REPLY, seq, of_peer(("builtins.list_iterator", 1, 2))))

    with client_of(behave) as conn:
        items = netref.buffiter(conn.root, chunk=10, max_chunk=10)
        assert [next(items) for _ in range(2500)][:5] == [0, 1, 2, 3, 4]


@stock_survives
def test_items_that_are_announced_and_never_come():
    """Those that are read ahead: none of them, which are not all."""

    def behave(peer):
        items = iter((1, 2, 3))
        while True:
            _, seq, body = peer.receive()
            answers = {
                HELLO: by_value((1, "hostile", ("ahead",))),
                AHEAD: by_value((False, True, ())),
                consts.HANDLE_GETROOT: of_peer(("builtins.list", 1, 2)),
                consts.HANDLE_INSPECT: by_value((("__iter__", None), ("__next__", None))),
            }
            if "__next__" not in repr(body):
                peer.send(message(REPLY, seq, answers.get(body[0], of_peer(("builtins.list_iterator", 1, 3)))))
            elif (item := next(items, None)) is None:
                peer.send(message(EXCEPTION, seq, brine.dump(consts.EXC_STOP_ITERATION)))
            else:
                peer.send(message(REPLY, seq, by_value(item)))

    with client_of(behave, sync_request_timeout=20) as conn:
        assert list(conn.root) == [1, 2, 3]


@pytest.mark.parametrize(
    "exception",
    [(("builtins", "SystemExit"), (3,), (), ""), (("builtins", "ValueError"), 5, (), ""), 7, None, (1, 2),
     (("builtins", "UnicodeDecodeError"), (1,), (("start", 2**80),), "")],
    ids=["exit", "args", "int", "none", "short", "unicode"],
)  # fmt: skip
@stock_survives
def test_hostile_exceptions_are_exceptions_of_the_call(exception):
    def behave(peer):
        peer.send(message(3, read_request(peer), brine.dump(exception)))
        peer.send(message(REPLY, read_request(peer), by_value("good")))
        silence(peer)

    with client_of(behave) as conn:
        with pytest.raises(BaseException) as caught:
            _ = conn.root
        str(caught.value), repr(caught.value)
        assert conn.root == "good"


def test_traceback_is_cut():
    def behave(peer):
        peer.send(message(3, read_request(peer), brine.dump((("builtins", "ValueError"), (), (), "t" * 1_000_000))))
        silence(peer)

    with client_of(behave) as conn:
        with pytest.raises(ValueError) as caught:
            _ = conn.root
        assert len(caught.value._remote_tb) < 70_000


@stock_survives
def test_callback_into_what_was_not_lent():
    def behave(peer):
        read_request(peer)
        peer.send(request(1, consts.HANDLE_CALL, of_server(("builtins.function", 1, 2)), boxed_tuple(), by_value(())))
        kind, seq, body = peer.receive()
        assert kind != REQUEST and seq == 1 and body[0][1] == "KeyError"
        peer.send(message(REPLY, 0, by_value("done")), message(REPLY, 1, by_value("done")))
        silence(peer)

    with client_of(behave, sync_request_timeout=5) as conn:
        assert conn.root == "done"


def test_close_while_calls_are_under_way(serve):
    """Each of the callers is told that the connection has ended, and by nothing but an EOFError."""
    server = serve(netref.VoidService)
    outcomes = []

    def call(conn, begun):
        try:
            while True:
                conn.root.get_service_name()
                begun.set()
        except Exception as error:
            outcomes.append(error)

    for _ in range(80):
        conn = netref.connect("127.0.0.1", server.port)
        begun = threading.Event()
        threads = [threading.Thread(target=call, args=(conn, begun)) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert begun.wait(10)
        conn.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert len(outcomes) == 320
    assert [error for error in outcomes if not isinstance(error, EOFError)] == []


@STOCK6
def test_stock_server_is_told_why_its_request_is_refused(cleanup):
    """A callback of stock's with an argument that this side does not take."""
    from peer_process import PeerProcess, interpreter

    server = PeerProcess(interpreter("rpyc"), "rpyc", "everyday")
    cleanup.callback(server.stop)
    conn = netref.connect("127.0.0.1", server.port, config={"max_frame": MIB, "max_inflated": MIB})
    with pytest.raises((ValueError, EOFError), match="max_"):
        conn.root.call(len, "x" * (3 * MIB))
    conn.close()
