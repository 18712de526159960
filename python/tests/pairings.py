"""The same scenario in all pairings of netref and stock RPyC, each side in a process of its own.

A scenario is a function in a module of scenarios, which runs on either implementation: its first argument is the package. It is
run by ``scenario_program.py``.
"""

import pathlib
import subprocess
import types

import pytest

from peer_process import STOCK6, interpreter

PROGRAM = pathlib.Path(__file__).parent / "scenario_program.py"
LIMIT = 120  # seconds for a scenario

IMPLEMENTATIONS = ["netref", pytest.param("rpyc", marks=STOCK6)]
#: Client and server. Stock with stock is the control: it shows that the scenario itself is right.
PAIRINGS = [
    pytest.param(client, server, marks=() if (client, server) == ("netref", "netref") else STOCK6, id=f"{client}-{server}")
    for client in ("netref", "rpyc")
    for server in ("netref", "rpyc")
]


def run_scenario(implementation, module, scenario, *arguments):
    """Runs a scenario on an implementation, and fails with its output if it fails or takes too long."""
    command = [interpreter(implementation), PROGRAM, implementation, module, scenario, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")


def scenarios(*modules):
    """The scenarios of modules, for a test that has the parameters ``module`` and ``scenario``."""
    return [
        pytest.param(module.__name__, name, id=f"{module.__name__.rpartition('.')[2]}-{name}")
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__ and name[0] != "_"
    ]
