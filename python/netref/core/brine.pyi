from collections.abc import Callable
from struct import Struct
from typing import Any, TypeVar

__all__ = ["dump", "dumpable", "load"]

_F = TypeVar("_F", bound=Callable[..., Any])

TAG_NONE: bytes
TAG_EMPTY_STR: bytes
TAG_EMPTY_TUPLE: bytes
TAG_TRUE: bytes
TAG_FALSE: bytes
TAG_NOT_IMPLEMENTED: bytes
TAG_ELLIPSIS: bytes
TAG_UNICODE: bytes
TAG_STR1: bytes
TAG_STR2: bytes
TAG_STR3: bytes
TAG_STR4: bytes
TAG_STR_L1: bytes
TAG_STR_L4: bytes
TAG_TUP1: bytes
TAG_TUP2: bytes
TAG_TUP3: bytes
TAG_TUP4: bytes
TAG_TUP_L1: bytes
TAG_TUP_L4: bytes
TAG_INT_L1: bytes
TAG_INT_L4: bytes
TAG_FLOAT: bytes
TAG_SLICE: bytes
TAG_FSET: bytes
TAG_COMPLEX: bytes
IMM_INTS: dict[int, bytes]
IMM_INTS_LOADER: dict[bytes, int]
F8: Struct
C16: Struct
I1: Struct
I4: Struct
I8I8: Struct

simple_types: frozenset[type]
_dump_registry: dict[type, Callable[[Any, list[bytes]], object]]
_load_registry: dict[bytes, Callable[[Any], Any]]

def register(coll: dict[Any, Any], key: Any) -> Callable[[_F], _F]: ...
def dump(obj: Any) -> bytes: ...
def load(data: bytes) -> Any: ...
def dumpable(obj: Any) -> bool: ...
def is_extended() -> bool: ...
def _dump(obj: Any, stream: list[bytes]) -> None: ...
def _load(stream: Any) -> Any: ...
