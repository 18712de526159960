"""What the tests of abuse share: servers in processes of their own, and honest clients beside the hostile ones.

Every test is passed to netref's servers, in Python and in Rust. With NETREF_ABUSE_STOCK in the environment those that stock does
not survive are also passed to stock's servers, a new one for each, and there they have to fail: that shows that they can. It
takes minutes. What is done to clients is done to stock's by `test_control.py`. docs/limits.md lists it all.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from peer_process import HERE, Program, interpreter

#: Limits that make short work of each test. What is bounded is the same.
LIMITS = {"header_timeout": 1, "frame_timeout": 1, "min_frame_rate": 8 << 20, "handshake_timeout": 1, "write_timeout": 2}
#: Seconds that an honest client may be kept waiting while others misbehave. It is milliseconds where the machine has nothing
#: else to do, and what stock lets happen takes longer, or for ever.
BAR = 1.0
#: Times that a round of it has to wait for the machine to run it or the server, which takes long where others keep it busy.
SWITCHES = 8
MIB = 1 << 20
#: Address space of a server of stock's, which would take the machine's.
STOCK_MEMORY = 3 << 30

RUST = pytest.mark.skipif("NETREF_PEER_BIN" not in os.environ, reason="NETREF_PEER_BIN names no interop-peer")
WITH_STOCK = "NETREF_ABUSE_STOCK" in os.environ and "NETREF_STOCK6_PYTHON" in os.environ

#: Of stock's servers: it has to fail there.
FAILS = pytest.mark.xfail(strict=True, reason="stock does not survive it")
#: Of tests that stock passes, so that they are not done to it.
stock_survives = pytest.mark.stock_survives

PYTHON_SERVERS = ["threaded", "pool", "forking"]
RUST_SERVERS = [pytest.param(name, marks=RUST) for name in ("rust", "tokio")]


def stock(*names):
    """Servers of stock's for a test to fail on, if that is asked for: stock (a ThreadedServer), stock_pool."""
    return [pytest.param(name, marks=FAILS) for name in names if WITH_STOCK]


def server_fixture(*names):
    """A fixture: each of the servers in turn, and stock's ThreadedServer."""

    @pytest.fixture(params=[*names, *stock("stock")])
    def target(request, targets):
        if request.param != "stock":
            yield targets(request.param)
        elif request.node.get_closest_marker("stock_survives"):
            pytest.skip("stock survives it")
        else:
            target = Target("stock")
            yield target
            target.kill()

    return target


class Target(Program):
    """A server to be abused."""

    def __init__(self, name, config=None, prefix=(), log=subprocess.DEVNULL, **options):
        """`prefix` is a command that runs the server's, `log` a file for what it logs; `options` are those of the server program,
        of which the Rust one knows `host`."""
        config = {"limits": "strict", **LIMITS} if config is None else config
        self.name = name
        if name in ("rust", "tokio"):
            command = [os.environ["NETREF_PEER_BIN"], "serve", "--driver", "tokio" if name == "tokio" else "threads"]
            if config.get("limits") == "strict":
                command += ["--limits", "strict"]
            for key, value in config.items():
                if key != "limits":
                    command += ["--limit", f"{key}={value}"]
            if "host" in options:
                command += ["--host", options["host"]]
        else:
            is_stock = name.startswith("stock")
            if is_stock:
                options.setdefault("memory", STOCK_MEMORY)
            implementation = "rpyc" if is_stock else "netref"
            servers = {"pool": "ThreadPoolServer", "stock_pool": "ThreadPoolServer", "forking": "ForkingServer"}
            command = [interpreter(implementation), HERE / "abuse_server.py", "--impl", implementation]
            command += ["--server", servers.get(name, "ThreadedServer")]
            command += ["--config", json.dumps({} if is_stock else config)]
            for key, value in options.items():
                command += [f"--{key}", value]
        super().__init__(*prefix, *command, stderr=log)
        self.port = int(self.read_line())

    @property
    def is_rust(self):
        return self.name in ("rust", "tokio")

    def stats(self):
        """The counters of a Python server."""
        self.write_line("stats")
        return json.loads(self.read_line())

    def status(self, key):
        """A number that the system knows of the process, such as its VmRSS in bytes."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == key:
                return int(value.split()[0]) * (1024 if value.endswith("kB") else 1)
        raise LookupError(key)

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def sockets(self):
        """How many of the files are sockets."""
        folder = f"/proc/{self.process.pid}/fd"
        links = []
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                links.append(os.readlink(f"{folder}/{name}"))
        return sum(link.startswith("socket:") for link in links)

    @contextlib.contextmanager
    def withstands(self, memory=64 * MIB, honest=True):
        """Checks that the server lives, keeps its memory, and serves an honest client at once, through what is done inside."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # has the peak start anew
        before = self.status("VmHWM")
        client = Program(sys.executable, HERE / "honest.py", self.port) if honest else None
        try:
            if client is not None:
                client.read_line()
            yield
        finally:
            report = client and self._finish(client)
        assert self.alive, "the server is gone"
        if report is not None:
            slowest, rounds, latest = map(float, report.split())
            bar = BAR + SWITCHES * latest
            assert slowest < bar, f"an honest client waited {slowest} s of {bar} s at most ({rounds:.0f} rounds)"
        grown = self.status("VmHWM") - before
        assert grown < memory, f"the server took {grown / MIB:.0f} MiB more"

    @staticmethod
    def _finish(client):
        try:
            client.process.stdin.close()
            return client.read_line(30)
        finally:
            client.kill()


def eventually(holds, timeout=20):
    """Waits until something holds that another process brings about."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "that does not happen"
        time.sleep(0.02)
