"""Proxies of objects of the peer."""

import builtins
import pickle
import types


class BaseNetref:
    """A proxy of an object of the peer. Classes derived from it have the special methods that the object's class has."""

    __slots__ = ("____conn__", "____id_pack__", "____refcount__", "__weakref__")

    def __init__(self, conn, id_pack):
        for name, value in (("____conn__", conn), ("____id_pack__", id_pack), ("____refcount__", 0)):
            object.__setattr__(self, name, value)

    def __del__(self):
        # By whatever thread and in whatever state the collector comes along: just leave a note.
        self.____conn__.dying.append((self.____id_pack__, self.____refcount__))

    def __getattribute__(self, name):
        if name in _OWN_NAMES:
            return object.__getattribute__(self, name)
        if name == "__class__":
            return builtin_type(self.____id_pack__[0]) or type(self)
        return _ask(self, 4, name)

    def __exit__(self, kind, exc, tb):
        return _ask(self, 19, kind)

    def __reduce_ex__(self, protocol):
        return pickle.loads, (_ask(self, 14, protocol),)


def _ask(proxy, handler, *args):
    return proxy.____conn__.request(handler, proxy, *args)


def _forward(name, handler):
    def method(self, *args):
        return _ask(self, handler, *args)

    method.__name__ = name
    return method


def _forward_call(name):
    def method(_self, *args, **kwargs):
        if name == "__call__":
            return _ask(_self, 7, args, tuple(kwargs.items()))
        return _ask(_self, 8, name, args, tuple(kwargs.items()))

    method.__name__ = name
    return method


_OWN_NAMES = frozenset(["____conn__", "____id_pack__", "____refcount__", "__reduce_ex__", "__exit__"])
_FIXED = {"__repr__": 9, "__str__": 10, "__hash__": 12, "__dir__": 13, "__setattr__": 6, "__delattr__": 5}
for _name, _handler in _FIXED.items():
    setattr(BaseNetref, _name, _forward(_name, _handler))
COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
for _name in COMPARISONS:
    setattr(BaseNetref, _name, lambda self, other, _name=_name: _ask(self, 11, other, _name))
_NOT_FORWARDED = frozenset(dir(BaseNetref)) | {"__array_struct__", "__array_interface__", "__getattr__", "__instancecheck__"}


def make_class(name, methods):
    """The class for proxies of objects whose class is called ``name``, and has these methods."""
    special = [method for method in methods if method.startswith("__") and method not in _NOT_FORWARDED]
    return type(name, (BaseNetref,), dict({method: _forward_call(method) for method in special}, __slots__=()))


def builtin_type(name):
    """The type that every Python has under that name, or None."""
    module, _, attribute = name.rpartition(".")
    found = _UNNAMED.get(attribute) or getattr(builtins, attribute, None) if module == "builtins" else None
    return found if isinstance(found, type) else None


_UNNAMED = {
    kind.__name__: kind
    for kind in (types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.GeneratorType, types.ModuleType)
}


def methods_of(obj):
    """What a proxy of ``obj`` needs to know: (name, docstring) of each method."""
    return methods_of_class(type(obj)) + (methods_of_class(obj) if isinstance(obj, type) else ())


def methods_of_class(cls):
    """What a proxy of an instance of ``cls`` needs to know."""
    names = {
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if callable(value) or isinstance(value, (staticmethod, classmethod))
    }
    return tuple((name, None) for name in sorted(names - _PROXYS_OWN))


_PROXYS_OWN = frozenset(COMPARISONS) | set(_FIXED) | {"__exit__", "__new__", "__init__", "__del__", "__getattribute__"}
_PROXYS_OWN |= {"__class__", "__getattr__", "__reduce__", "__reduce_ex__", "__init_subclass__", "__subclasshook__"}
