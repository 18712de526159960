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
RUST_PEERS = BENCH / "peers" / "rust"


class Missing(Exception):
    """This implementation cannot be measured here, and why."""


@dataclass(frozen=True)
class Implementation:
    key: str
    title: str
    command: Callable[[str], list[str]]  # the argv for a role
    floor: str  # the implementation of bare sockets in the same language

    @property
    def is_floor(self):
        return self.floor == self.key


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


def bench_peer(driver):
    def command(role):
        binary = os.environ.get("NETREF_BENCH_PEER")
        if not binary:
            raise Missing("NETREF_BENCH_PEER does not name the bench-peer binary")
        return [binary, role, driver]

    return command


def python_peer(script):
    return lambda role: [os.environ.get("NETREF_PEERS_PYTHON", sys.executable), str(BENCH / "peers" / script), role]


def rust_peer(package):
    return lambda role: [built(RUST_PEERS, package), role]


def bench_floor(role):
    return [built(FLOOR, "bench-floor"), role]


def built(workspace, program):
    """The path of a program that stands apart from the project's workspace, and is built when it is first needed."""
    folder, complaint = build(workspace)
    if not (folder / program).exists():
        raise Missing(complaint)
    return str(folder / program)


@cache
def build(workspace):
    """Where the programs are, and why some of them are not."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", workspace / "target")).absolute()
    command = ["cargo", "build", "--release", "--workspace", "--keep-going", "--quiet", "--target-dir", str(target)]
    try:
        done = subprocess.run(
            [*command, "--manifest-path", str(workspace / "Cargo.toml")], check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        return target / "release", "cargo is not installed"
    return target / "release", f"cargo build failed: {done.stderr.strip()}"


IMPLEMENTATIONS = {
    implementation.key: implementation
    for implementation in (
        Implementation("stock", "stock", python_worker("NETREF_STOCK6_PYTHON", "rpyc"), "raw-python"),
        Implementation("netref", "netref", python_worker("NETREF_PYTHON", "netref"), "raw-python"),
        Implementation("rust", "netref Rust", bench_peer("threads"), "raw-rust"),
        Implementation("rust-tokio", "netref Rust, tokio", bench_peer("tokio"), "raw-rust"),
        Implementation("raw-rust", "floor: Rust TCP", bench_floor, "raw-rust"),
        Implementation("raw-python", "floor: Python sockets", raw_python, "raw-python"),
        Implementation("pyro5", "Pyro5", python_peer("pyro5.py"), "raw-python"),
        Implementation("managers", "multiprocessing.managers", python_peer("managers.py"), "raw-python"),
        Implementation("grpcio", "grpcio", python_peer("grpc_python.py"), "raw-python"),
        Implementation("tarpc", "tarpc", rust_peer("bench-tarpc"), "raw-rust"),
        Implementation("tonic", "tonic", rust_peer("bench-tonic"), "raw-rust"),
        Implementation("capnp-rpc", "capnp-rpc", rust_peer("bench-capnp"), "raw-rust"),
        Implementation("remoc", "remoc", rust_peer("bench-remoc"), "raw-rust"),
    )
}

DEFAULT_PAIRINGS = (
    "stock",
    "netref:stock",
    "stock:netref",
    "netref",
    "rust",
    "rust-tokio",
    "rust:netref",
    "netref:rust",
    "raw-rust",
    "raw-python",
)
OTHER_SYSTEMS = ("pyro5", "managers", "grpcio", "tarpc", "tonic", "capnp-rpc", "remoc")
