"""Cases in which RPyC hangs, crashes or breaks its word, as programs that run on either implementation.

Each scenario gets the package, and what its test says: mostly the server's port. Time limits are wide: they tell a hang from an
answer.
"""

import gc
import itertools
import os
import random
import signal
import sys
import threading
import time
import traceback

from hard_case_service import lent_over
from waiting import until

_CONFIG = {"allow_public_attrs": True}


def _connect(rpyc, port, service=None, **config):
    return rpyc.connect("127.0.0.1", int(port), service=service or rpyc.VoidService, config={**_CONFIG, **config})


def _elapsed(function, *args):
    started = time.monotonic()
    function(*args)
    return time.monotonic() - started


def _raised(kind, function, *args):
    try:
        function(*args)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def lock_held_while_waiting(rpyc, port, dispatch):
    """HC1: a callback of another call needs the lock that the waiting thread holds."""
    conn = _connect(rpyc, port, dispatch=dispatch)
    serving = rpyc.BgServingThread(conn)
    lock, acquired, ran_on = threading.Lock(), [], []

    def take():
        ran_on.append(threading.get_ident())
        acquired.append(lock.acquire(timeout=6))

    go = conn.root.go
    with lock:
        result = rpyc.async_(go)(take)
        assert _elapsed(go, lambda: None) < 3
        assert not acquired
    result.wait()
    assert acquired == [True]
    assert ran_on != [threading.get_ident()]
    serving.stop()


def two_threads_of_the_server(rpyc, port):
    """HC2: one callback waits for what the other one does."""
    event = threading.Event()
    conn = _connect(rpyc, port)
    assert _elapsed(conn.root.in_two_threads, lambda: event.wait(20), event.set) < 10
    assert event.is_set()


def both_write_a_lot(rpyc, port, path, count):
    """HC3 (a): many requests of a megabyte each, none of whose replies is read before all are sent."""
    for conn in (_connect(rpyc, port), rpyc.utils.factory.unix_connect(path)):
        _write_a_lot(rpyc, conn, count)


def _write_a_lot(rpyc, conn, count):
    echo = rpyc.async_(conn.root.echo)
    blocks = [os.urandom(1_000_000) for _ in range(int(count))]
    results = [echo(block) for block in blocks]
    assert all(result.value == block for result, block in zip(results, blocks, strict=True))
    conn.close()


def many_references_given_back(rpyc, path, count):
    """HC3 (b): as many references are given back at once, each with an answer."""
    _give_back_many(rpyc.utils.factory.unix_connect(path, config=_CONFIG), count)


def _give_back_many(conn, count):
    objects = conn.root.objects(int(count))
    assert len(objects) == int(count)
    before = conn.root.memory()
    del objects
    assert conn.root.ok() == 1
    assert conn.root.memory() - before < 200_000


def both_write_through_pipes(rpyc, blocks, references, *server):
    """HC3 through the standard input and output of a server."""
    connect = rpyc.utils.factory.connect_subproc
    _give_back_many(connect(server, config=_CONFIG), references)
    _write_a_lot(rpyc, connect(server, config=_CONFIG), blocks)


def time_out_leaves_the_connection_usable(rpyc, port):
    """HC4 (a): a call that takes too long delays no later one, and its late reply gives back what it refers to."""
    conn = _connect(rpyc, port, sync_request_timeout=1)
    ok, sleep = conn.root.ok, conn.root.sleep
    error = []
    assert 0.9 < _elapsed(lambda: error.append(_raised(TimeoutError, sleep, 3))) < 2
    assert "expired" in str(error[0])
    assert ok() == 1
    conn.ping(timeout=1)


def time_out_while_a_callback_runs(rpyc, port):
    """HC4 (b): the limit holds although a callback of the call takes longer."""
    leave = threading.Event()
    conn = _connect(rpyc, port, sync_request_timeout=1)
    call_and_sleep = conn.root.call_and_sleep
    assert 0.9 < _elapsed(_raised, TimeoutError, call_and_sleep, lambda: leave.wait(5), 8) < 2
    leave.set()


def slow_call_delays_nothing(rpyc, port):
    """HC4 (c): while an asynchronous call runs, other requests are answered."""
    conn = _connect(rpyc, port)
    root = conn.root
    result = rpyc.async_(root.sleep)(3)
    assert _elapsed(lambda: rpyc.async_(root.ok)) < 2
    assert _elapsed(root.ok) < 2
    assert _elapsed(conn.ping) < 2
    assert not result.ready


def callback_storm(rpyc, port, server, count, by_reference):
    """HC5: callbacks that call back themselves, far more of them than there is stack for."""
    count, by_reference = int(count), by_reference == "by_reference"
    conn = _connect(rpyc, port, sync_request_timeout=None)
    echo = conn.root.echo
    started, depths = [], []

    def callback(item):
        depth, frame = 0, sys._getframe()
        while frame is not None:
            depth, frame = depth + 1, frame.f_back
        depths.append(depth)
        started.append(number := item[0] if by_reference else item)
        return echo(number)

    # By reference, the number is asked for, and another callback may begin before it is known.
    assert conn.root.storm(callback, count, by_reference) == count * (count - 1) // 2
    assert sorted(started) == list(range(count))
    if not by_reference:
        overtaken = sum(later < earlier for earlier, later in itertools.pairwise(started))
        # A stock server does not say what the callbacks belong to. Then they begin on several threads, one soon after the other,
        # and where the machine lets one wait for too long, the next one may be first.
        assert overtaken <= (0 if server == "netref" else count // 100), overtaken
    assert max(depths) < 300, max(depths)


def unencodable_results(rpyc, port):
    """HC6: what cannot be sent is an error of its call."""
    conn = _connect(rpyc, port)
    root = conn.root
    for which in ("surrogate", "integer", "deep", "raising"):
        error = _raised(Exception, root.unencodable, which)
        assert not isinstance(error, EOFError), error
        assert root.ok() == 1


def loss_reaches_every_waiter(rpyc, port):
    """HC7 (a): the server dies, and who waits for a result hears of it."""
    conn = _connect(rpyc, port)
    pid = conn.root.pid()
    heard = []
    result = rpyc.async_(conn.root.sleep)(100)
    result.add_callback(heard.append)
    os.kill(pid, signal.SIGKILL)
    error = _raised(EOFError, lambda: result.value)
    assert "peer" in str(error) or "reset" in str(error), error
    until(lambda: heard)
    assert heard == [result]
    assert result.ready
    assert result.error


def undecodable_error_reaches_its_waiter(rpyc, port):
    """HC7 (b): an exception that cannot be made here is still an exception, and others go on."""
    conn = _connect(rpyc, port)
    serving = rpyc.BgServingThread(conn)
    result = rpyc.async_(conn.root.raise_group)()
    error = _raised(Exception, lambda: result.value)
    assert "several" in str(error)
    assert conn.root.ok() == 1
    serving.stop()


def frozen_peer(rpyc, port):
    """HC7 (c): neither closing nor exiting waits for a peer that is stopped."""
    conn = _connect(rpyc, port, sync_request_timeout=None)
    other = _connect(rpyc, port, sync_request_timeout=None)
    kept = other.root.echo([])
    pid = conn.root.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert _elapsed(conn.close) < 3
    finally:
        # The test sees to it that the server goes on, after this process has ended.
        del kept


def destructor_that_calls_the_client(rpyc, port, times):
    """HC8: an object is deleted because its client is gone, and calls that client."""
    watching = _connect(rpyc, port)
    threads, descriptors = watching.root.threads(), watching.root.descriptors()
    for _ in range(int(times)):
        conn = _connect(rpyc, port)
        held = conn.root.hold(len)
        conn.close()
        del held
    until(lambda: watching.root.threads() <= threads + 4, 30)
    until(lambda: watching.root.descriptors() <= descriptors + 4, 30)


def garbage_that_calls_the_server(rpyc, port, times):
    """HC8: the same in a garbage collection, wherever that happens to run."""
    conn = _connect(rpyc, port)
    call = rpyc.async_(conn.root.echo)
    collected = []

    class Dying:
        def __init__(self):
            self.me = self

        def __del__(self):
            collected.append(call(1))
            del collected[:-100]

    before = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for _ in range(int(times)):
            Dying()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert conn.root.echo(2) == 2
    assert [result.value for result in collected] == [1] * len(collected)


def release_behind_a_call(rpyc, port):
    """HC9: a function is called and given back at once, and the call is worked on long after that is known."""
    conn = _connect(rpyc, port)
    call_made = conn.root.call_made
    lent = conn.stats()["objects_lent"]
    calls, made = [], threading.Event()

    def make():
        made.set()
        return lambda: calls.append(1) or len(calls)

    def first():
        # The next call waits behind this one. Its function is given back before it begins: `first` and `make` are left.
        until(lambda: made.is_set() and conn.stats()["objects_lent"] <= lent + 2)
        return 0

    assert call_made(first, make) == (0, 1)
    assert calls == [1]
    until(lambda: conn.stats()["objects_lent"] <= lent)


def dying_proxy_is_received_again(rpyc, port, times):
    """HC9: an object is sent again while its proxy is given back."""
    conn = _connect(rpyc, port)
    root = conn.root
    kept = []

    def work():
        for _ in range(int(times)):
            assert root.echo(kept) is kept

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    box = root.box(7)
    for _ in range(int(times)):
        del box
        box = root.box(7)
        assert box.number == 7
    for thread in threads:
        thread.join()


def number_used_again(rpyc, port):
    """HC9: a reference to an object that is gone never reaches another one, whatever memory that has."""
    conn = _connect(rpyc, port)
    root = conn.root
    for number in range(200):
        old = root.box(number)
        new = root.box(number + 1)
        assert (old.number, new.number) == (number, number + 1)
        assert old is not new
        root.drop_box()
        assert new.number == number + 1


def references_after_any_mix(rpyc, port, threads, steps, seeds):
    """References: whatever happens to objects, calls and replies, in the end neither side lends more than before."""
    for seed in [int(os.environ["NETREF_SEED"])] if "NETREF_SEED" in os.environ else range(int(seeds)):
        print(f"NETREF_SEED={seed} runs this alone")
        conn = _connect(rpyc, port)
        users = [_User(rpyc, conn, random.Random(f"{seed} {number}")) for number in range(int(threads))]
        lent = conn.root.lent
        before = lent_over(conn), lent()
        work = [threading.Thread(target=user.run, args=(int(steps),)) for user in users]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        failures = [user.failure for user in users if user.failure]
        if failures:
            raise failures[0]
        del users, work
        conn.root.forget()
        conn.root.drop_box()
        deadline = time.monotonic() + 20
        while (after := (lent_over(conn), lent())) != before:
            assert time.monotonic() < deadline, f"{before} lent before, {after} after"
        conn.close()


class _User:
    kept = []  # sent by all users over and over, while the other side gives it back
    failure = None

    def __init__(self, rpyc, conn, rng):
        self.rpyc, self.rng, self.root, self.held = rpyc, rng, conn.root, []
        self.deeds = [getattr(self, name) for name in dir(_User) if name.startswith("do_")]

    def run(self, steps):
        try:
            for _ in range(steps):
                self.rng.choice(self.deeds)()
        except BaseException as failure:
            self.failure = failure.with_traceback(None)
            traceback.print_exc()
        finally:
            del self.held, self.deeds, self.root

    def do_drop(self):
        if self.held:
            del self.held[self.rng.randrange(len(self.held)) :]

    def do_make(self):
        box = self.root.box(7)
        assert box.number == 7
        self.held.append(box)

    def do_receive_again(self):
        self.held.append(self.root.same_box())

    def do_receive_many(self):
        self.held.extend(self.root.objects(8)[::3])

    def do_send_again(self):
        assert self.root.echo(self.kept) is self.kept

    def do_send_new(self):
        new = [1]
        assert self.root.echo(new) is new

    def do_keep(self):
        self.root.keep([1], self.kept)

    def do_forget(self):
        self.root.forget()

    def do_call_back(self):
        self.root.call(lambda _: [1], self.held[-1] if self.held else [2])

    def do_call_back_and_fail(self):
        _raised(ValueError, self.root.call, lambda _: int("no"), [3])

    def do_fail_to_send_a_result(self):
        if self.root.implementation() == "netref":
            # A stock server's thread would end.
            _raised(UnicodeError, self.root.unencodable, "behind an object")

    def do_fail_to_send(self):
        if self.rpyc.__name__ == "netref":
            # A stock client goes on lending what it did not send.
            _raised(UnicodeError, self.root.echo, ([4], self.kept, "ab\udcff"))

    def do_ask_for_what_is_not_there(self):
        _raised(AttributeError, lambda: self.root.missing)

    def do_give_up(self):
        name, argument = self.rng.choice([("box", 7), ("objects", 3), ("echo", [5])])
        result = self.rpyc.async_(getattr(self.root, name))(argument)
        result.set_expiry(self.rng.random() / 1000)
        try:
            self.held.append(result.value)
        except TimeoutError:
            pass

    def do_forget_a_call(self):
        self.rpyc.async_(self.root.echo)(([6], self.kept))


class Marked:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self):
        return __import__, ("this_would_be_a_mark",)


def unpickling_without_consent(rpyc, port):
    """HC10 (a): a server that has not allowed it loads no pickle of its client's."""
    conn = _connect(rpyc, port, allow_pickle=True, allow_all_attrs=True)
    for how in ("copy", "deepcopy", "obtain", "pickle", "queue"):
        error = _raised(Exception, conn.root.copy, how, Marked())
        assert isinstance(error, ValueError), (how, error)
        assert "pickling is disabled" in str(error)
    assert not conn.root.modules_seen("this_would_be_a_mark")


def forked_child(rpyc, port):
    """HC10 (b): a child that ends leaves its parent's connection alone, and cannot use it."""
    conn = _connect(rpyc, port)
    ok = conn.root.ok
    for use_it in (False, True):
        pid = os.fork()
        if pid == 0:
            status = 0
            if use_it:
                try:
                    ok()
                    status = 1
                except EOFError as error:
                    status = 0 if type(error).__name__ == "ForkedConnectionError" else 2
            os._exit(status) if use_it else sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert ok() == 1
