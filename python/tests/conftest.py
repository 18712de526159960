"""Servers to connect to, in threads and in processes of their own, and an end to every hang."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import traceback

import pytest

import netref
from abuse import Target
from netref.utils.server import ThreadedServer
from peer_process import STOCK6, PeerProcess, interpreter
from peer_services import everyday_service

#: Seconds that a test may take before it is interrupted. If it does not even notice, pytest's faulthandler ends the run.
LIMIT = 60


class Hung(BaseException):
    """A test took too long. No ``Exception``, so that nothing in between takes it for an error of its own."""


@pytest.fixture(autouse=True)
def no_hangs(request):
    marker = request.node.get_closest_marker("limit")
    limit = marker.args[0] if marker else LIMIT

    def interrupt(signum, frame):
        stacks = ("".join(traceback.format_stack(frame)) for frame in sys._current_frames().values())
        raise Hung(f"{request.node.nodeid} did not end within {limit} s. Stacks of all threads:\n\n" + "\n".join(stacks))

    signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(limit)
    yield
    signal.alarm(0)


@pytest.fixture
def cleanup():
    """A stack of things to close after the test, the last one first."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(cleanup):
    """Starts a server in a thread of this process: ``serve(service, **options of ThreadedServer)``."""

    def start(service, server_class=ThreadedServer, **options):
        if "socket_path" not in options:
            options.setdefault("hostname", "127.0.0.1")
        server = server_class(service, **options)
        cleanup.callback(server.close)
        server._start_in_thread()
        return server

    return start


@pytest.fixture
def connect(cleanup):
    """Connects to a server: ``connect(server, **options of netref.connect)``."""

    def open_connection(server, **options):
        return cleanup.enter_context(netref.connect("127.0.0.1", server.port, **options))

    return open_connection


@pytest.fixture(scope="module")
def targets():
    """Servers to be abused, by name, each started when a test first needs it and again if it did not survive."""
    running = {}

    def get(name):
        if name not in running or not running[name].alive:
            running[name] = Target(name)
        return running[name]

    yield get
    for target in running.values():
        target.stop()


@pytest.fixture(scope="session")
def peer_processes():
    """Server programs, each started when a test first needs it."""
    running = {}

    def start(implementation, service="everyday", **options):
        key = (implementation, service, tuple(sorted(options.items())))
        process = running.get(key)
        if process is None or not process.alive:
            process = running[key] = PeerProcess(interpreter(implementation), implementation, service, **options)
        return process

    yield start
    for process in running.values():
        process.stop()


@pytest.fixture(scope="session")
def stock_packages():
    """Where stock is installed, for an interpreter of the same version that has what the tests need."""
    code = "import os, sys, rpyc; print(sys.version_info[:2]); print(os.path.dirname(os.path.dirname(rpyc.__file__)))"
    printed = subprocess.run([interpreter("rpyc"), "-c", code], capture_output=True, text=True, timeout=30, check=True).stdout
    version, folder = printed.splitlines()
    if version != str(sys.version_info[:2]):
        pytest.skip("stock is installed for another version of Python")
    return folder


#: Where the other side lives: a thread of this process, another process, and one that runs stock RPyC.
PLACES = ["thread", "process", pytest.param("stock", marks=STOCK6)]


@pytest.fixture(params=PLACES)
def everyday(request, serve, peer_processes):
    """A server of the everyday service in each of the places."""
    if request.param == "thread":
        return serve(everyday_service(netref))
    return peer_processes("rpyc" if request.param == "stock" else "netref")


@pytest.fixture
def conn(connect, everyday):
    """A connection to the everyday service in each of the places, which may use public names on this side."""
    return connect(everyday, config={"allow_public_attrs": True})


@pytest.fixture
def root(conn):
    return conn.root


@pytest.fixture
def pair(serve, cleanup):
    """Both ends of a connection within this process: ``pair(service, config, client_service)``."""

    def make(service=netref.VoidService, config={}, client_service=netref.VoidService, client_config=None):
        ends = []
        arrived = threading.Event()

        class Kept(service):
            def on_connect(self, conn):
                super().on_connect(conn)
                ends.append(conn)
                arrived.set()

        Kept.__name__ = service.__name__
        server = serve(Kept, protocol_config=dict(config))
        client = netref.connect(
            "127.0.0.1", server.port, service=client_service, config=config if client_config is None else client_config
        )
        cleanup.enter_context(client)
        assert arrived.wait(10)
        return client, ends[0]

    return make


def pytest_report_header():
    return [f"{name}: {os.environ.get(name, 'not set')}" for name in ("NETREF_STOCK6_PYTHON", "NETREF_STOCK5_PYTHON")]
