"""Services: what peers get."""

import importlib

from .protocol import Connection


class Service:
    """What a peer gets as the root of a connection. Derive from it; names that begin with ``exposed_`` are open to the peer."""

    ALIASES = ()
    _protocol = Connection

    def on_connect(self, conn):
        """Called when a connection has been made."""

    def on_disconnect(self, conn):
        """Called once when a connection has ended."""

    def _rpyc_delattr(self, name):
        raise AttributeError("access denied")

    def _rpyc_setattr(self, name, value):
        raise AttributeError("access denied")

    @classmethod
    def get_service_aliases(cls):
        """The service's names, in capitals."""
        name = cls.__name__.upper()
        return tuple(alias.upper() for alias in cls.ALIASES) or (name[:-7] if name.endswith("SERVICE") else name,)

    @classmethod
    def get_service_name(cls):
        """The first of the service's names."""
        return cls.get_service_aliases()[0]

    exposed_get_service_aliases = get_service_aliases
    exposed_get_service_name = get_service_name


class VoidService(Service):
    """A service that offers nothing."""


class SlaveService(Service):
    """Classic mode: **lets the peer run any code in this process**."""

    def __init__(self):
        self._conn = None
        self.namespace = {}

    def on_connect(self, conn):
        self._conn = conn
        conn._config.update(
            allow_all_attrs=True,
            allow_setattr=True,
            allow_delattr=True,
            allow_pickle=True,
        )

    def execute(self, text):
        """Runs code."""
        exec(text, self.namespace)

    def eval(self, text):
        """The value of an expression."""
        return eval(text, self.namespace)

    def getmodule(self, name):
        """Imports a module."""
        return importlib.import_module(".".join(name) if type(name) is tuple else name)

    def getconn(self):
        """This side's connection."""
        return self._conn


ClassicService = SlaveService  # this side does not use the peer unless the peer gives it something to use
