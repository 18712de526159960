"""``netref run``: runs a program that says ``import rpyc``, with netref in RPyC's place."""

import io
import os
import runpy
import sys
import types

from netref._as_rpyc import install_as_rpyc

USAGE = """\
usage: netref run PROGRAM [ARGUMENT ...]
       netref run -m MODULE [ARGUMENT ...]

Runs a Python program, or a module as `python -m` does, in which `import rpyc` gives netref,
also in the Python processes that it starts.
"""


def main(arguments):
    """Runs the program that the arguments name, as the main program of this process.

    :param arguments: the program's path, or ``-m`` and a module's name, and then the program's own arguments
    :returns: 2 if they name none
    """
    if not arguments or arguments == ["-m"]:
        print(USAGE, file=sys.stderr, end="")
        return 2
    if arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    install_as_rpyc()
    if arguments[0] == "-m":
        _run_module(arguments[1], arguments[2:])
    else:
        _run_file(arguments[0], arguments[1:])
    return 0


def _run_module(name, arguments):
    sys.argv = [name, *arguments]
    _replace_first_path(os.getcwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_file(path, arguments):
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        sys.argv = [path, *arguments]
        runpy.run_path(path, run_name="__main__")
        return
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        sys.exit(f"netref run: cannot read {path!r}: {error.strerror}")
    sys.argv = [path, *arguments]
    _replace_first_path(os.path.dirname(os.path.abspath(path)))
    # Not by runpy, which takes the main module away when it ends: threads go on, and pickle looks classes up in it.
    program = types.ModuleType("__main__")
    program.__file__ = path
    program.__builtins__ = __builtins__
    sys.modules["__main__"] = program
    exec(compile(source, path, "exec"), vars(program))


def _replace_first_path(directory):
    """Puts the program's directory in the place of the one that ``python -m netref`` or the script ``netref`` came from."""
    if not getattr(sys.flags, "safe_path", False) and sys.path:  # a flag from Python 3.11 on
        sys.path[0] = directory
