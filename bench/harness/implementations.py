"""Who is measured: the implementations, how their workers are started, and the pairings of them."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
FLOOR = BENCH / "floor"


class Missing(Exception):
    """This implementation cannot be measured here, and why."""


@dataclass(frozen=True)
class Implementation:
    key: str
    title: str
    command: Callable[[str], list[str]]  # the argv for a role
    is_floor: bool = False


@dataclass(frozen=True)
class Pairing:
    client: Implementation
    server: Implementation

    @property
    def key(self):
        return self.client.key if self.client == self.server else f"{self.client.key}:{self.server.key}"

    @property
    def title(self):
        if self.is_floor:
            return self.client.title
        return f"{self.client.title} \N{RIGHTWARDS ARROW} {self.server.title}"

    @property
    def is_floor(self):
        return self.client.is_floor


def pairing(text):
    """`client:server`, or one name for both ends."""
    client, _, server = text.partition(":")
    for name in filter(None, (client, server)):
        if name not in IMPLEMENTATIONS:
            raise ValueError(f"{name!r} is none of {', '.join(IMPLEMENTATIONS)}")
    pair = Pairing(IMPLEMENTATIONS[client], IMPLEMENTATIONS[server or client])
    if pair.client != pair.server and (pair.client.is_floor or pair.server.is_floor):
        raise ValueError(f"{text!r}: a floor pairs only with itself")
    return pair


def python_worker(variable, impl):
    def command(role):
        return [os.environ.get(variable, sys.executable), str(BENCH / f"{role}.py"), "--impl", impl]

    return command


def raw_python(role):
    return [os.environ.get("NETREF_PYTHON", sys.executable), str(BENCH / "raw_python.py"), role]


def bench_peer(role):
    binary = os.environ.get("NETREF_BENCH_PEER")
    if not binary:
        raise Missing("NETREF_BENCH_PEER does not name the bench-peer binary")
    return [binary, role]


def bench_floor(role):
    return [build_floor(), role]


@cache
def build_floor():
    build = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(FLOOR / "Cargo.toml")]
    target = Path(os.environ.get("CARGO_TARGET_DIR", FLOOR / "target")).absolute()
    try:
        subprocess.run([*build, "--target-dir", str(target)], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise Missing("cargo is not installed") from None
    except subprocess.CalledProcessError as failed:
        raise Missing(f"cargo build failed: {failed.stderr.strip()}") from None
    return str(target / "release" / "bench-floor")


IMPLEMENTATIONS = {
    implementation.key: implementation
    for implementation in (
        Implementation("stock", "stock", python_worker("NETREF_STOCK6_PYTHON", "rpyc")),
        Implementation("netref", "netref", python_worker("NETREF_PYTHON", "netref")),
        Implementation("rust", "netref Rust", bench_peer),
        Implementation("raw-rust", "floor: Rust TCP", bench_floor, is_floor=True),
        Implementation("raw-python", "floor: Python sockets", raw_python, is_floor=True),
    )
}

DEFAULT_PAIRINGS = ("stock", "netref:stock", "stock:netref", "netref", "rust", "raw-rust", "raw-python")
