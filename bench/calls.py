"""The measured calls, written as a user of RPyC's API writes them.

Each operation connects, and returns a body that performs `n` operations. The same lines run on stock rpyc and on
netref: `rpyc` is whichever module the worker was started for.
"""

import gc
import io
import random
import threading
import time

from worker import Prepared, Unsupported, expect, trim

CHUNK = 100
TAIL = 64
REFERENCES_AT_ONCE = 1000


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
    """The operation that `command` names, ready to go."""
    if command["op"] not in OPERATIONS:
        raise Unsupported(f"no operation {command['op']!r}")
    session = Session(rpyc, command)
    operation = OPERATIONS[command["op"]](session)
    if not isinstance(operation, Prepared):
        operation = Prepared(operation)
    operation.on_close(session.close)
    return operation


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


def method(session):
    """A method of an object that the server made."""
    item, n = session.connect().root.new_item(1), session.n

    def body():
        for i in range(n):
            result = item.plus(i)
        expect(result, n)

    return body


def busy(session):
    """The kept bound method, while another thread of the client computes and wants the interpreter."""
    return busily(bound(session))


def busily(body):
    working = True

    def compute():
        while working:
            sum(range(100))

    def stop():
        nonlocal working
        working = False
        thread.join()

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    operation = Prepared(body)
    operation.on_close(stop)
    return operation


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


def batch(session):
    """n independent calls in one flush."""
    connection, n = session.connect(), session.n
    if not hasattr(connection, "batch"):
        raise Unsupported("no batches")

    def body():
        with connection.batch() as calls:
            results = [calls.root.echo(i) for i in range(n)]
        expect(results[-1].value, n - 1)

    return body


def copy(session):
    """A nested list of dicts as a local object: without pickle where that is offered, by `obtain` where it is not."""
    module = session.rpyc
    records = session.connect(allow_pickle=True).root.records(session.size)
    take = getattr(module, "copy", None) if module.__name__ == "netref" else module.classic.obtain
    if take is None:
        raise Unsupported("no netref.copy")
    return takes(take, records, lambda copied: expect((type(copied), len(copied)), (list, session.size)))


def array(session):
    """An array of numpy's as a local one, without pickle."""
    if session.rpyc.__name__ != "netref" or not hasattr(session.rpyc, "copy"):
        raise Unsupported("arrays cross by pickle only")
    try:
        import numpy
    except ImportError:
        raise Unsupported("numpy is not installed") from None
    remote = session.connect().root.array(session.size)
    return takes(session.rpyc.copy, remote, lambda copied: expect((type(copied), copied.nbytes), (numpy.ndarray, session.size)))


def takes(take, remote, check):
    try:
        check(take(remote))
    except AssertionError:
        raise
    except Exception as error:
        raise Unsupported(f"{type(error).__name__}: {error}") from None
    return lambda: check(take(remote))


def connections(session):
    """`size` connections at a time, each with a thread that calls; n calls in all."""
    roots, each = [session.connect().root for _ in range(session.size)], session.n // session.size
    return in_threads(roots, lambda root: [root.echo(i) for i in range(each)][-1], each - 1)


def in_threads(items, work, wanted):
    def body():
        results = [None] * len(items)

        def run(position):
            results[position] = work(items[position])

        threads = [threading.Thread(target=run, args=(position,)) for position in range(len(items))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(set(results), {wanted})

    return body


def references(session):
    """Each body takes another thousand objects of the server's and keeps them; `drop` gives all of them back."""
    root = session.connect(sync_request_timeout=None).root
    take, settle = root.new_items, root.settle
    take(1)
    held = []

    def body():
        held.append(take(REFERENCES_AT_ONCE))
        expect(len(held[-1]), REFERENCES_AT_ONCE)

    def drop():
        held.clear()
        gc.collect()
        while settle():
            pass  # calls may be ahead of releases
        trim()

    return Prepared(body, drop)


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
    """`new_object` as users write it: a method and an object are dropped per call, so two DELs follow each other.

    The body tells how long its slowest call took: one that stalls shows there.
    """
    root, n = session.connect().root, session.n

    def body():
        slowest, before = 0, time.perf_counter()
        for i in range(n):
            item = root.new_item(i)
            after = time.perf_counter()
            slowest, before = max(slowest, after - before), after
        expect(item.position(), n - 1)
        return slowest

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
    "method": method,
    "busy": busy,
    "callback": callback,
    "iterate": iterate,
    "buffiter": buffiter,
    "bytes-random": bytes_random,
    "bytes-text": bytes_text,
    "async": in_flight,
    "batch": batch,
    "copy": copy,
    "array": array,
    "connections": connections,
    "references": references,
    "new-object": new_object,
    "churn": churn,
    "lines": lines,
    "connect": connect,
}
