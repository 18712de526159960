#!/usr/bin/env python3
"""A mixed load on both sides, with faults, for a chosen time: ``python bench/soak/soak.py --seconds 600``. See README.md."""

import argparse
import collections
import json
import os
import pathlib
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).parent
FAULTS = ["kill client", "kill server", "stop client", "stop server", "reset", "half-close", "stall", "trickle", "delay"]
#: Seconds for what should take none.
PATIENCE = 60
#: Runs that are shorter than this say nothing about the growth of memory.
SLOPE_FROM = 120
MIB = 1 << 20


class Process:
    """A program of the soak, with lines to and from it."""

    def __init__(self, name, python, script, *arguments):
        self.name = name
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        command = [python, HERE / script, *map(str, arguments)]
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.lines = queue.Queue()
        self.progress = {}
        self.final = None
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            said = json.loads(line)
            if isinstance(said, dict) and "progress" in said:
                self.progress = said["progress"]
            else:
                self.lines.put(said)
        self.lines.put(None)

    def tell(self, line):
        try:
            self.popen.stdin.write(line + "\n")
            self.popen.stdin.flush()
        except OSError:
            pass  # killed

    def ask(self, line):
        self.tell(line)
        return self.hear()

    def hear(self, seconds=PATIENCE):
        try:
            return self.lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"{self.name} said nothing for {seconds} s") from None

    def kill(self):
        self.popen.send_signal(signal.SIGCONT)
        self.popen.kill()
        self.popen.wait()

    def errors(self):
        self.log.seek(0)
        return self.log.read()


class Soak:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.unexpected = []
        self.inflicted = collections.Counter()
        self.totals = Totals()
        self.looks = []
        self.number = 0
        self.server = self.start_server(0)
        self.baseline = self.server.ask("report")
        self.proxy = Process("proxy", sys.executable, "proxy.py", self.port)
        self.proxied = self.proxy.hear()
        self.clients = [self.start_client(*kind) for kind in self.kinds()]

    def kinds(self):
        for _ in range(self.options.clients):
            yield "threads", sys.executable, "netref"
            yield "coroutines", sys.executable, "netref"
        for python in self.options.stock:
            yield "threads", python, "rpyc"

    def start_server(self, port):
        server = Process("server", sys.executable, "server.py", port)
        self.port = server.hear()
        return server

    def start_client(self, kind, python, impl):
        self.number += 1
        arguments = ["--kind", kind, "--impl", impl, "--ports", f"{self.port},{self.proxied}"]
        arguments += ["--connections", self.options.connections, "--seed", f"{self.options.seed}.{self.number}"]
        client = Process(f"{impl} client {self.number} ({kind})", python, "client.py", *arguments)
        client.kind = kind, python, impl
        return client

    def run(self):
        started = time.monotonic()
        end = started + self.options.seconds
        next_fault, next_look = started + 1, started
        while (now := time.monotonic()) < end:
            if now >= next_look:
                self.look(now - started)
                next_look = now + max(1, self.options.seconds / 120)
            # A server has to live for a while before its memory tells anything.
            is_late = now > (started + end) / 2
            faults = [fault for fault in self.options.faults if not is_late or fault != "kill server"]
            if faults and now >= next_fault:
                self.inflict(self.rng.choice(faults), end)
                next_fault = time.monotonic() + self.rng.uniform(0.2, self.options.pause)
            time.sleep(0.05)
        self.finish()

    def look(self, at):
        for client in list(self.clients):
            if client.popen.poll() is not None:
                self.unexpected.append(f"{client.name} ended with {client.popen.returncode}:\n{client.errors()[-3000:]}")
                self.clients.remove(client)
        if self.server.popen.poll() is not None:
            raise SystemExit(f"the server ended with {self.server.popen.returncode}:\n{self.server.errors()[-3000:]}")
        report = self.server.ask("report")
        self.looks.append((at, report))
        if self.options.verbose:
            print(f"{at:6.0f} s  {report}", flush=True)

    def inflict(self, fault, end):
        self.inflicted[fault] += 1
        victim, _, role = fault.partition(" ")
        if fault == "kill client":
            client = self.rng.choice(self.clients)
            client.kill()
            self.collect(client)
            self.clients.remove(client)
            self.clients.append(self.start_client(*client.kind))
        elif fault == "kill server":
            self.complain_of(self.server)
            self.server.kill()
            self.server = self.start_server(self.port)
            self.looks.clear()
        elif victim == "stop":
            process = self.server if role == "server" else self.rng.choice(self.clients)
            process.popen.send_signal(signal.SIGSTOP)
            time.sleep(min(self.rng.choice([0.1, 0.5, 4]), max(0, end - time.monotonic())))
            process.popen.send_signal(signal.SIGCONT)
        elif fault in ("stall", "trickle"):
            self.proxy.tell(f"{fault} {self.rng.choice([0.1, 1, 5])}")
        elif fault == "delay":
            self.proxy.tell(f"{fault} {self.rng.choice([0, 0.005, 0.05])}")
        else:
            self.proxy.tell(fault)

    def finish(self):
        for client in self.clients:
            client.popen.stdin.close()
        for client in self.clients:
            said = client.hear(2 * PATIENCE)
            if said is None:
                self.unexpected.append(f"{client.name} ended with {client.popen.wait()}:\n{client.errors()[-3000:]}")
            else:
                client.progress = said["final"]
                self.check_exit(client)
            self.collect(client)
        # The proxy may still be holding on to connections, which their clients have given up.
        self.proxy.popen.stdin.close()
        self.proxy.popen.wait(PATIENCE)
        self.check_server()

    def check_exit(self, client):
        try:
            status = client.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.unexpected.append(f"{client.name} does not exit")
            client.kill()
        else:
            if status != 0:
                self.unexpected.append(f"{client.name} exited with {status}")

    def collect(self, client):
        """Adds up what a client that has ended has done."""
        self.totals.add(client.progress)
        self.unexpected += [f"{client.name}: {text}" for text in client.progress.get("unexpected", [])]
        self.complain_of(client)

    def complain_of(self, process):
        errors = process.errors()
        if errors and "rpyc" not in process.name:
            self.unexpected.append(f"{process.name} says:\n{errors[-3000:]}")

    def check_server(self):
        """With all clients gone, the server must be as it was when it began."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.left = self.server.ask("report")
            problems = self.problems_of_server(self.left)
            if not problems or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        self.unexpected += problems
        self.server.popen.stdin.close()
        if self.server.popen.wait(PATIENCE) != 0:
            self.unexpected.append(f"the server exited with {self.server.popen.returncode}")
        self.complain_of(self.server)

    def problems_of_server(self, left):
        problems = []
        for name, allowed in [("connections", 0), ("lent", 0), ("things", 0)]:
            if left[name] > allowed:
                problems.append(f"the server has {left[name]} {name} left")
        # The watch, and the event loop for coroutines with its descriptors, stay.
        for name, more in [("threads", 2), ("fds", 4)]:
            if left[name] > self.baseline[name] + more:
                problems.append(f"the server has {left[name]} {name}, {self.baseline[name]} before")
        events = left["events"]
        if events["connected"] != events["disconnected"] or events["disconnected twice"]:
            problems.append(f"on_disconnect: {events}")
        slope = self.slope("rss", MIB)
        if slope is not None and slope > self.options.max_slope:
            problems.append(f"the server grows by {slope:.2f} MiB a minute")
        return problems

    def slope(self, what, unit=1):
        """Growth a minute of something that the server reports, from the second quarter of its life on."""
        if not self.looks or self.looks[-1][0] - self.looks[0][0] < SLOPE_FROM:
            return None
        start = self.looks[0][0] + (self.looks[-1][0] - self.looks[0][0]) / 4
        points = [(at / 60, report[what] / unit) for at, report in self.looks if at >= start]
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread

    def report(self):
        totals = self.totals
        print(f"calls made            {sum(totals.calls.values()):,} in {self.options.seconds:.0f} s")
        for name, count in sorted(totals.calls.items()):
            print(f"  {name:<28}{count:>10,}")
        print(f"faults inflicted      {sum(self.inflicted.values())}: " + listed(self.inflicted))
        print(f"calls failed          {sum(totals.failures.values()):,}: " + listed(totals.by_kind()))
        print(f"latency               median {totals.quantile(0.5):.2f} ms, 99 % {totals.quantile(0.99):.1f} ms, worst "
              f"{totals.worst[0]:.3f} s ({totals.worst[1]})")  # fmt: skip
        for kind, late in totals.late.items():
            shares = (f"{100 * part:g} % {quantile(late, part)} ms" for part in (0.5, 0.99, 0.999))
            print(f"{kind + ' late by':<22}{', '.join(shares)}, worst {max(late, default=0)} ms, of {late.total():,}")
        left = self.left
        print(f"references leaked     {left['lent']} lent, {left['things']} objects alive")
        print(f"server's threads      {self.baseline['threads']} before, {left['threads']} after")
        print(f"server's descriptors  {self.baseline['fds']} before, {left['fds']} after")
        slope = self.slope("rss", MIB)
        growth = "too short to tell" if slope is None else f"{slope:+.2f} MiB a minute"
        if slope is not None:
            slopes = (f"{self.slope(what):+.2f} {what}" for what in ("lent", "things", "threads", "fds"))
            print("growth a minute       " + ", ".join(slopes))
        print(f"server's memory       {left['rss'] / MIB:.0f} MiB at the end, {growth}")
        print(f"unexpected            {len(self.unexpected)}")
        for text in self.unexpected:
            print("  ! " + text.replace("\n", "\n    "))
        return 1 if self.unexpected else 0


class Totals:
    """The sum of what all clients have done."""

    def __init__(self):
        self.calls = collections.Counter()
        self.failures = collections.Counter()
        self.latencies = collections.Counter()
        self.worst = 0.0, "none"
        self.late = {"time-outs": collections.Counter(), "plain waits": collections.Counter()}

    def add(self, figures):
        self.calls.update(figures.get("calls", {}))
        self.failures.update(figures.get("failures", {}))
        self.latencies.update({int(bucket): count for bucket, count in figures.get("latencies", {}).items()})
        self.worst = max(self.worst, tuple(figures.get("worst", (0.0, ""))))
        for kind, late in figures.get("late", {}).items():
            self.late[kind].update({int(milliseconds): count for milliseconds, count in late.items()})

    def by_kind(self):
        kinds = collections.Counter()
        for name, count in self.failures.items():
            kinds[name.partition(": ")[2]] += count
        return kinds

    def quantile(self, part):
        """Milliseconds within which that part of the calls were answered."""
        return 1e-3 * 10 ** (quantile(self.latencies, part) / 12)


def quantile(counts, part):
    """What that part of the counted values do not exceed."""
    wanted = part * sum(counts.values())
    for value, count in sorted(counts.items()):
        wanted -= count
        if wanted <= 0:
            return value
    return 0


def listed(counter):
    return ", ".join(f"{count:,} {name}" for name, count in counter.most_common()) or "none"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=2, help="processes of each kind (threads, coroutines)")
    parser.add_argument("--connections", type=int, default=4, help="connections of each client, half of them through the proxy")
    parser.add_argument("--stock", action="append", default=[], help="an interpreter with RPyC, for one more client")
    parser.add_argument("--faults", type=lambda text: [name for name in text.split(",") if name], default=FAULTS,
                        help="which, separated by commas; empty for none. All: " + ", ".join(FAULTS))  # fmt: skip
    parser.add_argument("--pause", type=float, default=2, help="most seconds from one fault to the next")
    parser.add_argument("--max-slope", type=float, default=1, help="MiB a minute by which the server may grow")
    parser.add_argument("--seed", default=str(os.getpid()))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    soak = Soak(options)
    try:
        soak.run()
        sys.exit(soak.report())
    finally:
        for process in [soak.server, soak.proxy, *soak.clients]:
            if process.popen.poll() is None:
                process.kill()


if __name__ == "__main__":
    main()
