"""What one side can do with the objects of the other. Every test runs in both directions: see the fixture `side`."""

import pytest

from differences import expected
from session import PeerError

COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def test_counter(side):
    counter = side.make("counter")
    assert side.do("method", counter, "incr") == 1
    assert side.do("method", counter, "incr", 10) == 11
    assert side.do("method", counter, "incr", by=-1) == 10
    assert side.do("getattr", counter, "value") == 10


def test_read_only_attribute(side):
    counter = side.make("counter")
    assert error_of(side, "setattr", counter, "value", 5).type == "AttributeError"
    assert side.do("getattr", counter, "value") == 0


def test_attributes_are_set_and_deleted(side):
    record = side.make("record", "red")
    assert side.do("getattr", record, "colour") == "red"
    side.do("setattr", record, "colour", "blue")
    side.do("setattr", record, "size", (1, 2))
    assert (side.do("getattr", record, "colour"), side.do("getattr", record, "size")) == ("blue", (1, 2))
    side.do("delattr", record, "colour")
    assert error_of(side, "getattr", record, "colour").type == "AttributeError"
    assert error_of(side, "delattr", record, "colour").type == "AttributeError"


def test_attribute_holds_a_reference(side):
    record, content = side.make("record", None), side.make("list", 1)
    side.do("setattr", record, "colour", content)
    assert side.do("getattr", record, "colour") == content


def test_list(side):
    numbers = side.make("list", 10, 20, 30)
    assert side.do("len", numbers) == 3
    assert side.do("getitem", numbers, -1) == 30
    side.do("setitem", numbers, 0, "ten")
    side.do("delitem", numbers, 1)
    side.do("method", numbers, "append", None)
    assert side.do("collect", numbers) == ("ten", 30, None)
    assert side.do("contains", numbers, 30) is True
    assert side.do("contains", numbers, 20) is False
    assert error_of(side, "getitem", numbers, 3).type == "IndexError"


def test_slice_of_a_list(side):
    numbers = side.make("list", *range(10))
    assert side.do("collect", side.do("getitem", numbers, slice(1, 8, 3))) == (1, 4, 7)
    assert side.do("collect", side.do("getitem", numbers, slice(None, None, -4))) == (9, 5, 1)


def test_dict(side):
    ages = side.make("dict", ("Ada", 36), (("tuple", 1), 2.5))
    assert side.do("len", ages) == 2
    assert side.do("getitem", ages, ("tuple", 1)) == 2.5
    side.do("setitem", ages, "Alan", 41)
    side.do("delitem", ages, "Ada")
    assert side.do("collect", ages) == (("tuple", 1), "Alan")
    assert side.do("contains", ages, "Alan") is True
    assert side.do("contains", ages, "Ada") is False
    missing = error_of(side, "getitem", ages, "Ada")
    assert (missing.type, missing.values) == ("KeyError", ("Ada",))


def test_containers_of_references(side):
    inner = side.make("list", 1)
    outer = side.make("list", inner, inner)
    assert side.do("collect", outer) == (inner, inner)


def test_iterator_step_by_step(side):
    iterator = side.make("iterator", 2)
    assert side.do("iter", iterator) == iterator
    assert [side.do("next", iterator), side.do("next", iterator)] == [0, 1]
    assert error_of(side, "next", iterator).type == "StopIteration"


def test_iteration_to_the_end(side):
    assert side.do("collect", side.make("iterator", 50)) == tuple(range(50))
    assert side.do("collect", side.make("iterator", 0)) == ()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100])
def test_buffered_iteration(side, length):
    assert side.do("buffiter", side.make("iterator", length), 8) == tuple(range(length))
    assert side.do("buffiter", side.make("list", *range(length)), 8) == tuple(range(length))


@pytest.mark.parametrize("operation", [("collect",), ("buffiter", 2)], ids=lambda operation: operation[0])
def test_iterator_that_fails_half_way(side, operation):
    name, *args = operation
    error = error_of(side, name, side.make("failing_iterator", 3, "ValueError", "no fourth"), *args)
    assert (error.type, error.values) == ("ValueError", ("no fourth",))


def test_comparison(side):
    one, two, other_two = (side.make("version", number) for number in (1, 2, 2))
    assert {name for name in COMPARISONS if side.do(name, one, two)} == {"ne", "lt", "le"}
    assert {name for name in COMPARISONS if side.do(name, two, one)} == {"ne", "gt", "ge"}
    assert {name for name in COMPARISONS if side.do(name, two, other_two)} == {"eq", "le", "ge"}
    assert side.do("eq", one, 1) is False
    assert error_of(side, "lt", one, 1).type == "TypeError"


def test_hash(side):
    assert side.do("hash", side.make("version", 2)) == 1002
    assert side.do("hash", side.make("version", 3)) == 1003
    assert error_of(side, "hash", side.make("list")).type == "TypeError"


def test_repr_str_dir(side):
    version = side.make("version", 3)
    assert side.do("repr", version) == "Version(3)"
    assert side.do("str", version) == "v3"
    assert "number" in side.do("dir", version)
    assert {"incr", "value"} <= set(side.do("dir", side.make("counter")))
    assert side.do("repr", side.make("list", 1, "a")) == "[1, 'a']"


def test_context_manager(side):
    context = side.make("context", False)
    assert side.do("with", context) == (context, False)
    assert side.do("getattr", context, "events") == ("enter", None)


@pytest.mark.parametrize("suppress", [True, False])
def test_context_manager_sees_the_exception(side, suppress):
    context = side.make("context", suppress)
    if suppress:
        assert side.do("with", context, "ValueError", "inside") == (context, True)
    else:
        error = error_of(side, "with", context, "ValueError", "inside")
        assert (error.type, error.values) == ("ValueError", ("inside",))
    seen = expected("the exception type that __exit__ sees after a ValueError", side, otherwise="ValueError")
    assert side.do("getattr", context, "events") == ("enter", seen)


@pytest.mark.parametrize("kind", ["counter", "record", "version", "context"])
def test_class_name_travels(side, kind):
    args = {"record": (None,), "version": (1,), "context": (False,)}.get(kind, ())
    name, class_id, instance_id = side.do("id_pack", side.make(kind, *args))
    assert name == f"interop.{kind.capitalize()}"
    assert 0 not in (class_id, instance_id)


def error_of(side, operation, *args):
    """The error that an operation ends with."""
    with pytest.raises(PeerError) as caught:
        side.do(operation, *args)
    return caught.value
