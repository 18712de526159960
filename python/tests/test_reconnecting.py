"""A root that outlives its connection."""

import asyncio
import contextlib
import gc
import socket
import threading

import pytest

import netref
from clients import IMPLEMENTATIONS, server_program
from netref import ConnectionLost, Reconnecting, StaleReference, aio, async_
from peer_process import Program

SERVER = """
from {api}.utils.server import ThreadedServer
class Service(rpyc.Service):
    calls = 0
    def exposed_count(self):
        Service.calls += 1
        return Service.calls
    def exposed_make(self):
        return [1, 2, 3]
    def exposed_call(self, function):
        Service.calls += 1
        return function()
server = ThreadedServer(Service, hostname="127.0.0.1", port=int(sys.argv[1]))
server.listener.listen()
print(server.port, flush=True)
server.start()
"""


class Restartable:
    """A server program that can be killed, and started again at the same port."""

    def __init__(self, implementation):
        self._command = server_program(implementation, SERVER.format(api=implementation))
        self.port = 0
        self.start()

    def start(self):
        self._program = Program(*self._command, self.port)
        self.port = int(self._program.read_line())

    def kill(self):
        self._program.kill()
        self._program.stop()

    def connect(self):
        return netref.connect("127.0.0.1", self.port)


@pytest.fixture(params=IMPLEMENTATIONS)
def server(request):
    restartable = Restartable(request.param)
    yield restartable
    restartable.kill()


@pytest.fixture
def handle(cleanup, server):
    return cleanup.enter_context(Reconnecting(server.connect, first_pause=0.01, last_pause=0.05))


def wait_for_loss(conn):
    """Until this side knows that a server was killed."""
    while not conn.closed:
        with contextlib.suppress(EOFError):
            conn.ping(timeout=20)


def nobody():
    """A port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_server_that_is_killed_and_started_again(server, handle):
    root, count = handle.root, handle.root.count
    assert root.count() == 1
    first = handle.connection
    assert handle.connection is first
    server.kill()
    server.start()
    wait_for_loss(first)
    assert root.count() == 1
    assert root is handle.root
    assert handle.connection is not first
    assert handle.state == "connected"
    with pytest.raises(StaleReference):
        count()
    assert root.count() == 2


def test_call_under_way_fails_and_is_not_repeated(server, handle):
    begun, gate = threading.Event(), threading.Event()

    def callback():
        begun.set()
        gate.wait(20)

    def kill():
        assert begun.wait(20)
        server.kill()
        server.start()
        gate.set()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ConnectionLost) as caught:
        handle.root.call(callback)
    assert not isinstance(caught.value, StaleReference)
    killer.join()
    assert handle.root.count() == 1  # and not 2


def stale_uses(conn, root, make, numbers):
    """Everything that can be done with what is left of a connection."""
    yield lambda: len(numbers)
    yield lambda: numbers[0]
    yield lambda: list(numbers)
    yield lambda: numbers.append(4)
    yield lambda: str(numbers)
    yield lambda: numbers == numbers
    yield lambda: make()
    yield lambda: root.count()
    yield lambda: async_(make)()
    yield lambda: asyncio.run(aio.wrap(make)())
    yield lambda: conn.root


def test_references_from_before_are_stale_and_reach_nothing_else(server, handle):
    left = [handle.connection, handle.connection.root, handle.root.make, handle.root.make()]
    assert list(left[3]) == [1, 2, 3]
    server.kill()
    server.start()
    wait_for_loss(left[0])
    same_again = handle.root.make()  # has the number that the old list had
    for use in stale_uses(*left):
        with pytest.raises(StaleReference, match="stale reference: the connection that it belongs to is over"):
            use()
    assert issubclass(StaleReference, EOFError)
    assert list(same_again) == [1, 2, 3]
    left.clear()
    gc.collect()
    assert list(same_again) == [1, 2, 3]


def test_states_in_order(server, cleanup):
    states, lost = [], threading.Event()

    def on_state(state, error):
        states.append((state, type(error)))
        if state == "disconnected":
            lost.set()

    handle = cleanup.enter_context(Reconnecting(server.connect, on_state, first_pause=0.01))
    assert handle.state == "disconnected"
    assert handle.root.count() == 1
    server.kill()
    assert lost.wait(20)  # though nobody uses it
    server.start()
    assert handle.root.count() == 1
    handle.close()
    handle.close()
    nothing = type(None)
    assert states == [
        ("connecting", nothing),
        ("connected", nothing),
        ("disconnected", ConnectionLost),
        ("connecting", nothing),
        ("connected", nothing),
        ("closed", nothing),
    ]
    assert handle.state == "closed"
    with pytest.raises(ConnectionLost, match="closed"):
        handle.root.count()


def test_nobody_there(monkeypatch):
    pauses, states = [], []

    def uniform(low, high):
        assert low == high / 2
        pauses.append(high)
        return low

    monkeypatch.setattr("random.uniform", uniform)
    port = nobody()
    handle = Reconnecting(
        lambda: netref.connect("127.0.0.1", port),
        lambda state, error: states.append((state, type(error).__name__)),
        timeout=0.3,
        first_pause=0.01,
        last_pause=0.08,
    )
    with pytest.raises(ConnectionLost, match=r"no connection within 0.3 s.*refused") as caught:
        handle.root.count()
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert pauses[:6] == [0.01, 0.02, 0.04, 0.08, 0.08, 0.08]
    assert states[:4] == [("connecting", "NoneType"), ("waiting", "ConnectionRefusedError")] * 2
    assert handle.state == "waiting"


def test_close_while_waiting_to_try_again():
    port, waits = nobody(), threading.Event()
    handle = Reconnecting(
        lambda: netref.connect("127.0.0.1", port), lambda state, error: state == "waiting" and waits.set(), first_pause=3600
    )
    errors = []

    def use():
        try:
            handle.root.count()
        except ConnectionLost as error:
            errors.append(str(error))

    threads = [threading.Thread(target=use, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert waits.wait(20)
    handle.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert errors == ["the reconnecting handle is closed"] * 3


def test_close_while_connecting(server):
    dialling, go_on, made = threading.Event(), threading.Event(), []

    def dial():
        dialling.set()
        assert go_on.wait(20)
        made.append(server.connect())
        return made[0]

    handle = Reconnecting(dial)
    errors = []

    def use():
        try:
            handle.root.count()
        except ConnectionLost as error:
            errors.append(str(error))

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    assert dialling.wait(20)
    handle.close()
    go_on.set()
    thread.join(20)
    assert errors == ["the reconnecting handle is closed"]
    assert made[0].closed


def test_threads_share_one_connection(server, cleanup):
    dialled, barrier = [], threading.Barrier(8)

    def dial():
        dialled.append(threading.get_ident())
        return server.connect()

    handle = cleanup.enter_context(Reconnecting(dial))
    counts = []

    def use():
        barrier.wait()
        for _ in range(20):
            counts.append(handle.root.count())

    for restart in range(3):
        if restart:
            old = handle.connection
            server.kill()
            server.start()
            wait_for_loss(old)
        threads = [threading.Thread(target=use, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(counts) == list(range(1, 161))
        assert len(dialled) == restart + 1
        counts.clear()


def test_on_state_may_use_the_handle_and_fail(server, cleanup, caplog):
    heard = []

    def on_state(state, error):
        if state == "connected":
            heard.append(handle.root.count())
            raise ValueError("on purpose")

    handle = cleanup.enter_context(Reconnecting(server.connect, on_state))
    assert handle.root.count() == 2
    assert heard == [1]
    assert "on purpose" in caplog.text


def test_errors_that_are_no_loss_go_to_the_caller(server, cleanup):
    problems = [ValueError("no such setting")]

    def dial():
        if problems:
            raise problems.pop()
        return server.connect()

    handle = cleanup.enter_context(Reconnecting(dial, first_pause=0.01))
    with pytest.raises(ValueError, match="no such setting"):
        handle.root.count()
    assert handle.root.count() == 1


def test_root_is_like_a_root(server, handle):
    assert "root of" in repr(handle.root)
    assert "Reconnecting" in repr(handle)
    with pytest.raises(AttributeError):
        handle.root.missing()
    with pytest.raises(AttributeError):
        handle.root.value = 1
    with pytest.raises(AttributeError):
        del handle.root.value
    assert dir(handle.root)


def test_handle_that_is_dropped_closes_its_connection(server):
    handle = Reconnecting(server.connect)
    assert handle.root.count() == 1
    sock = handle.connection._channel.stream.sock
    del handle
    gc.collect()
    assert sock.fileno() == -1


def test_connections_of_other_programs_are_just_lost(server):
    conn = server.connect()
    count = conn.root.count
    conn.close()
    with pytest.raises(ConnectionLost) as caught:
        count()
    assert not isinstance(caught.value, StaleReference)
