"""What the limits cost a call: `target/dev/netref/bin/python bench/limits.py [ROUNDS]`.

Two servers and two clients of netref in Python, one pair with the profile `compat` and one with every limit None, take turns at
short batches of `root.echo`, client and server pinned to a processor each. Printed is the processor time of both sides for a
call, which other load disturbs least, and the time on the clock of the fastest tenth of the batches.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import netref

CALLS = 500
SERVER = """
import json, os, sys, threading, netref
from netref.utils.server import ThreadedServer
os.sched_setaffinity(0, [int(sys.argv[1])])
class Echo(netref.Service):
    def exposed_echo(self, value):
        return value
server = ThreadedServer(Echo, hostname="127.0.0.1", port=0, protocol_config=json.loads(sys.argv[2]))
server.listener.listen()  # so that a client can connect as soon as it has read the port
print(server.port, flush=True)
server.start()
"""


def main():

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first, *_, last = sorted(os.sched_getaffinity(0))
    off = dict.fromkeys(netref.limits({"limits": "compat"}))
    configs = {"compat": {"limits": "compat"}, "none": off}
    pairs = {}
    for name, config in configs.items():
        command = [sys.executable, "-c", SERVER, str(last), json.dumps(config)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
        conn = netref.connect("127.0.0.1", int(process.stdout.readline()), config=config)
        pairs[name] = process, conn.root.echo
    os.sched_setaffinity(0, [first])
    clock, processor = {name: [] for name in pairs}, {name: [] for name in pairs}
    for number in range(rounds + 5):
        for name in pairs if number % 2 else reversed(pairs):
            process, echo = pairs[name]
            before = time.perf_counter_ns(), time.process_time_ns() + processor_time(process.pid)
            for _ in range(CALLS):
                echo(1)
            after = time.perf_counter_ns(), time.process_time_ns() + processor_time(process.pid)
            if number >= 5:
                clock[name].append((after[0] - before[0]) / CALLS)
                processor[name].append((after[1] - before[1]) / CALLS)
    for process, _ in pairs.values():
        process.kill()
        process.wait()
    for title, times, quantile in (("processor", processor, 0.5), ("clock", clock, 0.1)):
        chosen = {name: statistics.quantiles(values, n=100)[int(quantile * 100) - 1] / 1000 for name, values in times.items()}
        more = chosen["compat"] / chosen["none"] - 1
        print(f"{title}: {chosen['compat']:.2f} us with limits, {chosen['none']:.2f} us without: {more:+.1%}")


def processor_time(pid):
    """Nanoseconds that all threads of a process have run."""
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


if __name__ == "__main__":
    main()
