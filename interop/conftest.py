"""Which pairings run, and the processes behind them.

Processes are shared by all tests of a session, connections by none. A peer that cannot be started fails every test that needs
it: skipping would turn a broken build into a green run.
"""

import os

import pytest

from peers import DEFAULT_PAIRINGS, Pairing, Server, Unavailable
from session import Agent, ClientDrives, Link, ServerDrives


def pytest_addoption(parser):
    parser.addoption(
        "--pairings",
        default=os.environ.get("NETREF_PAIRINGS", ",".join(DEFAULT_PAIRINGS)),
        help="comma-separated client-server pairs (default: $NETREF_PAIRINGS, or all): %(default)s",
    )


def pytest_generate_tests(metafunc):
    if "pairing" in metafunc.fixturenames:
        try:
            pairings = [Pairing.parse(text) for text in metafunc.config.getoption("pairings").split(",")]
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        metafunc.parametrize("pairing", pairings, ids=str, scope="session")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Show with a failure what the processes involved had to say."""
    report = (yield).get_result()
    if report.failed:
        item.interop_failed = True
        for name, process in getattr(item, "interop_processes", {}).items():
            report.sections.append((f"stderr of {name}", process.stderr()))


class Programs:
    """Starts each peer's programs once, and again when one has died."""

    def __init__(self, folder):
        self._folder = folder
        self._running = {}
        self._failures = {}
        self._started = 0

    def agent(self, peer):
        return self._shared(("agent", peer.name), lambda path: Agent(peer, path))

    def server(self, peer, policy):
        return self._shared(("server", peer.name, policy), lambda path: Server(peer, policy, path))

    def private_server(self, peer):
        """A server for one test, which may kill it."""
        return Server(peer, "public", self._stderr_path())

    def _shared(self, key, start):
        if key in self._failures:
            raise Unavailable(self._failures[key])
        if key not in self._running or not self._running[key].process.alive:
            try:
                self._running[key] = start(self._stderr_path())
            except Unavailable as error:
                self._failures[key] = str(error)
                raise
        return self._running[key]

    def _stderr_path(self):
        self._started += 1
        return self._folder / f"stderr-{self._started}"

    def stop(self):
        for program in self._running.values():
            program.process.stop()


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    programs = Programs(tmp_path_factory.mktemp("peers"))
    yield programs
    programs.stop()


@pytest.fixture
def agent(request, pairing, programs):
    """The pairing's client process, with nothing left over from other tests."""
    try:
        agent = programs.agent(pairing.client)
    except Unavailable as error:
        pytest.fail(str(error), pytrace=False)
    watch(request.node, f"client {pairing.client.name}", agent.process)
    yield agent
    if getattr(request.node, "interop_failed", False):
        agent.process.kill()  # after a failure it may hang, and nothing in it can be trusted
    elif agent.process.alive:
        agent.do("reset")


@pytest.fixture
def connect(request, agent, pairing, programs):
    """Opens connections of the pairing; a server that a test brought down fails that test."""
    servers = []

    def connect(policy="public", server=None):
        try:
            shared = server or programs.server(pairing.server, policy)
        except Unavailable as error:
            pytest.fail(str(error), pytrace=False)
        watch(request.node, f"server {pairing.server.name}", shared.process)
        if server is None:
            servers.append(shared)
        return Link(agent, shared, policy)

    yield connect
    for server in servers:
        assert server.process.alive, "the server died"


@pytest.fixture
def link(connect):
    """A fresh connection of the pairing under test."""
    return connect()


@pytest.fixture(params=[ClientDrives, ServerDrives])
def side(request, link):
    """Which end operates on the other's objects: RPyC is symmetric, so both have to work."""
    return request.param(link)


@pytest.fixture
def private_server(pairing, programs):
    try:
        server = programs.private_server(pairing.server)
    except Unavailable as error:
        pytest.fail(str(error), pytrace=False)
    yield server
    server.process.stop()


def watch(item, name, process):
    """Remember a process whose stderr belongs into the report of a failure."""
    if not hasattr(item, "interop_processes"):
        item.interop_processes = {}
    item.interop_processes[name] = process
