import socket
import ssl
from collections.abc import Mapping
from typing import Any

class AuthenticationError(Exception): ...

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
