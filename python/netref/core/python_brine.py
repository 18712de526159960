"""Brine in plain Python, which programs can extend. Where :mod:`netref.utils.zerodeploy` deploys to, there is no other."""

from io import BytesIO
from struct import Struct

TAG_NONE = b"\x00"
TAG_EMPTY_STR = b"\x01"
TAG_EMPTY_TUPLE = b"\x02"
TAG_TRUE = b"\x03"
TAG_FALSE = b"\x04"
TAG_NOT_IMPLEMENTED = b"\x05"
TAG_ELLIPSIS = b"\x06"
TAG_UNICODE = b"\x08"
TAG_STR1 = b"\x0a"
TAG_STR2 = b"\x0b"
TAG_STR3 = b"\x0c"
TAG_STR4 = b"\x0d"
TAG_STR_L1 = b"\x0e"
TAG_STR_L4 = b"\x0f"
TAG_TUP1 = b"\x10"
TAG_TUP2 = b"\x11"
TAG_TUP3 = b"\x12"
TAG_TUP4 = b"\x13"
TAG_TUP_L1 = b"\x14"
TAG_TUP_L4 = b"\x15"
TAG_INT_L1 = b"\x16"
TAG_INT_L4 = b"\x17"
TAG_FLOAT = b"\x18"
TAG_SLICE = b"\x19"
TAG_FSET = b"\x1a"
TAG_COMPLEX = b"\x1b"

# Small ints are one byte.
IMM_INTS = {number: bytes([number + 0x50]) for number in range(-0x30, 0xA0)}
IMM_INTS_LOADER = {encoded: number for number, encoded in IMM_INTS.items()}

F8 = Struct("!d")
C16 = Struct("!dd")
I1 = Struct("!B")
I4 = Struct("!L")
I8I8 = Struct("!QQ")

#: Classes whose instances are plain data whatever they hold.
simple_types = frozenset([type(None), int, bool, float, bytes, str, complex, type(NotImplemented), type(Ellipsis)])

#: By class, functions that put the bytes of an instance into a stream, which has ``append``.
_dump_registry: dict = {}

#: By tag, functions that take the rest of a value out of a stream, which has ``read``.
_load_registry: dict = {}


def register(coll, key):
    """A decorator that enters a function in one of the two registries, under a class or a tag."""

    def enter(func):
        coll[key] = func
        return func

    return enter


def dump(obj):
    """The bytes of a plain value.

    :raises TypeError: if it is not plain immutable data through and through
    """
    stream = []
    _dump(obj, stream)
    return b"".join(stream)


def load(data):
    """The value of bytes that :func:`dump` made.

    :raises ValueError: if the bytes are not a value
    """
    return _load(BytesIO(data))


def dumpable(obj, simple_types=simple_types):
    """Whether :func:`dump` would take the value."""
    if type(obj) in simple_types:
        return True
    if type(obj) in (tuple, frozenset):
        return all(dumpable(item, simple_types) for item in obj)
    return type(obj) is slice and dumpable((obj.start, obj.stop, obj.step), simple_types)


def _dump(obj, stream):
    dumper = _dump_registry.get(type(obj))
    if dumper is None:
        raise TypeError(f"cannot dump {type(obj)!r}: it is not plain immutable data")
    dumper(obj, stream)


def _load(stream):
    tag = stream.read(1)
    if tag in IMM_INTS_LOADER:
        return IMM_INTS_LOADER[tag]
    loader = _load_registry.get(tag)
    if loader is None:
        raise ValueError(f"{tag!r} begins no value" if tag else "the bytes end in the middle of a value")
    return loader(stream)


# ---- in pairs: how a class is dumped, and how that is loaded


def _enter_constant(value, tag):
    """A value that is all in its tag."""
    _dump_registry.setdefault(type(value), lambda obj, stream: stream.append(tag))
    _load_registry[tag] = lambda stream: value


def _enter_counted(load, tags, short_tag, long_tag):
    """A value whose tag says how long it is, for the first lengths, or else that a count of one byte or of four follows.
    ``load`` gets the stream and the length."""
    for count, tag in enumerate(tags):
        _load_registry[tag] = lambda stream, count=count: load(stream, count)
    _load_registry[short_tag] = lambda stream: load(stream, _load_count(stream, I1))
    _load_registry[long_tag] = lambda stream: load(stream, _load_count(stream, I4))


for _value, _tag in [(None, TAG_NONE), (NotImplemented, TAG_NOT_IMPLEMENTED), (Ellipsis, TAG_ELLIPSIS)]:
    _enter_constant(_value, _tag)
_load_registry[TAG_TRUE] = lambda stream: True
_load_registry[TAG_FALSE] = lambda stream: False


@register(_dump_registry, bool)
def _dump_bool(obj, stream):
    stream.append(TAG_TRUE if obj else TAG_FALSE)


@register(_dump_registry, int)
def _dump_int(obj, stream):
    if obj in IMM_INTS:
        stream.append(IMM_INTS[obj])
        return
    digits = str(obj).encode("ascii")
    stream.append(_counted(len(digits), (), TAG_INT_L1, TAG_INT_L4) + digits)


_enter_counted(lambda stream, count: int(_read(stream, count)), (), TAG_INT_L1, TAG_INT_L4)


@register(_dump_registry, float)
def _dump_float(obj, stream):
    stream.append(TAG_FLOAT + F8.pack(obj))


@register(_load_registry, TAG_FLOAT)
def _load_float(stream):
    return F8.unpack(_read(stream, F8.size))[0]


@register(_dump_registry, complex)
def _dump_complex(obj, stream):
    stream.append(TAG_COMPLEX + C16.pack(obj.real, obj.imag))


@register(_load_registry, TAG_COMPLEX)
def _load_complex(stream):
    return complex(*C16.unpack(_read(stream, C16.size)))


_STR_TAGS = (TAG_EMPTY_STR, TAG_STR1, TAG_STR2, TAG_STR3, TAG_STR4)


@register(_dump_registry, bytes)
def _dump_bytes(obj, stream):
    stream.append(_counted(len(obj), _STR_TAGS, TAG_STR_L1, TAG_STR_L4) + obj)


_enter_counted(lambda stream, count: _read(stream, count), _STR_TAGS, TAG_STR_L1, TAG_STR_L4)


@register(_dump_registry, str)
def _dump_str(obj, stream):
    stream.append(TAG_UNICODE)
    _dump_bytes(obj.encode("utf8"), stream)


@register(_load_registry, TAG_UNICODE)
def _load_str(stream):
    return _load(stream).decode("utf8")


_TUP_TAGS = (TAG_EMPTY_TUPLE, TAG_TUP1, TAG_TUP2, TAG_TUP3, TAG_TUP4)


@register(_dump_registry, tuple)
def _dump_tuple(obj, stream):
    stream.append(_counted(len(obj), _TUP_TAGS, TAG_TUP_L1, TAG_TUP_L4))
    for item in obj:
        _dump(item, stream)


_enter_counted(lambda stream, count: tuple(_load(stream) for _ in range(count)), _TUP_TAGS, TAG_TUP_L1, TAG_TUP_L4)


@register(_dump_registry, slice)
def _dump_slice(obj, stream):
    stream.append(TAG_SLICE)
    _dump((obj.start, obj.stop, obj.step), stream)


@register(_load_registry, TAG_SLICE)
def _load_slice(stream):
    return slice(*_load(stream))


@register(_dump_registry, frozenset)
def _dump_frozenset(obj, stream):
    stream.append(TAG_FSET)
    _dump(tuple(obj), stream)


@register(_load_registry, TAG_FSET)
def _load_frozenset(stream):
    return frozenset(_load(stream))


# ---- bytes and counts


def _counted(count, tags, short_tag, long_tag):
    if count < len(tags):
        return tags[count]
    return short_tag + I1.pack(count) if count < 256 else long_tag + I4.pack(count)


def _load_count(stream, size):
    return size.unpack(_read(stream, size.size))[0]


def _read(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise ValueError("the bytes end in the middle of a value")
    return data
