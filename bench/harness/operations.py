"""What is measured: the operations, and the bare-socket exchange that each of them cannot beat."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Operation:
    key: str
    letter: str  # its name in the project's notes on performance
    title: str
    unit: str
    n: int  # operations in one body
    floor: str | None = "pingpong"
    quick_n: int | None = None
    size: int = 0  # of what the operation is about: bytes, records, connections
    quick_size: int | None = None
    takes_memory: bool = False  # measured in bytes held, not in seconds
    for_python: bool = False  # offered by servers in Python only

    def suits(self, pairing):
        return not self.for_python or pairing.server.floor == "raw-python" or pairing.is_floor

    def parameters(self, quick):
        """What a worker is asked to prepare."""
        n = self.quick_n if quick and self.quick_n else self.n
        return {"op": self.key, "n": n, "size": self.quick_size if quick and self.quick_size else self.size}

    def floor_parameters(self, quick):
        """The same for a worker of bare sockets; None where no floor is meaningful."""
        if self.floor is None:
            return None
        own = self.parameters(quick)
        return {**own, "op": self.floor, "n": FLOOR_N.get(self.floor, own["n"])}


#: Where a floor needs fewer or more operations for one body than what it is the floor of.
FLOOR_N = {"pingpong": 200, "pipelined": 1000}

OPERATIONS = {
    operation.key: operation
    for operation in (
        Operation("echo", "a", "root.echo(i), as users write it", "call", 100),
        Operation("method", "a2", "method call on a remote object", "call", 100),
        Operation("callattr", "b", "one CALLATTR trip", "call", 200),
        Operation("bound", "b2", "kept bound method", "call", 200),
        Operation("busy", "b3", "kept bound method, a thread computing", "call", 10, "busy"),
        Operation("callback", "c", "server calls client, within one request", "call", 1000),
        Operation("iterate", "d1", "for item in remote list", "item", 10_000, "listing", quick_n=1000),
        Operation("buffiter", "d2", "buffiter, chunks of 100", "item", 10_000, None),
        Operation(
            "bytes-random", "e", "echo of random bytes", "echo", 1, "transfer", size=16 * MEBIBYTE, quick_size=2 * MEBIBYTE
        ),
        Operation(
            "bytes-text", "e", "echo of compressible bytes", "echo", 1, "transfer", size=16 * MEBIBYTE, quick_size=2 * MEBIBYTE
        ),
        Operation("async", "f", "async, 1000 in flight", "call", 1000, "pipelined"),
        Operation("batch", "f2", "batch of 1000 calls", "call", 1000, "pipelined"),
        Operation(
            "copy",
            "k",
            "20,000 small dicts as local objects",
            "copy",
            1,
            "records",
            size=20_000,
            quick_size=2000,
            for_python=True,
        ),
        Operation(
            "array",
            "l",
            "numpy array of 100 MB",
            "array",
            1,
            "download",
            size=100_000_000,
            quick_size=10_000_000,
            for_python=True,
        ),
        Operation("new-object", "g", "call returning a new object of a user class", "call", 100),
        Operation("churn", "g2", "the same, method not kept", "call", 20),
        Operation("lines", "h", "line counter over the client's file", "line", 5000, quick_n=2000),
        Operation("connect", "i", "connect, one call, close", "connection", 20, "connect", quick_n=10),
        Operation(
            "connections", "m", "200 connections, 50 calls each", "call", 10_000, "connections", 1000, size=200, quick_size=20
        ),
        Operation(
            "references",
            "n",
            "100,000 references held",
            "reference",
            100_000,
            None,
            quick_n=10_000,
            takes_memory=True,
            for_python=True,
        ),
    )
}
