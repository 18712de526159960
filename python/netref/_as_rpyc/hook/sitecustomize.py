"""Run by Python at its start, in the children of a process in which netref takes the place of RPyC.

Only one ``sitecustomize`` is run, so this one goes on to the one that it hides.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _install_finder():
    path = os.path.join(os.path.dirname(_HERE), "finder.py")
    spec = importlib.util.spec_from_file_location("_netref_as_rpyc", path)
    finder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(finder)
    finder.install()


def _run_hidden_sitecustomize():
    elsewhere = [path for path in sys.path if os.path.abspath(path or os.curdir) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec(__name__, elsewhere)
    if spec is not None and spec.loader is not None:
        hidden = importlib.util.module_from_spec(spec)
        sys.modules[__name__] = hidden
        spec.loader.exec_module(hidden)


try:
    _install_finder()
except Exception as error:
    # A process that cannot have netref is better than one that does not start.
    print(f"netref does not take the place of rpyc in process {os.getpid()}: {error}", file=sys.stderr)
_run_hidden_sitecustomize()
