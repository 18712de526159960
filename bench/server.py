"""Server worker for the two Python implementations: `server.py --impl rpyc|netref`, driven by run.py."""

import argparse
import gc
import importlib
import logging
import threading

import worker


class Item:
    """What `new_item` returns: an ordinary class with a handful of methods."""

    def __init__(self, position):
        self._position = position

    def exposed_position(self):
        return self._position

    def exposed_plus(self, number):
        return self._position + number

    def exposed_title(self):
        return f"item {self._position}"

    def __eq__(self, other):
        return isinstance(other, Item) and self._position == other._position

    def __hash__(self):
        return hash(self._position)

    def __repr__(self):
        return f"Item({self._position})"


def records(count):
    """A nested list of small dicts, of types that every serialiser knows."""
    return [{"id": i, "name": f"item {i}", "score": i / 2, "tags": ["a", "b"]} for i in range(count)]


def bench_service(rpyc):
    class BenchService(rpyc.Service):
        def exposed_echo(self, value):
            return value

        def exposed_call_back(self, function, count):
            self._kept = function  # so that its release, and stock's stall on it, is not part of the calls
            for i in range(count):
                function(i)

        def exposed_numbers(self, count):
            return list(range(count))

        def exposed_new_item(self, position):
            return Item(position)

        def exposed_new_items(self, count):
            return tuple(Item(position) for position in range(count))

        def exposed_settle(self):
            """How many items there still are, after memory was given back."""
            gc.collect()
            worker.trim()
            return sum(type(thing) is Item for thing in gc.get_objects())

        def exposed_records(self, count):
            return records(count)

        def exposed_array(self, size):
            import numpy

            return numpy.arange(size, dtype=numpy.uint8)

        def exposed_line_counter(self, fileobj, function):
            for linenum, line in enumerate(fileobj.readlines()):  # noqa: B007 - as in the original
                function(line)
            return linenum + 1

    return BenchService


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impl", choices=("rpyc", "netref"), required=True)
    wire = worker.Wire()
    logging.getLogger().setLevel(logging.ERROR)
    impl = parser.parse_args().impl
    rpyc = importlib.import_module(impl)
    ThreadedServer = importlib.import_module(f"{impl}.utils.server").ThreadedServer
    config = {"allow_pickle": True}  # what stock's `obtain` needs; netref's `copy` does not
    server = ThreadedServer(bench_service(rpyc), hostname="127.0.0.1", port=0, protocol_config=config)
    threading.Thread(target=server.start, daemon=True).start()
    wire.announce(rpyc.__version__, port=server.port)
    worker.serve_until_told_to_stop(wire)


if __name__ == "__main__":
    main()
