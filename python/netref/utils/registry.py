"""The registry: where servers say what they serve, and clients ask who serves what.

A registry is a server of its own (``netref registry``). Each message is one brine value, in a UDP datagram or on a TCP connection
made for it: ``("RPYC", command, arguments)``, answered with a bare value.
"""

import logging
import select
import socket
import sys
import time

from netref.core import brine
from netref.utils.registrars import (
    MAGIC,
    MAX_DGRAM_SIZE,
    REGISTRY_PORT,
    RegistryClient,
    TCPRegistryClient,
    UDPRegistryClient,
    keep_registered,
)

__all__ = [
    "DEFAULT_PRUNING_TIMEOUT",
    "MAX_DGRAM_SIZE",
    "REGISTRY_PORT",
    "RegistryClient",
    "RegistryServer",
    "TCPRegistryClient",
    "TCPRegistryServer",
    "UDPRegistryClient",
    "UDPRegistryServer",
    "keep_registered",
]

DEFAULT_PRUNING_TIMEOUT = 4 * 60  # seconds


class RegistryServer:
    """What both registries share: who serves what, and the commands that ask and tell.

    :param listenersock: the bound socket
    :param pruning_timeout: seconds after which a server that did not register again is forgotten
    :param logger: where to log
    :param allow_listing: whether clients may list all services
    """

    def __init__(self, listenersock, pruning_timeout=None, logger=None, allow_listing=False):
        self.sock = listenersock
        self.port = self.sock.getsockname()[1]
        self.active = False
        self.services = {}  # name: {(host, port): when it last registered}
        self.pruning_timeout = DEFAULT_PRUNING_TIMEOUT if pruning_timeout is None else pruning_timeout
        self.logger = self._get_logger() if logger is None else logger
        self.allow_listing = allow_listing
        self._wake_receiver, self._wake_sender = socket.socketpair()

    def start(self):
        """Serves until :meth:`close`, on the calling thread.

        :raises ValueError: if it runs already, or has run
        """
        if self.active:
            raise ValueError("server is already running")
        if self.sock is None:
            raise ValueError("object disposed")
        self.logger.debug("server started on %s:%s", *self.sock.getsockname()[:2])
        self.active = True
        try:
            self._work()
        except KeyboardInterrupt:
            self.logger.warning("User interrupt!")
        finally:
            self.active = False
            for sock in (self.sock, self._wake_receiver, self._wake_sender):
                sock.close()
            self.sock = None
            self.logger.debug("server closed")

    def close(self):
        """Ends :meth:`start`, at once if it waits for a request.

        :raises ValueError: if the server does not run
        """
        if not self.active:
            raise ValueError("server is not running")
        self.logger.debug("stopping server...")
        self.active = False
        try:
            self._wake_sender.send(b"\0")
        except OSError:
            pass  # it has ended in between

    def _work(self):
        while self.active:
            ready, _, _ = select.select([self.sock, self._wake_receiver], [], [])
            if self.sock not in ready:
                continue
            try:
                data, address = self._recv()
            except OSError:
                continue
            reply = self._answer(data, address[0])
            if reply is None:
                self._forget(address)
            else:
                self._send(reply, address)

    def _answer(self, data, host):
        """The bytes to answer a request with, or None if it deserves no answer: what is wrong is not reported to strangers."""
        try:
            magic, command, args = brine.load(data)
        except Exception:
            return None
        if magic != MAGIC:
            self.logger.warning("invalid magic: %r", magic)
            return None
        function = getattr(self, f"cmd_{command.lower()}", None) if isinstance(command, str) else None
        if function is None:
            self.logger.warning("unknown command: %r", command)
            return None
        try:
            return brine.dump(function(host, *args))
        except Exception:
            self.logger.exception("error executing function")
            return None

    def cmd_query(self, host, name):
        """Who serves ``name``: a tuple of (host, port), the one that has not registered for longest first."""
        name = name.upper()
        self._prune(name)
        by_age = sorted(self.services.get(name, {}).items(), key=lambda server: server[1])
        servers = tuple(address for address, _ in by_age)
        self.logger.debug("querying for %r: %r", name, servers)
        return servers

    def cmd_list(self, host, filter_host):
        """The names of all services, or of those on the host ``filter_host[0]``; None if listing is not allowed."""
        if not self.allow_listing:
            self.logger.debug("listing is disabled")
            return None
        wanted = filter_host[0]
        for name in list(self.services):
            self._prune(name)
        names = tuple(
            name
            for name, servers in self.services.items()
            if not wanted or any(server_host == wanted for server_host, _ in servers)
        )
        self.logger.debug("listing services: %r", names)
        return names

    def cmd_register(self, host, names, port):
        """Notes that the server at that port of the host that asks serves ``names``."""
        self.logger.debug("registering %s:%s as %s", host, port, ", ".join(names))
        for name in names:
            self._add_service(name.upper(), (host, port))
        return "OK"

    def cmd_unregister(self, host, port):
        """Forgets the server at that port of the host that asks."""
        self.logger.debug("unregistering %s:%s", host, port)
        for name, servers in list(self.services.items()):
            if (host, port) in servers:
                self._remove_service(name, (host, port))
        return "OK"

    def on_service_added(self, name, addrinfo):
        """Called when a server registers that was not known for ``name``. Override it as needed."""

    def on_service_removed(self, name, addrinfo):
        """Called when a server of ``name`` has unregistered or is forgotten. Override it as needed."""

    def _add_service(self, name, addrinfo):
        servers = self.services.setdefault(name, {})
        known = addrinfo in servers
        servers[addrinfo] = time.time()
        if not known:
            self._tell(self.on_service_added, name, addrinfo)

    def _remove_service(self, name, addrinfo):
        servers = self.services.get(name, {})
        if servers.pop(addrinfo, None) is None:
            return
        if not servers:
            del self.services[name]
        self._tell(self.on_service_removed, name, addrinfo)

    def _tell(self, callback, name, addrinfo):
        try:
            callback(name, addrinfo)
        except Exception:
            self.logger.exception("error executing %s", callback.__name__)

    def _prune(self, name):
        oldest = time.time() - self.pruning_timeout
        for addrinfo, registered in list(self.services.get(name, {}).items()):
            if registered < oldest:
                self.logger.debug("discarding stale %s:%s", *addrinfo)
                self._remove_service(name, addrinfo)

    def _get_logger(self):
        raise NotImplementedError

    def _recv(self):
        """The next request and the address that it comes from. ``OSError`` if there is none after all."""
        raise NotImplementedError

    def _send(self, data, addrinfo):
        """Sends an answer. A client that is gone is no error."""
        raise NotImplementedError

    def _forget(self, addrinfo):
        """Called instead of :meth:`_send` where there is no answer."""


class UDPRegistryServer(RegistryServer):
    """A registry that answers datagrams, also those sent to everybody on the network. Parameters as for
    :class:`RegistryServer`, and the address to listen at."""

    TIMEOUT = 1.0

    def __init__(self, host="0.0.0.0", port=REGISTRY_PORT, pruning_timeout=None, logger=None, allow_listing=False):
        sock = _bound_socket(host, port, socket.SOCK_DGRAM, reuse_addr=False)
        sock.settimeout(self.TIMEOUT)
        super().__init__(sock, pruning_timeout, logger, allow_listing)

    def _get_logger(self):
        return logging.getLogger(f"REGSRV/UDP/{self.port}")

    def _recv(self):
        return self.sock.recvfrom(MAX_DGRAM_SIZE)

    def _send(self, data, addrinfo):
        try:
            self.sock.sendto(data, addrinfo)
        except OSError as error:
            self.logger.debug("cannot answer %s: %s", addrinfo, error)


class TCPRegistryServer(RegistryServer):
    """A registry for networks that datagrams do not cross. Parameters as for :class:`RegistryServer`, the address to listen at,
    and whether to take a port that was in use a moment ago."""

    TIMEOUT = 3.0  # seconds that a client has to say what it wants, during which others wait

    def __init__(
        self, host="0.0.0.0", port=REGISTRY_PORT, pruning_timeout=None, logger=None, reuse_addr=True, allow_listing=False
    ):
        sock = _bound_socket(host, port, socket.SOCK_STREAM, reuse_addr)
        sock.listen(10)
        sock.settimeout(self.TIMEOUT)
        super().__init__(sock, pruning_timeout, logger, allow_listing)
        self._connected_sockets = {}

    def _get_logger(self):
        return logging.getLogger(f"REGSRV/TCP/{self.port}")

    def _recv(self):
        client, address = self.sock.accept()
        client.settimeout(self.TIMEOUT)
        try:
            data = client.recv(MAX_DGRAM_SIZE)
        except OSError:
            client.close()
            raise
        self._connected_sockets[address] = client
        return data, address

    def _send(self, data, addrinfo):
        with self._connected_sockets.pop(addrinfo) as client:
            try:
                client.sendall(data)
            except OSError as error:
                self.logger.debug("cannot answer %s: %s", addrinfo, error)

    def _forget(self, addrinfo):
        self._connected_sockets.pop(addrinfo).close()


def _bound_socket(host, port, kind, reuse_addr):
    family, kind, proto, _, address = socket.getaddrinfo(host, port, 0, kind)[0]
    sock = socket.socket(family, kind, proto)
    try:
        if reuse_addr and sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
