from collections.abc import Mapping
from typing import Any

from netref.core.protocol import Connection
from netref.core.service import Service
from netref.utils.registrars import RegistryClient

class DiscoveryError(Exception): ...
class ForbiddenError(Exception): ...

def discover(
    service_name: str, host: str | None = None, registrar: RegistryClient | None = None, timeout: float = 2
) -> tuple[tuple[str, int], ...]: ...
def list_services(
    registrar: RegistryClient | None = None, filter_host: str | None = None, timeout: float = 2
) -> tuple[str, ...]: ...
def connect_by_service(
    service_name: str,
    host: str | None = None,
    registrar: RegistryClient | None = None,
    timeout: float = 2,
    service: type[Service] | Service = ...,
    config: Mapping[str, Any] = {},
) -> Connection: ...
