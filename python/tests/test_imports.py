"""What importing the package costs, and what it needs."""

import importlib.metadata
import resource
import subprocess
import sys

from peer_process import STOCK6, interpreter


def cpu_time_of_import(implementation):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Isolated, so that compiled code is kept whatever the environment says.
    subprocess.run([interpreter(implementation), "-I", "-c", f"import {implementation}"], check=True, timeout=30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@STOCK6
def test_import_takes_no_longer_than_that_of_stock():
    """The least of several, since other programs can only make it longer. The margin is for a noisy machine: the ratio is 0.8."""
    times = {"netref": [], "rpyc": []}
    for _ in range(8):
        for implementation, measured in times.items():
            measured.append(cpu_time_of_import(implementation))
    assert min(times["netref"]) < 1.15 * min(times["rpyc"]), times


def test_nothing_but_the_standard_library_is_needed():
    assert not importlib.metadata.requires("netref")
    code = (
        "import sys\nbefore = set(sys.modules)\nimport netref, netref.cli, netref.utils.registry\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True).stdout
    assert printed.split() == ["netref"]
