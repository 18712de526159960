"""Exceptions on their way to the other side and back.

What travels is data: the class's module and name, the arguments, public attributes, and the traceback as text. Which class the
receiver makes of it is the receiver's decision alone.
"""

import builtins
import importlib
import sys
import traceback

from netref import version
from netref.core import brine, consts
from netref.core.errors import ConnectionLost

ClassType = type  # Python 2 had another kind of class

REMOTE_LINE_START = "\n\n========= Remote Traceback "
REMOTE_LINE_END = " =========\n"
REMOTE_LINE = REMOTE_LINE_START + "({})" + REMOTE_LINE_END

#: Where classes are looked up that may always be made. Programs put a module of their own in its place.
exceptions_module = builtins

#: Classes made for remote exceptions that are kept; past that, the oldest is forgotten. A peer can make up any number of names.
_MOST_CLASSES = 256
#: Longest name of such a class.
_LONGEST_NAME = 200
_MOST_COLUMNS = 10_000

_NOT_SENT = frozenset(["args", "with_traceback", "add_note"])


def dump(typ, val, tb, include_local_traceback, include_local_version):
    """An exception as plain data, for :func:`load` on the other side.

    :param typ: its class
    :param val: the exception
    :param tb: its traceback
    :param include_local_traceback: whether to send the traceback, which shows file names and code
    :param include_local_version: whether to send the version
    """
    if typ is StopIteration:
        return consts.EXC_STOP_ITERATION
    text = "".join(traceback.format_exception(typ, val, tb)) if include_local_traceback else "<traceback denied>"
    attributes = [(name, _plain(value)) for name, value in _public_attributes(val)]
    sent_version = version.__version__ if include_local_version else "<version denied>"
    attributes.append(("_remote_version", sent_version))
    arguments = tuple(_plain(argument) for argument in val.args)
    # A peer need not know the classes of netref's own.
    known = EOFError if issubclass(typ, ConnectionLost) else typ
    return (known.__module__, known.__name__), arguments, tuple(attributes), _sendable(text)


def _public_attributes(val):
    for name in dir(val):
        if name.startswith("_") or name in _NOT_SENT:
            continue
        try:
            yield name, getattr(val, name)
        except Exception:
            # An attribute that cannot be read is no reason to lose the exception that it belongs to.
            continue


def _plain(value):
    """The value if it travels by value, else its repr."""
    if brine.dumpable(value):
        return value
    try:
        return _sendable(repr(value))
    except Exception:
        return f"<unprintable {type(value).__name__} object>"


def _sendable(text):
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def load(val, import_custom_exceptions, instantiate_custom_exceptions, instantiate_oldstyle_exceptions):
    """The exception that the other side dumped.

    :param val: the dumped exception
    :param import_custom_exceptions: whether to import the module of a class that is not known here (**runs code that the
        peer names**)
    :param instantiate_custom_exceptions: whether to make instances of classes that are not built in
    :param instantiate_oldstyle_exceptions: has no meaning in Python 3
    :returns: an exception of the same class, or of a :class:`GenericException` class with its name
    """
    if type(val) is int and val == consts.EXC_STOP_ITERATION:
        return StopIteration()
    if isinstance(val, str):
        return GenericException(val)
    module_name, class_name, args, attributes, text = _parts(val)
    found = _find_class(module_name, class_name, import_custom_exceptions, instantiate_custom_exceptions)
    generic = _generic_class(module_name, class_name)
    try:
        exc = _blank(found or generic)
    except Exception:
        # Its __new__ wants more than data: an ExceptionGroup wants exceptions.
        exc = _blank(generic)
    exc.args = args
    for name, value in _credible(exc, attributes):
        try:
            setattr(exc, name, value)
        except Exception:
            pass  # a read-only or checked attribute of the class
    theirs = getattr(exc, "_remote_version", None)
    if isinstance(theirs, str) and theirs[:1].isdigit() and theirs.split(".")[0] != str(version.version[0]):
        text += f"\nWARNING: Remote is on RPyC {theirs} and local is on RPyC {version.__version__}.\n\n"
    exc._remote_tb = text
    return exc


def _credible(exc, attributes):
    """Without those that Python itself believes when it prints an exception of the class, whatever they are. Private ones are
    never sent, but for the version."""
    given = {name: value for name, value in attributes if type(name) is str and (name[:1] != "_" or name == "_remote_version")}
    if isinstance(exc, (UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError)):
        # It reads the object where they say, which may be nowhere in this process.
        obj, start, end = map(given.get, ("object", "start", "end"))
        is_range = type(start) is type(end) is int and 0 <= start <= end
        if not is_range or type(obj) is not (bytes if isinstance(exc, UnicodeDecodeError) else str) or end > len(obj):
            given = {name: value for name, value in given.items() if name not in ("object", "start", "end")}
    elif isinstance(exc, SyntaxError):
        # It draws as many marks below the line.
        for name in ("offset", "end_offset"):
            if type(given.get(name)) is int:
                given[name] = min(given[name], _MOST_COLUMNS)
    elif isinstance(exc, OSError):
        # It has none of them, and would say so instead of what it has to say.
        absent = {name for name in ("errno", "strerror", "filename", "filename2") if given.get(name) is None}
        given = {name: value for name, value in given.items() if name not in absent}
    elif isinstance(exc, ImportError):
        # To suggest another, it imports the module that the name is said to be from.
        given.pop("name_from", None)
    return given.items()


def bounded(val, max_text, max_attributes):
    """A dumped exception with no more of its traceback and attributes than that, so that keeping it takes no more memory."""
    if type(val) is tuple and len(val) == 4:
        who, args, attributes, text = val
        if max_text is not None and type(text) is str and len(text) > max_text:
            val = who, args, attributes, text[:max_text] + "\n[...]\n"
        if max_attributes is not None and type(attributes) is tuple:
            val = (*val[:2], attributes[:max_attributes], val[3])
    return val


def _parts(val):
    """What a dumped exception consists of.

    :raises ValueError: if it is none
    """
    try:
        (module_name, class_name), args, attributes, text = val
        attributes = tuple((name, value) for name, value in attributes)
        kinds = [type(part) for part in (module_name, class_name, args, text)]
    except (TypeError, ValueError):
        kinds = []
    if kinds != [str, str, tuple, str]:
        raise ValueError("the peer reports an exception in a form that is none")
    return module_name, class_name, args, attributes, text


def _find_class(module_name, class_name, may_import, may_instantiate):
    """The exception class of that name, if it is allowed to be used and is there."""
    own_module = own_name(module_name)
    if may_import and own_module not in sys.modules:
        try:
            importlib.import_module(own_module)
        except Exception:
            return None
    if may_instantiate:
        module = sys.modules.get(own_module)
    elif module_name == exceptions_module.__name__:
        module = exceptions_module
    else:
        module = None
    cls = getattr(module, class_name, None)
    return cls if isinstance(cls, type) and issubclass(cls, BaseException) else None


def own_name(module_name):
    """The name that a module of RPyC has here: peers know this package by the name of stock's."""
    if module_name == "rpyc" or module_name.startswith("rpyc."):
        return "netref" + module_name[len("rpyc") :]
    return module_name


class GenericException(Exception):
    """What an exception becomes whose class is not here or must not be used. Its class's name is the remote class's."""


_generic_exceptions_cache = {}
_exception_classes_cache = {}


def _generic_class(module_name, class_name):
    module_name = printable(module_name[:_LONGEST_NAME])
    name = f"{module_name}.{printable(class_name[:_LONGEST_NAME])}"[:_LONGEST_NAME]
    cls = _generic_exceptions_cache.get(name)
    if cls is None:
        namespace = {"__module__": f"{__name__}/{module_name}"[:_LONGEST_NAME]}
        cls = _keep(_generic_exceptions_cache, name, type(name, (GenericException,), namespace))
    return cls


def printable(text):
    """A name of the peer's for logs and terminals, which would carry out, or take for lines of their own, what is in it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _blank(cls):
    """An exception of a class like ``cls``, made without running its ``__init__``."""
    cls = _get_exception_class(cls)
    return cls.__new__(cls)


def _get_exception_class(cls):
    """A class like ``cls`` whose text ends with the remote traceback."""
    derived = _exception_classes_cache.get(cls)
    if derived is None:
        namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__str__": _text_with_traceback(cls)}
        namespace["__repr__"] = namespace["__str__"]
        derived = _keep(_exception_classes_cache, cls, type(cls.__name__, (cls,), namespace))
    return derived


def _keep(cache, key, cls):
    """Puts a class into a cache, which forgets the oldest one if it has too many."""
    if len(cache) >= _MOST_CLASSES:
        cache.pop(next(iter(cache), None), None)
    return cache.setdefault(key, cls)


def _text_with_traceback(cls):
    def __str__(self):
        try:
            text = cls.__str__(self)
        except Exception:
            text = "<Unprintable exception>"
        remote = getattr(self, "_remote_tb", None)
        if remote is None:
            return text
        return text + REMOTE_LINE.format(remote.count(REMOTE_LINE_START) + 1) + remote

    return __str__
