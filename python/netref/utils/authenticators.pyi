import socket
import ssl
from collections.abc import Mapping
from typing import Any

from netref.core.protocol import Connection
from netref.core.service import Service

class AuthenticationError(Exception): ...

class SharedSecret:
    def __init__(self, secret: bytes) -> None: ...
    def __call__(self, sock: socket.socket) -> tuple[socket.socket, str]: ...
    def prove(self, sock: socket.socket) -> None: ...
    def connect(
        self,
        host: str,
        port: int,
        *,
        ipv6: bool = False,
        service: type[Service] | Service = ...,
        config: Mapping[str, Any] = ...,
    ) -> Connection: ...

class SSLAuthenticator:
    keyfile: str
    certfile: str
    ca_certs: str | None
    ciphers: str | None
    cert_reqs: ssl.VerifyMode | int | None
    ssl_version: int | None
    def __init__(
        self,
        keyfile: str,
        certfile: str,
        ca_certs: str | None = None,
        cert_reqs: ssl.VerifyMode | int | None = None,
        ssl_version: int | None = None,
        ciphers: str | None = None,
    ) -> None: ...
    def __call__(self, sock: socket.socket) -> tuple[socket.socket, Mapping[str, Any] | None]: ...
