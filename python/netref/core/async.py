"""What :mod:`netref.core.async_` was called before that was a keyword."""

from netref.core.async_ import AsyncResult, AsyncResultTimeout

__all__ = ["AsyncResult", "AsyncResultTimeout"]
