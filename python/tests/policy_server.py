"""A server program whose objects and configuration a test chooses: ``policy_server.py --impl netref|rpyc``.

Prints its port and serves on 127.0.0.1 until its standard input ends.
"""

import argparse
import importlib
import logging
import sys
import threading


class Plain:
    public = "public"
    _private = "private"
    exposed_plain = "exposed"
    exposed_both = "exposed both"
    both = "plain both"
    pub_lic = "another prefix"
    _exposed = "a prefix of one character"

    def __init__(self):
        self.own = "of the instance"
        self._hidden = "of the instance"
        self.exposed_own = "of the instance"

    def method(self, *args):
        return args

    def exposed_method(self, *args):
        return args

    def _private_method(self, *args):
        return args

    def __iter__(self):
        return iter(("item",))

    def __getslice__(self, *args):
        return args

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        return "left"

    def __secret__(self, *args):
        return args

    def __matmul__(self, other):
        return "matmul"

    @property
    def exposed_broken(self):
        raise RuntimeError("broken")


class Deciding(Plain):
    def _rpyc_getattr(self, name):
        if name not in ("public", "__eq__"):
            raise AttributeError(name)
        return getattr(self, name)

    def _rpyc_setattr(self, name, value):
        if name != "public":
            raise AttributeError(name)

    def _rpyc_delattr(self, name):
        if name != "public":
            raise AttributeError(name)


class Sequence:
    def __getitem__(self, index):
        return ("first", "second")[index]


KINDS = {
    "plain": Plain,
    "deciding": Deciding,
    "class": lambda: type("Made", (Plain,), {}),
    "list": lambda: ["item"],
    "sequence": Sequence,
    "iterator": lambda: iter(["item"]),
    "generator": lambda: (item for item in ["item"]),
    "function": lambda: lambda *args: args,
    "exception": lambda: ValueError("text"),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--impl", required=True)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    api = importlib.import_module(options.impl)
    server_module = importlib.import_module(f"{options.impl}.utils.server")

    class Choosing(api.Service):
        def on_connect(self, conn):
            self._conn = conn
            self._defaults = dict(conn._config)

        def exposed_make(self, kind):
            return KINDS[kind]()

        def exposed_configure(self, settings):
            config = self._conn._config
            config.update(self._defaults)
            for name, value in settings:
                config[name] = set(value) if name == "safe_attrs" else value

    server = server_module.ThreadedServer(Choosing, hostname="127.0.0.1", port=0)
    server.listener.listen()
    threading.Thread(target=server.start, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
