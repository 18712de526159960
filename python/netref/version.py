"""Versions.

``version`` and ``__version__`` name the release of RPyC whose API and protocol this package provides: programs compare them,
and peers are told them. The package's own version is ``netref_version``.
"""

from netref._netref import __version__ as netref_version  # noqa: F401 - for others to import

__version__ = version_string = "6.0.2"
version = tuple(__version__.split("."))  # of texts, as in RPyC
release_date = "2024-04-18"
