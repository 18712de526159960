"""The protocol: connections, services, proxies, streams."""

from netref.core.async_ import AsyncResult, AsyncResultTimeout
from netref.core.channel import Channel
from netref.core.errors import ConnectionLost, StaleReference
from netref.core.netref import BaseNetref
from netref.core.protocol import DEFAULT_CONFIG, Connection
from netref.core.service import (
    ClassicService,
    MasterService,
    Service,
    SlaveService,
    VoidService,
)
from netref.core.stream import PipeStream, SocketStream, TunneledSocketStream
from netref.core.vinegar import GenericException

__all__ = [
    "DEFAULT_CONFIG",
    "AsyncResult",
    "AsyncResultTimeout",
    "BaseNetref",
    "Channel",
    "ClassicService",
    "Connection",
    "ConnectionLost",
    "GenericException",
    "MasterService",
    "PipeStream",
    "Service",
    "SlaveService",
    "SocketStream",
    "StaleReference",
    "TunneledSocketStream",
    "VoidService",
]
