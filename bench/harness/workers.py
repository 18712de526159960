"""Worker processes: started, spoken to in JSON lines, timed by their CPU clocks, stopped."""

import json
import os
import select
import subprocess
import tempfile
import time

STDERR_TAIL = 600


class WorkerLost(Exception):
    """The worker died, hung or talked nonsense; it has been ended."""


class Refused(Exception):
    """The worker is well and answered that the operation failed."""


class Unsupported(Exception):
    """The worker does not offer the operation."""


class Worker:
    """One process that was started here. Its first line says who it is."""

    def __init__(self, argv, timeout):
        self._timeout = timeout
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker
        self._unread = b""
        self._epitaph = None
        try:
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0)
        except OSError as error:
            raise WorkerLost(f"{argv[0]}: {error.strerror}") from None
        self.identity = self._answer()
        if not self.identity.get("ready"):
            self._lose(f"began with {self.identity}")

    def ask(self, **command):
        """Send one command, return its answer."""
        if self._epitaph:
            raise WorkerLost(self._epitaph)
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
        except OSError:
            self._lose("ended")
        answer = self._answer()
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def cpu_seconds(self):
        """What all threads of the process have used so far."""
        try:
            return time.clock_gettime(process_cpu_clock(self.identity["pid"]))
        except OSError:
            self._lose("ended")

    @property
    def alive(self):
        return self._process.poll() is None

    def stop(self):
        if self._process.stdin.closed:
            return
        self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()

    def _answer(self):
        line = self._line()
        try:
            return json.loads(line)
        except ValueError:
            self._lose(f"said {line[:200]!r}")

    def _line(self):
        deadline = time.monotonic() + self._timeout
        stdout = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                self._lose(f"gave no answer within {self._timeout:g} s")
            arrived = os.read(stdout, 65536)
            if not arrived:
                self._lose("ended")
            self._unread += arrived
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _lose(self, what):
        """End the worker; whoever asks it again hears the same reason."""
        if self._epitaph is None:
            self._process.kill()
            self._process.wait()
            self._stderr.seek(0)
            complaint = self._stderr.read().decode(errors="replace").strip()[-STDERR_TAIL:]
            self._epitaph = f"the worker {what}" + (f" and left on stderr:\n{complaint}" if complaint else "")
            self.stop()
        raise WorkerLost(self._epitaph)


def process_cpu_clock(pid):
    """Linux's clock id for the CPU time of another process (MAKE_PROCESS_CPUCLOCK): nanoseconds, not ticks."""
    scheduler_clock = 2
    return (~pid << 3) | scheduler_clock
