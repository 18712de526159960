"""Copies by value: `netref.copy` and `netref.by_value`."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import subprocess
import sys
import types
import uuid
import zoneinfo

import pytest

import netref
from hostile import EXCEPTION, REPLY, Hostile, Refused, brine_tuple, by_value, hostile_server, message, of_peer
from netref.core import brine, consts, values
from peer_services import everyday_service

COPY = 0x6E74


@dataclasses.dataclass
class Point:
    x: int
    tags: list
    total: dataclasses.InitVar[int] = 0
    kind = "class variable"

    def __post_init__(self, total):
        raise AssertionError("a copy is made without running any code of the class")


@dataclasses.dataclass(frozen=True)
class Fixed:
    __slots__ = ("x",)
    x: int


class Colour(enum.Enum):
    RED = object()
    GREEN = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Pair = collections.namedtuple("Pair", "left right")


def point(x, tags):
    made = object.__new__(Point)
    made.x, made.tags = x, tags
    return made


UTC = datetime.timezone.utc
VALUES = [
    None, True, 1, -(10**30), 2.5, 3 + 4j, "é\U0001f600", b"bytes", ..., NotImplemented, (), (1, [2], ()),
    [], [[]], {}, {1: {2: 3}},
    {"a": 1, "b": [{"a": 2, "b": 3}]}, set(), {1, "x"}, frozenset([(1, 2)]), bytearray(b"\0x"), bytearray(), slice(1, (2,), None),
    range(1, 10, 3), collections.deque([1, [2]], 5), collections.deque(), collections.OrderedDict(b=1, a=[2]),
    datetime.date(2024, 2, 29), datetime.time(1, 2, 3, 4, fold=1), datetime.timedelta(-1, 2, 3),
    datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.datetime(2024, 2, 29, tzinfo=UTC),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=-3), "here")), UTC,
    decimal.Decimal("-1.50"), decimal.Decimal("NaN"), fractions.Fraction(-1, 3), uuid.UUID(int=7), pathlib.PurePosixPath("/a/b"),
    pathlib.PureWindowsPath("c:/a"), Colour.RED, Access.WRITE, Access.READ | Access.WRITE, Access(0), Pair(1, [2]),
]  # fmt: skip


class Keeper(netref.Service):
    """Gives out what the test keeps with it."""

    thing = None

    def exposed_kept(self):
        return self.thing

    @netref.by_value
    def exposed_by_value(self):
        """Its text."""
        return self.thing

    @netref.by_value
    async def exposed_later(self):
        return self.thing

    def exposed_type_name(self, value):
        return type(value).__name__

    def exposed_call(self, function):
        return function()


@pytest.fixture
def keeper():
    return Keeper()


@pytest.fixture
def root(keeper, serve, connect):
    root = connect(serve(keeper)).root
    root.type_name(0)  # by now each knows that the other is netref
    return root


def trips(root):
    return root.____conn__.stats()["round_trips"]


def same(one, other):
    assert type(one) is type(other)
    if type(one) in (list, tuple, collections.deque):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is dict:
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    return repr(one) == repr(other)  # NaN is not equal to itself


def test_everything_that_can_be_copied(root, keeper):
    keeper.thing = VALUES
    proxy = root.kept()
    before = trips(root)
    made = netref.copy(proxy)
    assert trips(root) == before + 1
    assert same(made, VALUES)


def test_what_changes_on_the_way(root, keeper):
    keeper.thing = [collections.defaultdict(list, {1: [2]}), pathlib.Path("/x")]
    default, path = netref.copy(root.kept())
    assert (type(default), default.default_factory, default) == (collections.defaultdict, None, {1: [2]})
    assert path == pathlib.PurePath("/x")
    zone = zoneinfo.ZoneInfo("UTC")
    keeper.thing = [datetime.datetime(2024, 1, 1, tzinfo=zone)]
    assert netref.copy(root.kept())[0].tzinfo is zone


def test_what_is_local_is_left_alone(root, keeper):
    here = [1]
    assert netref.copy(here) is here
    keeper.thing = [2]
    assert netref.copy((here, root.kept())) == (here, [2])


def test_records_whose_keys_differ(root, keeper):
    """Keys that many dictionaries share travel once; whatever the keys, the dictionaries are what they were."""
    odd = type("Text", (str,), {})("odd")
    keeper.thing = [{f"key{i % 100}": i, "same": [{"x": i}]} for i in range(300)]
    keeper.thing += [{"a": 1, "b": 2}, {"b": 1, "a": 2}, {"a": 1}, {1: 1, "a": 2}, {f"{i}": i for i in range(100)}, {}]
    assert [list(made.items()) for made in netref.copy(root.kept())] == [list(kept.items()) for kept in keeper.thing]
    keeper.thing = {odd: 1}
    with pytest.raises(TypeError, match=r"cannot copy a .*Text"):
        netref.copy(root.kept())


class Opaque:
    pass


@pytest.mark.parametrize(
    "thing, name",
    [(print, "builtin_function_or_method"), (Opaque(), "Opaque"), (Opaque, "type"), (iter([]), "list_iterator"), (sys, "module")],
)
def test_what_cannot_be_copied(root, keeper, thing, name):
    keeper.thing = [{"x": [thing]}]
    with pytest.raises(TypeError, match=f"cannot copy a .*{name}: it is no plain data"):
        netref.copy(root.kept())
    assert root.type_name(1) == "int"


def test_limits(keeper, serve, connect):
    conn = connect(serve(keeper, protocol_config={"max_copy": 1000, "max_depth": 20}))
    keeper.thing = cycle = []
    cycle.append({"x": cycle})
    with pytest.raises(ValueError, match=r"cannot copy a .*list.* that contains itself"):
        netref.copy(conn.root.kept())
    keeper.thing = [["x" * 100]] * 20
    with pytest.raises(ValueError, match=r"longer than 1000 bytes .limit max_copy"):
        netref.copy(conn.root.kept())
    for _ in range(30):
        keeper.thing = [keeper.thing]
    with pytest.raises(Exception, match=r"nested more than 20 levels deep .limit max_depth"):
        netref.copy(conn.root.kept())
    # Twice in one is no cycle.
    twice = [1]
    keeper.thing = [twice, twice]
    assert netref.copy(conn.root.kept()) == [[1], [1]]


def test_decoding_is_bounded(keeper, serve, connect):
    conn = connect(serve(keeper), config={"max_decoded": 100_000})
    keeper.thing = [{} for _ in range(10_000)]
    with pytest.raises(ValueError, match="limit max_decoded"):
        netref.copy(conn.root.kept())
    assert conn.root.type_name(1) == "int"


# ---- whose data it is


def test_a_dataclass_is_copied_by_its_fields(root, keeper):
    """With the default policy, no peer reads public attributes."""
    keeper.thing = [point(1, [2])]
    with pytest.raises(AttributeError, match=r"cannot access 'x' of Point.*allow_public_attrs"):
        netref.copy(root.kept())


def test_a_policy_that_gives_the_fields(keeper, serve, connect):
    conn = connect(serve(keeper, protocol_config={"allow_public_attrs": True}))
    keeper.thing = [point(1, [2]), Fixed(3)]
    made, fixed = netref.copy(conn.root.kept())
    assert (type(made), made.x, made.tags) == (Point, 1, [2])
    assert fixed == Fixed(3)


def test_a_policy_that_gives_no_items(keeper, serve, connect):
    conn = connect(serve(keeper, protocol_config={"allow_safe_attrs": False}))
    for keeper.thing in ([1], {"a": 1}, {1}, bytearray(b"x"), collections.deque([1])):
        with pytest.raises(AttributeError, match="cannot access '__iter__'"):
            netref.copy(conn.root.kept())
    keeper.thing = [datetime.date(2024, 1, 1)]
    with pytest.raises(AttributeError, match="cannot access"):
        netref.copy(conn.root.kept())


def test_an_object_decides_about_itself(root, keeper):
    class Guarded:
        def _rpyc_getattr(self, name):
            raise AttributeError("mine")

    guarded = dataclasses.make_dataclass("Guarded", ["x"], bases=(Guarded,))(5)
    keeper.thing = [guarded]
    with pytest.raises(AttributeError, match="mine"):
        netref.copy(root.kept())


# ---- by value


def test_by_value_methods(root, keeper):
    keeper.thing = [point(1, [2]), {"a": {3}}]
    before = trips(root)
    made, other = root.by_value()
    assert trips(root) == before + 1
    assert (made.x, made.tags, other) == (1, [2], {"a": {3}})
    assert root.by_value.__doc__ == "Its text."
    method = root.by_value
    assert method()[1] == method()[1] is not method()[1]
    keeper.thing = 5
    assert root.by_value() == 5
    keeper.thing = print
    with pytest.raises(TypeError, match="cannot copy"):
        root.by_value()


def test_by_value_methods_are_methods_here(keeper):
    keeper.thing = [1]
    assert keeper.exposed_by_value() is keeper.thing
    assert Keeper.exposed_by_value(keeper) is keeper.thing
    assert keeper.exposed_by_value.__name__ == "exposed_by_value"


def test_by_value_coroutines(root, keeper):
    keeper.thing = [1, {2}]
    assert root.later() == [1, {2}]
    assert type(root.later()) is list


def test_by_value_arguments_and_results(root):
    assert root.type_name([1]) == "builtins.list"
    assert root.type_name(netref.by_value([1])) == "list"
    assert root.call(lambda: netref.by_value([{"a": 1}])) is not None
    with pytest.raises(TypeError, match="cannot copy"):
        root.type_name(netref.by_value([print]))
    with pytest.raises(TypeError, match="cannot copy"):
        root.type_name((1, netref.by_value(Opaque())))
    assert root.type_name(1) == "int"


def test_types_that_always_cross_by_value(keeper, serve, connect):
    conn = connect(serve(keeper, protocol_config={"by_value": {list, datetime.date}}))
    conn.root.type_name(0)
    keeper.thing = [{"a": 1}]
    assert type(conn.root.kept()) is list
    keeper.thing = datetime.date(2024, 1, 1)
    assert type(conn.root.kept()) is datetime.date
    keeper.thing = {1: 2}
    assert isinstance(conn.root.kept(), netref.BaseNetref)


# ---- from a peer that is not netref, and to one


@pytest.mark.parametrize("name", ["list", "dict", "set", "bytearray", "nested", "named", "times"])
def test_copies_in_each_place(everyday, connect, name):
    """Of a netref peer and of a stock one, with its default policy."""
    conn = connect(everyday)
    expected = everyday_service(netref)().exposed_make(name)
    made = netref.copy(conn.root.make(name))
    assert same(made, expected)


def test_what_a_stock_peer_cannot_give(peer_processes, connect):
    conn = connect(peer_processes("rpyc"))
    with pytest.raises(TypeError, match=r"cannot copy a .*Plain of a peer that is not netref"):
        netref.copy(conn.root.make("plain"))
    conn.root.keep(cycle := [conn.root.make("list")])
    kept = conn.root.each(cycle)  # a list of the peer's, with a list of its own in it
    assert netref.copy(kept) == [[1, 2, 3]]
    with pytest.raises(TypeError, match="of this side's own"):
        netref.copy(conn.root.each([[1]]))
    kept[0] = kept
    with pytest.raises(ValueError, match="contains itself"):
        netref.copy(kept)


def test_a_dictionary_of_a_stock_peer_takes_few_round_trips(peer_processes, connect):
    conn = connect(peer_processes("rpyc"))
    proxy = conn.root.make("dict")
    requests = requests_of(conn)
    assert netref.copy(proxy) == {"a": 1, "b": 2}
    assert requests == [consts.HANDLE_PICKLE, consts.HANDLE_CALLATTR, consts.HANDLE_BUFFITER]  # and one for all the values
    assert netref.copy(proxy) == {"a": 1, "b": 2}
    assert requests[3:] == requests[1:3]  # it has said that it makes no pickles


def requests_of(conn):
    """The numbers of the requests that are waited for from now on."""
    numbers = []
    real = conn.sync_request

    def noted(*args):
        numbers.append(args[0])
        return real(*args)

    conn.sync_request = noted
    return numbers


def test_a_stock_peer_that_makes_pickles_takes_one_round_trip(peer_processes, connect):
    """Not for each container and each dictionary, of which there were thousands. What is not plain is read item by item."""
    conn = connect(peer_processes("rpyc", "classic"))
    proxy = conn.root.eval("[{'id': i, 'of': [i, {i}]} for i in range(3000)]")
    requests = requests_of(conn)
    made = netref.copy(proxy)
    assert made == [{"id": i, "of": [i, {i}]} for i in range(3000)]
    assert requests == [consts.HANDLE_PICKLE]
    conn.root.execute("import datetime, fractions; shared = [1]")
    text = "[datetime.date(2024, 1, 1), fractions.Fraction(1, 3), bytearray(b'x'), shared, shared]"
    made = netref.copy(conn.root.eval(text))
    assert made == [datetime.date(2024, 1, 1), fractions.Fraction(1, 3), bytearray(b"x"), [1], [1]]
    assert made[3] is not made[4]
    with pytest.raises(TypeError, match="cannot copy a"):
        netref.copy(conn.root.eval("[open]"))


def test_a_stock_peer_gets_references(peer_processes, connect):
    conn = connect(peer_processes("rpyc"))
    assert conn.root.type_name(netref.by_value([1])) == "builtins.list"
    assert conn.root.echo(netref.by_value(5)) == 5
    assert conn.root.each(netref.by_value((1, 2)))[1] == 2


STOCK_LISTS = {
    "items without end": (tuple(range(1000)), "limit max_decoded"),
    "no items": ("x" * 1000, "no tuple"),
    "a number without end": ("1e999999999", "fraction is"),
}


@pytest.mark.parametrize("kind", STOCK_LISTS)
def test_copies_of_a_hostile_stock_peer(kind):
    """They end, whatever it says that its lists have in them."""

    answer, error = STOCK_LISTS[kind]

    def behave(peer):
        while True:
            _, seq, body = peer.receive()
            if body[0] == consts.HANDLE_GETROOT:
                name = "fractions.Fraction" if "number" in kind else "builtins.list"
                peer.send(message(REPLY, seq, of_peer((name, 1, 1))))
            elif body[0] in (consts.HANDLE_BUFFITER, consts.HANDLE_STR):
                peer.send(message(REPLY, seq, by_value(answer)))
            elif body[0] == consts.HANDLE_CALLATTR:
                peer.send(message(REPLY, seq, of_peer(("builtins.list_iterator", 1, 2))))
            elif body[0] == consts.HANDLE_INSPECT:
                peer.send(message(REPLY, seq, by_value(())))
            else:
                peer.send(message(EXCEPTION, seq, brine.dump((("builtins", "KeyError"), (), (), ""))))

    config = {"max_decoded": 1 << 20, "close_timeout": 0}
    with (
        hostile_server(behave) as port,
        netref.connect("127.0.0.1", port, config=config) as conn,
        pytest.raises(ValueError, match=error),
    ):
        netref.copy(conn.root)


# ---- numpy


def test_arrays(root, keeper):
    numpy = pytest.importorskip("numpy")
    keeper.thing = arrays = [
        numpy.arange(12, dtype="<f8").reshape(3, 4),
        numpy.arange(12, dtype=">i2").reshape(3, 4).T,
        numpy.arange(12)[::3],
        numpy.array(5),
        numpy.zeros((0, 3)),
        numpy.array(["a", "bé"]),
        numpy.array([b"x"]),
        numpy.array(["2024-01-01"], dtype="datetime64[D]"),
        numpy.float32(1.5),
        numpy.datetime64("2024-01-01"),
        numpy.array([True]),
        numpy.array([1 + 2j]),
    ]
    for made, array in zip(netref.copy(root.kept()), arrays, strict=True):
        assert (type(made), made.dtype, made.shape) == (type(array), array.dtype, array.shape)
        assert (made == array).all()
        assert not made.ndim or made.flags.writeable
    keeper.thing = [numpy.array([object()])]
    with pytest.raises(TypeError, match="cannot copy an array of object"):
        netref.copy(root.kept())
    assert root.type_name(netref.by_value(arrays[0])) == "ndarray"


def test_numpy_is_never_imported():
    code = (
        "import sys, netref; from netref.core import values\n"
        "assert 'numpy' not in sys.modules\n"
        "try: values._put_together('array', '<i4', (1,), 'C', bytearray(4))\n"
        "except ValueError as error: assert 'import numpy here' in str(error)\n"
        "else: raise AssertionError\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- a peer that means harm


def named(name, *parts):
    return brine.dump((9, name, *parts))


def empty_list():
    return brine_tuple(brine.dump(1))


@pytest.fixture
def hostile(serve):
    with Hostile(serve(Keeper).port) as peer:
        yield peer


def send_copy(peer, tree):
    """The type of what a server makes of a copy."""
    box = brine_tuple(brine.dump(5), tree)
    return peer.method(peer.root(), "type_name", box)


def test_hand_made_copies_are_taken(hostile):
    assert send_copy(hostile, empty_list()) == "list"
    assert send_copy(hostile, named("date", 2024, 1, 1)) == "date"


MALFORMED = [
    (),
    (99,),
    ("x",),
    (-1,),
    (2, 1),
    (5, "no bytes"),
    (5,),
    (6, 1),
    (7,),
    (7, ("a",)),
    (7, (1,), 1),
    (7, ("a",), 1, 2),
    (8,),
    (8, 0),
    (8, 0, 1),
    (8, -1, 1),
    (8, 10**30),
    (9,),
    (9, 5),
    (9, "no such kind"),
    (9, ("date",)),
    frozenset([1]),
    slice(1),
    (9, "date", 1),
    (9, "date", "x", 1, 1),
    (9, "date", 0, 0, 0),
    (9, "deque", (9, "range", 0, 10**12, 1), None),
    (9, "fraction", "1e999999999", 1),
    (9, "fraction", 1, 0),
    (9, "ordereddict", (1,)),
    (9, "array", "|O8", (0, 1), "C", (5, b"")),
    (9, "array", "<i4", (0, 10**9), "C", (5, b"")),
    (9, "array", "<i4", (0, -1, -1), "C", (5, b"xxxx")),
    (9, "array", "<i4,<i4", (0,), "C", (5, b"")),
    (9, "timezone", 1, "x"),
    (9, "time", 1, 1, 1, 1, 1, "../../etc/passwd"),
    (9, "uuid", b"short"),
    (9, "windows path", 5),
    (3, (1,)),
    (2, (1,), 1),
]


@pytest.mark.parametrize("tree", MALFORMED, ids=repr)
def test_malformed_copies(hostile, tree):
    with pytest.raises(Refused) as refusal:
        send_copy(hostile, brine.dump(tree))
    assert refusal.value.name != "PanicException"
    hostile.ping()


def test_shapes_that_take_minutes_to_multiply(hostile):
    """Nothing else of the process would run meanwhile."""
    pytest.importorskip("numpy")
    with pytest.raises(Refused, match="shape"):
        send_copy(hostile, brine.dump((9, "array", "<i4", (0, *[10**4000] * 3000), "C", (5, b""))))


def test_nothing_is_imported_or_run(hostile, monkeypatch):
    ran = []

    class Trap:
        def __init__(self, *args):
            ran.append(args)

    @dataclasses.dataclass
    class Ends:
        x: int

        def __del__(self):
            ran.append("del")

    @dataclasses.dataclass
    class Own:
        x: int

        def __new__(cls, *args):
            ran.append("new")

    @dataclasses.dataclass
    class Checked:
        x: int

    Checked.x = property(lambda self: 1, lambda self, value: ran.append("set"))
    module = types.ModuleType("trapped")
    module.__getattr__ = ran.append
    for cls in (Trap, Ends, Own, Checked):
        cls.__module__, cls.__qualname__ = "trapped", cls.__name__
        setattr(module, cls.__name__, cls)
    module.Alias = Colour
    monkeypatch.setitem(sys.modules, "trapped", module)
    sys.modules.pop("antigravity", None)
    for kind, where, name, *rest in [
        ("dataclass", "trapped", "Trap", (0, "x"), 1),
        ("dataclass", "trapped", "Ends", (0, "x"), 1),
        ("dataclass", "trapped", "Own", (0, "x"), 1),
        ("dataclass", "trapped", "Checked", (0, "x"), 1),
        ("dataclass", "trapped", "Missing", (0, "x"), 1),
        ("dataclass", "antigravity", "X", (0, "x"), 1),
        ("dataclass", "subprocess", "Popen", (0, "args"), "true"),
        ("dataclass", __name__, "Point", (0, "x"), 1),
        ("dataclass", __name__, "Point.__init__", (0, "x"), 1),
        ("namedtuple", "builtins", "tuple", (0,)),
        ("namedtuple", __name__, "Pair", (0, "left"), 1),
        ("enum", "trapped", "Alias", "RED"),
        ("enum", "builtins", "int", 5),
        ("enum", __name__, "Colour", "mro"),
        ("enum", __name__, "Colour", 2),
        ("enum", __name__, "Access", 4),
        ("enum", __name__, "Access", -1),
    ]:
        with pytest.raises(Refused, match="the peer's copy has an instance of"):
            send_copy(hostile, named(kind, where, name, *rest))
    assert ran == []
    assert "antigravity" not in sys.modules
    assert send_copy(hostile, named("enum", __name__, "Colour", "RED")) == "Colour"
    assert send_copy(hostile, named("dataclass", __name__, "Fixed", (0, "x"), 1)) == "Fixed"


def test_keys_of_the_same_hash(hostile):
    """Python's hashes of numbers are no secret: a dictionary of such keys would take time without end."""
    same_hash = [i * (2**61 - 1) for i in range(1, 200)]
    for tree in ((3, *same_hash), (4, *same_hash), (2, *[part for key in same_hash for part in (key, 0)])):
        with pytest.raises(Refused, match="max_set_collisions"):
            send_copy(hostile, brine.dump(tree))


def test_copies_inside_boxes_and_results(hostile):
    root = hostile.root()
    nested = brine_tuple(brine.dump(2), brine_tuple(brine_tuple(brine.dump(5), empty_list()), by_value(1)))
    assert hostile.method(root, "type_name", nested) == "tuple"
    with pytest.raises(Refused, match="COPY takes one object"):
        hostile.ask(COPY)


def test_what_a_peer_was_not_given_is_not_copied(hostile):
    with pytest.raises(Refused):
        hostile.ask(COPY, brine.dump((3, ("builtins.list", 1, 1))))


def test_deep_copies(hostile):
    tree = brine.dump((1,))
    for _ in range(600):
        tree = brine_tuple(brine.dump(1), tree)
    with pytest.raises(Refused, match="max_depth"):
        send_copy(hostile, tree)
    hostile.ping()


def test_every_kind_that_is_taken_apart_is_put_together():
    for value in VALUES:
        parts = values._take_apart(value, getattr)
        assert not parts or parts[0] in values._KINDS
