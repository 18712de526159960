"""The objects that a peer can make, for the other side to drive by reference. SERVICE.md is the specification.

Server and agent share this catalogue: whatever a test does to an object of the server it can also let the server do to an
object of the client. `__module__` is set because class names travel, and every implementation has to send the same ones.
"""

import builtins
import collections
import functools
import io

LIVE = collections.Counter()


class CustomError(Exception):
    """An exception that the other side cannot know, with an attribute that has to travel along."""

    __module__ = "interop"

    def __init__(self, *args):
        super().__init__(*args)
        self.code = 42


class Counter:
    """State behind a reference: a method with a default argument and a read-only attribute."""

    __module__ = "interop"

    def __init__(self):
        self._value = 0

    def incr(self, by=1):
        self._value += by
        return self._value

    @property
    def value(self):
        return self._value

    def __repr__(self):
        return f"Counter({self._value})"


class Record:
    """Attributes that the other side may set and delete."""

    __module__ = "interop"

    def __init__(self, colour):
        self.colour = colour


@functools.total_ordering
class Version:
    """Comparable and hashable by its number."""

    __module__ = "interop"

    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return self.number == other.number if hasattr(other, "number") else NotImplemented

    def __lt__(self, other):
        return self.number < other.number if hasattr(other, "number") else NotImplemented

    def __hash__(self):
        return 1000 + self.number

    def __repr__(self):
        return f"Version({self.number})"

    def __str__(self):
        return f"v{self.number}"


class Context:
    """A context manager that remembers how it was left."""

    __module__ = "interop"

    def __init__(self, suppress):
        self.suppress = suppress
        self.events = ()

    def __enter__(self):
        self.events += ("enter",)
        return self

    def __exit__(self, kind, error, traceback):
        self.events += (kind and kind.__name__,)
        return self.suppress


class Tracked:
    """Counts how many of its kind are alive, so that a test sees a reference being released."""

    __module__ = "interop"

    def __init__(self, tag):
        self.tag = tag
        LIVE[tag] += 1

    def __del__(self):
        LIVE[self.tag] -= 1


class Recorder:
    """A callback that records each call and returns what it was made with."""

    __module__ = "interop"

    def __init__(self, answer):
        self.answer = answer
        self.calls = ()

    def __call__(self, *args, **kwargs):
        self.calls += ((args, tuple(sorted(kwargs.items()))),)
        return self.answer


def make_raiser(kind, *args):
    def raising_callback(*_, **__):
        raise_named(kind, *args)

    return raising_callback


def make_relay(function):
    def relaying_callback(*args, **kwargs):
        return function(*args, **kwargs)

    return relaying_callback


def make_bouncer(kind=None, *args):
    """The client's half of the service's ping_pong; with an error, it raises that at the bottom."""

    def bouncing_callback(partner, depth):
        if depth:
            return ("bounce", depth, partner(bouncing_callback, depth - 1))
        if kind is not None:
            raise_named(kind, *args)
        return ("bounce", 0)

    return bouncing_callback


def make_failing_iterator(count, kind, *args):
    yield from range(count)
    raise_named(kind, *args)


def raise_named(kind, *args):
    """Raise the exception called `kind`, a built-in one or CustomError."""
    raise named_error(kind, *args)


def named_error(kind, *args):
    return (CustomError if kind == "CustomError" else getattr(builtins, kind))(*args)


MAKERS = {
    "counter": Counter,
    "record": Record,
    "version": Version,
    "context": Context,
    "tracked": Tracked,
    "recorder": Recorder,
    "raiser": make_raiser,
    "relay": make_relay,
    "bouncer": make_bouncer,
    "failing_iterator": make_failing_iterator,
    "iterator": lambda count: (number for number in range(count)),
    "list": lambda *items: list(items),
    "dict": lambda *pairs: dict(pairs),
    "file": lambda *lines: io.StringIO("".join(lines)),
}
