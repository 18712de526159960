"""Programs from PyPI do what they are for, with either implementation on either side. See README.md."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).parent
LIMIT = 60
#: Of this environment; it has both, and the programs say `import rpyc`.
RUN = {"netref": [sys.executable, "-m", "netref", "run"], "rpyc": [sys.executable]}
PAIRINGS = [(client, server) for client in RUN for server in RUN]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE / "fakes"), "PYTHONUNBUFFERED": "1"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture
def serve():
    """Starts a server: ``serve(implementation, *command)``, with its port in the place of PORT."""
    with contextlib.ExitStack() as cleanup:

        def start(implementation, *command):
            port = free_port()
            command = [*RUN[implementation], *(str(port) if part == "PORT" else part for part in command)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=HERE, env=ENVIRONMENT, start_new_session=True)
            cleanup.callback(stop, process)
            deadline = time.monotonic() + LIMIT
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    return port
                except OSError:
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.05)

        yield start


def stop(process):
    """Ends a server and the one that it may have started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.communicate()


def run(implementation, *command):
    """What a program prints."""
    done = subprocess.run(
        [*RUN[implementation], *map(str, command)], cwd=HERE, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_mt5linux(serve, tmp_path, client, server):
    # The Python that it starts is to run under Wine.
    port = serve(server, "-m", "mt5linux", sys.executable, "-w", "env", "--host", "127.0.0.1", "-p", "PORT", "-s", str(tmp_path))
    assert run(client, "mt5.py", port).splitlines() == [
        "(500, 2367, '23 Mar 2020') (1, 'Success') 3",
        "25115284 99588.33 USD",
        "True 1.17264 None",
        "100 [2.0, 2.1, 2.2] 5.95 ('time', 'open', 'close', 'tick_volume')",
    ]


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_pystuck(serve, client, server):
    output = run(client, "stuck_client.py", serve(server, "stuck_program.py", "PORT"))
    assert "stuck thread" in output and "in waits_for_ever" in output
    assert output.splitlines()[-1] == "found the reason pystuck"


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_pykeepass_cache(tmp_path, client, server):
    """The daemon is forked by the first program that wants it."""
    try:
        assert run(server, "passwords.py", tmp_path) == "0 entry 0 somebody password 0 shared ['entry 0']\n"
        assert run(client, "passwords.py", tmp_path) == "1 entry 1 somebody password 1 shared ['entry 0', 'entry 1']\n"
    finally:
        run(client, "passwords.py", tmp_path, "close")
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_rpyc_ws(serve, client, server):
    output = run(client, "web_socket_client.py", serve(server, "web_socket_server.py", "PORT"))
    assert output.splitlines() == ["42 40 200000", "1225 1", "raised division by zero"]


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_pylablib(serve, client, server):
    output = run(client, "laboratory_client.py", serve(server, "laboratory_server.py", "PORT"))
    assert output.splitlines() == [
        "ndarray (500, 500) uint16 502 True True",
        "[('gain', 1.5), ('size', 500)] True",
        "1004 True",
        "[0]",
    ]
