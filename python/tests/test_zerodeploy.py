"""Servers deployed to a machine, which here is this one."""

import os
import socket
import sys

import pytest

import classic_scenarios
import netref
from netref.utils import zerodeploy
from pairings import IMPLEMENTATIONS, run_scenario, scenarios

plumbum = pytest.importorskip("plumbum")


@pytest.fixture(scope="module")
def deployed():
    with zerodeploy.DeployedServer(plumbum.local, python_executable=sys.executable) as server:
        yield server


@pytest.mark.parametrize("client", IMPLEMENTATIONS)
@pytest.mark.parametrize(("module", "scenario"), scenarios(classic_scenarios))
def test_everything_that_classic_mode_does(deployed, client, module, scenario):
    run_scenario(client, module, scenario, deployed.remote_port)


def test_what_is_there(deployed, cleanup):
    conn = cleanup.enter_context(deployed.classic_connect())
    other = cleanup.enter_context(deployed.classic_connect())
    assert conn.modules.os.getpid() == other.modules.os.getpid() != os.getpid()
    assert "netref" not in list(conn.modules.sys.modules)
    assert os.path.dirname(conn.modules.rpyc.__file__) == os.path.join(conn.modules.os.getcwd(), "rpyc")
    conn.close()
    assert other.eval("1") == 1


def test_service_of_ones_own(cleanup):
    service = """
import rpyc
class MineService(rpyc.Service):
    hidden = 1
    exposed_number = 7
    def __init__(self):
        self.public = "no"
    def exposed_apply(self, function, *args):
        return function(*args)
ServiceCls = MineService
"""
    server = cleanup.enter_context(
        zerodeploy.DeployedServer(plumbum.local, extra_setup=service, python_executable=plumbum.local[sys.executable])
    )
    conn = cleanup.enter_context(server.connect())
    assert conn.root.number == conn.root.exposed_number == 7
    assert conn.root.apply(lambda x, y: x + y, 1, 2) == 3
    assert conn.root.get_service_name() == "MINE"
    for forbidden in ("hidden", "public", "__globals__", "on_connect"):
        with pytest.raises(AttributeError, match="cannot access"):
            getattr(conn.root, forbidden)
    with pytest.raises(AttributeError):
        conn.root.number = 8
    with pytest.raises(ValueError, match="pickling is disabled"):
        netref.classic.obtain(conn.root.apply)


def test_values_and_exceptions(deployed, cleanup):
    conn = cleanup.enter_context(deployed.classic_connect())
    for value in (0, -48, 159, 160, -49, 10**30, 1.5, 2j, "", "é" * 300, b"", b"abc", b"x" * 70000, (), tuple(range(300))):
        assert conn.builtins.tuple([value]) == (value,)
    for value in (None, True, False, ..., NotImplemented, slice(1, (2,), None), frozenset([1, (2, "x")]), frozenset()):
        assert conn.builtins.tuple([value]) == (value,)
    with pytest.raises(UnicodeEncodeError):
        conn.eval(r"'\udcff'")
    with pytest.raises(Exception, match="odd") as caught:
        conn.execute("class Odd(Exception): pass\nraise Odd('odd')")
    assert type(caught.value).__name__ == "builtins.Odd"
    with pytest.raises(KeyError, match="missing"):
        conn.namespace["missing"]
    assert conn.eval("2 + 2") == 4


def test_references_are_let_go(deployed, cleanup):
    conn = cleanup.enter_context(deployed.classic_connect())
    conn.execute("import weakref\nclass Thing: pass\nthing = Thing()\nalive = weakref.ref(thing)")
    kept = [conn.namespace["thing"] for _ in range(3)]
    del conn.namespace["thing"]
    assert conn.eval("alive() is not None")
    del kept
    for _ in range(100):
        if conn.eval("alive() is None"):
            break
    assert conn.eval("alive() is None")


def test_their_references_are_let_go(deployed, cleanup):
    class Thing:
        pass

    conn = cleanup.enter_context(deployed.classic_connect())
    conn.execute("def ignore(thing):\n    pass")
    thing = Thing()
    before = sys.getrefcount(thing)
    for _ in range(10):
        conn.namespace["ignore"](thing)
    for _ in range(100):
        conn.ping()
        if sys.getrefcount(thing) == before:
            break
    assert sys.getrefcount(thing) == before


class Machine:
    """This machine as if it were another: to be closed, and without a way to its ports but what a subclass has."""

    def __init__(self):
        self.closed = False

    def __getattr__(self, name):
        return getattr(plumbum.local, name)

    def __getitem__(self, name):
        return plumbum.local[name]

    def close(self):
        self.closed = True


class MachineWithSockets(Machine):
    """Connects by itself, as the Paramiko machines of plumbum, with something that is not quite a socket."""

    def connect_sock(self, port):
        class Socketlike(socket.socket):
            pass

        connected = socket.create_connection(("localhost", port))
        return Socketlike(fileno=connected.detach())


def test_a_machine_that_connects_by_itself(cleanup):
    machine = MachineWithSockets()
    server = cleanup.enter_context(zerodeploy.DeployedServer(machine, python_executable=sys.executable))
    assert server.local_port is None and server.tun is None
    conn = server.classic_connect()
    assert conn.builtins.sum([1, 2, 3]) == 6
    conn.close()
    server.close()
    assert machine.closed and server.remote_machine is None and server.tun is None


def test_server_that_does_not_start():
    with pytest.raises(plumbum.ProcessExecutionError, match="no_such_module"):
        zerodeploy.DeployedServer(plumbum.local, service_class="no_such_module.Service")


def test_machine_that_prints_without_end():
    """It was read for as long as it printed, and kept."""
    script = "import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    sys.stdout.write('9' * 65536)"
    with pytest.raises(plumbum.ProcessExecutionError, match="a line without end"):
        zerodeploy.DeployedServer(plumbum.local, server_script=script, python_executable=sys.executable)


def test_without_plumbum(monkeypatch):
    monkeypatch.setitem(sys.modules, "plumbum", None)
    with pytest.raises(ImportError, match="needs plumbum"):
        zerodeploy.DeployedServer(object())
