"""Each of the protocol's 20 requests, sent as such: by the client to the server, and the other way round."""

import pytest

from session import PeerError, becomes

REQUESTS = {}


def request(number):
    """Register the test of a request; completeness is checked below."""

    def register(test):
        REQUESTS[number] = test
        return test

    return register


@request(1)
def ping(side):
    assert side.do("request", 1, "payload") == "payload"
    assert side.do("request", 1, (1, b"\0" * 5000)) == (1, b"\0" * 5000)


@request(2)
def close(side):
    """The answer may or may not get out before the connection is gone."""
    try:
        assert side.do("request", 2) is None
    except PeerError as error:
        assert error.type == "EOFError"
    with pytest.raises(PeerError) as caught:
        side.link.is_alive()
    assert caught.value.type == "EOFError"


@request(3)
def getroot(side):
    assert side.do("request", 3) == side.do("root")


@request(4)
def getattr_(side):
    assert side.do("request", 4, side.make("record", "red"), "colour") == "red"


@request(5)
def delattr_(side):
    record = side.make("record", "red")
    assert side.do("request", 5, record, "colour") is None
    with pytest.raises(PeerError):
        side.do("request", 4, record, "colour")


@request(6)
def setattr_(side):
    record = side.make("record", "red")
    assert side.do("request", 6, record, "colour", ("blue", 1)) is None
    assert side.do("request", 4, record, "colour") == ("blue", 1)


@request(7)
def call(side):
    recorder = side.make("recorder", "answer")
    assert side.do("request", 7, recorder, (1, 2), (("three", 3),)) == "answer"
    assert side.do("request", 7, recorder, (), ()) == "answer"
    assert side.do("getattr", recorder, "calls") == (((1, 2), (("three", 3),)), ((), ()))


@request(8)
def callattr(side):
    counter = side.make("counter")
    assert side.do("request", 8, counter, "incr", (5,), ()) == 5
    assert side.do("request", 8, counter, "incr", (), (("by", 2),)) == 7


@request(9)
def repr_(side):
    assert side.do("request", 9, side.make("version", 3)) == "Version(3)"


@request(10)
def str_(side):
    assert side.do("request", 10, side.make("version", 3)) == "v3"


@request(11)
def cmp(side):
    one, two = side.make("version", 1), side.make("version", 2)
    assert side.do("request", 11, one, two, "__lt__") is True
    assert side.do("request", 11, one, two, "__eq__") is False
    assert side.do("request", 11, one, 1, "__eq__") is NotImplemented


@request(12)
def hash_(side):
    assert side.do("request", 12, side.make("version", 3)) == 1003


@request(13)
def dir_(side):
    names = side.do("request", 13, side.make("counter"))
    assert isinstance(names, tuple)
    assert {"incr", "value"} <= set(names)


@request(14)
def pickle(side):
    """Refused unless the owner allowed it, which nobody here did."""
    with pytest.raises(PeerError) as caught:
        side.do("request", 14, side.make("list", 1), 2)
    assert caught.value.type == "ValueError"
    assert caught.value.values[0].startswith("pickling is disabled")


@request(15)
def del_(side):
    """Releasing an object behind its proxy's back: the proxy's own release then finds nothing, which must do no harm."""
    tag = f"released by {side.caller}, owned by {side.owner}, on {side.link.number}"
    tracked = side.make("tracked", tag)
    side.hold(tracked)
    assert side.do("request", 15, tracked, 1) is None
    side.release(tracked)
    assert becomes(0, lambda: side.live(tag))
    assert side.link.is_alive()


@request(16)
def inspect(side):
    for kind, args, method in (("counter", (), "incr"), ("recorder", (None,), "__call__"), ("list", (), "__len__")):
        thing = side.make(kind, *args)
        side.hold(thing)
        methods = side.do("request", 16, side.do("id_pack", thing))
        assert method in [name for name, documentation in methods]


@request(17)
def buffiter(side):
    iterator = side.make("iterator", 25)
    assert [len(side.do("request", 17, iterator, 10)) for _ in range(4)] == [10, 10, 5, 0]
    assert side.do("request", 17, side.make("iterator", 3), 10) == (0, 1, 2)


@request(18)
def oldslicing(side):
    numbers = side.make("list", *range(5))
    part = side.do("request", 18, numbers, "__getitem__", "__getslice__", 1, 3, ())
    assert side.do("collect", part) == (1, 2)


@request(19)
def ctxexit(side):
    context = side.make("context", True)
    assert side.do("request", 19, context, None) is True
    assert side.do("getattr", context, "events") == (None,)


@request(20)
def instancecheck(side):
    """An object of a class that the owner has never heard of is no instance of anything it owns."""
    assert side.do("request", 20, side.make("counter"), ("elsewhere.Unknown", 1, 2)) is False


@pytest.mark.parametrize("number", sorted(REQUESTS), ids=lambda number: f"{number:02d}-{REQUESTS[number].__name__.rstrip('_')}")
def test_request(side, number):
    REQUESTS[number](side)


def test_every_request_has_a_test():
    assert sorted(REQUESTS) == list(range(1, 21))
