"""Finds modules of RPyC among those of netref.

Imports nothing of netref by itself: every Python child process loads this file, and most of them never ask for RPyC.
"""

import importlib
import importlib.machinery
import importlib.util
import sys

_THEIRS = "rpyc"
_OURS = "netref"


def install():
    """Has ``import rpyc`` give netref in this process.

    :raises RuntimeError: if RPyC has been imported already, and is in use
    """
    if any(type(finder).__name__ == _Finder.__name__ for finder in sys.meta_path):
        return
    if _THEIRS in sys.modules:
        raise RuntimeError("rpyc has been imported already; let netref take its place before that")
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Stands before all other finders, and knows the names of RPyC's modules only."""

    def find_spec(self, name, path=None, target=None):
        if name != _THEIRS and not name.startswith(_THEIRS + "."):
            return None
        our_name = _OURS + name[len(_THEIRS) :]
        try:
            found = importlib.util.find_spec(our_name)
        except ModuleNotFoundError:
            found = None  # a child process that runs another Python, without netref
        if found is None:
            return None
        spec = importlib.machinery.ModuleSpec(name, _Loader(our_name, found), origin=found.origin)
        spec.submodule_search_locations = found.submodule_search_locations
        return spec


class _Loader:
    """Loads a module of netref under another name: the very same module, so that its classes exist once."""

    def __init__(self, our_name, our_spec):
        self._our_name = our_name
        self._our_spec = our_spec

    def create_module(self, spec):
        return importlib.import_module(self._our_name)

    def exec_module(self, module):
        module.__spec__ = self._our_spec  # the import system has just replaced it

    def get_code(self, name):
        """The module's code, for ``python -m``."""
        return self._our_spec.loader.get_code(self._our_name)

    def is_package(self, name):
        return self._our_spec.submodule_search_locations is not None
