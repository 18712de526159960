"""``netref run``: runs a program that says ``import rpyc``, with netref in RPyC's place."""

import builtins
import io
import os
import pkgutil
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
    _become_main()
    runpy._run_module_as_main(name)


def _run_file(name, arguments):
    sys.argv = [name, *arguments]
    path = os.path.abspath(name)  # as in Python itself: the program may go to another directory
    if pkgutil.get_importer(path) is not None:  # a directory or an archive, whatever it is called
        _replace_first_path(path)
        if path not in sys.path:  # `python -P`
            sys.path.insert(0, path)
        _become_main()
        runpy._run_module_as_main("__main__", alter_argv=False)
        return
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        sys.exit(f"netref run: cannot read {name!r}: {error.strerror}")
    _replace_first_path(os.path.dirname(path))
    program = _become_main()
    program.__file__ = path
    exec(compile(source, path, "exec"), vars(program))


def _become_main():
    """Makes an empty main module for the program.

    Not so runpy's public functions, which take the program's module away when it ends: threads go on, and pickle looks classes
    up in it. What ``python -m`` itself calls runs the program in the module that is there.
    """
    program = sys.modules["__main__"] = types.ModuleType("__main__")
    program.__builtins__ = builtins
    return program


def _replace_first_path(directory):
    """Puts the program's directory in the place of the one that ``python -m netref`` or the script ``netref`` came from."""
    if not getattr(sys.flags, "safe_path", False) and sys.path:  # a flag from Python 3.11 on
        sys.path[0] = directory
