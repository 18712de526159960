"""Misuse and loss: a call fails with the right error, and only a lost connection is lost."""

import pytest

from session import Link, PeerError


@pytest.mark.parametrize("name", ["no_such_name", "_private", "__dict__", "exposed_no_such_name"])
def test_attribute_that_is_missing_or_private(link, name):
    assert error_of(link.do, "getattr", link.root, name).type == "AttributeError"
    assert error_of(link.call, name).type == "AttributeError"
    assert link.is_alive()


def test_service_itself_cannot_be_changed(link):
    assert error_of(link.do, "setattr", link.root, "add", 1).type == "AttributeError"
    assert error_of(link.do, "delattr", link.root, "add").type == "AttributeError"
    assert link.is_alive()


@pytest.mark.parametrize("args", [(), (1,), (1, 2, 3)], ids=len)
def test_wrong_number_of_arguments(link, args):
    error = error_of(link.call, "add", *args)
    assert (error.type, error.remote) == ("TypeError", True)
    assert link.is_alive()


def test_unknown_keyword(link):
    assert error_of(link.call, "add", 1, 2, c=3).type == "TypeError"


def test_argument_of_the_wrong_type(link):
    assert error_of(link.call, "add", 1, "one").type == "TypeError"
    assert error_of(link.call, "size", 1).type == "TypeError"


def test_calling_what_cannot_be_called(link):
    assert error_of(link.do, "call", link.call("make", "list")).type == "TypeError"
    assert link.is_alive()


class TestExposedPolicy:
    """RPyC's default policy: only exposed_ names and a list of harmless special methods."""

    def test_exposed_method(self, connect):
        assert connect("exposed").call("add", 2, 3) == 5

    def test_special_methods(self, connect):
        link = connect("exposed")
        numbers = link.call("make", "list", 1, 2)
        assert link.do("len", numbers) == 2
        assert link.do("collect", numbers) == (1, 2)
        assert link.do("repr", numbers) == "[1, 2]"

    def test_public_names_are_closed(self, connect):
        link = connect("exposed")
        counter = link.call("make", "counter")
        for name in ("value", "incr"):
            error = error_of(link.do, "getattr", counter, name)
            assert error.type == "AttributeError"
            assert error.values[0].startswith(f"cannot access '{name}'")
        assert error_of(link.do, "setattr", link.call("make", "record", 1), "colour", 2).type == "AttributeError"
        assert error_of(link.do, "delattr", link.call("make", "record", 1), "colour").type == "AttributeError"
        assert link.is_alive()


@pytest.mark.parametrize("number", [0, 21, 99, -1, "ping"])
def test_unknown_request_leaves_the_connection_alive(side, number):
    """What makes it safe to offer an extension to a peer that may not know it."""
    error = error_of(side.do, "request", number)
    # A client may refuse to send what is no number at all.
    assert error.remote or number == "ping"
    assert side.link.is_alive()


@pytest.mark.parametrize(
    "arguments",
    [(4,), (4, "no object"), (7,), (7, 1, (), ()), (8, None, "x", (), ()), (16, ("no.such", 1, 2)), (17, 5, 1), (1,)],
    ids=str,
)
def test_malformed_request_leaves_the_connection_alive(side, arguments):
    assert error_of(side.do, "request", *arguments).remote
    assert side.link.is_alive()


def test_server_dies(connect, private_server):
    link = connect(server=private_server)
    counter = link.call("make", "counter")
    private_server.process.kill()
    for _ in range(2):
        assert error_of(link.do, "method", counter, "incr").type == "EOFError"


def test_server_survives_a_client_that_vanishes(connect, private_server, pairing, programs):
    """Nobody closes the connection; the next client must be served as if nothing had happened."""
    doomed = connect(server=private_server)
    doomed.call("remember", doomed.do("make", "counter"))
    doomed.agent.process.kill()
    successor = Link(programs.agent(pairing.client), private_server)
    assert successor.is_alive()
    successor.close()


def error_of(operation, *args, **kwargs):
    """The error that an operation ends with."""
    with pytest.raises(PeerError) as caught:
        operation(*args, **kwargs)
    return caught.value
