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

from netref.core import (
    AsyncResult,
    AsyncResultTimeout,
    BaseNetref,
    Channel,
    ClassicService,
    Connection,
    GenericException,
    MasterService,
    Service,
    SlaveService,
    SocketStream,
    VoidService,
)
from netref.lib import setup_logger, spawn
from netref.utils import exposed, service
from netref.utils import classic, factory, helpers, server
from netref.utils.factory import connect, connect_channel, connect_stream
from netref.utils.helpers import BgServingThread, async_, buffiter, classpartial, restricted, timed
from netref.utils.server import OneShotServer, ThreadedServer
from netref.version import __version__, netref_version

__all__ = [
    "AsyncResult",
    "AsyncResultTimeout",
    "BaseNetref",
    "BgServingThread",
    "Channel",
    "ClassicService",
    "Connection",
    "GenericException",
    "MasterService",
    "OneShotServer",
    "Service",
    "SlaveService",
    "SocketStream",
    "ThreadedServer",
    "VoidService",
    "__version__",
    "async_",
    "buffiter",
    "classic",
    "classpartial",
    "connect",
    "connect_channel",
    "connect_stream",
    "exposed",
    "factory",
    "helpers",
    "netref_version",
    "restricted",
    "server",
    "service",
    "setup_logger",
    "spawn",
    "timed",
]

globals()["async"] = async_  # what it was called before that was a keyword
