"""``netref registry``: a registry, with the options of RPyC's ``rpyc_registry``."""

import argparse

from netref.cli._application import Application, port
from netref.lib import setup_logger
from netref.utils.registry import DEFAULT_PRUNING_TIMEOUT, REGISTRY_PORT, TCPRegistryServer, UDPRegistryServer

_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class RegistryServer(Application):
    """Tells clients who serves what. Servers tell it."""

    NAME = "rpyc_registry"

    mode = "UDP"
    ipv6 = False
    port = REGISTRY_PORT
    logfile = None
    quiet = False
    pruning_timeout = DEFAULT_PRUNING_TIMEOUT
    allow_listing = False

    def add_options(self, parser):
        parser.add_argument("-m", "--mode", type=str.upper, choices=["UDP", "TCP"], help="UDP by default")
        parser.add_argument("-6", "--ipv6", action="store_true", help="use IPv6")
        parser.add_argument("-p", "--port", type=port, help=f"UDP or TCP port; {REGISTRY_PORT} by default")
        parser.add_argument("--logfile", help="a file to log to; standard error by default")
        parser.add_argument("-q", "--quiet", nargs="?", const=True, type=_truth, help="log errors only")
        parser.add_argument(
            "-t",
            "--timeout",
            dest="pruning_timeout",
            metavar="SECONDS",
            type=int,
            help=f"forget servers that have not registered for so long; {DEFAULT_PRUNING_TIMEOUT} by default",
        )
        parser.add_argument(
            "-l",
            "--listing",
            dest="allow_listing",
            nargs="?",
            const=True,
            type=_truth,
            help="let clients list all services; not by default",
        )

    def main(self):
        options = {"port": self.port, "pruning_timeout": self.pruning_timeout, "allow_listing": self.allow_listing}
        server_class = TCPRegistryServer if self.mode == "TCP" else UDPRegistryServer
        server = server_class(host="::" if self.ipv6 else "0.0.0.0", **options)
        setup_logger(self.quiet, self.logfile)
        server.start()


def _truth(text):
    try:
        return _TRUTH[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


def main():
    """The program ``rpyc_registry``."""
    RegistryServer.run()


if __name__ == "__main__":
    main()
