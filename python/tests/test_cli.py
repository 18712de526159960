"""The commands, with the options of RPyC's."""

import socket
import subprocess
import sys

import pytest

from netref import classic
from netref.cli.rpyc_classic import ClassicServer
from netref.cli.rpyc_registry import RegistryServer
from netref.utils.registry import UDPRegistryClient
from peer_process import Program


@pytest.fixture
def command(cleanup):
    """Starts ``netref ...`` whose output, with what it logs, can be read line by line."""

    def start(*arguments):
        program = Program(sys.executable, "-m", "netref", *arguments, stderr=subprocess.STDOUT)
        cleanup.callback(end, program)
        return program

    def end(program):
        program.kill()
        program.stop()

    return start


def options_of(command, *arguments):
    """What the command makes of its arguments."""

    class Parsed(command):
        def main(self):
            return 0

    parsed, status = Parsed.run(["program", *arguments], exit=False)
    return parsed if status == 0 else status


def test_options_of_the_classic_server(tmp_path):
    key = tmp_path / "key"
    key.write_text("")
    plain = options_of(ClassicServer)
    assert (plain.mode, plain.port, plain.host, plain.ipv6, plain.quiet, plain.auto_register) == (
        "threaded",
        None,
        "",
        False,
        False,
        False,
    )
    assert (plain.registry_type, plain.registry_port, plain.registry_host, plain.logfile) == ("UDP", 18811, None, None)
    full = options_of(
        ClassicServer, "-m", "OneShot", "-p", "123", "--host", "h", "--ipv6", "--logfile", "f", "-q", "--ssl-keyfile", str(key),
        "--ssl-certfile", str(key), "--ssl-cafile", str(key), "--register", "--registry-type", "tcp", "--registry-port", "5",
        "--registry-host", "r",
    )  # fmt: skip
    assert (full.mode, full.port, full.host, full.ipv6, full.quiet, full.auto_register) == ("oneshot", 123, "h", True, True, True)
    assert (full.registry_type.upper(), full.registry_port, full.registry_host, full.logfile) == ("TCP", 5, "r", "f")
    assert full.ssl_keyfile == full.ssl_certfile == full.ssl_cafile == str(key)
    assert options_of(ClassicServer, "--port=7", "--mode=stdio", "--quiet").port == 7


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "nonsense"],
        ["-p", "65536"],
        ["-p", "x"],
        ["--ssl-keyfile", "/missing"],
        ["--ssl-keyfile", __file__],
        ["--ssl-certfile", __file__],
        ["--ssl-cafile", __file__],
        pytest.param(["--registry-type", "TCP"], marks=pytest.mark.differs("it is noticed when the server starts")),
        ["--no-such-option"],
        ["--regis"],
    ],
)
def test_wrong_options(arguments, capsys):
    assert options_of(ClassicServer, *arguments) == 2
    assert "usage:\n    program" in "".join(capsys.readouterr()).lower().replace("usage: ", "usage:\n    ")


def test_options_of_the_registry():
    plain = options_of(RegistryServer)
    assert (plain.mode, plain.ipv6, plain.port, bool(plain.quiet)) == ("UDP", False, 18811, False)
    assert (plain.pruning_timeout, plain.allow_listing, plain.logfile) == (240, False, None)
    full = options_of(RegistryServer, *["-m", "tcp", "-6", "-p", "9", "--logfile", "f", "-q", "1", "-t", "5", "-l", "true"])
    assert (full.mode.upper(), full.ipv6, full.port, bool(full.quiet)) == ("TCP", True, 9, True)
    assert (full.pruning_timeout, full.allow_listing, full.logfile) == (5, True, "f")


@pytest.mark.differs("any word means yes")
def test_words_that_mean_no():
    assert options_of(RegistryServer, "-q", "-l").quiet is True
    assert options_of(RegistryServer, "-q", "1", "-l", "0").allow_listing is False
    assert options_of(RegistryServer, "-l", "maybe") == 2


@pytest.mark.differs("the option has no effect then")
def test_attributes_of_a_subclass_are_defaults():
    class Mine(ClassicServer):
        port = 4
        mode = "oneshot"

    assert (options_of(Mine).port, options_of(Mine, "-p", "5").port, options_of(Mine).mode) == (4, 5, "oneshot")


@pytest.mark.differs("has no command of that kind")
def test_one_shot_says_where_it_is(command, cleanup):
    program = command("classic", "-m", "oneshot", "-p", "0", "-q")
    assert program.read_line() == "rpyc-oneshot"
    host, port = program.read_line().split("\t")
    conn = classic.connect(host, int(port))
    assert (host, conn.eval("6 * 7")) == ("127.0.0.1", 42)
    conn.close()
    assert program.process.wait(10) == 0


@pytest.mark.differs("has no command of that kind")
def test_registry_by_datagrams(command):
    registry = command("registry", "-p", "0")
    line = registry.read_line()
    registrar = UDPRegistryClient("127.0.0.1", port=int(line.rpartition(":")[2]))
    assert registrar.register(["a"], 1)
    assert registrar.list() is None


@pytest.mark.differs("ends with a traceback, or serves and refuses every client")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["classic", "-p", "{port}"], "127.0.0.1 port {port}"),
        (["registry", "-m", "tcp", "-p", "{port}"], "0.0.0.0 port {port}"),
        (["classic", "-p", "0", "--logfile", "/missing/log"], "/missing/log"),
        (["classic", "-p", "0", "--secret-file", __file__, "--host", "no.invalid"], "no.invalid port 0"),
        (["classic", "-p", "0", "--secret-file", "{empty}"], "{empty}: a shared secret is at least"),
        (["classic", "-p", "0", "--ssl-keyfile", __file__, "--ssl-certfile", __file__], "own key and certificates"),
    ],
    ids=["port in use", "port in use of a registry", "logfile", "host", "secret", "certificate"],
)
def test_what_cannot_be_served(arguments, says, tmp_path):
    """Ends the command with a line that says what it is about."""
    (tmp_path / "empty").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"port": taken.getsockname()[1], "empty": tmp_path / "empty"}
        command = [sys.executable, "-m", "netref", *(argument.format(**known) for argument in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert says.format(**known) in done.stderr


@pytest.mark.differs("has no command of that kind")
def test_the_command_itself(capsys):
    from netref.__main__ import main

    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage")
    assert main(["no-such-command"]) == 2
    assert "no command 'no-such-command'" in capsys.readouterr().err
    assert main(["--help"]) == main(["--version"]) == 0
    assert "usage: netref COMMAND" in capsys.readouterr().out
