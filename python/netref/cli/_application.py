"""What the commands share: options that become attributes, and the way from a command line to an exit status."""

import argparse
import os
import sys

from netref.version import netref_version


class Application:
    """A command. Its options are attributes, and :meth:`main` does the work.

    Programs import the commands, set or override attributes, and call :meth:`run`.
    """

    #: How the command is called in its own messages, unless the command line says.
    NAME = None

    @classmethod
    def run(cls, argv=None, exit=True):
        """Runs the command.

        :param argv: the command line, with the program's name first; this process's by default
        :param exit: whether to end the process; with the status that :meth:`main` returned
        :returns: the command and the status, if it does not
        """
        argv = list(sys.argv if argv is None else argv)
        program = os.path.basename(argv[0]) if argv and argv[0] else cls.NAME
        application = cls()
        parser = argparse.ArgumentParser(prog=program, description=cls.__doc__, allow_abbrev=False)
        parser.add_argument("--version", action="version", version=f"netref {netref_version}")
        application.add_options(parser)
        try:
            parser.parse_args(argv[1:], namespace=application)
            application.check(parser)
        except SystemExit as ending:
            if exit:
                raise
            return application, ending.code
        try:
            status = application.main() or 0
        except OSError as error:
            if not exit:
                raise
            sys.exit(f"{program}: {error}")  # a port in use, a file that cannot be read: no place in the code is to blame
        if exit:
            sys.exit(status)
        return application, status

    def add_options(self, parser):
        """Adds the command's options to a parser."""

    def check(self, parser):
        """Reports options that do not fit together with ``parser.error``."""

    def main(self):
        """Does the work.

        :returns: the exit status; None is success
        """
        raise NotImplementedError


def port(text):
    """A port number."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def existing_file(text):
    """The name of a file that is there."""
    if not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a file")
    return text
