"""Tests of names and behaviour that need no second process run on stock RPyC, too, which shows that they themselves are right."""

import os
import subprocess
import sys

import pytest

from abuse import WITH_STOCK
from peer_process import HERE, STOCK6

FILES = [
    "test_api_behaviour.py",
    "test_callbacks.py",
    "test_classic.py",
    "test_cli.py",
    "test_connecting.py",
    "test_exceptions.py",
    "test_policy.py",
    "test_proxies.py",
    "test_registry.py",
    "test_types.py",
    *(["test_abuse_clients.py"] if WITH_STOCK else []),
]
#: Seconds for one of them.
LIMIT = 100


@STOCK6
@pytest.mark.limit(LIMIT + 10)
@pytest.mark.parametrize("file", FILES)
def test_stock_passes(stock_packages, file):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([stock_packages, str(HERE)])}
    env.pop("NETREF_STOCK6_PYTHON")  # a server of stock for a client of stock says nothing new
    command = [sys.executable, "-m", "pytest", "-q", "-p", "stock_in_place", "-p", "no:cacheprovider", HERE / file]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, env=env)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout
