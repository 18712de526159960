"""What is measured: the operations, and the bare-socket exchange that each of them cannot beat."""

from dataclasses import dataclass

BYTES_SIZE = 16 * 1024 * 1024
QUICK_BYTES_SIZE = 2 * 1024 * 1024


@dataclass(frozen=True)
class Operation:
    key: str
    letter: str  # its name in the project's notes on performance
    title: str
    unit: str
    n: int  # operations in one body
    floor: str | None = "pingpong"
    quick_n: int | None = None
    size: int = 0
    quick_size: int = 0

    def parameters(self, quick):
        """What a worker is asked to prepare."""
        n = self.quick_n if quick and self.quick_n else self.n
        return {"op": self.key, "n": n, "size": self.quick_size if quick else self.size}

    def floor_parameters(self, quick):
        """The same for a worker of bare sockets; None where no floor is meaningful."""
        if self.floor is None:
            return None
        return {**self.parameters(quick), "op": self.floor, "n": FLOOR_N[self.floor]}


FLOOR_N = {"pingpong": 200, "pipelined": 1000, "transfer": 1, "connect": 20}

OPERATIONS = {
    operation.key: operation
    for operation in (
        Operation("echo", "a", "root.echo(i), as users write it", "call", 100),
        Operation("callattr", "b", "one CALLATTR trip", "call", 200),
        Operation("bound", "b2", "kept bound method", "call", 200),
        Operation("callback", "c", "server calls client, within one request", "call", 1000),
        Operation("iterate", "d1", "for item in remote list", "item", 10_000, quick_n=1000),
        Operation("buffiter", "d2", "buffiter, chunks of 100", "item", 10_000, floor=None),
        Operation(
            "bytes-random",
            "e",
            "echo of random bytes",
            "echo",
            1,
            "transfer",
            size=BYTES_SIZE,
            quick_size=QUICK_BYTES_SIZE,
        ),
        Operation(
            "bytes-text",
            "e",
            "echo of compressible bytes",
            "echo",
            1,
            "transfer",
            size=BYTES_SIZE,
            quick_size=QUICK_BYTES_SIZE,
        ),
        Operation("async", "f", "async, 1000 in flight", "call", 1000, "pipelined"),
        Operation("new-object", "g", "call returning a new object of a custom class, method kept", "call", 100),
        Operation("churn", "g2", "the same, method not kept (stock stalls here: compare CPU)", "call", 20),
        Operation("lines", "h", "line counter over the client's file", "line", 5000, quick_n=2000),
        Operation("connect", "i", "connect, one call, close", "connection", 20, "connect", quick_n=10),
    )
}
