"""What two hosts notice of a network that fails between them: in network namespaces, where the machine allows that; and what a
connection comes to that a proxy delays, holds up, cuts and closes by half.
"""

import json
import os
import queue
import sys

import pytest

import netref
from abuse import Target, eventually, stock
from network import Network
from peer_process import HERE, Program

SERVERS = ["threaded", "pool", *(["rust", "tokio"] if "NETREF_PEER_BIN" in os.environ else [])]
#: A peer that is quiet for a second is asked, three times, a second apart.
KEEPALIVE = {"keepalive": 1, "keepalive_interval": 1}
#: Seconds by when what takes 4 has to have been noticed, on a machine that is busy too.
AT_MOST = 20

FAILURES = pytest.mark.parametrize("fail", [Network.black_hole, Network.cut], ids=["black_hole", "cut"])


@pytest.fixture(scope="module")
def shared_network():
    try:
        network = Network()
    except OSError as error:
        pytest.skip(f"this machine allows no network namespaces: {error}")
    yield network
    network.close()


@pytest.fixture
def network(shared_network):
    yield shared_network
    shared_network.restore()


@pytest.fixture
def start_server(network, cleanup):
    def start(name, **config):
        target = Target(name, config={"limits": "compat", **config}, prefix=network.on(Network.B), host="0.0.0.0")
        cleanup.callback(target.kill)
        return target

    return start


@pytest.fixture
def start_client(network, cleanup):
    def start(server, **config):
        config = {"sync_request_timeout": None, "close_timeout": 0, **config}
        program = [sys.executable, HERE / "network_client.py", Network.B, server.port, json.dumps(config)]
        client = Program(*network.on(Network.A), *program)
        cleanup.callback(client.kill)
        assert client.read_line() == "connected"
        assert ask(client, "ping") == "pong"
        return client

    return start


def ask(client, command, timeout=AT_MOST):
    client.write_line(command)
    return client.read_line(timeout)


@FAILURES
@pytest.mark.parametrize("names", [pytest.param(SERVERS, id="netref"), *stock(["stock"])])
def test_idle_servers_notice_that_their_clients_are_gone(network, start_server, start_client, fail, names):
    """By asking TCP, since nothing of their own is on its way. Stock keeps such connections for ever."""
    servers = [start_server(name, **KEEPALIVE) for name in names]
    clients = [start_client(server) for server in servers]
    connected = [server.sockets() for server in servers]
    fail(network)
    for server, sockets in zip(servers, connected, strict=True):
        eventually(lambda server=server, sockets=sockets: server.sockets() < sockets, AT_MOST)
    for client in clients:
        client.kill()
    network.restore()
    for server in servers:
        start_client(server)


@FAILURES
def test_clients_notice_that_their_server_is_gone(network, start_server, start_client, fail):
    """Whatever they are doing: nothing, waiting for an answer that takes long, asking when nobody hears it, sending much."""
    server = start_server("threaded")
    idle, waiting, asking, sending = [start_client(server, **KEEPALIVE) for _ in range(4)]
    waiting.write_line("wait 60")
    with pytest.raises(queue.Empty):
        waiting.read_line(0.3)
    fail(network)
    idle.write_line("lost")
    asking.write_line("ping")
    sending.write_line("send 20000000")
    assert idle.read_line(AT_MOST) == "it is lost"
    for client in (waiting, asking, sending):
        assert client.read_line(AT_MOST).startswith("EOFError")


def test_write_timeout_of_a_client(network, start_server, start_client):
    """Where TCP itself would go on sending for a quarter of an hour."""
    client = start_client(start_server("threaded"), keepalive=None, write_timeout=1)
    network.black_hole()
    outcome = ask(client, "send 20000000")
    assert outcome.startswith("EOFError") and "write_timeout" in outcome


def test_write_timeout_of_servers(network, start_server, start_client):
    """Of an answer that is on its way when the network fails."""
    servers = [start_server(name, keepalive=100, write_timeout=1) for name in SERVERS]
    clients = [start_client(server) for server in servers]
    connected = [server.sockets() for server in servers]
    for client in clients:
        assert ask(client, "stall") == "stalled"
    network.black_hole()
    for server, sockets in zip(servers, connected, strict=True):
        eventually(lambda server=server, sockets=sockets: server.sockets() == sockets, AT_MOST)
    network.restore()
    for server, client in zip(servers, clients, strict=True):
        assert server.alive and ask(client, "ping") == "pong"


def test_half_open_connections(network, start_server, start_client):
    """The server forgets its clients while they hear nothing, as when its host starts anew. Whoever asks then is told; whoever
    waits has TCP ask."""
    server = start_server("threaded")
    asking, waiting = start_client(server, keepalive=None), start_client(server, **KEEPALIVE)
    waiting.write_line("wait 60")
    with pytest.raises(queue.Empty):
        waiting.read_line(0.3)
    network.black_hole()
    server.kill()
    network.restore()
    assert ask(asking, "ping").startswith("EOFError")
    assert waiting.read_line(AT_MOST).startswith("EOFError")


def test_lost_packets_lose_nothing(network, start_server, start_client):
    """Of a network that comes back, programs notice nothing but the time."""
    clients = [start_client(start_server(name)) for name in SERVERS]
    with network.losing(0.2, 0.3):
        for _ in range(5):
            for client in clients:
                client.write_line("ping")
                client.write_line("send 200000")
            for client in clients:
                assert client.read_line(30) == "pong"
                assert client.read_line(30) == "200000"


# ---- by a proxy: the soak's, which does to its one connection what it is told


@pytest.fixture(params=SERVERS)
def proxied(request, cleanup):
    """A server behind the proxy, and a connection to it: ``connect(**config)``."""
    server = Target(request.param, config={"limits": "compat"})
    cleanup.callback(server.kill)
    proxy = Program(sys.executable, HERE.parents[1] / "bench" / "soak" / "proxy.py", server.port)
    cleanup.callback(proxy.kill)
    port = int(proxy.read_line())

    def connect(**config):
        conn = netref.connect("127.0.0.1", port, config={"close_timeout": 0, **config})
        cleanup.callback(conn.close)
        conn.ping()
        return conn

    server.fails = proxy.write_line
    server.connect = connect
    return server


def test_delay(proxied):
    """It costs time. A heartbeat that is longer does not take it for silence."""
    conn = proxied.connect(heartbeat=5)
    proxied.fails("delay 0.05")
    echo = conn.root.echo
    results = [netref.async_(echo)(bytes([number]) * 50_000) for number in range(20)]
    assert [result.value for result in results] == [bytes([number]) * 50_000 for number in range(20)]
    for number in range(5):
        value = echo(number)
        assert value == number


def test_stall(proxied):
    """Shorter than what anybody waits, it is nothing but late; longer, a heartbeat ends what waits."""
    conn = proxied.connect(heartbeat=2, sync_request_timeout=None)
    echo = conn.root.echo
    proxied.fails("stall 0.3")
    value = echo("late")
    assert value == "late"
    proxied.fails("stall 600")
    with pytest.raises(netref.ConnectionLost, match="heartbeat"):
        for _ in range(1000):  # for the proxy to hear of it
            echo("never")


def test_stall_of_what_is_sent(proxied):
    conn = proxied.connect(write_timeout=1, sync_request_timeout=None)
    echo = conn.root.echo
    proxied.fails("stall 600")
    with pytest.raises(netref.ConnectionLost, match="write_timeout"):
        for _ in range(20):
            echo(os.urandom(20_000_000))


def test_trickle(proxied):
    """A timeout holds although something comes all the time, and the call after it is answered."""
    conn = proxied.connect(sync_request_timeout=1)
    echo = conn.root.echo
    data = os.urandom(1_000_000)
    proxied.fails("trickle 3")
    with pytest.raises(TimeoutError):
        for _ in range(20):
            echo(data)
    conn._config["sync_request_timeout"] = 30
    value = echo(data)
    assert value == data


@pytest.mark.parametrize("fault", ["reset", "half-close"])
def test_end_in_the_middle(proxied, fault):
    """Calls that wait are told, once each, and the server lets go of the connection."""
    idle = proxied.sockets()
    conn = proxied.connect(sync_request_timeout=None)
    echo = conn.root.echo
    proxied.fails(fault)
    with pytest.raises(netref.ConnectionLost):
        while True:
            results = [netref.async_(echo)(number) for number in range(100)]
            assert [result.value for result in results] == list(range(100))
    assert conn.closed
    eventually(lambda: proxied.sockets() <= idle, AT_MOST)
    assert proxied.connect().root.echo("again") == "again"
