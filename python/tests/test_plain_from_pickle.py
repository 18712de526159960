"""Plain data out of pickles, without unpickling: what `netref.copy` takes of a stock peer that makes them."""

import collections
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netref import _netref
from peer_services import Colour, Point

PLAIN_TYPES = {bool, int, float, str, bytes, tuple, frozenset, list, dict, set}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=1), max_leaves=5
)
trees = st.recursive(
    keys | st.sets(keys, max_size=1),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner),
    max_leaves=30,
)


def plain_from_pickle(data, most=1 << 20, depth=128):
    return _netref.plain_from_pickle(data, most, depth, 64)


PLAIN = [
    None,
    [True, False, 0, 255, 256, 65536, -1, -129, 2**31, -(2**31), 2**63, -(2**63), 2**64, 10**100, -(10**700)],
    [0.5, float("inf"), "", "text", "\u20ac\U0001f600" * 100, "x" * 70_000, b"", b"bytes", bytes(70_000)],
    [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), tuple(range(2000)), frozenset(), frozenset(range(2000))],
    [[], {}, set(), list(range(2500)), dict.fromkeys(range(2500)), set(range(2500)), {(1, "a"): {2: [3]}}, {b"k": 0.0}],
    ["again", "again", ("pair", 1), ("pair", 1)] * 3 + [("again", ("again",))] * 3,
]


@pytest.mark.parametrize("value", PLAIN)
def test_plain_data_is_made_of_a_pickle(value):
    made = plain_from_pickle(pickle.dumps(value, 4), 1 << 24)
    assert (made, repr(made)) == (value, repr(value))


@given(value=trees, data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_plain_data_is_made_and_what_is_broken_is_none_or_other_plain_data(value, data):
    pickled = pickle.dumps(value, 4)
    assert repr(plain_from_pickle(pickled)) == repr(value)
    at = data.draw(st.integers(2, len(pickled) - 1))
    broken = pickled[:at] + data.draw(st.binary(max_size=3)) + pickled[at + data.draw(st.integers(0, 3)) :]
    try:
        made = plain_from_pickle(broken)
    except (ValueError, RecursionError) as error:
        assert "limit" in str(error)
    else:
        assert made is None or type(made) in PLAIN_TYPES


NO_PLAIN = [open, print, object(), 1j, bytearray(b"x"), collections.OrderedDict(), Colour.RED, Point(1, 2), [[1]] * 2]


@pytest.mark.parametrize("value", NO_PLAIN)
def test_what_is_no_plain_data_is_not_made(value):
    assert plain_from_pickle(pickle.dumps([value], 4)) is None
    assert plain_from_pickle(pickle.dumps({"key": [value]}, 4)) is None


def test_nothing_is_called_for_a_pickle():
    (cycle := []).append(cycle)
    older = [pickle.dumps([1], protocol) for protocol in (0, 1, 2, 3, 5)]
    hostile = [
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x04]K\x01",
        b"\x80\x04.",
        b"\x80\x04(.",
        b"\x80\x04]]a.K",
        b"\x80\x04K\x01K\x02.",
        b"\x80\x04](}K\x01u.",
        b"\x80\x04]K\x01(a.",
        b"\x80\x04}]K\x01s.",
        b"\x80\x04h\x00.",
        b"\x80\x04j\xff\xff\xff\xff.",
        b"\x80\x04K\x01r\xff\xff\xff\x7f.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x04\x8c\x03\xed\xa0\x80.",
        b"\x80\x04\x8b\xff\xff\xff\xff.",
        b"",
    ]
    for data in [pickle.dumps(cycle, 4), *older, *hostile]:
        made = plain_from_pickle(data)
        assert made is None or made == [1], data


def test_what_a_pickle_makes_has_limits():
    nested = [1]
    for _ in range(100):
        nested = [nested]
    assert plain_from_pickle(pickle.dumps(nested, 4), depth=101) == nested
    with pytest.raises(RecursionError, match="more than 100 levels"):
        plain_from_pickle(pickle.dumps(nested, 4), depth=100)
    with pytest.raises(ValueError, match="limit max_decoded"):
        plain_from_pickle(b"\x80\x04" + b"]" * 100_000)
    with pytest.raises(ValueError, match="limit max_decoded"):
        plain_from_pickle(b"\x80\x04\x8c\x05again\x94" + b"h\x00" * 100_000)
    alike = [i * (2**61 - 1) for i in range(65)]
    for value in (dict.fromkeys(alike), set(alike), frozenset(alike)):
        with pytest.raises(ValueError, match="limit max_set_collisions"):
            plain_from_pickle(pickle.dumps(value, 4))
    one_by_one = b"".join(pickle.dumps(key, 4)[2:-1].removeprefix(b"\x95\x0b" + bytes(7)) + b"Ns" for key in alike)
    with pytest.raises(ValueError, match="limit max_set_collisions"):
        plain_from_pickle(b"\x80\x04}" + one_by_one + b".")
