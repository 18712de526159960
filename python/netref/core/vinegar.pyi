from types import TracebackType
from typing import Any

ClassType = type

REMOTE_LINE_START: str
REMOTE_LINE_END: str
REMOTE_LINE: str

class GenericException(Exception): ...

_generic_exceptions_cache: dict[str, type[GenericException]]

def dump(
    typ: type[BaseException],
    val: BaseException,
    tb: TracebackType | None,
    include_local_traceback: bool,
    include_local_version: bool,
) -> Any: ...
def load(
    val: Any, import_custom_exceptions: bool, instantiate_custom_exceptions: bool, instantiate_oldstyle_exceptions: bool
) -> BaseException: ...
def bounded(val: Any, max_text: int | None, max_attributes: int | None) -> Any: ...
def own_name(module_name: str) -> str: ...
def printable(text: str) -> str: ...
