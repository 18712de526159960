"""Exceptions cross in both directions with their type, arguments, attributes and traceback."""

import pytest

from session import PeerError

RAISED = [
    ("ValueError", ("bad value", 42)),
    ("KeyError", ("missing",)),
    ("ZeroDivisionError", ("division by zero",)),
    ("RuntimeError", ()),
    ("TypeError", (("nested", (1, None)), b"\0")),
]


@pytest.mark.parametrize(("kind", "args"), RAISED, ids=lambda item: item if isinstance(item, str) else "")
def test_server_raises(link, kind, args):
    error = error_of(link, "raise_error", kind, *args)
    assert (error.type, error.values, error.remote) == (kind, args, True)
    assert "raise_error" in error.traceback
    assert kind in error.traceback
    assert link.is_alive()


@pytest.mark.parametrize(("kind", "args"), RAISED, ids=lambda item: item if isinstance(item, str) else "")
def test_client_raises(link, kind, args):
    """The server catches what the client's callback raised."""
    seen_kind, seen_args, traceback = link.call("catch", link.do("make", "raiser", kind, *args))
    assert (seen_kind, seen_args) == (kind, args)
    assert "raising_callback" in traceback
    assert kind in traceback


@pytest.mark.parametrize(("kind", "args"), RAISED, ids=lambda item: item if isinstance(item, str) else "")
def test_exception_passes_through_the_server(link, kind, args):
    """client -> server -> client's callback, which raises: the client sees its own exception come back."""
    error = error_of(link, "call", link.do("make", "raiser", kind, *args))
    assert (error.type, error.values, error.remote) == (kind, args, True)
    assert "raising_callback" in error.traceback
    assert link.is_alive()


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_exception_from_the_depth_of_nested_calls(link, depth):
    """Raised at the bottom of `depth` alternating calls, where the last one is the client's or the server's turn."""
    bottom = link.do("make", "raiser", "LookupError", "deep")
    for level in range(depth):
        bottom = (link.call if level % 2 == 0 else link.do)("make", "relay", bottom)
    error = error_of(link, "call", bottom)
    assert (error.type, error.values) == ("LookupError", ("deep",))
    assert "raising_callback" in error.traceback
    assert link.is_alive()


def test_exception_ends_a_ping_pong(link):
    error = error_of(link, "ping_pong", link.do("make", "bouncer", "ValueError", "bottom"), 3)
    assert (error.type, error.values) == ("ValueError", ("bottom",))
    assert "ping_pong" in error.traceback
    assert "bouncing_callback" in error.traceback


def test_unknown_exception_class(link):
    """The receiver has no such class: it gets one of that name, with arguments and attributes."""
    error = error_of(link, "raise_error", "CustomError", "custom", 7)
    assert (error.type, error.values, error.remote) == ("interop.CustomError", ("custom", 7), True)
    assert error.attrs["code"] == 42
    assert "raise_error" in error.traceback


def test_unknown_exception_class_from_the_client(link):
    kind, args, traceback = link.call("catch", link.do("make", "raiser", "CustomError", "custom", 7))
    assert (kind, args) == ("interop.CustomError", ("custom", 7))
    assert "raising_callback" in traceback


def test_stop_iteration(link):
    """It travels as a mere number, so it arrives without arguments."""
    assert (error_of(link, "raise_error", "StopIteration").type) == "StopIteration"
    assert link.call("catch", link.do("make", "raiser", "StopIteration"))[:2] == ("StopIteration", ())


def test_argument_without_by_value_form_arrives_as_its_repr(link):
    error = error_of(link, "raise_error", "ValueError", link.call("make", "counter"), 1)
    assert (error.type, error.values) == ("ValueError", ("Counter(0)", 1))


def test_many_exceptions_in_a_row(link):
    for number in range(50):
        assert error_of(link, "raise_error", "ValueError", number).values == (number,)


def error_of(link, method, *args):
    """The error that a call of the service ends with."""
    with pytest.raises(PeerError) as caught:
        link.call(method, *args)
    return caught.value
