"""The client half of a pairing: carries out remote operations for a test that runs in another process.

    python agent.py --impl rpyc|netref

reads one JSON request per line from standard input and answers each with one line on standard output. AGENT.md is the
specification. The test cannot hold proxies itself, because it must drive clients of every implementation and language; so the
agent keeps them and gives out numbers.
"""

import argparse
import importlib
import json
import sys

import tagged
from catalogue import LIVE, MAKERS
from operations import CONNECTION_OPERATIONS, OBJECT_OPERATIONS, perform
from service import POLICIES, interop_service


def main():
    parser = argparse.ArgumentParser(description="Carry out remote operations given as JSON lines.")
    parser.add_argument("--impl", required=True, choices=("rpyc", "netref"), help="the package that provides RPyC's API")
    implementation = parser.parse_args().impl
    rpyc = importlib.import_module(implementation)
    replies, sys.stdout = sys.stdout, sys.stderr  # a stray print must not look like a reply
    write_line(replies, {"implementation": implementation, "version": rpyc.__version__})
    agent = Agent(rpyc, implementation)
    for line in sys.stdin:
        write_line(replies, agent.answer(json.loads(line)))


def write_line(stream, message):
    stream.write(json.dumps(message) + "\n")
    stream.flush()


class Agent:
    """The connections and objects of one test, and the operations on them."""

    def __init__(self, rpyc, implementation):
        self.rpyc = rpyc
        self.service = interop_service(rpyc, implementation)
        self.handles = Handles(rpyc.BaseNetref)
        self.connections = {}
        self.own_operations = {
            "connect": self.connect,
            "close": self.close,
            "reset": self.reset,
            "make": lambda kind, *args: MAKERS[kind](*args),
            "live": lambda tag: LIVE[tag],
            "drop": self.handles.drop,
        }

    def answer(self, message):
        """The reply to one request: a result, the error that the operation raised, or a fault of the test itself."""
        reply = {"id": message["id"]}
        name = message["op"]
        if not any(name in table for table in (self.own_operations, OBJECT_OPERATIONS, CONNECTION_OPERATIONS)):
            return {**reply, "fault": f"unknown operation {name!r}"}
        try:
            args = [self.decode(item) for item in message.get("args", ())]
            kwargs = {key: self.decode(item) for key, item in message.get("kwargs", {}).items()}
            conn = self.connections[message["conn"]] if message.get("conn") is not None else None
        except KeyError as missing:
            return {**reply, "fault": f"no such handle or connection: {missing}"}
        try:
            return {**reply, "ok": self.encode(self.perform(conn, name, args, kwargs))}
        except Exception as error:
            return {**reply, "error": self.describe(error)}

    def perform(self, conn, name, args, kwargs):
        if name in self.own_operations:
            return self.own_operations[name](*args, **kwargs)
        return perform(self.rpyc, conn, name, args, kwargs)

    def connect(self, host, port, wire=None, policy="public"):
        config = dict(POLICIES[policy], **({"wire": wire} if wire else {}))
        number = max(self.connections, default=0) + 1
        self.connections[number] = self.rpyc.connect(host, port, service=self.service, config=config)
        return number

    def close(self, number):
        self.connections[number].close()

    def reset(self):
        """Forget everything, so that the next test starts as with a new agent."""
        for conn in self.connections.values():
            conn.close()
        self.connections.clear()
        self.handles.clear()

    def describe(self, error):
        attributes = {name: value for name, value in vars(error).items() if not name.startswith("_") and tagged.is_plain(value)}
        return {
            # What programs catch: netref has a class of its own below it for a lost connection.
            "type": "EOFError" if isinstance(error, EOFError) else type(error).__name__,
            "args": [self.encode(item if tagged.is_plain(item) else repr(item)) for item in error.args],
            "attrs": {name: self.encode(value) for name, value in attributes.items()},
            "remote": hasattr(error, "_remote_tb"),
            "traceback": getattr(error, "_remote_tb", ""),
            "message": str(error),
        }

    def encode(self, value):
        return tagged.encode(value, self.handles.refer)

    def decode(self, data):
        return tagged.decode(data, self.handles.resolve)


class Handles:
    """Numbers for objects: the same object keeps its number for as long as its handle is held."""

    def __init__(self, base_netref):
        self.base_netref = base_netref
        self.objects = {}
        self.numbers = {}
        self.last = 0

    def refer(self, thing):
        if id(thing) not in self.numbers:
            self.last += 1
            self.objects[self.last] = thing
            self.numbers[id(thing)] = self.last
        is_remote = issubclass(type(thing), self.base_netref)
        return {"t": "ref" if is_remote else "local", "id": self.numbers[id(thing)]}

    def resolve(self, data):
        return self.objects[data["id"]]

    def drop(self, thing):
        del self.objects[self.numbers.pop(id(thing))]

    def clear(self):
        self.objects.clear()
        self.numbers.clear()


if __name__ == "__main__":
    main()
