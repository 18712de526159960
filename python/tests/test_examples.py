"""The example programs, each as a process of its own, as a user starts them."""

import datetime
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

import netref
from peer_process import Program

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "python"
LIMIT = 20  # seconds for anything

RUST = pytest.mark.skipif("NETREF_EXAMPLES_DIR" not in os.environ, reason="NETREF_EXAMPLES_DIR names no folder of Rust examples")
BOTH = ["python", pytest.param("rust", marks=RUST)]


def command(language, name, *arguments):
    if language == "rust":
        return [pathlib.Path(os.environ["NETREF_EXAMPLES_DIR"], name), *arguments]
    return [sys.executable, EXAMPLES / f"{name}.py", *arguments]


def address(language, port):
    return [f"tcp://127.0.0.1:{port}"] if language == "rust" else ["--host", "127.0.0.1", "--port", str(port)]


def run(language, name, *arguments):
    """What a program prints that comes to its end."""
    done = subprocess.run(command(language, name, *arguments), capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def start(cleanup):
    """Starts a program and stops it after the test: ``start(language, name, *arguments)``."""

    def started(language, name, *arguments, **options):
        program = Program(*command(language, name, *arguments), **options)
        cleanup.callback(program.stop)
        cleanup.callback(program.kill)
        return program

    return started


@pytest.fixture
def serve(start):
    """Starts a server on a free port, which it says itself once clients can come, and returns the port."""

    def served(language, name):
        server = start(language, name, "tcp://127.0.0.1:0" if language == "rust" else "0", stderr=subprocess.STDOUT)
        while not (said := re.search(r"(?:Serving at|server started on) .*:(\d+)$", server.read_line(LIMIT))):
            pass
        return said[1]

    return served


@pytest.mark.parametrize("server", BOTH)
def test_echo(serve, server):
    port = serve(server, "echo_server")
    for _ in range(2):  # each client has a count of its own
        assert run("python", "echo_client", *address("python", port), "simple", "is") == [
            "Echo: simple",
            "Echo: is",
            "Equal data came back: True",
            "The same list came back: True",
            "Calls: 4",
        ]


@pytest.mark.parametrize("server", BOTH)
def test_a_server_says_what_its_root_can_do(serve, server):
    with netref.connect("127.0.0.1", int(serve(server, "echo_server"))) as conn:
        conn.root.echo(1)  # outside of an assert, which pytest takes apart
        assert conn.stats()["messages_out"] == len(["HELLO", "GETROOT", "CALLATTR"])


@pytest.mark.parametrize("server", BOTH)
@pytest.mark.parametrize("client", BOTH)
def test_time(serve, client, server):
    ticks = ["2"] if client == "rust" else ["--ticks", "2"]
    lines = run(client, "time_client", *address(client, serve(server, "time_server")), *ticks)
    if client == "python":
        when = datetime.datetime.fromisoformat(lines.pop(0).removeprefix("The server's time is "))
        assert abs(datetime.datetime.now(datetime.UTC) - when) < datetime.timedelta(seconds=LIMIT)
    difference, *ticks = lines
    assert re.fullmatch(r"Its clock is [+-]0\.\d s from ours", difference)
    assert len(ticks) == 2
    assert all(re.fullmatch(r"Tick, \d+\.\d s later", tick) for tick in ticks)


@pytest.mark.parametrize("server", BOTH)
def test_async(serve, server):
    lines = run("python", "async_client", *address("python", serve(server, "time_server")))
    assert sorted(lines[:3]) == ["Waited 0.2", "Waited 0.4", "Waited 0.6"]
    assert lines[3:] == [
        "Failed: True",
        "Its value is the exception: ValueError",
        "Expired: True",
        "The connection goes on: True",
    ]


@pytest.mark.parametrize("language", BOTH)
def test_chat(serve, start, language):
    port = serve("python", "chat_server")
    members = {}

    def join(name, language="python"):
        members[name] = start(language, "chat_client", *address(language, port), name)
        for member in members.values():
            assert member.read_line(LIMIT) == f"{name} has come"
        assert members[name].read_line(LIMIT) == f"Here: {' '.join(sorted(members))}"

    def say(name, text):
        members[name].write_line(text)
        for member in members.values():
            assert member.read_line(LIMIT) == f"{name}: {text}"

    join("ann")
    join("bob", language)
    join("carol", language)
    say("bob", "hello")
    carol = members.pop("carol")
    carol.process.send_signal(signal.SIGSTOP)  # what is said now she neither hears nor refuses
    members["ann"].write_line("carol?")
    carol.kill()
    for member in members.values():
        assert {member.read_line(LIMIT), member.read_line(LIMIT)} == {"ann: carol?", "carol has left"}
    say("ann", "what happened?")
    say("bob", "she vanished")

    bob = members.pop("bob")
    bob.process.stdin.close()
    assert bob.process.wait(LIMIT) == 0
    assert members["ann"].read_line(LIMIT) == "bob has left"
    say("ann", "nobody there")


def test_chat_with_a_name_that_is_taken(serve, start):
    port = serve("python", "chat_server")
    first = start("python", "chat_client", *address("python", port), "ann")
    assert first.read_line(LIMIT) == "ann has come"
    second = subprocess.run(
        command("python", "chat_client", *address("python", port), "ann"),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert second.returncode == 1
    assert "ValueError: there is another ann here" in second.stderr
    first.write_line("still me")
    assert [first.read_line(LIMIT) for _ in range(2)] == ["Here: ann", "ann: still me"]


def test_file_monitor(serve, start, tmp_path):
    port = serve("python", "file_monitor_server")
    path = tmp_path / "watched"
    client = start("python", "file_monitor_client", *address("python", port), "--changes", "3", path)
    assert client.read_line(LIMIT) == "Watching"
    # In one step each: a file that is written is empty before, which the server may or may not see.
    for text, expected in [("one", "Size None -> 3"), ("longer", "Size 3 -> 6")]:
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(path)
        assert client.read_line(LIMIT) == expected
    path.unlink()
    assert client.read_line(LIMIT) == "Size 6 -> None"
    assert client.read_line(LIMIT) == "Stopped"
    assert client.process.wait(LIMIT) == 0


def test_file_monitor_outlives_a_client(serve, start, tmp_path):
    port = serve("python", "file_monitor_server")
    path = tmp_path / "watched"
    clients = [start("python", "file_monitor_client", *address("python", port), "--changes", "1", path) for _ in range(2)]
    for client in clients:
        assert client.read_line(LIMIT) == "Watching"
    clients[0].kill()
    path.touch()
    assert [clients[1].read_line(LIMIT) for _ in range(2)] == ["Size None -> 0", "Stopped"]


def test_sharing():
    *heard, last = run("python", "sharing", "--workers", "3", "--times", "50")
    assert sorted(heard) == [f"worker {number} hears: 150" for number in (1, 2, 3)]
    assert last == "The counter is at 150"
