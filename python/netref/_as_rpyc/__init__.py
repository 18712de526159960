"""Making ``import rpyc`` mean netref, in this process and in the Python processes that it starts."""

import os

from netref._as_rpyc import finder

#: Put on the path of child processes: the ``sitecustomize`` in it does there what :func:`install_as_rpyc` does here.
_HOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hook")


def install_as_rpyc():
    """From now on ``import rpyc`` gives netref, and ``rpyc.x.y`` the module ``netref.x.y``, also where RPyC is installed.

    Python processes that this one starts do the same, unless they ignore the environment (``python -I``, ``python -E``), get
    another one, or have no netref.

    :raises RuntimeError: if RPyC has been imported already
    """
    finder.install()
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if _HOOK not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([_HOOK, *paths])
