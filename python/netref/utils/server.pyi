from typing import Any

from netref.utils.pool_server import ThreadPoolServer as ThreadPoolServer
from netref.utils.server_base import Server as Server

__all__ = ["ForkingServer", "GeventServer", "OneShotServer", "Server", "ThreadPoolServer", "ThreadedServer"]

class ThreadedServer(Server): ...
class OneShotServer(Server): ...

class ForkingServer(Server):
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

class GeventServer(Server): ...
