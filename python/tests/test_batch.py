"""`conn.batch()`: many calls in few writes."""

import asyncio
import threading
import time

import pytest

import netref
from waiting import until


def test_results(conn):
    root = conn.root
    echo = root.echo
    vector = root.make("vector")
    with conn.batch() as batch:
        sums = [batch.root.add(n, b=1) for n in range(1000)]
        called = batch.call(echo, "x")
        text = batch.on(vector)(1, two=2)
        failed = batch.root.nothing()
        after = batch.root.add(1, 2)
    assert [result.value for result in sums] == list(range(1, 1001))
    assert called.value == "x"
    assert text.value == ((1,), (("two", 2),))
    with pytest.raises(AttributeError):
        failed.value
    assert after.value == 3


def test_order(conn):
    with conn.batch() as batch:
        for n in range(500):
            batch.root.keep(n)
        kept = batch.root.kept()
    assert kept.value == 499


def test_nothing_is_sent_before_the_end(serve, connect):
    calls = []

    class Service(netref.Service):
        def exposed_note(self, n):
            calls.append(n)

    conn = connect(serve(Service))
    note = conn.root.note
    sent = conn.stats()["bytes_out"]
    with conn.batch() as batch:
        results = [batch.call(note, n) for n in range(10)]
        assert conn.stats()["bytes_out"] == sent
    assert conn.stats()["bytes_out"] > sent
    assert [result.value for result in results] == [None] * 10
    assert calls == list(range(10))


def test_waiting_inside(conn):
    with conn.batch() as batch:
        result = batch.root.add(1, 2)
        assert result.value == 3
        assert batch.root.add(2, 2).value == 4


@pytest.fixture
def read_by_another(conn):
    """A connection that is read by a thread of netref's, so that who waits need not read, nor then write, for itself."""
    time.sleep(0.3)  # it begins when nobody has read for a while
    return conn


def test_waiting_inside_while_another_thread_reads(read_by_another):
    """That thread slept in the kernel, and who waited had sent nothing: both waited for ever."""
    with read_by_another.batch() as batch:
        result = batch.root.add(1, 2)
        result.set_expiry(20)
        assert result.value == 3
        result = batch.root.add(2, 2)
        until(lambda: result.ready)


def test_awaiting_inside(read_by_another):
    async def main():
        with read_by_another.batch() as batch:
            return await asyncio.wait_for(as_coroutine(batch.root.add(1, 2)), 20)

    async def as_coroutine(result):
        return await result

    assert asyncio.run(main()) == 3


def test_another_call_keeps_the_order(conn):
    with conn.batch() as batch:
        batch.root.keep(5)
        assert conn.root.kept() == 5


def test_an_exception_ends_the_block_and_not_the_calls(conn):
    with pytest.raises(ZeroDivisionError), conn.batch() as batch:
        result = batch.root.add(1, 2)
        raise ZeroDivisionError
    assert result.value == 3


def test_an_answer_waits_for_no_slow_call_behind_it(serve, connect):
    """Both came together, and so their answers would go out together."""
    answered = threading.Event()

    class Service(netref.Service):
        def exposed_quick(self):
            return "at once"

        def exposed_slow(self):
            return answered.wait(20)

    conn = connect(serve(Service))
    with conn.batch() as batch:
        quick, slow = batch.root.quick(), batch.root.slow()
    assert quick.value == "at once"
    answered.set()
    assert slow.value is True


def test_an_answer_is_sent_before_a_later_call_of_the_batch_hangs_up(serve, connect):
    class Service(netref.Service):
        def on_connect(self, conn):
            self.conn = conn

        def exposed_quick(self):
            return "at once"

        def exposed_hang_up(self):
            self.conn.close()

    conn = connect(serve(Service))
    with conn.batch() as batch:
        quick, _ = batch.root.quick(), batch.root.hang_up()
    assert quick.value == "at once"


def test_large_batches(conn):
    """More than either side's buffers take: neither waits for the other for ever."""
    data = b"x" * 100_000
    with conn.batch() as batch:
        results = [batch.root.echo(data) for _ in range(200)]
    assert all(result.value == data for result in results)


def test_what_a_batch_is_not_for(conn):
    with conn.batch() as batch:
        with pytest.raises(AttributeError, match="look number up before it"):
            batch.root.number.real
        with pytest.raises(TypeError, match="remote objects of its connection"):
            batch.call(print)


def test_a_batch_of_a_connection_with_steps_of_its_own(serve, connect):
    class Service(netref.Service):
        def exposed_double(self, n):
            return 2 * n

    conn = connect(serve(Service))
    conn._box = conn._box  # a step of the program's own
    with conn.batch() as batch:
        results = [batch.root.double(n) for n in range(5)]
    assert [result.value for result in results] == [0, 2, 4, 6, 8]
