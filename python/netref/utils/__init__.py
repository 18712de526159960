"""Marking what a service exposes; and, in modules below, servers, ways to connect, and classic mode."""

import functools
import importlib
import inspect

from netref.core.protocol import DEFAULT_CONFIG


def service(cls):
    """Opens what is marked with :func:`exposed` in ``cls`` to peers. Classes inside are looked through too."""
    # As they stand in the class body, so that static and class methods and properties stay what they are.
    for name in dir(cls):
        member = inspect.getattr_static(cls, name, None)
        prefix = getattr(_bearer_of_mark(member), "__exposed__", None)
        if not isinstance(prefix, str) or inspect.iscode(member):
            continue
        if inspect.isclass(member):
            member = service(member)
        setattr(cls, prefix + name, member)
    return cls


def exposed(arg):
    """Marks a method, descriptor or class as open to peers, in a class marked with :func:`service`.

    ``@exposed("prefix_")`` uses another prefix than the configured one.
    """
    if isinstance(arg, str):
        return functools.partial(_mark, arg)
    if callable(arg) or hasattr(arg, "__get__"):
        return _mark(DEFAULT_CONFIG["exposed_prefix"], arg)
    raise TypeError("rpyc.exposed expects a callable object, descriptor, or string")


def _mark(prefix, member):
    _bearer_of_mark(member).__exposed__ = prefix
    return member


def _bearer_of_mark(member):
    """The function inside a property, which has no room for a mark itself, or a static or class method, so that the order of
    decorators makes no difference; anything else bears its own mark."""
    if isinstance(member, property):
        return member.fget
    return getattr(member, "__func__", member)


def __getattr__(name):
    """``registry`` is here without having been imported, as in stock."""
    if name == "registry":
        return importlib.import_module("netref.utils.registry")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
