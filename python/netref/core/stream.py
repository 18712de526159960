"""Byte streams that a connection can run over."""

import errno
import os
import select
import socket
import sys

from netref.core import consts
from netref.lib import Timeout, socket_backoff_connect

#: What a call that does not block says when there is nothing to do.
retry_errnos = (errno.EAGAIN, errno.EWOULDBLOCK)


class ClosedFile:
    """What a closed stream has in place of its socket: every use is an ``EOFError``."""

    __slots__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError("stream has been closed")
        raise EOFError("stream has been closed")

    def close(self):
        """Does nothing: it is closed."""

    @property
    def closed(self):
        return True

    def fileno(self):
        raise EOFError("stream has been closed")


ClosedFile = ClosedFile()


class Stream:
    """What every stream can do. Derive from it to run connections over something of your own."""

    __slots__ = ()

    def close(self):
        """Closes the stream, releasing what it holds."""
        raise NotImplementedError

    @property
    def closed(self):
        """Whether the stream is closed."""
        raise NotImplementedError

    def fileno(self):
        """The file descriptor to wait on."""
        raise NotImplementedError

    def poll(self, timeout):
        """Whether there is something to read, or the end of it, after waiting.

        :param timeout: seconds, or a :class:`netref.lib.Timeout`; None for ever
        :raises EOFError: if the stream is closed
        :raises OSError: if it cannot be waited on
        """
        limit = Timeout(timeout)
        try:
            if not hasattr(select, "poll"):
                return bool(select.select([self], [], [], limit.timeleft())[0])
            poller = select.poll()
            poller.register(self.fileno(), select.POLLIN | select.POLLPRI)
            return bool(poller.poll(limit.timeleft() * 1000 if limit.finite else None))
        except ValueError as error:
            raise OSError(f"the stream cannot be waited on: {error}") from error

    def read(self, count):
        """Exactly ``count`` bytes; ``EOFError`` if the stream ends first."""
        raise NotImplementedError

    def write(self, data):
        """Writes all of ``data``."""
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()


class SocketStream(Stream):
    """A stream over a connected socket, which is its attribute ``sock``."""

    __slots__ = ("sock",)

    MAX_IO_CHUNK = consts.STREAM_CHUNK

    def __init__(self, sock):
        self.sock = sock

    @classmethod
    def _connect(
        cls,
        host,
        port,
        family=socket.AF_INET,
        socktype=socket.SOCK_STREAM,
        proto=0,
        timeout=3,
        nodelay=False,
        keepalive=False,
        attempts=6,
    ):
        try:
            family, socktype, proto, _, address = socket.getaddrinfo(host, port, family, socktype, proto)[0]
            sock = socket_backoff_connect(family, socktype, proto, address, timeout, attempts)
        except OSError as error:
            _say_where(error, f"{host} port {port}")
            raise
        try:
            # Always: two small messages in a row must not wait for each other's acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if keepalive:
                _set_keepalive(sock, keepalive)
        except BaseException:
            sock.close()
            raise
        return sock

    @classmethod
    def connect(cls, host, port, **kwargs):
        """Connects to a TCP server.

        :param host: its name or address
        :param port: its port
        :keyword ipv6: whether to use IPv6
        :keyword timeout: seconds for an attempt to connect
        :keyword attempts: how many attempts to make
        :keyword nodelay: accepted; messages are never delayed
        :keyword keepalive: True, or seconds of idleness before TCP asks whether the peer is there
        :keyword family, socktype, proto: of the socket
        :raises OSError: if there is nobody to connect to
        """
        if kwargs.pop("ipv6", False):
            kwargs["family"] = socket.AF_INET6
        return cls(cls._connect(host, port, **kwargs))

    @classmethod
    def unix_connect(cls, path, timeout=3):
        """Connects to the unix socket at ``path``."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(path)
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError) and error.errno is not None:
                error.filename = path
            raise
        return cls(sock)

    @classmethod
    def ssl_connect(cls, host, port, ssl_kwargs, **kwargs):
        """Connects to a TCP server and does a TLS handshake with it.

        :param ssl_kwargs: ``ssl_version``, ``certfile``, ``keyfile``, ``ca_certs``, ``ciphers``, ``check_hostname`` and
            ``cert_reqs`` for the ``ssl.SSLContext``; what is left is for its ``wrap_socket``
        :param kwargs: as for :meth:`connect`
        :raises OSError: if there is nobody to connect to
        :raises ssl.SSLError: if the handshake fails
        """
        if kwargs.pop("ipv6", False):
            kwargs["family"] = socket.AF_INET6
        sock = cls._connect(host, port, **kwargs)
        try:
            context, options = _client_context(dict(ssl_kwargs))
            return cls(context.wrap_socket(sock, server_hostname=host, **options))
        except BaseException:
            sock.close()
            raise

    @property
    def closed(self):
        return self.sock is ClosedFile

    def close(self):
        if not self.closed:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the peer was faster
        self.sock.close()
        self.sock = ClosedFile

    def fileno(self):
        try:
            return self.sock.fileno()
        except OSError as error:
            self.close()
            raise EOFError(f"stream has been closed: {error}") from error

    def read(self, count):
        chunks = []
        while count > 0:
            try:
                chunk = self.sock.recv(min(self.MAX_IO_CHUNK, count))
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                    self.poll(None)
                    continue
                self.close()
                raise EOFError(str(error)) from error
            if not chunk:
                self.close()
                raise EOFError("connection closed by peer")
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)

    def write(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            self.close()
            raise EOFError(str(error)) from error


class TunneledSocketStream(SocketStream):
    """A stream over a socket that leads into a tunnel, its attribute ``tun``, which is closed along with it."""

    __slots__ = ("tun",)

    def __init__(self, sock):
        super().__init__(sock)
        self.tun = None

    def close(self):
        super().close()
        if self.tun:
            self.tun.close()


class PipeStream(Stream):
    """A stream over two pipes, one for each direction.

    :param incoming: a file to read from
    :param outgoing: a file to write to
    """

    __slots__ = ("incoming", "outgoing")

    MAX_IO_CHUNK = consts.STREAM_CHUNK

    def __init__(self, incoming, outgoing):
        outgoing.flush()
        self.incoming = incoming
        self.outgoing = outgoing

    @classmethod
    def from_std(cls):
        """A stream over standard input and output. What the program prints from then on goes nowhere."""
        stream = cls(sys.stdin, sys.stdout)
        sys.stdin, sys.stdout = open(os.devnull), open(os.devnull, "w")  # noqa: SIM115
        return stream

    @classmethod
    def create_pair(cls):
        """Two streams that lead to each other."""
        left_in, right_out = os.pipe()
        right_in, left_out = os.pipe()
        left = cls(os.fdopen(left_in, "rb"), os.fdopen(left_out, "wb"))
        right = cls(os.fdopen(right_in, "rb"), os.fdopen(right_out, "wb"))
        return left, right

    @property
    def closed(self):
        return self.incoming is ClosedFile

    def close(self):
        incoming, outgoing = self.incoming, self.outgoing
        self.incoming = self.outgoing = ClosedFile
        incoming.close()
        try:
            outgoing.close()
        except OSError:
            pass  # what was buffered has nobody to go to

    def fileno(self):
        return self.incoming.fileno()

    def read(self, count):
        chunks = []
        while count > 0:
            try:
                chunk = os.read(self.incoming.fileno(), min(self.MAX_IO_CHUNK, count))
            except OSError as error:
                self.close()
                raise EOFError(error) from error
            if not chunk:
                self.close()
                raise EOFError("connection closed by peer")
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)

    def write(self, data):
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.outgoing.fileno(), rest[: self.MAX_IO_CHUNK]) :]
        except OSError as error:
            self.close()
            raise EOFError(error) from error


def _set_keepalive(sock, idle):
    """Has TCP ask an idle peer whether it is there, and give up after five questions.

    :param idle: seconds before the first question, and between questions; True for 60
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if not all(hasattr(socket, option) for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")):
        return
    seconds = 60 if idle is True else idle
    if seconds < 1:
        raise ValueError("Keepalive minimal value is 1 second")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5)


class Win32PipeStream(Stream):
    """A stream over two pipes of Windows, by name: programs that run everywhere ask for it everywhere. As in RPyC away from
    Windows, there are no instances.
    """

    __slots__ = ()

    PIPE_BUFFER_SIZE = 130000
    MAX_IO_CHUNK = consts.STREAM_CHUNK

    def __init__(self, incoming, outgoing):
        raise ImportError(f"{type(self).__name__} needs Windows, for which there is no netref; PipeStream is for other systems")

    @classmethod
    def from_std(cls):
        """A stream over standard input and output."""
        return cls(sys.stdin, sys.stdout)

    @classmethod
    def create_pair(cls):
        """Two streams that are connected to each other."""
        return cls(None, None), cls(None, None)


class NamedPipeStream(Win32PipeStream):
    """A stream over a named pipe of Windows, as little as the other."""

    __slots__ = ()

    NAMED_PIPE_PREFIX = r"\\.\pipe\rpyc_"
    PIPE_IO_TIMEOUT = 3
    CONNECT_TIMEOUT = 3

    def __init__(self, handle, is_server_side):
        super().__init__(handle, handle)

    @classmethod
    def from_std(cls):
        """There is none."""
        raise NotImplementedError

    @classmethod
    def create_pair(cls):
        """There is none."""
        raise NotImplementedError

    @classmethod
    def create_server(cls, pipename, connect=True):
        """A stream to whoever connects to the pipe."""
        return cls(None, True)

    @classmethod
    def create_client(cls, pipename):
        """A stream to whoever has made the pipe."""
        return cls(None, False)


def _client_context(options):
    """An ``ssl.SSLContext``, and those of the options that are not about it."""
    import ssl  # takes long to import, and few need it

    version = options.pop("ssl_version", None)
    context = ssl.create_default_context() if version is None else ssl.SSLContext(version)
    certfile, keyfile = options.pop("certfile", None), options.pop("keyfile", None)
    if certfile is not None:
        context.load_cert_chain(certfile, keyfile=keyfile)
    if (ca_certs := options.pop("ca_certs", None)) is not None:
        context.load_verify_locations(ca_certs)
    if (ciphers := options.pop("ciphers", None)) is not None:
        context.set_ciphers(ciphers)
    # In this order: a context that checks names refuses to verify nothing.
    if (check_hostname := options.pop("check_hostname", None)) is not None:
        context.check_hostname = check_hostname
    if (verify_mode := options.pop("cert_reqs", None)) is not None:
        context.verify_mode = verify_mode
    return context, options


def bound_socket(address, family, kind=socket.SOCK_STREAM, reuse_addr=False):
    """A socket at an address of this machine: a host and a port, or the path of a unix socket."""
    where, found = address, address
    try:
        if isinstance(address, tuple):
            where = f"{address[0] or 'any host'} port {address[1]}"
            family, kind, _, _, found = socket.getaddrinfo(*address, family, kind, 0, socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind)
        try:
            if reuse_addr and sys.platform != "win32":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(found)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        _say_where(error, where)
        raise
    return sock


def _say_where(error, where):
    """Adds to an error of the system which address it was that could not be connected to, or listened at, which it leaves out."""
    if isinstance(error, ConnectionRefusedError):
        where += ": nothing listens there; check the port, and that the server is running"
    if error.strerror is None:
        error.args = (f"{error} ({where})",)
    else:
        error.strerror = f"{error.strerror} ({where})"
