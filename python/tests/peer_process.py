"""Peers in processes of their own."""

import os
import pathlib
import queue
import subprocess
import sys
import threading

import pytest

HERE = pathlib.Path(__file__).parent
START_TIMEOUT = 20

STOCK6 = pytest.mark.skipif("NETREF_STOCK6_PYTHON" not in os.environ, reason="NETREF_STOCK6_PYTHON names no rpyc 6.0.2")
STOCK5 = pytest.mark.skipif("NETREF_STOCK5_PYTHON" not in os.environ, reason="NETREF_STOCK5_PYTHON names no rpyc 5.3.1")


def interpreter(implementation):
    """The interpreter that has the implementation: netref, rpyc (which is stock 6), or rpyc5."""
    variable = {"rpyc": "NETREF_STOCK6_PYTHON", "rpyc5": "NETREF_STOCK5_PYTHON"}.get(implementation)
    return sys.executable if variable is None else os.environ[variable]


class Program:
    """A Python program, with lines to and from it, each with a deadline."""

    def __init__(self, *command, stderr=None, cwd=None, env=None):
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=cwd,
            env=env,
        )
        self._lines = queue.Queue()
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()

    def _collect(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    @property
    def alive(self):
        return self.process.poll() is None

    def read_line(self, timeout=START_TIMEOUT):
        """The next line that the program prints; an error if it ends or stays silent instead."""
        line = self._lines.get(timeout=timeout)
        if line is None:
            raise EOFError(f"{self.process.args} ended with status {self.process.wait(timeout)}")
        return line.rstrip("\n")

    def write_line(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self):
        """Ends the program by ending its input, or by force if it does not care."""
        try:
            self.process.stdin.close()
            self.process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()
        self._collector.join(5)
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait()


class PeerProcess(Program):
    """A server program, whose ``port`` is the first thing that it prints."""

    def __init__(self, python, implementation, service, **options):
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        module = implementation.removesuffix("5")
        super().__init__(python, HERE / "peer_server.py", "--impl", module, "--service", service, *arguments)
        self.port = int(self.read_line())
