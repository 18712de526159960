"""Plain immutable data as bytes: None, bool, int, float, complex, str, bytes, slice, and tuples and frozensets of these."""

from struct import Struct

from netref._netref import dump, dumpable, load

__all__ = ["dump", "dumpable", "load"]

# What the bytes say; for programs that take them apart. The three functions do not look here.
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
