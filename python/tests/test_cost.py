"""What an operation costs, counted rather than timed: round trips, and system calls of each side.

A regression of speed fails here whatever else the machine is doing. The figures are those of docs/speed.md.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import netref
from netref import classic

ITEMS = 1000


class Item:
    def exposed_plus(self, number):
        return number + 1


class Costly(netref.Service):
    def exposed_echo(self, value):
        return value

    def exposed_new_item(self):
        return Item()

    def exposed_numbers(self):
        return list(range(ITEMS))

    def exposed_call_back(self, function, count):
        for i in range(count):
            function(i)

    def exposed_line_counter(self, file, function):
        return sum(1 for line in file.readlines() if function(line) is None)


class File:
    def exposed_readlines(self):
        return [f"line {i}\n" for i in range(ITEMS)]


# ---- round trips


@pytest.fixture
def conn(serve, connect):
    return connect(serve(Costly))


def trips(conn, operation):
    """Requests sent and requests served by this side."""
    before = conn.stats()
    operation()
    after = conn.stats()
    return after["round_trips"] - before["round_trips"], after["requests_served"] - before["requests_served"]


def messages(conn, operation):
    """Messages that this side sends, those that `trips` does not count among them."""
    before = conn.stats()["messages_out"]
    operation()
    return conn.stats()["messages_out"] - before


def test_the_first_call_of_a_connection_is_the_second_round_trip(conn):
    conn.root.echo(1)
    assert conn.stats()["messages_out"] == len(["HELLO", "GETROOT", "CALLATTR"])


def test_the_first_object_of_a_class_comes_with_what_it_can_do(conn):
    root = conn.root
    kept = []
    assert messages(conn, lambda: kept.append(root.new_item())) == 1
    assert messages(conn, lambda: kept[0].plus(1)) == 1


def test_an_argument_of_a_new_class_comes_with_what_it_can_do(conn):
    root = conn.root
    received = conn.stats()["messages_in"]
    assert messages(conn, lambda: root.echo(Item())) == len(["DESCRIBE", "CALLATTR"])
    assert conn.stats()["messages_in"] - received <= len(["the result", "DEL"])


def test_a_call_is_one_round_trip(conn):
    root = conn.root
    assert trips(conn, lambda: root.echo(1)) == (1, 0)


def test_a_method_of_a_remote_object_is_one_round_trip(conn):
    item = conn.root.new_item()
    item.plus(1)  # the class is learnt once
    assert trips(conn, lambda: item.plus(1)) == (1, 0)


def test_a_kept_method_is_one_round_trip(conn):
    echo = conn.root.echo
    assert trips(conn, lambda: echo(1)) == (1, 0)


def test_a_new_object_of_a_known_class_is_one_round_trip(conn):
    root = conn.root
    kept = root.new_item()
    assert trips(conn, lambda: root.new_item()) == (1, 0)
    del kept


def test_a_proxy_takes_little_memory(conn):
    assert type(conn.root).__basicsize__ <= 96, "what comes before an object for the garbage collector makes it 112 bytes"


def test_a_callback_is_one_round_trip(conn):
    call_back = conn.root.call_back
    call_back(abs, 1)
    assert trips(conn, lambda: call_back(abs, 100)) == (1, 100)


def test_a_list_is_walked_in_few_round_trips(conn):
    numbers = conn.root.numbers()
    sent, served = trips(conn, lambda: sum(numbers))
    assert sent <= 6
    assert served == 0


def test_the_line_counter_pays_one_round_trip_a_line(conn):
    root = conn.root
    sent, served = trips(conn, lambda: root.line_counter(File(), lambda line: None))
    assert sent == 1
    assert ITEMS < served <= ITEMS + 10


# ---- memory


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the system does not tell what a process takes")
def test_large_bytes_that_are_received_are_there_once():
    """They were received into one buffer and copied to another."""
    size = 96 * 1024 * 1024
    with contextlib.closing(classic.connect_subproc()) as conn:
        before = peak_of_memory()
        received = conn.eval(f"bytes({size})")
        assert len(received) == size
        assert peak_of_memory(anew=False) - before < 1.5 * size


def peak_of_memory(anew=True):
    """The most that this process has taken, or has taken since now."""
    if anew:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


# ---- system calls

SERVER = """
import os, sys, threading
import netref
from netref.utils.server import ThreadedServer

class Echo(netref.Service):
    def exposed_echo(self, value):
        return value

    def exposed_call_back(self, function, count):
        for i in range(count):
            function(i)

server = ThreadedServer(Echo, hostname="127.0.0.1", port=0)
threading.Thread(target=server.start, daemon=True).start()
print(server.port, flush=True)
sys.stdin.read()
os._exit(0)
"""

CLIENT = """
import sys
import time
import netref

port, operation, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
conn = netref.connect("127.0.0.1", port)
root = conn.root
if operation.endswith("after a rest"):
    root.echo(0)
    time.sleep(0.3)  # long enough for the connection to be read in the background
if operation.startswith("echo"):
    for i in range(count):
        root.echo(i)
elif operation == "batch":
    with conn.batch() as batch:
        results = [batch.root.echo(i) for i in range(count)]
    assert results[-1].value == count - 1
else:
    root.call_back(lambda i: i, count)
"""

FEW, MANY = 200, 1200

strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


@strace
@pytest.mark.parametrize("operation", ["echo", "callback", "echo after a rest", "callback after a rest"])
def test_an_exchange_is_a_send_and_a_receive_on_each_side(operation, tmp_path):
    """What is beside them (timers, a wake-up) may not grow with the number of exchanges."""
    client, server = (
        {call: (many[call] - few.get(call, 0)) / (MANY - FEW) for call in many}
        for few, many in zip(counted(operation, FEW, tmp_path), counted(operation, MANY, tmp_path), strict=True)
    )
    for side in (client, server):
        assert side["sendto"] == pytest.approx(1, abs=0.05), side
        assert sum(side.values()) == pytest.approx(2, abs=0.2), side


@strace
def test_answers_to_calls_that_come_together_go_out_together(tmp_path):
    """A send for each was nearly half of what a call in a batch cost the server."""
    for few, many in zip(counted("batch", FEW, tmp_path), counted("batch", MANY, tmp_path), strict=True):
        assert many["sendto"] - few["sendto"] < (MANY - FEW) / 10


def counted(operation, count, folder):
    """How often the client and the server made each system call, from start to end."""
    reports = [folder / f"{side}-{count}" for side in ("client", "server")]
    server = subprocess.Popen(
        [*traced(reports[1]), sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        port = server.stdout.readline().strip()
        client = [*traced(reports[0]), sys.executable, "-c", CLIENT, port, operation, str(count)]
        subprocess.run(client, check=True, timeout=50)
        server.stdin.close()
        server.wait(timeout=30)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    return [read_counts(report.read_text()) for report in reports]


def traced(report):
    return ["strace", "-f", "-c", "-U", "name,calls", "-o", str(report)]


def read_counts(report):
    rows = (line.split() for line in report.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"}
