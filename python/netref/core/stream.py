"""Byte streams that a connection can run over."""

import errno
import select
import socket

from netref.core import consts
from netref.lib import socket_backoff_connect


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
        """Whether there is something to read, after waiting for at most ``timeout`` seconds (None: for ever)."""
        timeout = None if timeout is None else _seconds_left(timeout)
        try:
            if hasattr(select, "poll"):
                poller = select.poll()
                poller.register(self.fileno(), select.POLLIN)
                return bool(poller.poll(None if timeout is None else max(0, timeout) * 1000))
            return bool(select.select([self], [], [], timeout)[0])
        except (OSError, ValueError) as error:
            raise EOFError(f"stream has been closed: {error}") from error

    def read(self, count):
        """Exactly ``count`` bytes; ``EOFError`` if the stream ends first."""
        raise NotImplementedError

    def write(self, data):
        """Writes all of ``data``."""
        raise NotImplementedError


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
        family, socktype, proto, _, address = socket.getaddrinfo(host, port, family, socktype, proto)[0]
        sock = socket_backoff_connect(family, socktype, proto, address, timeout, attempts)
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
        :keyword keepalive: True, or seconds of idleness before TCP asks whether the peer is there
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
        except BaseException:
            sock.close()
            raise
        return cls(sock)

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


def _seconds_left(timeout):
    """A number of seconds, or what is left of a :class:`netref.lib.Timeout`."""
    left = getattr(timeout, "timeleft", None)
    return timeout if left is None else left()


def _set_keepalive(sock, idle):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if idle is not True:
        for option, value in (("TCP_KEEPIDLE", idle), ("TCP_KEEPINTVL", idle), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(value))


