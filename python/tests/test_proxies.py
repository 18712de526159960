"""Proxies behave like what they stand for: operators, containers, attributes, identity."""

import operator

import pytest

import netref
from netref import BaseNetref
from netref.core.netref import LOCAL_ATTRS


def test_list(root):
    numbers = root.make("list")
    assert len(numbers) == 3
    assert (numbers[0], numbers[-1]) == (1, 3)
    assert list(numbers) == [1, 2, 3]
    assert list(numbers[1:]) == [2, 3]
    assert list(numbers[::-1]) == [3, 2, 1]
    assert 2 in numbers
    assert 9 not in numbers
    assert bool(numbers)
    assert sorted(numbers, reverse=True) == [3, 2, 1]
    assert [a + b for a, b in zip(numbers, numbers, strict=True)] == [2, 4, 6]
    assert max(numbers) == 3
    assert str(numbers) == repr(numbers) == "[1, 2, 3]"
    assert f"{numbers}" == "[1, 2, 3]"
    first, *rest = numbers
    assert (first, rest) == (1, [2, 3])
    assert list(numbers * 2) == [1, 2, 3, 1, 2, 3]
    assert list(numbers + numbers) == [1, 2, 3, 1, 2, 3]


def test_list_changes_with_public_attributes(serve, connect):
    class Lists(netref.Service):
        exposed_list = [1, 2, 3]

    numbers = connect(serve(Lists, protocol_config={"allow_public_attrs": True})).root.list
    numbers.append(4)
    numbers[0] = 10
    numbers[1:3] = (20, 30)
    del numbers[3]
    numbers += [5]
    assert list(numbers) == [10, 20, 30, 5]
    assert Lists.exposed_list == [10, 20, 30, 5]
    assert numbers.pop() == 5
    assert numbers.index(20) == 1


def test_dict(root):
    mapping = root.make("dict")
    assert len(mapping) == 2
    assert mapping["a"] == 1
    assert sorted(mapping) == ["a", "b"]
    assert "a" in mapping
    assert "z" not in mapping
    with pytest.raises(KeyError, match="z"):
        mapping["z"]
    mapping["c"] = 3
    assert mapping["c"] == 3
    del mapping["c"]
    assert "c" not in mapping


def test_dict_of_a_remote_dict(root, serve, connect):
    """Only with ``keys`` open is a proxy a mapping to ``dict``: without it, it is an iterable of keys."""
    with pytest.raises(ValueError, match="dictionary update sequence"):
        dict(root.make("dict"))

    class Dicts(netref.Service):
        exposed_dict = {"a": 1}

    mapping = connect(serve(Dicts, protocol_config={"allow_public_attrs": True})).root.dict
    assert dict(mapping) == {"a": 1}
    assert {**mapping} == {"a": 1}
    assert list(mapping.items()) == [("a", 1)]


def test_operators(root):
    vector = root.make("vector")
    assert vector + 1 == ("add", 5, 1)
    assert 1 + vector == ("radd", 1, 5)
    assert -vector == -5
    assert int(vector) == 5
    assert float(vector) == 5.0
    assert operator.index(vector) == 5
    assert list(range(10))[vector] == 5
    assert vector == 5
    assert vector != 6
    assert vector < 6
    assert not vector < 5
    assert hash(vector) == hash(5)
    assert {5: "found"}[vector] == "found"
    assert 5 in vector
    assert bool(vector)
    assert not root.make("zero")
    assert vector(1, k=2) == ((1,), (("k", 2),))
    with vector as entered:
        assert entered is vector
    same = vector
    same += 2
    assert same is vector
    assert int(vector) == 7
    with pytest.raises(TypeError, match="unsupported operand"):
        vector - 1


def test_comparison_of_what_cannot_be_compared(root):
    plain = root.make("plain")
    assert plain == plain
    assert plain != root.make("plain")
    assert plain != 5
    with pytest.raises(TypeError, match="not supported between"):
        plain < 5


@pytest.mark.differs("lists have what the class list has")
def test_special_methods_are_there_only_if_the_remote_class_has_them(root):
    numbers, plain, vector = root.make("list"), root.make("plain"), root.make("vector")
    for maker in ("list", "dict", "set", "bytearray", "plain", "range", "iterator", "error"):
        assert not callable(root.make(maker)), maker
    for maker in ("function", "vector", "Plain", "TypeError"):
        assert callable(root.make(maker)), maker
    for use in (len, iter, abs, float, operator.index, reversed, next, lambda x: x[0], lambda x: x + 1, lambda x: 1 in x):
        with pytest.raises(TypeError):
            use(plain)
    with pytest.raises(TypeError):
        len(root.make("TypeError"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(numbers)
    with pytest.raises(TypeError):
        next(numbers)
    with pytest.raises(TypeError):
        isinstance(1, numbers)
    with pytest.raises((TypeError, AttributeError)), plain:
        pass
    assert hasattr(vector, "__neg__")
    assert not hasattr(numbers, "__neg__")
    assert bool(plain)


def test_attributes(root):
    plain = root.make("plain")
    assert plain.double() == 0
    with pytest.raises(AttributeError, match="value_"):
        _ = plain.value_
    assert getattr(plain, "value_", "default") == "default"
    assert not hasattr(plain, "_private")
    with pytest.raises(AttributeError):
        plain.value = 1
    with pytest.raises(AttributeError):
        del plain.value


def test_dir(root):
    plain = root.make("plain")
    assert {"exposed_double", "exposed_value", "__eq__"} <= set(dir(plain))
    assert "exposed_add" in dir(root)


def test_doc_and_repr(root):
    assert root.make("plain").__doc__ == "An object with little of its own."
    assert repr(root.make("plain")).startswith("<peer_services.Plain object at 0x")
    assert repr(root.make("bytearray")) == "bytearray(b'abc')"
    assert repr(type(root.make("plain"))) == f"<netref class '{BaseNetref.__module__}.peer_services.Plain'>"
    assert type(root.make("list")).__name__ == "builtins.list"


def test_base_class():
    assert BaseNetref.__mro__ == (BaseNetref, object)


def test_a_proxys_own_attributes(conn):
    numbers = conn.root.make("list")
    assert numbers.____conn__ is conn
    name, _, instance = numbers.____id_pack__
    assert name == "builtins.list"
    assert instance != 0
    assert conn.root.make("TypeError").____id_pack__[2] == 0
    assert numbers.____refcount__ == 1
    assert conn.root.echo(numbers) is numbers
    assert numbers.____refcount__ == 2  # it was lent once more


@pytest.mark.differs("counts with stats()")
def test_local_attributes_need_no_round_trip(conn):
    numbers = conn.root.make("list")
    before = conn.stats()["round_trips"]
    for name in ("____conn__", "____id_pack__", "____refcount__", "__class__", "__module__", "__slots__"):
        getattr(numbers, name)
    isinstance(numbers, list)
    assert not hasattr(numbers, "__array_interface__")
    assert not hasattr(numbers, "__array_struct__")
    assert conn.stats()["round_trips"] == before


def test_local_attribute_names():
    assert {"____conn__", "____id_pack__", "____refcount__", "__class__", "__doc__", "__array_struct__"} <= LOCAL_ATTRS


def test_equal_objects_are_different_objects(root):
    first, second = root.make("list"), root.make("list")
    assert first is not second
    assert first == second
    assert first.____id_pack__ != second.____id_pack__


def test_calls(root):
    assert root.add(1) == 11
    assert root.add(1, 2) == 3
    assert root.add(a=1, b=2) == 3
    add = root.add
    assert add(3, b=4) == 7
    assert root.make("function")(1, "a") == (1, "a")
    assert root.make("Plain")(21).double() == 42


def test_methods_take_any_keyword(serve, connect):
    class Takes(netref.Service):
        def exposed_keywords(self, **kwargs):
            return tuple(sorted(kwargs.items()))

    root = connect(serve(Takes)).root
    assert root.keywords(proxy=1, name=2, args=3, kwargs=4) == (("args", 3), ("kwargs", 4), ("name", 2), ("proxy", 1))


def test_iteration_of_remote_iterators(root):
    iterator = root.make("iterator")
    assert iter(iterator) is iterator
    assert sum(iterator) == sum(range(25))
    assert next(iterator, None) is None


def test_unpacking_into_a_call(root):
    assert root.add(*root.make("list")[:2]) == 3


@pytest.mark.differs("twice")
def test_property_runs_once_for_each_access(serve, connect):
    runs = []

    class Counts(netref.Service):
        @property
        def exposed_property(self):
            runs.append(1)
            return "value"

    root = connect(serve(Counts)).root
    assert root.property == "value"
    assert len(runs) == 1
