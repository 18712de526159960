"""The registry: where servers say what they serve, and clients ask who serves what.

A registry is a server of its own (``netref registry``). Each message is one brine value, in a UDP datagram or on a TCP connection
made for it: ``("RPYC", command, arguments)``, answered with a bare value.
"""

import logging
import selectors
import socket
import time

from netref.core import brine
from netref.core.stream import bound_socket
from netref.utils.registrars import (
    MAGIC,
    MAX_ANSWER,
    MAX_DGRAM_SIZE,
    REGISTRY_PORT,
    RegistryClient,
    TCPRegistryClient,
    UDPRegistryClient,
    keep_registered,
)
from netref.utils.vigilance import LineBudget

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

#: What is registered at most, in pairs of a name and a server: of one host, so that it leaves room for others; and of all.
_MOST_OF_HOST = 2000
_MOST = 100_000
_LOG_RATE = 10  # lines about clients in a second
_PAUSE = 0.01  # seconds, when there is no file descriptor for a client


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
        self._of_host = {}  # host: {(name, port): None}, in the order in which they registered
        self._count = 0  # of all hosts
        self._pruned_all = float("-inf")
        self.pruning_timeout = DEFAULT_PRUNING_TIMEOUT if pruning_timeout is None else pruning_timeout
        self.logger = self._get_logger() if logger is None else logger
        self.allow_listing = allow_listing
        self._lines = LineBudget(_LOG_RATE)
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for waited_for in (self.sock, self._wake_receiver):
            waited_for.setblocking(False)
            self._selector.register(waited_for, selectors.EVENT_READ)

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
            for open_one in (self._selector, self.sock, self._wake_receiver, self._wake_sender):
                open_one.close()
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
            self._log(logging.WARNING, "invalid magic of %s: %.50r", host, magic)
            return None
        function = getattr(self, f"cmd_{command.lower()}", None) if isinstance(command, str) else None
        if function is None:
            self._log(logging.WARNING, "unknown command of %s: %.50r", host, command)
            return None
        try:
            return brine.dump(function(host, *args))
        except Exception as error:
            self._log(logging.WARNING, "cannot do what %s asks for (%s): %.200r", host, command, error)
            return None

    def _log(self, level, text, *args, **kwargs):
        """Logs a line about a client, unless there have been too many already."""
        self._lines.log(self.logger, level, text, *args, **kwargs)

    def cmd_query(self, host, name):
        """Who serves ``name``: a tuple of (host, port), the one that has not registered for longest first."""
        name = name.upper()
        self._prune(name)
        by_age = sorted(self.services.get(name, {}).items(), key=lambda server: server[1])
        servers = _as_fit(address for address, _ in by_age)
        self._log(logging.DEBUG, "querying for %.200r: %.200r", name, servers)
        return servers

    def cmd_list(self, host, filter_host):
        """The names of all services, or of those on the host ``filter_host[0]``; None if listing is not allowed."""
        if not self.allow_listing:
            self._log(logging.DEBUG, "listing is disabled")
            return None
        names = _as_fit(self._names_of(filter_host[0]))
        self._log(logging.DEBUG, "listing services: %.200r", names)
        return names

    def _names_of(self, wanted):
        for name in list(self.services):
            self._prune(name)
            servers = self.services.get(name, ())
            if any(not wanted or host == wanted for host, _ in servers):
                yield name

    def cmd_register(self, host, names, port):
        """Notes that the server at that port of the host that asks serves ``names``."""
        if not all(isinstance(name, str) for name in names):
            raise ValueError("the name of a service is text")
        # A server at a unix socket has its path for a port.
        if not isinstance(port, str) and not (type(port) is int and 0 <= port < 65536):
            raise ValueError("that is no port")
        self._log(logging.DEBUG, "registering %s:%.200r as %.200r", host, port, names)
        for name in names:
            self._add_service(name.upper(), (host, port))
        return "OK"

    def cmd_unregister(self, host, port):
        """Forgets the server at that port of the host that asks."""
        self._log(logging.DEBUG, "unregistering %s:%.200r", host, port)
        for name, other in list(self._of_host.get(host, ())):
            if other == port:
                self._remove_service(name, (host, port))
        return "OK"

    def on_service_added(self, name, addrinfo):
        """Called when a server registers that was not known for ``name``. Override it as needed."""

    def on_service_removed(self, name, addrinfo):
        """Called when a server of ``name`` has unregistered or is forgotten. Override it as needed."""

    def _add_service(self, name, addrinfo):
        servers = self.services.get(name, {})
        known = addrinfo in servers
        if not known:
            host, port = addrinfo
            self._make_room(host)
            self._of_host.setdefault(host, {})[name, port] = None
            self._count += 1
            servers = self.services.setdefault(name, servers)
        servers[addrinfo] = time.time()
        if not known:
            self._tell(self.on_service_added, name, addrinfo)

    def _make_room(self, host):
        """Sees to it that one more server of a host's can be noted, who is no longer there going first.

        :raises MemoryError: if that leaves no room
        """
        if self._is_full(host) and time.monotonic() > self._pruned_all + 1:
            for name in list(self.services):
                self._prune(name)
            self._pruned_all = time.monotonic()
        if self._is_full(host):
            raise MemoryError("too many servers have registered")

    def _is_full(self, host):
        return self._count >= _MOST or len(self._of_host.get(host, ())) >= _MOST_OF_HOST

    def _remove_service(self, name, addrinfo):
        servers = self.services.get(name, {})
        if servers.pop(addrinfo, None) is None:
            return
        if not servers:
            del self.services[name]
        host, port = addrinfo
        self._count -= 1
        del self._of_host[host][name, port]
        if not self._of_host[host]:
            del self._of_host[host]
        self._tell(self.on_service_removed, name, addrinfo)

    def _tell(self, callback, name, addrinfo):
        try:
            callback(name, addrinfo)
        except Exception:
            self._log(logging.ERROR, "error executing a handler of events", exc_info=True)

    def _prune(self, name):
        oldest = time.time() - self.pruning_timeout
        for addrinfo, registered in list(self.services.get(name, {}).items()):
            if registered < oldest:
                self._log(logging.DEBUG, "discarding stale %s:%.200r", *addrinfo)
                self._remove_service(name, addrinfo)

    def _get_logger(self):
        raise NotImplementedError

    def _recv(self):
        """Waits for a request, and returns it and the address that it comes from. ``OSError`` if there is none after all."""
        raise NotImplementedError

    def _send(self, data, addrinfo):
        """Sends an answer. A client that is gone is no error."""
        raise NotImplementedError

    def _forget(self, addrinfo):
        """Called instead of :meth:`_send` where there is no answer."""


class UDPRegistryServer(RegistryServer):
    """A registry that answers datagrams, also those sent to everybody on the network. Parameters as for
    :class:`RegistryServer`, and the address to listen at."""

    TIMEOUT = 1.0  # has no meaning here, and is what programs find in RPyC's

    def __init__(self, host="0.0.0.0", port=REGISTRY_PORT, pruning_timeout=None, logger=None, allow_listing=False):
        sock = bound_socket((host, port), socket.AF_UNSPEC, socket.SOCK_DGRAM)
        super().__init__(sock, pruning_timeout, logger, allow_listing)

    def _get_logger(self):
        return logging.getLogger(f"REGSRV/UDP/{self.port}")

    def _recv(self):
        self._selector.select()
        return self.sock.recvfrom(MAX_DGRAM_SIZE)

    def _send(self, data, addrinfo):
        try:
            self.sock.sendto(data, addrinfo)
        except OSError as error:
            self._log(logging.DEBUG, "cannot answer %s: %s", addrinfo, error)


class TCPRegistryServer(RegistryServer):
    """A registry for networks that datagrams do not cross. Parameters as for :class:`RegistryServer`, the address to listen at,
    and whether to take a port that was in use a moment ago."""

    TIMEOUT = 3.0  # seconds that a client has to say what it wants
    _MAX_CLIENTS = 200  # that have not; beyond that, who has been silent for longest is hung up on

    def __init__(
        self, host="0.0.0.0", port=REGISTRY_PORT, pruning_timeout=None, logger=None, reuse_addr=True, allow_listing=False
    ):
        sock = bound_socket((host, port), socket.AF_UNSPEC, reuse_addr=reuse_addr)
        sock.listen(socket.SOMAXCONN)
        super().__init__(sock, pruning_timeout, logger, allow_listing)
        self._connected_sockets = {}  # address: (socket, when it has to have said what it wants), the first to come first

    def _get_logger(self):
        return logging.getLogger(f"REGSRV/TCP/{self.port}")

    def _work(self):
        try:
            super()._work()
        finally:
            for address in list(self._connected_sockets):
                self._forget(address)

    def _recv(self):
        now = time.monotonic()
        while (oldest := next(iter(self._connected_sockets.items()), None)) and oldest[1][1] <= now:
            self._forget(oldest[0])
        for key, _ in self._selector.select(oldest and oldest[1][1] - now):
            if key.fileobj is self.sock:
                self._accept()
            elif key.data in self._connected_sockets:
                try:
                    return key.fileobj.recv(MAX_DGRAM_SIZE), key.data
                except OSError:
                    self._forget(key.data)
        raise BlockingIOError("no request yet")

    def _accept(self):
        if len(self._connected_sockets) >= self._MAX_CLIENTS:
            self._forget_the_oldest()
        try:
            client, address = self.sock.accept()
        except (BlockingIOError, ConnectionError):
            return  # it has hung up already
        except OSError:  # no file descriptor, most likely
            self._forget_the_oldest()
            time.sleep(_PAUSE)
            return
        client.setblocking(False)
        # Room for any answer, so that none has to wait until the client reads it.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_ANSWER)
        self._connected_sockets[address] = client, time.monotonic() + self.TIMEOUT
        self._selector.register(client, selectors.EVENT_READ, address)

    def _send(self, data, addrinfo):
        with self._let_go(addrinfo) as client:
            try:
                client.sendall(data)
            except OSError as error:
                self._log(logging.DEBUG, "cannot answer %s: %s", addrinfo, error)

    def _forget(self, addrinfo):
        self._let_go(addrinfo).close()

    def _forget_the_oldest(self):
        for address in list(self._connected_sockets)[:1]:
            self._forget(address)

    def _let_go(self, addrinfo):
        client, _ = self._connected_sockets.pop(addrinfo)
        self._selector.unregister(client)
        return client


def _as_fit(values):
    """As many of the values, from the first, as an answer has room for."""
    fitting = []
    size = 0
    for value in values:
        size += len(brine.dump(value))
        if size > MAX_ANSWER - 16:
            break
        fitting.append(value)
    return tuple(fitting)
