from collections.abc import Callable, Container, Iterator
from typing import Any

from netref._netref import AsyncResult, BaseNetref
from netref.core.protocol import Connection

def buffiter(obj: Any, chunk: int = 10, max_chunk: int = 1000, factor: float = 2) -> Iterator[Any]: ...

def restricted(obj: Any, attrs: Container[str], wattrs: Container[str] | None = None) -> Any: ...

class _Async:
    proxy: BaseNetref
    def __init__(self, proxy: BaseNetref) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> AsyncResult: ...

def async_(proxy: Any) -> _Async: ...

class timed:
    proxy: _Async
    timeout: float | None
    def __init__(self, proxy: Any, timeout: float | None) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> AsyncResult: ...

class BgServingThread:
    SERVE_INTERVAL: float
    SLEEP_INTERVAL: float
    def __init__(
        self,
        conn: Connection,
        callback: Callable[[], object] | None = None,
        serve_interval: float = ...,
        sleep_interval: float = ...,
    ) -> None: ...
    def __del__(self) -> None: ...
    def stop(self) -> None: ...

def classpartial(*args: Any, **kwargs: Any) -> type[Any]: ...
