"""Programs that say ``import rpyc``, run with netref in its place."""

import os
import subprocess
import sys
import zipfile

import pytest

import netref
from netref._as_rpyc import finder


def run(*arguments, cwd=None, env=None, status=0):
    """Runs a Python with these arguments, and returns what it prints."""
    environment = dict(os.environ, **(env or {}))
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def program(tmp_path):
    """Writes a program: ``program(text)`` returns its path."""

    def write(text, name="program.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_modules_are_the_same(program):
    path = program(
        """
import netref, netref.utils.classic
import rpyc
import rpyc.core.service as service
from rpyc.utils import server
from rpyc.utils.server import ThreadedServer
import rpyc.utils.classic
import importlib, importlib.util, pickle, sys
assert rpyc is netref and service is netref.core.service and server is netref.utils.server
assert ThreadedServer is netref.ThreadedServer and rpyc.utils.classic is netref.utils.classic
assert rpyc.__spec__.name == "netref" and service.__spec__.name == "netref.core.service"
assert importlib.util.find_spec("rpyc.utils.registry") is not None
assert importlib.util.find_spec("rpyc.no_such_module") is None
assert pickle.loads(pickle.dumps(ThreadedServer)) is ThreadedServer
assert importlib.reload(service) is netref.core.service
try:
    import rpyc.no_such_module
except ModuleNotFoundError as error:
    assert error.name == "rpyc.no_such_module", error.name
else:
    assert False
print("fine")
"""
    )
    assert run("-m", "netref", "run", path) == "fine\n"


def test_the_program_is_the_main_program(program):
    path = program(
        """
import os, pickle, sys, threading
class Local: pass
assert __name__ == "__main__" and sys.modules["__main__"].Local is Local
assert sys.argv == ["program.py", "-x", "--help", "y"], sys.argv
assert __file__ == os.path.abspath("program.py") and sys.path[0] == os.path.dirname(__file__)
assert __builtins__.open is open
import beside
assert type(pickle.loads(pickle.dumps(Local()))) is Local
def later():
    main.join()
    print("later", pickle.loads(pickle.dumps(Local())).__class__.__name__)
main = threading.current_thread()
threading.Thread(target=later).start()
print("now", flush=True)
"""
    )
    program("", "beside.py")
    assert run("-m", "netref", "run", path.name, "-x", "--help", "y", cwd=path.parent) == "now\nlater Local\n"


def test_exit_status(program):
    run("-m", "netref", "run", program("import sys; sys.exit(7)"), status=7)
    run("-m", "netref", "run", program("raise ValueError", "other.py"), status=1)
    run("-m", "netref", "run", program("").parent / "missing.py", status=1)
    run("-m", "netref", "run", status=2)
    assert "usage: netref run" in run("-m", "netref", "run", "--help")


def test_modules_directories_and_archives_are_run(program, tmp_path):
    """As Python runs them; threads find the main module when it has ended."""
    text = """
import sys, threading
import rpyc
def later():
    main.join()
    assert sys.modules["__main__"].later is later
    print(rpyc.__name__, __name__, sys.argv[1:], sys.path[0])
main = threading.current_thread()
threading.Thread(target=later).start()
"""
    path = program(text, "a_module.py")
    (tmp_path / "directory").mkdir()
    program(text, "directory/__main__.py")
    archive = tmp_path / "archive.pex"
    archive.write_bytes(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(archive, "a") as file:
        file.write(path, "__main__.py")
    named = [("directory", tmp_path / "directory"), (archive.name, archive)]
    safe_path = [["-P"]] if sys.version_info >= (3, 11) else []
    for options, arguments, first in [
        ([], ["-m", "a_module"], tmp_path),
        *((options, [name], first) for name, first in named for options in [[], *safe_path]),
    ]:
        printed = run(*options, "-m", "netref", "run", *arguments, "x", cwd=tmp_path)
        assert printed == f"netref __main__ ['x'] {first}\n"


CHILDREN = """
import multiprocessing, os, subprocess, sys

def name():
    import rpyc.core.protocol
    return rpyc.__name__ + " " + rpyc.core.protocol.__name__

if __name__ == "__main__":
    print(name(), flush=True)
    subprocess.run([sys.executable, "-c", "import rpyc; print('child', rpyc.__name__)"], check=True)
    grandchild = "import rpyc; print('grandchild', rpyc.__name__)"
    subprocess.run(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"], check=True
    )
    for method in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.apply(name), flush=True)
    idle = "import sys; print('netref' in sys.modules, 'rpyc' in sys.modules)"
    subprocess.run([sys.executable, "-c", idle], check=True)
"""


def test_children(program):
    names = "netref netref.core.protocol"
    expected = [names, "child netref", "grandchild netref", *(f"{way} {names}" for way in ("spawn", "fork", "forkserver"))]
    assert run("-m", "netref", "run", program(CHILDREN)).splitlines() == [*expected, "False False"]


def test_path_and_sitecustomize_of_children(program, tmp_path):
    """A sitecustomize of the user's is still run, and PYTHONPATH still counts."""
    (tmp_path / "site").mkdir()
    program("import sys\nsys.customized = __file__", "site/sitecustomize.py")
    program("here = 1", "site/on_path.py")
    path = program("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import sys, on_path, rpyc, sitecustomize;"
                   "print(sys.customized == sitecustomize.__file__, rpyc.__name__)'])")  # fmt: skip
    printed = run("-m", "netref", "run", path, env={"PYTHONPATH": str(tmp_path / "site")})
    assert printed == "True netref\n"


def test_children_that_cannot_have_netref_start_all_the_same(program, tmp_path):
    """Such as another Python, here played by one that does not see the directory that netref is in."""
    text = (
        "import os, subprocess, sys, netref\nnetref.install_as_rpyc()\n"
        "code = 'import importlib.util; print(importlib.util.find_spec(\"rpyc\"))'\n"
        'block = \'import sys; sys.modules["netref"] = None; sys.path[:] = [p for p in sys.path if "-packages" not in p];\'\n'
        "subprocess.run([sys.executable, '-c', block + code], check=True)"
    )
    assert run(program(text)) == "None\n"


def test_from_inside(program):
    path = program(
        """
import netref
netref.install_as_rpyc()
netref.install_as_rpyc()
import os, subprocess, sys
import rpyc
assert rpyc is netref
assert os.environ["PYTHONPATH"].count("_as_rpyc") == 1
subprocess.run([sys.executable, "-c", "import rpyc; print(rpyc.__name__)"], check=True)
"""
    )
    assert run(path) == "netref\n"


def test_too_late(monkeypatch):
    assert not any(type(entry).__name__ == "_Finder" for entry in sys.meta_path)
    monkeypatch.setitem(sys.modules, "rpyc", netref)
    with pytest.raises(RuntimeError, match="imported already"):
        finder.install()


def test_commands_of_rpyc_can_be_run_by_name(program):
    path = program("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'rpyc.cli.rpyc_classic', '--version'])")
    assert run("-m", "netref", "run", path).startswith("netref ")


def test_a_program_written_for_rpyc(program):
    """A server and its client, in two processes."""
    path = program(
        """
import subprocess, sys
import rpyc
from rpyc.utils.server import OneShotServer

class CalculatorService(rpyc.Service):
    def exposed_add(self, a, b):
        return a + b

if len(sys.argv) == 1:
    server = OneShotServer(CalculatorService, hostname="localhost", port=0)
    server._listen()
    child = subprocess.Popen([sys.executable, __file__, str(server.port)])
    server.start()
    sys.exit(child.wait())
conn = rpyc.connect("localhost", int(sys.argv[1]))
print(conn.root.add(2, 3), isinstance(conn, rpyc.core.protocol.Connection))
conn.close()
"""
    )
    assert run("-m", "netref", "run", path) == "5 True\n"
