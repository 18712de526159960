"""What a reader must know of the machine and the programs before any figure."""

import os
import platform
from pathlib import Path


def describe():
    return {
        "cpu": cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown CPU"


def uneven_pythons(identities):
    """The interpreters, when stock and netref do not run on the same one: then a ratio compares interpreters too."""
    runtimes = {key: identities[key]["runtime"] for key in ("stock", "netref") if key in identities}
    return runtimes if len(set(runtimes.values())) > 1 else None
