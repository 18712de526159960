"""Results that come later."""

import asyncio
import contextlib
import gc
import sys
import threading
import time
import weakref

import pytest

import netref
from netref import AsyncResultTimeout, async_, timed


class Gate(netref.Service):
    """Calls that end when the test says so."""

    def __init__(self):
        self.gate = threading.Event()

    def exposed_wait(self, value=None):
        assert self.gate.wait(30)
        return value

    def exposed_echo(self, value):
        return value

    def exposed_boom(self):
        raise KeyError("boom")


@pytest.fixture
def gate(serve):
    service = Gate()
    service.port = serve(service).port
    yield service
    service.gate.set()


@pytest.fixture
def gated(gate, connect):
    return connect(gate)


def test_value(root):
    add = async_(root.add)
    result = add(1, b=2)
    result.wait()
    assert result.ready
    assert not result.error
    assert not result.expired
    assert result.value == 3
    assert result.value == 3


def test_not_ready_until_it_is(gate, gated):
    result = async_(gated.root.wait)("late")
    assert not result.ready
    assert not result.error
    assert "pending" in repr(result)
    gate.gate.set()
    assert result.value == "late"
    assert result.ready
    assert "ready" in repr(result)


def test_error(root):
    result = async_(root.fail)(lambda: {}["missing"])
    result.wait()
    assert result.ready
    assert result.error
    with pytest.raises(KeyError, match="missing"):
        _ = result.value
    with pytest.raises(KeyError, match="missing"):
        _ = result.value


def test_expiry(gate, gated):
    result = async_(gated.root.wait)("late")
    result.set_expiry(0.05)
    with pytest.raises(AsyncResultTimeout, match=r"expired.*0\.05 s"):
        result.wait()
    assert result.expired
    assert not result.ready
    with pytest.raises(TimeoutError):
        _ = result.value
    assert gated.root.echo(1) == 1  # the connection is none the worse


def test_expiry_can_be_lifted(gate, gated):
    result = async_(gated.root.wait)("late")
    result.set_expiry(60)
    result.set_expiry(None)
    gate.gate.set()
    assert result.value == "late"


def test_result_in_time_does_not_expire(root):
    result = async_(root.echo)(1)
    result.set_expiry(20)
    assert result.value == 1
    result.set_expiry(0)
    assert not result.expired
    assert result.value == 1


def test_callback_before_the_result(gate, gated):
    heard = threading.Event()
    results = []
    result = async_(gated.root.wait)("v")
    result.add_callback(lambda r: (results.append((r, r.value)), heard.set()))
    assert not results
    gate.gate.set()
    assert heard.wait(10)  # though nobody asks for the result
    assert results == [(result, "v")]


def test_callback_after_the_result(root):
    result = async_(root.echo)("v")
    result.wait()
    results = []
    result.add_callback(results.append)
    assert results == [result]


def test_callbacks_run_once_and_in_order(root):
    order = []
    done = threading.Event()
    result = async_(root.echo)(1)
    result.add_callback(lambda r: order.append("first"))
    result.add_callback(lambda r: (order.append("second"), done.set()))
    result.wait()
    assert done.wait(10)
    assert result.ready
    assert order == ["first", "second"]


def test_callback_of_a_result_that_nobody_keeps(gate, gated):
    heard = threading.Event()
    async_(gated.root.wait)().add_callback(lambda r: heard.set())
    gate.gate.set()
    assert heard.wait(10)


@pytest.mark.parametrize("who", ["client", "server"])
def test_loss_completes_results_and_calls_back(gate, gated, who):
    heard = threading.Event()
    errors = []
    result = async_(gated.root.wait)()
    result.add_callback(lambda r: (errors.append(r.error), heard.set()))
    if who == "client":
        gated.close()
    else:
        gated._channel.stream.close()
    assert heard.wait(10)
    assert errors == [True]
    assert result.ready
    with pytest.raises(EOFError, match="closed"):
        _ = result.value


def test_callback_that_raises_hurts_nobody(root, monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    done = threading.Event()
    result = async_(root.echo)(1)
    result.add_callback(lambda r: 1 / 0)
    result.add_callback(lambda r: done.set())
    assert result.value == 1
    assert done.wait(10)
    assert [hook.exc_type for hook in unraisable] == [ZeroDivisionError]


def test_many_results_in_flight(root):
    echo = async_(root.echo)
    results = [echo(n) for n in range(500)]
    assert [result.value for result in reversed(results)] == list(range(499, -1, -1))


def test_results_that_nobody_waits_for_come_one_right_after_the_other(root):
    """The thread that reads in the background goes on after each callback. It used to stop, and another began milliseconds
    later, so that this took 3 ms for each; it takes some microseconds."""
    echo = async_(root.echo)
    done = threading.Semaphore(0)
    started = time.monotonic()
    for number in range(3000):
        echo(number).add_callback(lambda result: done.release())
    for _ in range(3000):
        assert done.acquire(timeout=20)
    assert time.monotonic() - started < 5


def test_callbacks_that_wait_for_calls_do_not_exhaust_the_stack(root):
    """While one waits, its thread reads the next result, which has a callback, too. Most of them were never called, for want of
    stack."""
    echo, done, depths = root.echo, threading.Semaphore(0), []

    def callback(result):
        depth, frame = 0, sys._getframe()
        while frame is not None:
            depth, frame = depth + 1, frame.f_back
        depths.append(depth)
        assert echo(2) == 2
        done.release()

    for _ in range(3000):
        async_(echo)(1).add_callback(callback)
    for _ in range(3000):
        assert done.acquire(timeout=20)
    assert max(depths) < 300


def test_result_whose_exception_was_raised_is_collected(root):
    """The exception refers to the frame that raised it, which refers to the result. It used to be kept for ever."""

    class Mark:
        pass

    def fail():
        mark, result = Mark(), async_(root.fail)(lambda: {}["missing"])
        marks.add(mark)
        return result.value

    marks = weakref.WeakSet()
    for _ in range(3):
        with contextlib.suppress(KeyError):
            fail()
    gc.collect()
    assert len(marks) == 0


def test_results_waited_for_by_several_threads(gate, gated):
    result = async_(gated.root.wait)("shared")
    values = []
    threads = [threading.Thread(target=lambda: values.append(result.value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.gate.set()
    for thread in threads:
        thread.join(10)
    assert values == ["shared"] * 8


def test_async_takes_remote_callables_only(root):
    with pytest.raises(TypeError, match="Netref"):
        async_(print)
    with pytest.raises(TypeError, match="callable"):
        async_(root.make("plain"))
    once = async_(root.echo)
    assert async_(once) is once
    assert "async_" in repr(once)


def test_async_under_its_old_name():
    assert getattr(netref, "async") is async_


def test_timed(gate, gated):
    late = timed(gated.root.wait, 0.05)
    with pytest.raises(AsyncResultTimeout, match="expired"):
        _ = late("v").value
    quick = timed(gated.root.echo, 20)
    assert quick("v").value == "v"
    assert "timed" in repr(quick)


def test_sync_request_timeout_names_call_and_setting(gate, connect):
    conn = connect(gate, config={"sync_request_timeout": 0.05})
    wait = conn.root.wait
    with pytest.raises(TimeoutError, match=r"result expired.*0\.05 s.*sync_request_timeout"):
        wait()
    gate.gate.set()
    conn._config["sync_request_timeout"] = 20
    assert conn.root.echo("fine") == "fine"


def test_no_timeout_with_none(gate, connect):
    conn = connect(gate, config={"sync_request_timeout": None})
    gate.gate.set()
    assert conn.root.wait(5) == 5


def test_with_asyncio(root):
    echo = async_(root.echo)

    async def main():
        results = [echo(n) for n in range(10)]
        await asyncio.gather(*(asyncio.to_thread(result.wait) for result in results))
        return [result.value for result in results]

    assert asyncio.run(main()) == list(range(10))


def test_async_request_of_the_connection(conn):
    result = conn.async_request(netref.core.consts.HANDLE_PING, "data", timeout=20)
    assert result.value == "data"
    assert conn.sync_request(netref.core.consts.HANDLE_PING, b"x") == b"x"


def test_each_side_calls_the_other_asynchronously(root):
    assert root.async_call(lambda x: x + 1, 41) == 42
