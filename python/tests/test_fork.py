"""Processes that fork while they have connections."""

import os
import sys
import traceback

import pytest

import netref
from netref.core.protocol import ForkedConnectionError
from netref.utils.factory import connect_thread


class Echo(netref.Service):
    def exposed_echo(self, value):
        return value

    def exposed_apply(self, function, value):
        return function(value)


def in_child(work):
    """Runs ``work`` in a forked child; fails with its traceback if it fails."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 0
        try:
            os.close(reader)
            work()
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
            status = 1
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as report:
        text = report.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, text


@pytest.fixture
def conn(serve, connect):
    conn = connect(serve(Echo))
    assert conn.root.echo(1) == 1
    return conn


def test_child_cannot_use_a_connection_of_its_parent(conn):
    echo, result = conn.root.echo, netref.async_(conn.root.echo)(5)

    def work():
        for use in (lambda: echo(2), conn.ping, lambda: conn.serve(0), conn.serve_all, lambda: conn.poll(0), result.wait):
            with pytest.raises(ForkedConnectionError, match="parent"):
                use()
        assert conn.closed

    in_child(work)
    assert result.value == 5 and not conn.closed
    assert conn.root.echo(3) == 3


def test_child_that_drops_or_closes_what_it_inherited_disturbs_nobody(conn):
    held = [conn.root.echo, conn]

    def work():
        conn.close()
        held.clear()
        import gc

        gc.collect()

    in_child(work)
    assert held[0](4) == 4


def test_child_that_ends_as_programs_do_disturbs_nobody(conn):
    pid = os.fork()
    if pid == 0:
        try:
            sys.exit(0)
        except SystemExit:
            del conn
            os._exit(0)
    os.waitpid(pid, 0)
    assert conn.root.echo("alive") == "alive"


def test_child_makes_connections_of_its_own(conn):
    port = conn._channel.stream.sock.getpeername()[1]

    def work():
        # To the parent's server, and within the child, which needs threads of the driver.
        with netref.connect("127.0.0.1", port) as fresh:
            assert fresh.root.echo("fresh") == "fresh"
            assert fresh.root.apply(lambda value: value * 2, 4) == 8
        with connect_thread(service=Echo, remote_service=Echo) as own:
            kept = []
            for number in range(20):
                own.root.apply(kept.append, number)
            assert kept == list(range(20))
            results = [netref.async_(own.root.echo)(number) for number in range(50)]
            assert [result.value for result in results] == list(range(50))

    in_child(work)
    assert conn.root.echo(1) == 1


def test_reconnecting_handle_connects_anew(serve):
    """As after any loss: the child's first use is not stale."""
    server = serve(Echo)
    with netref.Reconnecting(lambda: netref.connect("127.0.0.1", server.port)) as handle:
        before = handle.connection

        def work():
            assert handle.root.echo(1) == 1
            handle.close()

        in_child(work)
        assert handle.root.echo(2) == 2 and handle.connection is before


def test_grandchildren(conn):
    def work():
        with connect_thread(remote_service=Echo) as own:
            assert own.root.echo(1) == 1
            in_child(lambda: grandchild(own))
            assert own.root.echo(2) == 2

    def grandchild(parents):
        with pytest.raises(ForkedConnectionError):
            parents.root.echo(1)
        with connect_thread(remote_service=Echo) as own:
            assert own.root.echo(3) == 3

    in_child(work)


@pytest.mark.skipif(
    sys.version_info < (3, 12),
    reason="CPython before 3.12 can leave a lock of its own locked in the child, whatever the threads of the parent do",
)
def test_forking_while_other_threads_are_at_it(conn):
    """A child must not inherit a lock that a thread of its parent held."""
    import threading

    over = threading.Event()

    def work():
        while not over.is_set():
            conn.root.apply(lambda value: value, [])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            in_child(child_with_a_connection)
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
    assert conn.root.echo(1) == 1


def child_with_a_connection():
    with connect_thread(remote_service=Echo) as own:
        assert own.root.echo([1])[0] == 1
