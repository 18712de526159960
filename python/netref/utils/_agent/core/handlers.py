"""What a peer may ask of an object here."""

import itertools
import pickle

from .netref import COMPARISONS, BaseNetref, builtin_type

SAFE_ATTRS = frozenset(
    """
    __abs__ __add__ __and__ __bool__ __cmp__ __contains__ __delitem__ __delslice__ __div__ __divmod__ __doc__ __enter__ __eq__
    __exit__ __float__ __floordiv__ __ge__ __getitem__ __getslice__ __gt__ __hash__ __hex__ __iadd__ __iand__ __idiv__
    __ifloordiv__ __ilshift__ __imod__ __imul__ __index__ __int__ __invert__ __ior__ __ipow__ __irshift__ __isub__ __iter__
    __itruediv__ __ixor__ __le__ __len__ __length_hint__ __long__ __lshift__ __lt__ __mod__ __mul__ __ne__ __neg__ __next__
    __oct__ __or__ __pos__ __pow__ __radd__ __rand__ __rdiv__ __rdivmod__ __repr__ __rfloordiv__ __rlshift__ __rmod__ __rmul__
    __ror__ __rpow__ __rrshift__ __rshift__ __rsub__ __rtruediv__ __rxor__ __setitem__ __setslice__ __str__ __sub__ __truediv__
    __xor__ next
    """.split()
)


def _access(conn, obj, name, function, *value):
    """Applies ``getattr``, ``setattr`` or ``delattr``, if the object or the settings let the peer do so."""
    if type(name) is bytes:
        name = name.decode()
    if type(name) is not str:
        raise TypeError("name must be a string")
    own = getattr(type(obj), "_rpyc_" + function.__name__, None)
    if own is not None and not issubclass(type(obj), BaseNetref):
        return own(obj, name, *value)
    allowed = _allowed_name(conn._config, obj, name, function) if conn._config["allow_" + function.__name__] else None
    if allowed is None:
        raise AttributeError(f"cannot access {name!r}")
    return function(obj, allowed, *value)


def _allowed_name(config, obj, name, function):
    prefix = config["exposed_prefix"]
    if config["allow_all_attrs"] or (config["allow_public_attrs"] and not name.startswith("_")):
        return name
    if config["allow_exposed_attrs"]:
        if name.startswith(prefix):
            return name
        if hasattr(obj, prefix + name):
            return prefix + name
    return name if function is getattr and config["allow_safe_attrs"] and name in SAFE_ATTRS else None


def _get(conn, obj, name):
    return _access(conn, obj, name, getattr)


def _set(conn, obj, name, value):
    return _access(conn, obj, name, setattr, value)


def _delete(conn, obj, name):
    return _access(conn, obj, name, delattr)


def _call(conn, obj, args, kwargs=()):
    return obj(*args, **dict(kwargs))


def _call_attribute(conn, obj, name, args, kwargs=()):
    return _get(conn, obj, name)(*args, **dict(kwargs))


def _compare(conn, obj, other, operator):
    if operator not in COMPARISONS:
        raise AttributeError(f"cannot access {operator!r}")
    return getattr(type(obj), operator)(obj, other)


def _pickle(conn, obj, protocol):
    if not conn._config["allow_pickle"]:
        raise ValueError("pickling is disabled")
    return bytes(pickle.dumps(obj, protocol))


def _take(conn, iterator, count):
    return tuple(itertools.islice(iterator, count))


def _exit(conn, obj, exc):
    if not exc:
        return obj.__exit__(None, None, None)
    # The peer sends the class, of which nothing but the name is of use here.
    known = builtin_type(exc.____id_pack__[0]) if issubclass(type(exc), BaseNetref) else exc
    kind = known if isinstance(known, type) and issubclass(known, BaseException) else Exception
    return obj.__exit__(kind, kind(), None)


def _is_instance(conn, cls, pack):
    entry = conn._exports.get(pack)
    if entry is not None:
        return isinstance(entry[0], cls)
    known = builtin_type(pack[0])
    return known is not None and issubclass(known, cls)


#: By their numbers in the protocol. Called with the connection and what the peer sent.
HANDLERS = {
    1: lambda conn, data: data,
    3: lambda conn: conn._root,
    4: _get,
    5: _delete,
    6: _set,
    7: _call,
    8: _call_attribute,
    9: lambda conn, obj: repr(obj),
    10: lambda conn, obj: str(obj),
    11: _compare,
    12: lambda conn, obj: hash(obj),
    13: lambda conn, obj: tuple(dir(obj)),
    14: _pickle,
    17: _take,
    19: _exit,
    20: _is_instance,
}
