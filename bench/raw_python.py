"""The floor under any Python implementation: bare sockets, no protocol. `raw_python.py client|server`.

Wire: a connection begins with a u32, the size of its messages. The server reads one whole message and sends it back;
with size 0 it sends back whatever has arrived. bench/floor/ is the same in Rust.
"""

import argparse
import os
import socket
import struct
import threading

import worker

MESSAGE = bytes(range(40))
PREFIX = struct.Struct(">I")
AS_IT_ARRIVES = 0
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
        buffer = memoryview(bytearray(size or READ_SIZE))
        while True:
            arrived = connection.recv_into(buffer) if size == AS_IT_ARRIVES else receive(connection, buffer)
            if not arrived:
                return
            connection.sendall(buffer[:arrived])


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


def pingpong(command, n):
    return exchange(command, n, MESSAGE)


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

    return body, connection.close


def pipelined(command, n):
    """n messages written one by one, then all the answers read."""
    connection = dial(command, AS_IT_ARRIVES)
    buffer = bytearray(n * len(MESSAGE))

    def body():
        for _ in range(n):
            connection.sendall(MESSAGE)
        receive(connection, memoryview(buffer))
        worker.expect(buffer[-len(MESSAGE) :], MESSAGE)

    return body, connection.close


def connect(command, n):
    buffer = bytearray(len(MESSAGE))

    def body():
        for _ in range(n):
            with dial(command, len(MESSAGE)) as connection:
                connection.sendall(MESSAGE)
                receive(connection, memoryview(buffer))
        worker.expect(buffer, MESSAGE)

    return body, lambda: None


OPERATIONS = {"pingpong": pingpong, "transfer": transfer, "pipelined": pipelined, "connect": connect}

if __name__ == "__main__":
    main()
