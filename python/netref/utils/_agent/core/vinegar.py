"""Exceptions on their way to the other side and back."""

import importlib
import traceback

from .. import version
from . import brine

__version__ = version.__version__


class GenericException(Exception):
    """An exception of the peer whose class is not here."""


def dump_exception(exc):
    """An exception as plain data."""
    if type(exc) is StopIteration:
        return 1
    attributes = []
    for name in dir(exc):
        if not name.startswith("_") and name not in ("args", "with_traceback", "add_note"):
            try:
                attributes.append((name, _plain(getattr(exc, name))))
            except Exception:
                continue  # an attribute that cannot be read is no reason to lose the exception
    text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__)) + getattr(exc, "_remote_tb", "")
    args = tuple(map(_plain, exc.args))
    attributes.append(("_remote_version", __version__))
    return (type(exc).__module__, type(exc).__name__), args, tuple(attributes), _sendable(text)


def load_exception(data):
    """The exception that the peer dumped, of the same class if it is here."""
    if data == 1:
        return StopIteration()
    (module, name), args, attributes, text = data
    try:
        cls = getattr(importlib.import_module(module), name)
        exc = cls.__new__(cls)
        exc.args = args
    except Exception:
        exc = type(f"{module}.{name}", (GenericException,), {})(*args)
    for attribute, value in attributes:
        try:
            setattr(exc, attribute, value)
        except Exception:
            continue  # a read-only attribute
    exc._remote_tb = text
    return exc


def _plain(value):
    try:
        brine.dump(value)  # a string that is no text, and a number that is too long, count as plain and cannot be sent
        return value
    except Exception:
        return _sendable(repr(value))


def _sendable(text):
    return text.encode("utf-8", "backslashreplace").decode()
