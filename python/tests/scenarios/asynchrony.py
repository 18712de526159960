"""Results that come later, limits, threads that serve, and proxies that do less."""

import threading
import time

from scenarios.host import raises


def _serve(side):
    class Slow(side.rpyc.Service):
        def __init__(self):
            self.signal = threading.Event()

        def exposed_sleep(self, seconds):
            time.sleep(seconds)
            return seconds

        def exposed_add(self, a, b=10):
            return a + b

        def exposed_fail(self):
            raise KeyError("failed")

        def exposed_call(self, function, *args):
            return function(*args)

        def exposed_call_later(self, function, *args):
            def later():
                self.returned.append(function(*args))

            self.returned = []
            self.thread = threading.Thread(target=later)
            self.thread.start()

        def exposed_results(self):
            self.thread.join(10)
            return tuple(self.returned)

        def exposed_numbers(self, count):
            return list(range(count))

        def exposed_generate(self, count):
            yield from range(count)

        def exposed_thing(self):
            return _Thing()

    return side.serve(Slow, protocol_config={"allow_public_attrs": True, "allow_setattr": True})


class _Thing:
    a = 1
    b = 2

    def method(self):
        return "method"

    def __len__(self):
        return 5


def results_that_come_later(side):
    root = side.connect(side.far(_serve)).root
    add = side.rpyc.async_(root.add)
    result = add(1, b=2)
    assert isinstance(result, side.rpyc.AsyncResult)
    result.wait()
    assert result.ready and not result.error and not result.expired and result.value == 3 == result.value
    assert result._is_ready and result._is_exc is False and result._obj == 3 and result._conn is root.____conn__
    assert "async_" in repr(add) and "AsyncResult" in repr(result)
    slow = side.rpyc.async_(root.sleep)(0.2)
    assert not slow.ready and not slow.expired
    assert (slow._is_ready, slow._is_exc, slow._obj) == (False, None, None)
    assert slow.value == 0.2 and slow.ready
    assert side.rpyc.async_(add)(5).value == 15
    raises(TypeError, side.rpyc.async_, len)
    raises(TypeError, side.rpyc.async_, 5)


def results_that_are_exceptions(side):
    root = side.connect(side.far(_serve)).root
    result = side.rpyc.async_(root.fail)()
    result.wait()
    assert result.ready and result.error and not result.expired
    assert result._is_exc is True and isinstance(result._obj, KeyError)
    for _ in range(2):
        error = raises(KeyError, lambda: result.value)
        assert error.args == ("failed",)


def functions_to_be_called_with_a_result(side):
    root = side.connect(side.far(_serve)).root
    seen = []
    result = side.rpyc.async_(root.sleep)(0.1)
    result.add_callback(lambda r: seen.append(("first", r.value)))
    result.add_callback(lambda r: seen.append(("second", r is result)))
    assert seen == []
    result.wait()
    assert seen == [("first", 0.1), ("second", True)]
    result.add_callback(lambda r: seen.append("late"))
    assert seen[2:] == ["late"]
    failed = side.rpyc.async_(root.fail)()
    failed.add_callback(lambda r: seen.append(r.error))
    failed.wait()
    assert seen[3:] == [True]
    assert [repr(known).rpartition(" at ")[0] for known in (result, failed)] == ["<AsyncResult object (ready)"] * 2


def results_that_expire(side):
    rpyc = side.rpyc
    root = side.connect(side.far(_serve)).root
    result = rpyc.async_(root.sleep)(0.5)
    result.set_expiry(0.1)
    assert "(pending)" in repr(result)
    raises(rpyc.AsyncResultTimeout, result.wait)
    assert "(expired)" in repr(result)
    assert result.expired and not result.ready
    raises(rpyc.core.async_.AsyncResultTimeout, lambda: result.value)
    fresh = rpyc.async_(root.add)(1)
    fresh.set_expiry(None)
    assert fresh.value == 11
    fresh = rpyc.async_(root.add)(1)
    fresh.set_expiry(10)
    fresh.wait()
    assert not fresh.expired


def calls_with_a_limit(side):
    rpyc = side.rpyc
    root = side.connect(side.far(_serve)).root
    sleep = rpyc.timed(root.sleep, 0.1)
    raises(rpyc.AsyncResultTimeout, lambda: sleep(0.4).value)
    assert rpyc.timed(root.add, 10)(1).value == rpyc.timed(proxy=root.add, timeout=10)(1).value == 11
    assert "timed" in repr(sleep) and sleep.timeout == 0.1 and sleep.proxy(0.01).value == 0.01


def reading_ahead(side):
    root = side.connect(side.far(_serve)).root
    for chunk, most, factor in [(10, 1000, 2), (1, 1, 1), (3, 7, 3)]:
        assert list(side.rpyc.buffiter(root.numbers(50), chunk, most, factor)) == list(range(50))
    assert list(side.rpyc.buffiter(root.generate(7))) == list(range(7))
    assert list(side.rpyc.buffiter(root.numbers(0))) == []
    raises(ValueError, lambda: list(side.rpyc.buffiter(root.numbers(5), factor=0.5)))
    raises(ValueError, lambda: list(side.rpyc.buffiter(root.numbers(5), -1)))
    assert next(iter(side.rpyc.buffiter(root.numbers(5)))) == 0


def proxies_that_do_less(side):
    thing = side.connect(side.far(_serve)).root.thing()
    less = side.rpyc.restricted(thing, ["a", "method", "__len__"], ["a"])
    assert less.a == 1 and less.method() == "method"
    less.a = 5
    assert thing.a == 5
    raises(AttributeError, getattr, less, "b")
    raises(AttributeError, setattr, less, "b", 1)
    both = side.rpyc.restricted(thing, {"b"})
    both.b = 7
    assert both.b == 7
    local = side.rpyc.restricted(_Thing(), ["b"])
    assert local.b == 2
    raises(AttributeError, getattr, local, "a")


def callbacks_while_nobody_waits(side):
    conn = side.connect(side.far(_serve))
    thread = side.rpyc.BgServingThread(conn)
    try:
        seen = []
        conn.root.call_later(lambda x: seen.append(x) or len(seen), "called")
        assert conn.root.results() == (1,) and seen == ["called"]
        assert thread._active and (thread.SERVE_INTERVAL, thread.SLEEP_INTERVAL) == (0.0, 0.1)
    finally:
        thread.stop()
    assert not thread._active and not conn.closed


def serving_threads_hear_of_the_end(side):
    conn = side.connect(side.far(_serve))
    ended = threading.Event()
    side.rpyc.BgServingThread(conn, ended.set)
    conn.root.add(1)
    conn._channel.stream.sock.shutdown(2)
    assert ended.wait(10)


def a_thread_of_ones_own_that_serves(side):
    conn = side.connect(side.far(_serve))
    ended = threading.Event()

    def serve():
        try:
            conn.serve_all()
        finally:
            ended.set()

    threading.Thread(target=serve, daemon=True).start()
    seen = []
    conn.root.call_later(seen.append, 1)
    assert conn.root.results() == (None,) and seen == [1]
    conn.close()
    assert ended.wait(10)


def threads_that_serve_for_as_long_as_there_is_something(side):
    conn = side.connect(side.far(_serve))
    serving = threading.Thread(target=conn.serve_threaded, args=(3,))
    serving.start()
    seen = []
    conn.root.call_later(seen.append, 1)
    assert conn.root.results() == (None,) and seen == [1]
    conn._channel.stream.sock.shutdown(2)
    serving.join(20)
    assert not serving.is_alive() and conn.closed


def serving_by_hand(side):
    conn = side.connect(side.far(_serve))
    result = side.rpyc.async_(conn.root.call)(lambda x: x + 1, 5)
    deadline = time.monotonic() + 10
    while not result.ready and time.monotonic() < deadline:
        conn.serve(0.05)
    assert result.value == 6
    conn.poll_all(0.01)
    assert conn.poll(0) in (True, False) and conn.serve(0) in (True, False)
    assert conn.fileno() == conn._channel.stream.fileno()


def the_thread_that_serves_does_everything(side):
    """As a program needs whose windows are bound to a thread, which looks at its connection now and then."""
    conn = side.connect(side.far(_serve))
    conn.poll_all()
    here, seen = threading.get_ident(), []

    def note(*_):
        seen.append(threading.get_ident() == here)

    def look_until(count):
        deadline = time.monotonic() + 20
        while len(seen) < count:
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)  # what else it does
            conn.poll_all()

    for count in range(1, 4):
        conn.root.call_later(note)
        look_until(count)
    result = side.rpyc.async_(conn.root.sleep)(0.01)
    result.add_callback(note)
    look_until(4)
    assert all(seen)


def many_threads_on_one_connection(side):
    root = side.connect(side.far(_serve)).root
    add = root.add
    wrong = []

    def work(number):
        for i in range(40):
            if add(number, i) != number + i:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong and not any(thread.is_alive() for thread in threads)
