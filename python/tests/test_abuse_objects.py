"""What a hostile client may ask of objects: hoards, policies, iterators, exceptions, callbacks. To Python's servers."""

import contextlib
import threading

import pytest

from abuse import MIB, eventually, server_fixture, stock_survives
from hostile import REQUEST, Hostile, Refused, boxed_tuple, by_value, is_hung_up_on, message, of_peer, of_server, request
from netref.core import brine, consts

target = server_fixture("threaded", "pool")


def refused(peer, handler, *boxes):
    with pytest.raises(Refused) as caught:
        peer.ask(handler, *boxes)
    return caught.value


# ---- how much


def test_hoard(target):
    """Ten thousand objects are lent with the strict limits, and all are free when the hoarder is gone."""
    with target.withstands(64 * MIB):
        with Hostile(target.port) as peer:
            root = peer.root()
            with pytest.raises(Refused, match="max_exported") as caught:
                for _ in range(100):
                    peer.method(root, "things", by_value(1000))
            assert caught.value.name == "MemoryError"
            peer.ping()
        with Hostile(target.port) as peer:
            peer.method(peer.root(), "things", by_value(1000))


def test_iterator_without_end(target):
    with target.withstands(), Hostile(target.port) as peer:
        iterator = peer.method(peer.root(), "count")
        for count in (10**12, 2**62):
            assert len(peer.ask(consts.HANDLE_BUFFITER, of_server(iterator), by_value(count))) == 4096
        for count in (2**200, -1):
            refused(peer, consts.HANDLE_BUFFITER, of_server(iterator), by_value(count))


@pytest.mark.parametrize(
    ("left", "operator", "right"),
    [("x", "__mul__", 10**9), (b"x", "__mul__", 10**9), ((1,), "__mul__", 10**9), (1, "__lshift__", 3 * 10**9),
     (7, "__pow__", 10**7),
     ("%10000000000d", "__mod__", 1), (10**900, "__mul__", 10**900)],
)  # fmt: skip
def test_small_request_for_a_large_result(target, left, operator, right):
    with target.withstands(32 * MIB, honest=False), Hostile(target.port) as peer:
        assert refused(peer, consts.HANDLE_CMP, by_value(left), by_value(right), by_value(operator)).name == "AttributeError"
        assert peer.ask(consts.HANDLE_CMP, by_value(left), by_value(left), by_value("__eq__")) is True
        peer.ping()


@stock_survives
def test_answer_that_nobody_reads(target):
    """An answer of 64 MiB waits for a client that does not read; another client does not wait."""
    with target.withstands(300 * MIB), Hostile(target.port, receive_buffer=4096) as peer:
        root = peer.root()
        peer.send(
            request(1, consts.HANDLE_CALLATTR, of_server(root), by_value("bytes"), boxed_tuple(by_value(64 * MIB)), by_value(()))
        )
        with Hostile(target.port) as other:
            other.ping()


# ---- policy


def test_object_that_decides_by_itself_is_asked_by_every_request(target):
    with Hostile(target.port) as peer:
        guarded = peer.method(peer.root(), "guarded")
        assert peer.getattr(guarded, "open") == "open"
        mine = of_server(guarded)
        for name in ("admin", "exposed_admin", "__eq__", "__iter__"):
            assert refused(peer, consts.HANDLE_GETATTR, mine, by_value(name)).name == "AttributeError"
            assert refused(peer, consts.HANDLE_CMP, mine, mine, by_value(name)).name == "AttributeError"
        assert refused(peer, consts.HANDLE_BUFFITER, mine, by_value(1)).name == "AttributeError"
        assert refused(peer, consts.HANDLE_CTXEXIT, mine, by_value(None)).name == "AttributeError"
        assert peer.ask(consts.HANDLE_DIR, mine) == ("open",)
        assert {name for name, _ in peer.inspect(guarded)} <= {"__call__"}


def test_private_names_are_not_listed(target):
    with Hostile(target.port) as peer:
        thing = peer.method(peer.root(), "thing")
        for names in (
            peer.ask(consts.HANDLE_DIR, of_server(thing)),
            [name for name, _ in peer.inspect(thing)],
        ):
            assert "exposed_hello" in names
            assert not [name for name in names if name.startswith("_") and not name.startswith("__")]
            assert not {"__init__", "__new__", "__getattribute__", "__subclasshook__", "__dict__"} & set(names)


@pytest.mark.parametrize(
    "name",
    ["_private_method", "__init__", "__new__", "__class__", "__dict__", "__getattribute__", "__globals__", "__code__",
     "__reduce_ex__", "__subclasses__", "__mro__", "__bases__", "exposed_", "exposed___class__", "exposed__private_method",
     " hello", "hello\0", "hell\uff4f", "", "x" * 10_000, b"__class__", b"\xff", 1, None, ("hello",)],
    ids=ascii,
)  # fmt: skip
@stock_survives
def test_names_that_are_not_granted(target, name):
    with Hostile(target.port) as peer:
        thing = peer.method(peer.root(), "thing")
        for handler, more in (
            (consts.HANDLE_GETATTR, ()),
            (consts.HANDLE_CALLATTR, (by_value(()), by_value(()))),
            (consts.HANDLE_SETATTR, (by_value(1),)),
            (consts.HANDLE_DELATTR, ()),
        ):
            with pytest.raises(Refused) as caught:
                peer.ask(handler, of_server(thing), by_value(name), *more)
            assert caught.value.name in ("AttributeError", "TypeError", "UnicodeDecodeError")
        for op in ("__getattribute__", "__setattr__", "__init__", "__reduce_ex__", "__class__"):
            refused(peer, consts.HANDLE_CMP, of_server(thing), by_value("x"), by_value(op))
        refused(peer, consts.HANDLE_PICKLE, of_server(thing), by_value(2))
        peer.ping()


# ---- exceptions


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raise_nasty", "Nasty"),
        ("interrupt", "KeyboardInterrupt"),
        pytest.param("exit", "SystemExit", marks=stock_survives),
        ("huge_int", "ValueError"),
        ("surrogate", "UnicodeEncodeError"),
        pytest.param("long_chain", "ValueError", marks=stock_survives),
        pytest.param("cycle", "ValueError", marks=stock_survives),
    ],
)
def test_whatever_a_service_does_there_is_one_answer(target, name, error):
    with target.withstands(honest=False), Hostile(target.port) as peer:
        with pytest.raises(Refused) as caught:
            peer.method(peer.root(), name)
        assert caught.value.name == error
        if name not in ("interrupt", "exit"):  # which also end the serving of that client, if so configured
            peer.ping()


@stock_survives
def test_interruptions_end_no_worker(target):
    """Thirty callbacks answered with a KeyboardInterrupt: each ends the serving of that client, and nothing else."""
    before = target.status("Threads")
    with target.withstands():
        for _ in range(30):
            with Hostile(target.port) as peer, contextlib.suppress(Refused, EOFError):
                raising(peer, target, "call", [(3, brine.dump(EVIL_EXCEPTIONS["interrupt"]))], of_peer(FUNCTION))
        with Hostile(target.port) as peer:
            peer.ping()
        if target.name == "pool":
            eventually(lambda: target.status("Threads") >= before)


def raising(peer, target, name, answers, *arguments):
    """Has the server call back, and answers each callback with the next of `answers`, which are (kind, body)."""
    root = peer.root()
    call = (of_server(root), by_value(name), boxed_tuple(*arguments), by_value(()))
    peer.send(request(1, consts.HANDLE_CALLATTR, *call))
    answers = list(answers)
    while True:
        kind, seq, body = peer.receive()
        if kind != REQUEST:
            if seq == 1:
                return peer._outcome(kind, body)
            continue
        if body[0] == consts.HANDLE_INSPECT:
            peer.send(message(2, seq, by_value((("__call__", None),))))
        elif body[0] == consts.HANDLE_DEL:
            peer.send(message(2, seq, by_value(None)))
        elif answers:
            kind, answer = answers.pop(0)
            peer.send(message(kind, seq, answer))
        else:
            peer.send(message(2, seq, by_value(None)))


FUNCTION = ("function", 77, 78)

EVIL_EXCEPTIONS = {
    "exit": (("builtins", "SystemExit"), (3,), (), ""),
    "interrupt": (("builtins", "KeyboardInterrupt"), (), (), ""),
    "generator": (("builtins", "GeneratorExit"), (), (), ""),
    "import": (("antigravity", "Anything"), (), (), ""),
    "no_exception": (("builtins", "int"), (1,), (), ""),
    "function": (("builtins", "eval"), ("1",), (), ""),
    "module_type": (("os", "_Environ"), (), (), ""),
    "dotted": (("builtins", "__dict__.ValueError"), (), (), ""),
    "class": (("builtins", "ValueError"), (), (("__class__", 1), ("__dict__", 2), ("__traceback__", 3), ("__cause__", 4)), ""),
    "args": (("builtins", "ValueError"), 5, (), ""),
    "text": (("builtins", "ValueError"), (), (), 5),
    "attributes": (("builtins", "ValueError"), (), 5, ""),
    "attribute": (("builtins", "ValueError"), (), (5,), ""),
    "names": (("builtins", 5), (), (), ""),
    "empty": (("", ""), (), (), ""),
    "nul": (("a\0b", "c\0d"), (), (), ""),
    "unicode": (("builtins", "UnicodeDecodeError"), (1, 2), (("start", 2**80), ("end", -1), ("object", 5)), ""),
    "syntax": (("builtins", "SyntaxError"), (), (("lineno", "x"), ("offset", 2**80), ("text", 5), ("filename", ())), ""),
    "oserror": (("builtins", "OSError"), (), (("errno", "x"), ("characters_written", "y")), ""),
    "group": (("builtins", "ExceptionGroup"), ("m", (1,)), (), ""),
    "stop": (("builtins", "StopIteration"), (1,), (), ""),
    "long": (("m" * 100_000, "C" * 100_000), (), (), "t" * 1_000_000),
    "many": (("builtins", "ValueError"), (), tuple((f"a{number}", 1) for number in range(5000)), ""),
    "version": (("builtins", "ValueError"), (), (("_remote_version", "9" * 1000), ("_remote_tb", 5)), ""),
    "none": None, "int": 7, "str": "just text", "short": (1, 2), "long_tuple": (1,) * 9, "nested": ((((),),),), "bytes": b"x",
}  # fmt: skip


@pytest.mark.parametrize("kind", EVIL_EXCEPTIONS)
@stock_survives
def test_evil_exceptions(target, kind):
    """Of a callback: the server is not ended by them, imports nothing, and the caller is told something."""
    with Hostile(target.port) as peer:
        evil = (3, brine.dump(EVIL_EXCEPTIONS[kind]))
        with pytest.raises((Refused, EOFError)):
            raising(peer, target, "call", [evil], of_peer(FUNCTION))
    with Hostile(target.port) as peer:
        peer.ping()
    assert target.alive


#: Of classes whose attributes Python trusts when it prints them.
TRUSTED = {
    "read nowhere": ("UnicodeDecodeError", {"object": b"x", "start": -(2**40), "end": 1 - 2**40}),
    "a gigabyte of marks": ("SyntaxError", {"lineno": 1, "offset": 1, "end_lineno": 1, "end_offset": 10**9, "text": "x"}),
}


@pytest.mark.parametrize("kind", TRUSTED)
def test_exceptions_that_python_trusts(target, kind):
    """The server reports what a callback raised, for which it prints it."""
    name, attributes = TRUSTED[kind]
    attributes |= {"encoding": "x", "reason": "x", "filename": "x"}
    evil = (3, brine.dump((("builtins", name), ("text",), tuple(attributes.items()), "")))
    with target.withstands(), Hostile(target.port) as peer:
        with pytest.raises(Refused, match="text"):
            raising(peer, target, "call", [evil], of_peer(FUNCTION))
        peer.ping()


def test_exceptions_of_many_names(target):
    """A class for each of them would stay for the life of the process."""
    with target.withstands(16 * MIB, honest=False), Hostile(target.port) as peer:
        for number in range(5000):
            evil = (3, brine.dump(((f"module{number}", f"Class{number}" + "x" * 1000), (), (), "")))
            with pytest.raises(Refused):
                raising(peer, target, "call", [evil], of_peer(FUNCTION))


# ---- callbacks


@stock_survives
@pytest.mark.parametrize(
    "operation", ["hash", "bool", "len", "str", "repr", "int", "float", "dir", "abs", "bytes", "iter", "reversed"]
)
def test_answers_that_are_objects_in_turn(target, operation):
    """Of which the same is asked, and so on: the hash of one ended the process, by using up its stack."""
    with target.withstands(honest=False), Hostile(target.port) as peer:
        methods = tuple((f"__{name}__", None) for name in ("bool", "len", "int", "float", "abs", "bytes", "iter", "reversed"))
        use = (of_server(peer.root()), by_value("use"), boxed_tuple(by_value(operation), of_peer(FUNCTION)), by_value(()))
        peer.send(request(1, consts.HANDLE_CALLATTR, *use))
        while True:
            kind, seq, body = peer.receive()
            if kind != REQUEST and seq == 1:
                break
            is_inspection = kind == REQUEST and body[0] == consts.HANDLE_INSPECT
            peer.send(message(2, seq, by_value(methods) if is_inspection else of_peer(FUNCTION)))
        peer.ping()


@stock_survives
def test_recursion_without_end(target):
    """The server calls back, and is called from the callback, and so on."""
    with target.withstands(200 * MIB), Hostile(target.port) as peer:
        root = peer.root()
        call = (of_server(root), by_value("recurse"), boxed_tuple(of_peer(FUNCTION)), by_value(()))
        peer.send(request(1, consts.HANDLE_CALLATTR, *call))
        seq = 1
        peer.sock.settimeout(1)
        with contextlib.suppress(EOFError, OSError):
            for _ in range(400):
                kind, number, body = peer.receive()
                if kind != REQUEST:
                    continue
                if body[0] == consts.HANDLE_INSPECT:
                    peer.send(message(2, number, by_value((("__call__", None),))))
                elif body[0] == consts.HANDLE_CALL:
                    seq += 1
                    peer.send(request(seq, consts.HANDLE_CALLATTR, *call))


def test_inspection_that_asks_for_inspections(target):
    """Each answer to an INSPECT holds an object of yet another class."""
    with target.withstands(64 * MIB), Hostile(target.port) as peer:
        root = peer.root()
        peer.send(
            request(
                1, consts.HANDLE_CALLATTR, of_server(root), by_value("echo"), boxed_tuple(of_peer(("first", 1, 2))), by_value(())
            )
        )
        asked = 0
        while True:
            kind, seq, body = peer.receive()
            if kind != REQUEST:
                if seq == 1:
                    with pytest.raises(Refused):
                        peer._outcome(kind, body)
                    break
            elif body[0] == consts.HANDLE_INSPECT:
                asked += 1
                peer.send(message(2, seq, of_peer((f"class{asked}", 1000 + asked, 5000 + asked))))
            else:
                peer.send(message(2, seq, by_value(None)))
        assert asked == 1
        peer.ping()


@pytest.mark.parametrize(
    "answer",
    [by_value(tuple((f"m{number}", None) for number in range(20_000))), by_value(5), by_value(None), by_value((1, 2)),
     by_value((("a",),)), by_value(((1, 2, 3),)), by_value(((5, "doc"),)), by_value("text")],
    ids=["many", "int", "none", "ints", "short", "long", "number", "str"],
)  # fmt: skip
@stock_survives
def test_inspections_that_are_none(target, answer):
    with Hostile(target.port) as peer:
        with contextlib.suppress(Refused):
            pass_object(peer, peer.root(), ("first", 1, 2), answer)
        peer.ping()


def pass_object(peer, root, pack, answer):
    """Calls the service with an object of the peer's, and gives that answer where it asks what the object can do."""
    peer.send(request(1, consts.HANDLE_CALLATTR, of_server(root), by_value("echo"), boxed_tuple(of_peer(pack)), by_value(())))
    while True:
        kind, seq, body = peer.receive()
        if kind != REQUEST and seq == 1:
            return peer._outcome(kind, body)
        if kind == REQUEST:
            peer.send(message(2, seq, answer if body[0] == consts.HANDLE_INSPECT else by_value(None)))


@stock_survives
def test_classes_without_end(target):
    """Each object that the server is passed is of another class, of many methods. Those that are gone are forgotten."""
    with target.withstands(48 * MIB), Hostile(target.port) as peer:
        root = peer.root()
        for number in range(1, 501):
            methods = tuple((f"m{number}_{nth}", "x" * 100) for nth in range(500))
            pass_object(peer, root, (f"made.C{number}", number, number), by_value(methods))
        peer.ping()


@stock_survives
def test_connections_that_end_in_the_middle_of_calls(target):
    """From eight threads, each with calls under way and objects lent."""

    def client():
        for _ in range(6):
            with contextlib.suppress(OSError, EOFError, Refused), Hostile(target.port) as peer:
                root = peer.root()
                for seq in range(20):
                    call = (of_server(root), by_value("thing"), boxed_tuple(), by_value(()))
                    peer.send(request(seq, consts.HANDLE_CALLATTR, *call))

    before = target.files()
    with target.withstands(64 * MIB, honest=False):
        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: target.files() <= before + 2)


def test_service_that_calls_a_client_that_does_not_read(target):
    """From three threads that do not wait for answers: they wait to send, until the client is given up."""
    with target.withstands(160 * MIB), Hostile(target.port, receive_buffer=4096) as peer:
        root = peer.root()
        call = (of_server(root), by_value("push"), boxed_tuple(of_peer(FUNCTION)), by_value(()))
        peer.send(request(1, consts.HANDLE_CALLATTR, *call))
        while True:
            kind, seq, body = peer.receive()
            if kind == REQUEST and body[0] == consts.HANDLE_CALL:
                break
            if kind == REQUEST:
                peer.send(message(2, seq, by_value((("__call__", None),))))
        eventually(lambda: is_hung_up_on(peer))


# ---- pickle


def test_pickle_of_the_peers_is_not_loaded(target, tmp_path):
    """The service copies what it was passed. Copying asks the peer for a pickle, if pickling is allowed here."""
    trace = tmp_path / "trace"

    class Evil:
        def __reduce__(self):
            return open, (str(trace), "w")

    import pickle

    bomb = pickle.dumps(Evil())
    with Hostile(target.port) as peer:
        root = peer.root()
        call = (of_server(root), by_value("copy"), boxed_tuple(of_peer(("evil", 1, 2))), by_value(()))
        peer.send(request(1, consts.HANDLE_CALLATTR, *call))
        with contextlib.suppress(Refused):
            while True:
                kind, seq, body = peer.receive()
                if kind != REQUEST and seq == 1:
                    peer._outcome(kind, body)
                    break
                if kind == REQUEST:
                    answer = {consts.HANDLE_INSPECT: (("__call__", None),), consts.HANDLE_PICKLE: bomb}.get(body[0])
                    peer.send(message(2, seq, by_value(answer)))
    assert not trace.exists()
