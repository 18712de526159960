"""What a service can rely on while its ``on_connect`` runs: it is not called before it is ready, but by what that waits for."""

import queue
import threading

import pytest

import netref
from netref import async_
from waiting import until


class Prepares(netref.Service):
    """Is ready when ``prepare(conn)`` has returned."""

    def __init__(self, prepare):
        self.prepare = prepare
        self.is_ready = False
        self.threads = []

    def on_connect(self, conn):
        self.prepare(conn)
        self.threads.append(threading.get_ident())
        self.is_ready = True

    def exposed_is_ready(self):
        self.threads.append(threading.get_ident())
        return self.is_ready


@pytest.fixture(params=["chain", "pool"])
def dispatch(request):
    return {"dispatch": request.param}


def test_calls_wait_until_the_service_is_ready(serve, connect, dispatch):
    """It has asked for the root of its client, after which the connection was read in the background, and requests began."""

    def prepare(conn):
        assert conn.root is not None
        until(lambda: conn.stats()["unanswered"] > 0)

    service = Prepares(prepare)
    conn = connect(serve(service, protocol_config=dispatch))
    assert conn.root.is_ready()
    if dispatch["dispatch"] == "chain":
        assert len(set(service.threads)) == 1


class CallsFirst(netref.Connection):
    """Calls the peer, on another thread, before it tells it its root."""

    @property
    def _local_root(self):
        self.answers = queue.Queue()
        threading.Thread(target=lambda: self.answers.put(self.root.is_ready())).start()
        until(lambda: self.stats()["calls"] == 1)
        return self._given_root

    @_local_root.setter
    def _local_root(self, root):
        self._given_root = root


def test_root_of_the_client_is_there_before_its_first_call(serve, connect):
    """In whatever order request and root come. With threads on both sides the call often came first."""

    class Client(netref.Service):
        _protocol = CallsFirst

    conn = connect(serve(Prepares(lambda conn: conn.root)), service=Client)
    until(lambda: hasattr(conn, "answers"))
    assert conn.answers.get(timeout=20) is True


def test_what_the_service_waits_for_may_depend_on_a_call(serve, connect, dispatch):
    """It calls its client, which does not answer before another of its calls is answered. Nobody waits for ever."""
    answered, other = threading.Event(), []

    class Client(netref.Service):
        def exposed_wait(self):
            return answered.wait(20)

    service = Prepares(lambda conn: other.append(conn.root.wait()))
    conn = connect(serve(service, protocol_config=dispatch), service=Client)
    is_ready = async_(conn.root.is_ready)()
    assert is_ready.value is False
    answered.set()
    until(lambda: service.is_ready)
    assert other == [True]


def test_what_was_held_begins_though_nobody_serves(serve, connect):
    """The side that was not ready is a client that neither calls nor serves afterwards."""
    answers = queue.Queue()

    def ask(conn):
        async_(conn.root.is_ready)().add_callback(lambda result: answers.put(result.value))

    def prepare(conn):
        assert conn.root is not None
        until(lambda: conn.stats()["unanswered"] > 0)

    service = Prepares(prepare)
    connect(serve(Prepares(ask)), service=service)
    assert answers.get(timeout=20) is True


def test_refusing_a_client_that_calls_already(serve, connect):
    """The end does not wait for the call to be answered, which it will not be."""

    def refuse(conn):
        assert conn.root is not None
        until(lambda: conn.stats()["unanswered"] > 0)
        conn.close()

    conn = connect(serve(Prepares(refuse), protocol_config={"close_timeout": 120}), config={"sync_request_timeout": 20})
    with pytest.raises(EOFError, match="closed"):
        conn.root.is_ready()


def test_a_service_may_serve_while_it_prepares(serve, connect):
    service = Prepares(lambda conn: until(lambda: conn.serve(0.1) and service.threads))
    conn = connect(serve(service))
    assert conn.root.is_ready() is False


def test_peer_is_heard_while_the_service_prepares(serve, connect):
    """Its signs of life are answered, though a call waits."""
    leave = threading.Event()

    def prepare(conn):
        assert conn.root is not None
        assert leave.wait(20)

    conn = connect(serve(Prepares(prepare)))
    answers = queue.Queue()
    threading.Thread(target=lambda: answers.put(conn.root.is_ready())).start()
    until(lambda: conn.stats()["calls"] == 1)
    conn.ping()
    leave.set()
    assert answers.get(timeout=20) is True


def test_hooks_that_are_coroutine_functions(serve, connect, caplog):
    """They would never run, and the program would go on without what they prepare."""

    class GetsReady(netref.Service):
        async def on_connect(self, conn):
            pass

    class CleansUp(netref.Service):
        async def on_disconnect(self, conn):
            pass

    server = serve(CleansUp)
    with pytest.raises(TypeError, match=r"GetsReady\.on_connect must be an ordinary method"):
        connect(server, service=GetsReady)
    connect(server).close()
    until(lambda: "CleansUp.on_disconnect must be an ordinary method" in caplog.text)
