"""What a hostile client may send to a server: frames, brine and messages. The same to every server."""

import contextlib
import random
import socket
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
    brine_tuple,
    by_value,
    compressed,
    frame,
    message,
    of_peer,
    of_server,
    request,
)
from netref.core import brine, consts

PING = consts.HANDLE_PING

target = server_fixture(*PYTHON_SERVERS, *RUST_SERVERS)


def plain(seq, value):
    """A PING of a value in brine, which may be broken."""
    return message(REQUEST, seq, brine_tuple(brine.dump(PING), brine_tuple(brine.dump(1), brine_tuple(value))))


def refusal(peer, value):
    """How a PING of a value in brine is refused."""
    peer.send(plain(1, value))
    with pytest.raises(Refused) as caught:
        peer.answer_to(1)
    return caught.value.name


# ---- frames


def test_header_that_claims_4_gib(target):
    with target.withstands(), Hostile(target.port) as peer:
        peer.send_raw(b"\xff\xff\xff\xf0\0")
        peer.wait_for_the_end(10)


def test_request_that_is_too_long_is_told_so(target):
    with target.withstands(), Hostile(target.port) as peer:
        peer.send_raw(struct.pack("!LB", 100 * MIB, 0) + request(7, PING, by_value("x" * 100)))
        with pytest.raises(Refused, match="max_frame"):
            peer.answer_to(7)
        peer.wait_for_the_end()


def test_frame_that_is_too_long_is_not_stored(target):
    with target.withstands(32 * MIB), Hostile(target.port) as peer, contextlib.suppress(OSError):
        peer.send_raw(struct.pack("!LB", 1024 * MIB, 0))
        for _ in range(512):
            peer.send_raw(bytes(MIB))


def test_frames_that_stay_unfinished(target):
    """Each within the limit, with most of it sent: together they could take 4 MiB each for as long as they like."""
    with target.withstands(200 * MIB):
        peers = [Hostile(target.port) for _ in range(20)]
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.send_raw(struct.pack("!LB", 4 * MIB - 100, 0) + bytes(3 * MIB))
        for peer in peers:
            peer.wait_for_the_end()
            peer.close()


def test_large_bytes_of_which_little_is_sent(target):
    """They are received to where they are to be, which is made for all of them: it takes no more memory than has arrived."""
    beginning = frame(request(7, PING, by_value(bytes(4 * MIB - 1000))))[:64_000]
    with target.withstands(64 * MIB):
        peers = [Hostile(target.port) for _ in range(100)]
        for peer in peers:
            peer.send_raw(beginning)
        for peer in peers:
            peer.wait_for_the_end()
            peer.close()


@pytest.mark.parametrize(
    ("raw", "answered"),
    [
        (frame(request(1, PING, by_value(1)), flag=2), False),
        (frame(request(1, PING, by_value(1)), flag=0xFF), False),
        (frame(request(1, PING, by_value(1)), end=b"\r"), False),
        (frame(request(1, PING, by_value(1)), flag=1), False),
        (frame(zlib.compress(request(1, PING, by_value(1)))[:-1], flag=1), False),
        (frame(zlib.compress(request(1, PING, by_value(1))) + b"more", flag=1), False),
        (frame(request(1, PING, by_value(1)) + b"more"), True),
        (frame(b""), True),
        (b"GET / HTTP/1.1\r\n\r\n", False),
        (b"\x16\x03\x01\x02\x05\x01\x00\x02\x01\x03\x03", False),
    ],
    ids=["flag2", "flag255", "end", "not_zlib", "zlib_cut", "zlib_more", "brine_more", "empty", "http", "tls"],
)
@stock_survives
def test_frames_that_are_none(target, raw, answered):
    with Hostile(target.port) as peer:
        peer.send_raw(raw)
        if answered:
            peer.ping()
        else:
            peer.wait_for_the_end()
    assert target.alive


def test_bad_frame_and_then_silence(target):
    """The server does not wait for an answer to its farewell."""
    with target.withstands(), Hostile(target.port) as peer:
        peer.send_raw(frame(b"\x09nonsense"))
        peer.wait_for_the_end(5)


def test_slowloris(target):
    with target.withstands(64 * MIB):
        # A process for each takes longer to start than to end.
        peers = [Hostile(target.port) for _ in range(40 if target.name == "forking" else 150)]
        for peer in peers:
            peer.send_raw(b"\0")
        for peer in peers:
            peer.wait_for_the_end(30)
            peer.close()


def test_dripping_frames(target):
    """A byte now and then does not make a frame take longer than it may."""
    with target.withstands(), Hostile(target.port) as peer:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            peer.send_raw(struct.pack("!LB", 10_000, 0))
            while time.monotonic() - began < 15:
                peer.send_raw(b"x")
                time.sleep(0.05)
        assert time.monotonic() - began < 12


# ---- bombs


def test_zlib_bomb(target):
    bomb = bytes([REQUEST]) + brine_tuple(brine.dump(1), brine_tuple(brine.dump(PING), bytes(64 * MIB)))
    data = compressed(bomb)
    del bomb
    with target.withstands(32 * MIB), Hostile(target.port) as peer:
        assert len(data) < MIB
        peer.send_raw(data)
        with pytest.raises(Refused, match="max_inflated"):
            peer.answer_to(1)
        peer.wait_for_the_end()


@stock_survives
def test_deep_nesting(target):
    with target.withstands():
        for opens in (b"\x10", b"\x14\x01", b"\x1a\x10", b"\x19\x12\0\0", b"\x11\0"):
            for depth in (100, 100_000, 3_000_000 // len(opens)):
                with Hostile(target.port) as peer:
                    assert refusal(peer, opens * depth + b"\x02") == "RecursionError"
                    peer.ping()


@pytest.mark.parametrize(
    "item",
    [b"\x1a\x02", b"\x10\x50", b"\x19\x12\0\0\0", b"\x02", b"\x08\x0a\x41"],
    ids=["frozensets", "tuples", "slices", "empty", "strs"],
)
def test_small_bytes_that_become_large_objects(target, item):
    count = (3 * MIB) // len(item)
    value = b"\x15" + struct.pack("!L", count) + item * count
    data = compressed(plain(1, value))
    with target.withstands(100 * MIB), Hostile(target.port) as peer:
        peer.send_raw(data)
        with pytest.raises(Refused) as caught:
            peer.answer_to(1)
        assert caught.value.name == "MemoryError" and "max_decoded" in caught.value.text
        peer.ping()


def test_frozenset_whose_items_have_one_hash(target):
    """Comparing each with each takes seconds, with the interpreter locked."""
    if target.is_rust:
        pytest.skip("its hashes are keyed")
    numbers = [brine.dump(number * (2**61 - 1)) for number in range(1, 20_001)]
    value = b"\x1a\x15" + struct.pack("!L", len(numbers)) + b"".join(numbers)
    with target.withstands(), Hostile(target.port) as peer:
        root = peer.root()
        for _ in range(5):
            with pytest.raises(Refused, match="max_set_collisions"):
                argument = brine_tuple(brine.dump(1), brine_tuple(value))
                peer.ask(consts.HANDLE_CALLATTR, of_server(root), by_value("echo"), argument, by_value(()))
        pairs = b"\x15" + struct.pack("!L", len(numbers)) + b"".join(brine_tuple(number, b"\0") for number in numbers)
        with pytest.raises(Refused, match="keywords must be strings"):
            peer.ask(consts.HANDLE_CALLATTR, of_server(root), by_value("echo"), by_value(()),
                     brine_tuple(brine.dump(1), pairs))  # fmt: skip


@stock_survives
def test_integers_of_a_million_digits(target):
    with target.withstands(), Hostile(target.port) as peer:
        for digits in (5000, 1_000_000):
            assert refusal(peer, b"\x17" + struct.pack("!L", digits) + b"7" * digits) == "ValueError"
            peer.close()
            peer.__init__(target.port)


# ---- brine and messages


MALFORMED = {
    "no_tag": b"\x07",
    "unknown_tag": b"\xff",
    "gap": b"\x1c",
    "short_str": b"\x08\x0e\x05abc",
    "short_bytes": b"\x0e\xff",
    "negative_len": b"\x0f\xff\xff\xff\xff",
    "str_of_none": b"\x08\0",
    "str_of_str": b"\x08\x08\x0aA",
    "not_utf8": b"\x08\x0a\xff",
    "surrogate": b"\x08\x0c\xed\xa0\x80",
    "int_blank": b"\x16\x04 12 ",
    "int_plus": b"\x16\x02+5",
    "int_under": b"\x16\x051_000",
    "int_zeros": b"\x16\x03007",
    "int_minus_zero": b"\x16\x02-0",
    "int_empty": b"\x16\0",
    "int_minus": b"\x16\x01-",
    "int_hex": b"\x16\x030x1",
    "int_cut": b"\x16\x0512",
    "int_arabic": b"\x16\x02\xd9\xa1",
    "float_cut": b"\x18\0\0",
    "complex_cut": b"\x1b" + bytes(15),
    "slice_of_2": b"\x19\x11\0\0",
    "slice_of_4": b"\x19\x13\0\0\0\0",
    "slice_of_int": b"\x19\x50",
    "fset_of_bytes": b"\x1a\x0aA",
    "fset_of_fset": b"\x1a\x1a\x02",
    "tuple_cut": b"\x13\0\0",
    "tuple_claim": b"\x15\xff\xff\xff\xff",
    "fset_claim": b"\x1a\x15\xff\xff\xff\xff",
    "tuple_l1": b"\x14\xff\0",
    "nothing": b"",
}


def test_malformed_brine_is_refused_every_kind(target):
    for kind, value in MALFORMED.items():
        with Hostile(target.port) as peer:
            assert refusal(peer, value) == "ValueError", kind
            peer.ping()
    assert target.alive


def test_malformed_messages_are_answered_for_a_while(target):
    """With the strict limits once."""
    with Hostile(target.port) as peer:
        assert refusal(peer, b"\xff") == "ValueError"
        peer.send(plain(2, b"\xff"))
        peer.wait_for_the_end()


@stock_survives
def test_unknown_kinds_handlers_and_numbers(target):
    for handler in (0, 21, 99, -1, 2**31, 2**62, "name"):
        with Hostile(target.port) as peer, pytest.raises(Refused) as caught:
            peer.ask(handler, by_value(1))
        assert caught.value.name == "KeyError"
    for handler in (2**64, None, 1.5, (), b"1", True):
        with Hostile(target.port) as peer, contextlib.suppress(Refused, EOFError):
            peer.ask(handler, by_value(1))
    for kind in (0, 4, 255):
        with Hostile(target.port) as peer:
            peer.send(message(kind, 1, by_value(1)))
            peer.wait_for_the_end()
    for seq in (-1, 2**62):
        with Hostile(target.port) as peer:
            peer.send(message(REQUEST, seq, brine_tuple(brine.dump(PING), boxed_tuple(by_value(1)))))
            assert peer.receive()[:2] == (REPLY, seq)
    for seq in (2**64, "one", None, 1.5, ()):
        with Hostile(target.port) as peer, contextlib.suppress(EOFError):
            peer.send(message(REQUEST, seq, brine_tuple(brine.dump(PING), boxed_tuple(by_value(1)))))
            peer.sock.settimeout(2)
            with contextlib.suppress(TimeoutError):
                peer.receive()
    assert target.alive


@stock_survives
def test_wrong_arguments_of_every_request(target):
    """No request takes these, and none ends the connection."""
    with target.withstands(honest=False), Hostile(target.port) as peer:
        root = peer.root()
        for handler in range(3, 21):
            for boxes in (
                (),
                (by_value(1),) * 9,
                (of_server(root),) * 9,
                (by_value(None),),
                (of_server(root), by_value(b"\xff")),
            ):
                if handler == consts.HANDLE_DEL:
                    continue
                with contextlib.suppress(Refused):
                    peer.ask(handler, *boxes)
        peer.ping()


@stock_survives
def test_replies_to_nothing_are_not_looked_at(target):
    with target.withstands(), Hostile(target.port) as peer:
        for _ in range(20):
            peer.send(*(message(kind, seq, b"\x08\x0a\xff") for kind in (REPLY, EXCEPTION) for seq in range(200)))
        peer.ping()


@stock_survives
def test_references_that_were_never_lent(target):
    with target.withstands(honest=False), Hostile(target.port) as peer:
        root = peer.root()
        name, cls, instance = root
        packs = [(name, cls, instance + 1), (name, cls + 1, instance), (name, instance, 0), (name, 0, 0), (name, -1, -1),
                 (name, 2**62, 2**62), ("builtins.type", 0, 0), ("", cls, instance)]  # fmt: skip
        for pack in packs:
            for handler in (consts.HANDLE_REPR, consts.HANDLE_STR, consts.HANDLE_HASH, consts.HANDLE_DIR):
                with pytest.raises(Refused) as caught:
                    peer.ask(handler, of_server(pack))
                assert caught.value.name == "KeyError"
            with pytest.raises(Refused):
                peer.ask(consts.HANDLE_INSPECT, by_value(pack))
        peer.ping()


def test_counts_of_references(target):
    """None of these pins the object, and none takes it from under the owner's feet."""
    with target.withstands(honest=False), Hostile(target.port) as peer:
        root = peer.root()
        for count in (0, -1, -(2**40), 2**70, 1.5, float("nan"), None, "1"):
            with Hostile(target.port) as other:
                pack = other.root()
                with pytest.raises(Refused) as caught:
                    other.ask(consts.HANDLE_DEL, of_server(pack), by_value(count))
                assert caught.value.name in ("ValueError", "TypeError")
        peer.ask(consts.HANDLE_DEL, of_server(root), by_value(2**60))
        with pytest.raises(Refused):
            peer.ask(consts.HANDLE_REPR, of_server(root))
        assert peer.root() != root, "a number never comes again"


@stock_survives
def test_references_of_another_connection(target):
    with Hostile(target.port) as owner, Hostile(target.port) as thief:
        packs = [owner.root() for _ in range(3)]
        mine = thief.root()
        for pack in packs:
            if tuple(pack) != tuple(mine):
                with pytest.raises(Refused):
                    thief.ask(consts.HANDLE_DEL, of_server(pack), by_value(1))
        owner.ask(consts.HANDLE_REPR, of_server(packs[0]))


def test_numbers_of_references_are_no_addresses(target):
    with Hostile(target.port) as peer:
        _, cls, instance = peer.root()
        assert 0 < cls < 1000 and 0 < instance < 1000


# ---- floods


@stock_survives
def test_requests_whose_answers_nobody_reads(target):
    """The server stops reading, or ends the connection, long before memory is a question."""
    with target.withstands(100 * MIB), Hostile(target.port, receive_buffer=4096) as peer:
        peer.sock.settimeout(1)
        data = frame(request(1, PING, by_value("x" * 1000))) * 100
        with contextlib.suppress(OSError):
            for _ in range(500):
                peer.send_raw(data)


@stock_survives
def test_random_bytes_in_frames(target):
    noise = random.Random(6)
    with target.withstands(64 * MIB):
        for _ in range(60):
            with Hostile(target.port) as peer, contextlib.suppress(OSError):
                peer.send(*(noise.randbytes(noise.randrange(1, 200)) for _ in range(30)))


@stock_survives  # more often than not
def test_frames_with_flipped_bits(target):
    noise = random.Random(7)
    root = ("name", 1, 2)
    arguments = (of_server(root), by_value("echo"), boxed_tuple(by_value(1), of_peer(("x", 5, 6))))
    frames = [request(1, handler, *arguments) for handler in range(1, 21)]
    with target.withstands(64 * MIB):
        for _ in range(60):
            with Hostile(target.port) as peer, contextlib.suppress(OSError):
                for _ in range(20):
                    data = bytearray(noise.choice(frames))
                    for _ in range(noise.randrange(1, 4)):
                        data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
                    peer.send(bytes(data))
    eventually(lambda: target.status("Threads") < 100)


@stock_survives
def test_connections_that_are_cut(target):
    """In the middle of a frame, of a call, right after connecting: the server keeps no file and no thread."""
    files, threads = target.files(), target.status("Threads")
    with target.withstands(honest=False):
        for number in range(150):
            with Hostile(target.port) as peer:
                if number % 3 == 0:
                    peer.send_raw(b"\0\0\1\0\0abc")
                elif number % 3 == 1:
                    peer.send(request(1, PING, by_value("x" * 10_000)))
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: target.files() <= files + 2)
        eventually(lambda: target.status("Threads") < max(100, threads))


@stock_survives
def test_half_closed(target):
    with Hostile(target.port) as peer:
        peer.send(*(plain(seq, brine.dump(seq)) for seq in range(5)))
        peer.sock.shutdown(socket.SHUT_WR)
        answers = {peer.receive()[1] for _ in range(5)}
        assert answers == set(range(5))
        peer.wait_for_the_end()
