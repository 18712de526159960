"""Copies of objects of a peer that has no request for them, such as RPyC, with what its wire has.

Out of a pickle, if the peer makes one and there is nothing but plain data in it; else item by item. Nothing is unpickled.
"""

import collections
import datetime
import re
import sys
import weakref

from netref._netref import limits, plain_from_pickle
from netref.core import consts
from netref.core.netref import BaseNetref

#: Connections whose peers make no pickles.
_WITHOUT_PICKLES: weakref.WeakSet = weakref.WeakSet()
#: What peers of every version of Python can make.
PROTOCOL = 4
#: Items of one round trip.
CHUNK = 1000
#: Bytes that a proxy and what is copied of it take, at least.
_PROXY = 500


def copy(proxy):
    """A local copy of a container of the peer's, and of those in it; or of a date or number of the standard library's."""
    copier = _Copier(proxy.____conn__)
    made = copier.plain(proxy)
    return copier.copy(proxy) if made is None else made


class _Copier:
    """One copy."""

    def __init__(self, conn):
        self.conn = conn
        names = ("max_depth", "max_decoded", "max_set_collisions")
        self.depth, self.most, self.collisions = map(limits(conn._config).get, names)
        self.size = 0
        self.open = set()

    def plain(self, proxy):
        """A copy of a container out of its pickle, in one round trip; None if that is not to be had."""
        if proxy.____id_pack__[0] not in _CONTAINERS or self.conn in _WITHOUT_PICKLES:
            return None
        try:
            pickled = self.conn.sync_request(consts.HANDLE_PICKLE, proxy, PROTOCOL)
        except (EOFError, TimeoutError):
            raise
        except Exception as error:  # not only if the peer makes none: there may be something that cannot be pickled
            if "pickling is disabled" in str(error):
                _WITHOUT_PICKLES.add(self.conn)
            return None
        if type(pickled) is not bytes:
            return None
        most = sys.maxsize if self.most is None else self.most
        return plain_from_pickle(pickled, most, self.depth, self.collisions)

    def sized(self, items):
        """The items, if there is room for them: a peer may have more of them than there is memory, and lists in lists."""
        self.size += sum(_PROXY if isinstance(item, BaseNetref) else sys.getsizeof(item) for item in items)
        if self.most is not None and self.size > self.most:
            raise ValueError(f"the copy takes more than {self.most} bytes (limit max_decoded)")
        return items

    def copy(self, obj):
        if type(obj) is tuple:
            return tuple(map(self.copy, obj))
        if not isinstance(obj, BaseNetref):
            if type(obj) in _LOCAL:
                return obj
            raise TypeError(f"cannot copy an object of this side's own, a {type(obj).__qualname__}")
        if obj.____conn__ is not self.conn:
            raise TypeError("cannot copy an object of a third process")
        name, _, number = pack = obj.____id_pack__
        if number and name in _CONTAINERS:
            return self.copy_container(obj, name, pack)
        if number and name in _FROM_TEXT:
            return _FROM_TEXT[name](str(obj))
        raise TypeError(f"cannot copy a {name} of a peer that is not netref: only plain containers and a few other values")

    def copy_container(self, obj, name, pack):
        if pack in self.open:
            raise ValueError(f"cannot copy a {name} that contains itself")
        if len(self.open) >= self.depth:
            raise RecursionError(f"the value is nested more than {self.depth} levels deep (limit max_depth)")
        self.open.add(pack)
        items = [self.copy(item) for item in self.items(obj)]
        if name in _MAPPINGS:
            items = zip(items, map(self.copy, self.values_of(obj, items)), strict=True)
        self.open.discard(pack)
        return _CONTAINERS[name](items)

    def items(self, obj):
        """The items of an iterable, a thousand in a round trip."""
        iterator = self.conn.sync_request(consts.HANDLE_CALLATTR, obj, "__iter__", (), ())
        items = []
        while True:
            chunk = self.conn.sync_request(consts.HANDLE_BUFFITER, iterator, CHUNK)
            if type(chunk) is not tuple:
                raise ValueError("the peer's items are no tuple")
            items.extend(self.sized(chunk))
            if len(chunk) < CHUNK:
                return items

    def values_of(self, obj, keys):
        """The values of a dictionary, whose ``items`` few peers show: many are asked for before the first is waited for."""
        values = []
        for begin in range(0, len(keys), CHUNK):
            with self.conn.batch() as batch:
                some = keys[begin : begin + CHUNK]
                results = [batch.request(consts.HANDLE_CALLATTR, obj, "__getitem__", (key,), ()) for key in some]
            values += self.sized([result.value for result in results])
        return values


def _fraction(text):
    """Not of every text: "1e999999999" is a number, too, that takes as many digits."""
    if not re.fullmatch(r"-?\d+(/\d+)?", text):
        raise ValueError(f"the peer's fraction is {text[:50]!r}")
    return _from_module("fractions", "Fraction")(text)


def _timedelta(text):
    found = re.fullmatch(r"(?:(-?\d{1,9}) days?, )?(\d\d?):(\d\d):(\d\d)(?:\.(\d{6}))?", text)
    if not found:
        raise ValueError(f"the peer's timedelta is {text[:50]!r}")
    days, hours, minutes, seconds, microseconds = (int(part or 0) for part in found.groups())
    return datetime.timedelta(days, seconds, microseconds, 0, minutes, hours)


def _from_module(module, name):
    return lambda text: getattr(__import__(module), name)(text)


_LOCAL = {type(None), bool, int, float, complex, str, bytes, slice, frozenset, type(...), type(NotImplemented)}
_MAPPINGS = {"builtins.dict", "collections.OrderedDict", "collections.defaultdict"}
_CONTAINERS = {
    "builtins.list": list,
    "builtins.tuple": tuple,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.bytearray": bytearray,
    "builtins.dict": dict,
    "collections.deque": collections.deque,
    "collections.OrderedDict": collections.OrderedDict,
    "collections.defaultdict": lambda items: collections.defaultdict(None, items),
}
_FROM_TEXT = {
    "datetime.date": datetime.date.fromisoformat,
    "datetime.datetime": datetime.datetime.fromisoformat,
    "datetime.time": datetime.time.fromisoformat,
    "datetime.timedelta": _timedelta,
    "decimal.Decimal": _from_module("decimal", "Decimal"),
    "fractions.Fraction": _fraction,
    "uuid.UUID": _from_module("uuid", "UUID"),
}
