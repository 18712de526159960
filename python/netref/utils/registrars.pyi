import logging
from collections.abc import Iterable

from netref.utils.server_base import Server

MAGIC: str
MAX_ANSWER: int
MAX_DGRAM_SIZE: int
REGISTRY_PORT: int

class RegistryClient:
    REREGISTER_INTERVAL: float
    ip: str
    port: int
    timeout: float
    logger: logging.Logger
    def __init__(self, ip: str, port: int, timeout: float, logger: logging.Logger | None = None) -> None: ...
    def discover(self, name: str) -> tuple[tuple[str, int], ...]: ...
    def list(self, filter_host: str | None = None) -> tuple[str, ...] | None: ...
    def register(self, aliases: Iterable[str], port: int, interface: str = "") -> bool: ...
    def unregister(self, port: int) -> None: ...

class UDPRegistryClient(RegistryClient):
    sock_family: int
    bcast: bool
    def __init__(
        self,
        ip: str = "255.255.255.255",
        port: int = ...,
        timeout: float = 2,
        bcast: bool | None = None,
        logger: logging.Logger | None = None,
        ipv6: bool = False,
    ) -> None: ...

class TCPRegistryClient(RegistryClient):
    def __init__(self, ip: str, port: int = ..., timeout: float = 2, logger: logging.Logger | None = None) -> None: ...

def keep_registered(server: Server, registrar: RegistryClient) -> None: ...
def unregister(server: Server, registrar: RegistryClient) -> None: ...
