"""How long importing takes: ``import_time.py PYTHON_WITH_NETREF PYTHON_WITH_RPYC [RUNS]``.

Processor time of a whole process, in turns: the median of the runs, and the least.
"""

import resource
import statistics
import subprocess
import sys


def cpu_time(python, module):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Isolated, so that compiled code is kept whatever the environment says.
    subprocess.run([python, "-I", "-c", f"import {module}"], check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(netref, stock, runs=41):
    programs = {"netref": netref, "rpyc": stock, "sys": netref}
    times = {module: [] for module in programs}
    for _ in range(int(runs)):
        for module, python in programs.items():
            times[module].append(cpu_time(python, module))
    for module, measured in times.items():
        print(f"import {module}: {statistics.median(measured) * 1000:.0f} ms, least {min(measured) * 1000:.0f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
