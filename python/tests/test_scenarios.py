"""What programs written for RPyC rely on, in four pairings; see ``scenarios``. Stock with stock shows that they are right."""

import contextlib
import importlib
import os
import pkgutil

import pytest

from pairings import PAIRINGS, scenarios
from peer_process import HERE, STOCK6, Program, interpreter
from scenarios import objects
from scenarios.differences import may_differ
from scenarios.host import ask

NOT_SCENARIOS = {"host", "differences", "objects", "probes"}


MODULES = [
    importlib.import_module(f"scenarios.{info.name}")
    for info in pkgutil.iter_modules([str(HERE / "scenarios")])  # Python 3.10 takes no paths
    if info.name not in NOT_SCENARIOS
]


def start_host(implementation):
    env = os.environ | {"PYTHONHASHSEED": "0"}  # for sets to be in the same order everywhere
    host = Program(interpreter(implementation), "-m", "scenarios.host", implementation, cwd=HERE, env=env)
    host.port = int(host.read_line())
    return host


@pytest.fixture(scope="session")
def hosts():
    """The two processes that scenarios need, for an implementation of each. They are used for one scenario after the other."""
    running = {}

    def start(role, implementation):
        host = running.get((role, implementation))
        if host is None or not host.alive:
            host = running[role, implementation] = start_host(implementation)
        return host

    yield start
    for host in running.values():
        host.stop()


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
@pytest.mark.parametrize(("module", "scenario"), scenarios(*MODULES))
def test_scenario(hosts, client, server, module, scenario):
    here, there = hosts("client", client), hosts("server", server)
    try:
        ask(here.port, module, scenario, far={"port": there.port, "name": server})
    except OSError:  # it hangs, or ended
        here.kill()
        there.kill()
        raise


#: Objects are probed in groups, each in new processes: what is done to one can be seen in the next.
GROUPS = [list(objects.MAKERS)[start::8] for start in range(8)]


@pytest.fixture(scope="session")
def outcomes():
    found = {}

    def find(client, server, names):
        key = client, server, *names
        if key not in found:
            with contextlib.ExitStack() as cleanup:
                here, there = start_host(client), start_host(server)
                cleanup.callback(here.stop)
                cleanup.callback(there.stop)
                far = {"port": there.port, "name": server}
                found[key] = ask(here.port, "scenarios.probes", "outcomes", [names], far=far)
        return found[key]

    return find


@STOCK6
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
@pytest.mark.parametrize(("client", "server"), [("netref", "netref"), ("netref", "rpyc"), ("rpyc", "netref")])
def test_probes(outcomes, client, server, names):
    theirs = outcomes("rpyc", "rpyc", names)
    ours = outcomes(client, server, names)
    wrong = [
        f"{name}: {expression}\n    {outcome}\n    stock: {theirs_outcome}"
        for (name, expression, outcome), (_, _, theirs_outcome) in zip(ours, theirs, strict=True)
        if outcome != theirs_outcome and not may_differ(client, server, name, expression)
    ]
    assert not wrong, "\n".join(wrong)
