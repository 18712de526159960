"""What isinstance, type and __class__ say of proxies."""

import collections.abc
import enum
import sys
import types

import pytest

import netref
import peer_services
from netref import BaseNetref
from netref.core.netref import NetrefMetaclass
from netref.lib import get_id_pack


@pytest.mark.parametrize(("maker", "cls"), [("list", list), ("dict", dict), ("set", set), ("bytearray", bytearray)])
def test_builtin_types(root, maker, cls):
    proxy = root.make(maker)
    assert isinstance(proxy, cls)
    assert isinstance(proxy, BaseNetref)
    assert not isinstance(proxy, (int, str))
    assert proxy.__class__ is cls
    assert type(proxy) is not cls
    assert isinstance(type(proxy), NetrefMetaclass)


def test_class_known_on_both_sides(root):
    plain = root.make("plain")
    assert isinstance(plain, peer_services.Plain)
    assert plain.__class__ is peer_services.Plain
    assert not isinstance(plain, peer_services.Vector)


@pytest.fixture
def later(pair, monkeypatch):
    """A program may import a module, such as numpy, when it has met objects of its classes already."""
    later = types.ModuleType("imported_later")
    later.Thing = type("Thing", (), {"__module__": "imported_later"})

    class Makes(netref.Service):
        def exposed_make(self):
            return later.Thing()

        def exposed_class_(self):
            return later.Thing

    client, _ = pair(Makes, {"allow_all_attrs": True})
    first = client.root.make()
    assert isinstance(first.__class__, BaseNetref)
    assert not isinstance(first, later.Thing)
    monkeypatch.setitem(sys.modules, "imported_later", later)
    return client.root, later.Thing


def test_class_that_becomes_known_later(later):
    root, cls = later
    thing = root.make()
    assert isinstance(thing, cls)
    assert thing.__class__ is cls


@pytest.mark.differs("it is what it was before")
def test_proxy_of_a_class_that_becomes_known_later(later):
    root, cls = later
    assert root.class_().__class__ is type
    assert isinstance(cls(), root.class_())


def test_remote_classes(root):
    remote_class = root.make("Plain")
    assert remote_class.__class__ is type
    assert isinstance(remote_class, type)
    assert isinstance(root.make("plain"), remote_class)
    assert not isinstance(root.make("list"), remote_class)
    assert not isinstance(remote_class, remote_class)
    assert isinstance(ValueError("x").__class__, type)
    assert isinstance(peer_services.Plain(), remote_class)  # local, of the class with the same name
    assert not isinstance(5, remote_class)
    assert isinstance(remote_class(3), remote_class)


def test_remote_builtin_class(root):
    remote_type_error = root.make("TypeError")
    assert isinstance(TypeError(), remote_type_error)
    assert not isinstance(ValueError(), remote_type_error)


def test_a_proxy_that_is_no_class_is_no_second_argument(root):
    with pytest.raises(TypeError):
        isinstance(1, root.make("plain"))


def test_abstract_classes(root):
    assert isinstance(root.make("list"), collections.abc.Sequence)
    assert isinstance(root.make("dict"), collections.abc.Mapping)
    assert isinstance(root.make("iterator"), collections.abc.Iterator)
    assert isinstance(root.make("vector"), collections.abc.Hashable)
    assert not isinstance(root.make("plain"), collections.abc.Iterable)


def test_on_the_other_side(root):
    class Mine(dict):
        pass

    assert root.isinstance([1], ("list", "dict")) == (True, False)
    assert root.isinstance({}, ("list", "dict", "object")) == (False, True, True)
    assert root.type_name([1]) == "builtins.list"
    assert root.type_name(Mine()).endswith("Mine")


def test_by_value_and_by_reference(root):
    for value in (None, True, 1, 1.5, 2j, "s", b"b", (1, (2,)), frozenset([1]), slice(1, 2), ..., NotImplemented):
        assert not isinstance(root.echo(value), BaseNetref)
        assert root.type_name(value) == type(value).__name__
    for value in ([], {}, set(), bytearray(), object(), lambda: 0, (1, [])):
        assert root.echo(value) is value or root.echo(value) == value
    assert root.type_name(peer_services.Colour.RED).endswith("Colour")


def test_subclasses_of_plain_types_are_references(root):
    colour, point = root.make("colour"), root.make("point")
    assert isinstance(colour, BaseNetref)
    assert isinstance(point, BaseNetref)
    assert colour == 1
    assert int(colour) == 1
    assert (point[0], point[1], len(point)) == (1, 2, 2)
    assert isinstance(colour, enum.IntEnum)
    assert isinstance(point, tuple)


@pytest.mark.differs("ends the connection")
def test_object_whose_class_attribute_lies(serve, connect):
    class Liar:
        @property
        def __class__(self):
            return list

    class Raiser:
        @property
        def __class__(self):
            raise RuntimeError("no class today")

    class Odd(netref.Service):
        def exposed_liar(self):
            return Liar()

        def exposed_raiser(self):
            return Raiser()

        def exposed_alive(self):
            return True

    root = connect(serve(Odd)).root
    assert isinstance(root.liar(), list)
    try:
        root.raiser()
    except RuntimeError as error:
        assert "no class today" in str(error)
    assert root.alive()


def test_local_classes_with_the_same_name_are_told_apart(root):
    def make(value):
        class Same:
            def exposed_get(self):
                return value

        return Same()

    assert root.call(lambda a, b: (a.exposed_get(), b.exposed_get()), make(1), make(2)) == (1, 2)


def test_modules(root):
    assert root.type_name(enum).endswith("enum")


def test_id_packs():
    assert get_id_pack([])[0] == "builtins.list"
    assert get_id_pack(list)[0] == "builtins.list"
    assert get_id_pack(list)[2] == 0
    assert get_id_pack(enum)[0] == "enum"


@pytest.mark.differs("fails in another way")
def test_subclassing_a_remote_class_is_refused(root):
    with pytest.raises(TypeError):

        class Local(root.make("Plain")):
            pass

    assert root.echo(1) == 1
