"""What importing the package costs, and what it needs."""

import importlib.metadata
import pathlib
import shutil
import subprocess
import sys

import pytest

import netref
from peer_process import STOCK6, Program, interpreter

#: For copies of dates, for the limits of ``with netref.timeout``, and for what the processes of a ForkingServer count together.
ALSO_IMPORTED = {"datetime", "_datetime", "contextvars", "_contextvars", "mmap"}


@STOCK6
def test_little_is_imported_that_stock_does_not_import():
    """What importing takes, counted in modules; ``bench/import_time.py`` has the times."""
    imported = {}
    for implementation in ("netref", "rpyc"):
        code = f"import sys\nbefore = set(sys.modules)\nimport {implementation}\nprint(*set(sys.modules) - before)"
        command = [interpreter(implementation), "-I", "-c", code]
        printed = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True).stdout
        imported[implementation] = {name for name in printed.split() if name.partition(".")[0] not in ("netref", "rpyc")}
    assert imported["netref"] - imported["rpyc"] - ALSO_IMPORTED == set()


def test_nothing_but_the_standard_library_is_needed():
    assert not importlib.metadata.requires("netref")
    code = (
        "import sys\nbefore = set(sys.modules)\nimport netref, netref.cli, netref.utils.registry\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True).stdout
    assert printed.split() == ["netref"]


SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
import netref.utils.server
server = netref.utils.server.ThreadedServer(netref.SlaveService, hostname="127.0.0.1", port=0)
print(server.port, flush=True)
server.start()
"""


@pytest.mark.parametrize("client", ["netref", pytest.param("rpyc", marks=STOCK6)])
def test_a_bare_copy_of_the_folder_can_serve(tmp_path, client):
    """As programs do that take the package to another machine: no installation, and no other package but the standard library."""
    shutil.copytree(pathlib.Path(netref.__file__).parent, tmp_path / "netref", ignore=shutil.ignore_patterns("__pycache__"))
    server = Program(sys.executable, "-I", "-S", "-c", SERVER, tmp_path)
    try:
        code = (
            f"import {client}\nconn = {client}.classic.connect('127.0.0.1', {server.read_line()})\n"
            "print(conn.modules['netref'].__file__, conn.modules.importlib.util.find_spec('plumbum'), conn.eval('6 * 7'))"
        )
        command = [interpreter(client), "-c", code]
        printed = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True).stdout
    finally:
        server.stop()
    assert printed.split() == [str(tmp_path / "netref" / "__init__.py"), "None", "42"]


IN_A_SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:  # before Python 3.13
    import _xxsubinterpreters as interpreters

another = interpreters.create()
interpreters.run_string(another, '''
import sys
sys.path[:] = {path}
try:
    import netref
except ImportError as error:
    print(error, flush=True)
''')
interpreters.destroy(another)
"""


def test_subinterpreters_are_refused():
    """PyO3 refuses them from Python 3.12 on; in one of an older Python, what interpreters share would hang or end the process."""
    command = [sys.executable, "-c", IN_A_SUBINTERPRETER.format(path=sys.path)]
    printed = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True).stdout
    assert printed == "module netref._netref does not support loading in subinterpreters\n"
