"""What classic mode adds to connections: files, functions and terminals. In all pairings with stock, and in this process."""

import pytest

import classic_scenarios
from netref import classic
from pairings import PAIRINGS, run_scenario, scenarios
from peer_process import STOCK6, interpreter


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
@pytest.mark.parametrize(("module", "scenario"), scenarios(classic_scenarios))
def test_scenario(peer_processes, client, server, module, scenario):
    run_scenario(client, module, scenario, peer_processes(server, "classic").port)


@pytest.fixture(params=["subproc", "thread", "multiprocess"])
def conn(request, cleanup):
    open_connection = getattr(classic, f"connect_{request.param}")
    conn = cleanup.enter_context(open_connection())
    yield conn
    conn.close()
    if request.param == "subproc":
        conn.proc.wait(10)


def test_servers_started_for_one_connection(conn):
    assert conn.eval("6 * 7") == 42
    assert conn.modules.math.sqrt(16) == 4
    conn.execute("def apply(function):\n    return function(1)")
    assert conn.namespace["apply"](lambda x: x + 1) == 2


def test_what_a_server_on_pipes_prints_is_not_taken_for_messages(cleanup):
    conn = cleanup.enter_context(classic.connect_subproc())
    conn.execute("import os\nprint('printed')\nos.system('echo from a child')")
    assert conn.modules.os.read(0, 10) == b""
    assert conn.eval("1 + 1") == 2


@STOCK6
def test_server_of_stock_on_pipes(cleanup, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(
        f"import os, sys\nstock = {interpreter('rpyc')!r}\n"
        "program = 'from rpyc.cli.rpyc_classic import main; main()'\n"
        "os.execv(stock, [stock, '-u', '-c', program, *sys.argv[1:]])\n"
    )
    conn = cleanup.enter_context(classic.connect_subproc(str(script)))
    assert conn.modules.rpyc.__file__.endswith("rpyc/__init__.py")
    assert conn.eval("1 + 1") == 2
