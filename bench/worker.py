"""The worker's side of the benchmark protocol: JSON lines on stdin and stdout (see WORKERS.md)."""

import ctypes
import json
import os
import platform
import sys
import time


class Unsupported(Exception):
    """This worker does not offer the requested operation."""


class Wire:
    """The line to run.py. Whatever else the process prints goes to stderr, so that it cannot garble a line."""

    def __init__(self):
        self._commands = sys.stdin
        self._answers = sys.stdout
        sys.stdout = sys.stderr

    def say(self, **answer):
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()

    def announce(self, version, **more):
        runtime = f"{platform.python_implementation()} {platform.python_version()}"
        self.say(ready=True, version=version, runtime=runtime, pid=os.getpid(), **more)

    def commands(self):
        for line in iter(self._commands.readline, ""):
            yield json.loads(line)


def serve_until_told_to_stop(wire):
    """A server worker works in its own threads; the end of stdin is the end of the process."""
    for _ in wire.commands():
        wire.say(error="a server worker takes no commands")
    os._exit(0)


class Prepared:
    """One operation: a call of `body` performs the `n` operations asked for, and checks their result.

    A body may return the seconds of its slowest operation. `drop` gives back what the bodies have kept.
    """

    def __init__(self, body, drop=None):
        self.body = body
        self.drop = drop
        self._closers = []

    def on_close(self, closer):
        self._closers.append(closer)

    def close(self):
        for closer in self._closers:
            closer()


def run_commands(wire, prepare):
    """Answer prepare/go/drop/finish until stdin ends. `prepare(command)` connects and returns a `Prepared`."""
    operation = None
    for command in wire.commands():
        try:
            if command["do"] == "prepare":
                operation = prepare(command)
                wire.say(ok=True)
            elif command["do"] == "go":
                wire.say(**measured(operation.body, command["repeat"]))
            elif command["do"] == "drop":
                operation.drop()
                wire.say(ok=True)
            elif command["do"] == "finish":
                operation.close()
                operation = None
                wire.say(ok=True)
            else:
                wire.say(error=f"unknown command {command['do']!r}")
        except Unsupported as reason:
            wire.say(unsupported=str(reason) or True)
        except Exception as error:
            wire.say(error=f"{type(error).__name__}: {error}")


def measured(body, repeat):
    """Seconds for all, and for the slowest operation if the body tells."""
    slowest = None
    started = time.perf_counter()
    for _ in range(repeat):
        told = body()
        if told is not None:
            slowest = max(told, slowest or 0)
    wall = time.perf_counter() - started
    return {"wall": wall} if slowest is None else {"wall": wall, "slowest": slowest}


def trim():
    """Give free memory back to the system, so that what is left is in use. Without it, the allocator keeps some of it."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass  # not glibc


def expect(got, wanted):
    """A fast wrong answer is worth nothing."""
    if got != wanted:
        raise AssertionError(f"expected {wanted!r:.80}, got {got!r:.80}")
