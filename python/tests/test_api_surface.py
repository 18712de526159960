"""Every public name of RPyC 6.0.2 has a row in ``docs/behaviour.md``, and the rows are true."""

import fnmatch
import functools
import importlib
import json
import re
import subprocess

import pytest

import netref
import stock_api
import test_control
from pairings import PAIRINGS
from peer_process import HERE, STOCK6, interpreter

DIFFERENCES = HERE.parent.parent / "docs" / "python.md"
TABLE = HERE.parent.parent / "docs" / "behaviour.md"
ROW = re.compile(r"^\| `([^`]+)` \| (same|differs: .+|left out: .+) \| `([^`]+)\.py::([^`]+)` \| ([^:|]+)(: .+)? \|$")
#: What runs scenarios.
RUNNERS = ["test_classic_mode", "test_overrides", "test_registry", "test_scenarios"]


@functools.cache
def rows():
    """What the table says: name: (verdict, module, test, how it is run)."""
    found = {}
    module = None
    for line in TABLE.read_text().splitlines():
        if line.startswith("## `"):
            module = line.split("`")[1]
        elif line.startswith("| `"):
            match = ROW.match(line)
            assert match, f"not a row: {line}"
            name, verdict, file, test, how, why = match.groups()
            assert (how == "here only") == bool(why), f"without a reason, or with one too many: {line}"
            name = module if name == module else f"{module}.{name}"
            assert name not in found, f"{name} has two rows"
            found[name] = verdict, file.replace("/", "."), test, how
    return found


@functools.cache
def walked():
    command = [interpreter("rpyc"), HERE / "stock_api.py"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, timeout=40, check=True).stdout)


@functools.cache
def stock():
    """The names that there are: name: (kind, signature or value)."""
    return {name: (kind, detail) for name, kind, detail in walked()["public"]}


def find(name):
    """netref's thing of that name of stock's; what only instances have is None.

    :raises LookupError: if there is none
    """
    parts = ["netref", *name.split(".")[1:]]
    thing, rest = netref, parts[1:]
    for count in range(len(parts), 0, -1):
        try:
            thing, rest = importlib.import_module(".".join(parts[:count])), parts[count:]
            break
        except ImportError:
            continue
    for position, part in enumerate(rest):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            is_last = isinstance(thing, type) and position == len(rest) - 1
            if is_last and any(part in stock_api.instance_attributes(cls) for cls in thing.__mro__):
                return None
            raise LookupError(name) from None
    return thing


def described(thing, kind):
    """The same as in :func:`stock`."""
    if kind in ("class", "function", "method"):
        return stock_api.signature(thing)
    return None if kind == "module" else stock_api.constant(thing)


def comparable(signature):
    """``self`` cannot be passed by name, whether or not a method of the native part says so."""
    if isinstance(signature, list) and signature and signature[0][0] == "self":
        return [["self", "POSITIONAL_OR_KEYWORD", None], *signature[1:]]
    return signature


def without_more(ours, theirs):
    """A signature without what it has more than stock's, if that goes by keyword alone: no program of stock's passes it."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return [parameter for parameter in ours if parameter in theirs or parameter[1] != "KEYWORD_ONLY"]
    return ours


@STOCK6
def test_every_public_name_has_a_row():
    assert sorted(set(stock()) - set(rows())) == []


@STOCK6
def test_every_row_is_of_a_name_that_there_is():
    assert sorted(set(rows()) - set(stock())) == []


@STOCK6
def test_what_is_the_same_is_the_same():
    wrong = []
    for name, (verdict, *_) in rows().items():
        if verdict != "same":
            continue
        kind, theirs = stock()[name]
        try:
            thing = find(name)
        except LookupError:
            wrong.append(f"{name} is missing")
            continue
        ours = described(thing, kind)
        if theirs is not None and without_more(comparable(ours), comparable(theirs)) != comparable(theirs):
            wrong.append(f"{name}: {ours}, stock {theirs}")
    assert wrong == []


def test_what_differs_is_there():
    for name, (verdict, *_) in rows().items():
        if verdict.startswith("differs"):
            find(name)


def test_what_is_left_out_is_not_there():
    for name, (verdict, *_) in rows().items():
        if verdict.startswith("left out"):
            with pytest.raises(LookupError):
                find(name)


def is_there(name):
    try:
        find(name)
    except LookupError:
        return False
    return True


@STOCK6
def test_private_names_are_there_or_said_not_to_be():
    """Programs read some of them; docs/python.md has those that they do without."""
    section = DIFFERENCES.read_text().partition("## Names that begin with an underscore\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    listed = [f"rpyc.{pattern}" for row in rows for pattern in re.findall("`([^`]+)`", row)]
    private = walked()["private"]
    unused = [pattern for pattern in listed if not fnmatch.filter(private, pattern)]
    wrong = [name for name in private if is_there(name) == any(fnmatch.fnmatch(name, pattern) for pattern in listed)]
    assert (wrong, unused) == ([], [])


@functools.cache
def in_four_pairings():
    """The scenarios that are run by each implementation as the client of each."""
    found = set()
    for module in map(importlib.import_module, RUNNERS):
        for test in vars(module).values():
            parameters = dict(mark.args for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize")
            if parameters.get(("client", "server")) is PAIRINGS:
                found |= {scenario.values for scenario in parameters.get(("module", "scenario"), ())}
    return found


def how_it_is_run(module_name, test_name):
    """What is to be in a row's last column, by the marks of the test.

    :raises LookupError: if there is no such test
    """
    if (module_name, test_name) in in_four_pairings():
        return "four pairings"
    module = importlib.import_module(module_name)
    test = getattr(module, test_name, None)
    if not test_name.startswith("test_") or test is None:
        raise LookupError(test_name)
    marks = [*getattr(module, "pytestmark", ()), *getattr(test, "pytestmark", ())]
    if any(mark.name == "parametrize" and mark.args[1] is PAIRINGS for mark in marks):
        return "four pairings"
    if STOCK6.mark in marks:
        return "compared with stock"
    if f"{module_name}.py" in test_control.FILES and all(mark.name != "differs" for mark in marks):
        return "here and on stock"
    return "here only"


def test_every_row_names_a_test_and_says_how_it_is_run():
    wrong = []
    for name, (_, module, test, how) in rows().items():
        try:
            truth = how_it_is_run(module, test)
        except LookupError:
            truth = "nowhere: there is no such test"
        if how != truth:
            wrong.append(f"{name}: {module}::{test} is run {truth}")
    assert wrong == []
