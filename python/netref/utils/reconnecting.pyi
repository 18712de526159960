from collections.abc import Callable
from types import TracebackType
from typing import Any

from typing_extensions import Self

from netref.core.protocol import Connection

class Reconnecting:
    def __init__(
        self,
        dial: Callable[[], Connection],
        on_state: Callable[[str, BaseException | None], object] | None = None,
        *,
        timeout: float | None = 30,
        first_pause: float = 0.1,
        last_pause: float = 30,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, typ: type[BaseException] | None, val: BaseException | None, tb: TracebackType | None) -> None: ...
    @property
    def root(self) -> Any: ...
    @property
    def state(self) -> str: ...
    @property
    def connection(self) -> Connection: ...
    def close(self) -> None: ...
