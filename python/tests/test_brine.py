"""Plain data as bytes: the same bytes as stock's, in both directions."""

import collections
import enum
import math
import pickle
import struct
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netref.core import brine
from peer_process import HERE, STOCK6, Program, interpreter
from peer_services import Colour, Point

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**600), max_value=10**600)
    | st.floats()
    | st.complex_numbers(allow_nan=True)
    | st.text()
    | st.binary(max_size=600)
    | st.sampled_from([NotImplemented, Ellipsis, -0x30, -0x31, 0x9F, 0xA0, 2**63, -(2**63) - 1, "", b"", ()])
)
# CPython 3.11 cannot hash slices, so they stay out of frozensets.
hashable = st.recursive(scalars, lambda inner: st.lists(inner, max_size=6).map(tuple), max_leaves=10)
plain = st.recursive(
    scalars | st.frozensets(hashable, max_size=6),
    lambda inner: st.lists(inner, max_size=300).map(tuple) | st.builds(slice, inner, inner, inner),
    max_leaves=30,
)
examples = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def same(left, right):
    """Equality that tells 1 from 1.0 and from True, and knows NaN and slices."""
    if type(left) is not type(right):
        return False
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, slice):
        return same((left.start, left.stop, left.step), (right.start, right.stop, right.step))
    if isinstance(left, float):
        return struct.pack("!d", left) == struct.pack("!d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, complex):
        return same((left.real, left.imag), (right.real, right.imag))
    if isinstance(left, frozenset):
        return sorted(map(repr, left)) == sorted(map(repr, right))
    return left == right


@pytest.fixture(scope="module")
def stock():
    """Stock's brine, in a process of its own: ``stock("dump", value)``."""
    program = Program(interpreter("rpyc"), HERE / "brine_oracle.py")

    def ask(operation, value):
        program.write_line(f"{operation} {pickle.dumps(value).hex()}")
        return pickle.loads(bytes.fromhex(program.read_line()))

    yield ask
    program.stop()


@given(value=plain)
@examples
def test_what_is_dumped_can_be_loaded(value):
    assert brine.dumpable(value)
    assert same(brine.load(brine.dump(value)), value)


@STOCK6
@given(value=plain)
@examples
def test_stock_loads_what_was_dumped_here(stock, value):
    succeeded, loaded = stock("load", brine.dump(value))
    assert succeeded
    assert same(loaded, value)


@STOCK6
@given(value=plain)
@examples
def test_what_stock_dumps_can_be_loaded_here(stock, value):
    succeeded, data = stock("dump", value)
    assert succeeded
    assert same(brine.load(data), value)


@STOCK6
@given(value=hashable)
@examples
def test_the_bytes_are_those_of_stock(stock, value):
    """Frozensets are left out: the order of their items is the business of each process."""
    assert stock("dump", value) == (True, brine.dump(value))


@given(data=st.binary(max_size=60))
@examples
def test_bytes_of_any_kind_are_a_value_or_an_error(data):
    try:
        value = brine.load(data)
    except (ValueError, RecursionError, MemoryError, OverflowError):
        return
    assert brine.dumpable(value)


@pytest.mark.parametrize("length", [0, 1, 4, 5, 255, 256, 70_000])
@pytest.mark.parametrize("make", [bytes, lambda n: "x" * n, lambda n: (None,) * n], ids=["bytes", "str", "tuple"])
def test_lengths_on_both_sides_of_each_boundary(make, length):
    value = make(length)
    assert brine.load(brine.dump(value)) == value


@pytest.mark.parametrize("digits", [4000, 4300, 4301, 20_000])
def test_huge_ints(digits):
    """Beyond CPython's limit for text, which a peer of stock's would die of, there is an error instead of a message."""
    value = 10**digits - 1
    limit = sys.get_int_max_str_digits()
    if digits <= limit:
        assert brine.load(brine.dump(value)) == value
        assert brine.load(brine.dump(-value)) == -value
    else:
        assert not brine.dumpable(value)
        with pytest.raises((ValueError, OverflowError), match="digit"):
            brine.dump(value)


@pytest.mark.parametrize("text", ["\ud800", "ab\udcff", "\udfff" * 3])
def test_surrogates_are_refused(text):
    assert not brine.dumpable(text)
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        brine.dump(text)


def nested(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


def test_nesting_has_a_limit_that_is_named():
    assert brine.load(brine.dump(nested(50))) == nested(50)
    assert not brine.dumpable(nested(100_000))
    with pytest.raises(RecursionError, match=r"deep|depth|nest"):
        brine.dump(nested(100_000))
    with pytest.raises(RecursionError, match=r"deep|depth|nest"):
        brine.load(b"\x10" * 100_000 + b"\x00")


class Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [Point(1, 2), Colour.RED, Text("x"), collections.OrderedDict(), [1], {}, set(), bytearray(b"x"), object(), int, len,
     enum.Enum("E", "A").A, (1, [2]), (Point(1, 2),), frozenset([Colour.RED]), slice([1])],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_plain_data(value):
    assert not brine.dumpable(value)
    with pytest.raises(TypeError, match="cannot dump"):
        brine.dump(value)


def test_bool_stays_bool():
    assert brine.load(brine.dump((True, 1, False, 0))) == (True, 1, False, 0)
    assert [type(item) for item in brine.load(brine.dump((True, 1)))] == [bool, int]


@pytest.mark.parametrize("data", [b"", b"\x07", b"\xff", b"\x0f\xff\xff\xff\xff", b"\x14\x05\x00", b"\x08\x0a\xff", b"\x16\x01x"])
def test_broken_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"\w"):
        brine.load(data)


@pytest.mark.parametrize("kind", [Point(1, 2), Colour.RED], ids=["namedtuple", "IntEnum"])
def test_subclasses_travel_by_reference(root, kind):
    """What a subclass adds lives where it was made."""
    assert root.echo(kind) is kind
    assert root.echo((1, kind))[1] is kind


def test_what_cannot_travel_fails_its_call_alone(root):
    for bad in ("ab\udcff", 1 << 20_000, nested(100_000)):
        with pytest.raises((ValueError, OverflowError, RecursionError)):
            root.echo(bad)
    assert root.echo(1) == 1
