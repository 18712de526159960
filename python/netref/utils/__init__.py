"""Marking what a service exposes; and, in modules below, servers, ways to connect, and classic mode."""

import functools
import inspect

from netref.core.protocol import DEFAULT_CONFIG


def service(cls):
    """Opens what is marked with :func:`exposed` in ``cls`` to peers. Classes inside are looked through too."""
    for name, member in inspect.getmembers(cls):
        prefix = getattr(member, "__exposed__", None)
        if not isinstance(prefix, str) or inspect.iscode(member):
            continue
        if inspect.isclass(member):
            member = service(member)
        # As it stands in the class body, so that static and class methods stay what they are.
        member = inspect.getattr_static(cls, name, member)
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
    member.__exposed__ = prefix
    return member
