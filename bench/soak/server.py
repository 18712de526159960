"""The server of the soak: ``server.py PORT``. Prints its port; then, for each line of its input, a report as JSON."""

import asyncio
import gc
import json
import os
import resource
import sys
import threading
import weakref

import netref
from netref.utils.server import ThreadedServer

#: Connections that have begun and not ended, and how often each event came.
connections = set()
events = {"connected": 0, "disconnected": 0, "disconnected twice": 0}
events_lock = threading.Lock()
#: Those that are alive.
things = weakref.WeakSet()


class Thing:
    """What clients get references to."""

    def __init__(self, number):
        self.number = number
        things.add(self)

    def exposed_value(self):
        return self.number


class SoakService(netref.Service):
    def __init__(self):
        self._conn = None
        self._kept = []

    def on_connect(self, conn):
        self._conn = conn
        with events_lock:
            events["connected"] += 1
            connections.add(self)

    def on_disconnect(self, conn):
        with events_lock:
            events["disconnected"] += 1
            events["disconnected twice"] += self not in connections
            connections.discard(self)

    def exposed_echo(self, value):
        return value

    def exposed_call(self, function, *args):
        return function(*args)

    def exposed_bounce(self, partner, depth):
        return 0 if depth == 0 else 1 + partner(self.exposed_bounce, depth - 1)

    def exposed_fail(self, text):
        raise KeyError(text)

    def exposed_make(self, number):
        return Thing(number)

    def exposed_numbers(self, count):
        return iter(range(count))

    def exposed_keep(self, *objects):
        """Holds on to what the client lends, until :meth:`exposed_let_go`."""
        self._kept.extend(objects)
        return len(self._kept)

    def exposed_let_go(self):
        self._kept.clear()

    def exposed_call_later(self, function, value):
        netref.async_(function)(value)

    def exposed_gate(self):
        return Gate()

    async def exposed_echo_in_coroutine(self, value):
        await asyncio.sleep(0)
        return value

    async def exposed_call_in_coroutine(self, function, *args):
        return await netref.async_(function)(*args)

    async def exposed_stream(self, count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    async def exposed_pause(self, seconds):
        await asyncio.sleep(seconds)
        return Thing(-1)

    def exposed_lent(self):
        return self._conn.stats()["objects_lent"]


class Gate:
    """Holds a call up until another opens it."""

    def __init__(self):
        self._event = threading.Event()

    def exposed_wait(self):
        return self._event.wait(20)

    def exposed_open(self):
        self._event.set()


def report():
    gc.collect()
    with events_lock:
        lent = sum(service._conn.stats()["objects_lent"] for service in connections if not service._conn.closed)
        return {
            "connections": len(connections),
            "events": dict(events),
            "things": len(things),
            "lent": lent,
            **process_figures(),
        }


def process_figures():
    """Threads, file descriptors and memory of this process."""
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "fds": len(os.listdir("/proc/self/fd")),
        "rss": pages * resource.getpagesize(),
    }


def main():
    server = ThreadedServer(SoakService, hostname="127.0.0.1", port=int(sys.argv[1]))
    server.listener.listen()
    threading.Thread(target=server.start, daemon=True).start()
    print(server.port, flush=True)
    for _ in sys.stdin:
        print(json.dumps(report()), flush=True)


if __name__ == "__main__":
    main()
