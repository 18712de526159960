"""Objects of all kinds, for there to be proxies of."""

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import io
import pathlib
import re
import types


class Plain:
    """Has little of its own."""

    shared = "of the class"

    def __init__(self, value=0):
        self.value = value

    def method(self, first, second=2, *rest, third=3, **others):
        """Takes all kinds of arguments."""
        return first, second, rest, third, tuple(sorted(others.items()))

    @classmethod
    def class_method(cls, x):
        return cls.__name__, x

    @staticmethod
    def static_method(x):
        return x

    @property
    def doubled(self):
        return self.value * 2

    @property
    def broken(self):
        raise AttributeError("broken inside")


class Child(Plain):
    def __eq__(self, other):
        return isinstance(other, (Child, int)) and int(other) == self.value

    def __hash__(self):
        return 77

    def __int__(self):
        return self.value


class Operators:
    """Every operator, saying which one ran."""

    def __init__(self, x=5):
        self.x = x

    def __getitem__(self, key):
        return ("getitem", key if isinstance(key, (int, str, slice)) else "other")

    def __missing__(self, key):
        return "missing"

    def __length_hint__(self):
        return 3

    def __format__(self, spec):
        return f"formatted<{spec}>"

    def __bytes__(self):
        return b"bytes"

    def __complex__(self):
        return 1j

    def __index__(self):
        return self.x

    def __round__(self, digits=None):
        return ("round", digits)

    def __divmod__(self, other):
        return ("divmod", other)

    def __pow__(self, other, modulo=None):
        return ("pow", other, modulo)

    def __call__(self, *args, **kwargs):
        return ("called", args, tuple(sorted(kwargs)))

    def __iter__(self):
        return iter("abc")

    def __reversed__(self):
        return iter("cba")

    def __contains__(self, item):
        return item == "in"

    def __len__(self):
        return 3

    def __bool__(self):
        return False

    def __enter__(self):
        return "entered"

    def __exit__(self, kind, value, traceback):
        return True

    def __sizeof__(self):
        return 4711

    def __dir__(self):
        return ["one", "two"]

    def __fspath__(self):
        return "/some/path"


def _operator(name):
    def method(self, *others):
        return (name, *(other for other in others if isinstance(other, (int, str, float))))

    return method


for _name in "add sub mul truediv floordiv mod matmul lshift rshift and or xor".split():
    for _prefix in ("__", "__r"):
        setattr(Operators, f"{_prefix}{_name}__", _operator(_prefix + _name))
for _name in "neg pos invert abs trunc floor ceil".split():
    setattr(Operators, f"__{_name}__", _operator(_name))
for _name in "lt le gt ge".split():
    setattr(Operators, f"__{_name}__", _operator(_name))


class Meta(type):
    def __call__(cls, *args):
        return super().__call__(*args)

    def __len__(cls):
        return 42

    def __iter__(cls):
        return iter((1, 2))

    def __instancecheck__(cls, obj):
        return obj == "counts"


class WithMeta(metaclass=Meta):
    attribute = 1


@dataclasses.dataclass(order=True)
class Data:
    a: int = 1
    b: list = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class CustomError(Exception):
    def __init__(self, text="custom", code=7):
        super().__init__(text)
        self.code = code


@contextlib.contextmanager
def managed():
    yield "managed"


def generate(count=3):
    received = []
    for number in range(count):
        received.append((yield number))
    return received


def function(first, second=2, *rest, third=3, **others):
    """What the function does."""
    return first, second, rest, third, tuple(sorted(others.items()))


Point = collections.namedtuple("Point", "x y")

MAKERS = {
    "list": lambda: [3, 1, 2],
    "dict": lambda: {"b": 1, "a": [2]},
    "set": lambda: {1, 2, 3},
    "bytearray": lambda: bytearray(b"abc"),
    "range": lambda: range(2, 20, 3),
    "iterator": lambda: iter([1, 2]),
    "generator": generate,
    "managed": managed,
    "function": lambda: function,
    "builtin": lambda: sorted,
    "method": lambda: Plain(4).method,
    "plain": lambda: Plain(3),
    "child": lambda: Child(3),
    "operators": Operators,
    "class": lambda: Plain,
    "meta": lambda: WithMeta,
    "exception_class": lambda: CustomError,
    "builtin_class": lambda: ValueError,
    "int_class": lambda: int,
    "data": lambda: Data(1, [2]),
    "data_class": lambda: Data,
    "enum": lambda: Colour.RED,
    "enum_class": lambda: Colour,
    "point": lambda: Point(1, 2),
    "exception": lambda: CustomError("kept", 3),
    "module": lambda: types.ModuleType("some_module", "Doc of the module."),
    "real_module": lambda: pathlib,
    "counter": lambda: collections.Counter("aab"),
    "decimal": lambda: decimal.Decimal("1.50"),
    "date": lambda: datetime.date(2020, 2, 29),
    "path": lambda: pathlib.PurePosixPath("/a/b.txt"),
    "pattern": lambda: re.compile("(?P<letter>[a-c])+"),
    "stringio": lambda: io.StringIO("one\ntwo\n"),
    "memoryview": lambda: memoryview(b"abc"),
    "object": object,
    "property": lambda: Plain.doubled,
    "mappingproxy": lambda: types.MappingProxyType({"a": 1}),
    "str_subclass": lambda: type("Text", (str,), {})("text"),
}
