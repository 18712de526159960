"""Plain immutable data as bytes: None, bool, int, float, complex, str, bytes, slice, and tuples and frozensets of these.

:func:`dump` and :func:`load` are native, until a program extends the format: by classes in ``_dump_registry`` and
``simple_types``, by tags in ``_load_registry``. Then what is written in Python takes their place.
"""

from netref import _netref
from netref.core import python_brine
from netref.core.python_brine import *  # noqa: F403  what the bytes say, for programs that take them apart
from netref.core.python_brine import _dump, _dump_registry, _load, _load_registry, register, simple_types  # noqa: F401

__all__ = ["dump", "dumpable", "load"]

_SIMPLE_TYPES = simple_types
_ORIGINAL_DUMPERS = dict(_dump_registry)
_ORIGINAL_LOADERS = dict(_load_registry)


def dump(obj):
    """The bytes of a plain value.

    :raises TypeError: if it is not plain immutable data through and through
    """
    return python_brine.dump(obj) if is_extended() else _netref.dump(obj)


def load(data):
    """The value of bytes that :func:`dump` made.

    :raises ValueError: if the bytes are not a value
    """
    return python_brine.load(data) if is_extended() else _netref.load(data)


def dumpable(obj):
    """Whether :func:`dump` would take the value."""
    return python_brine.dumpable(obj, simple_types) if is_extended() else _netref.dumpable(obj)


def is_extended():
    """Whether a program has extended the format."""
    return (
        simple_types is not _SIMPLE_TYPES
        or _dump_registry != _ORIGINAL_DUMPERS
        or _load_registry != _ORIGINAL_LOADERS
        or (dump, load, dumpable) != _ORIGINAL_FUNCTIONS
    )


_ORIGINAL_FUNCTIONS = (dump, load, dumpable)
