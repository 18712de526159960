"""What servers and clients use to talk to a registry. Programs import it from :mod:`netref.utils.registry`."""

import contextlib
import logging
import socket
import time

from netref.core import brine
from netref.lib import Timeout

MAGIC = "RPYC"
MAX_DGRAM_SIZE = 1500  # bytes
REGISTRY_PORT = 18811

MAX_ANSWER = 60_000  # bytes; a list of services outgrows a datagram of usual size
_ACTIVITY_CHECK = 0.5  # seconds


class RegistryClient:
    """What both clients, also called registrars, share.

    :param ip: the registry's address
    :param port: its port
    :param timeout: seconds to wait for its answer
    :param logger: where to log
    """

    REREGISTER_INTERVAL = 60  # seconds

    def __init__(self, ip, port, timeout, logger=None):
        self.ip = ip
        self.port = port
        self.timeout = timeout
        self.logger = self._get_logger() if logger is None else logger

    def discover(self, name):
        """Who serves ``name``.

        :returns: a tuple of (host, port); empty if nobody does, or if no registry answers
        :raises OSError: if the registry cannot be asked
        """
        reply = self._ask("QUERY", (name,), ())
        return tuple(server for server in reply if _is_server(server)) if isinstance(reply, tuple) else ()

    def list(self, filter_host=None):
        """Which services there are.

        :param filter_host: the address of the host to list the services of; all by default
        :returns: a tuple of names, empty if no registry answers; None if the registry does not allow it
        :raises OSError: if the registry cannot be asked
        """
        reply = self._ask("LIST", ((filter_host,),), ())
        if reply is None:
            return None
        return tuple(name for name in reply if isinstance(name, str)) if isinstance(reply, tuple) else ()

    def register(self, aliases, port, interface=""):
        """Tells the registry that a server of this host serves ``aliases``.

        :param port: the server's port
        :param interface: the address to tell it from, which clients will connect to
        :returns: whether the registry took note
        """
        raise NotImplementedError

    def unregister(self, port):
        """Tells the registry that the server at that port of this host is gone."""
        raise NotImplementedError

    def _ask(self, command, args, default):
        """The registry's answer, or ``default`` if there is none."""
        raise NotImplementedError

    def _get_logger(self):
        raise NotImplementedError


class UDPRegistryClient(RegistryClient):
    """Talks to a registry by datagrams, to whichever answers first on this network unless told which.

    :param ip: the registry's address, or a broadcast address
    :param port: its port
    :param timeout: seconds to wait for its answer
    :param bcast: whether ``ip`` is a broadcast address; by default, whether it looks like one
    :param logger: where to log
    :param ipv6: whether to use IPv6
    """

    def __init__(self, ip="255.255.255.255", port=REGISTRY_PORT, timeout=2, bcast=None, logger=None, ipv6=False):
        super().__init__(ip=ip, port=port, timeout=timeout, logger=logger)
        self.sock_family = socket.AF_INET6 if ipv6 else socket.AF_INET
        if ipv6:
            self.bcast = False
        else:
            self.bcast = "255" in ip.split(".") if bcast is None else bcast

    def register(self, aliases, port, interface=""):
        self.logger.info("registering on %s:%s", self.ip, self.port)
        acknowledged = self._ask("REGISTER", (tuple(aliases), port), None, interface, accept=lambda reply: reply == "OK")
        if acknowledged:
            self.logger.info("registry %s:%s acknowledged", self.ip, self.port)
        else:
            self.logger.warning("no registry acknowledged")
        return acknowledged is not None

    def unregister(self, port):
        self.logger.info("unregistering from %s:%s", self.ip, self.port)
        with self._socket() as sock:
            self._send(sock, "UNREGISTER", (port,))

    def _ask(self, command, args, default, interface="", accept=lambda reply: True):
        with self._socket(interface) as sock:
            self._send(sock, command, args)
            deadline = time.monotonic() + self.timeout
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                try:
                    data, address = sock.recvfrom(64 * 1024)
                    reply = brine.load(data)
                except OSError:
                    break
                except Exception:
                    continue  # somebody else's datagram
                if address[1] == self.port and accept(reply):
                    return reply
        return default

    def _socket(self, interface=""):
        sock = socket.socket(self.sock_family, socket.SOCK_DGRAM)
        if self.bcast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if interface:
            with contextlib.ExitStack() as closing:
                closing.callback(sock.close)
                sock.bind((interface, 0))
                closing.pop_all()
        return sock

    def _send(self, sock, command, args):
        sock.sendto(brine.dump((MAGIC, command, args)), (self.ip, self.port))

    def _get_logger(self):
        return logging.getLogger("REGCLNT/UDP")


class TCPRegistryClient(RegistryClient):
    """Talks to the registry at a given address over TCP. Parameters as for :class:`RegistryClient`."""

    def __init__(self, ip, port=REGISTRY_PORT, timeout=2, logger=None):
        super().__init__(ip=ip, port=port, timeout=timeout, logger=logger)

    def register(self, aliases, port, interface=""):
        self.logger.info("registering on %s:%s", self.ip, self.port)
        try:
            reply = self._ask("REGISTER", (tuple(aliases), port), None, interface)
        except OSError as error:
            self.logger.warning("could not connect to registry: %s", error)
            return False
        if reply != "OK":
            self.logger.warning("registry did not acknowledge")
            return False
        self.logger.info("registry %s:%s acknowledged", self.ip, self.port)
        return True

    def unregister(self, port):
        self.logger.info("unregistering from %s:%s", self.ip, self.port)
        try:
            self._ask("UNREGISTER", (port,), None)
        except OSError as error:
            self.logger.warning("could not connect to registry: %s", error)

    def _ask(self, command, args, default, interface=""):
        source = (interface, 0) if interface else None
        limit = Timeout(self.timeout)
        with socket.create_connection((self.ip, self.port), self.timeout, source_address=source) as sock:
            sock.sendall(brine.dump((MAGIC, command, args)))
            try:
                return brine.load(_read_to_end(sock, limit))
            except Exception:  # no answer, half of one, or none of a registry
                return default

    def _get_logger(self):
        return logging.getLogger("REGCLNT/TCP")


def keep_registered(server, registrar):
    """Registers a server and keeps it registered for as long as it is active. To be run on a daemon thread of its own.

    Nothing that the registry does or fails to do ends it, or disturbs the server. Once the server is not active any more, it
    returns within a second, or when the attempt under way has timed out, and leaves no registration behind.

    :param server: has ``active``, ``service``, ``host``, ``port`` and ``logger``
    :param registrar: the :class:`RegistryClient` to use
    """
    server.logger.info("started background auto-register thread (interval = %s)", registrar.REREGISTER_INTERVAL)
    due = time.monotonic()
    while server.active:
        if time.monotonic() >= due and _register(server, registrar):
            due = time.monotonic() + registrar.REREGISTER_INTERVAL
            if not server.active:
                unregister(server, registrar)  # closed, and unregistered, while the registration was under way
        time.sleep(_ACTIVITY_CHECK)
    server.logger.info("background auto-register thread finished")


def unregister(server, registrar):
    """Unregisters a server. An error is logged, and is none for the caller, who has a server to close."""
    try:
        registrar.unregister(server.port)
    except Exception:
        server.logger.exception("error unregistering services")


def _register(server, registrar):
    try:
        done = registrar.register(server.service.get_service_aliases(), server.port, interface=server.host)
    except Exception:
        server.logger.exception("error registering services")
        return False
    if not done:
        server.logger.info("registering services did not work - retry")
    return done


def _is_server(value):
    """Whether what a registry says is a server: (host, port)."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int | str)


def _read_to_end(sock, limit):
    """All bytes until the other side closes, within the time limit, however it spreads them."""
    answer = bytearray()
    while len(answer) <= MAX_ANSWER:
        sock.settimeout(limit.timeleft())
        chunk = sock.recv(MAX_DGRAM_SIZE)
        if not chunk:
            return bytes(answer)
        answer += chunk
    raise ValueError(f"an answer of more than {MAX_ANSWER} bytes")
