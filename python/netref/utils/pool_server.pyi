import threading
from typing import Any

from netref.core.protocol import Connection
from netref.utils.server_base import Server

class ThreadPoolServer(Server):
    nbthreads: int
    request_batch_size: int
    fd_to_conn: dict[int, Connection]
    workers: list[threading.Thread]
    polling_thread: threading.Thread | None
    def __init__(self, *args: Any, nbThreads: int = 20, requestBatchSize: int = 10, **kwargs: Any) -> None: ...
