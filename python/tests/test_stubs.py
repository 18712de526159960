"""The types that type checkers are told are those that are there."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

import netref
from peer_process import HERE

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")

# mypy reads the package that is imported here, wherever that is.
ENVIRONMENT = dict(os.environ, MYPYPATH=str(pathlib.Path(netref.__file__).parent.parent))


def check(*command, cwd):
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=cwd, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stubs_agree_with_what_is_there(tmp_path):
    options = ["--concise", "--mypy-config-file", HERE / "stubtest.ini", "--allowlist", HERE / "stubtest_allowlist.txt"]
    check("mypy.stubtest", "netref", "--ignore-unused-allowlist", *options, cwd=tmp_path)


def test_program_with_types_satisfies_a_strict_checker(tmp_path):
    check("mypy", "--strict", "--cache-dir", tmp_path / "cache", HERE / "typed_example.py", cwd=tmp_path)
