"""The floor under any Python implementation: bare sockets, no protocol. `raw_python.py client|server`.

Wire: a connection begins with a u32, the size of its messages. The server reads one whole message and sends it back;
with size 0 it sends back whatever has arrived. Three other numbers ask for answers to requests that are a u32 each: that
many integers of 64 bits, that many bytes, or a pickled list of that many records. bench/floor/ is the same in Rust, but for
the pickles.
"""

import argparse
import os
import pickle
import socket
import struct
import threading
from functools import lru_cache

import calls
import server
import worker

MESSAGE = bytes(range(40))
PREFIX = struct.Struct(">I")
AS_IT_ARRIVES = 0
INTEGERS, BYTES, RECORDS = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
READ_SIZE = 64 * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=("client", "server"))
    wire = worker.Wire()
    if parser.parse_args().role == "client":
        wire.announce("sockets")
        worker.run_commands(wire, prepare)
    else:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        wire.announce("sockets", port=listener.getsockname()[1])
        worker.serve_until_told_to_stop(wire)


def accept(listener):
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def answer(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        prefix = connection.recv(PREFIX.size, socket.MSG_WAITALL)
        if len(prefix) < PREFIX.size:
            return
        (size,) = PREFIX.unpack(prefix)
        if size in ANSWERS:
            return answer_requests(connection, ANSWERS[size])
        buffer = memoryview(bytearray(size or READ_SIZE))
        while True:
            arrived = connection.recv_into(buffer) if size == AS_IT_ARRIVES else receive(connection, buffer)
            if not arrived:
                return
            connection.sendall(buffer[:arrived])


def answer_requests(connection, make):
    while request := connection.recv(PREFIX.size, socket.MSG_WAITALL):
        connection.sendall(make(*PREFIX.unpack(request)))


def integers(count):
    return struct.pack(f">{count}q", *range(count))


def pickled_records(count):
    pickled = pickle.dumps(kept_records(count), pickle.HIGHEST_PROTOCOL)
    return PREFIX.pack(len(pickled)) + pickled


kept_records = lru_cache(maxsize=1)(server.records)
ANSWERS = {INTEGERS: integers, BYTES: lru_cache(maxsize=1)(bytes), RECORDS: pickled_records}


def receive(connection, buffer):
    """Fill the buffer; 0 when the peer has closed."""
    filled = 0
    while filled < len(buffer):
        arrived = connection.recv_into(buffer[filled:])
        if not arrived:
            return 0
        filled += arrived
    return filled


def dial(command, size):
    connection = socket.create_connection((command["host"], command["port"]))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(PREFIX.pack(size))
    return connection


def prepare(command):
    if command["op"] not in OPERATIONS:
        raise worker.Unsupported(f"no floor {command['op']!r}")
    return OPERATIONS[command["op"]](command, command["n"])


def closing(body, *connections):
    operation = worker.Prepared(body)
    for connection in connections:
        operation.on_close(connection.close)
    return operation


def pingpong(command, n):
    return exchange(command, n, MESSAGE)


def busy(command, n):
    """The exchange, while another thread of the client computes and wants the interpreter."""
    plain = pingpong(command, n)
    operation = calls.busily(plain.body)
    operation.on_close(plain.close)
    return operation


def transfer(command, n):
    return exchange(command, n, os.urandom(command["size"]))


def exchange(command, n, message):
    connection = dial(command, len(message))
    buffer = bytearray(len(message))
    view = memoryview(buffer)

    def body():
        for _ in range(n):
            connection.sendall(message)
            receive(connection, view)
        worker.expect(buffer[-len(MESSAGE) :], message[-len(MESSAGE) :])

    return closing(body, connection)


def pipelined(command, n):
    """n messages written one by one, then all the answers read."""
    connection = dial(command, AS_IT_ARRIVES)
    buffer = bytearray(n * len(MESSAGE))

    def body():
        for _ in range(n):
            connection.sendall(MESSAGE)
        receive(connection, memoryview(buffer))
        worker.expect(buffer[-len(MESSAGE) :], MESSAGE)

    return closing(body, connection)


def connect(command, n):
    buffer = bytearray(len(MESSAGE))

    def body():
        for _ in range(n):
            with dial(command, len(MESSAGE)) as connection:
                connection.sendall(MESSAGE)
                receive(connection, memoryview(buffer))
        worker.expect(buffer, MESSAGE)

    return closing(body)


def listing(command, n):
    """n integers in one message, and as a list of objects."""
    connection, wanted = dial(command, INTEGERS), sum(range(n))
    buffer = bytearray(8 * n)

    def body():
        connection.sendall(PREFIX.pack(n))
        receive(connection, memoryview(buffer))
        worker.expect(sum(struct.unpack(f">{n}q", buffer)), wanted)

    return closing(body, connection)


def download(command, n):
    connection, size = dial(command, BYTES), command["size"]
    buffer = memoryview(bytearray(size))

    def body():
        for _ in range(n):
            connection.sendall(PREFIX.pack(size))
            worker.expect(receive(connection, buffer), size)

    return closing(body, connection)


def records(command, n):
    """A nested list in one message, by pickle."""
    connection, count = dial(command, RECORDS), command["size"]
    prefix = bytearray(PREFIX.size)

    def body():
        for _ in range(n):
            connection.sendall(PREFIX.pack(count))
            receive(connection, memoryview(prefix))
            buffer = bytearray(*PREFIX.unpack(prefix))
            receive(connection, memoryview(buffer))
            worker.expect(len(pickle.loads(buffer)), count)

    return closing(body, connection)


def connections(command, n):
    """`size` connections at a time, each with a thread that exchanges messages; n in all."""
    each = n // command["size"]
    exchanges = [pingpong(command, each) for _ in range(command["size"])]
    operation = worker.Prepared(calls.in_threads(exchanges, lambda exchange: exchange.body(), None))
    for exchange in exchanges:
        operation.on_close(exchange.close)
    return operation


OPERATIONS = {
    "pingpong": pingpong,
    "busy": busy,
    "transfer": transfer,
    "pipelined": pipelined,
    "connect": connect,
    "listing": listing,
    "download": download,
    "records": records,
    "connections": connections,
}

if __name__ == "__main__":
    main()
