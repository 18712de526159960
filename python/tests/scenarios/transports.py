"""Servers of all kinds, and ways to reach them."""

import contextlib
import importlib
import os
import pathlib
import pickle
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

from scenarios.host import raises

CERTS = pathlib.Path(__file__).parent.parent / "certs"


def _service(rpyc):
    class Where(rpyc.Service):
        def on_connect(self, conn):
            self.conn = conn

        def exposed_where(self):
            return os.getpid(), threading.get_ident()

        def exposed_echo(self, value):
            return value

        def exposed_credentials(self):
            return self.conn._config["credentials"]

        def exposed_call(self, function, *args):
            return function(*args)

    return Where


def _serve_kind(side, kind, config={}):
    server = getattr(side.rpyc.utils.server, kind)
    return side.serve(_service(side.rpyc), server, protocol_config=config)


def large_bytes_beside_all_kinds(side):
    """What is large is sent apart from what is around it: plain data, objects (for which a message is begun anew), as the only
    argument, twice, and as a result; as it is, and so that compressing pays."""
    conn = side.connect(side.far(_serve_kind, "ThreadedServer"))
    seen = []
    for size in (60_000, 100_000, 1_000_000):
        for data in (os.urandom(size), b"the same over and over " * (size // 23)):
            assert conn.root.echo(data) == data
            assert conn.root.echo((1, data, ("x", data), frozenset([data]))) == (1, data, ("x", data), frozenset([data]))
            text = data.hex()
            assert conn.root.call(lambda *args: seen.append(args) or args[1], seen, data, text, None, data) == data
            assert seen.pop() == (seen, data, text, None, data)


def kinds_of_servers(side):
    for kind in ("ThreadedServer", "ThreadPoolServer", "ForkingServer", "OneShotServer"):
        port = side.far(_serve_kind, kind)
        with contextlib.closing(side.rpyc.connect("127.0.0.1", port)) as conn:
            assert conn.root.echo(kind) == kind
            assert conn.root.call(lambda x: x + 1, 1) == 2
            raises(TypeError, conn.root.echo)
            assert conn.root.echo(b"x" * 300_000) == b"x" * 300_000


def many_clients(side):
    for kind in ("ThreadedServer", "ThreadPoolServer", "ForkingServer"):
        port = side.far(_serve_kind, kind)
        conns = [side.connect(port) for _ in range(5)]
        wheres = [conn.root.where() for conn in conns]
        assert [conn.root.echo(number) for number, conn in enumerate(conns)] == list(range(5))
        if kind == "ForkingServer":
            assert len({pid for pid, _ in wheres}) == 5
        for conn in conns:
            conn.close()


def _serve_at(side, path):
    side.serve(_service(side.rpyc), socket_path=path)


def _close_at(side, path):
    server = side.rpyc.utils.server.ThreadedServer(_service(side.rpyc), socket_path=path)
    server.close()
    os.unlink(path)  # the server's owner does that: it has to be there


def unix_sockets(side):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        side.far(_close_at, path)
        side.far(_serve_at, path)
        conn = side.rpyc.utils.factory.unix_connect(path)
        assert conn.root.echo("unix") == "unix"
        assert conn.root.call(lambda: "back") == "back"
        conn.close()


def _serve_v6(side):
    return side.serve(_service(side.rpyc), hostname="::1", ipv6=True)


def ipv6(side):
    if not socket.has_ipv6:
        return
    conn = side.rpyc.connect("::1", side.far(_serve_v6), ipv6=True, keepalive=True)
    assert conn.root.echo(6) == 6
    conn.close()


def _serve_ssl(side):
    authenticator = side.rpyc.utils.authenticators.SSLAuthenticator(str(CERTS / "key.pem"), str(CERTS / "cert.pem"))
    return side.serve(_service(side.rpyc), authenticator=authenticator)


def encrypted_connections(side):
    conn = side.rpyc.ssl_connect("127.0.0.1", side.far(_serve_ssl))
    assert conn.root.echo("secret") == "secret"
    assert conn.root.echo(b"x" * 200_000) == b"x" * 200_000
    assert conn.root.call(lambda x: x, 5) == 5
    assert isinstance(conn._channel.stream.sock, ssl.SSLSocket)
    conn.close()


def _serve_password(side):
    def authenticate(sock):
        if sock.recv(6) != b"letmei":
            raise side.rpyc.utils.authenticators.AuthenticationError("wrong password")
        sock.sendall(b"ok")
        return sock, "somebody"

    return side.serve(_service(side.rpyc), authenticator=authenticate)


def passwords_on_the_socket(side):
    port = side.far(_serve_password)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"wrong!")
        assert sock.recv(10) == b""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(b"letmei")
    assert sock.recv(2) == b"ok"
    conn = side.rpyc.connect_stream(side.rpyc.SocketStream(sock))
    assert conn.root.credentials() == "somebody"
    conn.close()


def _serve_handshake(side):
    """A channel by itself, before the connection is made on it."""
    rpyc = side.rpyc
    listener = socket.create_server(("127.0.0.1", 0))
    side.cleanup.callback(listener.close)

    def serve():
        sock, _ = listener.accept()
        channel = rpyc.Channel(rpyc.SocketStream(sock))
        name = rpyc.core.brine.load(channel.recv())
        channel.send(rpyc.core.brine.dump(("hello", name)))
        conn = _service(rpyc)()._connect(channel, {"credentials": name})
        conn.serve_all()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def handshakes_over_a_channel(side):
    rpyc = side.rpyc
    channel = rpyc.Channel(rpyc.SocketStream.connect("127.0.0.1", side.far(_serve_handshake)))
    channel.send(rpyc.core.brine.dump("me"))
    assert channel.poll(10) and rpyc.core.brine.load(channel.recv()) == ("hello", "me")
    conn = rpyc.connect_channel(channel, rpyc.VoidService, {"allow_public_attrs": True})
    assert conn.root.credentials() == "me"
    assert conn._config["allow_public_attrs"]
    conn.close()


def options_of_connections(side):
    rpyc = side.rpyc
    port = side.far(_serve_kind, "ThreadedServer")
    stream = rpyc.SocketStream.connect("127.0.0.1", port, timeout=5, nodelay=True, keepalive=True)
    conn = rpyc.connect_stream(stream, rpyc.VoidService, {"sync_request_timeout": 20})
    sock = conn._channel.stream.sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) and sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getpeername() == ("127.0.0.1", port)
    assert conn._channel is not None and conn._channel.stream.fileno() == sock.fileno() == conn.fileno()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert conn.root.echo(1) == 1
    assert not conn._channel.closed and not stream.closed
    conn.close()
    assert conn._channel.closed and stream.closed
    unused = socket.create_server(("127.0.0.1", 0))
    free = unused.getsockname()[1]
    unused.close()
    with rpyc.SocketStream.connect("127.0.0.1", port, keepalive=7) as stream:
        assert stream.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    raises(ValueError, rpyc.SocketStream.connect, "127.0.0.1", port, keepalive=0.5)
    raises(ConnectionRefusedError, rpyc.connect, "127.0.0.1", free)
    raises(OSError, rpyc.connect, "no.such.host.invalid", 1)


def _serve_subclass(side):
    class Server(side.rpyc.ThreadedServer):
        seen = []

        def accept(self):
            self.seen.append("wait")
            super().accept()

        def _handle_connection(self, conn):
            self.seen.append("handle")
            super()._handle_connection(conn)

        def _authenticate_and_serve_client(self, sock):
            self.seen.append("authenticate")
            super()._authenticate_and_serve_client(sock)

        def _serve_client(self, sock, credentials):
            self.seen.append("serve")
            self.protocol_config["allow_public_attrs"] = True
            super()._serve_client(sock, credentials)

        def _accept_method(self, sock):
            self.seen.append("accept")
            super()._accept_method(sock)

    class Seen(side.rpyc.Service):
        def exposed_seen(self):
            return tuple(dict.fromkeys(Server.seen))

        def public(self):
            return "public"

        def exposed_clients(self):
            return len(SERVERS[-1].clients)

    server = Server(Seen, hostname="127.0.0.1")
    SERVERS.append(server)
    side.cleanup.callback(server.close)
    server.listener.listen()
    threading.Thread(target=server.start, daemon=True).start()
    return server.port


SERVERS = []


def servers_of_ones_own(side):
    port = side.far(_serve_subclass)
    root = side.connect(port).root
    assert root.seen() == ("wait", "accept", "authenticate", "serve", "handle")
    assert root.public() == "public"
    other = side.connect(port)
    assert other.root.clients() == 2


def _serve_pool(side):
    class Threads(side.rpyc.Service):
        def exposed_name(self):
            return threading.current_thread().name

        def exposed_pool(self):
            server = SERVERS[-1]
            names = tuple(worker.name for worker in server.workers)
            return names, server.nbthreads, server.request_batch_size, len(server.fd_to_conn), server.polling_thread.is_alive()

    server = side.rpyc.utils.server.ThreadPoolServer(Threads, hostname="127.0.0.1", nbThreads=3, requestBatchSize=2)
    SERVERS.append(server)
    side.cleanup.callback(server.close)
    server._start_in_thread()
    return server.port


def a_pool_of_threads(side):
    port = side.far(_serve_pool)
    conns = [side.connect(port) for _ in range(4)]
    names = {conn.root.name() for conn in conns for _ in range(5)}
    workers, *rest = conns[0].root.pool()
    assert names <= set(workers) and rest == [3, 2, 4, True] and len(workers) == 3


def _start(side, kind):
    server = getattr(side.rpyc.utils.server, kind)(_service(side.rpyc), hostname="127.0.0.1")
    RUNNING[:] = [server, server._start_in_thread()]
    assert server.active and (server.host, server.port) == server.listener.getsockname()
    assert server.fileno() == server.listener.fileno()
    return server.port


def _close(side):
    server, thread = RUNNING
    server.close()
    thread.join(20)
    assert not thread.is_alive() and server._closed and not server.active and not server.clients
    if hasattr(server, "workers"):
        assert not any(worker.is_alive() for worker in [server.polling_thread, *server.workers])


def servers_that_are_closed(side):
    for kind in ("ThreadedServer", "ThreadPoolServer", "ForkingServer", "OneShotServer"):
        port = side.far(_start, kind)
        conn = side.rpyc.connect("127.0.0.1", port)
        echo = conn.root.echo
        assert echo(1) == 1
        side.far(_close)
        if kind == "ForkingServer":  # whose clients belong to the children
            assert echo(2) == 2
        elif side.expected("whether closing a server ends the connections of this kind", kind != "ThreadPoolServer"):
            raises(EOFError, echo, 2)
        raises(ConnectionRefusedError, side.rpyc.connect, "127.0.0.1", port)
        if not conn.closed:
            conn._channel.stream.sock.shutdown(socket.SHUT_RDWR)  # nobody would answer that it is closed
        conn.close()


def a_client_that_vanishes(side):
    for kind in ("ThreadedServer", "ThreadPoolServer"):
        port = side.far(_serve_kind, kind)
        for _ in range(3):
            conn = side.rpyc.connect("127.0.0.1", port)
            conn.root.echo(1)
            conn._channel.stream.sock.shutdown(socket.SHUT_RDWR)
            raises(EOFError, lambda conn=conn: [conn.root.echo(1) for _ in range(100)])
            conn.close()
        socket.create_connection(("127.0.0.1", port)).close()
        assert side.connect(port).root.echo("still there") == "still there"


def streams_of_ones_own(side):
    """Without a file descriptor, as over a web socket."""
    rpyc = side.rpyc
    port = side.far(_serve_kind, "ThreadedServer")

    class Own(rpyc.core.stream.Stream):
        MAX_IO_CHUNK = 8000  # stock's channel asks for it

        def __init__(self):
            self.sock = socket.create_connection(("127.0.0.1", port))
            self.written = 0

        @property
        def closed(self):
            return self.sock is None

        def close(self):
            if self.sock is not None:
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
                self.sock.close()
                self.sock = None

        def poll(self, timeout):
            import select

            if self.sock is None:
                raise EOFError("closed")
            left = timeout.timeleft() if hasattr(timeout, "timeleft") else timeout
            return bool(select.select([self.sock], [], [], left)[0])

        def read(self, count):
            data = b""
            while len(data) < count:
                part = self.sock.recv(count - len(data))
                if not part:
                    raise EOFError("ended")
                data += part
            return data

        def write(self, data):
            self.written += len(data)
            self.sock.sendall(data)

    stream = Own()
    conn = rpyc.connect_stream(stream)
    assert conn.root.echo("own") == "own"
    assert conn.root.call(lambda x: x * 2, 4) == 8
    assert stream.written > 0
    assert conn.root.echo(b"x" * 100_000) == b"x" * 100_000
    conn.close()


def _python(side):
    return [sys.executable, side.name]


#: Serves its parent over standard input and output until that goes, as the program of a server does.
ON_PIPES = """
import importlib, sys
rpyc = importlib.import_module(sys.argv[1])
class Echo(rpyc.Service):
    def exposed_echo(self, value):
        return value
    def exposed_call(self, function, *args):
        return function(*args)
    def exposed_die(self):
        import os
        os._exit(3)
rpyc.utils.factory.connect_stdpipes(Echo).serve_all()
"""


def servers_on_pipes(side):
    python, package = side.far(_python)
    factory = side.rpyc.utils.factory
    conn = factory.connect_subproc([python, "-c", ON_PIPES, package])
    assert conn.root.echo("pipe") == "pipe" and conn.root.call(lambda x: x + 1, 1) == 2
    assert isinstance(conn._channel.stream, side.rpyc.PipeStream) and conn.proc.poll() is None
    data = bytes(range(256)) * 4096
    assert conn.root.call(lambda part: part[::-1], data) == data[::-1]
    conn.close()
    conn.proc.wait(20)  # whichever status: in RPyC that is an error
    command = [python, "-c", ON_PIPES, package]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        conn = factory.connect_pipes(process.stdout, process.stdin, config={"sync_request_timeout": 20})
        assert conn.root.echo((1, None)) == (1, None)
        raises(EOFError, conn.root.die)
        assert conn.closed and process.wait(20) == 3


RUNNING = []


def _start_one_that_changes(side):
    server = side.rpyc.ThreadedServer(_service(side.rpyc), hostname="127.0.0.1")
    RUNNING[:] = [server]
    side.cleanup.callback(server.close)
    server._start_in_thread()
    return server.port


def _change(side):
    class Other(side.rpyc.Service):
        def on_connect(self, conn):
            self.conn = conn

        def exposed_limit(self):
            return self.conn._config["sync_request_timeout"]

    (server,) = RUNNING
    server.service = Other
    server.protocol_config["sync_request_timeout"] = 7


def _drop_clients(side):
    (server,) = RUNNING
    for sock in list(server.clients):
        sock.shutdown(socket.SHUT_RDWR)


def servers_that_change_while_they_run(side):
    port = side.far(_start_one_that_changes)
    first = side.connect(port)
    assert first.root.echo(1) == 1
    side.far(_change)
    second = side.connect(port)
    assert second.root.limit() == 7
    assert first.root.echo(2) == 2
    side.far(_drop_clients)
    for conn in (first, second):
        raises(EOFError, conn.ping)


def _serve_everything(side):
    class Thing:
        def __init__(self):
            self.x, self.left = 1, []

        def __repr__(self):
            return "a thing"

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            self.left.append(exc[0] is not None)

        def double(self, *args, **kwargs):
            return self.x * 2, args, tuple(sorted(kwargs.items()))

    class Everything(side.rpyc.Service):
        def exposed_thing(self):
            return Thing()

        def exposed_list(self):
            return [1, 2, 3]

    rights = ("allow_public_attrs", "allow_setattr", "allow_delattr", "allow_pickle")
    return side.serve(Everything, protocol_config=dict.fromkeys(rights, True))


def requests_by_number(side):
    """Every request of the protocol, as programs make them that go by the numbers."""
    consts = importlib.import_module(f"{side.name}.core.consts")
    proxies = importlib.import_module(f"{side.name}.core.netref")
    conn = side.connect(side.far(_serve_everything))
    request, root = conn.sync_request, conn.root
    thing, numbers = root.thing(), root.list()
    assert request(consts.HANDLE_PING, "ping") == "ping" and request(consts.HANDLE_GETROOT) is root
    assert request(consts.HANDLE_GETATTR, thing, "x") == 1
    request(consts.HANDLE_SETATTR, thing, "x", 21)
    assert request(consts.HANDLE_CALLATTR, thing, "double", (1,), (("k", "v"),)) == (42, (1,), (("k", "v"),))
    assert request(consts.HANDLE_CALL, thing.double, (), ()) == (42, (), ())
    request(consts.HANDLE_DELATTR, thing, "x")
    raises(AttributeError, request, consts.HANDLE_GETATTR, thing, "x")
    assert request(consts.HANDLE_REPR, numbers) == request(consts.HANDLE_STR, numbers) == "[1, 2, 3]"
    assert request(consts.HANDLE_REPR, thing) == "a thing"
    assert request(consts.HANDLE_HASH, thing) == hash(thing) and "double" in request(consts.HANDLE_DIR, thing)
    assert request(consts.HANDLE_CMP, numbers, numbers, "__eq__") is True
    assert request(consts.HANDLE_CMP, numbers, root.list(), "__lt__") is False
    assert pickle.loads(request(consts.HANDLE_PICKLE, numbers, pickle.HIGHEST_PROTOCOL)) == [1, 2, 3]
    assert tuple(request(consts.HANDLE_BUFFITER, iter(numbers), 2)) == (1, 2)
    assert list(request(consts.HANDLE_OLDSLICING, numbers, "__getitem__", "__getslice__", 1, 3, ())) == [2, 3]
    assert dict(request(consts.HANDLE_INSPECT, thing.____id_pack__)).keys() >= {"double", "__enter__"}
    assert not request(consts.HANDLE_CTXEXIT, thing, None) and list(thing.left) == [False]
    raises(Exception, request, 1234)
    assert proxies.syncreq(thing, consts.HANDLE_REPR) == "a thing"
    assert proxies.asyncreq(thing, consts.HANDLE_REPR).value == "a thing"
    conn.ping("again")
