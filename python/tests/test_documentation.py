"""Every public name says what it is."""

import ast
import importlib
import inspect
import pathlib
import re
import subprocess
import sys

import pytest

import netref

#: Plain values cannot have a docstring.
VALUES = {"__version__", "netref_version"}


@pytest.mark.parametrize("name", sorted(set(netref.__all__) - VALUES))
def test_public_name_has_a_docstring(name):
    assert (inspect.getdoc(getattr(netref, name)) or "").strip()


def test_public_names_are_there():
    for name in netref.__all__:
        assert hasattr(netref, name), name


def members(cls):
    for name, member in vars(cls).items():
        if not name.startswith("_") and (callable(member) or isinstance(member, (property, classmethod, staticmethod))):
            yield name, member


@pytest.mark.parametrize("cls", [netref.Connection, netref.AsyncResult, netref.Service, netref.Channel, netref.ThreadedServer])
def test_methods_of_the_main_classes_have_docstrings(cls):
    undocumented = [
        name
        for ancestor in cls.__mro__
        if ancestor is not object
        for name, member in members(ancestor)
        if not inspect.getdoc(member)
    ]
    assert [name for name in undocumented if not name.startswith("exposed_")] == []


def test_program_in_the_page_about_asyncio(tmp_path):
    """Its blocks of code, one after the other, print what the page says."""
    page = pathlib.Path(__file__).parents[2] / "docs" / "asyncio.md"
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    program = tmp_path / "program.py"
    program.write_text("\n".join(text for kind, text in blocks if kind == "python"))
    done = subprocess.run([sys.executable, "-X", "dev", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout == "".join(text for kind, text in blocks if kind == "text")


def test_table_of_abuse():
    """Each row names a test, and says of RPyC what the test's marks say; no test of what is done to every server is left out."""
    page = pathlib.Path(__file__).parents[2] / "docs" / "limits.md"
    row = r"^\| .+ \| (fails|survives|fails at some|fails at times) \| `(\w+)\.py::(\w+)` \|$"
    rows = re.findall(row, page.read_text(), re.MULTILINE)
    for verdict, module, name in rows:
        marks = getattr(getattr(importlib.import_module(module), name), "pytestmark", [])
        of_parameters = [mark for given in marks if given.name == "parametrize" for each in given.args[1]
                         for mark in getattr(each, "marks", ())]  # fmt: skip
        survives = "stock_survives" in {mark.name for mark in marks}
        survives_some = "stock_survives" in {mark.name for mark in of_parameters}
        assert survives == (verdict in ("survives", "fails at times")), name
        assert survives_some == (verdict == "fails at some"), name
    listed = {(module, name) for _, module, name in rows}
    for module in ("test_abuse", "test_abuse_calls", "test_abuse_objects"):
        for name, value in vars(importlib.import_module(module)).items():
            if name.startswith("test_") and "target" in inspect.signature(value).parameters:
                assert (module, name) in listed


def test_modules_have_docstrings():
    """Read rather than imported: some need packages that are not here."""
    package = pathlib.Path(netref.__file__).parent
    for path in package.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text(), path
