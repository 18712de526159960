"""The commands `rpyc_classic` and `rpyc_registry`, started by one implementation and used by the other."""

import contextlib
import pathlib
import socket
import subprocess
import sys

from scenarios.host import raises

CERTS = pathlib.Path(__file__).parent.parent / "certs"


def _python(side):
    return [sys.executable, "-c", "import importlib, sys; importlib.import_module(sys.argv.pop(1)).main()"], side.name


@contextlib.contextmanager
def _command(side, name, *arguments):
    """A command of the other implementation, and what it prints and logs."""
    python, package = side.far(_python)
    command = [*python, f"{package}.cli.{name}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _port(process):
    """The port that its server says that it has been started on."""
    while "server started on" not in (line := process.stdout.readline()):
        assert line, "it ended"
    return int(line.rpartition(":")[2])


def classic_servers(side):
    classic = side.rpyc.classic
    for mode, processes in (("threaded", 1), ("forking", 3)):
        with _command(side, "rpyc_classic", "-m", mode, "-p", 0, "--host", "127.0.0.1") as command:
            port = _port(command)
            with classic.connect("127.0.0.1", port) as first, classic.connect("127.0.0.1", port) as second:
                seen = {command.pid, first.modules.os.getpid(), second.modules.os.getpid()}
                assert len(seen) == processes, mode
    with _command(side, "rpyc_classic", "-m", "oneshot", "-p", 0, "-q") as command:
        assert command.stdout.readline() == "rpyc-oneshot\n"
        host, port = command.stdout.readline().split()
        with classic.connect(host, int(port)) as conn:
            assert conn.eval("6 * 7") == 42
        assert command.wait(20) == 0


def classic_servers_over_tls(side):
    key, cert = CERTS / "key.pem", CERTS / "cert.pem"
    with (
        _command(side, "rpyc_classic", "-p", 0, "--ssl-keyfile", key, "--ssl-certfile", cert) as command,
        side.rpyc.classic.ssl_connect("127.0.0.1", _port(command)) as conn,
    ):
        assert conn.eval("5 * 5") == 25


def registries(side):
    """And a classic server that registers itself there."""
    registry = side.rpyc.utils.registry
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with _command(side, "rpyc_registry", "-m", "TCP", "-p", port, "-l", "true") as running:
        while "server started" not in running.stdout.readline():
            pass
        registrar = registry.TCPRegistryClient("127.0.0.1", port=port)
        where = "--register", "--registry-type", "TCP", "--registry-host", "127.0.0.1", "--registry-port", port
        with _command(side, "rpyc_classic", "-p", 0, *where) as server:
            server_port = _port(server)
            while "registering" not in running.stdout.readline():
                pass
            assert registrar.discover("slave") == (("127.0.0.1", server_port),) and "SLAVE" in registrar.list()
            with side.rpyc.connect_by_service("slave", registrar=registrar, service=side.rpyc.core.service.MasterService) as conn:
                assert conn.eval("1 + 1") == 2
    with _command(side, "rpyc_registry", "-p", port) as running:
        while "server started" not in running.stdout.readline():
            pass
        registrar = registry.UDPRegistryClient("127.0.0.1", port=port)
        assert registrar.register(("first",), 4711) and registrar.discover("first") == (("127.0.0.1", 4711),)
        assert registrar.list() is None  # which has to be allowed
        raises(side.rpyc.utils.factory.ForbiddenError, side.rpyc.list_services, registrar=registrar)
