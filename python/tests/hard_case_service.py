"""What the server does in the hard cases, on netref and on stock RPyC alike."""

import builtins
import gc
import os
import threading
import time


class Raising(Exception):
    """Cannot be described: looking at it raises."""

    @property
    def nasty(self):
        raise RuntimeError("a property that raises")


class CallsWhenDeleted:
    """Calls the client from its destructor."""

    def __init__(self, callback):
        self._callback = callback

    def __del__(self):
        try:
            self._callback([1])
        except EOFError:
            pass  # the connection is gone, which is why this is being deleted


class Box:
    """Has a number, and memory that another one may get once it is gone."""

    def __init__(self, number):
        self.exposed_number = number


def lent_over(conn):
    """How many objects are lent to the peer of a connection of either implementation, once garbage is collected."""
    if hasattr(conn, "stats"):
        gc.collect()
        return conn.stats()["objects_lent"]
    conn._last_traceback = None  # which refers to what the latest failed call did
    gc.collect()
    return len(conn._local_objects._dict)


def hard_service(api):
    """The service class on top of ``api``, which is netref or rpyc."""

    class HardService(api.Service):
        def __init__(self):
            self._boxes, self._kept = [], []

        def on_connect(self, conn):
            self._conn = conn

        def exposed_implementation(self):
            return api.__name__

        def exposed_lent(self):
            """How many objects are lent to the client."""
            return lent_over(self._conn)

        def exposed_ok(self):
            return 1

        def exposed_pid(self):
            return os.getpid()

        def exposed_threads(self):
            return threading.active_count()

        def exposed_descriptors(self):
            return len(os.listdir("/proc/self/fd"))

        def exposed_memory(self):
            """Most memory that the process has had, in KiB."""
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

        def exposed_echo(self, value):
            return value

        def exposed_call(self, function, *args):
            return function(*args)

        def exposed_go(self, function):
            return function()

        def exposed_in_two_threads(self, wait, release):
            first = threading.Thread(target=wait)
            first.start()
            time.sleep(0.2)  # the case is that `wait` has begun; if it has not, the case is an easier one
            second = threading.Thread(target=release)
            second.start()
            first.join()
            second.join()

        def exposed_objects(self, count):
            return tuple(Box(number) for number in range(count))

        def exposed_sleep(self, seconds):
            time.sleep(seconds)
            return [seconds]

        def exposed_sleep_long(self):
            time.sleep(100)

        def exposed_call_and_sleep(self, function, seconds):
            self._result = api.async_(function)()
            time.sleep(seconds)

        def exposed_storm(self, function, count, by_reference):
            call = api.async_(function)
            results = [call([number] if by_reference else number) for number in range(count)]
            return sum(result.value for result in results)

        def exposed_unencodable(self, which):
            if which == "behind an object":
                return Box(1), "ab\udcff"
            if which == "surrogate":
                return "ab\udcff"
            if which == "integer":
                return 1 << 20000
            if which == "deep":
                value = ()
                for _ in range(1000):
                    value = (value,)
                return value
            raise Raising("cannot be described")

        def exposed_raise_group(self):
            # There are none before Python 3.11.
            group = getattr(builtins, "ExceptionGroup", ValueError)
            raise group("several", [ValueError("one"), KeyError("two")])

        def exposed_hold(self, callback):
            return CallsWhenDeleted(callback)

        def exposed_call_made(self, first, make):
            """Calls ``first``, and behind it a function that nobody holds once it is sent."""
            function = make()
            results = [api.async_(first)(), api.async_(function)()]
            del function
            return tuple(result.value for result in results)

        def exposed_box(self, number):
            """A box, and no other than this one is alive here."""
            self._boxes[:] = [Box(number)]
            return self._boxes[0]

        def exposed_same_box(self):
            return self._boxes[0] if self._boxes else None

        def exposed_drop_box(self):
            self._boxes.clear()

        def exposed_keep(self, *values):
            self._kept.extend(values)

        def exposed_forget(self):
            self._kept.clear()

        def exposed_copy(self, how, value):
            import copy
            import multiprocessing
            import pickle

            ways = {
                "copy": copy.copy,
                "deepcopy": copy.deepcopy,
                "obtain": api.classic.obtain,
                "pickle": lambda value: pickle.loads(pickle.dumps(value)),
                "queue": _through_a_queue(multiprocessing),
            }
            ways[how](value)

        def exposed_modules_seen(self, name):
            import sys

            return name in sys.modules

    return HardService


def _through_a_queue(multiprocessing):
    def put_and_get(value):
        # As a queue does it, but here and now rather than in a thread that only prints what went wrong.
        return multiprocessing.reduction.ForkingPickler.loads(multiprocessing.reduction.ForkingPickler.dumps(value))

    return put_and_get
