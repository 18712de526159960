from netref import cli as cli
from netref._as_rpyc import install_as_rpyc as install_as_rpyc
from netref._netref import limits as limits
from netref.core import AsyncResult as AsyncResult
from netref.core import AsyncResultTimeout as AsyncResultTimeout
from netref.core import BaseNetref as BaseNetref
from netref.core import Channel as Channel
from netref.core import ClassicService as ClassicService
from netref.core import Connection as Connection
from netref.core import ConnectionLost as ConnectionLost
from netref.core import GenericException as GenericException
from netref.core import MasterService as MasterService
from netref.core import PipeStream as PipeStream
from netref.core import Service as Service
from netref.core import SlaveService as SlaveService
from netref.core import SocketStream as SocketStream
from netref.core import StaleReference as StaleReference
from netref.core import TunneledSocketStream as TunneledSocketStream
from netref.core import VoidService as VoidService
from netref.core.timeouts import timeout as timeout
from netref.core.values import by_value as by_value
from netref.core.values import copy as copy
from netref.lib import setup_logger as setup_logger
from netref.lib import spawn as spawn
from netref.utils import classic as classic
from netref.utils import exposed as exposed
from netref.utils import factory as factory
from netref.utils import helpers as helpers
from netref.utils import server as server
from netref.utils import service as service
from netref.utils.discovery import connect_by_service as connect_by_service
from netref.utils.discovery import discover as discover
from netref.utils.discovery import list_services as list_services
from netref.utils.factory import connect as connect
from netref.utils.factory import connect_channel as connect_channel
from netref.utils.factory import connect_pipes as connect_pipes
from netref.utils.factory import connect_stdpipes as connect_stdpipes
from netref.utils.factory import connect_stream as connect_stream
from netref.utils.factory import connect_subproc as connect_subproc
from netref.utils.factory import connect_thread as connect_thread
from netref.utils.factory import ssh_connect as ssh_connect
from netref.utils.factory import ssl_connect as ssl_connect
from netref.utils.helpers import BgServingThread as BgServingThread
from netref.utils.helpers import async_ as async_
from netref.utils.helpers import buffiter as buffiter
from netref.utils.helpers import classpartial as classpartial
from netref.utils.helpers import restricted as restricted
from netref.utils.helpers import timed as timed
from netref.utils.reconnecting import Reconnecting as Reconnecting
from netref.utils.server import ForkingServer as ForkingServer
from netref.utils.server import OneShotServer as OneShotServer
from netref.utils.server import ThreadedServer as ThreadedServer
from netref.utils.server import ThreadPoolServer as ThreadPoolServer

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

__version__: str
netref_version: str
__author__: str
