"""grpcio as a worker of bench/compare.py: unary calls, messages packed by hand, which costs less than protobuf would.
`grpc_python.py client|server`. A server cannot call its client."""

import random
import struct
import sys
from concurrent import futures
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import grpc

import worker

NUMBER = struct.Struct("<q")
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def unpack(message):
    return NUMBER.unpack(message)[0]


def main():
    wire = worker.Wire()
    if sys.argv[1] == "client":
        wire.announce(grpc.__version__)
        worker.run_commands(wire, prepare)
    else:
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=OPTIONS)
        methods = {
            "Echo": grpc.unary_unary_rpc_method_handler(lambda value, _: value, unpack, NUMBER.pack),
            "EchoBytes": grpc.unary_unary_rpc_method_handler(lambda data, _: data),
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Bench", methods)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        wire.announce(grpc.__version__, port=port)
        worker.serve_until_told_to_stop(wire)


def prepare(command):
    if command["op"] not in OPERATIONS:
        raise worker.Unsupported("not offered")
    return OPERATIONS[command["op"]](f"{command['host']}:{command['port']}", command["n"], command["size"])


def connected(address, body):
    channel = grpc.insecure_channel(address, OPTIONS)
    operation = worker.Prepared(lambda: body(channel))
    operation.on_close(channel.close)
    return operation


def echo_of(channel):
    return channel.unary_unary("/bench.Bench/Echo", NUMBER.pack, unpack)


def echo(address, n, _):
    def body(channel):
        call = echo_of(channel)
        for i in range(n):
            result = call(i)
        worker.expect(result, n - 1)

    return connected(address, body)


def echo_bytes(address, _, size):
    data = random.Random(16).randbytes(size)
    return connected(
        address, lambda channel: worker.expect(channel.unary_unary("/bench.Bench/EchoBytes")(data)[-64:], data[-64:])
    )


def in_flight(address, n, _):
    def body(channel):
        call = echo_of(channel)
        calls = [call.future(i) for i in range(n)]
        worker.expect([one.result() for one in calls][-1], n - 1)

    return connected(address, body)


def connect(address, n, _):
    # Channels to one address share a connection otherwise.
    options = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]

    def body():
        for i in range(n):
            with grpc.insecure_channel(address, options) as channel:
                result = echo_of(channel)(i)
        worker.expect(result, n - 1)

    return worker.Prepared(body)


OPERATIONS = {"echo": echo, "bytes-random": echo_bytes, "async": in_flight, "connect": connect}

if __name__ == "__main__":
    main()
