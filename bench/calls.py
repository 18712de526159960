"""The measured calls, written as a user of RPyC's API writes them.

Each operation connects, and returns a body that performs `n` operations. The same lines run on stock rpyc and on
netref: `rpyc` is whichever module the worker was started for.
"""

import io
import random

from worker import Unsupported, expect

CHUNK = 100
TAIL = 64


class Session:
    """Where to connect, with which module, and the connections made so far."""

    def __init__(self, rpyc, command):
        self.rpyc = rpyc
        self.n = command["n"]
        self.size = command.get("size", 0)
        self.address = command["host"], command["port"]
        self._connections = []

    def connect(self, **config):
        connection = self.rpyc.connect(*self.address, config=config)
        self._connections.append(connection)
        return connection

    def close(self):
        for connection in self._connections:
            connection.close()


def prepare(rpyc, command):
    """The body of the operation that `command` names, and the function that ends its session."""
    if command["op"] not in OPERATIONS:
        raise Unsupported(f"no operation {command['op']!r}")
    session = Session(rpyc, command)
    return OPERATIONS[command["op"]](session), session.close


def echo(session):
    root, n = session.connect().root, session.n

    def body():
        for i in range(n):
            result = root.echo(i)
        expect(result, n - 1)

    return body


def callattr(session):
    """Attribute and call in one explicit trip: what `echo` costs when no bound method is fetched."""
    connection, n = session.connect(), session.n
    root, request = connection.root, connection.sync_request
    handler = session.rpyc.core.consts.HANDLE_CALLATTR

    def body():
        for i in range(n):
            result = request(handler, root, "echo", (i,), ())
        expect(result, n - 1)

    return body


def bound(session):
    remote_echo, n = session.connect().root.echo, session.n

    def body():
        for i in range(n):
            result = remote_echo(i)
        expect(result, n - 1)

    return body


def callback(session):
    """The server calls a client function n times, all within one request of the client."""
    call_back, n = session.connect().root.call_back, session.n
    calls = 0

    def called(i):
        nonlocal calls
        calls += 1
        return i

    def body():
        nonlocal calls
        calls = 0
        call_back(called, n)
        expect(calls, n)

    return body


def iterate(session):
    numbers = session.connect().root.numbers(session.n)
    wanted = sum(range(session.n))
    return lambda: expect(sum(numbers), wanted)


def buffiter(session):
    numbers = session.connect().root.numbers(session.n)
    wanted, in_chunks = sum(range(session.n)), session.rpyc.buffiter
    return lambda: expect(sum(in_chunks(numbers, chunk=CHUNK, max_chunk=CHUNK, factor=1)), wanted)


def bytes_random(session):
    return echo_bytes(session, random.Random(16).randbytes(session.size))


def bytes_text(session):
    return echo_bytes(session, log_text(session.size).encode())


def echo_bytes(session, data):
    remote_echo, n = session.connect().root.echo, session.n
    if remote_echo(data) != data:
        raise AssertionError("the echoed bytes differ")

    def body():
        for _ in range(n):
            result = remote_echo(data)
        expect(result[-TAIL:], data[-TAIL:])  # to compare all of it would be part of what is timed

    return body


def in_flight(session):
    """n requests sent before the first reply is waited for."""
    async_echo, n = session.rpyc.async_(session.connect().root.echo), session.n

    def body():
        results = [async_echo(i) for i in range(n)]
        for result in results:
            result.wait()
        expect(results[-1].value, n - 1)

    return body


def new_object(session):
    """Each call returns a new instance of the server's own class; the one before is dropped.

    The method is kept: without that the stock client stalls, and one would measure Nagle's algorithm (see `churn`).
    """
    new_item, n = session.connect().root.new_item, session.n

    def body():
        for i in range(n):
            item = new_item(i)
        expect(item.position(), n - 1)

    return body


def churn(session):
    """`new_object` as users write it: a method and an object are dropped per call, so two DELs follow each other."""
    root, n = session.connect().root, session.n

    def body():
        for i in range(n):
            item = root.new_item(i)
        expect(item.position(), n - 1)

    return body


def lines(session):
    """RPyC's classic example: the server walks over the client's file and calls the client for each line."""
    root, n = session.connect(allow_public_attrs=True).root, session.n
    text = "".join(f"line {i} of a small file\n" for i in range(n))
    seen = 0

    def noisy(line):
        nonlocal seen
        seen += len(line)

    def body():
        nonlocal seen
        seen = 0
        expect(root.line_counter(io.StringIO(text), noisy), n)
        expect(seen, len(text))

    return body


def connect(session):
    rpyc, address, n = session.rpyc, session.address, session.n

    def body():
        for i in range(n):
            connection = rpyc.connect(*address)
            result = connection.root.echo(i)
            connection.close()
        expect(result, n - 1)

    return body


def log_text(size):
    """Text that zlib shrinks to about a fifth, as logs do; the same on every run."""
    numbers = random.Random(7)
    line = "2024-04-18T12:00:{:02d} host-{} GET /items/{} 200 {}us\n"
    block = "".join(line.format(i % 60, i % 16, numbers.randrange(100_000), numbers.randrange(10_000)) for i in range(20_000))
    return (block * (size // len(block) + 1))[:size]


OPERATIONS = {
    "echo": echo,
    "callattr": callattr,
    "bound": bound,
    "callback": callback,
    "iterate": iterate,
    "buffiter": buffiter,
    "bytes-random": bytes_random,
    "bytes-text": bytes_text,
    "async": in_flight,
    "new-object": new_object,
    "churn": churn,
    "lines": lines,
    "connect": connect,
}
