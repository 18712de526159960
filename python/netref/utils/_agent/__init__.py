"""A classic server in plain Python, for machines that have neither netref nor RPyC.

:mod:`netref.utils.zerodeploy` copies this directory there as the package ``rpyc``; netref itself never imports it. It speaks the
newer dialect of the protocol, needs Python 3.6 or later and nothing else, and has under RPyC's names what a deployed server
script and the peers of a classic server ask for.

What a connection does, it does on the threads that wait for something: the one that serves it, and those of the program that wait
for an answer of the peer.
"""

from .core.protocol import Connection
from .core.service import ClassicService, Service, SlaveService, VoidService
from .version import __version__, version

__all__ = ["ClassicService", "Connection", "Service", "SlaveService", "VoidService", "__version__", "version"]
