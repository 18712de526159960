"""Ways to connect.

All of them take the service that the peer gets from this side, and settings, see
:data:`netref.core.protocol.DEFAULT_CONFIG`.
"""

import _thread
import atexit
import contextlib
import socket
import threading
import weakref

from netref.core.channel import Channel
from netref.core.service import VoidService
from netref.core.stream import PipeStream, SocketStream, TunneledSocketStream
from netref.core.timeouts import timeout as time_limit
from netref.lib import Timeout, spawn
from netref.lib.compat import poll

_DISCOVERY = frozenset(["DiscoveryError", "ForbiddenError", "connect_by_service", "discover", "list_services"])


def __getattr__(name):
    if name in _DISCOVERY:
        from netref.utils import discovery

        return getattr(discovery, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def connect_channel(channel, service=VoidService, config={}):
    """A connection over a channel."""
    return service._connect(channel, config)


def connect_stream(stream, service=VoidService, config={}):
    """A connection over a stream."""
    return connect_channel(Channel(stream), service=service, config=config)


def connect_pipes(input, output, service=VoidService, config={}):
    """A connection over two pipes.

    :param input: a file to read from
    :param output: a file to write to
    """
    return connect_stream(PipeStream(input, output), service=service, config=config)


def connect_stdpipes(service=VoidService, config={}):
    """A connection over standard input and output, for a program that was started with :func:`connect_subproc`."""
    return connect_stream(PipeStream.from_std(), service=service, config=config)


def connect(host, port, service=VoidService, config={}, ipv6=False, keepalive=False, *, timeout=None):
    """Connects to a server over TCP.

    :param host: its name or address
    :param port: its port
    :param ipv6: whether to use IPv6
    :param keepalive: whether TCP shall ask now and then whether the server is there; or seconds between questions
    :param timeout: seconds that all of it may take, the server's root included, which is fetched then; without it, an attempt to
        reach the server's machine takes 3 seconds at most, and nothing is fetched. How long names are looked up is not for this
        program to say
    :raises OSError: if there is nobody to connect to
    :raises TimeoutError: if it takes longer
    """

    def open_stream(**options):
        return SocketStream.connect(host, port, ipv6=ipv6, keepalive=keepalive, **options)

    if timeout is None:
        return connect_stream(open_stream(), service, config)
    return _connect_within(timeout, f"{host}:{port}", lambda limit: open_stream(**_once(limit)), service, config)


def unix_connect(path, service=VoidService, config={}, *, timeout=None):
    """Connects to a server over the unix socket at ``path``.

    :param timeout: as for :func:`connect`
    :raises OSError: if there is nobody to connect to
    :raises TimeoutError: if it takes longer
    """
    if timeout is None:
        return connect_stream(SocketStream.unix_connect(path), service, config)
    return _connect_within(timeout, path, lambda limit: SocketStream.unix_connect(path, limit.timeleft()), service, config)


def ssl_connect(
    host,
    port,
    keyfile=None,
    certfile=None,
    ca_certs=None,
    cert_reqs=None,
    ssl_version=None,
    ciphers=None,
    service=VoidService,
    config={},
    ipv6=False,
    keepalive=False,
    verify_mode=None,
    *,
    timeout=None,
):
    """Connects to a server over TCP and TLS. Other parameters as for :func:`connect`.

    :param keyfile: path of this side's key
    :param certfile: path of this side's certificate
    :param ca_certs: path of the certificates that the server's one is verified with
    :param cert_reqs: what is required of the server, ``ssl.CERT_*``; with ``ca_certs``, a certificate, without, nothing. The
        server's name is checked only where this is given and ``ssl_version`` does not say otherwise
    :param ssl_version: an ``ssl.PROTOCOL_*``; the best that both sides know by default
    :param ciphers: for ``ssl.SSLContext.set_ciphers``
    :param verify_mode: as ``cert_reqs``, for where neither that nor ``ca_certs`` is given
    :raises OSError: if there is nobody to connect to
    :raises ssl.SSLError: if the handshake fails
    """
    import ssl  # takes long to import, and few need it

    if cert_reqs is not None:
        required = cert_reqs
    elif ca_certs is not None:
        required = ssl.CERT_REQUIRED
    else:
        required = ssl.CERT_NONE if verify_mode is None else verify_mode
    optional = {
        "keyfile": keyfile,
        "certfile": certfile,
        "ca_certs": ca_certs,
        "ssl_version": ssl_version,
        "ciphers": ciphers,
        # A certificate that is not required has no name to check.
        "check_hostname": False if cert_reqs in (None, ssl.CERT_NONE) else None,
    }
    options = {name: value for name, value in optional.items() if value is not None}
    options |= {"server_side": False, "cert_reqs": required}

    def open_stream(**more):
        return SocketStream.ssl_connect(host, port, options, ipv6=ipv6, keepalive=keepalive, **more)

    def open_within(limit):
        options["do_handshake_on_connect"] = False
        stream = open_stream(**_once(limit))
        _shake_hands(stream.sock, limit)
        return stream

    if timeout is None:
        return connect_stream(open_stream(), service, config)
    return _connect_within(timeout, f"{host}:{port}", open_within, service, config)


def _connect_within(timeout, where, open_stream, service, config):
    """Connects over the stream that ``open_stream(limit)`` opens and fetches the root, within ``timeout`` seconds in all."""
    limit = Timeout(timeout)
    conn = None
    try:
        conn = connect_stream(open_stream(limit), service, config)
        with time_limit(limit.timeleft()):
            _ = conn.root  # which the connection keeps
        return conn
    except BaseException as error:
        if conn is not None:
            conn._hang_up()
        if isinstance(error, TimeoutError):
            raise TimeoutError(f"no connection to {where} within {timeout} s (parameter timeout): {error}") from error
        raise


def _once(limit):
    """For a stream that is to be connected in what is left of a time limit."""
    return {"timeout": limit.timeleft(), "attempts": 1}


def _shake_hands(sock, limit):
    """Does a TLS handshake within a time limit, however the peer spreads what it sends."""
    import ssl

    blocks_for = sock.gettimeout()
    sock.setblocking(False)
    try:
        while True:
            polled = poll()
            try:
                sock.do_handshake()
                break
            except ssl.SSLWantReadError:
                polled.register(sock, "r")
            except ssl.SSLWantWriteError:
                polled.register(sock, "w")
            if not polled.poll(limit.timeleft()):
                raise TimeoutError("the TLS handshake was not over")
    except BaseException:
        sock.close()
        raise
    sock.settimeout(blocks_for)


# Two threads must not find the same port free.
_tunnel_lock = threading.Lock()


def ssh_connect(remote_machine, remote_port, service=VoidService, config={}):
    """Connects to a server through an ssh tunnel, which is closed along with the connection.

    :param remote_machine: a machine of plumbum's, such as ``plumbum.SshMachine``
    :param remote_port: the server's port over there
    """
    with _tunnel_lock:
        local_port = _get_free_port()
        tunnel = remote_machine.tunnel(local_port, remote_port)
        try:
            stream = TunneledSocketStream.connect("localhost", local_port)
        except BaseException:
            tunnel.close()
            raise
        stream.tun = tunnel
    return connect_stream(stream, service, config)


def _get_free_port():
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("localhost", 0))
        return sock.getsockname()[1]


def connect_subproc(args, service=VoidService, config={}):
    """Starts a program that serves on its standard input and output, and connects to it.

    :param args: the command, for ``subprocess.Popen``
    :returns: the connection, whose attribute ``proc`` is the process
    """
    from subprocess import PIPE, Popen

    process = Popen(args, stdin=PIPE, stdout=PIPE)
    conn = connect_pipes(process.stdout, process.stdin, service=service, config=config)
    conn.proc = process
    return conn


def connect_thread(service=VoidService, config={}, remote_service=VoidService, remote_config={}):
    """Connects to a service that a new thread of this process serves, over a socket.

    :param remote_service: what the thread serves
    :param remote_config: its settings
    """
    with contextlib.closing(_listener()) as listener:
        # Once it listens it can be connected to, before the thread accepts.
        client = SocketStream.connect(*listener.getsockname())
        spawn(_serve_one, listener.accept()[0], remote_service, remote_config)
        return connect_stream(client, service, config)


def connect_multiprocess(service=VoidService, config={}, remote_service=VoidService, remote_config={}, args={}):
    """Connects to a service that a new process serves, over a socket.

    :param remote_service: what the process serves
    :param remote_config: its settings
    :param args: names for the service's namespace; among them can be memory that ``multiprocessing`` shares
    """
    from multiprocessing import Process

    with contextlib.closing(_listener()) as listener:
        client = SocketStream.connect(*listener.getsockname())
        sock = listener.accept()[0]
    try:
        with contextlib.closing(sock):
            Process(target=_serve_one, args=(sock, remote_service, remote_config, args, client)).start()
    except BaseException:
        client.close()
        raise
    conn = connect_stream(client, service, config)
    _to_children.add(conn)
    # At exit multiprocessing waits for its children, and these serve until the connection ends: so it comes before that.
    atexit.unregister(_leave_children)
    atexit.register(_leave_children)
    return conn


#: Connections to processes that were started for them.
_to_children = weakref.WeakSet()


def _leave_children():
    for conn in list(_to_children):
        conn.close()


def _listener():
    listener = socket.socket()
    listener.bind(("localhost", 0))
    listener.listen(1)
    return listener


def _serve_one(sock, service, config, names=None, inherited=None):
    """Serves one client.

    :param names: what to add to the service's namespace
    :param inherited: the client's end, which a child has a copy of
    """
    if inherited is not None:
        inherited.sock.close()  # no shutdown: the parent goes on using it
    try:
        if names and not _is_void(service):
            # Before the client can look: it is answered from the moment that the connection is made.
            service = service() if isinstance(service, type) else service
            space = service.namespace if hasattr(service, "namespace") else service.exposed_namespace
            space.update(names)
        connect_stream(SocketStream(sock), service=service, config=config).serve_all()
    except KeyboardInterrupt:
        _thread.interrupt_main()


def _is_void(service):
    return issubclass(service if isinstance(service, type) else type(service), VoidService)
