"""The peers that can be paired, and the processes that they run in.

A peer is found through an environment variable, never guessed: a suite that quietly tests something else, or nothing, is worse
than one that fails.
"""

import os
import pathlib
import queue
import subprocess
import threading
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent
START_TIMEOUT = 20


class Peer(NamedTuple):
    """One implementation in one configuration."""

    name: str
    variable: str  # the environment variable with its interpreter or program
    implementation: str  # what it calls itself; for Python also the module that provides RPyC's API
    version: str = ""  # how its version has to start
    wire: str | None = None  # the dialect to ask for; None for the default of the implementation

    def command(self, role):
        """The command line for this peer as "agent" or "serve"."""
        program = os.environ.get(self.variable)
        if not program:
            raise Unavailable(f"peer {self.name} needs the environment variable {self.variable}; README.md says what to set")
        if self.implementation == "netref-rust":
            return [program, role]
        script = {"agent": "agent.py", "serve": "service.py"}[role]
        return [program, str(HERE / script), "--impl", self.implementation]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("stock6", "NETREF_STOCK6_PYTHON", "rpyc", version="6."),
        Peer("stock5", "NETREF_STOCK5_PYTHON", "rpyc", version="5."),
        Peer("py", "NETREF_PYTHON", "netref"),
        Peer("py5", "NETREF_PYTHON", "netref", wire="v5"),
        Peer("rust", "NETREF_PEER_BIN", "netref-rust"),
        Peer("rust5", "NETREF_PEER_BIN", "netref-rust", wire="v5"),
    )
}

DEFAULT_PAIRINGS = (
    "stock6-stock6",
    *("stock6-py", "stock6-rust", "py-stock6", "rust-stock6"),
    *("py-py", "py-rust", "rust-py", "rust-rust"),
    "stock5-stock5",
    *("stock5-py", "stock5-rust", "py5-stock5", "rust5-stock5"),
)


class Pairing(NamedTuple):
    """A client and a server, written `client-server`."""

    client: Peer
    server: Peer

    @classmethod
    def parse(cls, text):
        names = text.strip().split("-")
        if len(names) != 2 or not set(names) <= set(PEERS):
            raise ValueError(f"{text!r} is no pairing; write client-server, with two of: {', '.join(PEERS)}")
        if PEERS[names[1]].wire is not None:
            raise ValueError(f"{names[1]!r} is a client's configuration; a netref server tells the dialects apart by itself")
        return cls(*(PEERS[name] for name in names))

    def __str__(self):
        return f"{self.client.name}-{self.server.name}"


class Unavailable(Exception):
    """A peer cannot be started."""


class Hung(Exception):
    """A process did not answer in time."""


class Process:
    """A peer's process, with lines going in and out, each with a deadline."""

    def __init__(self, command, stderr_path):
        self.command = command
        self.stderr_path = stderr_path
        with open(stderr_path, "wb") as stderr:
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8"
                )
            except OSError as error:
                raise Unavailable(f"cannot start {' '.join(command)}: {error}") from error
        self._lines = queue.Queue()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    @property
    def alive(self):
        return self._process.poll() is None

    def send(self, line):
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Unavailable(f"{' '.join(self.command)} is gone: {error}") from error

    def receive(self, timeout):
        """The next line of output. A process that stays silent is killed, for nothing later can be trusted."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            raise Hung(f"no answer within {timeout} s from {' '.join(self.command)}") from None
        if line is None:
            self._process.wait(START_TIMEOUT)
            raise Unavailable(f"{' '.join(self.command)} ended with status {self._process.returncode}:\n{self.stderr()}")
        return line

    def stderr(self, limit=4000):
        """The end of what the process wrote to its standard error."""
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")[-limit:]

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        """End the process as its user would, by ending its input; kill it if it does not listen."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()


class Server:
    """A running server and where it listens."""

    def __init__(self, peer, policy, stderr_path):
        self.peer = peer
        self.process = Process([*peer.command("serve"), "--policy", policy], stderr_path)
        line = self.process.receive(START_TIMEOUT)
        if not line.strip().isdigit():
            self.process.kill()
            raise Unavailable(f"the first line of server {peer.name} has to be its port, not {line!r}")
        self.port = int(line)
