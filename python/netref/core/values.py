"""Copies by value, without pickle: the kinds of values that cross, and how each is taken apart and put together.

Nothing is imported, and no code of a program's is run, because a peer says so. Classes of a program's own, which are dataclasses,
enumerations and named tuples, are made again only if this side has imported a class of that module and name that is what the
peer says it is.
"""

import collections
import datetime
import functools
import math
import re
import sys
import types

from netref import _netref
from netref._netref import ByValue, ByValueFunction
from netref.core.netref import BaseNetref

__all__ = ["by_value", "copy"]


def copy(obj):
    """A local copy of a remote object: of lists, dictionaries, sets and other plain data, through and through.

    What can be copied: ``list``, ``dict``, ``set``, ``frozenset``, ``tuple``, ``bytearray``, ``slice``, ``range``, ``deque``,
    ``OrderedDict``, ``defaultdict`` (without its factory), dates and times, ``Decimal``, ``Fraction``, ``UUID``, pure and other
    paths (as pure ones), dataclasses, enumerations, named tuples, numpy's arrays and scalars; and all of these inside each
    other. A peer may copy what it could read item by item: see docs/values.md for the rule, and for what a class has to be here.

    One round trip between netref peers. A stock peer has no such request: one for plain data if it allows pickling (nothing is
    unpickled here), else a few for each container; and fewer kinds.

    :param obj: a proxy, or a tuple with proxies in it; anything else is local already, and is returned as it is
    :raises TypeError: if there is something else in it
    :raises AttributeError: if the owner's policy does not let this side read it
    :raises ValueError: if it contains itself, is too large, or has an instance of a class in it that this side has not imported
    """
    if type(obj) is tuple:
        return tuple(map(copy, obj))
    if not isinstance(obj, BaseNetref):
        return obj
    made = _netref.copy(obj)
    if made is None:
        from netref.core import _stock_values  # seldom needed

        return _stock_values.copy(obj)
    return made


def by_value(obj):
    """Has something cross by value, as a copy, rather than by reference.

    As a decorator of an exposed function or method, of its result::

        @netref.by_value
        def exposed_settings(self):
            return self.settings

    Given any other object, as an argument or a result, of that: ``conn.root.store(netref.by_value(rows))``. Of what can be
    copied, see :func:`copy`. A stock peer gets a reference as ever. Whoever hands out something by value hands out all that is in
    it: the attribute policy is not asked.

    :raises TypeError: when it is sent, if there is something in it that cannot be copied
    """
    if isinstance(obj, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)):
        return functools.update_wrapper(ByValueFunction(obj), obj, assigned=("__module__", "__name__", "__qualname__"))
    return ByValue(obj)


async def _later(result):
    return ByValue(await result)


# ---- taking apart


def _take_apart(obj, read):
    """``(name, part, ...)`` of a value, or ``()`` of one that is no plain data.

    :param read: reads an attribute of an object, if the peer may
    """
    cls = type(obj)
    take_apart = _PLAIN.get(cls)
    if take_apart is not None:
        read(obj, "__repr__")
        return take_apart(obj)
    take_apart = _CONTAINERS.get(cls)
    if take_apart is not None:
        read(obj, "__iter__")
        return take_apart(obj)
    if issubclass(cls, tuple) and _is_named_tuple(cls):
        read(obj, "__iter__")
        return ("namedtuple", *_name(cls), cls._fields, *tuple(obj))
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(cls, enum.Enum):
        read(obj, "__repr__")
        return ("enum", *_name(cls), _member_names(obj, enum))
    if "__dataclass_fields__" in vars(cls):
        names = _fields(cls)
        return ("dataclass", *_name(cls), tuple(names), *[read(obj, name) for name in names])
    return _rarely(obj, cls, read)


def _rarely(obj, cls, read):
    """Values of classes that are known by name, so that their modules need not be imported."""
    module, name = cls.__module__, cls.__qualname__
    if module == "decimal" and name == "Decimal":
        read(obj, "__repr__")
        return "decimal", str(obj)
    if module == "fractions" and name == "Fraction":
        read(obj, "__repr__")
        return "fraction", obj.numerator, obj.denominator
    if module == "uuid" and name == "UUID":
        read(obj, "__repr__")
        return "uuid", obj.bytes
    pathlib = sys.modules.get("pathlib")
    if pathlib is not None and isinstance(obj, pathlib.PurePath) and cls in _paths(pathlib):
        read(obj, "__repr__")
        return ("windows path" if isinstance(obj, pathlib.PureWindowsPath) else "posix path", str(obj))
    numpy = sys.modules.get("numpy")
    if numpy is not None and (cls is numpy.ndarray or issubclass(cls, numpy.generic)):
        read(obj, "__getitem__" if cls is numpy.ndarray else "__repr__")
        return _take_array_apart(obj, numpy)
    return ()


def _take_array_apart(obj, numpy):
    array = numpy.asarray(obj)
    if not _is_plain_dtype(array.dtype):
        raise TypeError(f"cannot copy an array of {array.dtype}: it is no plain data")
    is_scalar = type(obj) is not numpy.ndarray
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    memory = array.ravel(order)
    memory = memoryview(memory.view(numpy.uint8)) if memory.nbytes else memoryview(b"")
    return ("scalar" if is_scalar else "array", array.dtype.str, array.shape, order, memory)


def _take_time_apart(obj):
    return ("time", obj.hour, obj.minute, obj.second, obj.microsecond, obj.fold, _zone(obj.tzinfo))


def _take_datetime_apart(obj):
    date = obj.year, obj.month, obj.day
    return ("datetime", date, obj.hour, obj.minute, obj.second, obj.microsecond, obj.fold, _zone(obj.tzinfo))


def _zone(zone):
    if zone is None or type(zone) is datetime.timezone:
        return zone
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is not None and type(zone) is zoneinfo.ZoneInfo and zone.key:
        return zone.key
    raise TypeError(f"cannot copy a time in the time zone {zone!r}, which is neither a datetime.timezone nor a ZoneInfo")


_PLAIN = {
    datetime.date: lambda obj: ("date", obj.year, obj.month, obj.day),
    datetime.time: _take_time_apart,
    datetime.datetime: _take_datetime_apart,
    datetime.timedelta: lambda obj: ("timedelta", obj.days, obj.seconds, obj.microseconds),
    # Its offset, and its name if it has one of its own.
    datetime.timezone: lambda obj: ("timezone", *(*obj.__getinitargs__(), None)[:2]),
    range: lambda obj: ("range", obj.start, obj.stop, obj.step),
}
_CONTAINERS = {
    collections.deque: lambda obj: ("deque", list(obj), obj.maxlen),
    collections.OrderedDict: lambda obj: ("ordereddict", dict(obj)),
    collections.defaultdict: lambda obj: ("defaultdict", dict(obj)),
}


def _name(cls):
    return cls.__module__, cls.__qualname__


def _is_named_tuple(cls):
    return type(vars(cls).get("_fields")) is tuple and cls.__bases__ == (tuple,)


def _fields(cls):
    # Other entries are class variables and arguments of __init__ alone.
    return [name for name, field in vars(cls)["__dataclass_fields__"].items() if field._field_type.name == "_FIELD"]


def _member_names(obj, enum):
    if obj.name in type(obj).__members__:
        return obj.name
    if isinstance(obj, enum.Flag) and type(obj.value) is int:
        return obj.value
    raise TypeError(f"cannot copy {obj!r}: it is no member of {type(obj).__qualname__}")


def _paths(pathlib):
    return pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath


# ---- putting together


def _put_together(name, *parts):
    """The value of which :func:`_take_apart` made these parts."""
    kind = _KINDS.get(name) if type(name) is str else None
    if kind is None:
        raise ValueError(f"the peer's copy has a {name!r} in it, which this version does not know")
    put_together, *types_of_parts = kind
    fixed = parts
    if types_of_parts[-1] is ...:
        del types_of_parts[-1]
        fixed = parts[: len(types_of_parts)]
    # Exactly these: what other types could be made of is none of the peer's business, such as a deque of range(10**12).
    if len(fixed) != len(types_of_parts) or not all(map(_is_of, fixed, types_of_parts)):
        raise ValueError(f"the peer's copy has a {name} in it that is malformed")
    return put_together(*parts)


def _is_of(part, cls):
    return type(part) in cls if type(cls) is tuple else type(part) is cls


def _put_datetime_together(date, hour, minute, second, microsecond, fold, zone):
    time = _put_time_together(hour, minute, second, microsecond, fold, zone)
    return datetime.datetime.combine(datetime.date(*date), time)


def _put_time_together(hour, minute, second, microsecond, fold, zone):
    if type(zone) is str:
        zone = _find_zone(zone)
    return datetime.time(hour, minute, second, microsecond, zone, fold=fold)


def _put_timezone_together(offset, name):
    return datetime.timezone(offset) if name is None else datetime.timezone(offset, name)


def _find_zone(key):
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is None:
        raise ValueError(f"the peer's copy has a time in the zone {key!r} in it: import zoneinfo here to take it")
    return zoneinfo.ZoneInfo(key)


def _from_module(module, name):
    """Something of a module of Python's own, which is imported as it is needed."""
    return lambda *parts: getattr(__import__(module), name)(*parts)


def _put_array_together(dtype, shape, order, buffer):
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise ValueError("the peer's copy has an array in it: import numpy here to take it")
    if not re.fullmatch(r"[<>|=][biufcmMSU]\d{1,9}(\[\d{0,9}[a-zA-Z]{1,3}\])?", dtype):
        raise ValueError(f"the peer's copy has an array of {dtype!r} in it, which is no plain data")
    dtype = numpy.dtype(dtype)
    # Multiplied only if they can be lengths: the product of thousands of long integers takes minutes, and nothing else runs.
    is_shape = len(shape) <= _MOST_DIMENSIONS and all(type(length) is int and 0 <= length <= sys.maxsize for length in shape)
    if not is_shape or math.prod(shape) * dtype.itemsize != len(buffer):
        raise ValueError(f"the peer's copy has an array in it of {len(buffer)} bytes, which do not make its shape")
    return numpy.ndarray(shape, dtype, buffer if dtype.itemsize else None, order="F" if order == "F" else "C")


def _put_dataclass_together(module, name, fields, *values):
    cls = _find_class(module, name)
    if "__dataclass_fields__" not in vars(cls):
        raise _not_as_here(cls, "a dataclass")
    if tuple(_fields(cls)) != fields or len(values) != len(fields):
        raise _not_as_here(cls, f"a dataclass with the fields {', '.join(map(str, fields))}")
    # Neither __init__ nor __post_init__ runs, for a peer shall not choose code to run; nor may anything else of the class.
    if cls.__new__ is not object.__new__ or hasattr(cls, "__del__"):
        raise _not_as_here(cls, "a dataclass without __new__ and __del__ of its own")
    obj = object.__new__(cls)
    for field, value in zip(fields, values, strict=True):
        place = _static_attribute(cls, field)
        if hasattr(type(place), "__set__") and type(place) is not types.MemberDescriptorType:
            raise _not_as_here(cls, f"a dataclass whose field {field} is plain")
        object.__setattr__(obj, field, value)
    return obj


def _static_attribute(cls, name):
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return None


def _put_named_tuple_together(module, name, fields, *values):
    cls = _find_class(module, name)
    if not issubclass(cls, tuple) or not _is_named_tuple(cls) or cls._fields != fields or len(values) != len(fields):
        raise _not_as_here(cls, f"a named tuple with the fields {', '.join(map(str, fields))}")
    return tuple.__new__(cls, values)


def _put_enum_together(module, name, member):
    cls = _find_class(module, name)
    enum = sys.modules.get("enum")
    if enum is None or not issubclass(cls, enum.Enum):
        raise _not_as_here(cls, "an enumeration")
    if type(member) is str and member in cls.__members__:
        return cls.__members__[member]
    if type(member) is int and issubclass(cls, enum.Flag) and cls._missing_.__func__ in _flag_lookups(enum):
        # Python keeps every combination that is asked for, so only those of members are.
        known = functools.reduce(int.__or__, (one.value for one in cls.__members__.values()), 0)
        if member >= 0 and not member & ~known:
            return cls(member)
    raise _not_as_here(cls, f"an enumeration with the member {member!r}")


def _flag_lookups(enum):
    return {cls._missing_.__func__ for cls in (enum.Flag, enum.IntFlag)}


def _find_class(module, name):
    """A class that this side has imported. Nothing is asked but dictionaries, for asking a module can import others."""
    found = sys.modules.get(module)
    for part in name.split("."):
        names = getattr(found, "__dict__", {}) if isinstance(found, (type, types.ModuleType)) else {}
        found = names.get(part)
    if isinstance(found, type) and vars(found).get("__module__") == module and found.__qualname__ == name:
        return found
    raise ValueError(f"the peer's copy has an instance of {module}.{name} in it: import that class here to take it")


def _not_as_here(cls, what):
    return ValueError(f"the peer's copy has an instance of {cls.__module__}.{cls.__qualname__} in it, which is not {what} here")


def _is_plain_dtype(dtype):
    return dtype.kind in "biufcmMSU" and dtype.names is None and not dtype.hasobject


_MOST_DIMENSIONS = 64  # numpy's
_NONE = type(None)
_CLOCK = (int, int, int, int, int, (_NONE, str, datetime.timezone))
_ARRAY = (str, tuple, str, bytearray)

#: What puts a kind together, and of which types its parts are.
_KINDS = {
    "array": (_put_array_together, *_ARRAY),
    "dataclass": (_put_dataclass_together, str, str, tuple, ...),
    "date": (datetime.date, int, int, int),
    "datetime": (_put_datetime_together, tuple, *_CLOCK),
    "decimal": (_from_module("decimal", "Decimal"), str),
    "defaultdict": (lambda items: collections.defaultdict(None, items), dict),
    "deque": (collections.deque, list, (int, _NONE)),
    "enum": (_put_enum_together, str, str, (str, int)),
    "fraction": (_from_module("fractions", "Fraction"), int, int),
    "namedtuple": (_put_named_tuple_together, str, str, tuple, ...),
    "ordereddict": (collections.OrderedDict, dict),
    "posix path": (_from_module("pathlib", "PurePosixPath"), str),
    "range": (range, int, int, int),
    "scalar": (lambda *parts: _put_array_together(*parts)[()], *_ARRAY),
    "time": (_put_time_together, *_CLOCK),
    "timedelta": (datetime.timedelta, int, int, int),
    "timezone": (_put_timezone_together, datetime.timedelta, (str, _NONE)),
    "uuid": (lambda number: _from_module("uuid", "UUID")(None, number), bytes),
    "windows path": (_from_module("pathlib", "PureWindowsPath"), str),
}
