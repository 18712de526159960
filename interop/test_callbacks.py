"""The server calls what the client passed in, while the client waits."""

import pytest


def test_line_counter(link):
    """RPyC's best-known example: the server reads a file of the client and reports every line to it."""
    lines = ("Simple\n", "is\n", "better\n", "than\n", "complex.\n")
    file, noisy = link.do("make", "file", *lines), link.do("make", "recorder", None)
    assert link.call("line_counter", file, noisy) == 5
    assert link.do("getattr", noisy, "calls") == tuple(((line,), ()) for line in lines)


def test_arguments_and_result(link):
    callback = link.do("make", "recorder", ("answer", 42))
    assert link.call("call", callback, 1, "two", flag=True) == ("answer", 42)
    assert link.do("getattr", callback, "calls") == (((1, "two"), (("flag", True),)),)


def test_references_as_argument_and_result(link):
    mine, yours = link.do("make", "list", 1), link.call("make", "list", 2)
    callback = link.do("make", "recorder", yours)
    assert link.call("call", callback, mine, yours) == yours
    assert link.do("getattr", callback, "calls") == (((mine, yours), ()),)


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 6])
def test_calls_nest_from_side_to_side(link, depth):
    """Server and client call each other in turn, each waiting for the other, `depth` levels deep."""
    trail = link.call("ping_pong", link.do("make", "bouncer"), depth)
    for level in range(depth, 0, -1):
        name, seen, trail = trail
        assert (name, seen) == (("ping", "bounce")[(depth - level) % 2], level)
    assert trail == (("ping", "bounce")[depth % 2], 0)


def test_callback_calls_back_into_the_server(link):
    relay = link.do("make", "relay", link.do("getattr", link.root, "add"))
    assert link.call("call", relay, 2, 3) == 5


def test_callbacks_wrapped_in_one_another(link):
    """client -> server's relay -> client's relay -> server's relay -> client's recorder"""
    recorder = link.do("make", "recorder", "done")
    chain = link.call("make", "relay", link.do("make", "relay", link.call("make", "relay", recorder)))
    assert link.do("call", chain, 1, two=2) == "done"
    assert link.do("getattr", recorder, "calls") == (((1,), (("two", 2),)),)


def test_many_callbacks_in_one_call(link):
    callback = link.do("make", "recorder", None)
    lines = tuple(f"{number}\n" for number in range(200))
    assert link.call("line_counter", link.do("make", "file", *lines), callback) == 200
    assert link.do("getattr", callback, "calls") == tuple(((line,), ()) for line in lines)


def test_stored_callback_is_called_by_a_later_request(link):
    callback = link.do("make", "recorder", 7)
    link.call("remember", callback)
    remembered = link.call("remembered")
    assert remembered == callback
    assert link.call("call", remembered, "later") == 7
    assert link.do("getattr", callback, "calls") == ((("later",), ()),)
