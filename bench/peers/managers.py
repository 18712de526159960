"""multiprocessing.managers as a worker of bench/compare.py, over TCP: `managers.py client|server`.

It has no callbacks, and no calls in flight."""

import platform
import random
import sys
import threading
from multiprocessing.managers import BaseManager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import worker

KEY = b"bench"


class Server:
    def echo(self, value):
        return value


class Manager(BaseManager):
    pass


def main():
    wire = worker.Wire()
    if sys.argv[1] == "client":
        Manager.register("server", exposed=("echo",))
        wire.announce(platform.python_version())
        worker.run_commands(wire, prepare)
    else:
        Manager.register("server", Server, exposed=("echo",))
        server = Manager(("127.0.0.1", 0), KEY).get_server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wire.announce(platform.python_version(), port=server.address[1])
        worker.serve_until_told_to_stop(wire)


def prepare(command):
    if command["op"] not in OPERATIONS:
        raise worker.Unsupported("not offered")
    return worker.Prepared(OPERATIONS[command["op"]]((command["host"], command["port"]), command["n"], command["size"]))


def connected(address):
    manager = Manager(address, KEY)
    manager.connect()
    return manager.server()


def echo(address, n, _):
    proxy = connected(address)

    def body():
        for i in range(n):
            result = proxy.echo(i)
        worker.expect(result, n - 1)

    return body


def echo_bytes(address, _, size):
    proxy, data = connected(address), random.Random(16).randbytes(size)
    return lambda: worker.expect(proxy.echo(data)[-64:], data[-64:])


def connect(address, n, _):
    def body():
        for i in range(n):
            result = connected(address).echo(i)
        worker.expect(result, n - 1)

    return body


OPERATIONS = {"echo": echo, "bytes-random": echo_bytes, "connect": connect}

if __name__ == "__main__":
    main()
