"""References keep their identity, and an object lives exactly as long as somebody refers to it."""

import itertools

import pytest

from session import ServerDrives, becomes

TAGS = itertools.count(1)


@pytest.fixture
def tag():
    """A name under which a test counts its objects, for the processes outlive the test."""
    return f"tracked-{next(TAGS)}"


def test_own_object_comes_back_as_itself(link):
    mine = link.do("make", "list", 1)
    assert link.call("echo", mine) == mine
    assert link.call("echo", (mine, 1, (mine,))) == (mine, 1, (mine,))


def test_server_gets_its_own_object_back(link):
    yours = link.call("make", "counter")
    link.call("remember", yours)
    assert link.call("is_same", yours) is True
    assert link.call("is_same", link.call("make", "counter")) is False
    assert link.call("remembered") == yours


def test_server_recognises_an_object_of_the_client(link):
    mine, other = link.do("make", "counter"), link.do("make", "counter")
    link.call("remember", mine)
    assert link.call("is_same", mine) is True
    assert link.call("is_same", other) is False
    assert link.call("remembered") == mine


def test_both_kinds_of_references_in_one_tuple(link):
    mine, yours = link.do("make", "list", 1), link.call("make", "list", 2)
    mixed = (mine, ("by value", yours), mine)
    assert link.call("echo", mixed) == mixed


def test_root_is_one_object(link):
    assert link.do("root") == link.root
    assert link.call("echo", link.root) == link.root


def test_dropped_reference_releases_the_object_of_the_server(link, tag):
    handles = [link.call("make", "tracked", tag) for _ in range(3)]
    assert link.call("live", tag) == 3
    for remaining, handle in zip((2, 1, 0), handles, strict=True):
        link.agent.do("drop", handle)
        assert becomes(remaining, lambda: link.call("live", tag))


def test_object_received_several_times_is_released_once_and_for_all(link, tag):
    """The release has to carry the number of times that the object was received."""
    handle = link.call("make", "tracked", tag)
    for _ in range(5):
        assert link.call("echo", handle) == handle
    assert link.call("echo", (handle, handle)) == (handle, handle)
    link.call("remember", handle)
    assert link.call("remembered") == handle
    link.agent.do("drop", handle)
    link.do("ping", "let releases pass")
    assert link.call("live", tag) == 1
    link.call("forget")
    assert becomes(0, lambda: link.call("live", tag))


def test_reference_dropped_and_received_again(link, tag):
    handle = link.call("make", "tracked", tag)
    link.call("remember", handle)
    for _ in range(20):
        link.agent.do("drop", handle)
        handle = link.call("remembered")
        assert link.do("getattr", handle, "tag") == tag
    link.call("forget")
    link.agent.do("drop", handle)
    assert becomes(0, lambda: link.call("live", tag))


def test_server_keeps_an_object_of_the_client_alive(link, tag):
    mine = link.do("make", "tracked", tag)
    link.call("remember", mine)
    link.agent.do("drop", mine)
    link.do("ping", "let releases pass")
    assert link.do("live", tag) == 1
    assert link.call("operate", "getattr", link.call("remembered"), "tag") == tag


def test_forgotten_reference_releases_the_object_of_the_client(link, tag):
    mine = link.do("make", "tracked", tag)
    link.call("remember", mine)
    assert link.call("is_same", mine) is True
    link.agent.do("drop", mine)
    link.call("forget")
    assert becomes(0, lambda: ServerDrives(link).live(tag))


def test_arguments_are_released_after_the_call(link, tag):
    for _ in range(20):
        mine = link.do("make", "tracked", tag)
        assert link.call("size", (mine, mine)) == 2
        link.agent.do("drop", mine)
    assert becomes(0, lambda: ServerDrives(link).live(tag))


def test_closing_a_connection_releases_everything(connect, tag):
    witness, link = connect(), connect()
    for _ in range(3):
        link.call("make", "tracked", tag)
    assert witness.call("live", tag) == 3
    link.close()
    assert becomes(0, lambda: witness.call("live", tag))
