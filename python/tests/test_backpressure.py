"""Too much at a time, in every way: requests, calls inside one another, bytes."""

import os
import signal
import threading
import time

import pytest

import netref
from netref import async_
from peer_process import PeerProcess, interpreter
from waiting import until


class Counts(netref.Service):
    """Counts what runs at a time, until the test lets it go on."""

    def __init__(self):
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.running = self.most = 0
        self.started = []

    def exposed_run(self, number, data=b""):
        with self.lock:
            self.started.append(number)
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.wait(30)
        with self.lock:
            self.running -= 1
        return number

    def exposed_call(self, function, *args):
        return function(*args)


def settled(number, pause=0.3):
    """The number, once it has not changed for a while: there is no event for what does not happen."""
    last, since = number(), time.monotonic()
    while time.monotonic() - since < pause:
        time.sleep(0.01)
        if number() != last:
            last, since = number(), time.monotonic()
    return last


def test_requests_beyond_max_inflight_wait_and_begin_in_order(serve, connect):
    """One more runs on the thread that serves the connection."""
    service = Counts()
    conn = connect(serve(service, protocol_config={"max_inflight": 3}))
    run = async_(conn.root.run)
    results = [run(number) for number in range(50)]
    assert settled(lambda: service.most) == 4
    conn.ping()
    service.gate.set()
    assert [result.value for result in results] == list(range(50))
    assert service.most == 4
    assert service.started == sorted(service.started)


def test_what_is_part_of_a_request_that_runs_does_not_wait_for_it(serve, connect):
    """It would for ever, for there are no more than so many places."""
    server = serve(Counts, protocol_config={"max_inflight": 1, "dispatch": "pool"})
    call = connect(server).root.call

    def dive(depth):
        return depth and 1 + call(dive, depth - 1)

    assert call(dive, 20) == 20


def test_requests_that_wait_are_not_read_once_they_take_too_much(serve, connect):
    """The peer waits instead. What it has been sent meanwhile is not lost."""
    service = Counts()
    ends = []
    service.on_connect = ends.append
    conn = connect(serve(service, protocol_config={"max_inflight": 1, "max_backlog": 50_000}))
    run = async_(conn.root.run)
    block = bytes(10_000)
    results = []
    sender = threading.Thread(target=lambda: results.extend(run(number, block) for number in range(1500)))
    sender.start()
    read = settled(lambda: ends[0].stats()["requests_served"])
    assert read < 20, "of 15 MB"
    assert sender.is_alive(), "it feels it"
    service.gate.set()
    sender.join(40)
    assert [result.value for result in results] == list(range(1500))


def test_a_side_that_waits_for_a_reply_goes_on_reading(serve, connect):
    """The reply may be behind any number of requests, those beyond the limit are refused."""
    service = Counts()
    root = connect(serve(service, protocol_config={"max_backlog": 50_000})).root
    run = root.run

    def flood():
        # The server's thread waits for this function, and runs what belongs to it one after the other.
        results = [async_(run)(number, bytes(10_000)) for number in range(100)]
        until(lambda: results[-1].ready)  # refused, since the first one is not done
        service.gate.set()
        for result in results:
            result.wait()
        return results

    results = root.call(flood)
    refused = [result for result in results if result.error]
    assert 3 < len(results) - len(refused) < 20
    with pytest.raises(RuntimeError, match=r"busy.*max_backlog"):
        _ = refused[0].value
    assert root.run(5) == 5


def test_runaway_recursion_ends_on_both_sides(pair):
    """In a clear error, and the connection lives."""
    client, server = pair(Counts)
    call = client.root.call
    depth = []

    def dive():
        depth.append(1)
        return call(dive)

    with pytest.raises(RecursionError, match="max_call_depth") as caught:
        dive()
    assert len(depth) == 65, "128 calls in all"
    assert "Remote Traceback" in str(caught.value)
    assert call(lambda: "alive") == "alive"
    client.ping()
    until(lambda: server.stats()["objects_lent"] <= 3)


def test_depth_is_a_setting(pair):
    client, _ = pair(Counts, {"max_call_depth": 10})
    call = client.root.call

    def dive(depth):
        return depth and call(dive, depth - 1)

    assert dive(4) == 0
    with pytest.raises(RecursionError, match=r"10 calls.*max_call_depth"):
        dive(20)


@pytest.fixture
def frozen(cleanup):
    """A server process that can be stopped, and a connection to it."""
    process = PeerProcess(interpreter("netref"), "netref", "hard")
    cleanup.callback(process.stop)

    def go_on():
        if process.alive:
            os.kill(process.process.pid, signal.SIGCONT)

    cleanup.callback(go_on)

    def connect(**config):
        conn = netref.connect("127.0.0.1", process.port, config=config)
        conn.root.ok()
        return conn

    process.connect = connect
    process.stop_now = lambda: os.kill(process.process.pid, signal.SIGSTOP)
    process.go_on = go_on
    return process


def test_sender_waits_for_a_peer_that_does_not_read(frozen):
    """Asynchronous calls, too; and what waits stays little."""
    conn = frozen.connect()
    echo, results = async_(conn.root.echo), []
    block = os.urandom(1_000_000)
    frozen.stop_now()
    sender = threading.Thread(target=lambda: results.extend(echo(block) for _ in range(60)))
    sender.start()
    sent = settled(lambda: conn.stats()["round_trips"])
    assert sent < 40
    assert sender.is_alive()
    frozen.go_on()
    sender.join(40)
    assert all(result.value == block for result in results)
    assert len(results) == 60


def test_peer_that_does_not_read_is_given_up(frozen):
    conn = frozen.connect(write_timeout=0.3)
    echo = async_(conn.root.echo)
    block = os.urandom(1_000_000)
    frozen.stop_now()
    with pytest.raises(netref.ConnectionLost, match=r"does not read.*write_timeout") as caught:
        for _ in range(60):
            echo(block)
        echo(block).wait()
    assert "0.3 s" in str(caught.value)
    assert conn.closed


def test_call_ends_on_time_though_it_cannot_even_be_sent(frozen):
    conn = frozen.connect(sync_request_timeout=0.5)
    echo = conn.root.echo
    block = os.urandom(20_000_000)
    frozen.stop_now()
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            echo(block)
    assert time.monotonic() - started < 10
    frozen.go_on()
    conn._config["sync_request_timeout"] = 30
    assert echo(1) == 1
