"""Processes share one object: a counter that lives in a server, which all of them add to at the same time.

    python sharing.py [--workers N] [--times N]

The program starts the server and the workers by itself. Each worker hands the counter a function, which the server calls when
the counter has reached its goal.
"""

import argparse
import multiprocessing
import threading

import netref as rpyc


class Counter:
    """There is one; workers hold references to it."""

    def __init__(self, goal):
        self.lock = threading.Lock()
        self.goal, self.value, self.watchers = goal, 0, []

    def exposed_watch(self, function):
        self.watchers.append(function)

    def exposed_add(self):
        with self.lock:
            self.value += 1
            reached = self.value == self.goal
        if reached:  # the lock is free: the functions may use the counter
            for function in self.watchers:
                function(self.goal)


class SharingService(rpyc.Service):
    def __init__(self, counter):
        self.exposed_counter = counter


def work(name, port, times):
    """A worker, in a process of its own."""
    reached = threading.Event()

    def goal_reached(value):
        print(f"{name} hears: {value}\n", end="", flush=True)
        reached.set()

    with rpyc.connect("localhost", port) as conn:
        counter = conn.root.counter
        counter.watch(goal_reached)
        for _ in range(times):
            counter.add()
        reached.wait()


def main():
    parser = argparse.ArgumentParser(description="Has several processes share a counter.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=100, help="how often each adds 1")
    options = parser.parse_args()

    counter = Counter(options.workers * options.times)
    server = rpyc.ThreadedServer(SharingService(counter), hostname="localhost")
    server.listener.listen()  # so that no worker can come too early
    threading.Thread(target=server.start, daemon=True).start()
    context = multiprocessing.get_context("spawn")
    names = [f"worker {number}" for number in range(1, options.workers + 1)]
    workers = [context.Process(target=work, args=(name, server.port, options.times)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    server.close()
    print("The counter is at", counter.value)


if __name__ == "__main__":
    main()
