"""Pyro5 as a worker of bench/compare.py: `pyro5.py client|server`.

With the marshal serializer, which its documentation calls the fastest."""

import random
import sys
import threading
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import Pyro5.api
from Pyro5 import config

import worker

config.SERIALIZER = "marshal"
config.SOCK_NODELAY = True
NAME = "bench"


@Pyro5.api.expose
class Server:
    def echo(self, value):
        return value

    def call_back(self, uri, count):
        with Pyro5.api.Proxy(uri) as function:
            for i in range(count):
                function.call(i)

    def line_counter(self, uri):
        with Pyro5.api.Proxy(uri) as client:
            lines = client.readlines()
            for line in lines:
                client.call(line)
            return len(lines)


@Pyro5.api.expose
class Client:
    """What the server calls."""

    def __init__(self, lines=()):
        self._lines = lines
        self.calls = 0

    def readlines(self):
        return self._lines

    def call(self, argument):
        self.calls += 1
        return argument


def main():
    wire = worker.Wire()
    if sys.argv[1] == "client":
        wire.announce(version("Pyro5"))
        worker.run_commands(wire, prepare)
    else:
        daemon = served(Server(), NAME)
        wire.announce(version("Pyro5"), port=daemon.sock.getsockname()[1])
        worker.serve_until_told_to_stop(wire)


def served(served_object, name):
    daemon = Pyro5.api.Daemon(host="127.0.0.1", port=0)
    daemon.register(served_object, name)
    threading.Thread(target=daemon.requestLoop, daemon=True).start()
    return daemon


def prepare(command):
    if command["op"] not in OPERATIONS:
        raise worker.Unsupported("not offered")
    uri = f"PYRO:{NAME}@{command['host']}:{command['port']}"
    return OPERATIONS[command["op"]](uri, command["n"], command["size"])


def connected(uri, body):
    proxy = Pyro5.api.Proxy(uri)
    proxy._pyroBind()
    operation = worker.Prepared(lambda: body(proxy))
    operation.on_close(proxy._pyroRelease)
    return operation


def echo(uri, n, _):
    def body(proxy):
        for i in range(n):
            result = proxy.echo(i)
        worker.expect(result, n - 1)

    return connected(uri, body)


def echo_bytes(uri, _, size):
    data = random.Random(16).randbytes(size)
    return connected(uri, lambda proxy: worker.expect(proxy.echo(data)[-64:], data[-64:]))


def batch(uri, n, _):
    def body(proxy):
        calls = Pyro5.api.BatchProxy(proxy)
        for i in range(n):
            calls.echo(i)
        *_, last = calls()
        worker.expect(last, n - 1)

    return connected(uri, body)


def calling_back(uri, client, body):
    daemon = served(client, "client")
    operation = connected(uri, lambda proxy: body(proxy, str(daemon.uriFor("client"))))
    operation.on_close(daemon.shutdown)
    return operation


def callback(uri, n, _):
    client = Client()

    def body(proxy, own):
        client.calls = 0
        proxy.call_back(own, n)
        worker.expect(client.calls, n)

    return calling_back(uri, client, body)


def lines(uri, n, _):
    client = Client([f"line {i} of a small file\n" for i in range(n)])
    return calling_back(uri, client, lambda proxy, own: worker.expect(proxy.line_counter(own), n))


def connect(uri, n, _):
    def body():
        for i in range(n):
            with Pyro5.api.Proxy(uri) as proxy:
                result = proxy.echo(i)
        worker.expect(result, n - 1)

    return worker.Prepared(body)


OPERATIONS = {
    "echo": echo,
    "callback": callback,
    "bytes-random": echo_bytes,
    "batch": batch,
    "lines": lines,
    "connect": connect,
}

if __name__ == "__main__":
    main()
