"""A short run of the soak: a mixed load with faults, which ends as it began."""

import os
import pathlib
import subprocess
import sys

SOAK = pathlib.Path(__file__).parents[2] / "bench" / "soak" / "soak.py"
#: What runs for seconds, and what then waits for threads that have nothing to do to end.
SECONDS, LIMIT = 8, 55


def test_soak():
    stock = os.environ.get("NETREF_STOCK6_PYTHON")
    options = ["--seconds", str(SECONDS), "--clients", "1", "--connections", "2", *(["--stock", stock] if stock else [])]
    done = subprocess.run(
        [sys.executable, SOAK, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stdout
