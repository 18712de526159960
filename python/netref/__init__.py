"""Remote objects for Python, in place of RPyC: ``import netref as rpyc``.

A server::

    import netref as rpyc

    class MyService(rpyc.Service):
        def exposed_line_counter(self, fileobj, function):
            for linenum, line in enumerate(fileobj.readlines()):
                function(line)
            return linenum + 1

    rpyc.utils.server.ThreadedServer(MyService, port=18861).start()

and its client::

    import netref as rpyc

    conn = rpyc.connect("localhost", 18861)
    print(conn.root.line_counter(open("testfile.txt"), print))

The other side of a connection may be netref or RPyC 6, and RPyC 5 where that connects.
"""

import importlib

from netref._as_rpyc import install_as_rpyc
from netref._netref import limits
from netref.core import (
    AsyncResult,
    AsyncResultTimeout,
    BaseNetref,
    Channel,
    ClassicService,
    Connection,
    ConnectionLost,
    GenericException,
    MasterService,
    PipeStream,
    Service,
    SlaveService,
    SocketStream,
    StaleReference,
    TunneledSocketStream,
    VoidService,
)
from netref.core.timeouts import timeout
from netref.core.values import by_value, copy
from netref.lib import setup_logger, spawn
from netref.utils import classic, exposed, factory, helpers, server, service
from netref.utils.factory import (
    connect,
    connect_channel,
    connect_pipes,
    connect_stdpipes,
    connect_stream,
    connect_subproc,
    connect_thread,
    ssh_connect,
    ssl_connect,
)
from netref.utils.helpers import BgServingThread, async_, buffiter, classpartial, restricted, timed
from netref.utils.reconnecting import Reconnecting
from netref.utils.server import ForkingServer, OneShotServer, ThreadedServer, ThreadPoolServer
from netref.version import __version__, netref_version

__all__ = [
    "AsyncResult",
    "AsyncResultTimeout",
    "BaseNetref",
    "BgServingThread",
    "Channel",
    "ClassicService",
    "Connection",
    "ConnectionLost",
    "ForkingServer",
    "GenericException",
    "MasterService",
    "OneShotServer",
    "PipeStream",
    "Reconnecting",
    "Service",
    "SlaveService",
    "SocketStream",
    "StaleReference",
    "ThreadPoolServer",
    "ThreadedServer",
    "TunneledSocketStream",
    "VoidService",
    "__version__",
    "async_",
    "buffiter",
    "by_value",
    "classic",
    "classpartial",
    "cli",
    "connect",
    "connect_by_service",
    "connect_channel",
    "connect_pipes",
    "connect_stdpipes",
    "connect_stream",
    "connect_subproc",
    "connect_thread",
    "copy",
    "discover",
    "exposed",
    "factory",
    "helpers",
    "install_as_rpyc",
    "limits",
    "list_services",
    "netref_version",
    "restricted",
    "server",
    "service",
    "setup_logger",
    "spawn",
    "ssh_connect",
    "ssl_connect",
    "timed",
    "timeout",
]

globals()["async"] = async_  # what it was called before that was a keyword

__author__ = "the authors of netref"

_DISCOVERY = frozenset(["connect_by_service", "discover", "list_services"])


def __getattr__(name):
    """What few programs use is imported when it is."""
    if name in _DISCOVERY:
        return getattr(factory, name)
    if name == "cli":
        return importlib.import_module("netref.cli")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
