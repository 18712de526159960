"""Plain data as bytes, and back."""

import io
import struct

_ATOMS = {0: None, 1: b"", 2: (), 3: True, 4: False, 5: NotImplemented, 6: Ellipsis}
_ATOM_TAGS = {id(value): bytes([tag]) for tag, value in _ATOMS.items() if tag not in (1, 2)}
_SCALARS = frozenset([bool, int, float, complex, bytes, str, type(None), type(NotImplemented), type(Ellipsis)])


def dumpable(value):
    """Whether a value travels as such, rather than as a reference."""
    if type(value) in (tuple, frozenset):
        return all(map(dumpable, value))
    if type(value) is slice:
        return dumpable((value.start, value.stop, value.step))
    return type(value) in _SCALARS


def dump(value):
    """Plain data as bytes."""
    out = []
    _dump(value, out.append)
    return b"".join(out)


def _dump(value, put):
    kind = type(value)
    if id(value) in _ATOM_TAGS:
        put(_ATOM_TAGS[id(value)])
    elif kind is int:
        if -0x30 <= value < 0xA0:
            put(bytes([value + 0x50]))
        else:
            text = str(value).encode()
            put(_counted(0x16, len(text)) + text)
    elif kind is float:
        put(struct.pack("!Bd", 0x18, value))
    elif kind is complex:
        put(struct.pack("!Bdd", 0x1B, value.real, value.imag))
    elif kind is bytes:
        put((bytes([0x09 + len(value) if value else 0x01]) if len(value) <= 4 else _counted(0x0E, len(value))) + value)
    elif kind is str:
        put(b"\x08")
        _dump(value.encode(), put)
    elif kind is tuple:
        put(bytes([0x0F + len(value) if value else 0x02]) if len(value) <= 4 else _counted(0x14, len(value)))
        for item in value:
            _dump(item, put)
    elif kind is frozenset:
        put(b"\x1a")
        _dump(tuple(value), put)
    elif kind is slice:
        put(b"\x19")
        _dump((value.start, value.stop, value.step), put)
    else:
        raise TypeError(f"cannot dump {kind!r}")


def _counted(tag, count):
    return bytes([tag, count]) if count < 256 else struct.pack("!BL", tag + 1, count)


def load(data):
    """The plain data that bytes stand for."""
    return _load(io.BytesIO(data).read)


def _load(read):
    tag = read(1)[0]
    if 0x20 <= tag <= 0xEF:
        return tag - 0x50
    if tag in _ATOMS:
        return _ATOMS[tag]
    if tag in (0x0A, 0x0B, 0x0C, 0x0D):
        return read(tag - 0x09)
    if tag in (0x10, 0x11, 0x12, 0x13):
        return tuple(_load(read) for _ in range(tag - 0x0F))
    if tag in (0x0E, 0x14, 0x16, 0x0F, 0x15, 0x17):
        short = tag in (0x0E, 0x14, 0x16)
        count = read(1)[0] if short else struct.unpack("!L", read(4))[0]
        if tag in (0x14, 0x15):
            return tuple(_load(read) for _ in range(count))
        return read(count) if tag in (0x0E, 0x0F) else int(read(count))
    if tag == 0x08:
        return _load(read).decode()
    if tag == 0x18:
        return struct.unpack("!d", read(8))[0]
    if tag == 0x19:
        return slice(*_load(read))
    if tag == 0x1A:
        return frozenset(_load(read))
    if tag == 0x1B:
        return complex(*struct.unpack("!dd", read(16)))
    raise ValueError(f"unknown tag {tag}")
