"""``netref cp``: copies files and directories to and from a server of classic mode."""

import os
import re
import sys

from netref.cli._application import Application
from netref.core.service import ClassicClient
from netref.core.vinegar import printable
from netref.utils import classic, factory, transfer

REMOTE = re.compile(r"(?P<host>\[[^\]]+\]|[^:/\\\[\]]+):(?P<port>\d*):(?P<path>.*)", re.DOTALL)


class Copy(Application):
    """Copies a file, or a directory with all that is in it, to a server of classic mode or from one.

    The server gets nothing of this side but what is copied there, and writes nowhere but below DST."""

    NAME = "netref cp"

    def add_options(self, parser):
        there = f"HOST:PORT:PATH for one on a server; no PORT means {classic.DEFAULT_SERVER_PORT}"
        parser.add_argument("source", metavar="SRC", help=f"what to copy: a path here, or {there}")
        parser.add_argument("target", metavar="DST", help="where to: the same. Into a directory that is there, under SRC's name")
        parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")

    def check(self, parser):
        self.remote_source, self.remote_target = REMOTE.fullmatch(self.source), REMOTE.fullmatch(self.target)
        if bool(self.remote_source) == bool(self.remote_target):
            parser.error("one of SRC and DST has to be on a server, as in HOST:PORT:PATH, and the other here")
        remote = self.remote_source or self.remote_target
        self.host, self.port = remote["host"].strip("[]"), int(remote["port"] or classic.DEFAULT_SERVER_PORT)
        if not 0 < self.port < 65536:
            parser.error(f"{self.port} is not the number of a port")
        self.path = remote["path"]
        if not self.path:
            parser.error("no PATH: HOST:PORT:. is where the server runs")

    def main(self):
        try:
            with factory.connect(self.host, self.port, ClassicClient, ipv6=":" in self.host) as conn:
                self.copy(conn)
        except Exception as error:  # any, of the server's
            text = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"netref cp: {printable(text)}", file=sys.stderr)
            return 1
        return 0

    def copy(self, conn):
        progress = None if self.quiet else True
        there = conn.modules.os.path
        if self.remote_source:
            name = there.basename(self.path.rstrip("/"))
            if name in ("", ".", ".."):
                name = None
            else:
                transfer.check_name(name)
            target = _inside(os.path, self.target, name)
            classic.download(conn, self.path, target, progress=progress)
        else:
            target = _inside(there, self.path, os.path.basename(self.source.rstrip(os.sep)))
            classic.upload(conn, self.source, target, progress=progress)


def _inside(path, target, name):
    """Where to copy something of that name to."""
    return path.join(target, name) if name and path.isdir(target) else target
