"""Every way to connect."""

import os
import socket
import sys

import pytest

import netref
from clients import IMPLEMENTATIONS, run_program, server_program
from netref.core.stream import PipeStream
from netref.utils import factory
from peer_process import STOCK6

PIPE_SERVER = """
    from rpyc.utils.factory import connect_stdpipes

    class Service(rpyc.Service):
        def exposed_pid(self):
            import os
            return os.getpid()
        def exposed_apply(self, function, *args):
            return function(*args)

    connect_stdpipes(Service).serve_all()
""".replace("from rpyc.", "from {0}.")


class Echo(netref.Service):
    def exposed_echo(self, value):
        return value


class Namespace(netref.Service):
    def __init__(self):
        self.exposed_namespace = {}

    def exposed_get(self, name):
        return self.exposed_namespace[name]

    def exposed_pid(self):
        return os.getpid()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_connect_subproc(implementation):
    command = server_program(implementation, PIPE_SERVER.format(implementation))
    with factory.connect_subproc(command) as conn:
        assert conn.root.pid() == conn.proc.pid
        assert conn.root.apply(lambda data: data[::-1], "abc" * 50_000) == "cba" * 50_000
        assert conn.root.apply(max, 3, 5) == 5
    # Stock leaves no standard output to flush at exit, which Python counts as a failure.
    assert conn.proc.wait(10) in (0, 120)


@STOCK6
def test_stock_connects_to_a_program_over_its_pipes():
    """Stock's Popen call starts netref as its child."""
    command = server_program("netref", PIPE_SERVER.format("netref"))
    output = run_program(
        "rpyc",
        f"""
        from rpyc.utils.factory import connect_subproc
        conn = connect_subproc({command!r})
        assert conn.root.pid() == conn.proc.pid
        print(conn.root.apply(lambda data: len(data), b"x" * 200_000))
        conn.close()
        print(conn.proc.wait(10))
        """,
    )
    assert output.split() == ["200000", "0"]


def test_connect_pipes():
    left, right = PipeStream.create_pair()
    with (
        factory.connect_pipes(left.incoming, left.outgoing, Echo) as one,
        factory.connect_pipes(right.incoming, right.outgoing, Echo) as other,
    ):
        assert one.root.echo(1) == other.root.echo(1) == 1


def test_pipes_stay_in_their_mode():
    left, right = PipeStream.create_pair()
    with netref.connect_stream(left, Echo), netref.connect_stream(right) as conn:
        assert conn.root.echo(1) == 1
        for file in (left.incoming, left.outgoing, right.incoming, right.outgoing):
            assert os.get_blocking(file.fileno())


@pytest.mark.parametrize("connect", [factory.connect_thread, factory.connect_multiprocess])
def test_connect_to_a_service_of_ones_own(connect):
    with connect(remote_service=Echo, remote_config={"allow_public_attrs": True}) as conn:
        assert conn.root.echo("x") == "x"


def test_connect_thread_serves_both_ways():
    with factory.connect_thread(service=Echo, remote_service=Echo) as conn:
        assert conn.root.get_service_name() == "ECHO"
        assert conn.root.echo(len)("abc") == 3


def test_connect_multiprocess_with_shared_memory():
    import multiprocessing

    shared = multiprocessing.Array("i", 3)
    with factory.connect_multiprocess(remote_service=Namespace, args={"shared": shared}) as conn:
        assert conn.root.pid() != os.getpid()
        conn._config["allow_public_attrs"] = True
        conn.root.namespace["shared"]
    with factory.connect_multiprocess(remote_service=netref.SlaveService, args={"shared": shared}) as conn:
        conn.root.execute("shared[1] = 7")
    assert list(shared) == [0, 7, 0]


def test_connect_with_every_option(serve):
    server = serve(Echo)
    config = {"sync_request_timeout": 11}
    with netref.connect("127.0.0.1", server.port, Echo, config, False, True) as conn:
        assert conn._config["sync_request_timeout"] == 11
        sock = conn._channel.stream.sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_connect_over_ipv6(serve):
    try:
        server = serve(Echo, hostname="::1", ipv6=True)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with netref.connect("::1", server.port, ipv6=True) as conn:
        assert conn.root.echo(6) == 6


def test_nobody_to_connect_to():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            netref.connect("127.0.0.1", sock.getsockname()[1])


def test_discovery_is_here_too():
    assert factory.discover is netref.discover
    assert factory.list_services is netref.list_services
    assert factory.connect_by_service is netref.connect_by_service
    with pytest.raises(AttributeError):
        factory.no_such_thing


def test_ssl_is_imported_only_where_it_is_used():
    output = run_program("netref", "print('ssl' in sys.modules, 'subprocess' in sys.modules, 'multiprocessing' in sys.modules)")
    assert output.split() == ["False"] * 3, sys.version
