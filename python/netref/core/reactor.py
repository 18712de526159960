"""RPyC's reactor, which nothing in RPyC uses. It is here to be imported."""

import os
import select


class SelectReactor:
    """Reads from sockets, and closes those that have ended."""

    TIMEOUT = 0.5 if os.name == "nt" else None

    def __init__(self):
        self._active = False
        self._readfds = set()

    def register_read(self, fileobj):
        """Has a socket read from."""
        self._readfds.add(fileobj)

    def run(self):
        """Reads for ever, and throws away what there is."""
        self._active = True
        while self._active:
            for fileobj in select.select(self._readfds, (), (), self.TIMEOUT)[0]:
                if not fileobj.recv(16000):
                    fileobj.close()
                    self._readfds.discard(fileobj)


def start_reactor():
    """Refuses, as in RPyC, where it always says so."""
    raise ValueError("already started")
