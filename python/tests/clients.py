"""Client programs of either implementation, in processes of their own."""

import subprocess
import textwrap

import pytest

from peer_process import STOCK6, interpreter

#: Implementations that a client or server can have: this one and stock.
IMPLEMENTATIONS = ["netref", pytest.param("rpyc", marks=STOCK6)]
#: Seconds that a program may take.
LIMIT = 30


def run_program(implementation, code, *arguments, env=None):
    """Runs Python code in a process, with the implementation as ``rpyc``. Returns what it printed.

    :raises AssertionError: if it fails
    """
    code = f"import sys, {implementation} as rpyc\n" + textwrap.dedent(code)
    command = [interpreter(implementation), "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def server_program(implementation, code):
    """A command that runs Python code with the implementation as ``rpyc``."""
    return [interpreter(implementation), "-c", f"import sys, {implementation} as rpyc\n" + textwrap.dedent(code)]
