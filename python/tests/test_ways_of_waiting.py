"""Every way of waiting for a reply or a callback, whoever reads the connection: nobody yet, a thread of netref's, another of the
program's that serves or waits, or this one alone, by polling."""

import asyncio
import contextlib
import threading
import time

import pytest

import netref
from netref.utils.server import ThreadedServer
from waiting import until

LIMIT = 20  # seconds for anything


class Service(netref.Service):
    def __init__(self):
        self.released = threading.Event()

    def exposed_echo(self, value):
        return value

    def exposed_apply(self, function, value):
        return function(value)

    def exposed_call_later(self, function):
        threading.Timer(0.01, netref.async_(function)).start()

    def exposed_hold(self):
        self.released.wait(LIMIT)

    def exposed_release(self):
        self.released.set()


# ---- who reads


@contextlib.contextmanager
def nobody_yet(conn):
    yield until


@contextlib.contextmanager
def a_thread_of_netref(conn):
    time.sleep(0.3)  # it begins when nobody has read for a while
    yield until


@contextlib.contextmanager
def a_thread_that_serves(conn):
    with started(conn.serve_all):
        yield until
        conn.close()


@contextlib.contextmanager
def a_serving_thread_of_rpyc(conn):
    serving = netref.BgServingThread(conn)
    yield until
    serving.stop()


@contextlib.contextmanager
def a_thread_that_waits(conn):
    with started(conn.root.hold):
        yield until
        conn.root.release()


@contextlib.contextmanager
def this_thread_alone(conn):
    conn.poll(0)

    def serve_until(condition):
        until(lambda: condition() or (conn.poll(0.01) and False))

    yield serve_until


@contextlib.contextmanager
def started(work):
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join(LIMIT)
    assert not thread.is_alive()


# ---- ways of waiting


def a_value(conn, wait_until):
    assert netref.async_(conn.root.echo)(1).value == 1


def with_an_expiry(conn, wait_until):
    result = netref.timed(conn.root.echo, LIMIT)(1)
    result.wait()
    assert result.value == 1


def asking_whether_it_is_ready(conn, wait_until):
    result = netref.async_(conn.root.echo)(1)
    until(lambda: result.ready)


def a_callback_of_the_result(conn, wait_until):
    called = threading.Event()
    netref.async_(conn.root.echo)(1).add_callback(lambda result: called.set())
    wait_until(called.is_set)


def in_a_coroutine(conn, wait_until):
    async def ask():
        return await netref.async_(conn.root.echo)(1)

    assert asyncio.run(asyncio.wait_for(ask(), LIMIT)) == 1


def in_another_thread(conn, wait_until):
    result, values = netref.async_(conn.root.echo)(1), []
    with started(lambda: values.append(result.value)):
        pass
    assert values == [1]


def a_value_in_a_batch(conn, wait_until):
    with conn.batch() as batch:
        result = batch.root.echo(1)
        result.set_expiry(LIMIT)
        assert result.value == 1


def ready_in_a_batch(conn, wait_until):
    with conn.batch() as batch:
        result = batch.root.echo(1)
        until(lambda: result.ready)


def serving_in_a_batch(conn, wait_until):
    with conn.batch() as batch:
        called = threading.Event()
        batch.root.echo(1).add_callback(lambda result: called.set())
        until(lambda: called.is_set() or (conn.serve(0.01) and False))


def in_a_coroutine_in_a_batch(conn, wait_until):
    async def ask(batch):
        return await batch.root.echo(1)

    with conn.batch() as batch:
        assert asyncio.run(asyncio.wait_for(ask(batch), LIMIT)) == 1


def in_another_thread_in_a_batch(conn, wait_until):
    values = []
    with conn.batch() as batch:
        result = batch.root.echo(1)
        with started(lambda: values.append(result.value)):
            pass
    assert values == [1]


def a_call_that_calls_back(conn, wait_until):
    assert conn.root.apply(lambda value: conn.root.echo(value) + 1, 1) == 2


def a_callback_out_of_any_call(conn, wait_until):
    called = threading.Event()
    function = called.set
    conn.root.call_later(function)
    wait_until(called.is_set)


def a_ping(conn, wait_until):
    conn.ping(timeout=LIMIT)


READERS = (
    nobody_yet,
    a_thread_of_netref,
    a_thread_that_serves,
    a_serving_thread_of_rpyc,
    a_thread_that_waits,
    this_thread_alone,
)
WAYS = (
    a_value,
    with_an_expiry,
    asking_whether_it_is_ready,
    a_callback_of_the_result,
    in_a_coroutine,
    in_another_thread,
    a_value_in_a_batch,
    ready_in_a_batch,
    serving_in_a_batch,
    in_a_coroutine_in_a_batch,
    in_another_thread_in_a_batch,
    a_call_that_calls_back,
    a_callback_out_of_any_call,
    a_ping,
)


@pytest.fixture(scope="module")
def server():
    with contextlib.closing(ThreadedServer(Service, hostname="127.0.0.1", port=0)) as server:
        server._start_in_thread()
        yield server


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_it_ends(server, reader, way):
    with netref.connect("127.0.0.1", server.port, config={"sync_request_timeout": LIMIT}) as conn:
        conn.root.echo(0)
        with reader(conn) as wait_until:
            way(conn, wait_until)
