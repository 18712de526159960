"""Small things that programs import from here, as they do from RPyC."""

import functools
import importlib
import inspect
import itertools
import logging
import random
import socket
import sys
import threading
import time
import types

SPAWN_THREAD_PREFIX = "RpycSpawnThread"
maxint = sys.maxsize


class MissingModule:
    """What :func:`safe_import` returns for a module that there is not: false, and an ``ImportError`` when used."""

    __slots__ = ("__name",)

    def __init__(self, name):
        self.__name = name

    def __getattr__(self, name):
        error = AttributeError if name.startswith("__") else ImportError
        raise error(f"module {self.__name!r} not found")

    def __bool__(self):
        return False


def safe_import(name):
    """A module, or a :class:`MissingModule` where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return MissingModule(name)


def setup_logger(quiet=False, logfile=None, namespace=None):
    """Sets up logging for a program and returns its logger, ``rpyc`` or ``rpyc.<namespace>``.

    :param quiet: whether to show errors only
    :param logfile: a file to log to, rather than standard error
    """
    if quiet:
        options = {"level": logging.ERROR, "format": "%(asctime)s %(levelname)s: %(message)s"}
    else:
        options = {"level": logging.DEBUG, "format": "%(asctime)s %(levelname)s %(name)s[%(threadName)s]: %(message)s"}
    if logfile:
        options["filename"] = logfile
    logging.basicConfig(datefmt="%b %d %H:%M:%S", **options)
    return logging.getLogger("rpyc" if namespace is None else f"rpyc.{namespace}")


class hybridmethod:
    """A method that gets the instance where it is called on one, and the class where it is called on that."""

    def __init__(self, func):
        self.func = func

    def __get__(self, obj, cls):
        return self.func.__get__(cls if obj is None else obj, obj)

    def __set__(self, obj, val):
        raise AttributeError("Cannot overwrite method")


def hasattr_static(obj, attr):
    """Whether ``obj`` has the attribute, found out without running any code of its."""
    missing = object()
    return inspect.getattr_static(obj, attr, missing) is not missing


_spawned = itertools.count(1)


def spawn(*args, **kwargs):
    """Starts a daemon thread that calls its first argument with the others, and returns it."""
    func, args = args[0], args[1:]
    name = f"{SPAWN_THREAD_PREFIX}-{getattr(func, '__qualname__', 'function')}-{next(_spawned)}"
    thread = threading.Thread(name=name, target=func, args=args, kwargs=kwargs, daemon=True)
    thread.start()
    return thread


def spawn_waitready(init, main):
    """Starts a thread that runs ``init`` and then ``main``, and waits until ``init`` has returned.

    :returns: the thread, and what ``init`` returned
    """
    ready = threading.Event()
    results = []

    def run():
        try:
            results.append(init())
        finally:
            ready.set()
        return main()

    thread = spawn(run)
    ready.wait()
    return thread, results[0]


class Timeout:
    """A time limit that can be passed on. ``None`` and negative numbers mean no limit.

    :param timeout: seconds from now, or another limit to share
    """

    def __init__(self, timeout):
        if isinstance(timeout, Timeout):
            self.finite, self.tmax = timeout.finite, timeout.tmax
        else:
            self.finite = timeout is not None and timeout >= 0
            self.tmax = time.time() + timeout if self.finite else None

    def expired(self):
        """Whether the time is over."""
        return self.finite and time.time() >= self.tmax

    def timeleft(self):
        """Seconds left, or None without a limit."""
        return max(0, self.tmax - time.time()) if self.finite else None

    def sleep(self, interval):
        """Sleeps for ``interval`` seconds, or until the time is over."""
        time.sleep(min(interval, self.timeleft()) if self.finite else interval)


def socket_backoff_connect(family, socktype, proto, addr, timeout, attempts):
    """A socket connected to ``addr``. An attempt that times out is repeated after a random pause.

    :param timeout: seconds for each attempt
    :param attempts: how many to make
    """
    attempt = 0
    while True:
        attempt += 1
        sock = socket.socket(family, socktype, proto)
        try:
            sock.settimeout(timeout)
            sock.connect(addr)
            return sock
        except TimeoutError:
            sock.close()
            if attempt >= attempts:
                raise
            time.sleep(exp_backoff(attempt))
        except BaseException:
            sock.close()
            raise


def exp_backoff(collision):
    """A random number of seconds that grows with the number of failures."""
    return random.uniform(0, 2 ** min(collision, 10)) * 0.0000512


def get_id_pack(obj):
    """What names an object to a peer: (class's name, class's id, object's id), with 0 for the last where the object is a class.

    A connection sends numbers of its own in place of the two ids.
    """
    pack = getattr(obj, "____id_pack__", None)
    if isinstance(pack, tuple):  # rather than what a class of proxies has under that name
        return pack
    if isinstance(obj, type):
        return f"{obj.__module__}.{obj.__name__}", id(obj), 0
    if isinstance(obj, types.ModuleType):
        name = obj.__name__
        if name not in sys.modules:
            name = f"{type(obj).__module__}.{name}"
    else:
        cls = getattr(obj, "__class__", type(obj))
        name = f"{cls.__module__}.{cls.__name__}"
    return name, id(type(obj)), id(obj)


def get_methods(obj_attrs, obj):
    """The methods of an object's class, and of its metaclass if it is a class.

    :param obj_attrs: names to leave out
    :returns: pairs (name, docstring)
    """
    classes = type(obj).__mro__
    if isinstance(obj, type):
        classes = obj.__mro__ + classes
    return _methods(obj_attrs, classes)


def methods_of_instances(obj_attrs, cls):
    """The methods of the instances of a class, as :func:`get_methods` returns them for each."""
    return _methods(obj_attrs, cls.__mro__)


def _methods(obj_attrs, classes):
    attributes = {}
    for cls in reversed(classes):
        attributes.update(cls.__dict__)
    return [
        (name, _documentation(attribute))
        for name, attribute in attributes.items()
        if name not in obj_attrs and (isinstance(attribute, _ROUTINES) or inspect.isroutine(attribute))
    ]


#: The classes of most routines, which need no further thought.
_ROUTINES = (
    *(types.FunctionType, types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType),
    *(types.BuiltinFunctionType, classmethod, staticmethod),
)


def _documentation(attribute):
    """What :func:`inspect.getdoc` returns. Every connection asks for the same few."""
    doc = getattr(attribute, "__doc__", None)
    return _cleaned(doc) if type(doc) is str else inspect.getdoc(attribute)


_cleaned = functools.lru_cache(1024)(inspect.cleandoc)
