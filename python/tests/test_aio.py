"""Coroutines that use a peer, and coroutines that a peer calls."""

import asyncio
import builtins
import contextvars
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

import netref
from clients import IMPLEMENTATIONS, run_program
from hostile import EXCEPTION, REQUEST, hostile_server, message
from netref import aio, async_
from netref.core import brine, consts

try:
    import uvloop
except ImportError:
    uvloop = None

LIMIT = 30  # seconds for anything
LOOPS = ["asyncio", pytest.param("uvloop", marks=pytest.mark.skipif(uvloop is None, reason="uvloop is not installed"))]


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine function on an event loop of either kind, which must not complain: ``run(main)``."""

    def start(main):
        complaints = []

        async def guarded():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: complaints.append(context))
            return await asyncio.wait_for(main(), LIMIT)

        loop = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
        try:
            return loop.run_until_complete(guarded())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            gc.collect()
            assert complaints == []

    return start


async def until(condition):
    """Waits for something that no event tells of."""
    while not condition():
        await asyncio.sleep(0.001)


class Busy(netref.Service):
    """Coroutines for peers to call."""

    def __init__(self):
        self.conn = None
        self.gate = None
        self.begun = self.cancelled = 0
        self.threads = set()

    def on_connect(self, conn):
        self.conn = conn

    async def exposed_add(self, a, b=10):
        self.threads.add(threading.current_thread())
        await asyncio.sleep(0)
        return a + b

    async def exposed_pair(self):
        return 1, (2, 3)

    async def exposed_at_once(self):
        return "at once"

    async def exposed_wait(self):
        if self.gate is None:
            self.gate = asyncio.Event()
        self.begun += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "waited"

    async def exposed_open(self):
        self.gate.set()

    async def exposed_raise(self, name):
        await asyncio.sleep(0)
        raise getattr(builtins, name)("from a coroutine")

    async def exposed_exit(self):
        raise SystemExit(3)

    async def exposed_call(self, function, *args):
        return await async_(function)(*args)

    async def exposed_call_wrapped(self, function, *args):
        return await aio.wrap(function)(*args)

    async def exposed_call_blocking(self, function):
        return function()

    async def exposed_unsendable(self):
        return "\ud800"

    async def exposed_count(self, most):
        for number in range(most):
            await asyncio.sleep(0)
            yield number

    async def exposed_fail_after(self, most):
        for number in range(most):
            yield number
        raise ValueError("out of numbers")

    def exposed_thread(self):
        return threading.get_ident()


# ---- using a peer


def test_a_server_whose_root_is_the_end_of_an_iteration(run):
    """No future takes a ``StopIteration``: the program waited for the connection without end."""

    def behave(peer):
        while True:
            kind, seq, _ = peer.receive()
            if kind == REQUEST:
                peer.send(message(EXCEPTION, seq, brine.dump(consts.EXC_STOP_ITERATION)))

    async def main():
        with hostile_server(behave) as port, pytest.raises(StopAsyncIteration):
            await aio.connect("127.0.0.1", port)

    run(main)


def test_operations(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port, config={"allow_public_attrs": True}) as conn:
            root = conn.root
            assert await root.add(1, b=2) == 3
            assert await root.number == 42
            add = await root.add
            assert await add(1) == 11
            numbers = await root.make("list")
            assert isinstance(numbers, aio.Remote)
            assert await numbers[1] == 2
            assert await numbers.__len__() == 3
            assert [number async for number in numbers] == [1, 2, 3]
            assert await root.size((1, 2)) == 2
            assert await root.echo(numbers) == numbers
            assert await root.echo((numbers, 1)) == (numbers, 1)
            assert aio.unwrap(numbers) is aio.unwrap(await root.echo(numbers))
            local = ["mine"]
            assert await root.echo(local) is local
            assert await root.call(lambda *args, **kwargs: (args, tuple(kwargs.items())), 1, k=2) == ((1,), (("k", 2),))
        assert conn.closed

    run(main)


def test_errors_of_the_peer(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            with pytest.raises(KeyError, match="gone"):
                await getattr(conn.root, "raise")("KeyError", "gone")
            with pytest.raises(AttributeError, match="missing"):
                await conn.root.missing()
            with pytest.raises(AttributeError):
                await conn.root.secret
            with pytest.raises(StopAsyncIteration):
                await getattr(conn.root, "raise")("StopIteration")
            assert await conn.root.add(1) == 11

    run(main)


def test_argument_that_cannot_be_sent(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            with pytest.raises(UnicodeEncodeError):
                await conn.root.echo("\ud800")
            assert await conn.root.add(1) == 11

    run(main)


def test_iteration(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            assert [x async for x in await conn.root.make("iterator")] == list(range(25))
            seen = []
            with pytest.raises(ValueError, match="out of numbers"):
                async for x in await conn.root.generate(5):
                    seen.append(x)
            assert seen == [0, 1, 2, 3, 4]
            before = conn.sync.stats()["round_trips"]
            assert [x async for x in aio.buffiter(await conn.root.make("range"), chunk=30)] == list(range(100))
            # Those for make and __iter__, those for 30, 60 and 10 items and the end, and what a new class costs.
            assert 6 <= conn.sync.stats()["round_trips"] - before <= 8
            async for x in aio.buffiter(aio.unwrap(await conn.root.make("range"))):
                assert x == 0
                break
            with pytest.raises(ValueError, match="factor"):
                async for _ in aio.buffiter(conn.root, factor=0):
                    pass

    run(main)


def test_iterating_without_async_is_an_error(run, everyday):
    """Python would ask for one item after the other, each of them a coroutine, for ever."""

    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            remote = await conn.root.make("list")
            with pytest.raises(TypeError, match="not iterable"):
                iter(remote)
            with pytest.raises(TypeError):
                1 in remote

    run(main)


def test_context_manager(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port, config={"allow_public_attrs": True}) as conn:
            vector = await conn.root.make("vector")
            async with vector as entered:
                assert entered == vector

    run(main)


def test_one_round_trip_each(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            before = conn.sync.stats()["round_trips"]
            await conn.root.add(1)
            await conn.root.number
            await conn.root.make("list")
            assert conn.sync.stats()["round_trips"] - before == 3

    run(main)


def test_attribute_of_an_attribute_says_what_to_do(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            with pytest.raises(AttributeError, match="await 'make' before"):
                conn.root.make.append
            assert "make" in repr(conn.root.make)
            assert "Remote" in repr(conn.root)

    run(main)


def test_async_results_are_awaitable(run, everyday):
    async def main():
        conn = await asyncio.to_thread(netref.connect, "127.0.0.1", everyday.port)
        with conn:
            add = async_(conn.root.add)
            assert await add(1) == 11
            assert await asyncio.gather(*map(add, range(50))) == list(range(10, 60))
            result = add(5)
            assert await result == 15
            assert await result == 15
            assert result.value == 15
            done = add(6)
            done.wait()
            assert await done == 16
            with pytest.raises(KeyError, match="gone"):
                await async_(getattr(conn.root, "raise"))("KeyError", "gone")

    run(main)


def test_result_that_expires(run, everyday):
    async def main():
        with netref.connect("127.0.0.1", everyday.port) as conn:
            gate = threading.Event()
            late = netref.timed(conn.root.call, 0.05)(gate.wait)
            with pytest.raises(netref.AsyncResultTimeout, match=r"expired.*0\.05 s"):
                await late
            gate.set()
            assert await netref.timed(conn.root.add, 20)(1) == 11

    run(main)


def test_many_at_once_with_few_threads(run, serve):
    async def main():
        conn = await aio.connect("127.0.0.1", serve(Busy).port)
        before = threading.active_count(), len(os.listdir("/proc/self/task"))
        values = await asyncio.gather(*(conn.root.add(n, 0) for n in range(1000)))
        assert values == list(range(1000))
        # A reader, perhaps a second one for a moment, a watch, the service's event loop: but no thread per call.
        assert len(os.listdir("/proc/self/task")) - before[1] < 12
        await conn.close()

    run(main)


def test_threads_use_the_connection_meanwhile(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:

            def work():
                return [conn.sync.root.add(n) for n in range(100)]

            sync = [asyncio.to_thread(work) for _ in range(4)]
            own = [conn.root.add(n) for n in range(400)]
            results = await asyncio.gather(*sync, *own)
            assert results[:4] == [list(range(10, 110))] * 4
            assert results[4:] == list(range(10, 410))

    run(main)


def test_loop_is_not_blocked_while_the_peer_is_slow(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            gate = threading.Event()
            slow = asyncio.ensure_future(conn.root.call(gate.wait))
            assert await conn.root.add(1) == 11
            assert not slow.done()
            gate.set()
            assert await slow is True

    run(main)


def test_large_arguments_to_a_peer_that_does_not_read(run, peer_processes):
    """The loop goes on, memory is bounded, and everything arrives in the end."""
    server = peer_processes("netref", service="everyday", config="{}")

    async def main():
        async with aio.connect("127.0.0.1", server.port) as conn:
            server.process.send_signal(signal.SIGSTOP)
            try:
                calls = [asyncio.ensure_future(conn.root.size(b"x" * 1_000_000)) for _ in range(40)]
                for _ in range(20):
                    await asyncio.sleep(0.01)
                sent = conn.sync.stats()["round_trips"]
                assert sent < 30, "more than the limit of what may wait was queued"
            finally:
                server.process.send_signal(signal.SIGCONT)
            assert await asyncio.gather(*calls) == [1_000_000] * 40

    run(main)


# ---- giving up


def test_cancellation_drops_the_wait(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            gate = threading.Event()

            def late():
                assert gate.wait(LIMIT)
                return ["late"]

            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(conn.root.call(late), 0.05)
            assert await conn.root.add(1) == 11
            gate.set()
            assert await conn.root.add(2) == 12

    run(main)


def test_late_reply_gives_back_its_references(run, peer_processes, serve):
    """The peer keeps nothing for a call that was cancelled."""
    service = Busy()
    made = []

    class Made:
        def __del__(self):
            made.append("gone")

    async def late():
        await service.gate.wait()
        return Made()

    service.exposed_late = late

    async def main():
        async with aio.serve(service, hostname="127.0.0.1", port=0) as server, aio.connect("127.0.0.1", server.port) as conn:
            service.gate = asyncio.Event()
            call = asyncio.ensure_future(conn.root.late())
            assert await conn.root.add(1) == 11
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            lent = service.conn.stats()["objects_lent"]
            service.gate.set()
            await until(lambda: made == ["gone"])
            assert service.conn.stats()["objects_lent"] == lent

    run(main)


def test_result_outlives_a_cancelled_wait(run, everyday):
    async def main():
        with netref.connect("127.0.0.1", everyday.port) as conn:
            gate = threading.Event()
            result = async_(conn.root.call)(gate.wait)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(result, 0.02)
            gate.set()
            assert await result is True

    run(main)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_loss_of_the_connection(run, peer_processes, implementation):
    server = peer_processes(implementation, config='{"connid": "to be killed"}')

    async def main():
        conn = await aio.connect("127.0.0.1", server.port)
        gate = threading.Event()
        waiting = [asyncio.ensure_future(conn.root.call(gate.wait)) for _ in range(3)]
        assert await conn.root.add(1) == 11
        server.kill()
        for call in waiting:
            with pytest.raises(EOFError):
                await call
        with pytest.raises(EOFError):
            await conn.root.add(1)
        gate.set()
        await conn.close()

    run(main)


def test_closing_ends_what_waits(run, serve):
    async def main():
        conn = await aio.connect("127.0.0.1", serve(Busy).port)
        waiting = asyncio.ensure_future(conn.root.wait())
        assert await conn.root.at_once() == "at once"
        await conn.close()
        with pytest.raises(EOFError, match="closed"):
            await waiting

    run(main)


def test_nobody_listens(run):
    async def main():
        with pytest.raises(ConnectionRefusedError):
            await aio.connect("127.0.0.1", 1)
        with pytest.raises(ConnectionRefusedError):
            async with aio.connect("127.0.0.1", 1):
                pass

    run(main)


def test_loop_that_is_closed_before_the_reply(everyday):
    """Nobody hears of it, and the connection is none the worse."""
    gate = threading.Event()
    conn = netref.connect("127.0.0.1", everyday.port)

    async def main():
        waiting = asyncio.ensure_future(aio.wrap(conn.root.call)(gate.wait))
        await asyncio.sleep(0)
        assert not waiting.done()

    asyncio.run(main())
    gate.set()
    assert conn.root.add(1) == 11
    conn.close()


def test_connection_that_is_served_by_hand(run, everyday):
    """A wait is a reason to read, whatever the setting says of times when nobody waits."""

    async def main():
        with netref.connect("127.0.0.1", everyday.port, config={"serve": "manual"}) as conn:
            assert await async_(conn.root.add)(1) == 11
            assert await aio.wrap(conn.root).add(2) == 12

    run(main)


# ---- coroutines that a peer calls


@pytest.fixture
def busy(serve):
    """A service of coroutines, on a server that no event loop knows of."""
    service = Busy()
    service.port = serve(service).port
    return service


CALLS = """
conn = rpyc.connect("127.0.0.1", int(sys.argv[1]))
root = conn.root
assert root.add(1, b=2) == 3
assert root.pair() == (1, (2, 3))
assert root.at_once() == "at once"
assert root.call(lambda x: x + 1, 1) == 2
assert root.call_wrapped(lambda x: x + 1, 2) == 3
made = []
assert root.call_wrapped(lambda: made) is made and root.call_wrapped(lambda: (made,))[0] is made
assert list(root.count(5)) == [0, 1, 2, 3, 4]
assert list(rpyc.buffiter(root.count(25))) == list(range(25))
try:
    getattr(root, "raise")("KeyError")
except KeyError as error:
    assert "from a coroutine" in str(error)
else:
    raise AssertionError
try:
    root.exit()
except SystemExit:
    pass
waiting = [rpyc.async_(root.wait)() for _ in range(3)]
assert root.add(1) == 11
assert not any(result.ready for result in waiting)
root.open()
assert [result.value for result in waiting] == ["waited"] * 3
seen = []
try:
    for number in root.fail_after(3):
        seen.append(number)
except ValueError:
    pass
assert seen == [0, 1, 2]
conn.close()
print("done")
"""


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_programs_that_know_nothing_of_coroutines(busy, implementation):
    assert run_program(implementation, CALLS, busy.port) == "done\n"
    assert [thread.name for thread in busy.threads] == ["netref-loop"]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_service_on_the_running_loop(run, implementation):
    service = Busy()

    async def main():
        async with aio.serve(service, hostname="127.0.0.1", port=0) as server:
            assert await asyncio.to_thread(run_program, implementation, CALLS, server.port) == "done\n"
        assert service.threads == {threading.current_thread()}
        with pytest.raises(OSError):
            await aio.connect("127.0.0.1", server.port)

    run(main)


def test_callback_that_is_a_coroutine_function(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:
            here = asyncio.current_task()

            async def callback(x):
                assert threading.current_thread() is threading.main_thread()
                assert asyncio.current_task() is not here
                await asyncio.sleep(0)
                return await conn.root.add(x)

            assert await conn.root.call(callback, 1) == 11
            assert await conn.root.async_call(callback, 2) == 12
            assert await asyncio.gather(*(conn.root.call(callback, n) for n in range(20))) == list(range(10, 30))

            async def fails():
                raise LookupError("nowhere")

            with pytest.raises(LookupError, match="nowhere"):
                await conn.root.call(fails)

    run(main)


def test_asynchronous_generator_as_a_callback(run, everyday):
    async def main():
        async with aio.connect("127.0.0.1", everyday.port) as conn:

            async def numbers():
                for number in range(4):
                    yield number

            items = await conn.root.call(numbers)
            assert [x async for x in items._items] == [0, 1, 2, 3]

    run(main)


def test_coroutines_of_both_sides_call_each_other(run):
    async def main():
        async with aio.serve(Busy, hostname="127.0.0.1", port=0) as server, aio.connect("127.0.0.1", server.port) as conn:

            async def partner(x):
                return 0 if x == 0 else 1 + await conn.root.call(partner, x - 1)

            assert await conn.root.call(partner, 30) == 30

    run(main)


def test_what_a_coroutine_asks_runs_on_the_thread_that_waits(busy, connect):
    """It is part of the request, also when another task ran in between."""
    root = connect(busy).root
    assert root.call(threading.get_ident) == threading.get_ident()
    assert root.call_wrapped(threading.get_ident) == threading.get_ident()
    assert root.call_blocking(threading.get_ident) == threading.get_ident()


def test_call_that_blocks_the_loop_that_is_to_answer_it(run, peer_processes):
    """An error at once, and no deadlock. A program may still await the same call."""
    for implementation in ("netref", "rpyc"):
        if implementation == "rpyc" and "NETREF_STOCK6_PYTHON" not in os.environ:
            continue
        server = peer_processes(implementation)

        async def main(port=server.port):
            async with aio.connect("127.0.0.1", port) as conn:

                async def callback():
                    return 1

                with pytest.raises(RuntimeError, match="event loop is blocked"):
                    conn.sync.root.call(callback)
                assert await conn.root.call(callback) == 1
                assert await asyncio.to_thread(lambda: conn.sync.root.call(callback)) == 1

        run(main)


def test_result_that_cannot_be_sent(busy, connect):
    root = connect(busy).root
    with pytest.raises(UnicodeEncodeError):
        root.unsendable()
    assert root.add(1) == 11


def test_loss_cancels_coroutines(run):
    service = Busy()

    async def main():
        async with aio.serve(service, hostname="127.0.0.1", port=0) as server:
            conn = await aio.connect("127.0.0.1", server.port)
            waiting = asyncio.ensure_future(conn.root.wait())
            await until(lambda: service.begun)
            await conn.close()
            with pytest.raises(EOFError):
                await waiting
            await until(lambda: service.cancelled)

    run(main)


def test_coroutine_that_is_cancelled_by_its_own_side(run):
    service = Busy()

    async def cancelled():
        asyncio.current_task().cancel()
        await asyncio.sleep(LIMIT)

    service.exposed_cancelled = cancelled

    async def main():
        async with aio.serve(service, hostname="127.0.0.1", port=0) as server, aio.connect("127.0.0.1", server.port) as conn:
            with pytest.raises(RuntimeError, match="cancelled by its own side"):
                await conn.root.cancelled()
            assert await conn.root.add(1) == 11

    run(main)


def test_loop_that_ends_before_its_coroutines(serve, connect):
    """Whoever called them hears of it."""
    service = Busy()
    loop = asyncio.new_event_loop()
    server = serve(service, protocol_config={"loop": loop})
    root = connect(server).root
    never_begun = async_(root.wait)()
    root.thread()  # by now it is scheduled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "never awaited", and rightly
        loop.close()
        gc.collect()
        with pytest.raises(RuntimeError, match="dropped before it ended"):
            never_begun.wait()
            never_begun.value
        with pytest.raises(RuntimeError, match="loop is closed"):
            root.wait()
    assert root.thread()


def test_each_request_has_a_context_of_its_own(run):
    variable = contextvars.ContextVar("variable", default="unset")
    service = Busy()

    async def remember(value):
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)
        return before, variable.get()

    service.exposed_remember = remember

    async def main():
        async with aio.serve(service, hostname="127.0.0.1", port=0) as server, aio.connect("127.0.0.1", server.port) as conn:
            assert await asyncio.gather(*(conn.root.remember(n) for n in range(5))) == [("unset", n) for n in range(5)]

    run(main)


def test_generator_that_is_not_finished_is_closed(run):
    service = Busy()
    closed = []

    async def endless():
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread())

    service.exposed_endless = endless

    async def main():
        async with aio.serve(service, hostname="127.0.0.1", port=0) as server, aio.connect("127.0.0.1", server.port) as conn:
            items = await conn.root.endless()
            async for item in items:
                assert item == 1
                break
            del items
            await until(lambda: (gc.collect(), closed)[1])
            assert closed == [threading.current_thread()]

    run(main)


def test_forked_child_has_a_loop_of_its_own(busy, connect):
    assert connect(busy).root.add(1) == 11  # the loop is there
    code = """
    import asyncio, os, sys, netref
    from netref.core import coroutines
    first = coroutines._own.get()
    pid = os.fork()
    if pid == 0:
        second = coroutines._own.get()
        assert second is not first
        done = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "runs"), second)
        os._exit(0 if done.result(10) == "runs" else 1)
    assert os.waitpid(pid, 0)[1] == 0
    """
    run_program("netref", code)


def test_exit_with_coroutines_under_way(busy):
    """Neither hangs nor complains: with a loop of the program's own, and with netref's."""
    code = """
    import asyncio
    from netref import aio
    async def callback():
        await asyncio.sleep(3600)
    conn = rpyc.connect("127.0.0.1", int(sys.argv[1]))
    results = [rpyc.async_(conn.root.call)(callback) for _ in range(5)]
    assert conn.root.add(1) == 11
    async def main():
        own = await aio.connect("127.0.0.1", int(sys.argv[1]))
        waiting = [asyncio.ensure_future(own.root.call(callback)) for _ in range(5)]
        assert await own.root.add(1) == 11
    asyncio.run(main())
    print("end")
    """
    started = time.monotonic()
    assert run_program("netref", code, busy.port) == "end\n"
    assert time.monotonic() - started < 20


def test_import_of_the_package_does_not_import_asyncio():
    code = "import sys, netref; print('asyncio' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    assert printed == "False\n"
