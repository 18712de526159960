"""The release of RPyC whose protocol this is."""

version = (6, 0, 2)
__version__ = ".".join(map(str, version))
