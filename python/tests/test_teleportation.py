"""Functions as data. That they arrive is in test_classic_mode.py."""

import subprocess
import sys
import textwrap
import types

import pytest

from netref import classic
from netref.core import brine
from netref.utils.teleportation import export_function, import_function
from peer_process import STOCK6, interpreter

SOURCE = textwrap.dedent(
    """
    def function(a, b=2, *rest, c="three", d, **others):
        table = {1: "one", (2, None): b"two"}
        def inner(x):
            try:
                return [x * y for y in range(a)] + [a in {1, 2, 3}]
            except ValueError:
                return lambda: ...
        return inner(b), c, d, rest, sorted(others), table
    """
)


def make():
    namespace = {"__name__": "here"}
    exec(compile(SOURCE, "source.py", "exec"), namespace)
    return namespace["function"]


def test_there_and_back():
    exported = brine.load(brine.dump(export_function(make())))
    namespace = {}
    copy = import_function(exported, namespace)
    assert namespace["function"] is copy
    for args, kwargs in [((3,), {"d": 1}), ((1, 5, 6), {"c": 0, "d": 1, "e": 2})]:
        assert copy(*args, **kwargs) == make()(*args, **kwargs)
    assert copy.__kwdefaults__ == {"c": "three"} and copy.__defaults__ == (2,)
    assert copy.__qualname__ == "function"
    assert copy.__globals__["__builtins__"]


def test_globals_are_those_of_the_module_by_default():
    name, _, *rest = export_function(make())
    assert import_function((name, "textwrap", *rest), def_=False).__globals__ is vars(textwrap)
    assert not hasattr(textwrap, "function")
    assert import_function((name, "no_such_module", *rest), def_=False).__globals__["__name__"] == "__main__"


def test_what_cannot_travel():
    captured = 1
    with pytest.raises(TypeError, match="closure"):
        export_function(lambda: captured)
    with pytest.raises(TypeError, match="__defaults__"):
        export_function(lambda x=[]: x)
    with pytest.raises(TypeError, match="__kwdefaults__"):
        export_function(lambda *, x=[]: x)


def test_code_of_a_python_with_other_code_is_refused():
    *names, code = export_function(make())
    other = code[:16] if len(code) == 18 else (*code, b"", b"")
    with pytest.raises(ValueError, match=r"compiled by a Python (older than|from) 3\.11"):
        import_function((*names, other))


def test_another_version_of_python_is_refused(monkeypatch):
    conn = classic.MockClassicConnection()
    assert conn.teleport(make())(1, d=1)
    monkeypatch.setattr(sys, "hexversion", 0x030A0000)
    other = {"modules": types.SimpleNamespace(sys=types.SimpleNamespace(hexversion=0x030B0000)), "namespace": {}}
    with pytest.raises(TypeError, match=r"Python 3\.11 cannot run a function from Python 3\.10"):
        classic.teleport_function(types.SimpleNamespace(**other), make())


@STOCK6
def test_the_same_data_as_stock():
    program = (
        f"import sys\nfrom rpyc.utils.teleportation import export_function\nspace = {{'__name__': 'here'}}\n"
        f"exec(compile({SOURCE!r}, 'source.py', 'exec'), space)\n"
        "print((sys.version_info[:2], export_function(space['function'])))"
    )
    theirs = subprocess.run([interpreter("rpyc"), "-c", program], capture_output=True, text=True, timeout=30, check=True).stdout
    version, exported = eval(theirs)
    if version != sys.version_info[:2]:
        pytest.skip("the Pythons differ")
    assert exported == export_function(make())
