"""All workers of one placement: a server per implementation, a client per pairing, up at the same time."""

import os
import subprocess
import sys
from contextlib import contextmanager

from .implementations import Missing
from .workers import Worker, WorkerLost

PLACEMENTS = {
    "pinned": "all on CPU 0",
    "unpinned": "placed by the scheduler",
    "contended": "all on CPU 0, beside a process that computes",
}
#: What is measured where the CPU is not ours: waiting for a reply.
CONTENDED_OPERATIONS = ("echo", "bound", "callback")


@contextmanager
def placed(placement):
    """Workers started inside inherit the placement; so does this process, which only waits meanwhile."""
    before = os.sched_getaffinity(0)
    if placement != "unpinned":
        os.sched_setaffinity(0, {0})
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if placement == "contended" else None
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        if hog:
            hog.kill()
            hog.wait()


class Crew:
    def __init__(self, pairings, timeout):
        self.missing = {}  # pairing key -> reason
        self._pairings = pairings
        self._timeout = timeout
        self._servers = {}
        self._clients = {}

    def __enter__(self):
        try:
            self.revive()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def present(self):
        return [pairing for pairing in self._pairings if pairing.key not in self.missing]

    def client(self, pairing):
        return self._clients[pairing.key]

    def server(self, pairing):
        return self._servers[pairing.server.key]

    def revive(self):
        """Start every worker that is not running; what will not start is missing from now on."""
        for pairing in self.present:
            try:
                self._keep_running(self._servers, pairing.server.key, pairing.server, "server")
                self._keep_running(self._clients, pairing.key, pairing.client, "client")
            except (Missing, WorkerLost) as reason:
                self.missing[pairing.key] = str(reason)

    @contextmanager
    def fresh(self, pairing):
        """A client and a server that have done nothing yet."""
        server = Worker(pairing.server.command("server"), self._timeout)
        client = Worker(pairing.client.command("client"), self._timeout)
        try:
            yield client, server
        finally:
            client.stop()
            server.stop()

    def identities(self):
        """Implementation key -> what its server said of itself."""
        return {key: worker.identity for key, worker in self._servers.items()}

    def stop(self):
        # Clients first: a server that still has connections may be slow to end.
        for worker in (*self._clients.values(), *self._servers.values()):
            worker.stop()

    def _keep_running(self, workers, key, implementation, role):
        if key not in workers or not workers[key].alive:
            workers[key] = Worker(implementation.command(role), self._timeout)
