"""The protocol."""

from .netref import BaseNetref
from .protocol import Connection
from .service import ClassicService, Service, SlaveService, VoidService

__all__ = ["BaseNetref", "ClassicService", "Connection", "Service", "SlaveService", "VoidService"]
