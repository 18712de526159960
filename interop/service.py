"""The service that every peer offers, and a server program for it. SERVICE.md is the specification.

    python service.py --impl rpyc|netref [--policy public|exposed]

prints the port as its first line and serves on 127.0.0.1 until its standard input ends, so that no server outlives its test.
"""

import argparse
import importlib
import sys
import threading

from catalogue import LIVE, MAKERS, raise_named
from operations import perform

POLICIES = {
    "exposed": {},
    "public": {"allow_public_attrs": True, "allow_setattr": True, "allow_delattr": True},
}


def main():
    parser = argparse.ArgumentParser(description="Serve the interop service on a free port of 127.0.0.1.")
    parser.add_argument("--impl", required=True, choices=("rpyc", "netref"), help="the package that provides RPyC's API")
    parser.add_argument("--policy", default="public", choices=POLICIES, help="which attributes the client may use")
    options = parser.parse_args()
    rpyc = importlib.import_module(options.impl)
    utils_server = importlib.import_module(f"{options.impl}.utils.server")
    server = utils_server.ThreadedServer(
        interop_service(rpyc, options.impl), hostname="127.0.0.1", port=0, protocol_config=dict(POLICIES[options.policy])
    )
    server.listener.listen()  # start() listens too late for a client that dials as soon as it reads the port
    threading.Thread(target=server.start, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


def interop_service(rpyc, implementation):
    """The service class on top of `rpyc`, which is stock RPyC or netref. Each connection gets an instance of its own."""

    class InteropService(rpyc.Service):
        _private = "never to be seen by the other side"

        def on_connect(self, conn):
            self._conn = conn
            self._remembered = None

        def exposed_implementation(self):
            return (implementation, rpyc.__version__)

        # ---- values and calls
        def exposed_echo(self, value):
            return value

        def exposed_kind_of(self, value):
            return type(value).__name__

        def exposed_size(self, value):
            return len(value)

        def exposed_add(self, a, b):
            return a + b

        def exposed_signature(self, a, b=2, *rest, **named):
            return (a, b, rest, tuple(sorted(named.items())))

        # ---- callbacks
        def exposed_line_counter(self, file, function):
            count = 0
            for line in file.readlines():
                function(line)
                count += 1
            return count

        def exposed_call(self, function, *args, **kwargs):
            return function(*args, **kwargs)

        def exposed_ping_pong(self, partner, depth):
            if depth:
                return ("ping", depth, partner(self.exposed_ping_pong, depth - 1))
            return ("ping", 0)

        # ---- exceptions
        def exposed_raise_error(self, kind, *args):
            raise_named(kind, *args)

        def exposed_catch(self, function, *args):
            try:
                return function(*args)
            except Exception as error:
                return (type(error).__name__, error.args, getattr(error, "_remote_tb", ""))

        # ---- objects and references
        def exposed_make(self, kind, *args):
            return MAKERS[kind](*args)

        def exposed_operate(self, operation, *args, **kwargs):
            return perform(rpyc, self._conn, operation, args, kwargs)

        def exposed_remember(self, thing):
            self._remembered = thing

        def exposed_remembered(self):
            return self._remembered

        def exposed_is_same(self, thing):
            return thing is self._remembered

        def exposed_forget(self):
            self._remembered = None

        def exposed_live(self, tag):
            return LIVE[tag]

    return InteropService


if __name__ == "__main__":
    main()
