"""Calling methods of the remote service."""

import pytest

from session import PeerError


def test_peers_are_the_ones_they_should_be(pairing, agent, link):
    """Guards against a suite that passes because it paired stock RPyC with itself."""
    for peer, (implementation, version) in (
        (pairing.client, agent.implementation),
        (pairing.server, link.call("implementation")),
    ):
        assert implementation == peer.implementation
        assert version.startswith(peer.version)


def test_add(link):
    assert link.call("add", 2, 3) == 5
    assert link.call("add", "net", "ref") == "netref"
    assert link.call("add", (1,), (2.5,)) == (1, 2.5)


@pytest.mark.parametrize(
    ("args", "kwargs", "received"),
    [
        ((1,), {}, (1, 2, (), ())),
        ((1,), {"b": 3}, (1, 3, (), ())),
        ((), {"b": 3, "a": 1}, (1, 3, (), ())),
        ((1, 2, 3, 4), {}, (1, 2, (3, 4), ())),
        ((1,), {"z": 26, "y": "25"}, (1, 2, (), (("y", "25"), ("z", 26)))),
    ],
    ids=["default", "keyword", "only keywords", "varargs", "extra keywords"],
)
def test_positional_and_keyword_arguments(link, args, kwargs, received):
    assert link.call("signature", *args, **kwargs) == received


def test_method_fetched_once_and_called_often(link):
    add = link.do("getattr", link.root, "add")
    assert add.kind == "ref"
    assert [link.do("call", add, number, 1) for number in range(5)] == [1, 2, 3, 4, 5]


def test_many_calls_on_one_connection(link):
    assert all(link.call("add", number, number) == 2 * number for number in range(300))


def test_ping(link):
    assert link.do("ping", "are you there?") is None


def test_client_serves_too(link):
    """The client offered a service when it connected; the server may use it as the client uses the server's."""
    clients_root = link.call("operate", "root")
    assert clients_root.kind == "local"
    assert link.call("operate", "method", clients_root, "add", 2, 3) == 5
    assert link.call("operate", "ping", "and you?") is None


def test_two_connections_in_one_process(connect):
    first, second = connect(), connect()
    first.call("remember", "first")
    second.call("remember", "second")
    assert (first.call("remembered"), second.call("remembered")) == ("first", "second")
    first.close()
    assert second.is_alive()


def test_reference_handed_from_one_connection_to_another(connect):
    """The second server calls a function of the first, through the client that knows both."""
    first, second = connect(), connect()
    add = first.do("getattr", first.root, "add")
    assert second.call("call", add, 2, 3) == 5


def test_close(link):
    assert link.do("closed") is False
    link.close()
    assert link.do("closed") is True
    with pytest.raises(PeerError) as caught:
        link.is_alive()
    assert caught.value.type == "EOFError"
    link.close()
