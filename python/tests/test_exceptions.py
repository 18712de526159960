"""Exceptions that cross a connection."""

import builtins
import pickle
import socket
import sys
import threading
import traceback

import pytest

import netref
from netref import GenericException
from netref.core import vinegar
from peer_services import CustomError


def caught(operation, *args):
    with pytest.raises(Exception) as info:
        operation(*args)
    return info.value


@pytest.mark.parametrize(
    ("cls", "args"),
    [
        (ValueError, ("text",)),
        (KeyError, ("key",)),
        (ZeroDivisionError, ()),
        (IndexError, (1, "two", b"three", None)),
        (AttributeError, ("no such thing",)),
        (StopAsyncIteration, (5,)),
        (OSError, (2, "No such file", "name")),
        (FileNotFoundError, (2, "No such file")),
        (TimeoutError, ("late",)),
        (UnicodeDecodeError, ("utf-8", b"\xff", 0, 1, "invalid start byte")),
        (EOFError, ("of another stream",)),
        (AssertionError, ()),
        (RecursionError, ("deep",)),
    ],
)
def test_builtin_exceptions_arrive_as_themselves(root, cls, args):
    error = caught(getattr(root, "raise"), cls.__name__, *args)
    assert isinstance(error, cls)
    assert type(error).__name__ == cls(*args).__class__.__name__
    assert error.args == cls(*args).args
    assert root.echo("alive") == "alive"


def test_attributes_of_oserror(root):
    error = caught(getattr(root, "raise"), "OSError", 2, "No such file", "name")
    assert (error.errno, error.strerror, error.filename) == (2, "No such file", "name")


def test_text_ends_with_the_remote_traceback(root):
    error = caught(getattr(root, "raise"), "ValueError", "the text")
    text = str(error)
    assert text.startswith("the text\n\n========= Remote Traceback (1) =========\nTraceback (most recent call last):\n")
    assert "in exposed_raise" in text
    assert "peer_services.py" in error._remote_tb
    assert repr(error) == text
    assert error._remote_version.startswith("6.")


def test_custom_exception_is_generic_by_default(root):
    error = caught(getattr(root, "raise"), "CustomError", "the text", 7)
    assert isinstance(error, GenericException)
    assert type(error).__name__ == "peer_services.CustomError"
    assert error.args == ("the text",)
    assert error.code == 7
    again = caught(getattr(root, "raise"), "CustomError", "once more")
    assert type(again) is type(error)
    assert vinegar._generic_exceptions_cache["peer_services.CustomError"] in type(error).__mro__


def test_custom_exception_by_consent(everyday, connect):
    root = connect(everyday, config={"instantiate_custom_exceptions": True}).root
    error = caught(getattr(root, "raise"), "CustomError", "the text", 7)
    assert isinstance(error, CustomError)
    assert (error.args, error.code) == (("the text",), 7)


def test_module_that_is_not_here_is_imported_only_by_consent(serve, connect):
    class Raises(netref.Service):
        def exposed_go(self):
            cls = type("FakeError", (Exception,), {"__module__": "this.is.no.module"})
            raise cls("x")

    for config in ({}, {"import_custom_exceptions": True, "instantiate_custom_exceptions": True}):
        error = caught(connect(serve(Raises), config=config).root.go)
        assert type(error).__name__ == "this.is.no.module.FakeError"
        assert isinstance(error, GenericException)


def test_exception_that_is_no_exception_class_is_generic():
    """A peer may name anything; only exception classes are made."""
    for module, name in (("builtins", "print"), ("builtins", "int"), ("os", "system")):
        error = vinegar.load(((module, name), ("x",), (), "tb"), False, True, True)
        assert isinstance(error, GenericException)


def test_stop_iteration(root):
    numbers = iter(root.make("list"))
    assert [next(numbers), next(numbers), next(numbers)] == [1, 2, 3]
    with pytest.raises(StopIteration):
        next(numbers)
    assert next(numbers, "default") == "default"


def test_remote_generator(root):
    received = []
    with pytest.raises(ValueError, match="out of numbers"):
        received.extend(number for number in root.generate(3) if received.append(number))
    assert received == [0, 1, 2]


def test_exception_of_a_callback_comes_back_to_its_side(root):
    class Mine(Exception):
        pass

    def fail():
        raise Mine("here")

    error = caught(root.fail, fail)
    assert "Mine" in type(error).__name__
    assert "Remote Traceback (2)" in str(error)
    assert "in fail" in str(error)


def test_callback_exception_that_is_handled_there(serve, connect):
    class Handles(netref.Service):
        def exposed_try(self, function):
            try:
                function()
            except LookupError as error:
                return f"handled {error.args[0]}"

    assert getattr(connect(serve(Handles)).root, "try")(lambda: [][1]) == "handled list index out of range"


def test_cause_and_context_are_in_the_text(serve, connect):
    class Chains(netref.Service):
        def exposed_go(self):
            try:
                {}["inner"]
            except KeyError as error:
                raise RuntimeError("outer") from error

    error = caught(connect(serve(Chains)).root.go)
    assert "KeyError: 'inner'" in str(error)
    assert "direct cause" in str(error)


@pytest.mark.parametrize("cls", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_base_exceptions(serve, connect, cls):
    class Exits(netref.Service):
        def exposed_go(self):
            raise cls("leaving")

        def exposed_alive(self):
            return True

    conn = connect(serve(Exits, protocol_config={"propagate_KeyboardInterrupt_locally": False}))
    with pytest.raises(cls, match="leaving"):
        conn.root.go()
    assert conn.root.alive()


@pytest.mark.differs("ends the connection")
@pytest.mark.skipif(not hasattr(builtins, "ExceptionGroup"), reason="groups came with Python 3.11")
def test_exception_groups_are_errors_of_their_call_alone(serve, connect):
    class Groups(netref.Service):
        def exposed_go(self):
            raise builtins.ExceptionGroup("several", [ValueError("one"), KeyError("two")])

        def exposed_alive(self):
            return True

    root = connect(serve(Groups)).root
    error = caught(root.go)
    assert "several" in str(error)
    assert "one" in str(error)
    assert root.alive()


class Hostile(Exception):
    @property
    def attribute(self):
        raise RuntimeError("not even this")

    def __repr__(self):
        raise RuntimeError("nor this")

    __str__ = __repr__


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no repr")


@pytest.mark.differs("ends the connection")
@pytest.mark.parametrize("make", [lambda: Hostile(Unspeakable()), lambda: ValueError("\udcff"), lambda: ValueError(1 << 20_000)])
def test_exceptions_that_are_hard_to_describe(serve, connect, make):
    class Raises(netref.Service):
        def exposed_go(self):
            raise make()

        def exposed_alive(self):
            return True

    root = connect(serve(Raises)).root
    error = caught(root.go)
    assert type(error).__name__.endswith(type(make()).__name__)
    assert root.alive()


def test_arguments_that_are_no_plain_data_come_as_text(root):
    error = caught(getattr(root, "raise"), "ValueError", [1, 2])
    assert error.args == ("[1, 2]",)


def test_traceback_and_version_can_be_withheld(serve, connect):
    class Raises(netref.Service):
        def exposed_go(self):
            raise ValueError("x")

    config = {"include_local_traceback": False, "include_local_version": False}
    error = caught(connect(serve(Raises, protocol_config=config)).root.go)
    assert error._remote_tb == "<traceback denied>"
    assert error._remote_version == "<version denied>"
    assert "exposed_go" not in str(error)


def test_dump_and_load_without_a_connection():
    try:
        {}["missing"]
    except KeyError:
        dumped = vinegar.dump(*sys.exc_info(), include_local_traceback=True, include_local_version=True)
    error = vinegar.load(dumped, False, False, False)
    assert isinstance(error, KeyError)
    assert error.args == ("missing",)
    assert netref.core.brine.dumpable(dumped)


@pytest.mark.differs("it is imported, from Python 3.12 on")
def test_nothing_is_imported_to_describe_a_remote_exception(monkeypatch):
    """As Python does to suggest another name, when it prints an ``ImportError``."""
    monkeypatch.delitem(sys.modules, "this", raising=False)
    attributes = (("name", "this"), ("name_from", "zen"), ("msg", "text"), ("_metadata", (1, 0, "pas")))
    error = vinegar.load((("builtins", "ImportError"), ("text",), attributes, ""), False, False, False)
    assert (error.name, error.msg) == ("this", "text")
    assert "ImportError: text" in "".join(traceback.format_exception(error))
    assert "this" not in sys.modules and not hasattr(error, "_metadata")


@pytest.mark.differs("the process ends")
def test_unicode_errors_are_printed():
    """Those that make sense arrive as they are, others without what Python would read by."""
    for bad in (b"ab\xff", b"\xff"):
        with pytest.raises(UnicodeDecodeError) as caught:
            bad.decode()
        error = vinegar.load(vinegar.dump(type(caught.value), caught.value, None, False, False), False, False, False)
        assert (error.object, error.start, error.end) == (bad, len(bad) - 1, len(bad))
        assert str(error).startswith(str(caught.value))
    attributes = (("object", b"x"), ("start", 1), ("end", 3), ("encoding", "ascii"), ("reason", "why"))
    assert (
        str(vinegar.load((("builtins", "UnicodeDecodeError"), (), attributes, ""), False, False, False)).strip().startswith("=")
    )


@pytest.mark.differs("it says that it has no number, and nothing else")
def test_system_errors_say_what_they_have_to_say():
    for error in (TimeoutError("late"), OSError(2, "not there"), FileNotFoundError(2, "not there", "a", None, "b")):
        received = vinegar.load(vinegar.dump(type(error), error, None, False, False), False, False, False)
        assert str(received).splitlines()[:1] == str(error).splitlines()[:1]
        assert (received.errno, received.filename, received.filename2) == (error.errno, error.filename, error.filename2)


@pytest.mark.differs("a string stays a string")
def test_an_exception_that_is_only_text():
    assert vinegar.load("only text", False, False, False).args == ("only text",)


def test_local_exceptions_pickle_as_ever():
    assert pickle.loads(pickle.dumps(ValueError(1))).args == (1,)


@pytest.mark.differs("sees a TypeError")
@pytest.mark.parametrize("config", [{}, {"allow_public_attrs": True}], ids=["by default", "public"])
def test_context_manager_sees_the_exception(serve, connect, config):
    """Its type, that is; its arguments only if the side that raised it shows them, else its text."""
    seen = []

    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, typ, value, tb):
            seen.append((typ, value and value.args))
            return typ is KeyError

    class Manages(netref.Service):
        exposed_manager = Manager()

    root = connect(serve(Manages), config=config).root
    with root.manager:
        pass
    with root.manager:
        raise KeyError("suppressed")
    with pytest.raises(ValueError, match="not suppressed"), root.manager:
        raise ValueError("not suppressed")
    suppressed = "suppressed" if config else "'suppressed'"
    assert seen == [(None, None), (KeyError, (suppressed,)), (ValueError, ("not suppressed",))]


class Quits(netref.Service):
    def exposed_quit(self, name):
        raise getattr(builtins, name)("now")


@pytest.mark.differs("the caller does not hear of it")
@pytest.mark.parametrize(
    ("name", "setting", "default"),
    [
        ("SystemExit", "propagate_SystemExit_locally", False),
        ("KeyboardInterrupt", "propagate_KeyboardInterrupt_locally", True),
    ],
)
@pytest.mark.parametrize("propagates", [False, True, None])
def test_exceptions_that_end_the_serving(name, setting, default, propagates):
    """The caller gets its exception, and whoever serves the connection gets it too if that is what the setting says."""
    config = {} if propagates is None else {setting: propagates}
    ours, theirs = socket.socketpair()
    conn = netref.connect_stream(netref.SocketStream(ours))
    server = Quits()._connect(netref.Channel(netref.SocketStream(theirs)), {**config, "endpoints": ("here", "there")})
    ended = []

    def serve():
        try:
            server.serve_all()
        except BaseException as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(getattr(builtins, name)):
        conn.root.quit(name)
    if default if propagates is None else propagates:
        thread.join(10)
        assert ended == [name]
    else:
        assert conn.root.get_service_name() == "QUITS"
        conn.close()
        thread.join(10)
        assert ended == []
    conn.close()
