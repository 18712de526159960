"""Threads that share a connection."""

import contextlib
import gc
import os
import signal
import threading
import time

import pytest

import netref
from netref import async_


def run_all(count, work, patience=50):
    """Runs ``work(number)`` on as many threads, and raises what one of them raises."""
    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


def test_threads_share_a_connection(root):
    """Plain calls, callbacks, containers and 300 KB arguments, mixed: each thread gets its own answers."""
    large = os.urandom(300_000)

    def work(number):
        echo, call, make = root.echo, root.call, root.make
        mine = [number]
        for step in range(500):
            token = number * 1000 + step
            assert echo(token) == token
            if step % 10 == 0:
                assert call(lambda x, token=token: (x, token, mine[0]), step) == (step, token, number)
            if step % 50 == 1:
                assert echo(mine) is mine
                assert list(make("list")) == [1, 2, 3]
            if step % 250 == 2:
                assert echo(large) == large

    run_all(16, work)


class Thing:
    """What is made for the peer, and dropped there in every way."""


class Mixed(netref.Service):
    def exposed_call(self, function, *args):
        return function(*args)

    def exposed_make(self):
        return Thing()

    def exposed_echo(self, value):
        return value


def test_sixty_four_threads_and_a_hundred_thousand_calls_each_way(pair):
    """Each call gets its own reply and waits for no other's code, and in the end neither side lends anything of it."""
    signal.alarm(150)  # on a busy machine
    client, server = pair(Mixed)
    root = client.root
    call, make, echo = root.call, root.make, root.echo
    before = client.stats()["objects_lent"], server.stats()["objects_lent"]
    large = os.urandom(300_000)
    leave = threading.Event()
    held_up = threading.Thread(target=call, args=(leave.wait,), daemon=True)
    held_up.start()

    def fail(token):
        raise LookupError(token)

    def work(number):
        for step in range(1650):
            token = number * 10_000 + step
            kind = step % 100
            if kind % 20 == 7:
                with pytest.raises(LookupError) as caught:
                    call(fail, token)
                assert caught.value.args == (token,)
            elif kind == 3 and step < 300:
                assert call(lambda data, token=token: (len(data), token), large) == (300_000, token)
            elif kind % 25 == 11:
                # For the garbage collector, wherever it runs.
                thing = make()
                cycle = [thing]
                cycle.append(cycle)
                del thing, cycle
                assert call(echo, token) == token
            else:
                assert call(lambda x, token=token: (x, token), step) == (step, token)

    run_all(64, work, patience=140)
    assert held_up.is_alive()
    leave.set()
    held_up.join(10)
    assert client.stats()["round_trips"] >= 100_000
    assert server.stats()["round_trips"] >= 100_000
    del held_up
    deadline = time.monotonic() + 10
    while (client.stats()["objects_lent"], server.stats()["objects_lent"]) != before:
        gc.collect()
        assert time.monotonic() < deadline, (client.stats(), server.stats())
        client.ping()
    assert client.stats()["pending"] == server.stats()["pending"] == 0


def test_callbacks_run_on_the_thread_they_belong_to(pair):
    """Each thread's callbacks run on that thread, whichever of them reads."""

    class Calls(netref.Service):
        def exposed_call(self, function):
            return function()

    client, _ = pair(Calls)

    def work(number):
        call = client.root.call
        for _ in range(50):
            assert call(threading.get_ident) == threading.get_ident()

    run_all(8, work)


def test_lock_held_while_waiting(pair):
    """A callback of another call does not run on the thread that waits, so a lock held there can be had."""

    class Goes(netref.Service):
        def exposed_go(self, function):
            return function()

    client, _ = pair(Goes)
    lock = threading.Lock()
    acquired = threading.Event()

    def take():
        with lock:
            acquired.set()

    go = client.root.go
    with lock:
        result = async_(go)(take)
        go(lambda: None)
    result.wait()
    assert acquired.is_set()


def test_two_threads_of_the_server_call_back(pair):
    """One callback waits for what the other does: neither may keep the other from running."""
    event = threading.Event()

    class Goes(netref.Service):
        def exposed_go(self, wait, release):
            first = threading.Thread(target=wait)
            first.start()
            second = threading.Thread(target=release)
            second.start()
            first.join()
            second.join()

    client, _ = pair(Goes)
    client.root.go(lambda: event.wait(30), event.set)
    assert event.is_set()


def test_slow_call_holds_up_nobody_else(pair):
    leave = threading.Event()

    class Slow(netref.Service):
        def exposed_wait(self):
            return leave.wait(30)

        def exposed_quick(self):
            return "quick"

    client, _ = pair(Slow)
    result = async_(client.root.wait)()
    assert client.root.quick() == "quick"
    run_all(4, lambda number: client.root.quick())
    assert not result.ready
    leave.set()
    assert result.value


def test_timeout_is_kept_while_a_callback_runs(pair):
    leave = threading.Event()

    class Calls(netref.Service):
        def exposed_call(self, function):
            threading.Thread(target=function, daemon=True).start()
            leave.wait(30)

        def exposed_alive(self):
            return True

    client, _ = pair(Calls)
    call = client.root.call
    client._config["sync_request_timeout"] = 0.3
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="expired"):
        call(lambda: leave.wait(30))
    assert time.monotonic() - started < 5
    leave.set()
    client._config["sync_request_timeout"] = 30
    assert client.root.alive()


def test_late_reply_gives_back_its_references(pair):
    leave = threading.Event()

    class Late(netref.Service):
        def exposed_objects(self):
            leave.wait(30)
            return tuple(object() for _ in range(10))

        def exposed_alive(self):
            return True

    client, server = pair(Late)
    objects, alive = client.root.objects, client.root.alive
    lent = server.stats()["objects_lent"]
    client._config["sync_request_timeout"] = 0.05
    with pytest.raises(TimeoutError):
        objects()
    leave.set()
    client._config["sync_request_timeout"] = 30
    deadline = time.monotonic() + 10
    while server.stats()["objects_lent"] > lent or server.stats()["requests_served"] < 4:
        assert alive()
        assert time.monotonic() < deadline


def test_both_sides_write_a_lot_at_once(pair):
    """Neither reads what it is sent only after it could write all it has."""

    class Echoes(netref.Service):
        def exposed_echo(self, value):
            return value

    client, _ = pair(Echoes)
    echo = async_(client.root.echo)
    blocks = [os.urandom(1_000_000) for _ in range(20)]
    results = [echo(block) for block in blocks]
    assert [result.value for result in results] == blocks


def test_many_callbacks_in_flight_start_in_order(pair):
    received = []

    class Storms(netref.Service):
        def exposed_storm(self, function, count):
            call = async_(function)
            for result in [call(n) for n in range(count)]:
                result.wait()

        def exposed_echo(self, value):
            return value

    client, _ = pair(Storms)
    echo = client.root.echo

    def callback(number):
        received.append(number)
        echo(number)

    client.root.storm(callback, 200)
    assert sorted(received) == list(range(200))


def test_connecting_from_many_threads(serve):
    class Hello(netref.Service):
        def exposed_hello(self, name):
            return f"hello {name}"

    server = serve(Hello)

    def work(number):
        for _ in range(10):
            with netref.connect("127.0.0.1", server.port) as conn:
                assert conn.root.hello(number) == f"hello {number}"

    run_all(8, work)


def test_thread_that_is_busy_is_not_offered_the_reading(serve, connect):
    """A thread that had once waited for its turn to read was offered it also while it ran a request, and nobody else was. The
    second round of this then hung: the server's thread for the client, busy with the slow call, was to read the quick one."""
    gate = threading.Event()

    class Gates(netref.Service):
        def exposed_wait(self):
            return gate.wait(30)

        def exposed_echo(self, value):
            return value

    root = connect(serve(Gates), config={"sync_request_timeout": 10}).root
    for number in range(10):
        gate.clear()
        slow = netref.async_(root.wait)()
        assert root.echo(number) == number
        gate.set()
        assert slow.value is True


def test_request_that_is_part_of_a_call_that_is_over(serve, connect):
    """It is run by the thread that serves and reads. That used to put it aside for a thread that serves and waits, which it took
    itself for, and to look there only after the next message."""
    gate, over, done, given_up = (threading.Event() for _ in range(4))

    class Impatient(netref.Service):
        def exposed_wait(self):
            return gate.wait(30)

        def exposed_echo(self, value):
            return value

        def exposed_give_up_on(self, function):
            result = netref.async_(function)()
            result.set_expiry(0.05)
            with contextlib.suppress(TimeoutError):
                result.wait()

    root = connect(serve(Impatient)).root
    echo = root.echo
    slow = netref.async_(root.wait)()
    assert echo(1) == 1  # read by another thread, which the one that serves has to wait for afterwards
    gate.set()
    assert slow.value is True
    assert echo(2) == 2  # and here it reads again

    def callback():
        assert over.wait(30)
        assert echo(3) == 3
        done.set()

    # No thread waits for it, which would be the one to run the callback.
    netref.async_(root.give_up_on)(callback).add_callback(lambda result: given_up.set())
    assert given_up.wait(10)
    over.set()
    assert done.wait(10)


def test_thread_that_is_busy_with_a_callback_holds_nobody_up(conn):
    """The same on the client's side, where threads wait for calls: with callbacks of calls and of results."""
    root, failures = conn.root, []
    rounds, stop = 30, threading.Event()

    def chat():
        while not stop.is_set():
            if root.echo(1) != 1:
                failures.append("wrong echo")

    def slow(kind):
        for _ in range(rounds):
            done = threading.Event()

            def callback(*_, done=done):
                if root.echo(2) != 2 or netref.async_(root.echo)(3).value != 3:
                    failures.append(f"wrong in {kind}")
                done.set()

            if kind == "call":
                root.call(callback)
            else:
                result = netref.async_(root.echo)(4)
                result.add_callback(callback)
                result.wait()
            if not done.wait(20):
                failures.append(f"no {kind}")

    chatting = [threading.Thread(target=chat, daemon=True) for _ in range(2)]
    slower = [threading.Thread(target=slow, args=(kind,), daemon=True) for kind in ("call", "result")]
    for thread in chatting + slower:
        thread.start()
    for thread in slower:
        thread.join()
    stop.set()
    for thread in chatting:
        thread.join()
    assert failures == []
