"""Plain immutable data as bytes: None, bool, int, float, complex, str, bytes, slice, and tuples and frozensets of these."""

from netref._netref import dump, dumpable, load

__all__ = ["dump", "dumpable", "load"]
