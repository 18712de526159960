"""Services: what each side of a connection offers to the other."""

import functools
import importlib
import importlib.util

from netref.core import vinegar
from netref.core.protocol import Connection, tell_service
from netref.lib import hybridmethod


class Service:
    """What a peer gets as the root of a connection.

    Derive from it; names that begin with ``exposed_`` (or are marked with :func:`netref.exposed` in a class marked with
    :func:`netref.service`) are open to the peer, all others are not. A server given the class makes an instance for each
    connection; given an instance, it shares that.

    The service's name is the class's, in capitals and without ``Service``, unless ``ALIASES`` lists others.
    """

    __slots__ = ()
    ALIASES = ()
    _protocol = Connection

    def on_connect(self, conn):
        """Called when a connection has been made."""

    def on_disconnect(self, conn):
        """Called once when a connection has ended; it can no longer be used."""

    def _rpyc_delattr(self, name):
        """Asked by peers who would delete an attribute: they may not."""
        raise AttributeError("access denied")

    def _rpyc_setattr(self, name, value):
        """Asked by peers who would assign to an attribute: they may not."""
        raise AttributeError("access denied")

    @classmethod
    def get_service_aliases(cls):
        """The service's names, in capitals."""
        if cls.ALIASES:
            return tuple(str(name).upper() for name in cls.ALIASES)
        return (cls.__name__.upper().removesuffix("SERVICE"),)

    @classmethod
    def get_service_name(cls):
        """The first of the service's names."""
        return cls.get_service_aliases()[0]

    exposed_get_service_aliases = get_service_aliases
    exposed_get_service_name = get_service_name

    @hybridmethod
    def _connect(self, channel, config={}):
        """Makes a connection over a channel that offers this service."""
        service = self() if isinstance(self, type) else self
        conn = service._protocol(service, channel, config)
        conn._hold()
        tell_service(service.on_connect, conn)
        conn._attend()
        return conn


class VoidService(Service):
    """A service that offers nothing."""

    __slots__ = ()


class ModuleNamespace:
    """The modules of the other side: ``conn.modules.os.path``, ``conn.modules["xml.dom"]``.

    One round trip for each module, once.
    """

    __slots__ = ("__cache", "__getmodule", "__weakref__")

    def __init__(self, getmodule):
        self.__getmodule = getmodule
        self.__cache = {}

    def __contains__(self, name):
        try:
            return self["importlib.util"].find_spec(name) is not None
        except ImportError:
            return False

    def __getitem__(self, name):
        try:
            return self.__cache[name]
        except KeyError:
            module = self.__cache[name] = self.__getmodule(name)
            return module

    def __getattr__(self, name):
        try:
            return self[name]
        except ImportError:
            raise AttributeError(name) from None


class Slave:
    """What classic mode lets a peer do: everything."""

    __slots__ = ("_conn", "namespace")

    def __init__(self):
        self._conn = None
        self.namespace = {}

    def execute(self, text):
        """Runs code."""
        exec(text, self.namespace)

    def eval(self, text):
        """The value of an expression."""
        return eval(text, self.namespace)

    def getmodule(self, name):
        """Imports a module. Modules of RPyC are answered with those that are here in their place."""
        if type(name) is tuple:
            name = ".".join(name)
        return importlib.import_module(vinegar.own_name(name))

    def getconn(self):
        """This side's connection."""
        return self._conn


class SlaveService(Slave, Service):
    """Classic mode: **lets the peer run any code in this process**. Only for peers that may do anything this process may."""

    __slots__ = ()

    def on_connect(self, conn):
        self._conn = conn
        conn._config.update(
            allow_all_attrs=True,
            allow_pickle=True,
            allow_getattr=True,
            allow_setattr=True,
            allow_delattr=True,
            allow_exposed_attrs=False,
            import_custom_exceptions=True,
            instantiate_custom_exceptions=True,
            instantiate_oldstyle_exceptions=True,
        )
        super().on_connect(conn)


class FakeSlaveService(VoidService):
    """Looks like a :class:`SlaveService` and offers nothing, for peers that expect one on both sides."""

    __slots__ = ()
    exposed_namespace = None
    exposed_execute = None
    exposed_eval = None
    exposed_getmodule = None
    exposed_getconn = None


class MasterService(Service):
    """Uses a peer that offers :class:`SlaveService`: the connection gets ``modules``, ``builtins``, ``eval``, ``execute``
    ``namespace`` and ``teleport``."""

    __slots__ = ()

    def on_connect(self, conn):
        super().on_connect(conn)
        self._install(conn, conn.root)

    @staticmethod
    def _install(conn, slave):
        conn.modules = ModuleNamespace(slave.getmodule)
        conn.eval = slave.eval
        conn.execute = slave.execute
        conn.namespace = slave.namespace
        conn.builtins = conn.builtin = conn.modules.builtins
        conn.teleport = functools.partial(_teleport, conn)


def _teleport(conn, func, globals=None, def_=True):
    """``conn.teleport``: see :func:`netref.utils.classic.teleport_function`."""
    from netref.utils.classic import teleport_function  # built on this module

    return teleport_function(conn, func, globals, def_)


class ClassicService(MasterService, SlaveService):
    """Classic mode in both directions: **either side can run any code in the other**."""

    __slots__ = ()


class ClassicClient(MasterService, FakeSlaveService):
    """Uses a peer in classic mode, and offers it nothing."""

    __slots__ = ()
