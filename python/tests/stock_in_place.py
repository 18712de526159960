"""A plugin of pytest: stock RPyC under the name of netref, so that tests which were written for netref run on it.

Tests of what netref alone has or does are marked ``differs``, with the reason, and left out. Tests of abuse have to fail, but for
those marked ``stock_survives``. See ``test_control.py``.
"""

import importlib
import importlib.abc
import importlib.util
import sys

import pytest

from abuse import FAILS


class StockInPlace(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """``netref.x`` is the module ``rpyc.x``."""

    def find_spec(self, name, path, target=None):
        package, _, rest = name.partition(".")
        if package != "netref":
            return None
        try:
            importlib.import_module(f"rpyc.{rest}" if rest else "rpyc")
        except ImportError:
            return None  # something of netref's own
        return importlib.util.spec_from_loader(name, self)

    def create_module(self, spec):
        return importlib.import_module("rpyc" + spec.name.removeprefix("netref"))

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, StockInPlace())


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if item.get_closest_marker("differs")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        if item.path.name.startswith("test_abuse") and not item.get_closest_marker("stock_survives"):
            item.add_marker(FAILS)
            item.add_marker(pytest.mark.limit(8))  # often it hangs
