import logging
import socket
from collections.abc import Callable
from typing import Any

from netref.core.service import Service
from netref.utils.registrars import RegistryClient

class Server:
    active: bool
    service: type[Service] | Service
    authenticator: Callable[[socket.socket], tuple[socket.socket, Any]] | None
    backlog: int
    auto_register: bool
    protocol_config: dict[str, Any]
    clients: set[socket.socket]
    listener: socket.socket
    hostname: str
    #: The path, for a server on a unix socket.
    port: Any
    logger: logging.Logger
    def __init__(
        self,
        service: type[Service] | Service,
        hostname: str | None = None,
        ipv6: bool = False,
        port: int = 0,
        backlog: int = ...,
        reuse_addr: bool = True,
        authenticator: Callable[[socket.socket], tuple[socket.socket, Any]] | None = None,
        registrar: RegistryClient | None = None,
        auto_register: bool | None = None,
        protocol_config: dict[str, Any] | None = None,
        logger: logging.Logger | None = None,
        listener_timeout: float | None = 0.5,
        socket_path: str | None = None,
    ) -> None: ...
    @property
    def registrar(self) -> RegistryClient: ...
    @registrar.setter
    def registrar(self, registrar: RegistryClient | None) -> None: ...
    def fileno(self) -> int: ...
    def start(self) -> None: ...
    def close(self, grace: float | None = 0) -> None: ...
    def stats(self) -> dict[str, int]: ...
    def accept(self) -> None: ...
