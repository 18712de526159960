"""`proxy.method(x)` is one round trip, and nobody can tell from what happens."""

import sys

import pytest

import netref


class Recorder:
    """Notes what peers look up and call, in order."""

    def __init__(self):
        self.seen = []
        self.number = 7

    def _rpyc_getattr(self, name):
        self.seen.append(f"look up {name}")
        return getattr(self, name)

    def note(self, name, *args, **kwargs):
        self.seen.append(f"call {name}")
        return (name, args, tuple(kwargs.items()))

    def first(self, *args, **kwargs):
        return self.note("first", *args, **kwargs)

    def second(self, *args, **kwargs):
        return self.note("second", *args, **kwargs)

    def replace_first(self):
        self.first = lambda *args: "replaced"


class Service(netref.Service):
    def exposed_recorder(self):
        self.recorder = Recorder()
        return self.recorder

    def exposed_forget(self):
        """What was looked up to learn about the class."""
        self.recorder.seen.clear()

    def exposed_call(self, function, *args):
        return function(*args)


@pytest.fixture
def conn(serve, connect):
    return connect(serve(Service))


@pytest.fixture
def recorder(conn):
    recorder = conn.root.recorder()
    conn.root.forget()
    return recorder


@pytest.fixture
def trips(conn):
    """How many round trips something takes."""

    def count(operation):
        before = conn.stats()["round_trips"]
        operation()
        return conn.stats()["round_trips"] - before

    return count


def seen(recorder):
    return list(recorder.seen)[:-1]  # without looking that up itself


def test_round_trips(recorder, trips, conn):
    assert trips(lambda: recorder.first(1, 2)) == 1
    # Python 3.10 looks up what it calls with keywords like any other attribute.
    assert trips(lambda: recorder.first(1, k=2)) == (1 if sys.version_info >= (3, 11) else 2)
    assert trips(lambda: conn.root.call(abs, -1)) == 1
    assert trips(lambda: [recorder.first(i) for i in range(5)]) == 5
    method = recorder.first
    assert trips(lambda: method(1)) == 1
    assert trips(lambda: recorder.first) == 1
    look_up = getattr
    assert trips(lambda: look_up(recorder, "first")(1)) == 2
    assert trips(lambda: recorder.first(*[1, 2])) <= 2


def test_what_is_looked_up_otherwise_is_there_at_once(recorder):
    assert recorder.number == 7
    kept = recorder.first
    assert kept(1) == ("first", (1,), ())
    with pytest.raises(AttributeError):
        recorder.nothing
    assert not hasattr(recorder, "nothing")
    assert seen(recorder) == ["look up number", "look up first", "call first", "look up nothing", "look up nothing"]


def test_a_kept_method_is_what_it_was_when_it_was_looked_up(recorder):
    kept = recorder.first
    recorder.replace_first()
    assert kept() == ("first", (), ())
    assert recorder.first() == "replaced"


def test_arguments_that_call_remotely_come_after_the_look_up(recorder, trips):
    def nested():  # not in an assert, which pytest takes apart into separate look-ups and calls
        return recorder.first(recorder.second(1), 2)

    result = nested()
    assert result == ("first", (("second", (1,), ()), 2), ())
    assert seen(recorder) == ["look up first", "look up second", "call second", "call first"]
    # The look-up is sent along with the inner call; nobody waits for it by itself.
    assert trips(nested) == 3


def test_arguments_that_replace_the_method(recorder):
    """The method was looked up before, so it is the old one that is called."""
    result = recorder.first(recorder.replace_first())
    assert result == ("first", (None,), ())
    assert recorder.first() == "replaced"


def test_arguments_that_fail(recorder, conn):
    with pytest.raises(ZeroDivisionError):
        recorder.first(1 / 0)
    assert recorder.second() == ("second", (), ())
    assert seen(recorder)[-2:] == ["look up second", "call second"]
    lent = conn.stats()["references_released"]
    conn.ping()
    assert conn.stats()["references_released"] >= lent


def test_a_method_that_is_not_there(recorder):
    with pytest.raises(AttributeError, match="nothing"):
        recorder.nothing(1)
    with pytest.raises(AttributeError, match="nothing"):
        recorder.nothing(recorder.second())
    with pytest.raises(TypeError, match="not callable"):
        recorder.number(1)


def test_callbacks_in_between(recorder, conn):
    """A callback that calls remotely while a call waits to be made."""

    def outer():
        return recorder.first(conn.root.call(lambda: recorder.second()))

    assert outer() == ("first", (("second", (), ()),), ())
    assert seen(recorder)[:2] == ["look up first", "look up second"]


def test_methods_of_built_in_objects_and_modules(serve, connect):
    conn = connect(serve(Service, protocol_config={"allow_public_attrs": True}))
    numbers = conn.root.recorder().seen
    conn.root.forget()
    numbers.append("mine")
    numbers.extend(["a", "bcd"])
    numbers.sort(key=len)
    assert list(numbers) == ["a", "bcd", "mine"]
    popped = numbers.pop(0)
    assert popped == "a"


def test_the_setting(serve, connect):
    conn = connect(serve(Service), config={"one_trip_calls": False})
    recorder = conn.root.recorder()
    before = conn.stats()["round_trips"]
    recorder.first()
    assert conn.stats()["round_trips"] - before == 2
    conn._config["one_trip_calls"] = True
    recorder.first()
    assert conn.stats()["round_trips"] - before == 3


def test_code_that_is_compiled_anew_again_and_again(recorder):
    """What is known of code objects is bounded, and never of one that has gone."""
    for number in range(1500):
        namespace = {"recorder": recorder}
        exec(f"result = {'recorder.first' if number % 2 else 'recorder.first(1)'}", namespace)
        if number % 2:
            assert namespace["result"](1) == ("first", (1,), ())
        else:
            assert namespace["result"] == ("first", (1,), ())
