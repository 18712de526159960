"""How long references and connections live."""

import gc
import threading
import time
import weakref

import pytest

import netref
from waiting import until


class Makes(netref.Service):
    def exposed_objects(self, count):
        return tuple(object() for _ in range(count))

    def exposed_same(self):
        return self._same

    def exposed_keep(self, value):
        self._kept = value

    def exposed_drop(self):
        self._kept = None

    def on_connect(self, conn):
        self._conn = conn
        self._same = []


def test_dropping_proxies_empties_the_owners_table(pair):
    client, server = pair(Makes)
    objects = client.root.objects(100)
    assert server.stats()["objects_lent"] >= 100
    baseline = server.stats()["objects_lent"] - 100
    del objects
    gc.collect()
    client.ping()
    until(lambda: server.stats()["objects_lent"] <= baseline)
    assert client.stats()["references_released"] >= 100


def test_classes_of_proxies_take_bounded_memory(connect, serve):
    """They are kept for the next proxy, until there are too many; those in use stay, and leave no room for ever more."""
    conn = connect(serve(Makes, protocol_config={"max_class_memory": 200_000}))

    def instance(number):
        return type(f"Made{number}", (), {f"method_{number}_{nth}": lambda self: None for nth in range(20)})()

    kept = [instance(number) for number in range(200)]
    for thing in kept:
        conn.root.keep(thing)
    conn.root.keep(kept[0])
    names = "classes of this connection's proxies take more than 200000 bytes .limit max_class_memory"
    with pytest.raises(MemoryError, match=names):
        conn.root.keep(tuple(kept))
    conn.root.keep(kept[-1])
    assert conn.root.same() is not None


def test_dropped_proxies_are_given_back_by_an_idle_client(pair):
    client, server = pair(Makes)
    objects = client.root.objects(10)
    lent = server.stats()["objects_lent"]
    del objects
    until(lambda: server.stats()["objects_lent"] <= lent - 10)


def test_object_received_often_is_given_back_once_and_whole(pair):
    client, server = pair(Makes)
    same = [client.root.same() for _ in range(50)]
    assert len(set(map(id, same))) == 1
    assert same[0].____refcount__ == 50
    lent = server.stats()["objects_lent"]
    del same
    until(lambda: server.stats()["objects_lent"] < lent)
    assert list(client.root.same()) == []  # it can be lent again


def test_object_lives_as_long_as_its_proxy(pair):
    client, _ = pair(Makes)

    class Local:
        pass

    local = Local()
    alive = weakref.ref(local)
    client.root.keep(local)
    del local
    gc.collect()
    assert alive() is not None
    client.root.drop()
    until(lambda: alive() is None)


def test_close_lets_go_of_what_was_lent(pair):
    client, server = pair(Makes)

    class Local:
        pass

    local = Local()
    alive = weakref.ref(local)
    client.root.keep(local)
    del local
    client.close()
    until(lambda: alive() is None)
    until(lambda: server.closed)


def test_proxy_outlives_its_connection(pair):
    client, _ = pair(Makes)
    proxy = client.root.same()
    client.close()
    for use in (len, repr, list, lambda p: p.attribute, lambda p: p == 1):
        with pytest.raises(EOFError, match="closed"):
            use(proxy)
    assert isinstance(proxy, list)


def test_connection_that_nobody_holds_is_closed(serve):
    ended = threading.Event()

    class Heard(netref.Service):
        def on_disconnect(self, conn):
            ended.set()

    conn = netref.connect("127.0.0.1", serve(Heard).port)
    conn.ping()
    del conn
    gc.collect()
    assert ended.wait(10)


def test_cycle_of_proxy_and_connection_is_collected(serve):
    ended = threading.Event()

    class Heard(Makes):
        def on_disconnect(self, conn):
            ended.set()

    conn = netref.connect("127.0.0.1", serve(Heard).port)
    conn.kept = conn.root.same()
    conn.itself = conn
    alive = weakref.ref(conn)
    del conn
    gc.collect()
    until(lambda: gc.collect() is not None and alive() is None)
    assert ended.wait(10)


def test_garbage_that_calls_remotes_from_its_destructor(pair):
    client, _ = pair(Makes)
    calls = []

    class Dying:
        def __init__(self, proxy):
            self.me, self.proxy = self, proxy

        def __del__(self):
            calls.append(len(self.proxy))

    for _ in range(50):
        Dying(client.root.same())
    gc.collect()
    assert calls == [0] * 50
    client.ping()


def test_destructor_that_calls_back_while_the_connection_closes(pair):
    """A destructor that runs because of the end finds the connection ended, and nobody waits for anybody."""
    errors = []

    class Deleted:
        def __init__(self, callback):
            self.callback = callback

        def __del__(self):
            try:
                self.callback([1])
            except EOFError as error:
                errors.append(error)

    class Holds(netref.Service):
        def exposed_hold(self, callback):
            return Deleted(callback)

    client, server = pair(Holds)
    held = client.root.hold(lambda items: len(items))
    client.close()
    until(lambda: server.closed and errors)
    assert len(errors) == 1
    del held


def test_closing_from_the_client(pair):
    client, server = pair(Makes)
    client.ping()
    client.close()
    until(lambda: server.closed)
    for end in (client, server):
        with pytest.raises(EOFError, match="closed"):
            end.ping()


def test_closing_from_the_server(pair):
    client, server = pair(Makes)
    server.close()
    until(lambda: client.closed)
    with pytest.raises(EOFError, match="the peer closed the connection"):
        _ = client.root


def test_closing_while_others_wait(pair):
    entered, leave = threading.Event(), threading.Event()

    class Waits(netref.Service):
        def exposed_wait(self):
            entered.set()
            leave.wait(30)

    client, _ = pair(Waits)
    errors = []

    def call(wait=client.root.wait):
        try:
            wait()
        except EOFError as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    started = time.monotonic()
    client.close()
    for thread in threads:
        thread.join(10)
    leave.set()
    assert len(errors) == 4
    assert time.monotonic() - started < 5


def test_closing_does_not_wait_for_a_peer_that_is_busy(pair):
    leave = threading.Event()

    class Waits(netref.Service):
        def exposed_wait(self):
            leave.wait(30)

    client, _ = pair(Waits)
    netref.async_(client.root.wait)()
    started = time.monotonic()
    client.close()
    leave.set()
    assert time.monotonic() - started < 5


def test_ping(conn):
    conn.ping()
    conn.ping("data")
    conn.ping(b"x" * 100_000, timeout=20)


def test_ping_is_not_queued_behind_calls(pair):
    leave = threading.Event()

    class Waits(netref.Service):
        def exposed_wait(self):
            leave.wait(30)

    client, _ = pair(Waits)
    result = netref.async_(client.root.wait)()
    client.ping(timeout=10)
    assert not result.ready
    leave.set()
    result.wait()


def test_poll_and_serve(pair):
    """Between them they work off what arrives, and say whether there was anything."""
    client, _ = pair(Makes)
    assert not client.poll()
    assert not client.poll_all()
    assert not client.serve(timeout=0.01)
    result = netref.async_(client.root.same)()
    until(lambda: client.poll(0.1) or result.ready)
    until(lambda: client.poll_all(0.05) or result.ready)
    assert isinstance(result.value, list)


def test_serve_all_returns_at_the_end(pair):
    client, server = pair(Makes)
    thread = threading.Thread(target=client.serve_all)
    thread.start()
    assert server.root.__class__ is not None
    server.close()
    thread.join(10)
    assert not thread.is_alive()
    assert client.closed
    with pytest.raises(EOFError):
        client.serve()
    assert not client.poll_all()


def test_requests_are_served_by_the_thread_that_serves(pair):
    class Client(netref.Service):
        def exposed_thread(self):
            return threading.get_ident()

    client, server = pair(client_service=Client)
    root = server.root
    thread = threading.Thread(target=client.serve_all)
    thread.start()
    until(lambda: root.thread() == thread.ident)
    client.close()
    thread.join(10)


def test_stats_and_fileno(conn):
    _ = conn.root
    stats = conn.stats()
    assert stats["round_trips"] >= 1
    assert set(stats) >= {"round_trips", "requests_served", "objects_lent", "references_released"}
    assert conn.fileno() == conn._channel.stream.sock.fileno()
    assert "conn" in repr(conn)


def test_root_is_fetched_once(conn):
    root = conn.root
    before = conn.stats()["round_trips"]
    assert conn.root is root
    assert conn.stats()["round_trips"] == before
