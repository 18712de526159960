"""By-value data arrives with the same type and value, at every boundary where the encoding changes its form."""

import random

import pytest

from session import encode

INTS = [0, 1, -1, -0x30, -0x31, 0x9F, 0xA0, 2**31, -(2**31) - 1, 2**63, 2**64, -(2**64), 10**254, 10**255, -(10**300)]
FLOATS = [0.0, -0.0, 1.5, -2.25e-308, 1.7976931348623157e308, 5e-324, float("inf"), float("-inf"), float("nan")]
STRINGS = ["", "a", "abcd", "abcde", "ascii", "naïve", "日本語", "🐍" * 70, "\0", "line\r\nend", "x" * 255, "x" * 256]
BYTES = [bytes(range(length)) for length in range(6)] + [b"\0", b"\xff" * 255, b"\xff" * 256]
TUPLES = [(0,) * length for length in range(6)] + [(None,) * 255, (None,) * 256, ((), ((),)), (1, ("two", (3.0, (b"4",))))]
OTHERS = [
    None,
    True,
    False,
    ...,
    NotImplemented,
    complex(1.5, -2.5),
    complex(float("-inf"), -0.0),
    slice(None),
    slice(1, 10, 2),
    slice("a", (1, 2), None),
    frozenset(),
    frozenset({1, "two", (3.0, None), frozenset({b"4"})}),
]


def name_of(value):
    text = ascii(value)
    return f"{type(value).__name__}:{text if len(text) <= 30 else f'{text[:20]}.. ({len(text)})'}"


@pytest.mark.parametrize("value", INTS + FLOATS + STRINGS + BYTES + TUPLES + OTHERS, ids=name_of)
def test_value_survives_the_round_trip(link, value):
    assert link.call("kind_of", value) == type(value).__name__
    assert canonical(link.call("echo", value)) == canonical(value)


@pytest.mark.parametrize("length", [2999, 3000, 3001, 63_990, 64_000, 64_001, 1 << 20], ids=str)
@pytest.mark.parametrize("compressible", [True, False], ids=["compressible", "random"])
def test_large_bytes(link, length, compressible):
    """Around the compression threshold (3000) and the chunk size (64000) of stock, and far beyond both."""
    data = b"a" * length if compressible else random.Random(length).randbytes(length)
    assert link.call("size", data) == length
    assert link.call("echo", data) == data


def test_large_string(link):
    text = "".join(chr(0x20 + number % 0x2000) for number in range(1 << 20))
    assert link.call("size", text) == 1 << 20
    assert link.call("echo", text) == text


def test_deeply_nested_tuple(link):
    value = ()
    for _ in range(40):
        value = (value,)
    assert link.call("echo", value) == value


def canonical(value):
    """A form that tells 1 from True and 0.0 from -0.0, in which nan equals itself and frozensets have an order."""

    def sort(data):
        if not isinstance(data.get("v"), list) or data["t"] == "complex":
            return data
        items = [sort(item) for item in data["v"]]
        return {**data, "v": sorted(items, key=repr) if data["t"] == "frozenset" else items}

    return sort(encode(value))
