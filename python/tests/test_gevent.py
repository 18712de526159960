"""Programs that gevent has patched, with clients and servers of each implementation."""

import importlib.util
import os

import pytest

from clients import run_program
from pairings import PAIRINGS
from peer_process import interpreter

pytestmark = [pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="no gevent")]

PRELUDE = "import gevent.monkey; gevent.monkey.patch_all()\nimport gevent, sys, netref as rpyc\n"

PROGRAM = """
import time, threading
from netref.utils.server import GeventServer

class Service(rpyc.Service):
    def exposed_sleep(self, seconds):
        assert isinstance(gevent.getcurrent(), gevent.Greenlet)
        time.sleep(seconds)
        return seconds
    def exposed_apply(self, function, value):
        return function(value)
    def exposed_thread(self):
        return gevent.get_hub().thread_ident

server = GeventServer(Service, hostname="127.0.0.1")
server._start_in_thread()
"""


def run_green(code, *arguments):
    # Before anything else is imported: `run_program` imports an implementation first, so json takes its place.
    return run_program("json", PRELUDE + PROGRAM + code, *arguments)


def test_everything_in_one_thread():
    output = run_green(
        """
conn = rpyc.connect("127.0.0.1", server.port)
assert conn.root.thread() == gevent.get_hub().thread_ident
assert conn.root.apply(lambda value: conn.root.apply(lambda inner: inner * 2, value) + 1, 5) == 11
payload = b"x" * 3_000_000
assert conn.root.apply(lambda data: data, payload) == payload
conn.close()
try:
    conn.root
except EOFError:
    print("closed")
server.close()
"""
    )
    assert output == "closed\n"


def test_waiting_inside_of_a_batch():
    output = run_green(
        """
conn = rpyc.connect("127.0.0.1", server.port)
conn.root
gevent.sleep(0.3)  # a thread of netref's reads meanwhile
with conn.batch() as batch:
    result = batch.root.sleep(0)
    result.set_expiry(20)
    print(result.value)
"""
    )
    assert output == "0\n"


def test_waiting_is_for_one_greenlet_alone():
    output = run_green(
        """
conns = [rpyc.connect("127.0.0.1", server.port) for _ in range(5)]
order = []
def work(conn, seconds):
    conn.root.sleep(seconds)
    order.append(seconds)
greenlets = [gevent.spawn(work, conn, (5 - number) / 20) for number, conn in enumerate(conns)]
result = rpyc.async_(conns[0].root.sleep)(0.4)
gevent.joinall(greenlets, timeout=20, raise_error=True)
print(order == sorted(order) and len(order) == 5, result.value)
conns[0]._config["sync_request_timeout"] = 0.05
try:
    conns[0].root.sleep(1)
except TimeoutError:
    print("in time")
"""
    )
    assert output == "True 0.4\nin time\n"


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_clients(request, client, server):
    """A client in a process of its own, which the green server's process starts."""
    environment = dict(os.environ)
    if server == "rpyc":  # whose own environment has no gevent
        environment["PYTHONPATH"] = request.getfixturevalue("stock_packages")
    program = f"""
import {client} as rpyc, sys
conn = rpyc.connect("127.0.0.1", int(sys.argv[1]))
assert conn.root.apply(lambda value: value + 1, 41) == 42
assert conn.root.sleep(0.01) == 0.01
print(conn.root.apply(lambda data: len(data), b"y" * 500_000))
conn.close()
"""
    start = """
import gevent.subprocess
print(gevent.subprocess.check_output([sys.argv[1], "-c", sys.argv[2], str(server.port)], timeout=20).decode().strip())
"""
    code = (PRELUDE + PROGRAM).replace("netref", server) + start
    output = run_program("json", code, interpreter(client), program, env=environment)
    assert output == "500000\n"
