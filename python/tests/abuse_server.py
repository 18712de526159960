"""A server program to be abused: ``abuse_server.py --impl netref|rpyc --server NAME [--config JSON] [--files N] ...``.

Prints its port and serves on 127.0.0.1, or what `--host` says. On a line of its standard input it prints its counters; it ends
with the input.
"""

import argparse
import builtins
import contextlib
import importlib
import itertools
import json
import logging
import os
import resource
import sys
import threading


def abused_service(api):
    """A service with something for every kind of abuse."""

    class Guarded:
        """Decides by itself what peers may reach: nothing but `open`."""

        open = "open"
        admin = "secret"

        def _rpyc_getattr(self, name):
            if name != "open":
                raise AttributeError(name)
            return self.open

        def exposed_admin(self):
            return "secret"

        def __iter__(self):
            return iter(["secret"])

        def __eq__(self, other):
            return True

        __hash__ = None

    class Nasty(Exception):
        @property
        def nasty(self):
            raise RuntimeError("reading this raises")

        def __str__(self):
            raise RuntimeError("so does printing it")

        __repr__ = __str__

    class Thing:
        def exposed_hello(self):
            return "hello"

        def _private_method(self):
            return "private"

    class AbusedService(api.Service):
        def __init__(self):
            self._kept = None

        def on_connect(self, conn):
            self._conn = conn

        def exposed_echo(self, value):
            return value

        def exposed_wait(self, seconds):
            return threading.Event().wait(seconds)

        def exposed_count(self):
            return itertools.count()

        def exposed_thing(self):
            return Thing()

        def exposed_things(self, count):
            return tuple(Thing() for _ in range(count))

        def exposed_guarded(self):
            return Guarded()

        def exposed_bytes(self, count):
            return b"x" * count

        def exposed_call(self, function, *args):
            return function(*args)

        def exposed_use(self, operation, thing):
            """Does what Python does with objects by itself, as when they are put into a set."""
            return repr(getattr(builtins, operation)(thing))

        def exposed_attribute(self, thing, name):
            return getattr(thing, name)

        def exposed_push(self, function):
            function = api.async_(function)

            def push():
                with contextlib.suppress(EOFError, OSError):
                    while True:
                        function(os.urandom(100_000))

            for _ in range(3):
                threading.Thread(target=push, daemon=True).start()

        def exposed_keep(self, thing):
            self._kept = thing

        def exposed_recurse(self, function):
            return function(self.exposed_recurse)

        def exposed_raise_nasty(self):
            raise Nasty("argument")

        def exposed_interrupt(self):
            raise KeyboardInterrupt

        def exposed_exit(self):
            raise SystemExit(3)

        def exposed_huge_int(self):
            return 10**5000

        def exposed_surrogate(self):
            return "\ud800"

        def exposed_long_chain(self):
            error = ValueError("first")
            for number in range(2000):
                error, cause = ValueError(number), error
                error.__cause__ = cause
            raise error

        def exposed_cycle(self):
            error, other = ValueError(1), ValueError(2)
            error.__cause__, other.__cause__ = other, error
            raise error

        def exposed_copy(self, thing):
            import copy

            return copy.copy(thing)

    return AbusedService


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--impl", required=True)
    parser.add_argument("--server", default="ThreadedServer")
    parser.add_argument("--config", type=json.loads, default={})
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--files", type=int)
    parser.add_argument("--memory", type=int)
    parser.add_argument("--certs")
    options = parser.parse_args()
    # What is logged goes through a pipe to the test, as to a terminal.
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    api = importlib.import_module(options.impl)
    servers = importlib.import_module(f"{options.impl}.utils.server")
    authenticator = None
    if options.certs:
        authenticators = importlib.import_module(f"{options.impl}.utils.authenticators")
        authenticator = authenticators.SSLAuthenticator(f"{options.certs}/key.pem", f"{options.certs}/cert.pem")
    server = getattr(servers, options.server)(
        abused_service(api), hostname=options.host, port=0, protocol_config=options.config, authenticator=authenticator
    )
    if options.files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options.files, options.files))
    if options.memory:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory, options.memory))
    server.listener.listen()  # so that a client can connect as soon as it has read the port
    print(server.port, flush=True)
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    server.start()


def answer(server):
    for _ in sys.stdin:
        print(json.dumps(server.stats() if hasattr(server, "stats") else {}), flush=True)
    server.close()


if __name__ == "__main__":
    main()
