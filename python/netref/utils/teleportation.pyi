from collections.abc import Callable
from typing import Any

CODEOBJ_MAGIC: str

def export_function(func: Callable[..., Any]) -> tuple[Any, ...]: ...
def import_function(
    functup: tuple[Any, ...], globals: dict[str, Any] | None = None, def_: bool = True
) -> Callable[..., Any]: ...
def decode_codeobj(codeobj: Any) -> Any: ...
