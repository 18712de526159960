"""A client of the soak: threads or coroutines that call the server in every way, and check every answer.

Runs until its input ends. Prints how it is doing once a second, and at the end what is left over, as lines of JSON.
"""

import argparse
import asyncio
import collections
import contextlib
import gc
import importlib
import json
import os
import random
import signal
import sys
import threading
import time
import traceback

#: Seconds that a call waits for its reply.
LIMIT = 3.0
#: A call that takes longer than any limit explains is stuck.
STUCK = 30.0
BIG = 300_000


class WrongError(Exception):
    """An answer is not what it should be."""


class FailedError(Exception):
    """A call failed in one of the ways in which calls may fail when a connection suffers."""


class Tally:
    """What was called, and what became of it."""

    def __init__(self, tolerates_all=False):
        self.lock = threading.Lock()
        self.tolerated = (Exception,) if tolerates_all else (EOFError, TimeoutError, asyncio.TimeoutError)
        self.calls = collections.Counter()
        self.failures = collections.Counter()
        self.latencies = collections.Counter()  # by bucket
        self.worst = 0.0, ""
        self.ended = []  # waits that a limit has ended: from when to when, and by how many seconds that was too late
        self.late = {"time-outs": collections.Counter(), "plain waits": collections.Counter()}  # by milliseconds
        self.continued = []  # when this process was told to run again
        self.unexpected = []
        self.under_way = {}

    @contextlib.contextmanager
    def counted(self, name):
        """Around one operation. Raises nothing but :class:`FailedError`."""
        me, started = object(), time.monotonic()
        self.under_way[me] = name, started, threading.get_ident()
        failure = None
        try:
            yield
        except WrongError as error:
            self.note(f"{name}: {error}")
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except self.tolerated as error:
            failure = type(error).__name__
        except Exception:
            self.note(f"{name}: {traceback.format_exc()}")
        finally:
            took = time.monotonic() - started
            del self.under_way[me]
            with self.lock:
                self.calls[name] += 1
                if failure:
                    self.failures[f"{name}: {failure}"] += 1
                else:
                    self.latencies[_bucket(took)] += 1
                    self.worst = max(self.worst, (took, name))
        if failure:
            raise FailedError(failure)

    def note(self, text):
        with self.lock:
            if len(self.unexpected) < 20:
                self.unexpected.append(text)

    def timed_out(self, started, limit):
        """A wait with a limit has ended."""
        now = time.monotonic()
        with self.lock:
            self.ended.append(("time-outs", started, now, now - started - limit))

    def wait_plainly(self, stop):
        """How late the machine is to wake a thread of this process from a wait that has nothing to do with calls."""
        while not stop.is_set():
            started = time.monotonic()
            stop.wait(0.05)
            now = time.monotonic()
            with self.lock:
                self.ended.append(("plain waits", started, now, now - started - 0.05))

    def judge_waits(self):
        """A wait during which the whole process was stopped tells nothing. That it was is known a moment later."""
        known = time.monotonic() - 0.5
        for kind, started, ended, late in [wait for wait in self.ended if wait[2] < known]:
            if not any(started < at < ended + 0.5 for at in self.continued):
                self.late[kind][round(1000 * late)] += 1
        self.ended = [wait for wait in self.ended if wait[2] >= known]

    def look_for_stuck_calls(self):
        now = time.monotonic()
        for name, started, thread in list(self.under_way.values()):
            if now - started > STUCK:
                frame = sys._current_frames().get(thread)
                self.note(f"{name} is stuck:\n" + "".join(traceback.format_stack(frame)))

    def figures(self):
        with self.lock:
            self.judge_waits()
            return {
                "calls": dict(self.calls),
                "failures": dict(self.failures),
                "latencies": {str(bucket): count for bucket, count in self.latencies.items()},
                "worst": self.worst,
                "late": self.late,
                "unexpected": self.unexpected,
            }


def _bucket(seconds):
    """Twelve buckets for each power of ten, from a microsecond on."""
    bucket, bound = 0, 1e-6
    while bound < seconds:
        bucket, bound = bucket + 1, bound * 10 ** (1 / 12)
    return bucket


def check(got, wanted):
    if got != wanted:
        raise WrongError(f"{got!r:.200} instead of {wanted!r:.200}")


def check_that_it_was_late(started):
    """A call of 0.3 s has not timed out: this process must have been stopped until the reply was there."""
    if time.monotonic() - started < 0.3:
        raise WrongError("no time-out")


def expect(exception, text, operation, *args):
    try:
        operation(*args)
    except exception as error:
        check(text in str(error), True)
    else:
        raise WrongError(f"no {exception.__name__}")


class Line:
    """A connection that is made anew when it is lost."""

    def __init__(self, api, port):
        self._api, self._port = api, port
        self._lock = threading.Lock()
        self._conn = None

    def get(self):
        with self._lock:
            if self._conn is None or self._conn.closed:
                config = {"sync_request_timeout": LIMIT, "allow_public_attrs": True}
                self._conn = self._api.connect("127.0.0.1", self._port, config=config)
            return self._conn

    def present(self):
        return self._conn

    def drop(self):
        with self._lock:
            if self._conn is not None:
                self._conn.close()
            self._conn = None


# ---- threads


class Operations:
    """What the threads do, each with a connection's root. Everything here runs on stock too, unless its name is in ``OWN``."""

    OWN = (
        "echo_in_coroutine",
        "call_in_coroutine",
        "stream",
        "callbacks_of_results",
        "slow_call_and_quick_ones",
        "time_out",
        "time_out_of_a_block",
    )

    def __init__(self, api, tally):
        self.api, self.tally = api, tally
        self.kept = threading.local()
        #: Results that were given a callback, and callbacks that were called.
        self.results = self.callbacks = 0

    def all(self, own):
        names = [name for name, value in vars(Operations).items() if callable(value) and name[0] != "_" and name != "all"]
        return [name for name in names if own or name not in self.OWN]

    def echo(self, root, rng):
        token = rng.random(), "text", (None, b"bytes")
        check(root.echo(token), token)

    def echo_much(self, root, rng):
        data = rng.randbytes(1000) * (BIG // 1000)
        check(root.echo(data), data)

    def callback(self, root, rng):
        number = rng.randrange(1000)
        check(root.call(lambda x: x + 1, number), number + 1)

    def nested_callbacks(self, root, rng):
        def partner(bounce, left):
            return 0 if left == 0 else 1 + bounce(partner, left - 1)

        check(root.bounce(partner, 5), 5)

    def exception(self, root, rng):
        token = str(rng.random())
        expect(KeyError, token, root.fail, token)

    def exception_of_a_callback(self, root, rng):
        token = str(rng.random())

        def callback():
            raise LookupError(token)

        expect(LookupError, token, root.call, callback)

    def dropped_proxies(self, root, rng):
        things = [root.make(number) for number in range(rng.randrange(10))]
        for number, thing in enumerate(things):
            check(thing.value(), number)
        if rng.random() < 0.3:
            cycle = [things]
            cycle.append(cycle)  # for the garbage collector, wherever it runs

    def kept_proxies(self, root, rng):
        kept = self.kept.__dict__.setdefault("things", [])
        kept.append(root.make(7))
        if len(kept) > 50:
            kept.clear()

    def lent_objects(self, root, rng):
        root.keep(lambda: None, object(), [1])
        if rng.random() < 0.5:
            root.let_go()

    def iteration(self, root, rng):
        count = rng.randrange(20)
        check(list(root.numbers(count)), list(range(count)))
        check(list(self.api.buffiter(root.numbers(5 * count))), list(range(5 * count)))

    def many_in_flight(self, root, rng):
        echo = self.api.async_(root.echo)
        results = [echo(number) for number in range(30)]
        for result in results:
            result.set_expiry(2 * LIMIT)
        check([result.value for result in results], list(range(30)))

    def dropped_results(self, root, rng):
        for _ in range(5):
            self.api.async_(root.make)(1)

    def time_out(self, root, rng):
        began = time.monotonic()
        pause = self.api.async_(root.pause)
        result = pause(0.3)  # which may have to wait for room
        result.set_expiry(0.05)
        started = time.monotonic()
        try:
            _ = result.value
        except TimeoutError:
            self.tally.timed_out(started, 0.05)
        else:
            check_that_it_was_late(began)

    def time_out_of_a_block(self, root, rng):
        started = time.monotonic()
        try:
            with self.api.timeout(0.05):
                root.pause(0.3)
        except TimeoutError:
            self.tally.timed_out(started, 0.05)
        else:
            check_that_it_was_late(started)

    def callbacks_of_results(self, root, rng):
        def called(result):
            with self.tally.lock:
                self.callbacks += 1

        result = self.api.async_(root.echo)(1)
        with self.tally.lock:
            self.results += 1
        result.add_callback(called)

    def called_later(self, root, rng):
        heard = threading.Event()
        root.call_later(lambda value: heard.set(), 1)
        if not heard.wait(2 * LIMIT):
            raise TimeoutError

    def slow_call_and_quick_ones(self, root, rng):
        gate = root.gate()
        waiting = self.api.async_(gate.wait)()
        waiting.set_expiry(2 * LIMIT)
        check(root.echo(1), 1)
        gate.open()
        check(waiting.value, True)

    def echo_in_coroutine(self, root, rng):
        check(root.echo_in_coroutine(5), 5)

    def call_in_coroutine(self, root, rng):
        check(root.call_in_coroutine(lambda x: x, 6), 6)

    def stream(self, root, rng):
        check(list(root.stream(5)), [0, 1, 2, 3, 4])


def work(line, operations, names, tally, stop, seed):
    rng = random.Random(seed)
    while not stop.is_set():
        try:
            with tally.counted("connect"):
                try:
                    root = line.get().root
                except OSError:
                    raise EOFError from None  # nobody listens, or the proxy has reset it
            while not stop.is_set():
                name = rng.choice(names)
                with tally.counted(name):
                    getattr(operations, name)(root, rng)
                if line.present() is None or line.present().closed:
                    break
        except FailedError:
            stop.wait(0.02)
    operations.kept.__dict__.clear()


def run_threads(options, tally, stop):
    api = importlib.import_module(options.impl)
    lines = [Line(api, options.ports[number % len(options.ports)]) for number in range(options.connections)]
    operations = Operations(api, tally)
    names = operations.all(own=options.impl == "netref")
    threads = [
        threading.Thread(target=work, args=(line, operations, names, tally, stop, f"{options.seed} {number} {each}"))
        for number, line in enumerate(lines)
        for each in range(options.threads)
    ]
    for thread in threads:
        thread.start()
    watch(tally, stop)
    for thread in threads:
        thread.join(STUCK)
        if thread.is_alive():
            frame = sys._current_frames().get(thread.ident)
            tally.note("a thread does not end:\n" + "".join(traceback.format_stack(frame)))
    if options.impl == "netref":
        for line in lines:
            check_references(line.present(), tally)
    for line in lines:
        line.drop()
    within(5, lambda: operations.results == operations.callbacks)
    if operations.results != operations.callbacks and options.impl == "netref":
        tally.note(f"{operations.results} results have called back {operations.callbacks} times")


def check_references(conn, tally):
    """When everything is dropped, neither side of a connection keeps anything of it."""
    if conn is None or conn.closed:
        return
    try:
        root = conn.root
        root.let_go()
        gc.collect()
        # The root, and the method that is asked.
        if not within(5, lambda: root.lent() <= 2 and conn.stats()["objects_lent"] == 0):
            tally.note(f"references leaked: the server lends {root.lent()}, the client {conn.stats()}")
    except (EOFError, TimeoutError):
        pass  # lost at the last moment


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# ---- coroutines


class Coroutines:
    """What the tasks do."""

    async def echo(self, root, rng):
        token = rng.random(), "text"
        check(await root.echo(token), token)

    async def echo_much(self, root, rng):
        data = rng.randbytes(1000) * (BIG // 1000)
        check(await root.echo(data), data)

    async def echo_in_coroutine(self, root, rng):
        check(await root.echo_in_coroutine(5), 5)

    async def callback(self, root, rng):
        async def callback(x):
            await asyncio.sleep(0)
            return await root.echo(x)

        check(await root.call(callback, 3), 3)
        check(await root.call_in_coroutine(callback, 4), 4)

    async def exception(self, root, rng):
        token = str(rng.random())
        try:
            await root.fail(token)
        except KeyError as error:
            check(token in str(error), True)
        else:
            raise WrongError("no KeyError")

    async def dropped_proxies(self, root, rng):
        things = await asyncio.gather(*(root.make(number) for number in range(5)))
        check(await asyncio.gather(*(thing.value() for thing in things)), [0, 1, 2, 3, 4])

    async def many_in_flight(self, root, rng):
        check(await asyncio.gather(*(root.echo(number) for number in range(30))), list(range(30)))

    async def iteration(self, root, rng):
        from netref import aio

        check([number async for number in await root.numbers(5)], [0, 1, 2, 3, 4])
        check([number async for number in await root.stream(5)], [0, 1, 2, 3, 4])
        check([number async for number in aio.buffiter(await root.stream(30))], list(range(30)))

    async def cancelled(self, root, rng):
        started = time.monotonic()
        try:
            await asyncio.wait_for(root.pause(0.3), 0.02)
        except asyncio.TimeoutError:
            return
        check_that_it_was_late(started)


async def live(port, coroutines, tally, stop, rng):
    from netref import aio

    names = [name for name in vars(Coroutines) if name[0] != "_"]
    while not stop.is_set():
        try:
            with tally.counted("connect"):
                try:
                    conn = await asyncio.wait_for(aio.connect("127.0.0.1", port), 2 * LIMIT)
                except OSError:
                    raise EOFError from None

            async def work(conn=conn):
                while not stop.is_set() and not conn.closed:
                    name = rng.choice(names)
                    with tally.counted(name):
                        await asyncio.wait_for(getattr(coroutines, name)(conn.root, rng), 2 * LIMIT)

            outcomes = await asyncio.gather(*(work() for _ in range(4)), return_exceptions=True)
            for outcome in outcomes:
                if outcome is not None and not isinstance(outcome, FailedError):
                    tally.note(f"a task ended with {outcome!r}")
            # Exceptions keep their frames, and those the proxies in them.
            del outcomes[:], outcome
            if stop.is_set():
                await asyncio.to_thread(check_references, conn.sync, tally)
            await conn.close()
        except FailedError:
            await asyncio.sleep(0.02)


def run_coroutines(options, tally, stop):
    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: tally.note(f"the loop says {context}"))
        ports = [options.ports[number % len(options.ports)] for number in range(options.connections)]
        lives = [live(port, Coroutines(), tally, stop, random.Random(f"{options.seed} {n}")) for n, port in enumerate(ports)]
        await asyncio.gather(asyncio.to_thread(watch, tally, stop), *lives)

    asyncio.run(main())


# ---- the process


def watch(tally, stop):
    """Prints how things are until it is time to stop."""
    while not stop.wait(1):
        tally.look_for_stuck_calls()
        print(json.dumps({"progress": tally.figures()}), flush=True)


def figures():
    return {"threads": len(os.listdir("/proc/self/task")), "fds": len(os.listdir("/proc/self/fd"))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["threads", "coroutines"], required=True)
    parser.add_argument("--impl", default="netref")
    parser.add_argument("--ports", type=lambda text: [int(port) for port in text.split(",")], required=True)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--threads", type=int, default=3)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    tally = Tally(tolerates_all=options.impl != "netref")
    stop = threading.Event()

    def wait_for_the_end():
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    signal.signal(signal.SIGCONT, lambda *_: tally.continued.append(time.monotonic()))
    threading.Thread(target=tally.wait_plainly, args=(stop,), daemon=True).start()
    before = figures()
    {"threads": run_threads, "coroutines": run_coroutines}[options.kind](options, tally, stop)
    gc.collect()
    # Threads of the pool go when they have had nothing to do for ten seconds.
    is_clean = within(15, lambda: not leaks(before))
    if not is_clean and options.impl == "netref":
        tally.note(f"leaked: {leaks(before)}; threads {threading.enumerate()}; descriptors {[*descriptors()]}")
    print(json.dumps({"final": tally.figures(), "left": figures(), "before": before}), flush=True)


def descriptors():
    """What the open file descriptors stand for."""
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of the listing itself
            yield os.readlink(f"/proc/self/fd/{fd}")


def leaks(before):
    # The watch lives as long as the process, and so do the thread that reads the input and what asyncio keeps.
    allowed = {"threads": before["threads"] + 2, "fds": before["fds"] + 2}
    return {name: count for name, count in figures().items() if count > allowed[name]}


if __name__ == "__main__":
    main()
