"""Services that run on netref and on stock RPyC alike."""

import builtins
import collections
import datetime
import decimal
import enum
import threading

Point = collections.namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 1


class Plain:
    """An object with little of its own."""

    shared = "of the class"

    def __init__(self, value=0):
        self.value = value
        self.exposed_value = value

    def exposed_double(self):
        return 2 * self.value


class Vector:
    """Has operators, and says in their results which one ran."""

    def __init__(self, x):
        self.x = x

    def __add__(self, other):
        return ("add", self.x, other)

    def __radd__(self, other):
        return ("radd", other, self.x)

    def __neg__(self):
        return -self.x

    def __eq__(self, other):
        return other == self.x

    def __lt__(self, other):
        return self.x < other

    def __hash__(self):
        return hash(self.x)

    def __bool__(self):
        return self.x != 0

    def __int__(self):
        return self.x

    def __float__(self):
        return float(self.x)

    def __index__(self):
        return self.x

    def __call__(self, *args, **kwargs):
        return args, tuple(sorted(kwargs.items()))

    def __contains__(self, item):
        return item == self.x

    def __enter__(self):
        return self

    def __exit__(self, typ, val, tb):
        self.exited = True
        return False

    def __iadd__(self, other):
        self.x += other
        return self


class CustomError(Exception):
    """Known by name on both sides, if both run this file."""

    def __init__(self, text, code=0):
        super().__init__(text)
        self.code = code


MAKERS = {
    "list": lambda: [1, 2, 3],
    "dict": lambda: {"a": 1, "b": 2},
    "set": lambda: {1, 2},
    "bytearray": lambda: bytearray(b"abc"),
    "plain": Plain,
    "vector": lambda: Vector(5),
    "zero": lambda: Vector(0),
    "point": lambda: Point(1, 2),
    "colour": lambda: Colour.RED,
    "error": lambda: CustomError("kept", 3),
    "function": lambda: lambda *args: args,
    "iterator": lambda: iter(range(25)),
    "range": lambda: range(100),
    "nested": lambda: [{"name": "é", "numbers": [1, 2.5, None], "more": {(1, 2): {"deep": bytearray(b"x")}}}, {3, 4}, ()],
    "named": lambda: [datetime.datetime(2024, 2, 29, 1, 2, 3, 4, datetime.timezone.utc), decimal.Decimal("1.50")],
    "times": lambda: [datetime.timedelta(*parts) for parts in ((0,), (1, 7200), (-2, 3), (999999999, 1, 2), (-999999999,))],
    "Plain": lambda: Plain,
    "TypeError": lambda: TypeError,
    "object": object,
}


def everyday_service(api):
    """The service class on top of ``api``, which is netref or rpyc."""

    class EverydayService(api.Service):
        exposed_number = 42
        secret = "not exposed"

        def on_connect(self, conn):
            self._conn = conn
            self._kept = None

        def exposed_echo(self, value):
            return value

        def exposed_make(self, name):
            return MAKERS[name]()

        def exposed_add(self, a, b=10):
            return a + b

        def exposed_call(self, function, *args, **kwargs):
            return function(*args, **kwargs)

        def exposed_bounce(self, partner, depth):
            """Calls ``partner(self.exposed_bounce, depth - 1)``, which does the same from its side."""
            return 0 if depth == 0 else 1 + partner(self.exposed_bounce, depth - 1)

        def exposed_each(self, items):
            return [item for item in items]

        def exposed_raise(self, name, *args):
            raise getattr(builtins, name, CustomError)(*args)

        def exposed_fail(self, function):
            return function()

        def exposed_generate(self, count):
            yield from range(count)
            raise ValueError("out of numbers")

        def exposed_keep(self, value):
            self._kept = value

        def exposed_kept(self):
            return self._kept

        def exposed_evaluate(self, source):
            """The value of an expression, in which ``kept`` is what was kept."""
            return eval(source, {"kept": self._kept})

        def exposed_keep_evaluated(self, source):
            self._kept = eval(source)

        def exposed_execute(self, source):
            exec(source, {"kept": self._kept})

        def exposed_for_each(self, items, function):
            for item in items:
                function(item)

        def exposed_for_each_made(self, make, function):
            for item in make():
                function(item)

        def exposed_get(self, value, name):
            return getattr(value, name)

        def exposed_later(self, function, seconds):
            """Calls the function from a thread of its own, after this call has returned."""
            threading.Timer(seconds, api.async_(function)).start()

        def exposed_side_by_side(self, *functions):
            """Calls each function from a thread of its own, and returns when all have."""
            threads = [threading.Thread(target=function) for function in functions]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def exposed_size(self, value):
            return len(value)

        def exposed_type_name(self, value):
            return type(value).__name__

        def exposed_isinstance(self, value, names):
            return tuple(isinstance(value, getattr(builtins, name)) for name in names)

        def exposed_async_call(self, function, *args):
            result = api.async_(function)(*args)
            result.wait()
            return result.value

    return EverydayService
