"""Results that will be there later."""

from netref._netref import AsyncResult

__all__ = ["AsyncResult", "AsyncResultTimeout"]

#: What waiting for a result raises when it does not come in time.
AsyncResultTimeout = TimeoutError
