"""The worker's side of the benchmark protocol: JSON lines on stdin and stdout (see WORKERS.md)."""

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


def run_commands(wire, prepare):
    """Answer prepare/go/finish until stdin ends.

    `prepare(command)` connects and returns `(body, close)`: one call of `body` performs the `n` operations asked
    for, and checks their result.
    """
    body = close = None
    for command in wire.commands():
        try:
            if command["do"] == "prepare":
                body, close = prepare(command)
                wire.say(ok=True)
            elif command["do"] == "go":
                wire.say(wall=seconds_for(body, command["repeat"]))
            elif command["do"] == "finish":
                close()
                body = close = None
                wire.say(ok=True)
            else:
                wire.say(error=f"unknown command {command['do']!r}")
        except Unsupported as reason:
            wire.say(unsupported=str(reason) or True)
        except Exception as error:
            wire.say(error=f"{type(error).__name__}: {error}")


def seconds_for(body, repeat):
    started = time.perf_counter()
    for _ in range(repeat):
        body()
    return time.perf_counter() - started


def expect(got, wanted):
    """A fast wrong answer is worth nothing."""
    if got != wanted:
        raise AssertionError(f"expected {wanted!r:.80}, got {got!r:.80}")
