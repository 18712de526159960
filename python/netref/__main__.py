"""The command ``netref``, also ``python -m netref``."""

import sys

from netref.version import netref_version

USAGE = """\
usage: netref COMMAND [ARGUMENT ...]

commands:
  run       run a program written for RPyC with netref in its place
  classic   serve classic mode; takes the options of rpyc_classic
  registry  run a registry; takes the options of rpyc_registry
  cp        copy files to a server of classic mode, or from one

`netref COMMAND --help` says more.
"""


def main(arguments=None):
    """Runs the command that the arguments name.

    :param arguments: by default those of this process
    :returns: the exit status
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command, rest = (arguments[0], arguments[1:]) if arguments else (None, [])
    if command == "run":
        from netref.cli import run

        return run.main(rest)
    if command == "classic":
        from netref.cli.rpyc_classic import ClassicServer

        return ClassicServer.run(["netref classic", *rest])
    if command == "registry":
        from netref.cli.rpyc_registry import RegistryServer

        return RegistryServer.run(["netref registry", *rest])
    if command == "cp":
        from netref.cli.cp import Copy

        return Copy.run(["netref cp", *rest])
    if command in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if command == "--version":
        print(f"netref {netref_version}")
        return 0
    if command is not None:
        print(f"netref: no command {command!r}", file=sys.stderr)
    print(USAGE, file=sys.stderr, end="")
    return 2


if __name__ == "__main__":
    sys.exit(main())
