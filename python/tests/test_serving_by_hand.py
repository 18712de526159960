"""Programs that serve by themselves: what the peer asks runs where they do, as with RPyC, and nowhere else."""

import queue
import select
import threading
import time

import pytest

import netref


class Server(netref.Service):
    """Calls what a client gives it, from a thread of its own."""

    def exposed_call_later(self, function):
        threading.Thread(target=function).start()

    def on_connect(self, conn):
        self.conn = conn

    def exposed_call_together_later(self, function, count):
        self.function = function  # giving it back would be one more message

        def call_together():
            time.sleep(0.05)  # until the client has its answer and waits for nothing but these
            with self.conn.batch() as batch:
                for _ in range(count):
                    batch.call(function)

        threading.Thread(target=call_together).start()

    def exposed_call(self, function):
        return function()

    def exposed_wait(self, seconds):
        time.sleep(seconds)


@pytest.fixture
def server(serve):
    return serve(Server)


def look_until(conn, seen):
    """Serves now and then, as a program with windows does, until something was seen; and returns what."""
    deadline = time.monotonic() + 20
    while seen.empty():
        assert time.monotonic() < deadline, "it was not served"
        time.sleep(0.02)  # what else it does: long enough for the connection to be read in the background
        conn.poll_all()
    return seen.get()


def idents(seen):
    return lambda: seen.put(threading.get_ident())


@pytest.fixture(params=["poll", "manual"])
def conn(request, connect, server):
    """A connection of a program that serves: it has done so, or says that it will."""
    conn = connect(server, config={"serve": "manual"} if request.param == "manual" else {})
    if request.param == "poll":
        conn.poll()
    return conn


def test_a_program_that_was_idle_before(connect, server):
    """The connection was read in the background already when the program began to look at it."""
    conn, seen = connect(server), queue.Queue()
    conn.root.call_later(idents(seen))
    assert seen.get(timeout=10) != threading.get_ident()  # nobody served
    conn.poll()
    conn.root.call_later(idents(seen))
    assert look_until(conn, seen) == threading.get_ident()


def test_a_call_whose_limit_is_short(connect, server):
    """Other programs' callbacks then run on another thread, for the limit to be kept."""
    conn, seen = connect(server, config={"sync_request_timeout": 10}), queue.Queue()
    conn.poll()
    assert conn.root.call(threading.get_ident) == threading.get_ident()
    conn.root.call_later(idents(seen))
    assert look_until(conn, seen) == threading.get_ident()


def test_a_program_that_selects(conn):
    """It serves one message whenever the descriptor shows that there is one, and none is left behind where it does not."""
    for count in 1, 5, 5:
        seen = queue.Queue()
        conn.root.call_together_later(idents(seen), count)
        while seen.qsize() < count:
            assert select.select([conn], [], [], 20)[0], "it would wait for ever"
            conn.serve(0)
        assert {seen.get() for _ in range(count)} == {threading.get_ident()}


def test_what_is_read_already_when_a_program_begins_to_select(pair):
    """It is not kept for the program, which would not come."""
    seen = queue.Queue()

    class Client(netref.Service):
        def exposed_note(self):
            seen.put(True)

    conn, server = pair(Server, client_service=Client)
    note = netref.async_(server.root.note)
    server.ping()  # the connection is read in the background
    conn.fileno()
    conn.serve(0)
    note()
    deadline = time.monotonic() + 20
    while seen.empty():
        assert time.monotonic() < deadline, "it would never come"
        if select.select([conn], [], [], 0.05)[0]:
            conn.serve(0)


def test_callbacks_of_a_call_run_on_the_thread_that_waits_for_it(conn):
    there = []
    worker = threading.Thread(target=lambda: there.append((conn.root.call(threading.get_ident), threading.get_ident())))
    worker.start()
    worker.join(20)
    assert conn.root.call(threading.get_ident) == threading.get_ident()
    assert there[0][0] == there[0][1]


def test_one_after_the_other(conn):
    """Callbacks do not overlap, though each takes a while."""
    running, most, done = [0], [0], queue.Queue()

    def callback():
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.05)
        running[0] -= 1
        done.put(True)

    for _ in range(4):
        conn.root.call_later(callback)
    for _ in range(4):
        look_until(conn, done)
    assert most == [1]


def test_callbacks_of_a_call_that_nobody_waits_for(conn):
    seen = queue.Queue()
    result = netref.async_(conn.root.call)(idents(seen))
    assert look_until(conn, seen) == threading.get_ident()
    result.wait()


def test_other_threads_serve_without_hurting_anybody(connect, server):
    """Only of the main thread it is taken that it has to serve: else a thread that waits would need the lock that it holds."""
    conn, lock, seen = connect(server), threading.Lock(), queue.Queue()
    serving = threading.Thread(target=lambda: conn.serve(20))
    serving.start()

    def callback():
        with lock:
            seen.put(True)

    with lock:
        result = netref.async_(conn.root.call)(callback)
        conn.root.wait(0.1)
    assert seen.get(timeout=10)
    result.wait()
    conn.root.call_later(lambda: None)  # for it to have served
    serving.join(20)


def test_helping_out_is_not_serving(pair):
    """A service that looks for messages while it carries out a request does not keep its connection from being read."""

    class Looks(netref.Service):
        def on_connect(self, conn):
            self.conn = conn
            conn.poll()

        def exposed_look(self):
            return self.conn.poll()

        def exposed_wait(self):
            entered.set()
            return leave.wait(20)

    entered, leave = threading.Event(), threading.Event()
    client, _ = pair(Looks)
    client.root.look()
    waits = netref.async_(client.root.wait)()
    assert entered.wait(10)
    client.ping()
    client.root.look()
    leave.set()
    assert waits.value


def test_what_is_left_when_the_connection_ends(connect, server):
    """Functions to be called with a result are called, though the program did not come to serve any more."""
    conn, seen = connect(server), queue.Queue()
    conn.root.call_later(lambda: None)
    conn.poll()
    result = netref.async_(conn.root.wait)(30)
    result.add_callback(lambda result: seen.put(result.error))
    conn.close()
    assert seen.get(timeout=10) is True
