import logging
import socket
from typing import Any

from netref.utils.registrars import MAX_DGRAM_SIZE as MAX_DGRAM_SIZE
from netref.utils.registrars import REGISTRY_PORT as REGISTRY_PORT
from netref.utils.registrars import RegistryClient as RegistryClient
from netref.utils.registrars import TCPRegistryClient as TCPRegistryClient
from netref.utils.registrars import UDPRegistryClient as UDPRegistryClient
from netref.utils.registrars import keep_registered as keep_registered

__all__ = [
    "DEFAULT_PRUNING_TIMEOUT",
    "MAX_DGRAM_SIZE",
    "REGISTRY_PORT",
    "RegistryClient",
    "RegistryServer",
    "TCPRegistryClient",
    "TCPRegistryServer",
    "UDPRegistryClient",
    "UDPRegistryServer",
    "keep_registered",
]

DEFAULT_PRUNING_TIMEOUT: float

class RegistryServer:
    sock: socket.socket | None
    port: int
    active: bool
    services: dict[str, dict[tuple[str, int], float]]
    pruning_timeout: float
    logger: logging.Logger
    allow_listing: bool
    def __init__(
        self,
        listenersock: socket.socket,
        pruning_timeout: float | None = None,
        logger: logging.Logger | None = None,
        allow_listing: bool = False,
    ) -> None: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
    def cmd_query(self, host: str, name: str) -> Any: ...
    def cmd_list(self, host: str, filter_host: str | None) -> Any: ...
    def cmd_register(self, host: str, names: Any, port: int) -> Any: ...
    def cmd_unregister(self, host: str, port: int) -> Any: ...
    def on_service_added(self, name: str, addrinfo: tuple[str, int]) -> None: ...
    def on_service_removed(self, name: str, addrinfo: tuple[str, int]) -> None: ...

class UDPRegistryServer(RegistryServer):
    TIMEOUT: float
    def __init__(
        self,
        host: str = "0.0.0.0",
        port: int = ...,
        pruning_timeout: float | None = None,
        logger: logging.Logger | None = None,
        allow_listing: bool = False,
    ) -> None: ...

class TCPRegistryServer(RegistryServer):
    TIMEOUT: float
    def __init__(
        self,
        host: str = "0.0.0.0",
        port: int = ...,
        pruning_timeout: float | None = None,
        logger: logging.Logger | None = None,
        reuse_addr: bool = True,
        allow_listing: bool = False,
    ) -> None: ...
