"""Has ``pickle``, by which peers deliver objects."""

import pickle

__all__ = ["pickle"]
